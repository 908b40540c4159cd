//! What became of a frame, as programs read it.

use super::Event;
use crate::detector::Timing;
use crate::watch::Stamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The result of a frame: one line of JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Name of the camera.
    pub camera: Arc<str>,
    /// Number of the frame in its source, from 1; 0 before the first one.
    pub frame: u64,
    /// When it was captured.
    pub time: Stamp,
    /// From then until the answer.
    pub latency_ms: f64,
    /// The file, where each frame is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Pixels of a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// The motion gate saw a still scene: the network did not look, and what was found is that of the last look.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub still: bool,
    /// What was found, best first.
    pub detections: Vec<Seen>,
    /// Objects in each zone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneCount>,
    /// Objects that have crossed each line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LineCount>,
    /// What has happened with this frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Arc<Event>>,
    /// Where the time went.
    pub ms: Milliseconds,
}

impl Report {
    /// How many objects of each class there are.
    pub fn by_class(&self) -> BTreeMap<&str, u64> {
        let mut classes = BTreeMap::new();
        for seen in &self.detections {
            *classes.entry(&*seen.class).or_default() += 1;
        }
        classes
    }
}

/// An object in a frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seen {
    /// Name of its class.
    pub class: Arc<str>,
    /// Class, from 0.
    pub class_id: usize,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// `[x1, y1, x2, y2]` in pixels of the frame.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Number of the object, the same from frame to frame; none until it has been seen a few times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<u64>,
}

/// How many objects a zone has and had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZoneCount {
    /// Name of the zone.
    pub name: Arc<str>,
    /// Objects in it.
    pub inside: u64,
    /// Objects that came in so far.
    pub entered: u64,
    /// Objects that went out so far.
    pub left: u64,
}

/// How many objects have crossed a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LineCount {
    /// Name of the line.
    pub name: Arc<str>,
    /// From its left to its right, as seen from its first point to its second.
    pub forward: u64,
    /// The other way.
    pub backward: u64,
}

/// Where the time of a frame went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Milliseconds {
    /// Pixels as RGB.
    pub decode: f64,
    /// Resize, padding, quantization.
    pub preprocess: f64,
    /// The network.
    pub inference: f64,
    /// Boxes, tracks, zones.
    pub postprocess: f64,
}

impl Milliseconds {
    /// The stages of a frame.
    pub fn new(decode: Duration, timing: Timing) -> Self {
        Milliseconds {
            decode: milliseconds(decode),
            preprocess: milliseconds(timing.preprocess),
            inference: milliseconds(timing.inference),
            postprocess: milliseconds(timing.postprocess),
        }
    }
}

/// Milliseconds with three decimals.
pub(in crate::watch) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
