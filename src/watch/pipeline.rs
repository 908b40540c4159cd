//! From capture to answer.

use super::slot::Slot;
use super::{Control, Picture, Shot, Source, Step};
use crate::detect::{Detection, Names};
use crate::detector::{Detector, Timing};
use crate::error::{Error, Result};
use crate::image::Frame;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Which frames are looked at, and how many.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Every frame is looked at, and the source waits; otherwise the newest one, and the others are dropped.
    pub every: bool,
    /// Least time from the start of one frame to that of the next.
    pub period: Option<Duration>,
}

/// What was found in one frame.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Number of the frame in its source, from 1.
    pub number: u64,
    /// The file, where each frame is one.
    pub path: Option<&'a Path>,
    /// When the frame was captured.
    pub time: SystemTime,
    /// From then until now.
    pub latency: Duration,
    /// The pixels.
    pub frame: &'a Frame,
    /// What was found, best first.
    pub found: &'a [Detection],
    /// Names of the classes.
    pub names: &'a Names,
    /// Time that the pixels took to become RGB.
    pub decode: Duration,
    /// Where the rest of the time went.
    pub timing: Timing,
}

/// Looks at the frames of `source` until it ends, [`Control::stop`] is called or `answered` breaks. A damaged
/// frame is counted and logged (the first, second, fourth, eighth, … of them).
///
/// The source is read on a thread of its own, which may outlive this call where it waits for a frame.
///
/// # Errors
/// What the source or `answered` failed with.
pub fn watch(
    source: impl Source + 'static,
    detector: &mut Detector,
    pace: Pace,
    control: &Control,
    mut answered: impl FnMut(&Answer) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let slot = control.slot();
    let feeder = Feeder(Arc::clone(&slot));
    std::thread::Builder::new()
        .name("capture".into())
        .spawn(move || feeder.run(source, pace.every))
        .map_err(|e| Error::io("capture thread", e))?;
    // A copy, since what the detector finds borrows it.
    let names = detector.names().clone();
    while let Some(shot) = slot.take()? {
        let start = Instant::now();
        let flow = match look(shot, (&mut *detector, &names), &slot, &mut answered) {
            Err(Failure::Damaged(error)) => {
                damaged(&slot, &error);
                ControlFlow::Continue(())
            }
            Err(Failure::Fatal(error)) => return Err(error),
            Ok(flow) => flow,
        };
        if flow.is_break() {
            break;
        }
        if let Some(period) = pace.period {
            slot.rest_until(start + period);
        }
    }
    Ok(())
}

enum Failure {
    Damaged(Error),
    Fatal(Error),
}

fn look(
    shot: Shot,
    (detector, names): (&mut Detector, &Names),
    slot: &Slot,
    answered: &mut impl FnMut(&Answer) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>, Failure> {
    let Shot { number, time, instant, picture } = shot;
    let path = match &picture {
        Picture::File(path) => Some(path.clone()),
        _ => None,
    };
    let start = Instant::now();
    let frame = picture.decode().map_err(Failure::Damaged)?;
    let decode = start.elapsed();
    let (found, timing) = detector.detect(&frame).map_err(Failure::Damaged)?;
    let latency = instant.elapsed();
    slot.change(|state| {
        state.counts.frames += 1;
        state.counts.latency += latency;
    });
    let path = path.as_deref();
    let answer = Answer { number, path, time, latency, frame: &frame, found, names, decode, timing };
    answered(&answer).map_err(Failure::Fatal)
}

fn damaged(slot: &Slot, error: &Error) {
    let errors = slot.change(|state| {
        state.counts.errors += 1;
        state.counts.errors
    });
    // A camera that damages every frame for weeks fills no disk with messages.
    if errors.is_power_of_two() {
        log::warn!("{error} ({errors} so far)");
    }
}

/// The capture thread. However it ends, the slot learns that nothing follows.
struct Feeder(Arc<Slot>);

impl Feeder {
    fn run(self, mut source: impl Source, every: bool) {
        loop {
            match source.next_frame() {
                Ok(Step::Frame(shot)) => {
                    if !self.0.put(shot, every) {
                        return;
                    }
                }
                Ok(Step::Damaged(error)) => damaged(&self.0, &error),
                Ok(Step::End) => return self.0.end(Ok(())),
                Err(error) => return self.0.end(Err(error)),
            }
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.end(Err(Error::Usage("the capture thread has failed; the message above says where".into())));
    }
}
