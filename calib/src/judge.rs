//! Accuracy of models in memory on one annotated data set.

use crate::dataset::Dataset;
use crate::dataset::classes::{Classes, MapEntry};
use crate::error::Result;
use crate::eval::{self, Detected};
use crate::metrics::CocoMap;
use crate::runtime::{self, ModelOptions};
use ocellus::loader::Model;
use std::collections::HashSet;

/// Measures models on a data set, as `calib eval` does.
pub struct Judge<'a> {
    /// The pictures and what is on them.
    pub dataset: &'a Dataset,
    /// Classes of the data and the model.
    pub classes: Classes,
    threads: usize,
}

/// What a model is worth.
pub struct Verdict {
    /// The measures.
    pub map: CocoMap,
    /// What it has found.
    pub found: Detected,
}

impl Verdict {
    /// mAP over IoU 0.50 to 0.95; 0 where the data set has nothing to find.
    pub fn value(&self) -> f64 {
        self.map.summary.map.unwrap_or(0.0)
    }
}

impl<'a> Judge<'a> {
    /// A judge of models with the classes of `model`, on `threads` threads.
    ///
    /// # Errors
    /// The model is no detector, or shares no class with the data set.
    pub fn new(dataset: &'a Dataset, map: &[MapEntry], model: &Model, threads: usize) -> Result<Self> {
        let detector = runtime::of_model(model, &options())?;
        let classes = Classes::join(&dataset.categories, detector.class_names(), map)?;
        Ok(Judge { dataset, classes, threads })
    }

    /// Runs `model` over all pictures; calls `progress` after each.
    ///
    /// # Errors
    /// The model does not run, or no picture can be read.
    pub fn judge(&self, model: &Model, progress: impl Fn() + Sync) -> Result<Verdict> {
        let make = || Ok(runtime::of_model(model, &options())?);
        let found = eval::detect_shared(self.dataset, &self.classes, make, self.threads, progress)?;
        let broken: HashSet<u32> = found.broken.iter().map(|(image, _)| *image).collect();
        let map = eval::score(self.dataset, &self.classes, &found.boxes, &broken);
        Ok(Verdict { map, found })
    }
}

fn options() -> ModelOptions {
    ModelOptions { threads: Some(1), ..ModelOptions::default() }
}
