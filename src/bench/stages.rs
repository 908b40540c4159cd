//! Where the time of a whole picture goes, from the file to the detections.

use super::statistics::ms;
use crate::error::{Error, Result};
use crate::{Detector, DetectorOptions, image};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Milliseconds per picture, the mean of all.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stages {
    /// Number of pictures.
    pub pictures: usize,
    /// Loading the model: once, not per picture.
    pub load_ms: f64,
    /// Reading and decoding the file.
    pub decode_ms: f64,
    /// Resize, padding, normalization, quantization.
    pub preprocess_ms: f64,
    /// The network.
    pub inference_ms: f64,
    /// Decoding the heads, suppression.
    pub postprocess_ms: f64,
}

/// Detects objects in all pictures, each twice: the second time, as in a video, all is set up for its size.
///
/// # Errors
/// The model does not load or is no detector, or a picture cannot be read.
pub fn stages(model: &Path, options: &DetectorOptions, pictures: &[PathBuf]) -> Result<Stages> {
    if pictures.is_empty() {
        return Err(Error::Usage("no pictures to measure the stages with".into()));
    }
    let start = Instant::now();
    let mut detector = Detector::open(model, options)?;
    let mut sum = Stages { load_ms: ms(start.elapsed()), ..Stages::default() };
    for picture in pictures {
        let frame = image::decode(picture)?;
        detector.detect(&frame)?;
        let start = Instant::now();
        let frame = image::decode(picture)?;
        sum.decode_ms += ms(start.elapsed());
        let (_, timing) = detector.detect(&frame)?;
        sum.preprocess_ms += ms(timing.preprocess);
        sum.inference_ms += ms(timing.inference);
        sum.postprocess_ms += ms(timing.postprocess);
        sum.pictures += 1;
    }
    let mean = |sum_ms: f64| sum_ms / sum.pictures as f64;
    Ok(Stages {
        decode_ms: mean(sum.decode_ms),
        preprocess_ms: mean(sum.preprocess_ms),
        inference_ms: mean(sum.inference_ms),
        postprocess_ms: mean(sum.postprocess_ms),
        ..sum
    })
}

impl Stages {
    /// Stages of a picture by name, with their milliseconds, in their order.
    pub fn per_picture(&self) -> [(&'static str, f64); 4] {
        [
            ("decode", self.decode_ms),
            ("preprocess", self.preprocess_ms),
            ("inference", self.inference_ms),
            ("postprocess", self.postprocess_ms),
        ]
    }
}
