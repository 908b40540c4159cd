//! The configuration of a daemon: one TOML file.
//!
//! Types here are what the file may say; each value is checked while it is read, so that a mistake is named with its
//! line. What the words mean for a model (names of classes) is checked when the model is there.

mod edit;
mod outward;
mod parse;
mod values;

pub use edit::Change;
pub use outward::{BrokerUrl, Http, Mqtt, Webhook};
pub(super) use parse::check;
pub use parse::{load, nearest, parse};
pub use values::{Corners, Ends, Megabytes, Motion, PixelFormat, Rate, Share, Size};

use super::{Place, RawFormat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole file. What is absent has its default, or comes from the command line.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model: .onnx, or ncnn's .param with the .bin beside it.
    pub model: Option<PathBuf>,
    /// Class names, one per line, instead of the model's.
    pub names: Option<PathBuf>,
    /// Network input: `320`, or `"320x256"` (width, height).
    pub size: Option<Size>,
    /// Threads that share one inference.
    pub threads: Option<usize>,
    /// Least score of a detection where the camera states none.
    pub score: Option<Share>,
    /// Boxes of a class that overlap more than this are one object.
    pub iou: Option<Share>,
    /// Most detections of a frame.
    pub max_det: Option<usize>,
    /// What standard output gets.
    pub print: Option<Print>,
    /// Pictures of events.
    pub snapshots: Option<Snapshots>,
    /// The web page.
    pub http: Option<Http>,
    /// The broker that gets events and states.
    pub mqtt: Option<Mqtt>,
    /// Addresses to which events are posted.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
    /// The folder in which events wait for broker and webhooks; without it they wait in memory.
    pub spool: Option<PathBuf>,
    /// The cameras.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<Camera>,
}

/// What standard output gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Print {
    /// A line for each frame, with its events.
    #[default]
    Frames,
    /// A line for each event.
    Events,
    /// Nothing.
    Nothing,
}

/// Pictures of events.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshots {
    /// The folder; it is made where it is absent.
    pub folder: PathBuf,
    /// Most megabytes (10⁶ bytes) that the pictures take together; the oldest ones go.
    #[serde(default)]
    pub max_mb: Megabytes,
}

/// A camera.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Its name in the results; without one, that of the source.
    pub name: Option<String>,
    /// Where frames come from.
    pub source: Place,
    /// What raw frames are.
    pub raw: Option<RawFormat>,
    /// A file or folder begins anew at its end.
    #[serde(default, rename = "loop")]
    pub endless: bool,
    /// Pace of a file or folder, or the rate that a device is asked for.
    pub fps: Option<Rate>,
    /// Pixel format that a device is asked for; without one, what suits it.
    pub format: Option<PixelFormat>,
    /// Size of frames that a device is asked for; without one, the nearest to 640×480 that it has.
    pub resolution: Option<Size>,
    /// Every frame is looked at, and the source waits.
    #[serde(default)]
    pub all_frames: bool,
    /// Most frames in a second that are looked at.
    pub max_fps: Option<Rate>,
    /// The network looks only where something moves.
    pub motion: Option<Motion>,
    /// JPEG frames are decoded at a half, a quarter or an eighth of their size, as far as the network loses nothing.
    #[serde(default)]
    pub shrink: bool,
    /// Least score of a detection.
    pub score: Option<Share>,
    /// Least score by class.
    #[serde(default)]
    pub scores: BTreeMap<String, Share>,
    /// Classes that are wanted; empty: all.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Least area of a box, in pictures.
    pub min_area: Option<Share>,
    /// Areas in which objects are counted.
    #[serde(default, rename = "zone")]
    pub zones: Vec<Zone>,
    /// Lines whose crossings are counted.
    #[serde(default, rename = "line")]
    pub lines: Vec<Line>,
}

/// An area in which objects are counted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its corners, from 0 to 1 in both directions of the picture.
    pub points: Corners,
    /// Classes that count; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

/// A line whose crossings are counted.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its ends, from 0 to 1 in both directions of the picture.
    pub points: Ends,
    /// Classes that count; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl Camera {
    /// The name in the results.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.source.name())
    }

    /// Whether every frame is looked at: that was asked for, or the source is stored and has no pace.
    pub fn sees_all(&self) -> bool {
        self.all_frames || self.source.is_stored() && self.fps.is_none()
    }

    /// The parts of this camera that cannot change while the daemon runs, with the other parts of `rules`.
    pub(super) fn with_rules_of(&self, rules: &Camera) -> Camera {
        let Camera { source, raw, endless, fps, format, resolution, all_frames, .. } = self.clone();
        Camera { source, raw, endless, fps, format, resolution, all_frames, ..rules.clone() }
    }

    /// Whether the parts that cannot change while the daemon runs are those of `other`.
    pub fn has_same_source(&self, other: &Camera) -> bool {
        let fixed = |camera: &Camera| {
            camera.with_rules_of(&Camera { name: Some(camera.label()), ..Camera::default() })
        };
        fixed(self) == fixed(other)
    }
}

#[cfg(test)]
mod tests;
