//! Evaluation: run a detector over annotated pictures, and score what it finds.

use crate::dataset::classes::Classes;
use crate::dataset::{CocoResult, Dataset, Skipped};
use crate::error::{Error, Result};
use crate::limits::BOX_COORDINATE_MAX;
use crate::metrics::{self, CocoMap, ScoredBox, Truth};
use crate::share::share;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// An object that a model found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Index in [`Detect::class_names`].
    pub class: usize,
    /// Confidence, 0 to 1.
    pub score: f32,
    /// Left, top, width, height in pixels of the picture as it is stored.
    pub bbox: [f32; 4],
}

/// A model that finds objects in pictures.
pub trait Detect: Send {
    /// Names of its classes.
    fn class_names(&self) -> &[String];
    /// Arithmetic that it runs in: `int8` or `fp32`.
    fn precision(&self) -> &str;
    /// Side of the square that pictures are fitted into, in pixels.
    fn input_side(&self) -> usize;
    /// Objects in the picture at `path`, after non-maximum suppression, in any order.
    ///
    /// [`ocellus::Error::BadPicture`] means that the picture is broken; any other error ends an evaluation.
    fn detect(&mut self, path: &Path) -> ocellus::Result<Vec<Detection>>;
}

/// What [`detect_shared`] found.
#[derive(Clone, Debug, Default)]
pub struct Detected {
    /// Boxes of evaluated categories.
    pub boxes: Vec<ScoredBox>,
    /// Indices in [`Dataset::images`] of broken pictures, with what is wrong.
    pub broken: Vec<(u32, Skipped)>,
    /// Time spent in the detectors, reading pictures included; that of all threads together.
    pub time: Duration,
}

/// Runs a detector over every picture of `dataset`, on `threads` threads with one each, which `make` gives; calls
/// `progress` after each picture. The result does not depend on `threads`, but for the time.
///
/// Boxes are rounded to a thousandth of a pixel: the numbers that are scored are those that a detection file
/// holds.
///
/// # Errors
/// Those of `make` and of the detector, a box that is none, or no picture can be read.
pub fn detect_shared(
    dataset: &Dataset,
    classes: &Classes,
    make: impl Fn() -> Result<Box<dyn Detect>> + Sync,
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Detected> {
    let new = || Ok((make()?, Detected::default()));
    let parts = share(&dataset.images, threads, new, |(detector, found), index, _| {
        detect_one(dataset, index, classes, detector.as_mut(), found)?;
        progress();
        Ok(())
    })?;
    let mut all = Detected::default();
    for (_, part) in parts {
        all.boxes.extend(part.boxes);
        all.broken.extend(part.broken);
        all.time += part.time;
    }
    // Stable: the boxes of one picture are together already, in the detector's order.
    all.boxes.sort_by_key(|found| found.image);
    all.broken.sort_by_key(|(image, _)| *image);
    some_picture_is_read(dataset, all)
}

/// Adds what `detector` finds in one picture.
fn detect_one(
    dataset: &Dataset,
    index: usize,
    classes: &Classes,
    detector: &mut dyn Detect,
    all: &mut Detected,
) -> Result<()> {
    let image = &dataset.images[index];
    let index = index as u32;
    let start = Instant::now();
    let found = detector.detect(&image.path);
    all.time += start.elapsed();
    match found {
        Ok(found) => {
            for detection in found {
                let Some(category) = classes.of_model(detection.class) else { continue };
                let (bbox, score) = (detection.bbox.map(to_thousandths), f64::from(detection.score));
                if !score.is_finite() || bbox.iter().any(|v| v.is_nan() || v.abs() > BOX_COORDINATE_MAX) {
                    return Err(Error::bad_data(
                        &image.path,
                        format!("the model gave a box that is none ({detection:?}); try --precision fp32"),
                    ));
                }
                all.boxes.push(ScoredBox { image: index, category, bbox, score });
            }
        }
        Err(ocellus::Error::BadPicture { path, what }) => {
            all.broken.push((index, Skipped { file: path, reason: what }));
        }
        Err(e) => return Err(e.into()),
    }
    Ok(())
}

fn some_picture_is_read(dataset: &Dataset, all: Detected) -> Result<Detected> {
    if all.broken.len() == dataset.images.len()
        && let Some((_, first)) = all.broken.first()
    {
        return Err(Error::bad_data(&first.file, format!("{}; no picture can be read", first.reason)));
    }
    Ok(all)
}

/// A coordinate as it is scored and written.
pub(crate) fn to_thousandths(v: f32) -> f64 {
    (f64::from(v) * 1000.0).round() / 1000.0
}

/// The `results` of a file as boxes of `dataset`; those of categories that are not evaluated are left out.
pub fn boxes_of(dataset: &Dataset, classes: &Classes, results: &[CocoResult]) -> Vec<ScoredBox> {
    let place = |r: &CocoResult| {
        let image = dataset.images.binary_search_by_key(&r.image_id, |image| image.id).ok()?;
        let class = dataset.categories.binary_search_by_key(&r.category_id, |c| c.id).ok()?;
        let category = classes.of_data(class)?;
        Some(ScoredBox { image: image as u32, category, bbox: r.bbox, score: r.score })
    };
    results.iter().filter_map(place).collect()
}

/// `boxes` in the form of a result file; the inverse of [`boxes_of`].
pub fn results_of<'a>(
    dataset: &'a Dataset,
    classes: &'a Classes,
    boxes: &'a [ScoredBox],
) -> impl Iterator<Item = CocoResult> + 'a {
    boxes.iter().map(|b| CocoResult {
        image_id: dataset.images[b.image as usize].id,
        category_id: classes.categories[b.category as usize].id,
        bbox: b.bbox,
        score: b.score,
    })
}

/// Scores `boxes` on the pictures of `dataset` but for those with an index in `left_out`.
pub fn score(dataset: &Dataset, classes: &Classes, boxes: &[ScoredBox], left_out: &HashSet<u32>) -> CocoMap {
    metrics::evaluate(classes.categories.len(), &truths(dataset, classes, left_out), boxes)
}

/// What is to be found on the pictures of `dataset` but for those with an index in `left_out`.
pub fn truths(dataset: &Dataset, classes: &Classes, left_out: &HashSet<u32>) -> Vec<Truth> {
    let truth = |a: &crate::dataset::Annotation| {
        let category = classes.of_data(a.category as usize)?;
        let (bbox, area, crowd) = (a.bbox, a.area, a.crowd);
        Some(Truth { image: a.image, category, bbox, area, crowd, creditable: a.id != 0 })
    };
    let annotations = dataset.annotations.iter().filter(|a| !left_out.contains(&a.image));
    annotations.filter_map(truth).collect()
}
