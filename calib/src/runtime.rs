//! The one door to the runtime: opens a model and shows it as [`Detect`](crate::eval::Detect), as a float network
//! ([`network`]), by its tensors ([`activations`]), or by its speed ([`latency`]).

pub mod activations;
pub mod latency;
pub mod network;

use crate::eval::{Detect, Detection};
use crate::pytorch::{is_checkpoint, load};
use ocellus::detect::Names;
use ocellus::engine::{self, EngineOptions};
use ocellus::engines::EngineKind;
use ocellus::kernels::isa::Isa;
use ocellus::loader::{LoadOptions, Model};
use ocellus::{Detector, DetectorOptions, image};
use std::path::{Path, PathBuf};

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
    /// Float, but convolutions compute in int8 on scales that each run makes.
    Dynamic,
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
    /// Whether a box counts for each class above `score_min`, not only for the likeliest.
    pub multi_label: bool,
    /// Worker threads; `None`: one per core.
    pub threads: Option<usize>,
    /// Name of the instruction set to use; `None`: the best that this machine has.
    pub isa: Option<String>,
    /// Class names; `None`: what the file says.
    pub names: Option<Vec<String>>,
    /// Preprocessing properties that replace the model's.
    pub preprocess: Vec<(String, String)>,
}

impl Default for ModelOptions {
    /// As published figures of YOLO models are measured: score 0.001, IoU 0.65, 300 boxes.
    fn default() -> Self {
        ModelOptions {
            model: PathBuf::new(),
            engine: Engine::Native,
            precision: Precision::Auto,
            side: None,
            score_min: 0.001,
            iou_max: 0.65,
            detections_max: 300,
            multi_label: true,
            threads: None,
            isa: None,
            names: None,
            preprocess: Vec::new(),
        }
    }
}

/// Opens the model.
///
/// # Errors
/// The model is broken or unsupported, is no detector, or an option does not fit it.
pub fn open(options: &ModelOptions) -> ocellus::Result<Box<dyn Detect>> {
    Ok(Box::new(Runtime::of(detector(&options.model, &detector_options(options)?)?)))
}

/// The detector in a file; it may be a checkpoint of PyTorch.
///
/// # Errors
/// As [`Detector::open`].
pub fn detector(path: &Path, options: &DetectorOptions) -> ocellus::Result<Detector> {
    match is_checkpoint(path) {
        true => {
            let model = load(path, &LoadOptions { size: options.size })?;
            Detector::of_model(&model, options).map_err(|e| e.at(|place| place.file = Some(path.to_owned())))
        }
        false => Detector::open(path, options),
    }
}

/// A model that is in memory; of `options` the file, the engine and the side are of no meaning.
///
/// # Errors
/// As [`open`].
pub fn of_model(model: &Model, options: &ModelOptions) -> ocellus::Result<Box<dyn Detect>> {
    Ok(Box::new(Runtime::of(Detector::of_model(model, &detector_options(options)?)?)))
}

fn detector_options(options: &ModelOptions) -> ocellus::Result<DetectorOptions> {
    let precision = match options.precision {
        Precision::Auto => engine::Precision::Auto,
        Precision::Int8 => engine::Precision::Int8,
        Precision::Fp32 => engine::Precision::Fp32,
        Precision::Dynamic => engine::Precision::Dynamic,
    };
    let run = engine_options(precision, options.threads)?;
    Ok(DetectorOptions {
        engine: match options.engine {
            Engine::Native => EngineKind::Native,
            Engine::Tract => EngineKind::Tract,
        },
        size: options.side.map(|side| [side; 2]),
        run: EngineOptions { isa: Isa::of_request(options.isa.as_deref())?, ..run },
        score: options.score_min,
        iou: options.iou_max,
        max_det: options.detections_max,
        multi_label: options.multi_label,
        names: options.names.clone().map(Names::new).transpose()?,
        preprocess: options.preprocess.clone(),
        ..DetectorOptions::default()
    })
}

/// The best instruction set, and one thread per core where `threads` is `None`.
pub fn engine_options(
    precision: engine::Precision,
    threads: Option<usize>,
) -> ocellus::Result<EngineOptions> {
    let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
    let threads = threads.unwrap_or_else(cores);
    Ok(EngineOptions { precision, threads, isa: Isa::of_request(None)?, ..EngineOptions::default() })
}

struct Runtime {
    detector: Detector,
    names: Vec<String>,
}

impl Runtime {
    fn of(detector: Detector) -> Self {
        let names = detector.names().iter().map(str::to_owned).collect();
        Runtime { detector, names }
    }
}

impl Detect for Runtime {
    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn precision(&self) -> &str {
        self.detector.precision()
    }

    fn input_side(&self) -> usize {
        let [height, width] = self.detector.input_size();
        height.max(width)
    }

    fn detect(&mut self, path: &Path) -> ocellus::Result<Vec<Detection>> {
        let frame = image::decode(path)?;
        let (found, _) = self.detector.detect(&frame)?;
        let detection = |d: &ocellus::detect::Detection| {
            let [x1, y1, x2, y2] = d.bbox;
            Detection { class: d.class_id, score: d.score, bbox: [x1, y1, x2 - x1, y2 - y1] }
        };
        Ok(found.iter().map(detection).collect())
    }
}
