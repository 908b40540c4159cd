//! What is published about one camera.

use super::{Bells, Counters, Event, Events, Newest, Report, Writer};
use crate::image::Frame;
use crate::watch::Stamp;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How a source is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No frame has come yet.
    #[default]
    Starting,
    /// Frames come.
    Running,
    /// The source is lost and is opened again and again.
    Lost,
    /// The source has ended, well or not; nothing follows.
    Ended,
}

/// How a source is, since when, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// How.
    pub state: State,
    /// Since when.
    pub since: Stamp,
    /// Why, where there is something to say.
    #[serde(skip_serializing_if = "is_silent")]
    pub why: Arc<str>,
}

fn is_silent(why: &Arc<str>) -> bool {
    why.is_empty()
}

/// A frame with what was found in it, for drawing.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The pixels, nothing drawn on them. Empty (0×0) before the first frame.
    pub frame: Frame,
    /// What was found.
    pub report: Report,
}

/// One camera, for readers.
#[derive(Debug)]
pub struct Panel {
    name: Arc<str>,
    counters: Counters,
    status: ArcSwap<Status>,
    report: Arc<Newest<Report>>,
    view: Arc<Newest<View>>,
    viewers: AtomicUsize,
    bells: Arc<Bells>,
}

impl Panel {
    /// Name of the camera.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How the source is.
    pub fn status(&self) -> Arc<Status> {
        self.status.load_full()
    }

    /// The result of the newest frame.
    pub fn report(&self) -> Arc<Report> {
        self.report.get()
    }

    /// A viewer: as long as there is one, pixels are published as well.
    pub fn viewer(self: &Arc<Self>) -> Viewer {
        self.viewers.fetch_add(1, Ordering::Relaxed);
        Viewer(Arc::clone(self))
    }

    /// Says how the source is.
    pub fn set_state(&self, state: State, why: &str) {
        let old = self.status.load();
        let since = if old.state == state { old.since } else { Stamp(SystemTime::now()) };
        self.status.store(Arc::new(Status { state, since, why: why.into() }));
        self.bells.ring();
    }
}

/// Sees the pixels of a camera.
#[derive(Debug)]
pub struct Viewer(Arc<Panel>);

impl Viewer {
    /// The newest frame with pixels. Until the first frame after this viewer came, that is an old one, or
    /// one without pixels.
    pub fn view(&self) -> Arc<View> {
        self.0.view.get()
    }

    /// The camera.
    pub fn panel(&self) -> &Arc<Panel> {
        &self.0
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One camera, for the pipeline.
#[derive(Debug)]
pub struct Publisher {
    panel: Arc<Panel>,
    report: Writer<Report>,
    view: Writer<View>,
    events: Arc<Events>,
    /// Seconds since 1970 when the daemon started, in names of events.
    started: u64,
}

impl Publisher {
    pub(super) fn new(name: Arc<str>, events: Arc<Events>, bells: Arc<Bells>) -> Self {
        let (report, view) = (Writer::<Report>::new(), Writer::<View>::new());
        let since = Stamp(SystemTime::now());
        let panel = Arc::new(Panel {
            name,
            counters: Counters::default(),
            status: ArcSwap::from_pointee(Status { state: State::Starting, since, why: "".into() }),
            report: Arc::clone(report.newest()),
            view: Arc::clone(view.newest()),
            viewers: AtomicUsize::new(0),
            bells,
        });
        let started = since.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Publisher { panel, report, view, events, started }
    }

    /// What readers see.
    pub fn panel(&self) -> &Arc<Panel> {
        &self.panel
    }

    /// Keeps an event, which gets its number here, and counts it.
    pub fn record(&self, event: Event) -> Arc<Event> {
        self.panel.counters.count_event();
        self.events.record(event, self.started)
    }

    /// Publishes the result of a frame; where somebody views, also its pixels, for which `frame` gets the memory
    /// of older ones.
    pub fn publish(&mut self, report: &Report, frame: &mut Frame) {
        if self.panel.viewers.load(Ordering::Relaxed) > 0 {
            self.view.publish(|view| {
                copy(&mut view.report, report);
                std::mem::swap(&mut view.frame, frame);
            });
        }
        self.report.publish(|newest| copy(newest, report));
        self.panel.bells.ring();
    }
}

/// Copies a report into the memory of another.
fn copy(to: &mut Report, from: &Report) {
    let Report { camera, frame, time, latency_ms, image, width, height, still, ms, .. } = from;
    (to.camera, to.frame, to.time) = (Arc::clone(camera), *frame, *time);
    (to.latency_ms, to.width, to.height, to.still, to.ms) = (*latency_ms, *width, *height, *still, *ms);
    to.image.clone_from(image);
    to.detections.clone_from(&from.detections);
    to.zones.clone_from(&from.zones);
    to.lines.clone_from(&from.lines);
    to.events.clone_from(&from.events);
}
