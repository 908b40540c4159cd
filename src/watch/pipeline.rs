//! From capture to answer.

use super::board::{Publisher, Report, State};
use super::capture;
use super::look::Look;
use super::rules::Rules;
use super::slot::{Feed, Slots, Taken};
use super::snapshots::Snapshots;
use super::{Control, Pulse, Source};
use crate::detector::Detector;
use crate::error::{Error, Result};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// A camera to be watched.
pub struct Lens {
    /// Where its frames come from.
    pub source: Box<dyn Source>,
    /// Every frame is looked at, and the source waits; otherwise the newest one, and the others are dropped.
    pub every: bool,
    /// What may change while it runs.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Where its results go.
    pub publisher: Publisher,
}

/// What all cameras share, besides the detector.
#[derive(Clone, Default)]
pub struct Shared {
    /// Ends the watch.
    pub control: Control,
    /// Beats while the watch is well.
    pub pulse: Pulse,
    /// Pictures of events, if they are wanted; may change while the watch runs.
    pub snapshots: Arc<ArcSwapOption<Snapshots>>,
}

/// Looks at the frames of all cameras, with one detector, until all have ended, [`Control::stop`] is called or
/// `answered` breaks. Cameras that have a frame take turns. A damaged frame is counted and logged (the first, second,
/// fourth, eighth, … of them).
///
/// Each source is read on a thread of its own, which may outlive this call where it waits for a frame.
///
/// # Errors
/// What `answered` failed with; or, when all cameras have ended, what the first source failed with. A camera that fails
/// while others go on is logged.
pub fn watch(
    lenses: Vec<Lens>,
    detector: &mut Detector,
    shared: &Shared,
    mut answered: impl FnMut(&Report) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let slots = shared.control.slots();
    let mut looks = start(lenses, detector, slots)?;
    let several = looks.len() > 1;
    let mut failure = None;
    loop {
        match slots.take() {
            Taken::Shot(lane, shot) => {
                let begin = Instant::now();
                let _busy = shared.pulse.busy();
                let look = &mut looks[lane];
                match look.at(shot, detector, shared.snapshots.load_full().as_deref()) {
                    Ok(report) => {
                        if answered(report)?.is_break() {
                            return Ok(());
                        }
                    }
                    Err(error) => capture::damaged(look.panel(), &error),
                }
                if let Some(period) = look.period() {
                    slots.rest(lane, begin + period);
                }
            }
            Taken::Ended(lane, how) => {
                let panel = looks[lane].panel();
                let why = how.as_ref().err().map(Error::to_string).unwrap_or_default();
                panel.set_state(State::Ended, &why);
                if let Err(error) = how {
                    if several {
                        log::error!("camera '{}' has ended: {error}", panel.name());
                    }
                    failure.get_or_insert(error);
                }
            }
            Taken::Over => return failure.map_or(Ok(()), Err),
        }
    }
}

/// Starts all captures.
fn start(lenses: Vec<Lens>, detector: &Detector, slots: &Arc<Slots>) -> Result<Vec<Look>> {
    // All slots are there before the first capture may end.
    let lanes: Vec<_> = lenses.iter().map(|lens| slots.add(lens.every)).collect();
    let start = |(lens, lane): (Lens, usize)| {
        let Lens { source, every, rules, publisher } = lens;
        let feed = Feed::new(slots, lane);
        capture::start(source, feed, Arc::clone(publisher.panel()))?;
        Ok(Look::new(publisher, rules, every, detector.names()))
    };
    lenses.into_iter().zip(lanes).map(start).collect()
}
