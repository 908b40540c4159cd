//! The numbers that training begins with.

use super::executor::EPSILON;
use super::loss::BOX;
use super::network::{After, Network, Running, Weights};
use crate::error::Result;
use crate::pytorch;
use ocellus::zoo;

/// A network with the numbers that training begins with.
pub(super) fn begun(
    network: &zoo::Network,
    size: usize,
    classes: usize,
    seed: u64,
) -> Result<(Network, Weights)> {
    let branches = pytorch::branches(network);
    let (mut network, mut weights) = Network::new(network.detector([size; 2], classes, seed)?)?;
    for (layer, branches) in network.layers.iter_mut().flatten().zip(branches) {
        layer.branches = branches;
    }
    let layers = network.graph.nodes.iter().zip(&network.layers);
    for (node, layer) in layers.filter_map(|(node, layer)| Some((node, (*layer)?))) {
        let shape = network.graph.shape(node.inputs[1]);
        let inputs = (shape.elements() / shape[0]) as f32;
        begin_evenly(&mut weights.parameters[layer.weights].values, inputs);
        if let (After::Bias(bias), true) = (layer.after, network.graph.outputs.contains(&node.output)) {
            let map = network.graph.shape(node.output);
            begin_head(&mut weights.parameters[bias].values, classes, map[2] * map[3]);
        }
    }
    Ok((network, weights))
}

/// Puts a checkpoint's numbers in the place of those of the same architecture. Heads for another number of classes stay as
/// they are.
pub(super) fn take_over(network: &Network, weights: &mut Weights, layers: &[pytorch::Layer]) {
    for (layer, theirs) in network.layers.iter().flatten().zip(layers) {
        if weights.parameters[layer.weights].values.len() != theirs.weights.len() {
            continue;
        }
        let numbers = match (&theirs.after, layer.after) {
            (
                pytorch::After::Norm { scale: factors, shift, mean, variance },
                After::Norm { scale, running },
            ) => {
                weights.parameters[scale].values.clone_from(factors);
                weights.parameters[scale + 1].values.clone_from(shift);
                weights.running[running] = Running { mean: mean.clone(), variance: variance.clone() };
                theirs.weights.clone()
            }
            (_, after) => {
                let (numbers, bias) = theirs.folded();
                add_bias(weights, after, bias);
                numbers
            }
        };
        weights.parameters[layer.weights].values = numbers;
    }
}

/// Puts a bias behind a convolution; where a normalization stands there, one that does nothing but add it.
fn add_bias(weights: &mut Weights, after: After, bias: Vec<f32>) {
    let channels = bias.len();
    match after {
        After::Nothing => {}
        After::Bias(at) => weights.parameters[at].values = bias,
        After::Norm { scale, running } => {
            weights.parameters[scale].values = vec![1.0; channels];
            weights.parameters[scale + 1].values = bias;
            let variance = vec![1.0 - EPSILON; channels];
            weights.running[running] = Running { mean: vec![0.0; channels], variance };
        }
    }
}

/// Gives random weights the deviation `1/√(3 · inputs)`, as PyTorch begins: what stands before a batch normalization
/// learns the faster the smaller its weights are, and published learning rates are made for these.
fn begin_evenly(weights: &mut [f32], inputs: f32) {
    let square = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
    let factor = 1.0 / (3.0 * inputs * square).sqrt();
    if factor.is_finite() {
        weights.iter_mut().for_each(|w| *w *= factor);
    }
}

/// Biases of a head as YOLOv5 begins: about eight objects in a picture, and every class about as likely, so that the
/// first steps need not unlearn objects everywhere.
fn begin_head(bias: &mut [f32], classes: usize, cells: usize) {
    let objectness = (8.0 / cells as f32).ln();
    let class = (0.6 / (classes as f32 - 0.99999)).ln();
    for anchor in bias.chunks_mut(BOX + classes) {
        anchor.fill(0.0);
        anchor[BOX - 1] = objectness;
        anchor[BOX..].fill(class);
    }
}
