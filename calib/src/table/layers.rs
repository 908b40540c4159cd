//! The layers of a table, by the names that they have in the model file.

use super::{Collected, Method};
use crate::runtime::network::{Weighted, weighted};
use ocellus::graph::{Graph, ValueId};
use serde::{Deserialize, Serialize};

/// A convolution, depthwise convolution or inner product of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name in the file.
    pub name: String,
    /// Index of the tensor that it reads; layers may read the same one.
    pub tensor: usize,
    /// Largest magnitude of its weights: one per output channel, of a grouped convolution one per group.
    pub weight_absmax: Vec<f32>,
}

/// Magnitudes of a layer's numbers that its codes reach to; what is above is clipped. Zero: there is no scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// Of its input.
    pub input: f32,
    /// Of its weights, as [`Layer::weight_absmax`].
    pub weights: Vec<f32>,
}

/// What `method` says of each layer; weights are not clipped.
pub fn thresholds(layers: &[Layer], collected: &Collected, method: Method) -> Vec<Thresholds> {
    let inputs: Vec<f32> =
        collected.histograms.iter().map(|h| method.threshold(h, collected.pictures)).collect();
    let of = |layer: &Layer| Thresholds { input: inputs[layer.tensor], weights: layer.weight_absmax.clone() };
    layers.iter().map(of).collect()
}

/// The weighted layers of `graph`, and the tensors that they read.
pub fn layers(graph: &Graph) -> (Vec<Layer>, Vec<ValueId>) {
    let (mut layers, mut tensors) = (Vec::new(), Vec::new());
    for layer in weighted(graph) {
        let (name, input) = (layer.node.name.clone(), layer.node.inputs[0]);
        let tensor = tensors.iter().position(|&id| id == input).unwrap_or_else(|| {
            tensors.push(input);
            tensors.len() - 1
        });
        layers.push(Layer { name, tensor, weight_absmax: absmax_of_parts(&layer) });
    }
    (layers, tensors)
}

/// Largest magnitude of the weights of each output channel, of a grouped convolution of each group.
pub fn absmax_of_parts(layer: &Weighted) -> Vec<f32> {
    let values = layer.weights.to_f32();
    let parts = if layer.groups > 1 { layer.groups } else { layer.weights.shape()[0] };
    let row = (values.len() / parts.max(1)).max(1);
    values.chunks(row).map(|row| row.iter().fold(0f32, |most, w| most.max(w.abs()))).collect()
}
