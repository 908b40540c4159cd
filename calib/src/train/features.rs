//! A tensor of a teacher, and the student's that is to be like it.

use super::imitation::Kind;
use super::loss::Anchors;
use super::workers::Workers;
use crate::error::{Error, Result};
use crate::loader::Batch;
use crate::pytorch::load;
use crate::quantize::simple;
use crate::random::Random;
use crate::runtime::activations::Observer;
use ocellus::graph::{Graph, Op, ValueId, WindowAttrs};
use ocellus::image::Preprocess;
use ocellus::loader::LoadOptions;
use ocellus::tensor::{Data, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which tensors are compared, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taps {
    /// Name of the student's layer.
    pub student: String,
    /// Name of the teacher's.
    pub teacher: String,
    /// How.
    pub kind: Kind,
    /// λ: what the comparison weighs in the loss.
    pub weight: f64,
}

/// The teacher's side.
pub struct Features {
    taps: Taps,
    observers: Workers<Observer>,
    /// Channels, rows and columns.
    shape: [usize; 3],
}

impl Features {
    /// Opens the teacher `model` for pictures of `size` pixels.
    ///
    /// # Errors
    /// It cannot be opened, or has no such layer.
    pub fn open(model: &Path, taps: &Taps, size: usize, threads: usize) -> Result<Self> {
        let read = load(model, &LoadOptions { size: Some([size; 2]) })?;
        let preprocess = Preprocess::from_metadata(&read.metadata)?;
        let graph = simple(&read.graph)?;
        let (tensor, shape) = named(&graph, &taps.teacher, "teacher")?;
        let observers = Workers::new(threads, || Observer::new(&graph, &preprocess, &[tensor]))?;
        Ok(Features { taps: taps.clone(), observers, shape })
    }

    /// How the tensors are compared.
    pub fn taps(&self) -> &Taps {
        &self.taps
    }

    /// Rows and columns of the tensors.
    pub fn grid(&self) -> [usize; 2] {
        [self.shape[1], self.shape[2]]
    }

    /// The anchors that say where objects are: those of the student's output with as many cells, else of its first.
    pub fn anchors<'a>(&self, student: &Graph, anchors: &'a [Anchors]) -> &'a Anchors {
        let same = |output: &ValueId| student.shape(*output)[2] == self.shape[1];
        &anchors[student.outputs.iter().position(same).unwrap_or(0)]
    }

    /// The student's graph with one more output: its tensor through a 1×1 convolution that gives it the teacher's channels.
    /// The convolution is trained with the rest, and comes last, so that without it everything is as it was.
    ///
    /// # Errors
    /// The student has no such layer, or the tensor has other cells than the teacher's.
    pub fn adapt(&self, graph: &Graph, seed: u64) -> Result<Graph> {
        let (tensor, [channels, rows, columns]) = named(graph, &self.taps.student, "student")?;
        let [own, own_rows, own_columns] = self.shape;
        if [rows, columns] != [own_rows, own_columns] {
            return Err(Error::Unmet(format!(
                "layer {} of the student has {rows}×{columns} cells, {} of the teacher {own_rows}×{own_columns}",
                self.taps.student, self.taps.teacher
            )));
        }
        let mut graph = graph.clone();
        let mut random = Random::new(&[seed, own as u64]);
        let reach = (3.0 / channels as f64).sqrt();
        let values = (0..own * channels).map(|_| random.around(reach) as f32).collect();
        let constant = |graph: &mut Graph, name: &str, dims: &[usize], values| {
            let tensor =
                Tensor::new(Shape::new(dims)?, Data::F32(values)).expect("as many numbers as the shape has");
            graph.push_constant(name, tensor)
        };
        let weights = constant(&mut graph, "adapter.weights", &[own, channels, 1, 1], values)?;
        let bias = constant(&mut graph, "adapter.bias", &[own], vec![0.0; own])?;
        let window = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        let conv = Op::Conv { window, groups: 1, activation: None };
        let output = graph.push("adapter", conv, vec![tensor, weights, bias], "adapter")?;
        graph.outputs.push(output);
        Ok(graph)
    }

    /// The teacher's tensor for a batch, `[C,N,H,W]`.
    ///
    /// # Errors
    /// It cannot run.
    pub fn look(&self, batch: &Batch) -> Result<Vec<f32>> {
        let [channels, rows, columns] = self.shape;
        let plane = rows * columns;
        let of_pictures = self.observers.look(batch, |observer, _, frame| {
            observer.look_at(frame)?;
            Ok((0..plane).flat_map(|cell| observer.pixel(0, cell).to_vec()).collect::<Vec<f32>>())
        })?;
        let of_channel = |channel: usize| {
            let picture =
                move |pixels: &Vec<f32>| pixels.iter().skip(channel).step_by(channels).copied().collect();
            of_pictures.iter().flat_map(move |pixels| -> Vec<f32> { picture(pixels) })
        };
        Ok((0..channels).flat_map(of_channel).collect())
    }
}

/// The result of the layer of a name, and its channels, rows and columns.
fn named(graph: &Graph, name: &str, whose: &str) -> Result<(ValueId, [usize; 3])> {
    let images = graph.nodes.iter().filter_map(|node| {
        let [_, channels, rows, columns] = graph.shape(node.output).nchw()?;
        Some((node, [channels, rows, columns]))
    });
    let images: Vec<_> = images.collect();
    match images.iter().find(|(node, _)| node.name == name) {
        Some((node, shape)) => Ok((node.output, *shape)),
        None => {
            let listed: Vec<String> = images
                .iter()
                .rev()
                .take(40)
                .map(|(node, [c, h, w])| format!("{} {c}×{h}×{w}", node.name))
                .collect();
            Err(Error::Usage(format!(
                "--imitate: the {whose} has no layer `{name}`; its last ones (channels × rows × columns) are {}",
                listed.join(", ")
            )))
        }
    }
}
