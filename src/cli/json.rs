//! Parts of a line of JSON that several commands print.

use ocellus::Timing;
use ocellus::detect::{Detection, Names};
use serde::Serialize;
use std::borrow::Cow;
use std::time::Duration;

/// A detection.
#[derive(Serialize)]
pub(super) struct Object<'a> {
    class: Cow<'a, str>,
    class_id: usize,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
}

/// All detections of a picture.
pub(super) fn objects<'a>(names: &'a Names, found: &[Detection]) -> Vec<Object<'a>> {
    let object = |d: &Detection| Object {
        class: names.get(d.class_id),
        class_id: d.class_id,
        score: d.score,
        bbox: d.bbox,
    };
    found.iter().map(object).collect()
}

/// Where the time of a picture went.
#[derive(Serialize)]
pub(super) struct Milliseconds {
    decode: f64,
    preprocess: f64,
    inference: f64,
    postprocess: f64,
}

impl Milliseconds {
    /// The stages of a picture.
    pub fn new(decode: Duration, timing: Timing) -> Self {
        Milliseconds {
            decode: ms(decode),
            preprocess: ms(timing.preprocess),
            inference: ms(timing.inference),
            postprocess: ms(timing.postprocess),
        }
    }
}

/// Milliseconds with three decimals.
pub(super) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
