//! Checkpoints of YOLOv5 and YOLOv5-Lite, as PyTorch and safetensors store them, without Python.
//!
//! ```text
//! file ─tensors─► names and numbers ─names─► which is whose layer ─layers─► convolutions ─► Graph
//! ```
//!
//! A checkpoint holds numbers, and of the network only the names of its modules. So the network is a built-in one, of the
//! multiples and the number of classes at which all names and all shapes are the file's.

mod architecture;
mod layers;
mod names;
mod tensors;

pub use layers::{After, EPSILON, Layer};

use crate::anchors;
use names::Name;
use ocellus::graph::{Graph, Node, Op, ValueId};
use ocellus::loader::{LoadOptions, Model};
use ocellus::tensor::{Data, Tensor};
use ocellus::{Error, Result, zoo};
use std::path::Path;
use tensors::Tensors;

/// Suffixes of the files that are read here.
const SUFFIXES: [&str; 3] = ["pt", "pth", "safetensors"];
/// Strides of the heads, of which anchors are told in parts.
const STRIDES: [f32; 3] = [8.0, 16.0, 32.0];

/// Whether the name of a file is that of a checkpoint.
pub fn is_checkpoint(path: &Path) -> bool {
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix.as_str()))
}

/// Of each convolution of a built-in network, in the order of its graph: whether its authors train it as several beside each
/// other, RepVGG's block. Empty: the network is none of YOLOv5's.
pub fn branches(network: &zoo::Network) -> Vec<bool> {
    let names = names::of(network).map_or_else(Vec::new, |names| names.all);
    names.iter().map(|name| matches!(name, Name::Rep(_))).collect()
}

/// A trained network, with its batch normalizations apart.
pub struct Checkpoint {
    /// Its architecture.
    pub network: zoo::Network,
    /// Number of classes.
    pub classes: usize,
    /// Its convolutions, in the order of the nodes of the architecture's graph.
    pub layers: Vec<Layer>,
    /// Widths and heights in pixels, by map; `None`: the file has none.
    pub anchors: Option<Vec<Vec<[f32; 2]>>>,
}

impl Checkpoint {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or holds no YOLOv5 6.0 and no YOLOv5-Lite.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|e| e.at(|place| place.file = Some(path.to_owned())))
    }

    fn read(path: &Path) -> Result<Self> {
        let tensors = Tensors::open(path)?;
        let found = architecture::find(&tensors)?;
        let graph = found.network.detector([found.network.size; 2], found.classes, 0)?;
        let shapes = convolutions(&graph).map(|node| graph.shape(node.inputs[1]).dims().to_vec());
        let layers = found.names.iter().zip(shapes);
        let layers =
            layers.map(|(name, shape)| layers::read(&tensors, name, &shape)).collect::<Result<_>>()?;
        let anchors = read_anchors(&tensors, &found.head)?;
        Ok(Checkpoint { network: found.network, classes: found.classes, layers, anchors })
    }

    /// The network for pictures of `[height, width]`, its batch normalizations folded into the convolutions.
    ///
    /// # Errors
    /// It does not fit the size.
    pub fn graph(&self, size: [usize; 2]) -> Result<Graph> {
        let mut graph = self.network.detector(size, self.classes, 0)?;
        let places: Vec<[ValueId; 2]> =
            convolutions(&graph).map(|node| [node.inputs[1], node.inputs[2]]).collect();
        for (places, layer) in places.into_iter().zip(&self.layers) {
            let (weights, bias) = layer.folded();
            for (id, numbers) in places.into_iter().zip([weights, bias]) {
                let tensor = Tensor::new(graph.shape(id).clone(), Data::F32(numbers));
                graph.set_constant(id, tensor.expect("shapes were compared"))?;
            }
        }
        Ok(graph)
    }

    /// The same with what a detector needs beside it. The size is the one asked for, else that at which the architecture is
    /// usually measured.
    ///
    /// # Errors
    /// As [`graph`](Self::graph).
    pub fn model(&self, options: &LoadOptions) -> Result<Model> {
        let graph = self.graph(options.size.unwrap_or([self.network.size; 2]))?;
        let entry = |anchors: &Vec<Vec<[f32; 2]>>| ("anchors".to_owned(), anchors::text(anchors));
        Ok(Model { graph, metadata: self.anchors.iter().map(entry).collect() })
    }
}

/// The convolutions of a built-in network, all with weights and a bias.
fn convolutions(graph: &Graph) -> impl Iterator<Item = &Node> {
    graph.nodes.iter().filter(|node| matches!(node.op, Op::Conv { .. }))
}

/// Anchors as the module `head` has them, `[3, 3, 2]` in parts of the stride.
fn read_anchors(tensors: &Tensors, head: &str) -> Result<Option<Vec<Vec<[f32; 2]>>>> {
    let name = format!("{head}.anchors");
    let Some(shape) = tensors.shape(&name) else { return Ok(None) };
    if shape != [3, 3, 2] {
        return Err(Error::bad_model(format!("{name} has the shape {shape:?}; [3, 3, 2] was expected")));
    }
    let values = tensors.numbers(&name)?;
    if !values.iter().all(|&side| side.is_finite() && side > 0.0) {
        return Err(Error::bad_model(format!("{name}: the anchors are not above 0")));
    }
    let pixels = |(level, stride): (&[f32], f32)| {
        let sides = level.chunks_exact(2).map(|side| [side[0], side[1]].map(|side| in_pixels(side, stride)));
        sides.collect::<Vec<_>>()
    };
    Ok(Some(values.chunks_exact(6).zip(STRIDES).map(pixels).collect()))
}

/// A side in pixels. Files keep it in half precision: whole pixels stay whole.
fn in_pixels(side: f32, stride: f32) -> f32 {
    let pixels = side * stride;
    let whole = pixels.round();
    if (pixels - whole).abs() <= pixels / 1024.0 { whole } else { pixels }
}

/// Reads a model: a checkpoint, or whatever else the runtime reads.
///
/// # Errors
/// It is broken or not supported.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model> {
    match is_checkpoint(path) {
        true => Checkpoint::open(path)?.model(options),
        false => ocellus::loader::load(path, options),
    }
}

#[cfg(test)]
mod tests;
