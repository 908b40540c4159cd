//! The layers of a table, by the names that they have in the model file.

use crate::runtime::network::{Weighted, weighted};
use ocellus::graph::{Graph, ValueId};
use ocellus::tensor::Tensor;

/// A convolution, depthwise convolution or inner product of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name in the file.
    pub name: String,
    /// Index of the tensor that it reads; layers may read the same one.
    pub tensor: usize,
    /// Largest magnitude of its weights: one per output channel, of a grouped convolution one per group.
    pub weight_absmax: Vec<f32>,
}

/// The weighted layers of `graph`, and the tensors that they read.
pub fn layers(graph: &Graph) -> (Vec<Layer>, Vec<ValueId>) {
    let (mut layers, mut tensors) = (Vec::new(), Vec::new());
    for Weighted { node, weights, groups, .. } in weighted(graph) {
        let input = node.inputs[0];
        let tensor = tensors.iter().position(|&id| id == input).unwrap_or_else(|| {
            tensors.push(input);
            tensors.len() - 1
        });
        let rows = if groups > 1 { groups } else { weights.shape()[0] };
        layers.push(Layer { name: node.name.clone(), tensor, weight_absmax: absmax_of_rows(weights, rows) });
    }
    (layers, tensors)
}

/// Largest magnitude in each of `rows` equal parts.
fn absmax_of_rows(weights: &Tensor, rows: usize) -> Vec<f32> {
    let values = weights.to_f32();
    let row = (values.len() / rows.max(1)).max(1);
    values.chunks(row).map(|row| row.iter().fold(0f32, |most, w| most.max(w.abs()))).collect()
}
