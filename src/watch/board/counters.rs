//! What is counted about a camera.

use super::Milliseconds;
use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Upper ends of the latency histogram's classes in milliseconds; a last class has what is longer.
pub const LATENCY_BOUNDS_MS: [u32; 14] = [5, 10, 15, 20, 30, 40, 60, 80, 120, 200, 350, 600, 1200, 3000];

/// Seconds over which a rate is taken.
const RATE_SECONDS: u64 = 5;
/// Seconds that a meter remembers: those of the rate, the current one, and one that a reader may still look at.
const METER_SLOTS: usize = 8;

/// Parts of the time that a frame takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Pixels as RGB.
    Decode,
    /// Resize, padding, quantization.
    Preprocess,
    /// The network.
    Inference,
    /// Boxes, tracks, zones.
    Postprocess,
}

/// Numbers about a camera since the daemon started; any thread may read them at any time.
#[derive(Debug)]
pub struct Counters {
    captured: AtomicU64,
    frames: AtomicU64,
    dropped: AtomicU64,
    damaged: AtomicU64,
    still: AtomicU64,
    reconnects: AtomicU64,
    events: AtomicU64,
    snapshots: AtomicU64,
    snapshots_failed: AtomicU64,
    latency_us: AtomicU64,
    latency: [AtomicU64; LATENCY_BOUNDS_MS.len() + 1],
    /// Microseconds of each [`Stage`].
    stages: [AtomicU64; 4],
    start: Instant,
    captures: Meter,
    answers: Meter,
    drops: Meter,
    inferences: Meter,
}

/// [`Counters`] at one moment. Rates are per second, over the last five seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Frames that the source delivered, damaged ones not included.
    pub captured: u64,
    /// Frames that were answered, still ones included.
    pub frames: u64,
    /// Frames that a newer one replaced before they were looked at.
    pub dropped: u64,
    /// Frames that were damaged.
    pub damaged: u64,
    /// Answered frames that the motion gate kept from the network.
    pub still: u64,
    /// Times that the source was lost and opened again.
    pub reconnects: u64,
    /// Events.
    pub events: u64,
    /// Snapshots written.
    pub snapshots: u64,
    /// Snapshots that could not be written.
    pub snapshots_failed: u64,
    /// Sum of the answered frames' latencies, in seconds.
    pub latency_seconds: f64,
    /// Answered frames by latency: not above each of [`LATENCY_BOUNDS_MS`] (and above the one before), then those above all.
    pub latency: [u64; LATENCY_BOUNDS_MS.len() + 1],
    /// Sums of time by stage.
    pub stages: StageCounts,
    /// Frames that the source delivers.
    pub camera_fps: f64,
    /// Frames that are answered.
    pub process_fps: f64,
    /// Frames that are dropped.
    pub skipped_fps: f64,
    /// Frames that the network looks at.
    pub detection_fps: f64,
}

/// Time by stage, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StageCounts {
    /// Pixels as RGB.
    pub decode: f64,
    /// Resize, padding, quantization.
    pub preprocess: f64,
    /// The network.
    pub inference: f64,
    /// Boxes, tracks, zones.
    pub postprocess: f64,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Counters {
            captured: zero(),
            frames: zero(),
            dropped: zero(),
            damaged: zero(),
            still: zero(),
            reconnects: zero(),
            events: zero(),
            snapshots: zero(),
            snapshots_failed: zero(),
            latency_us: zero(),
            latency: Default::default(),
            stages: Default::default(),
            start: Instant::now(),
            captures: Meter::default(),
            answers: Meter::default(),
            drops: Meter::default(),
            inferences: Meter::default(),
        }
    }
}

impl Counters {
    fn second(&self) -> u64 {
        self.start.elapsed().as_secs()
    }

    /// The source has delivered a frame.
    pub fn count_captured(&self) {
        self.captured.fetch_add(1, Relaxed);
        self.captures.tick(self.second(), 1);
    }

    /// So many frames have been replaced by newer ones.
    pub fn count_dropped(&self, frames: u64) {
        self.dropped.fetch_add(frames, Relaxed);
        self.drops.tick(self.second(), frames);
    }

    /// A frame was damaged; how many were so far.
    pub fn count_damaged(&self) -> u64 {
        self.damaged.fetch_add(1, Relaxed) + 1
    }

    /// The source was lost and is there again.
    pub fn count_reconnect(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }

    /// A snapshot has been written, or could not be; how many could not so far.
    pub fn count_snapshot(&self, written: bool) -> u64 {
        if written {
            self.snapshots.fetch_add(1, Relaxed);
        }
        self.snapshots_failed.fetch_add(u64::from(!written), Relaxed) + u64::from(!written)
    }

    /// An event has happened.
    pub(super) fn count_event(&self) {
        self.events.fetch_add(1, Relaxed);
    }

    /// A frame is answered, `latency` after its capture; `still`: without the network.
    pub fn count_answer(&self, latency: Duration, stages: &Milliseconds, still: bool) {
        let second = self.second();
        self.frames.fetch_add(1, Relaxed);
        self.answers.tick(second, 1);
        if still {
            self.still.fetch_add(1, Relaxed);
        } else {
            self.inferences.tick(second, 1);
        }
        self.latency_us.fetch_add(latency.as_micros() as u64, Relaxed);
        let class = LATENCY_BOUNDS_MS.partition_point(|&bound| Duration::from_millis(bound.into()) < latency);
        self.latency[class].fetch_add(1, Relaxed);
        for (stage, ms) in [
            (Stage::Decode, stages.decode),
            (Stage::Preprocess, stages.preprocess),
            (Stage::Inference, stages.inference),
            (Stage::Postprocess, stages.postprocess),
        ] {
            self.stages[stage as usize].fetch_add((ms * 1e3) as u64, Relaxed);
        }
    }

    /// All of them. They are read one after the other: a frame that is answered meanwhile may show in some.
    pub fn snapshot(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        let seconds = |micros: &AtomicU64| get(micros) as f64 / 1e6;
        let stage = |stage: Stage| seconds(&self.stages[stage as usize]);
        let now = self.second();
        Counts {
            captured: get(&self.captured),
            frames: get(&self.frames),
            dropped: get(&self.dropped),
            damaged: get(&self.damaged),
            still: get(&self.still),
            reconnects: get(&self.reconnects),
            events: get(&self.events),
            snapshots: get(&self.snapshots),
            snapshots_failed: get(&self.snapshots_failed),
            latency_seconds: seconds(&self.latency_us),
            latency: std::array::from_fn(|i| get(&self.latency[i])),
            stages: StageCounts {
                decode: stage(Stage::Decode),
                preprocess: stage(Stage::Preprocess),
                inference: stage(Stage::Inference),
                postprocess: stage(Stage::Postprocess),
            },
            camera_fps: self.captures.rate(now),
            process_fps: self.answers.rate(now),
            skipped_fps: self.drops.rate(now),
            detection_fps: self.inferences.rate(now),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mean = self.latency_seconds * 1e3 / self.frames.max(1) as f64;
        let Counts { frames, dropped, damaged, .. } = self;
        write!(f, "{frames} frames, {dropped} dropped, {damaged} errors, mean latency {mean:.1} ms")
    }
}

/// Counts ticks by second, for one writer and any readers.
#[derive(Debug, Default)]
struct Meter([AtomicU64; METER_SLOTS]);

impl Meter {
    /// A slot has the second in its upper half and the ticks in that second in its lower one.
    fn tick(&self, second: u64, times: u64) {
        let slot = &self.0[second as usize % METER_SLOTS];
        let old = slot.load(Relaxed);
        let ticks = if old >> 32 == second { old & u64::from(u32::MAX) } else { 0 };
        slot.store(second << 32 | (ticks + times).min(u64::from(u32::MAX)), Relaxed);
    }

    /// Ticks per second in the last whole seconds, or as many as there were.
    fn rate(&self, now: u64) -> f64 {
        let from = now.saturating_sub(RATE_SECONDS);
        let ticks = |slot: &AtomicU64| {
            let slot = slot.load(Relaxed);
            if (from..now).contains(&(slot >> 32)) { slot & u64::from(u32::MAX) } else { 0 }
        };
        self.0.iter().map(ticks).sum::<u64>() as f64 / (now - from).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_whole_seconds() {
        let meter = Meter::default();
        let tick = |second, times| meter.tick(second, times);
        tick(0, 10);
        assert_eq!(meter.rate(0), 0.0);
        tick(1, 20);
        assert_eq!((meter.rate(1), meter.rate(2)), (10.0, 15.0));
        (2..100).for_each(|second| tick(second, 30));
        tick(100, 3);
        assert_eq!(meter.rate(100), 30.0);
        assert_eq!((meter.rate(103), meter.rate(106)), ((60.0 + 3.0) / 5.0, 0.0));
    }

    #[test]
    fn latencies_fall_into_their_classes() {
        let counters = Counters::default();
        for ms in [0, 5, 6, 3000, 3001, 100_000] {
            counters.count_answer(Duration::from_millis(ms), &Milliseconds::default(), ms == 0);
        }
        let counts = counters.snapshot();
        assert_eq!((counts.latency[0], counts.latency[1]), (2, 1));
        assert_eq!((counts.latency[13], counts.latency[14]), (1, 2));
        assert_eq!((counts.frames, counts.still), (6, 1));
        assert!((counts.latency_seconds - 106.012).abs() < 1e-9);
    }
}
