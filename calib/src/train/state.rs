//! Everything that a run is made of between two epochs.

use super::network::{Kind, Parameter, Running, Weights};

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Its number, from 1.
    pub epoch: usize,
    /// Its worth.
    pub worth: f64,
}

/// Where a run stands: with this, the data and the options its end is determined.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The weights that are trained.
    pub weights: Weights,
    /// Their moving average: what is measured and kept.
    pub average: Weights,
    /// Last step of each parameter; with AdamW, mean gradients.
    pub velocity: Vec<Vec<f32>>,
    /// With AdamW, mean squares of gradients; else zeros.
    pub square: Vec<Vec<f32>>,
    /// Epochs that are done.
    pub epochs: usize,
    /// Steps that are done.
    pub steps: u64,
    /// The best epoch.
    pub best: Option<Best>,
}

impl State {
    /// The start of a run.
    pub fn new(weights: Weights) -> Self {
        let zeros: Vec<_> = weights.parameters.iter().map(|p| vec![0.0; p.values.len()]).collect();
        State {
            average: weights.clone(),
            weights,
            velocity: zeros.clone(),
            square: zeros,
            epochs: 0,
            steps: 0,
            best: None,
        }
    }
}

/// Calls `visit` with a name for each vector of `weights`.
pub(super) fn visit<'a>(weights: &'a Weights, prefix: &str, mut visit: impl FnMut(String, &'a Vec<f32>)) {
    for Parameter { name, values, .. } in &weights.parameters {
        visit(format!("{prefix}{name}"), values);
    }
    for (running, name) in weights.running.iter().zip(norm_names(weights)) {
        visit(format!("{prefix}{name}.mean"), &running.mean);
        visit(format!("{prefix}{name}.variance"), &running.variance);
    }
}

/// As [`visit`], to change them.
pub(super) fn visit_mut(weights: &mut Weights, prefix: &str, mut visit: impl FnMut(String, &mut Vec<f32>)) {
    let names = norm_names(weights);
    for Parameter { name, values, .. } in &mut weights.parameters {
        visit(format!("{prefix}{name}"), values);
    }
    for (Running { mean, variance }, name) in weights.running.iter_mut().zip(names) {
        visit(format!("{prefix}{name}.mean"), mean);
        visit(format!("{prefix}{name}.variance"), variance);
    }
}

/// Names of the batch normalizations: those of their scales.
fn norm_names(weights: &Weights) -> Vec<String> {
    let scales = weights.parameters.iter().filter(|p| p.kind == Kind::Scale);
    scales.map(|p| p.name.replace(".scale", ".running")).collect()
}
