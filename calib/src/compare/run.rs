//! Both models over the pictures.

use super::order::InOrder;
use super::{BySize, Common, Side, Sums, match_boxes};
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::eval::{Detect, Detection};
use crate::runtime::ModelOptions;
use crate::runtime::activations::Observer;
use crate::share::share;
use crate::table::skip;
use ocellus::graph::ValueId;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How models are compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// Boxes below this score do not count.
    pub score_min: f32,
    /// Boxes of a class that overlap by this are the same object.
    pub iou_min: f32,
    /// Worker threads.
    pub threads: usize,
    /// Of how many pictures the boxes are kept: those with most changes.
    pub kept: usize,
}

/// A picture with the boxes that only one model found.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The picture.
    pub picture: PathBuf,
    /// Found by the first model only; class names are the first model's.
    pub lost: Vec<Detection>,
    /// Found by the second model only.
    pub gained: Vec<Detection>,
}

impl Changed {
    fn count(&self) -> usize {
        self.lost.len() + self.gained.len()
    }
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// One per common value.
    pub sums: Vec<Sums>,
    /// Whether the second model has codes for it.
    pub has_codes: Vec<bool>,
    /// Boxes; of no meaning where `not_detectors` says so.
    pub boxes: BySize,
    /// Number of boxes found by both, lost and gained, per picture.
    pub pictures: Vec<(PathBuf, [usize; 3])>,
    /// The pictures with most lost and gained boxes, at most [`Options::kept`], most first.
    pub changed: Vec<Changed>,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
    /// Names of the classes: the first model's, then those that only the second has.
    pub classes: Vec<String>,
    /// Why no boxes were compared.
    pub not_detectors: Option<String>,
}

/// One thread's engines.
struct Worker {
    observers: [Observer; 2],
    detectors: Option<[Box<dyn Detect>; 2]>,
}

/// What one picture gives.
struct Seen {
    sums: Vec<Sums>,
    boxes: Option<[Vec<Detection>; 2]>,
}

/// Runs both models over the pictures; calls `progress` after each. The result does not depend on the number of
/// threads.
///
/// # Errors
/// No picture can be read, or the runtime fails.
pub fn run(
    sides: [&Side; 2],
    values: &[Common],
    pictures: &[PathBuf],
    options: &Options,
    progress: impl Fn() + Sync,
) -> Result<Compared> {
    let ids: [Vec<ValueId>; 2] =
        [values.iter().map(|one| one.a).collect(), values.iter().map(|one| one.b).collect()];
    let inner = sides[1].inner(&ids[1])?;
    let probe = detectors(sides, options)?;
    let mut all = Compared { sums: vec![Sums::default(); values.len()], ..Compared::default() };
    all.has_codes = inner.iter().map(|(low, high)| low.is_finite() || high.is_finite()).collect();
    let mut classes_of_b = Vec::new();
    match &probe {
        Ok([a, b]) => (all.classes, classes_of_b) = join(a.class_names(), b.class_names()),
        Err(reason) => all.not_detectors = Some(reason.clone()),
    }
    let with_boxes = probe.is_ok();
    drop(probe);
    let make = || {
        let [a, b] = [0, 1].map(|i| sides[i].observer(&ids[i]));
        let detectors = if with_boxes { detectors(sides, options)?.ok() } else { None };
        Ok(Worker { observers: [a?, b?], detectors })
    };
    let order = Mutex::new(InOrder::new(|at: usize, seen| all.add(&pictures[at], seen, options)));
    share(pictures, options.threads, make, |worker, at, picture| {
        let seen = match worker.look(picture, values, &inner, &classes_of_b) {
            Ok(seen) => Ok(seen),
            Err(error) => Err(skip(error, picture)?),
        };
        order.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).put(at, seen);
        progress();
        Ok(())
    })?;
    drop(order);
    match all.skipped.first() {
        Some(first) if all.skipped.len() == pictures.len() => {
            Err(Error::bad_data(&first.file, format!("{}; no picture can be read", first.reason)))
        }
        _ => Ok(all),
    }
}

/// A detector of each side, or why there is none.
fn detectors(
    sides: [&Side; 2],
    options: &Options,
) -> Result<std::result::Result<[Box<dyn Detect>; 2], String>> {
    // Suppression as the runtime has it by default; each picture is one thread's.
    let iou_max = ocellus::DetectorOptions::default().iou;
    let of =
        ModelOptions { score_min: options.score_min, iou_max, threads: Some(1), ..ModelOptions::default() };
    let mut both = Vec::new();
    for side in sides {
        match side.detector(&of)? {
            Ok(detector) => both.push(detector),
            Err(reason) => return Ok(Err(format!("{}: {reason}", side.path.display()))),
        }
    }
    Ok(both.try_into().map_err(|_| "no detectors".to_owned()))
}

/// All class names, and the place among them of each of the second model's.
fn join(a: &[String], b: &[String]) -> (Vec<String>, Vec<usize>) {
    let mut names = a.to_vec();
    let place = |name: &String| {
        let known = names.iter().position(|other| other == name);
        known.unwrap_or_else(|| {
            names.push(name.clone());
            names.len() - 1
        })
    };
    let places = b.iter().map(place).collect();
    (names, places)
}

impl Worker {
    fn look(
        &mut self,
        picture: &Path,
        values: &[Common],
        inner: &[(f32, f32)],
        classes_of_b: &[usize],
    ) -> ocellus::Result<Seen> {
        let [a, b] = &mut self.observers;
        a.look(picture)?;
        b.look(picture)?;
        let mut sums = vec![Sums::default(); values.len()];
        for (i, sums) in sums.iter_mut().enumerate() {
            let numbers: usize = values[i].shape.iter().product();
            for pixel in 0..numbers.checked_div(a.channels(i)).unwrap_or(0) {
                sums.add(a.pixel(i, pixel), b.pixel(i, pixel), inner[i]);
            }
        }
        let Some([a, b]) = &mut self.detectors else { return Ok(Seen { sums, boxes: None }) };
        let mut of_b = b.detect(picture)?;
        of_b.iter_mut().for_each(|found| found.class = classes_of_b[found.class]);
        Ok(Seen { sums, boxes: Some([a.detect(picture)?, of_b]) })
    }
}

impl Compared {
    fn add(&mut self, picture: &Path, seen: Result<Seen, Skipped>, options: &Options) {
        let Seen { sums, boxes } = match seen {
            Ok(seen) => seen,
            Err(skipped) => return self.skipped.push(skipped),
        };
        self.sums.iter_mut().zip(&sums).for_each(|(all, one)| all.merge(one));
        let [a, b] = boxes.unwrap_or_default();
        let matching = match_boxes(&a, &b, f64::from(options.iou_min));
        self.boxes.add(&a, &b, &matching);
        let counts = [matching.both.len(), matching.lost.len(), matching.gained.len()];
        self.pictures.push((picture.to_owned(), counts));
        let changed = Changed {
            picture: picture.to_owned(),
            lost: matching.lost.iter().map(|&i| a[i]).collect(),
            gained: matching.gained.iter().map(|&j| b[j]).collect(),
        };
        if changed.count() > 0 {
            // Behind those with as many: of equal ones the first are kept.
            let at = self.changed.partition_point(|other| other.count() >= changed.count());
            self.changed.insert(at, changed);
            self.changed.truncate(options.kept);
        }
    }
}
