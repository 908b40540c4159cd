//! What a run is to be; its checkpoints hold it, too.

use super::data::Data;
use super::schedule::Optimizer;
use super::teacher::Lesson;
use crate::augment::Augment;
use crate::dataset::training::TrainingSet;
use crate::error::Result;
use crate::loader::{self, Loader};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a run is to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Description of the data; with the next two, absolute and as it is read again when the run goes on.
    pub data: PathBuf,
    /// What paths in it are relative to; `None`: its folder.
    pub root: Option<PathBuf>,
    /// Whether what is faulty is left out.
    pub skip_bad: bool,
    /// Name of the architecture, or the file that training begins with.
    pub model: String,
    /// Depth and width of a built-in network, where they are not its own.
    #[serde(default)]
    pub multiples: [Option<f64>; 2],
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Epochs.
    pub epochs: usize,
    /// Pictures of a step.
    pub batch: usize,
    /// What weights, order and changes of pictures follow from.
    pub seed: u64,
    /// What is done with gradients.
    pub optimizer: Optimizer,
    /// The highest learning rate.
    pub rate: f64,
    /// What objectness weighs in the loss; `None`: as YOLOv5 weighs it for pictures of this size.
    pub objectness: Option<f64>,
    /// The run ends after so many epochs without a better one; 0: never.
    pub patience: usize,
    /// How pictures are changed.
    pub augment: Augment,
    /// Who teaches.
    pub lesson: Option<Lesson>,
    /// Whether the scales of an int8 model's codes are learned, too.
    #[serde(default)]
    pub learn_scales: bool,
}

impl Plan {
    /// Reads the data.
    ///
    /// # Errors
    /// They are faulty; the error names file and line.
    pub fn read(&self) -> Result<Data> {
        Data::read(&self.data, self.root.as_deref(), self.skip_bad)
    }

    /// What makes the batches that are trained on.
    ///
    /// # Errors
    /// There are no pictures.
    pub fn loader(&self, train: TrainingSet) -> Result<Loader> {
        let options = loader::Options {
            size: self.size,
            batch: self.batch,
            augment: Some(self.augment.clone()),
            seed: self.seed,
            ..loader::Options::default()
        };
        Loader::new(train, options)
    }
}
