//! The one door to the runtime: opens a model and shows it as [`Detect`](crate::eval::Detect).

use crate::eval::Detect;
use std::path::PathBuf;

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// This project's own.
    Native,
    /// tract, in float.
    Tract,
}

/// Which arithmetic a model runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// Int8 where the model file is quantized, else float.
    Auto,
    /// Eight-bit integers.
    Int8,
    /// Single precision.
    Fp32,
}

/// How to open and run a model.
#[derive(Clone, Debug)]
pub struct ModelOptions {
    /// The model file.
    pub model: PathBuf,
    /// Engine that runs it.
    pub engine: Engine,
    /// Arithmetic that it runs in.
    pub precision: Precision,
    /// Side of the network's input in pixels; `None`: what the file says.
    pub side: Option<usize>,
    /// Boxes below this score are dropped before non-maximum suppression.
    pub score_min: f32,
    /// Of two boxes of a class that overlap more than this, suppression drops the weaker.
    pub iou_max: f32,
    /// Most boxes per picture.
    pub detections_max: usize,
    /// Worker threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Name of the instruction set to use; `None`: the best that this machine has.
    pub isa: Option<String>,
    /// Class names; `None`: what the file says.
    pub names: Option<Vec<String>>,
}

/// Opens the model.
pub fn open(options: &ModelOptions) -> ocellus::Result<Box<dyn Detect>> {
    let what = "this build has no engine to run it; score detections with --from-detections FILE";
    let place = ocellus::error::Place { file: Some(options.model.clone()), ..Default::default() };
    Err(ocellus::Error::Unsupported { place, what: what.to_owned() })
}
