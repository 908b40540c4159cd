//! The place between capture and inference: one shot per camera.

use super::Shot;
use crate::error::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Stops a watch, from any thread.
#[derive(Clone, Default)]
pub struct Control(Arc<Slots>);

impl Control {
    /// The watch ends after the frame that it is looking at; all waiting ends now.
    pub fn stop(&self) {
        self.0.lock().stopped = true;
        self.0.changed.notify_all();
    }

    /// Whether [`Control::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        self.0.lock().stopped
    }

    pub(super) fn slots(&self) -> &Arc<Slots> {
        &self.0
    }
}

/// A slot for each camera, between threads that sleep while they have nothing to do.
#[derive(Default)]
pub(super) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    /// The camera that comes next if several have a shot.
    turn: usize,
    stopped: bool,
}

#[derive(Default)]
struct Lane {
    waiting: Option<Shot>,
    /// The source waits until its shot is taken.
    every: bool,
    /// No shot is taken before.
    rest: Option<Instant>,
    end: End,
}

/// How a source has ended.
#[derive(Default)]
enum End {
    #[default]
    NotYet,
    So(Result<()>),
    /// As the other side knows.
    Told,
}

/// What becomes of a shot that is put into a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits.
    Waits,
    /// It waits in place of an older one, which is dropped.
    Replaces,
    /// Nobody wants it any more.
    Stopped,
}

/// What comes next. Cameras are numbered in their order.
#[derive(Debug)]
pub(super) enum Taken {
    /// A shot of a camera.
    Shot(usize, Shot),
    /// A camera has ended, and all of its shots have been taken.
    Ended(usize, Result<()>),
    /// Stopped, or all have ended.
    Over,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment: the state is whole even if a thread has panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for another camera: its number. With `every`, its source waits until its shot is taken.
    pub fn add(&self, every: bool) -> usize {
        let mut state = self.lock();
        state.lanes.push(Lane { every, ..Lane::default() });
        state.lanes.len() - 1
    }

    /// Puts a shot in place of one that still waits; or, with `every`, waits until that has been taken.
    pub fn put(&self, lane: usize, shot: Shot) -> Put {
        let full = |state: &mut State| {
            let lane = &state.lanes[lane];
            lane.every && lane.waiting.is_some() && !state.stopped
        };
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if state.stopped {
            return Put::Stopped;
        }
        let old = state.lanes[lane].waiting.replace(shot);
        self.changed.notify_all();
        if old.is_some() { Put::Replaces } else { Put::Waits }
    }

    /// Waits for what comes next. Cameras take turns.
    pub fn take(&self) -> Taken {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Taken::Over;
            }
            if let Some(taken) = state.next(Instant::now()) {
                self.changed.notify_all();
                return taken;
            }
            if state.lanes.iter().all(|lane| matches!(lane.end, End::Told)) {
                return Taken::Over;
            }
            let rests = state.lanes.iter().filter(|lane| lane.waiting.is_some()).filter_map(|lane| lane.rest);
            state = match rests.min() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(rest) => {
                    let time = rest.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// No shot of this camera follows. The first call counts.
    pub fn end(&self, lane: usize, how: Result<()>) {
        let mut state = self.lock();
        if matches!(state.lanes[lane].end, End::NotYet) {
            state.lanes[lane].end = End::So(how);
        }
        self.changed.notify_all();
    }

    /// No shot of this camera is taken before `time`.
    pub fn rest(&self, lane: usize, time: Instant) {
        self.lock().lanes[lane].rest = Some(time);
    }
}

impl State {
    fn next(&mut self, now: Instant) -> Option<Taken> {
        let count = self.lanes.len();
        for i in (0..count).map(|i| (self.turn + i) % count) {
            let lane = &mut self.lanes[i];
            if lane.waiting.is_some() {
                if lane.rest.is_none_or(|rest| rest <= now) {
                    self.turn = i + 1;
                    return Some(Taken::Shot(i, lane.waiting.take()?));
                }
            } else if let End::So(_) = lane.end {
                let End::So(how) = std::mem::replace(&mut lane.end, End::Told) else { return None };
                return Some(Taken::Ended(i, how));
            }
        }
        None
    }
}

/// The side of one camera's capture. However its thread ends, the slot learns that nothing follows.
pub(super) struct Feed {
    slots: Arc<Slots>,
    lane: usize,
}

impl Feed {
    pub fn new(slots: &Arc<Slots>, lane: usize) -> Self {
        Feed { slots: Arc::clone(slots), lane }
    }

    /// As [`Slots::put`].
    pub fn put(&self, shot: Shot) -> Put {
        self.slots.put(self.lane, shot)
    }

    /// As [`Slots::end`].
    pub fn end(&self, how: Result<()>) {
        self.slots.end(self.lane, how);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end(Err(Error::Usage("the capture thread has failed; the message above says where".into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Frame;
    use crate::watch::Picture;
    use std::thread::{scope, sleep};
    use std::time::Duration;

    fn shot(number: u64) -> Shot {
        Shot::now(number, Picture::Rgb(Frame::new(1, 1, vec![0; 3]).unwrap()))
    }

    /// What comes next, as camera and number of the frame.
    fn take(slots: &Slots) -> String {
        match slots.take() {
            Taken::Shot(lane, shot) => format!("{lane}: {}", shot.number),
            Taken::Ended(lane, Ok(())) => format!("{lane} ends"),
            Taken::Ended(lane, Err(_)) => format!("{lane} fails"),
            Taken::Over => "over".into(),
        }
    }

    #[test]
    fn the_newest_wins_and_the_others_are_dropped() {
        let slots = Slots::default();
        slots.add(false);
        let put: Vec<_> = (1..=3).map(|number| slots.put(0, shot(number))).collect();
        assert_eq!(put, [Put::Waits, Put::Replaces, Put::Replaces]);
        assert_eq!(take(&slots), "0: 3");
        slots.put(0, shot(4));
        slots.end(0, Ok(()));
        assert_eq!([take(&slots), take(&slots), take(&slots)], ["0: 4", "0 ends", "over"]);
    }

    #[test]
    fn every_shot_waits_until_it_is_taken() {
        let slots = Slots::default();
        slots.add(true);
        let seen = scope(|scope| {
            scope.spawn(|| {
                (1..=20).for_each(|number| assert_eq!(slots.put(0, shot(number)), Put::Waits));
                slots.end(0, Err(Error::Usage("broken".into())));
                slots.end(0, Ok(()));
            });
            (0..20).map(|_| take(&slots)).collect::<Vec<_>>()
        });
        assert_eq!(seen, (1..=20).map(|number| format!("0: {number}")).collect::<Vec<_>>());
        assert_eq!(take(&slots), "0 fails");
    }

    #[test]
    fn cameras_take_turns_and_end_one_by_one() {
        let slots = Slots::default();
        (0..3).for_each(|lane| assert_eq!(slots.add(false), lane));
        for number in 1..=2 {
            (0..3).for_each(|lane| assert_eq!(slots.put(lane, shot(number)), Put::Waits));
            assert_eq!([take(&slots), take(&slots)], [format!("0: {number}"), format!("1: {number}")]);
            slots.put(0, shot(number + 10));
            assert_eq!([take(&slots), take(&slots)], [format!("2: {number}"), format!("0: {}", number + 10)]);
            slots.lock().turn = 0;
        }
        slots.end(1, Ok(()));
        assert_eq!(take(&slots), "1 ends");
        slots.put(2, shot(9));
        assert_eq!(take(&slots), "2: 9");
    }

    #[test]
    fn a_resting_camera_holds_up_no_other() {
        let slots = Slots::default();
        (0..2).for_each(|lane| assert_eq!(slots.add(false), lane));
        let begin = Instant::now();
        slots.rest(0, begin + Duration::from_millis(30));
        slots.put(0, shot(1));
        slots.put(1, shot(2));
        assert_eq!([take(&slots), take(&slots)], ["1: 2", "0: 1"]);
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn a_stop_ends_all_waiting() {
        let control = Control::default();
        let slots = control.slots();
        slots.add(true);
        let start = Instant::now();
        scope(|scope| {
            scope.spawn(|| assert_eq!(take(slots), "over"));
            sleep(Duration::from_millis(20));
            control.stop();
        });
        assert_eq!(slots.put(0, shot(1)), Put::Stopped);
        assert!(start.elapsed() < Duration::from_secs(30) && control.is_stopped());
    }
}
