//! Runs a float model over pictures and shows what its weighted layers read.

use ocellus::engine::{EngineOptions, Precision};
use ocellus::engines::{Backend, native};
use ocellus::graph::{Graph, Node, Op, ValueId};
use ocellus::image::{Letterbox, Mapping, Preprocess, decode};
use ocellus::kernels::isa::Isa;
use ocellus::loader::{LoadOptions, load};
use ocellus::tensor::{Data, Tensor};
use ocellus::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How to open a model for its activations.
#[derive(Clone, Debug)]
pub struct ObserverOptions {
    /// The float model.
    pub model: PathBuf,
    /// Side of the network's input in pixels; `None`: what the file says.
    pub side: Option<usize>,
    /// Worker threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Preprocessing properties that replace the model's, as [`Preprocess::set`] takes them.
    pub preprocess: Vec<(String, String)>,
}

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

/// A model in float whose layers' inputs can be read after each picture.
pub struct Observer {
    backend: Backend,
    preprocess: Preprocess,
    letterbox: Option<Letterbox>,
    isa: Isa,
    layers: Vec<Layer>,
    /// Channels of a pixel, per tensor.
    channels: Vec<usize>,
    /// The tensor that is the network's input; one beyond the last where no layer reads it.
    picture: usize,
}

impl Observer {
    /// Loads the model. Its outputs become the tensors that its layers read, so that the runtime keeps them.
    ///
    /// # Errors
    /// The model is broken or unsupported, is quantized already, or has no weighted layer.
    pub fn open(options: &ObserverOptions) -> Result<Self> {
        let in_file = |e: Error| e.at(|place| place.file = Some(options.model.clone()));
        let size = options.side.map(|side| [side; 2]);
        let model = load(&options.model, &LoadOptions { size })?;
        let mut preprocess = Preprocess::from_metadata(&model.metadata).map_err(in_file)?;
        for (key, value) in &options.preprocess {
            preprocess.set(key, value)?;
        }
        let mut graph = model.graph;
        let (layers, tensors) = layers(&graph).map_err(in_file)?;
        let channels = tensors.iter().map(|&id| channels_of_pixel(&graph, id)).collect();
        let is_input = |id: &ValueId| graph.inputs.contains(id);
        let picture = tensors.iter().position(is_input).unwrap_or(tensors.len());
        graph.outputs = tensors;
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let isa = Isa::of_request(None)?;
        let run = EngineOptions {
            precision: Precision::Fp32,
            threads: options.threads.unwrap_or_else(cores),
            isa,
            raw_heads: false,
            ..EngineOptions::default()
        };
        let backend = native(graph, &preprocess, &run).map_err(in_file)?;
        Ok(Observer { backend, preprocess, letterbox: None, isa, layers, channels, picture })
    }

    /// The weighted layers, in the order of the file.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of tensors that they read.
    pub fn tensors(&self) -> usize {
        self.channels.len()
    }

    /// Rows and columns of the network's input.
    pub fn input_size(&self) -> [usize; 2] {
        self.backend.input_size()
    }

    /// How pictures are prepared.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Runs the network over the picture at `path`.
    ///
    /// # Errors
    /// [`Error::BadPicture`] or [`Error::Io`]: the picture cannot be read.
    pub fn look(&mut self, path: &Path) -> Result<()> {
        let frame = decode(path)?;
        let size = [frame.height, frame.width];
        let letterbox = match self.letterbox.take().filter(|made| made.frame_size() == size) {
            Some(made) => made,
            None => Letterbox::new(size, self.backend.input_size(), &self.preprocess, self.isa)?,
        };
        self.backend.fill(self.letterbox.insert(letterbox), &frame)?;
        self.backend.run()
    }

    /// The numbers of tensor `i` for the last picture, in runs.
    pub fn numbers(&self, i: usize) -> impl Iterator<Item = &[f32]> {
        self.runs(i, None)
    }

    /// As [`Observer::numbers`], but of the network's input without the margin of the letterbox. That constant
    /// says nothing of pictures, and is so frequent that KL would clip all brighter pixels.
    pub fn numbers_of_picture(&self, i: usize) -> impl Iterator<Item = &[f32]> {
        self.runs(i, self.letterbox.as_ref().filter(|_| i == self.picture).map(content))
    }

    fn runs(&self, i: usize, content: Option<[Range<usize>; 2]>) -> impl Iterator<Item = &[f32]> {
        let output = self.backend.output(i);
        let channels = self.channels[i];
        let width = self.input_size()[1].max(1);
        // Without gaps between pixels all of them are one run.
        let (pitch, run) = match output.pitch == channels && content.is_none() {
            true => (output.data.len().max(1), output.data.len()),
            false => (output.pitch.max(1), channels),
        };
        let wanted = move |pixel: usize| match &content {
            Some([rows, columns]) => rows.contains(&(pixel / width)) && columns.contains(&(pixel % width)),
            None => true,
        };
        let pixels = output.data.chunks(pitch).enumerate();
        pixels.filter(move |(at, _)| wanted(*at)).map(move |(_, pixel)| &pixel[..run.min(pixel.len())])
    }
}

/// Rows and columns of the picture in the network's input.
fn content(letterbox: &Letterbox) -> [Range<usize>; 2] {
    let Mapping { scale, offset, picture } = letterbox.mapping();
    let range = |axis: usize| {
        let start = offset[axis] as usize;
        start..start + (picture[axis] * scale[axis]).round() as usize
    };
    [range(1), range(0)]
}

/// Images lie channels last, others row-major.
fn channels_of_pixel(graph: &Graph, id: ValueId) -> usize {
    let shape = graph.shape(id);
    match shape.nchw() {
        Some([_, channels, _, _]) => channels,
        None => shape.dims().last().copied().unwrap_or(1),
    }
}

/// The weighted layers, and the tensors that they read.
fn layers(graph: &Graph) -> Result<(Vec<Layer>, Vec<ValueId>)> {
    if graph.nodes.iter().any(|node| matches!(node.op, Op::FakeQuant(_))) {
        return Err(Error::bad_model("the model is quantized already; calibrate the float model"));
    }
    let (mut layers, mut tensors) = (Vec::<Layer>::new(), Vec::new());
    for node in &graph.nodes {
        let Some((weights, rows)) = weights(graph, node)? else { continue };
        let input = node.inputs[0];
        let tensor = tensors.iter().position(|&id| id == input).unwrap_or_else(|| {
            tensors.push(input);
            tensors.len() - 1
        });
        layers.push(Layer { name: node.name.clone(), tensor, weight_absmax: absmax_of_rows(weights, rows) });
    }
    match layers.is_empty() {
        true => Err(Error::bad_model("the model has no convolution and no inner product to calibrate")),
        false => Ok((layers, tensors)),
    }
}

/// Weights of a layer that int8 engines quantize, and how many scales they have. A convolution of constants
/// is none of them.
fn weights<'a>(graph: &'a Graph, node: &Node) -> Result<Option<(&'a Tensor, usize)>> {
    let groups = match node.op {
        Op::Conv { groups, .. } => groups,
        Op::Linear { .. } => 1,
        _ => return Ok(None),
    };
    let Some(tensor) = node.inputs.get(1).and_then(|&id| graph.constant(id)) else { return Ok(None) };
    if graph.constant(node.inputs[0]).is_some() {
        return Ok(None);
    }
    let quantized = matches!(tensor.data(), Data::Q8 { .. });
    if quantized {
        let error = Error::bad_model("its weights are int8 already; calibrate the float model");
        return Err(error.at(|place| place.node = Some(node.name.clone())));
    }
    Ok(Some((tensor, if groups > 1 { groups } else { tensor.shape()[0] })))
}

/// Largest magnitude in each of `rows` equal parts.
fn absmax_of_rows(weights: &Tensor, rows: usize) -> Vec<f32> {
    let values = weights.to_f32();
    let row = (values.len() / rows.max(1)).max(1);
    values.chunks(row).map(|row| row.iter().fold(0f32, |most, w| most.max(w.abs()))).collect()
}
