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
use crate::limits::CLASSES_MAX;
use builder::Builder;

/// Seed of the weights.
const SEED: u64 = 1;
/// Classes of the detectors that were published: those of COCO.
const CLASSES: usize = 80;

/// A network of the built-in set.
pub struct Network {
    /// Name, as benchncnn or the network's authors have it.
    pub name: &'static str,
    /// Side of the square input at which it is usually measured.
    pub size: usize,
    /// Whether its outputs are the raw maps of YOLOv5's heads.
    yolov5: bool,
    build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>,
}

const fn network(
    name: &'static str,
    size: usize,
    build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>,
) -> Network {
    Network { name, size, yolov5: false, build }
}

const fn yolov5(
    name: &'static str,
    size: usize,
    build: fn(&mut Builder, ValueId) -> Result<Vec<ValueId>>,
) -> Network {
    Network { yolov5: true, ..network(name, size, build) }
}

/// The built-in set.
pub static NETWORKS: [Network; 20] = [
    yolov5("v5lite-e", 320, yolo::v5lite_e),
    yolov5("v5lite-s", 320, yolo::v5lite_s),
    yolov5("v5lite-c", 320, yolo::v5lite_c),
    yolov5("v5lite-g", 320, yolo::v5lite_g),
    yolov5("yolov5n", 640, yolo::yolov5n),
    yolov5("yolov5s", 640, yolo::yolov5s),
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

/// The network of this name.
pub fn find(name: &str) -> Option<&'static Network> {
    NETWORKS.iter().find(|network| network.name == name)
}

impl Network {
    /// The float network for an input of `[height, width]`; the same weights on every machine.
    ///
    /// # Errors
    /// The network does not fit the size: most want multiples of 32.
    pub fn graph(&self, size: [usize; 2]) -> Result<Graph> {
        self.made(size, CLASSES, SEED)
    }

    /// The names of the networks with the heads of YOLOv5.
    pub fn yolov5_names() -> impl Iterator<Item = &'static str> {
        NETWORKS.iter().filter(|network| network.yolov5).map(|network| network.name)
    }

    /// A detector to be trained: as [`graph`](Self::graph), but for any number of classes and with weights of a
    /// seed. Its outputs are the raw maps `[1, 3·(5 + classes), h, w]` of YOLOv5, in ascending order of stride.
    ///
    /// # Errors
    /// The network has other heads, or does not fit the size or the number of classes.
    pub fn detector(&self, size: [usize; 2], classes: usize, seed: u64) -> Result<Graph> {
        if !self.yolov5 {
            let all: Vec<_> = Network::yolov5_names().collect();
            let what = format!("{} has no heads of YOLOv5; one of {} has", self.name, all.join(", "));
            return Err(Error::Usage(what));
        }
        if !(1..=CLASSES_MAX).contains(&classes) {
            return Err(Error::Usage(format!("{classes} classes; 1 to {CLASSES_MAX} are possible")));
        }
        self.made(size, classes, seed)
    }

    fn made(&self, size: [usize; 2], classes: usize, seed: u64) -> Result<Graph> {
        let (mut builder, image) = Builder::new(size, classes, seed)?;
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
