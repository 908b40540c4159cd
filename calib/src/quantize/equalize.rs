//! Cross-layer equalization: channels of a tensor that reach less far than others get more of its codes.
//!
//! A channel may be multiplied by any positive factor if whoever reads it divides its weights by it: the network
//! computes the same (Nagel, van Baalen, Blankevoort, Welling: Data-free quantization through weight equalization
//! and bias correction, 2019). Here a channel is followed through everything that only moves channels (shuffles,
//! slices, concats, pooling, resizing) to all its readers, so that the stages of a ShuffleNet are equalized as one.

use super::patches::Sample;
use super::recipe::{Layer8, Recipe};
use crate::runtime::network::{Weighted, weighted};
use ocellus::Result;
use ocellus::graph::{Graph, Node, Op, Unary, ValueId};
use ocellus::tensor::{Data, Tensor};
use std::collections::BTreeMap;

/// Factors keep within this and its inverse: weights of a row must not differ by more than their codes can.
const FACTOR_MAX: f64 = 16.0;

/// `graph` with its channels equalized, by how far they reach in the first of `samples`; the samples become those of
/// the new graph.
///
/// # Errors
/// None but those of the graph's builder.
pub fn equalize(graph: &Graph, samples: &mut [Sample]) -> Result<Graph> {
    let channels = Channels::of(graph);
    let Some(first) = samples.first() else { return Ok(graph.clone()) };
    let factors = factors(graph, &channels, first);
    let mut recipe = Recipe { grids: vec![None; graph.values().len()], layers: BTreeMap::new() };
    for layer in weighted(graph) {
        let (Some(reads), Some(makes)) = (channels.of_layer(&layer, 0), channels.of_layer(&layer, 1)) else {
            continue;
        };
        recipe.layers.insert(layer.at, scaled(graph, &layer, reads, makes, &factors));
        for patches in samples.iter_mut().filter_map(|sample| sample.get_mut(&layer.at)) {
            let taps = (patches.width / reads.len().max(1)).max(1);
            for row in patches.numbers.chunks_mut(patches.width.max(1)) {
                row.iter_mut().enumerate().for_each(|(i, x)| *x *= factors[reads[i / taps]] as f32);
            }
        }
    }
    recipe.apply(graph)
}

/// Which channel each channel of each value is, and which channels may be scaled.
struct Channels {
    /// Per value; empty where it is no image.
    ids: Vec<Vec<usize>>,
    /// Per channel.
    free: Vec<bool>,
}

impl Channels {
    fn of(graph: &Graph) -> Self {
        let mut channels = Channels { ids: vec![Vec::new(); graph.values().len()], free: Vec::new() };
        for &id in &graph.inputs {
            channels.add(graph, id, false);
        }
        for node in &graph.nodes {
            match channels.passed_on(node) {
                Some(ids) if ids.len() == channel_count(graph, node.output) => {
                    channels.ids[node.output.index()] = ids;
                }
                _ => {
                    let conv = matches!(node.op, Op::Conv { activation, .. } if homogeneous(activation));
                    channels.add(graph, node.output, conv && graph.constant(node.inputs[0]).is_none());
                    // A convolution divides its weights; anything else has to see what the file said.
                    let read =
                        if matches!(node.op, Op::Conv { .. }) { &node.inputs[1..] } else { &node.inputs[..] };
                    read.iter().for_each(|&id| channels.fix(id));
                }
            }
        }
        graph.outputs.iter().for_each(|&id| channels.fix(id));
        channels
    }

    fn add(&mut self, graph: &Graph, id: ValueId, free: bool) {
        let first = self.free.len();
        let count = channel_count(graph, id);
        self.free.resize(first + count, free);
        self.ids[id.index()] = (first..first + count).collect();
    }

    fn fix(&mut self, id: ValueId) {
        for &channel in &self.ids[id.index()] {
            self.free[channel] = false;
        }
    }

    /// The channels of a node's result, where they are those of its operands.
    fn passed_on(&self, node: &Node) -> Option<Vec<usize>> {
        let of = |id: &ValueId| &self.ids[id.index()];
        match &node.op {
            Op::Concat { axis: 1 } => Some(node.inputs.iter().flat_map(of).copied().collect()),
            Op::Gather { axis: 1, indices } => {
                indices.iter().map(|&i| of(&node.inputs[0]).get(i).copied()).collect()
            }
            Op::Pool { .. } | Op::AdaptivePool { .. } | Op::Resize { .. } => {
                Some(of(&node.inputs[0]).clone())
            }
            Op::Unary(unary) if homogeneous(Some(*unary)) => Some(of(&node.inputs[0]).clone()),
            _ => None,
        }
    }

    /// Channels that a convolution reads (`end` 0) or makes (1).
    fn of_layer(&self, layer: &Weighted, end: usize) -> Option<&[usize]> {
        let id = if end == 0 { layer.node.inputs[0] } else { layer.node.output };
        let conv = matches!(layer.node.op, Op::Conv { .. });
        Some(self.ids[id.index()].as_slice()).filter(|ids| conv && !ids.is_empty())
    }
}

fn channel_count(graph: &Graph, id: ValueId) -> usize {
    graph.shape(id).nchw().map_or(0, |[_, channels, _, _]| channels)
}

/// Whether `f(s·x) = s·f(x)` for positive `s`.
fn homogeneous(activation: Option<Unary>) -> bool {
    matches!(activation, None | Some(Unary::Relu | Unary::LeakyRelu { .. }))
}

/// What every channel is multiplied by. Between how far a channel reaches and how large the weights are that read
/// it the factor mediates; depthwise weights have a scale per channel and need no regard.
fn factors(graph: &Graph, channels: &Channels, patches: &Sample) -> Vec<f64> {
    let count = channels.free.len();
    let (mut reach, mut weight) = (vec![0f64; count], vec![0f64; count]);
    for layer in weighted(graph) {
        let (Some(reads), Some(patches)) = (channels.of_layer(&layer, 0), patches.get(&layer.at)) else {
            continue;
        };
        let taps = (patches.width / reads.len().max(1)).max(1);
        for row in patches.rows() {
            for (i, x) in row.iter().enumerate() {
                let most = &mut reach[reads[i / taps]];
                *most = most.max(f64::from(x.abs()));
            }
        }
        if layer.groups == 1 {
            largest_of_columns(layer.weights, reads, &mut weight);
        }
    }
    let wanted = |c: usize| match (channels.free[c] && reach[c] > 0.0, weight[c] > 0.0) {
        (false, _) => None,
        (true, true) => Some((weight[c] / reach[c]).sqrt()),
        (true, false) => Some(1.0 / reach[c]),
    };
    normalized(graph, channels, (0..count).map(wanted).collect())
}

/// Raises `most` of each channel to its largest weight, in parts of the largest of each row.
fn largest_of_columns(weights: &Tensor, reads: &[usize], most: &mut [f64]) {
    let values = weights.to_f32();
    let width = values.len() / weights.shape()[0].max(1);
    let taps = (width / reads.len().max(1)).max(1);
    for row in values.chunks(width.max(1)) {
        let largest = row.iter().fold(0f32, |most, w| most.max(w.abs()));
        if largest > 0.0 {
            for (i, w) in row.iter().enumerate() {
                let most = &mut most[reads[i / taps]];
                *most = most.max(f64::from(w.abs() / largest));
            }
        }
    }
}

/// Factors with the geometric mean 1 over the channels that one convolution makes, within bounds.
fn normalized(graph: &Graph, channels: &Channels, wanted: Vec<Option<f64>>) -> Vec<f64> {
    let mut factors = vec![1.0; wanted.len()];
    for layer in weighted(graph) {
        let Some(makes) = channels.of_layer(&layer, 1) else { continue };
        let logs: Vec<f64> = makes.iter().filter_map(|&c| wanted[c]).map(f64::ln).collect();
        let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
        for &c in makes {
            if let Some(factor) = wanted[c] {
                factors[c] = (factor.ln() - mean).exp().clamp(1.0 / FACTOR_MAX, FACTOR_MAX);
            }
        }
    }
    factors
}

/// The float layer that makes and reads scaled channels.
fn scaled(graph: &Graph, layer: &Weighted, reads: &[usize], makes: &[usize], factors: &[f64]) -> Layer8 {
    let mut values = layer.weights.to_f32();
    let shape = layer.weights.shape();
    let (outputs, inputs) = (shape[0], shape[1]);
    let width = values.len() / outputs.max(1);
    let taps = (width / inputs.max(1)).max(1);
    for (o, row) in values.chunks_mut(width.max(1)).enumerate() {
        let first = o * layer.groups / outputs * inputs;
        for (i, w) in row.iter_mut().enumerate() {
            *w = (f64::from(*w) * factors[makes[o]] / factors[reads[first + i / taps]]) as f32;
        }
    }
    let bias = layer.node.inputs.get(2).and_then(|&id| graph.constant(id)).map(|bias| {
        let scaled = |(b, &c): (f32, &usize)| (f64::from(b) * factors[c]) as f32;
        bias.to_f32().into_iter().zip(makes).map(scaled).collect()
    });
    let weights = Tensor::new(shape.clone(), Data::F32(values)).expect("as many weights as before");
    Layer8 { weights, bias }
}
