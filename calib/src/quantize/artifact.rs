//! A quantized network as files: QDQ ONNX, or ncnn's int8 pair.

use super::recipe::{Layer8, Recipe};
use super::{Activations, Calibration, Choices, Scheme};
use crate::convert::Target;
use crate::error::Result;
use crate::runtime::network::{Network, Weighted, weighted};
use crate::write::ncnn::{NcnnInt8, NcnnOptions, ncnn};
use crate::write::onnx::{OnnxOptions, onnx};
use crate::write::sizes::{Files, Written, for_any_size};
use ocellus::graph::Graph;
use ocellus::loader::Model;
use ocellus::tensor::Data;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The int8 network in memory, as the runtime runs it.
///
/// # Errors
/// None but those of the graph's builder.
pub fn model(network: &Network, recipe: &Recipe) -> Result<Model> {
    Ok(Model { graph: recipe.apply(network.graph())?, metadata: network.model.metadata.clone() })
}

/// The files of `recipe`, which follows from `choices` with these layers in `float`, in the format that the suffix of
/// `path` says; for any size if the network is given at another one as well (or why it is not). ncnn knows symmetric
/// grids only: its file is of a recipe of its own.
///
/// # Errors
/// The suffix says no format, or the format has no operator for a node.
pub fn files(
    (calibration, other): (&Calibration, &std::result::Result<Graph, String>),
    choices: &Choices,
    float: &HashSet<usize>,
    recipe: &Recipe,
    path: &Path,
) -> Result<Written> {
    let network = &calibration.network;
    match Target::of(path)? {
        Target::Onnx => for_any_size(other, |other| onnx_files(network, other, recipe, path)),
        Target::Ncnn => {
            let scheme = Scheme { activations: Activations::Signed, ..choices.scheme };
            let signed = calibration.recipe(&Choices { scheme, ..*choices }, float);
            for_any_size(other, |other| ncnn_files(network, other, &signed, path))
        }
    }
}

/// QDQ ONNX at `path`, for any size if the network is given at an `other` one as well. `recipe` has affine or
/// symmetric grids.
///
/// # Errors
/// ONNX has no operator for a node, or cannot say how it depends on the size.
pub fn onnx_files(network: &Network, other: Option<&Graph>, recipe: &Recipe, path: &Path) -> Result<Files> {
    let Model { graph, metadata } = model(network, recipe)?;
    let other = other.map(|other| recipe.apply(other)).transpose()?;
    let bytes = onnx(&graph, &OnnxOptions { metadata: &metadata, other_size: other.as_ref() })?;
    Ok(vec![(path.to_owned(), bytes)])
}

/// ncnn's `.param` at `path` and its `.bin` beside it, for any size if the network is given at an `other` one as well.
/// `recipe` has signed grids: ncnn knows no others.
///
/// # Errors
/// ncnn has no layer for a node, or cannot say how it depends on the size.
pub fn ncnn_files(
    network: &Network,
    other_size: Option<&Graph>,
    recipe: &Recipe,
    path: &Path,
) -> Result<Files> {
    let graph = network.graph();
    let mut int8 = HashMap::new();
    for layer in weighted(graph) {
        let grid = recipe.grids[layer.node.inputs[0].index()];
        if let (Some(made), Some(grid)) = (recipe.layers.get(&layer.at), grid) {
            int8.insert(layer.node.name.clone(), symmetric(&layer, made, 1.0 / grid.scale));
        }
    }
    let files = ncnn(graph, &NcnnOptions { int8: &int8, half: true, other_size })?;
    Ok(vec![(path.to_owned(), files.param.into_bytes()), (path.with_extension("bin"), files.bin)])
}

/// A layer as ncnn takes it. Of a grouped convolution one scale serves all channels of a group: where these have
/// several, the largest, with the codes made anew.
fn symmetric(layer: &Weighted, made: &Layer8, input_scale: f32) -> NcnnInt8 {
    let Data::Q8 { codes, scales } = made.weights.data() else {
        unreachable!("the layers of a recipe are int8");
    };
    let scale_count = if layer.groups > 1 { layer.groups } else { scales.len() };
    let share = scales.len() / scale_count.max(1);
    let largest: Vec<f32> =
        scales.chunks(share.max(1)).map(|part| part.iter().fold(0f32, |most, s| most.max(*s))).collect();
    let row = codes.len() / scales.len().max(1);
    let code = |(i, &code): (usize, &i8)| {
        let channel = i / row.max(1);
        (f32::from(code) * scales[channel] / largest[channel / share.max(1)]).round() as i8
    };
    NcnnInt8 {
        weight_scales: largest.iter().map(|scale| 1.0 / scale).collect(),
        codes: codes.iter().enumerate().map(code).collect(),
        input_scale,
        bias: made.bias.clone(),
    }
}
