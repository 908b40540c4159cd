//! The thread that reads a source.

use super::board::{Panel, State};
use super::slot::{Feed, Put};
use super::{Source, Step};
use crate::error::Error;
use std::sync::Arc;

/// Starts a thread that reads `source` until it ends or nobody wants its shots any more. Where a source waits for a
/// frame that does not come, the thread outlives the watch.
pub(super) fn start(source: Box<dyn Source>, feed: Feed, panel: Arc<Panel>) -> Result<(), Error> {
    let thread = std::thread::Builder::new().name("capture".into());
    let capture = Capture { panel, feed, losses: 0, last: 0 };
    thread.spawn(move || capture.run(source)).map(drop).map_err(|e| Error::io("capture thread", e))
}

struct Capture {
    panel: Arc<Panel>,
    feed: Feed,
    /// Times in a row that the source was lost.
    losses: u64,
    /// Number of the last frame, damaged ones counted.
    last: u64,
}

impl Capture {
    fn run(mut self, mut source: Box<dyn Source>) {
        loop {
            match source.next_frame() {
                Ok(Step::Frame(shot)) => {
                    self.is_there();
                    self.count_missing(shot.number);
                    match self.feed.put(shot) {
                        Put::Waits => {}
                        Put::Replaces => self.panel.counters().count_dropped(1),
                        Put::Stopped => return,
                    }
                }
                Ok(Step::Damaged(error)) => {
                    self.last += 1;
                    damaged(&self.panel, &error);
                }
                Ok(Step::Lost(error)) => self.lost(&error),
                Ok(Step::End) => return self.feed.end(Ok(())),
                Err(error) => return self.feed.end(Err(error)),
            }
        }
    }

    fn is_there(&mut self) {
        let counters = self.panel.counters();
        counters.count_captured();
        if self.panel.status().state != State::Running {
            if self.losses > 0 {
                log::warn!("{}: the source is there again", self.panel.name());
                counters.count_reconnect();
            }
            self.losses = 0;
            self.panel.set_state(State::Running, "");
        }
    }

    /// A gap in the numbers is frames that the source has dropped: the driver of a camera had no free buffer.
    fn count_missing(&mut self, number: u64) {
        self.panel.counters().count_dropped(number.saturating_sub(self.last + 1));
        self.last = self.last.max(number);
    }

    fn lost(&mut self, error: &Error) {
        self.losses += 1;
        if is_worth_a_line(self.losses) {
            log::warn!("{}: {error}; the source is opened again and again", self.panel.name());
        }
        self.panel.set_state(State::Lost, &error.to_string());
    }
}

/// Counts a damaged frame.
pub(super) fn damaged(panel: &Panel, error: &Error) {
    let count = panel.counters().count_damaged();
    if is_worth_a_line(count) {
        log::warn!("{error} ({count} so far)");
    }
}

/// What goes on for weeks fills no disk with messages: the first, second, fourth, eighth, … is told.
pub(super) fn is_worth_a_line(count: u64) -> bool {
    count.is_power_of_two()
}
