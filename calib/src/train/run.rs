//! A run in a folder: begun, or gone on with after it was interrupted.
//!
//! The folder holds `last.safetensors`, from which a run goes on; `best.onnx` and `last.onnx`, the models with the averaged
//! weights of the best epoch and of the last one; and `log.csv`, a row for each epoch, which `curves.html` draws.

use super::checkpoint::{self, Checkpoint};
use super::data::Data;
use super::device::Device;
use super::export;
use super::journal::Journal;
use super::loss::{Gains, Losses};
use super::plan::Plan;
use super::schedule::Schedule;
use super::source::Source;
use super::state::State;
use super::student::Student;
use super::trainer::{Epoch, Trainer};
use super::validation::Score;
use crate::error::{Error, Result};
use crate::share::cores;
use crate::write::onnx::{OnnxOptions, onnx};
use crate::write::save::save;
use ocellus::limits::INPUT_SIDE_MAX;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Names in the folder of a run.
const CHECKPOINT: &str = "last.safetensors";
const BEST: &str = "best.onnx";
const LAST: &str = "last.onnx";
const JOURNAL: &str = "log.csv";
/// How much larger the second size is at which a network is written, so that its file takes any size.
const OTHER_SIZE: usize = 64;

/// A run.
pub struct Run {
    plan: Plan,
    folder: PathBuf,
    trainer: Trainer,
    state: State,
    journal: Journal,
    source: Source,
}

impl Run {
    /// Begins a run in a folder, which is made if it is not there; `weights` is a checkpoint to begin from.
    ///
    /// # Errors
    /// The folder holds a run already, or an option does not fit the data.
    pub fn begin(plan: Plan, data: Data, folder: &Path, weights: Option<&Path>) -> Result<Self> {
        if Run::is_begun(folder) {
            let folder = folder.display();
            return Err(Error::Usage(format!(
                "{folder} holds a run already: go on with it by --resume, or give another folder"
            )));
        }
        let mut run = Run::new(plan, data, folder)?;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        if let Some(path) = weights {
            let begun = Checkpoint::read(path)?.begin_from(&mut run.state);
            begun.map_err(|what| Error::bad_data(path, what))?;
        }
        run.journal.keep(0)?;
        Ok(run)
    }

    /// Whether a folder holds a run.
    pub fn is_begun(folder: &Path) -> bool {
        folder.join(CHECKPOINT).exists()
    }

    /// The plan of the run in a folder.
    ///
    /// # Errors
    /// There is none.
    pub fn plan_of(folder: &Path) -> Result<Plan> {
        let path = folder.join(CHECKPOINT);
        let options = Checkpoint::read(&path)?.options().clone();
        serde_json::from_value(options).map_err(|e| Error::bad_data(&path, format!("its plan: {e}")))
    }

    /// Goes on with the run in a folder.
    ///
    /// # Errors
    /// There is none, or it is of another network.
    pub fn resume(data: Data, folder: &Path) -> Result<Self> {
        let path = folder.join(CHECKPOINT);
        let mut run = Run::new(Run::plan_of(folder)?, data, folder)?;
        let restored = Checkpoint::read(&path)?.restore(&mut run.state);
        restored.map_err(|what| Error::bad_data(&path, what))?;
        // A row may have been written for an epoch whose end the checkpoint did not see.
        run.journal.keep(run.state.epochs)?;
        Ok(run)
    }

    fn new(plan: Plan, data: Data, folder: &Path) -> Result<Self> {
        let names = data.train.classes.clone();
        if plan.lesson.is_none()
            && let Some(origin) = data.train.origins.iter().find(|origin| !origin.known.contains(&true))
        {
            let what = format!(
                "{}: nothing is labelled; from such pictures only `calib distill` can learn",
                origin.name
            );
            return Err(Error::Unmet(what));
        }
        let Student { source, network, plain, weights, anchors, blocks, features, teacher } =
            Student::of(&plan, &names)?;
        let own = Gains::of(plan.size, names.len());
        let hints = plan.lesson.as_ref().map_or(own.hints, |lesson| lesson.weight);
        let gains = Gains { hints, objectness: plan.objectness.unwrap_or(own.objectness), ..own };
        let validations = data.validations()?;
        let loader = plan.loader(data.train)?;
        let Plan { optimizer, epochs, batch, rate, .. } = plan;
        let schedule = Schedule { optimizer, epochs, steps: loader.batches(), batch, rate };
        let sets: Vec<&str> = validations.iter().map(|set| set.name.as_str()).collect();
        let title = format!("{} at {1}×{1}", plan.model, plan.size);
        let journal = Journal::new(folder.join(JOURNAL), (title, epochs), &sets);
        let trainer = Trainer {
            device: Device::cpu(),
            network,
            plain,
            features,
            anchors,
            gains,
            names,
            teacher,
            loader,
            augment: plan.augment.clone(),
            schedule,
            blocks,
            validations,
            threads: cores(),
        };
        let state = State::new(weights);
        Ok(Run { plan, folder: folder.to_owned(), trainer, state, journal, source })
    }

    /// The same run on this device; else it is on the CPU.
    pub fn on(mut self, device: Device) -> Self {
        self.trainer.device = device;
        self
    }

    /// What the run is to be.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether the network has int8 weights.
    pub fn is_int8(&self) -> bool {
        !self.trainer.network.grids.is_empty()
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> usize {
        self.state.epochs
    }

    /// Steps of an epoch.
    pub fn steps(&self) -> usize {
        self.trainer.schedule.steps
    }

    /// Pictures that each measurement looks at.
    pub fn measured(&self) -> usize {
        self.trainer.validations.iter().map(|set| set.pictures()).sum()
    }

    /// Number of trained numbers.
    pub fn parameters(&self) -> usize {
        self.state.weights.parameters.iter().map(|parameter| parameter.values.len()).sum()
    }

    /// Measures the averaged weights as they are; `looked` is called after each picture.
    ///
    /// # Errors
    /// No picture can be read.
    pub fn scores(&self, looked: impl Fn() + Sync) -> Result<Vec<Score>> {
        self.trainer.scores(&self.state, looked)
    }

    /// The best epoch and its worth.
    pub fn best(&self) -> Option<(usize, f64)> {
        self.state.best.map(|best| (best.epoch, best.worth))
    }

    /// The file of the best model.
    pub fn best_model(&self) -> PathBuf {
        self.folder.join(BEST)
    }

    /// Whether all epochs are done, or too many have brought nothing.
    pub fn is_over(&self) -> bool {
        let idle = self.state.epochs - self.state.best.map_or(0, |best| best.epoch);
        self.state.epochs >= self.plan.epochs || (self.plan.patience > 0 && idle >= self.plan.patience)
    }

    /// The next epoch: trained, measured and written. `stepped` is called after each step, `looked` after each picture
    /// that is measured.
    ///
    /// # Errors
    /// A picture cannot be read, a file cannot be written, or the loss is no longer a number.
    pub fn epoch(&mut self, stepped: impl FnMut(Losses), looked: impl Fn() + Sync) -> Result<Epoch> {
        let start = Instant::now();
        let losses = self.trainer.epoch(&mut self.state, stepped)?;
        let epoch = self.trainer.measure(&mut self.state, losses, looked)?;
        // The checkpoint comes last: until it is there, the epoch has not been, and is made again.
        self.write_model(epoch.best)?;
        self.journal.add(&epoch, start.elapsed())?;
        let plan = serde_json::to_value(&self.plan).map_err(|e| Error::Usage(e.to_string()))?;
        checkpoint::write(&self.folder.join(CHECKPOINT), &self.state, plan)?;
        Ok(epoch)
    }

    fn write_model(&self, best: bool) -> Result<()> {
        let model = self.trainer.model(&self.state)?;
        let size = self.plan.size;
        let larger = size + OTHER_SIZE <= INPUT_SIDE_MAX;
        let other = if larger { size + OTHER_SIZE } else { size - OTHER_SIZE };
        // A file may be made for one size.
        let other = match self.source.network(other, &self.trainer.names) {
            Ok((other, ..)) => Some(export::graph(&other, &self.state.average)?),
            Err(_) => None,
        };
        let options = OnnxOptions { metadata: &model.metadata, other_size: other.as_ref() };
        let bytes = onnx(&model.graph, &options)?;
        let (best_model, last) = (self.best_model(), self.folder.join(LAST));
        match best {
            true => save(&[(&best_model, &bytes), (&last, &bytes)]),
            false => save(&[(&last, &bytes)]),
        }
    }
}
