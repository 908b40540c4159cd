//! A run: epochs of steps, each followed by a measurement.

use super::adamw;
use super::device::Device;
use super::executor::Pass;
use super::export;
use super::features::Features;
use super::imitation::compare;
use super::loss::{Anchors, Gains, Losses, loss};
use super::network::Network;
use super::repopt::{self, Block};
use super::schedule::{Optimizer, Schedule};
use super::sgd;
use super::state::{Best, State};
use super::teacher::Teacher;
use super::validation::{Score, Validation, mean};
use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::loader::{Batch, Loader};
use ocellus::loader::Model;

/// The last part of a run sees pictures one by one instead of mosaics, as they will be seen.
const CLOSING_PART: usize = 10;

/// What stays the same during a run.
pub struct Trainer {
    /// Where it is trained.
    pub device: Device,
    /// What is trained.
    pub network: Network,
    /// What is kept of it: the same without what only helps to train it, which comes last.
    pub plain: Network,
    /// Whose feature maps it is to have.
    pub features: Option<Features>,
    /// Names of the classes.
    pub names: Vec<String>,
    /// Anchors of each output.
    pub anchors: Vec<Anchors>,
    /// Who says what labels do not.
    pub teacher: Option<Teacher>,
    /// Where the batches come from.
    pub loader: Loader,
    /// How pictures are changed in most epochs.
    pub augment: Augment,
    /// The rates.
    pub schedule: Schedule,
    /// What learns as branches do.
    pub blocks: Vec<Block>,
    /// Weights of the parts of the loss.
    pub gains: Gains,
    /// What networks are measured on.
    pub validations: Vec<Validation>,
    /// Threads of a measurement.
    pub threads: usize,
}

/// What an epoch has brought.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub number: usize,
    /// Means of the losses.
    pub losses: Losses,
    /// Learning rate at its end.
    pub rate: f32,
    /// Worth of the averaged weights on each data set.
    pub scores: Vec<Score>,
    /// Whether no earlier epoch was better.
    pub best: bool,
}

impl Epoch {
    /// The mean mAP50-95 over the data sets that choose.
    pub fn worth(&self) -> f64 {
        mean(&self.scores)
    }
}

impl Trainer {
    /// One step with a batch; returns the losses.
    ///
    /// # Errors
    /// The teacher cannot run.
    pub fn step(&self, state: &mut State, batch: &Batch, step: usize) -> Result<Losses> {
        let hints = self.teacher.as_ref().map(|teacher| teacher.hints(batch)).transpose()?;
        let pass = Pass::new(&self.network, &state.weights, &batch.images, &self.device);
        let statistics = pass.statistics();
        let mut maps = pass.maps();
        let adapted = maps.split_off(self.anchors.len());
        let (mut losses, mut gradients) = loss(&maps, batch, hints.as_ref(), &self.anchors, self.gains);
        if let (Some(features), Some(adapted)) = (&self.features, adapted.first()) {
            let (own, weight) = (features.look(batch)?, features.taps().weight);
            let anchors = features.anchors(&self.plain.graph, &self.anchors);
            let (value, mut gradient) = compare(features.taps().kind, adapted, &own, batch, anchors);
            gradient.iter_mut().for_each(|g| *g *= weight as f32);
            losses.features = weight * value;
            gradients.push(gradient);
        }
        let mut gradients = pass.backward(gradients);
        repopt::multiply(&self.blocks, &mut gradients);
        let rates = self.schedule.rates(state.epochs, step);
        state.steps += 1;
        let State { weights, velocity, square, steps, .. } = state;
        match self.schedule.optimizer {
            Optimizer::Sgd | Optimizer::RepOpt => sgd::step(weights, velocity, &gradients, rates),
            Optimizer::AdamW => adamw::step(weights, velocity, square, &gradients, rates, *steps),
        }
        sgd::follow(&self.network, &mut state.weights, &statistics);
        sgd::average(&mut state.average, &state.weights, state.steps);
        Ok(losses)
    }

    /// The next epoch, without a measurement; `progress` is told the losses of each step. Returns their means.
    ///
    /// # Errors
    /// A picture can no longer be read, or the loss is no longer a number.
    pub fn epoch(&self, state: &mut State, mut progress: impl FnMut(Losses)) -> Result<Losses> {
        let epoch = state.epochs;
        let closing = self.schedule.epochs - self.schedule.epochs / CLOSING_PART;
        let augment = match epoch >= closing {
            true => Augment { mosaic: 0.0, mixup: 0.0, ..self.augment.clone() },
            false => self.augment.clone(),
        };
        let mut sum = Losses::default();
        for (step, batch) in self.loader.epoch_with(epoch as u64, augment)?.enumerate() {
            let losses = self.step(state, &batch?, step)?;
            if !losses.sum().is_finite() {
                return Err(Error::Unmet(format!(
                    "epoch {}, step {}: the loss is no longer a number; try a lower --rate",
                    epoch + 1,
                    step + 1
                )));
            }
            sum += losses;
            progress(losses);
        }
        state.epochs += 1;
        Ok(sum.over(self.loader.batches() as f64))
    }

    /// The network with the averaged weights.
    ///
    /// # Errors
    /// None but those of the graph's builder.
    pub fn model(&self, state: &State) -> Result<Model> {
        export::model(&self.plain, &state.average, &self.names, &self.anchors)
    }

    /// How good the averaged weights are on each data set.
    ///
    /// # Errors
    /// No picture can be read.
    pub fn scores(&self, state: &State, progress: impl Fn() + Sync) -> Result<Vec<Score>> {
        let model = self.model(state)?;
        self.validations.iter().map(|set| set.score(&model, self.threads, &progress)).collect()
    }

    /// Measures the averaged weights, and notes in `state` whether they are the best so far.
    ///
    /// # Errors
    /// No picture can be read.
    pub fn measure(&self, state: &mut State, losses: Losses, progress: impl Fn() + Sync) -> Result<Epoch> {
        let scores = self.scores(state, progress)?;
        let number = state.epochs;
        let rate = self.schedule.rates(number - 1, self.schedule.steps).weights;
        let mut epoch = Epoch { number, losses, rate, scores, best: false };
        epoch.best = state.best.is_none_or(|best| epoch.worth() > best.worth);
        if epoch.best {
            state.best = Some(Best { epoch: number, worth: epoch.worth() });
        }
        Ok(epoch)
    }
}
