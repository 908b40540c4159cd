//! What a network's results lose by int8, as a whole and layer by layer.

use super::Calibration;
use super::recipe::Recipe;
use crate::error::Result;
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, weighted};
use crate::share::share;
use crate::table::skip;
use ocellus::graph::{Graph, ValueId};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;

/// Power of a signal and of what was added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noise {
    signal: f64,
    noise: f64,
    dot: f64,
    other: f64,
}

impl Noise {
    fn add(&mut self, a: &[f32], b: &[f32]) {
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            self.signal += a * a;
            self.noise += (a - b) * (a - b);
            self.dot += a * b;
            self.other += b * b;
        }
    }

    fn join(&mut self, other: &Noise) {
        self.signal += other.signal;
        self.noise += other.noise;
        self.dot += other.dot;
        self.other += other.other;
    }

    /// Noise in parts of the signal.
    pub fn ratio(&self) -> f64 {
        self.noise / self.signal.max(f64::MIN_POSITIVE)
    }

    /// Ratio of signal to noise in decibels; `None` where there is no noise or no signal.
    pub fn db(&self) -> Option<f64> {
        (self.noise > 0.0 && self.signal > 0.0).then(|| 10.0 * (self.signal / self.noise).log10())
    }

    /// Cosine of the angle between the two.
    pub fn cosine(&self) -> Option<f64> {
        let length = (self.signal * self.other).sqrt();
        (length > 0.0).then(|| self.dot / length)
    }
}

/// Noise of tensors of `changed` (each beside its twin in `float`) over `pictures`. The networks are seen by `float`'s
/// preprocessing; pictures that cannot be read are left out.
///
/// # Errors
/// The runtime fails.
pub fn noise(
    float: &Network,
    changed: &Graph,
    tensors: [&[ValueId]; 2],
    pictures: &[PathBuf],
    threads: usize,
) -> Result<Vec<Noise>> {
    let make = || {
        let a = Observer::new(float.graph(), &float.preprocess, tensors[0])?;
        let b = Observer::new(changed, &float.preprocess, tensors[1])?;
        Ok((a, b, vec![Noise::default(); tensors[0].len()]))
    };
    let parts = share(pictures, threads, make, |(a, b, sums), _, picture| {
        if let Err(error) = a.look(picture).and_then(|()| b.look(picture)) {
            return skip(error, picture).map(drop);
        }
        for (i, sum) in sums.iter_mut().enumerate() {
            a.numbers(i).zip(b.numbers(i)).for_each(|(a, b)| sum.add(a, b));
        }
        Ok(())
    })?;
    let mut all = vec![Noise::default(); tensors[0].len()];
    for (_, _, part) in parts {
        all.iter_mut().zip(&part).for_each(|(all, part)| all.join(part));
    }
    Ok(all)
}

/// Noise of the network's outputs under `recipe`, the mean over the outputs in parts of their signal.
///
/// # Errors
/// The runtime fails.
pub fn of_outputs(network: &Network, recipe: &Recipe, pictures: &[PathBuf], threads: usize) -> Result<f64> {
    let graph = recipe.apply(network.graph())?;
    let tensors = [&network.graph().outputs[..], &graph.outputs[..]];
    let noise = noise(network, &graph, tensors, pictures, threads)?;
    Ok(noise.iter().map(Noise::ratio).sum::<f64>() / noise.len().max(1) as f64)
}

/// What a layer costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// Place of its node.
    #[serde(skip)]
    pub at: usize,
    /// Its name.
    pub name: String,
    /// Multiply-accumulates of one picture.
    pub macs: u64,
    /// The layer's own outputs in the int8 network against the float network: signal to noise in decibels, with
    /// everything before it in int8 too.
    pub sqnr_db: Option<f64>,
    /// Cosine of the same.
    pub cosine: Option<f64>,
    /// The network's outputs with this layer alone in int8, in decibels.
    pub alone_db: Option<f64>,
    /// Share (0 to 1) of its input's numbers that its grid clips.
    pub clipped: f64,
}

/// The cost of every int8 layer of `whole`, in the order of the graph; `progress` is called after each.
///
/// # Errors
/// The runtime fails.
pub fn layers(
    calibration: &Calibration,
    whole: &Recipe,
    pictures: &[PathBuf],
    threads: usize,
    progress: impl Fn(),
) -> Result<Vec<LayerCost>> {
    let network = &calibration.network;
    let graph = network.graph();
    let int8_layers = || weighted(graph).filter(|layer| whole.layers.contains_key(&layer.at));
    let outputs: Vec<ValueId> = int8_layers().map(|layer| layer.node.output).collect();
    let int8 = whole.apply(graph)?;
    let twins = whole.twins(graph, &int8, &outputs);
    let own = noise(network, &int8, [&outputs, &twins], pictures, threads)?;
    let every: HashSet<usize> = weighted(graph).map(|layer| layer.at).collect();
    let mut costs = Vec::new();
    for (layer, own) in int8_layers().zip(own) {
        let mut others = every.clone();
        others.remove(&layer.at);
        let alone = of_outputs(network, &calibration.recipe_of(whole, &others), pictures, threads)?;
        let grid = whole.grids[layer.node.inputs[0].index()];
        let histogram = calibration.histograms.get(&layer.node.inputs[0]);
        let clipped = grid.zip(histogram).map_or(0.0, |(grid, histogram)| {
            let (low, high) = grid.range();
            histogram.share_outside(low, high)
        });
        costs.push(LayerCost {
            at: layer.at,
            name: layer.node.name.clone(),
            macs: layer.macs(graph),
            sqnr_db: own.db(),
            cosine: own.cosine(),
            alone_db: (alone > 0.0).then(|| -10.0 * alone.log10()),
            clipped,
        });
        progress();
    }
    Ok(costs)
}
