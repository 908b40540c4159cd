//! What a daemon publishes, for any number of readers.
//!
//! ```text
//!  pipeline ─publish─► Panel (one per camera): newest Report, newest View, Counters, Status ─┐
//!           ─record──► Events (the last ones, of all cameras)                               ─┴─► readers
//!           ─ring────► bells of those who subscribed
//! ```
//!
//! The pipeline never waits for a reader, and no reader for the pipeline: what is published are shared values that
//! are swapped as a whole, and numbers that are atomic. A reader keeps a value as long as it likes. While nobody
//! looks at a value its memory is used again, so that a frame that nobody looks at allocates nothing here.

mod bells;
mod counters;
mod events;
mod newest;
mod panel;
mod report;

pub use bells::{Bells, Subscription};
pub use counters::{Counters, Counts, LATENCY_BOUNDS_MS, Stage, StageCounts};
pub use events::{Event, EventKind, Events};
pub use newest::{Newest, Writer};
pub use panel::{Panel, Publisher, State, Status, View, Viewer};
pub(super) use report::milliseconds;
pub use report::{LineCount, Milliseconds, Report, Seen, ZoneCount};

use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Facts about the daemon that never change while it runs.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Version of this program.
    pub version: &'static str,
    /// Name of the model's file, without its folder.
    pub model: String,
    /// Arithmetic: `int8`, `fp32` or `mixed`.
    pub precision: &'static str,
    /// Width and height of the network's input in pixels.
    pub input: [usize; 2],
    /// Names of the classes, by class id.
    pub classes: Vec<Arc<str>>,
    /// Threads that share an inference.
    pub threads: usize,
}

/// Everything that a daemon publishes.
#[derive(Debug)]
pub struct Board {
    about: About,
    started: (Instant, SystemTime),
    panels: Vec<Arc<Panel>>,
    events: Arc<Events>,
    bells: Arc<Bells>,
}

impl Board {
    /// A board for cameras of these names, which should differ; with a publisher for each, in their order.
    pub fn new(about: About, cameras: &[String]) -> (Arc<Board>, Vec<Publisher>) {
        let (bells, events) = (Arc::<Bells>::default(), Arc::<Events>::default());
        let publishers: Vec<_> = cameras
            .iter()
            .map(|name| Publisher::new(name.as_str().into(), Arc::clone(&events), Arc::clone(&bells)))
            .collect();
        let panels = publishers.iter().map(|publisher| Arc::clone(publisher.panel())).collect();
        let started = (Instant::now(), SystemTime::now());
        (Arc::new(Board { about, started, panels, events, bells }), publishers)
    }

    /// Model, classes, version.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// When the daemon started.
    pub fn started(&self) -> SystemTime {
        self.started.1
    }

    /// How long the daemon runs.
    pub fn uptime(&self) -> Duration {
        self.started.0.elapsed()
    }

    /// The cameras, in the order of the configuration. They stay the same as long as the daemon runs.
    pub fn panels(&self) -> &[Arc<Panel>] {
        &self.panels
    }

    /// The camera of this name.
    pub fn panel(&self, name: &str) -> Option<&Arc<Panel>> {
        self.panels.iter().find(|panel| panel.name() == name)
    }

    /// The last events of all cameras.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Calls `bell` after each publication, in the pipeline's thread, until the subscription is dropped. So `bell`
    /// must return at once: it sets a flag, or sends into a channel that drops what it has no room for. What is new
    /// is then read from the board.
    pub fn subscribe(&self, bell: impl Fn() + Send + Sync + 'static) -> Subscription {
        Bells::subscribe(&self.bells, Arc::new(bell))
    }
}

/// A panel that nobody else has.
#[cfg(test)]
pub(super) fn test_panel() -> Arc<Panel> {
    Arc::clone(Publisher::new("test".into(), Arc::default(), Arc::default()).panel())
}

#[cfg(test)]
mod tests;
