//! Networks that need no file: architectures with random, well-scaled weights, for measuring speed and
//! consistency. The numbers they compute mean nothing.
//!
//! The set is the part of benchncnn's that the graph has operators for, and the YOLOv5-Lite family. Left out
//! are networks with local response normalization (AlexNet, GoogLeNet), with box priors (SSD) or attention,
//! and VGG-16, whose half a gigabyte of weights does not fit the machines that this is for.

mod blocks;
mod builder;
mod classifiers;
mod detectors;
mod quantize;
mod random;
mod yolo;

pub use quantize::quantized;
pub(crate) use random::Random;

use crate::Error;
use crate::error::Result;
use crate::graph::{Graph, Op, ValueId};
use crate::limits::{CLASSES_MAX, MULTIPLES};
use builder::Builder;

/// Seed of the weights.
const SEED: u64 = 1;
/// Classes of the detectors that were published: those of COCO.
const CLASSES: usize = 80;

/// How much deeper and wider a YOLOv5 is than its architecture's file: `depth_multiple` and `width_multiple`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Multiples {
    /// Of the blocks that repeat.
    pub depth: f64,
    /// Of the channels, which are then rounded up to multiples of 8.
    pub width: f64,
}

impl Multiples {
    /// Channels where the architecture's file has `channels`: a multiple of 8, as YOLOv5 rounds.
    pub fn channels(self, channels: usize) -> usize {
        (channels as f64 * self.width / 8.0).ceil() as usize * 8
    }

    /// Blocks where the architecture's file has `repeats`.
    pub fn repeats(self, repeats: usize) -> usize {
        match repeats {
            0 | 1 => repeats,
            _ => ((repeats as f64 * self.depth).round_ties_even() as usize).max(1),
        }
    }
}

const ONE: Multiples = Multiples { depth: 1.0, width: 1.0 };

/// A network of the built-in set.
#[derive(Clone, Copy)]
pub struct Network {
    /// Name, as benchncnn or the network's authors have it.
    pub name: &'static str,
    /// Side of the square input at which it is usually measured.
    pub size: usize,
    /// Of networks whose outputs are the raw maps of YOLOv5's heads.
    multiples: Option<Multiples>,
    build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>,
}

const fn network(
    name: &'static str,
    size: usize,
    build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>,
) -> Network {
    Network { name, size, multiples: None, build }
}

const fn v5lite(name: &'static str, build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>) -> Network {
    Network { multiples: Some(ONE), ..network(name, 320, build) }
}

const fn yolov5(name: &'static str, depth: f64, width: f64) -> Network {
    Network { multiples: Some(Multiples { depth, width }), ..network(name, 640, yolo::yolov5) }
}

/// The built-in set.
pub static NETWORKS: [Network; 20] = [
    v5lite("v5lite-e", yolo::v5lite_e),
    v5lite("v5lite-s", yolo::v5lite_s),
    v5lite("v5lite-c", yolo::v5lite_c),
    v5lite("v5lite-g", yolo::v5lite_g),
    yolov5("yolov5n", 0.33, 0.25),
    yolov5("yolov5s", 0.33, 0.5),
    network("nanodet_m", 320, detectors::nanodet_m),
    network("yolo-fastest-1.1", 320, detectors::yolo_fastest),
    network("yolo-fastestv2", 352, detectors::yolo_fastest_v2),
    network("FastestDet", 352, detectors::fastest_det),
    network("yolov4-tiny", 416, detectors::yolov4_tiny),
    network("squeezenet", 227, classifiers::squeezenet),
    network("mobilenet", 224, classifiers::mobilenet),
    network("mobilenet_v2", 224, classifiers::mobilenet_v2),
    network("mobilenet_v3", 224, classifiers::mobilenet_v3),
    network("shufflenet_v2", 224, classifiers::shufflenet_v2),
    network("mnasnet", 224, classifiers::mnasnet),
    network("efficientnet_b0", 224, classifiers::efficientnet_b0),
    network("resnet18", 224, classifiers::resnet18),
    network("resnet50", 224, classifiers::resnet50),
];

/// Too large for small CPUs: to teach, and to be compared with.
static LARGE: [Network; 3] =
    [yolov5("yolov5m", 0.67, 0.75), yolov5("yolov5l", 1.0, 1.0), yolov5("yolov5x", 1.33, 1.25)];

/// The network of this name.
pub fn find(name: &str) -> Option<&'static Network> {
    NETWORKS.iter().chain(&LARGE).find(|network| network.name == name)
}

impl Network {
    /// The float network for an input of `[height, width]`; the same weights on every machine.
    ///
    /// # Errors
    /// The network does not fit the size: most want multiples of 32.
    pub fn graph(&self, size: [usize; 2]) -> Result<Graph> {
        self.made(size, CLASSES, SEED)
    }

    /// The networks with the heads of YOLOv5.
    pub fn yolov5s() -> impl Iterator<Item = &'static Network> {
        NETWORKS.iter().chain(&LARGE).filter(|network| network.multiples.is_some())
    }

    /// Its multiples, if it has the heads of YOLOv5.
    pub fn multiples(&self) -> Option<Multiples> {
        self.multiples
    }

    /// The same architecture with other multiples.
    ///
    /// # Errors
    /// It has other heads than YOLOv5's, or the multiples are out of bounds.
    pub fn scaled(&self, multiples: Multiples) -> Result<Network> {
        self.check_heads()?;
        let within = |multiple: f64| (MULTIPLES[0]..=MULTIPLES[1]).contains(&multiple);
        if !within(multiples.depth) || !within(multiples.width) {
            let [least, most] = MULTIPLES;
            return Err(Error::Usage(format!("{multiples:?}: from {least} to {most} are possible")));
        }
        Ok(Network { multiples: Some(multiples), ..*self })
    }

    fn check_heads(&self) -> Result<()> {
        if self.multiples.is_some() {
            return Ok(());
        }
        let all: Vec<_> = Network::yolov5s().map(|network| network.name).collect();
        let what = format!("{} has no heads of YOLOv5; one of {} has", self.name, all.join(", "));
        Err(Error::Usage(what))
    }

    /// A detector to be trained: as [`graph`](Self::graph), but for any number of classes and with weights of a
    /// seed. Its outputs are the raw maps `[1, 3·(5 + classes), h, w]` of YOLOv5, in ascending order of stride.
    ///
    /// # Errors
    /// The network has other heads, or does not fit the size or the number of classes.
    pub fn detector(&self, size: [usize; 2], classes: usize, seed: u64) -> Result<Graph> {
        self.check_heads()?;
        if !(1..=CLASSES_MAX).contains(&classes) {
            return Err(Error::Usage(format!("{classes} classes; 1 to {CLASSES_MAX} are possible")));
        }
        self.made(size, classes, seed)
    }

    fn made(&self, size: [usize; 2], classes: usize, seed: u64) -> Result<Graph> {
        let (mut builder, image) = Builder::new(size, classes, self.multiples.unwrap_or(ONE), seed)?;
        let outputs = (self.build)(&mut builder, image)?;
        Ok(builder.finish(outputs))
    }
}

/// Number of weights and biases.
pub fn parameters(graph: &Graph) -> usize {
    graph.values().iter().filter_map(|v| v.constant.as_ref()).map(|t| t.shape().elements()).sum()
}

/// Multiply-accumulates of the convolutions and fully connected layers.
pub fn macs(graph: &Graph) -> u64 {
    let of = |node: &crate::graph::Node| {
        let weights = |i: usize| graph.shape(node.inputs[i]);
        match node.op {
            Op::Conv { .. } | Op::Linear { .. } => {
                let per_output = weights(1).elements() / weights(1)[0].max(1);
                (graph.shape(node.output).elements() * per_output) as u64
            }
            Op::ConvTranspose { .. } => {
                let per_input = weights(1).elements() / weights(1)[0].max(1);
                (graph.shape(node.inputs[0]).elements() * per_input) as u64
            }
            _ => 0,
        }
    };
    graph.nodes.iter().map(of).sum()
}

#[cfg(test)]
mod tests;
