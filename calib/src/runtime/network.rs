//! A float network, as it is read from its file: what calibration and conversion work on.

use crate::pytorch::load;
use ocellus::graph::{Graph, Node, Op};
use ocellus::image::Preprocess;
use ocellus::limits::INPUT_SIDE_MAX;
use ocellus::loader::{LoadOptions, Model};
use ocellus::tensor::{Data, Tensor};
use ocellus::{Error, Result};
use std::path::{Path, PathBuf};

/// How to read a float model.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// The float model.
    pub model: PathBuf,
    /// Side of the network's input in pixels; `None`: what the file says.
    pub side: Option<usize>,
    /// Preprocessing properties that replace the model's, as [`Preprocess::set`] takes them.
    pub preprocess: Vec<(String, String)>,
}

/// A float network.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its graph, and what the file says beside it; preprocessing as it is to be.
    pub model: Model,
    /// How pictures are prepared.
    pub preprocess: Preprocess,
}

impl Network {
    /// Reads the model.
    ///
    /// # Errors
    /// The model is broken or unsupported, is quantized already, or has weights that are no numbers.
    pub fn open(options: &NetworkOptions) -> Result<Self> {
        let in_file = |e: Error| e.at(|place| place.file = Some(options.model.clone()));
        let size = options.side.map(|side| [side; 2]);
        let mut model = load(&options.model, &LoadOptions { size })?;
        check(&model.graph).map_err(in_file)?;
        let preprocess = replace_preprocess(&mut model, &options.preprocess).map_err(in_file)?;
        Ok(Network { model, preprocess })
    }

    /// The network.
    pub fn graph(&self) -> &Graph {
        &self.model.graph
    }
}

/// How much larger the second size is at which a model is read, to see what depends on the size. Two strides
/// of 32: a multiple of the strides of all common detectors.
const OTHER_SIZE: usize = 64;

/// Rows and columns of a network's picture.
pub fn size_of(graph: &Graph) -> [usize; 2] {
    let shape = graph.inputs.first().and_then(|&id| graph.shape(id).nchw());
    shape.map_or([0; 2], |[_, _, height, width]| [height, width])
}

/// The network of the file `model`, which is `graph` at one size, at another size.
///
/// # Errors
/// There is none; in words, the reason.
pub fn at_other_size(model: &Path, graph: &Graph) -> std::result::Result<Graph, String> {
    let [height, width] = size_of(graph);
    let larger = height.max(width) + OTHER_SIZE <= INPUT_SIDE_MAX;
    let other = |side: usize| if larger { side + OTHER_SIZE } else { side.saturating_sub(OTHER_SIZE) };
    let size = Some([other(height), other(width)]);
    let read = load(model, &LoadOptions { size });
    let graph = read.map_err(|e| format!("the model's file is made for this one: {e}"))?.graph;
    match size == Some(size_of(&graph)) {
        true => Ok(graph),
        false => Err("the model's file is made for this one".to_owned()),
    }
}

/// The files of a model: of ncnn the weights as well.
pub fn files_named(model: &Path) -> Vec<PathBuf> {
    let name = model.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    match &name {
        name if name.ends_with(".param.bin") => {
            vec![model.to_owned(), model.with_extension("").with_extension("bin")]
        }
        name if name.ends_with(".param") => vec![model.to_owned(), model.with_extension("bin")],
        _ => vec![model.to_owned()],
    }
}

/// Puts the preprocessing properties `entries` into the metadata, in the place of the model's own, and says how
/// pictures are prepared then.
///
/// # Errors
/// A property, or one of the model's, cannot be read.
pub fn replace_preprocess(model: &mut Model, entries: &[(String, String)]) -> Result<Preprocess> {
    let mut preprocess = Preprocess::from_metadata(&model.metadata)?;
    for (key, value) in entries {
        if preprocess.set(key, value)? {
            model.metadata.retain(|(known, _)| known != key);
            model.metadata.push((key.clone(), value.clone()));
        }
    }
    Ok(preprocess)
}

/// A convolution, depthwise convolution or inner product with constant weights: what int8 engines quantize.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// The node.
    pub node: &'a Node,
    /// Its place among the graph's nodes.
    pub at: usize,
    /// Weights `[O, ..]`.
    pub weights: &'a Tensor,
    /// Groups of its channels.
    pub groups: usize,
}

impl Weighted<'_> {
    /// Multiply-accumulates of one picture: every weight of an output channel at each of its positions.
    pub fn macs(&self, graph: &Graph) -> u64 {
        let outputs = self.weights.shape()[0].max(1);
        let results = graph.shape(self.node.output).elements() as u64;
        results * (self.weights.shape().elements() / outputs) as u64
    }
}

/// The weighted layers of a graph, in its order. A convolution of constants is none of them.
pub fn weighted(graph: &Graph) -> impl Iterator<Item = Weighted<'_>> {
    graph.nodes.iter().enumerate().filter_map(|(at, node)| {
        let groups = match node.op {
            Op::Conv { groups, .. } => groups,
            Op::Linear { .. } => 1,
            _ => return None,
        };
        let weights = graph.constant(*node.inputs.get(1)?)?;
        graph.constant(node.inputs[0]).is_none().then_some(Weighted { node, at, weights, groups })
    })
}

/// Refuses what cannot be calibrated: grids, int8 weights, numbers that are none.
fn check(graph: &Graph) -> Result<()> {
    if graph.nodes.iter().any(|node| matches!(node.op, Op::FakeQuant(_))) {
        return Err(Error::bad_model("the model is quantized already; give the float model"));
    }
    for node in &graph.nodes {
        let named = |e: Error| Err(e.at(|place| place.node = Some(node.name.clone())));
        for constant in node.inputs.iter().filter_map(|&id| graph.constant(id)) {
            match constant.data() {
                Data::Q8 { .. } => {
                    return named(Error::bad_model("its weights are int8 already; give the float model"));
                }
                Data::F32(values) if !values.iter().all(|x| x.is_finite()) => {
                    return named(Error::bad_model(
                        "its weights hold NaN or infinity; export or train the model again",
                    ));
                }
                _ => {}
            }
        }
    }
    match weighted(graph).next() {
        Some(_) => Ok(()),
        None => Err(Error::bad_model("the model has no convolution and no inner product to calibrate")),
    }
}
