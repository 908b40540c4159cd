//! A float graph, and int8 scales beside it, as the two files of ncnn: `.param` and `.bin`.
//!
//! [`writer`] walks over the nodes and turns each into layers, by rules grouped in the files beside it;
//! [`requantize`] then lets int8 layers hand codes to each other; [`text`] gives every blob a name and one
//! reader, and spells the layers. A value `[1, C, H, W]` is a blob `(c, h, w)`: ncnn knows no batch.

mod bin;
mod elementwise;
mod layer;
mod links;
mod names;
mod pick;
mod picks;
mod requantize;
mod shape;
#[cfg(test)]
mod tests;
mod text;
mod weighted;
mod window;
mod writer;

use crate::error::Result;
use ocellus::graph::Graph;
use std::collections::HashMap;

/// The two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NcnnFiles {
    /// The layers, as text.
    pub param: String,
    /// The weights.
    pub bin: Vec<u8>,
}

/// Symmetric int8 of one weighted layer, as ncnn runs it. Scales are multipliers: code = scale · number.
#[derive(Clone, Debug, PartialEq)]
pub struct NcnnInt8 {
    /// One per output channel; of a grouped convolution one per group.
    pub weight_scales: Vec<f32>,
    /// Weights `[O][I/groups][kh][kw]`, within −127..=127.
    pub codes: Vec<i8>,
    /// Of the layer's input: 127 ÷ threshold.
    pub input_scale: f32,
    /// Takes the place of the node's bias.
    pub bias: Option<Vec<f32>>,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug)]
pub struct NcnnOptions<'a> {
    /// The layers that run in int8, by the names of their nodes.
    pub int8: &'a HashMap<String, NcnnInt8>,
    /// Whether weights that stay float are stored in half precision.
    pub half: bool,
    /// The same network loaded at another input size: what differs between the two is left open, so that
    /// the files serve any size.
    pub other_size: Option<&'a Graph>,
}

/// Writes `graph`, which is best simplified before.
///
/// Outputs keep their names; in the files they come in the order in which layers make them. Two layers or
/// blobs of one name get distinct ones, weighted layers before all others.
///
/// # Errors
/// ncnn has no layers for a node, which the message names; the int8 numbers of a layer do not fit it; or a
/// node depends on the input's size in a way that the files cannot say.
pub fn ncnn(graph: &Graph, options: &NcnnOptions) -> Result<NcnnFiles> {
    let mut network = writer::write(graph, options)?;
    requantize::run(&mut network);
    text::finish(network)
}
