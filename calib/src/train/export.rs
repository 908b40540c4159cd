//! Trained numbers back in their graph, with batch normalization folded into the convolutions.

use super::executor::EPSILON;
use super::kernels::learned;
use super::loss::Anchors;
use super::network::{After, Network, WeightGrid, Weights};
use crate::anchors;
use crate::convert::names_entry;
use crate::error::Result;
use crate::quantize::{Layer8, Recipe};
use ocellus::graph::{Graph, Op};
use ocellus::loader::Model;
use ocellus::tensor::{Data, Tensor};

/// The network with these weights, as the runtime runs it.
///
/// # Errors
/// None but those of the graph's builder.
pub fn graph(network: &Network, weights: &Weights) -> Result<Graph> {
    let mut recipe = Recipe { grids: vec![None; network.graph.values().len()], ..Recipe::default() };
    for (at, (node, layer)) in network.graph.nodes.iter().zip(&network.layers).enumerate() {
        let Some(layer) = layer else { continue };
        let mut values = weights.parameters[layer.weights].values.clone();
        let bias = match layer.after {
            After::Nothing => None,
            After::Bias(bias) => Some(weights.parameters[bias].values.clone()),
            After::Norm { scale, running } => {
                let [scale, shift] = [scale, scale + 1].map(|i| &weights.parameters[i].values);
                let running = &weights.running[running];
                let each = values.len() / scale.len();
                let channels = values.chunks_mut(each).enumerate().map(|(c, values)| {
                    let factor = scale[c] / (running.variance[c] + EPSILON).sqrt();
                    values.iter_mut().for_each(|w| *w *= factor);
                    shift[c] - factor * running.mean[c]
                });
                Some(channels.collect())
            }
        };
        let shape = network.graph.shape(node.inputs[1]).clone();
        let data = match layer.grid {
            None => Data::F32(values),
            Some(grid) => codes(&values, &network.grids[grid], network.grids[grid].scales(weights)),
        };
        let tensor = Tensor::new(shape, data).expect("as many numbers as the shape has");
        recipe.layers.insert(at, Layer8 { weights: tensor, bias });
    }
    let mut graph = network.graph.clone();
    for (node, factor) in graph.nodes.iter_mut().zip(&network.factors) {
        if let (Op::FakeQuant(quant), Some(factor)) = (&mut node.op, factor) {
            quant.scale = learned(quant.scale, weights.parameters[*factor].values[0]);
        }
    }
    Ok(recipe.apply(&graph)?)
}

/// Weights as the codes that training has rounded them to.
fn codes(values: &[f32], grid: &WeightGrid, scales: Vec<f32>) -> Data {
    let bound = f32::from(grid.code_max);
    let row = (values.len() / scales.len().max(1)).max(1);
    let rows = values.chunks(row).zip(&scales);
    let code = |x: &f32, scale: f32| (x / scale).clamp(-bound, bound).round_ties_even() as i8;
    let codes = rows.flat_map(|(row, &scale)| row.iter().map(move |x| code(x, scale)));
    Data::Q8 { codes: codes.collect(), scales }
}

/// The network with what a detector needs beside it.
///
/// # Errors
/// As [`graph`].
pub fn model(network: &Network, weights: &Weights, names: &[String], anchors: &[Anchors]) -> Result<Model> {
    let entry = |key: &str, value: String| (key.to_owned(), value);
    let metadata = vec![entry("names", names_entry(names)), entry("anchors", anchors::text(anchors))];
    Ok(Model { graph: graph(network, weights)?, metadata })
}
