//! The place between capture and inference that holds one shot, and what is counted there.

use super::Shot;
use crate::error::Result;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What has been seen so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that were answered.
    pub frames: u64,
    /// Frames that a newer one replaced before they were looked at.
    pub dropped: u64,
    /// Frames that were damaged.
    pub errors: u64,
    /// Sum of the answered frames' latencies.
    pub latency: Duration,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.latency.as_secs_f64() * 1e3 / self.frames.max(1) as f64;
        let Counts { frames, dropped, errors, .. } = self;
        write!(f, "{frames} frames, {dropped} dropped, {errors} errors, mean latency {mean:.1} ms")
    }
}

/// Stops a watch and reads its counts, from any thread.
#[derive(Clone, Default)]
pub struct Control(Arc<Slot>);

impl Control {
    /// The watch ends after the frame that it is looking at; all waiting ends now.
    pub fn stop(&self) {
        self.0.change(|state| state.stopped = true);
    }

    /// What has been seen so far.
    pub fn counts(&self) -> Counts {
        self.0.lock().counts.clone()
    }

    pub(super) fn slot(&self) -> Arc<Slot> {
        Arc::clone(&self.0)
    }
}

/// One shot, between two threads that sleep while they have nothing to do.
#[derive(Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    waiting: Option<Shot>,
    /// The source has ended, well or not.
    ended: Option<Result<()>>,
    stopped: bool,
    pub counts: Counts,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment: the state is whole even if a thread has panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes who waits for a change.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        self.changed.wait_while(self.lock(), condition).unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a shot in place of one that still waits, which is thereby dropped; or, with `every`, waits until that
    /// has been taken. False if the watch has been stopped.
    pub fn put(&self, shot: Shot, every: bool) -> bool {
        let mut state = self.wait_while(|s| every && s.waiting.is_some() && !s.stopped);
        if state.stopped {
            return false;
        }
        state.counts.dropped += u64::from(state.waiting.is_some());
        state.waiting = Some(shot);
        self.changed.notify_all();
        true
    }

    /// Waits for a shot. `None`: stopped, or the source has ended well.
    ///
    /// # Errors
    /// The source has failed, and all shots before that have been taken.
    pub fn take(&self) -> Result<Option<Shot>> {
        let mut state = self.wait_while(|s| s.waiting.is_none() && s.ended.is_none() && !s.stopped);
        if state.stopped {
            return Ok(None);
        }
        let shot = state.waiting.take();
        self.changed.notify_all();
        match shot {
            Some(shot) => Ok(Some(shot)),
            None => state.ended.take().unwrap_or(Ok(())).map(|()| None),
        }
    }

    /// No shot follows. The first call counts.
    pub fn end(&self, how: Result<()>) {
        self.change(|state| state.ended.get_or_insert(how).is_ok());
    }

    /// Waits until `time` or until the watch is stopped.
    pub fn rest_until(&self, time: Instant) {
        let rest = time.saturating_duration_since(Instant::now());
        drop(self.changed.wait_timeout_while(self.lock(), rest, |state| !state.stopped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::image::Frame;
    use crate::watch::Picture;
    use std::thread::{scope, sleep};

    fn shot(number: u64) -> Shot {
        Shot::now(number, Picture::Rgb(Frame::new(1, 1, vec![0; 3]).unwrap()))
    }

    fn take(slot: &Slot) -> Option<u64> {
        slot.take().unwrap().map(|shot| shot.number)
    }

    #[test]
    fn the_newest_wins_and_the_others_are_counted() {
        let slot = Slot::default();
        (1..=3).for_each(|number| assert!(slot.put(shot(number), false)));
        assert_eq!(take(&slot), Some(3));
        slot.put(shot(4), false);
        slot.end(Ok(()));
        assert_eq!((take(&slot), take(&slot)), (Some(4), None), "what came before the end is still taken");
        assert_eq!(slot.lock().counts.dropped, 2);
    }

    #[test]
    fn every_shot_waits_until_it_is_taken() {
        let slot = Slot::default();
        let seen = scope(|scope| {
            scope.spawn(|| {
                (1..=20).for_each(|number| assert!(slot.put(shot(number), true)));
                slot.end(Err(Error::Usage("broken".into())));
                slot.end(Ok(()));
            });
            (0..20).map(|_| take(&slot).unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(seen, (1..=20).collect::<Vec<_>>());
        assert!(slot.take().is_err());
        assert_eq!(slot.lock().counts.dropped, 0);
    }

    #[test]
    fn a_stop_ends_all_waiting() {
        let control = Control::default();
        let slot = control.slot();
        let start = Instant::now();
        scope(|scope| {
            scope.spawn(|| assert_eq!(take(&slot), None));
            scope.spawn(|| slot.rest_until(start + Duration::from_secs(60)));
            sleep(Duration::from_millis(20));
            control.stop();
        });
        slot.change(|state| state.waiting = Some(shot(1)));
        assert!(!slot.put(shot(2), true));
        assert_eq!(
            slot.lock().counts.dropped,
            0,
            "what comes after the stop was not dropped for a newer one"
        );
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
