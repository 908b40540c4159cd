//! Runs a network over pictures and shows chosen tensors of it.

use super::engine_options;
use ocellus::Result;
use ocellus::engine::{EngineOptions, Precision};
use ocellus::engines::{Backend, native};
use ocellus::graph::{Graph, ValueId};
use ocellus::image::{Frame, Letterbox, Mapping, Preprocess, decode};
use ocellus::kernels::isa::Isa;
use std::ops::Range;
use std::path::Path;

/// A network of which chosen tensors can be read after each picture.
pub struct Observer {
    backend: Backend,
    preprocess: Preprocess,
    letterbox: Option<Letterbox>,
    isa: Isa,
    /// Channels of a pixel, per tensor.
    channels: Vec<usize>,
    /// Names of the tensors.
    names: Vec<String>,
    /// The tensor that is the network's input; one beyond the last where it is not observed.
    picture: usize,
}

impl Observer {
    /// Makes `tensors` the outputs of `graph`, so that the runtime keeps them. Int8 where `graph` has grids.
    ///
    /// # Errors
    /// The engine does not run the graph.
    pub fn new(graph: &Graph, preprocess: &Preprocess, tensors: &[ValueId]) -> Result<Self> {
        let mut graph = graph.clone();
        let channels = tensors.iter().map(|&id| channels_of_pixel(&graph, id)).collect();
        let names = tensors.iter().map(|&id| graph.value(id).name.clone()).collect();
        let picture = tensors.iter().position(|id| graph.inputs.contains(id)).unwrap_or(tensors.len());
        graph.outputs = tensors.to_vec();
        // Pictures are shared among threads, not each among all.
        let run = EngineOptions { raw_heads: false, ..engine_options(Precision::Auto, Some(1))? };
        let backend = native(graph, preprocess, &run)?;
        Ok(Observer {
            backend,
            preprocess: *preprocess,
            letterbox: None,
            isa: run.isa,
            channels,
            names,
            picture,
        })
    }

    /// Number of tensors.
    pub fn tensors(&self) -> usize {
        self.channels.len()
    }

    /// Rows and columns of the network's input.
    pub fn input_size(&self) -> [usize; 2] {
        self.backend.input_size()
    }

    /// Name of tensor `i`.
    pub fn name(&self, i: usize) -> &str {
        &self.names[i]
    }

    /// Runs the network over the picture at `path`.
    ///
    /// # Errors
    /// The picture cannot be read.
    pub fn look(&mut self, path: &Path) -> Result<()> {
        self.look_at(&decode(path)?)
    }

    /// Runs the network over a picture.
    ///
    /// # Errors
    /// The picture is above the limits.
    pub fn look_at(&mut self, frame: &Frame) -> Result<()> {
        let size = [frame.height, frame.width];
        let letterbox = match self.letterbox.take().filter(|made| made.frame_size() == size) {
            Some(made) => made,
            None => Letterbox::new(size, self.backend.input_size(), &self.preprocess, self.isa)?,
        };
        self.backend.fill(self.letterbox.insert(letterbox), frame)?;
        self.backend.run()
    }

    /// Numbers of one pixel of tensor `i`.
    pub fn channels(&self, i: usize) -> usize {
        self.channels[i]
    }

    /// The numbers of tensor `i` for the last picture, in runs.
    pub fn numbers(&self, i: usize) -> impl Iterator<Item = &[f32]> {
        self.runs(i, None)
    }

    /// The numbers of one pixel (row of a matrix) of tensor `i`, at least its channels.
    pub fn pixel(&self, i: usize, pixel: usize) -> &[f32] {
        let output = self.backend.output(i);
        let channels = self.channels[i];
        let start = pixel * output.pitch.max(channels);
        &output.data[start..start + channels]
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
