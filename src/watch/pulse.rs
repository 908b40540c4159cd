//! Whether the pipeline is well: it waits, or what it does has not lasted too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The pulse of a pipeline, for whoever watches over it.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Heart>);

#[derive(Debug)]
struct Heart {
    start: Instant,
    /// Milliseconds from the start to when the pipeline began its work, plus one; 0: it waits.
    busy: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse(Arc::new(Heart { start: Instant::now(), busy: AtomicU64::new(0) }))
    }
}

/// The pipeline works as long as this lives.
pub(super) struct Busy<'a>(&'a AtomicU64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Pulse {
    pub(super) fn busy(&self) -> Busy<'_> {
        let now = self.0.start.elapsed().as_millis() as u64;
        self.0.busy.store(now + 1, Ordering::Relaxed);
        Busy(&self.0.busy)
    }

    /// How long the pipeline has been at one frame; zero while it waits for one.
    pub fn stuck_for(&self) -> Duration {
        match self.0.busy.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.0.start.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_not_stuck() {
        let pulse = Pulse::default();
        assert_eq!(pulse.stuck_for(), Duration::ZERO);
        let busy = pulse.busy();
        std::thread::sleep(Duration::from_millis(5));
        assert!(pulse.stuck_for() >= Duration::from_millis(4));
        drop(busy);
        assert_eq!(pulse.stuck_for(), Duration::ZERO);
    }
}
