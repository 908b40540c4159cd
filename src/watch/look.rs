//! One camera's way from a shot to its answer, and what it must remember from frame to frame.

use super::board::{Event, Milliseconds, Panel, Publisher, Report, Seen};
use super::gate::Gate;
use super::rules::Rules;
use super::scene::{Happening, Scene};
use super::snapshots::Snapshots;
use super::track::Tracker;
use super::{Picture, Shot, Stamp};
use crate::detect::{Detection, Names};
use crate::detector::{Detector, Timing};
use crate::error::Result;
use crate::image::{Fit, Frame};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time from frame to frame of a stored source that does not say: its frames come faster than what they show.
const USUAL_PERIOD: Duration = Duration::from_millis(40);

pub(super) struct Look {
    publisher: Publisher,
    newest_rules: Arc<ArcSwap<Rules>>,
    rules: Arc<Rules>,
    every: bool,
    classes: Vec<Arc<str>>,
    gate: Gate,
    tracker: Tracker,
    scene: Scene,
    start: Instant,
    report: Report,
    /// Scratch of a frame.
    found: Vec<Detection>,
    numbers: Vec<Option<u64>>,
    happened: Vec<Happening>,
}

impl Look {
    pub fn new(publisher: Publisher, newest_rules: Arc<ArcSwap<Rules>>, every: bool, names: &Names) -> Self {
        let rules = newest_rules.load_full();
        let mut scene = Scene::default();
        scene.set_places(&rules.places);
        let camera = publisher.panel().name().into();
        Look {
            publisher,
            newest_rules,
            rules,
            every,
            classes: names.iter().map(Arc::from).collect(),
            gate: Gate::default(),
            tracker: Tracker::default(),
            scene,
            start: Instant::now(),
            report: Report { camera, ..Report::default() },
            found: Vec::new(),
            numbers: Vec::new(),
            happened: Vec::new(),
        }
    }

    pub fn panel(&self) -> &Arc<Panel> {
        self.publisher.panel()
    }

    /// Least time from frame to frame.
    pub fn period(&self) -> Option<Duration> {
        self.rules.period
    }

    /// Looks at a shot and publishes the answer.
    ///
    /// # Errors
    /// The picture is damaged.
    pub fn at(
        &mut self,
        shot: Shot,
        detector: &mut Detector,
        snapshots: Option<&Snapshots>,
    ) -> Result<&Report> {
        self.follow_rules();
        let now = self.scene_time(&shot);
        let Shot { number, time, instant, picture, .. } = shot;
        let image = match &picture {
            Picture::File(path) => Some(path.to_string_lossy().into_owned()),
            _ => None,
        };
        let begin = Instant::now();
        let mut frame = picture.decode_for(self.shrinks(detector).then(|| detector.input_size()))?;
        let decode = begin.elapsed();
        let still = self.is_still(&frame, now);
        self.report.events.clear();
        let timing = if still { Timing::default() } else { self.find(&frame, now, detector)? };
        (self.report.frame, self.report.time, self.report.image) = (number, Stamp(time), image);
        (self.report.width, self.report.height, self.report.still) = (frame.width, frame.height, still);
        self.report.ms = Milliseconds::new(decode, timing);
        let latency = instant.elapsed();
        self.report.latency_ms = super::board::milliseconds(latency);
        self.record(&frame, snapshots);
        self.panel().counters().count_answer(latency, &self.report.ms, still);
        self.publisher.publish(&self.report, &mut frame);
        Ok(&self.report)
    }

    fn follow_rules(&mut self) {
        let newest = self.newest_rules.load();
        if !Arc::ptr_eq(&newest, &self.rules) {
            self.rules = Arc::clone(&newest);
            self.scene.set_places(&self.rules.places);
        }
    }

    /// When the shot is in its scene.
    fn scene_time(&self, shot: &Shot) -> Duration {
        let by_number = || USUAL_PERIOD.saturating_mul(u32::try_from(shot.number).unwrap_or(u32::MAX));
        let by_clock = || shot.instant.saturating_duration_since(self.start);
        shot.scene.unwrap_or_else(|| if self.every { by_number() } else { by_clock() })
    }

    /// Whether frames are decoded no larger than the network needs them: a letterbox shrinks both sides alike, but what
    /// stretches each by itself would lose pixels.
    fn shrinks(&self, detector: &Detector) -> bool {
        self.rules.shrink && detector.fit() == Fit::Letterbox
    }

    /// Whether the network need not look: nothing moves, and no object is about to appear or to go.
    fn is_still(&mut self, frame: &Frame, now: Duration) -> bool {
        let Some(share) = self.rules.motion else { return false };
        // The gate is asked in any case: it remembers what it saw.
        self.gate.is_still(frame, now, share) && self.tracker.is_settled()
    }

    /// Boxes, objects, zones. The report gets what was found; what has happened waits in `happened`.
    fn find(&mut self, frame: &Frame, now: Duration, detector: &mut Detector) -> Result<Timing> {
        detector.set_score(self.rules.least_score());
        let (found, mut timing) = detector.detect(frame)?;
        let begin = Instant::now();
        let pixels = frame.width * frame.height;
        self.found.clear();
        self.found.extend(found.iter().filter(|d| self.rules.matters(d, pixels)));
        let rules = &self.rules;
        self.tracker.update(now, &self.found, |d| rules.is_good(d), &mut self.numbers);
        self.scene.update(now, &self.tracker, [frame.width, frame.height], &mut self.happened);
        let seen = |(d, &track): (&Detection, &Option<u64>)| {
            let &Detection { class_id, score, bbox } = d;
            let class = Arc::clone(&self.classes[class_id]);
            rules.is_good(d).then_some(Seen { class, class_id, score, bbox, track })
        };
        self.report.detections.clear();
        self.report.detections.extend(self.found.iter().zip(&self.numbers).filter_map(seen));
        self.report.zones.clear();
        self.report.zones.extend_from_slice(self.scene.zones());
        self.report.lines.clear();
        self.report.lines.extend_from_slice(self.scene.lines());
        timing.postprocess += begin.elapsed();
        Ok(timing)
    }

    /// Makes events of what has happened, with one picture for all.
    fn record(&mut self, frame: &Frame, snapshots: Option<&Snapshots>) {
        if self.happened.is_empty() {
            return;
        }
        let snapshot = snapshots.map(|snapshots| {
            let name = Snapshots::name(&self.report);
            snapshots.take(&name, &self.report, frame, self.publisher.panel());
            name
        });
        for happening in self.happened.drain(..) {
            let Happening { kind, place, track, class_id, score, bbox, stay } = happening;
            let event = Event {
                number: 0,
                id: String::new(),
                kind,
                camera: Arc::clone(&self.report.camera),
                place,
                time: self.report.time,
                frame: self.report.frame,
                track,
                class: Arc::clone(&self.classes[class_id]),
                class_id,
                score,
                bbox,
                seconds: stay.map(|stay| (stay.as_secs_f64() * 1e3).round() / 1e3),
                snapshot: snapshot.clone(),
            };
            self.report.events.push(self.publisher.record(event));
        }
    }
}
