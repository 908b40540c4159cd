//! A run's state in one file, in the format safetensors, from which it goes on to the same numbers.

use super::state::{Best, State, visit, visit_mut};
use crate::error::{Error, Result};
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::write::save::save;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Key of what is no tensor.
const ABOUT: &str = "run";
/// Prefixes of the names of tensors.
const WEIGHTS: &str = "weights/";
const AVERAGE: &str = "average/";
const VELOCITY: &str = "velocity/";
const SQUARE: &str = "square/";

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// How the run was asked for: it goes on as it was begun.
    pub options: serde_json::Value,
    epochs: usize,
    steps: u64,
    best: Option<(usize, f64)>,
}

/// Writes the state; the file is the new one or the one before.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, state: &State, options: serde_json::Value) -> Result<()> {
    let best = state.best.map(|best| (best.epoch, best.worth));
    let about = About { options, epochs: state.epochs, steps: state.steps, best };
    let mut tensors: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: String, values: &Vec<f32>| {
        tensors.push((name, values.iter().flat_map(|x| x.to_le_bytes()).collect()));
    };
    visit(&state.weights, WEIGHTS, &mut add);
    visit(&state.average, AVERAGE, &mut add);
    for (prefix, all) in [(VELOCITY, &state.velocity), (SQUARE, &state.square)] {
        for (parameter, values) in state.weights.parameters.iter().zip(all) {
            add(format!("{prefix}{}", parameter.name), values);
        }
    }
    let broken = |what: String| Error::bad_data(path, what);
    let views = tensors.iter().map(|(name, bytes)| {
        let view = TensorView::new(Dtype::F32, vec![bytes.len() / size_of::<f32>()], bytes);
        view.map(|view| (name, view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|e| broken(e.to_string()))?;
    let about = serde_json::to_string(&about).map_err(|e| broken(e.to_string()))?;
    let about = HashMap::from([(ABOUT.to_owned(), about)]);
    let bytes = serialize(views, Some(about)).map_err(|e| broken(e.to_string()))?;
    save(&[(path, &bytes)])
}

/// A checkpoint that was read.
pub struct Checkpoint {
    bytes: Vec<u8>,
    about: About,
}

impl Checkpoint {
    /// Reads a file.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if bytes > CHECKPOINT_BYTES_MAX {
            let what = format!("{bytes} bytes; the limit of a checkpoint is {CHECKPOINT_BYTES_MAX}");
            return Err(Error::bad_data(path, what));
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let about = about(&bytes).map_err(|what| Error::bad_data(path, what))?;
        Ok(Checkpoint { bytes, about })
    }

    /// How the run was asked for.
    pub fn options(&self) -> &serde_json::Value {
        &self.about.options
    }

    /// Puts the state of a run of the same network in the place of `state`.
    ///
    /// # Errors
    /// The networks differ; the message names the first tensor in which they do.
    pub fn restore(&self, state: &mut State) -> Result<(), String> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| e.to_string())?;
        let mut failed = None;
        let mut fill = |name: String, values: &mut Vec<f32>| {
            if let Err(what) = copy(&tensors, &name, values) {
                failed.get_or_insert(what);
            }
        };
        visit_mut(&mut state.weights, WEIGHTS, &mut fill);
        visit_mut(&mut state.average, AVERAGE, &mut fill);
        for (prefix, all) in [(VELOCITY, &mut state.velocity), (SQUARE, &mut state.square)] {
            for (parameter, values) in state.weights.parameters.iter().zip(all) {
                fill(format!("{prefix}{}", parameter.name), values);
            }
        }
        state.epochs = self.about.epochs;
        state.steps = self.about.steps;
        state.best = self.about.best.map(|(epoch, worth)| Best { epoch, worth });
        failed.map_or(Ok(()), Err)
    }

    /// Starts a new run from the average of this one.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub fn begin_from(&self, state: &mut State) -> Result<(), String> {
        let fresh = State::new(state.weights.clone());
        self.restore(state)?;
        *state = State { weights: state.average.clone(), average: state.average.clone(), ..fresh };
        Ok(())
    }
}

fn about(bytes: &[u8]) -> Result<About, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("no checkpoint: {e}"))?;
    let entries = header.metadata().as_ref();
    let about = entries.and_then(|entries| entries.get(ABOUT)).ok_or("no checkpoint of calib train")?;
    serde_json::from_str(about).map_err(|e| format!("its entry {ABOUT}: {e}"))
}

fn copy(tensors: &SafeTensors, name: &str, values: &mut [f32]) -> Result<(), String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("it has no tensor {name}: another network?"))?;
    let (numbers, rest) = tensor.data().as_chunks::<4>();
    if tensor.dtype() != Dtype::F32 || numbers.len() != values.len() || !rest.is_empty() {
        return Err(format!("its tensor {name} has not {} floats: another network?", values.len()));
    }
    values.iter_mut().zip(numbers).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
    Ok(())
}
