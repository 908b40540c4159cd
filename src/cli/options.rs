//! Options that several commands share.

use clap::{Args, ValueEnum};
use ocellus::detect::{Anchors, Names};
use ocellus::engine::{EngineOptions, Precision};
use ocellus::engines::EngineKind;
use ocellus::kernels::isa::Isa;
use ocellus::watch::config::Size;
use ocellus::{DetectorOptions, Result};
use std::path::PathBuf;

/// How results are printed.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// This program's own engine.
    Native,
    /// tract-onnx, in float; ONNX models only, in builds with `--features tract`.
    Tract,
    /// ncnn, for comparison; ncnn models only, in builds with `--features ncnn`.
    Ncnn,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
    /// Int8 wherever the model has scales, float elsewhere.
    Auto,
    /// Int8; a model without scales is refused.
    Int8,
    /// Float throughout.
    Fp32,
    /// Float, but convolutions compute in int8 on scales that each run makes; for models without scales.
    Dynamic,
}

/// The engine and how it runs.
#[derive(Args)]
pub(super) struct EngineChoice {
    /// Engine that runs the model.
    #[arg(long, value_enum, default_value = "native")]
    engine: EngineName,
    /// Network input: N for N×N, or WIDTHxHEIGHT; usually multiples of 32. Default: the model's own.
    #[arg(long, value_name = "N")]
    size: Option<Size>,
    /// Threads that share one inference. Default: all cores.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Instruction set of the kernels: auto, or one that this CPU has, such as scalar. Int8 results are the same
    /// bytes with each. Default: the environment variable OCELLUS_ISA, else auto.
    #[arg(long, value_name = "ISA")]
    isa: Option<String>,
}

/// The engine, how it runs, and its arithmetic.
#[derive(Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    choice: EngineChoice,
    /// Arithmetic.
    #[arg(long, value_enum, default_value = "auto")]
    precision: PrecisionName,
}

impl EngineChoice {
    /// Which engine.
    pub fn kind(&self) -> EngineKind {
        match self.engine {
            EngineName::Native => EngineKind::Native,
            EngineName::Tract => EngineKind::Tract,
            EngineName::Ncnn => EngineKind::Ncnn,
        }
    }

    /// Engine options with this arithmetic.
    pub fn options(&self, precision: Precision) -> Result<EngineOptions> {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        Ok(EngineOptions {
            precision,
            threads: self.threads.unwrap_or_else(cores),
            isa: Isa::of_request(self.isa.as_deref())?,
            ..EngineOptions::default()
        })
    }

    /// Threads that were asked for.
    pub fn threads(&self) -> Option<usize> {
        self.threads
    }

    /// `[height, width]` of the network input.
    pub fn size(&self) -> Option<[usize; 2]> {
        self.size.map(Size::shape)
    }
}

impl RunOptions {
    /// Engine options.
    pub fn engine(&self) -> Result<EngineOptions> {
        self.choice.options(match self.precision {
            PrecisionName::Auto => Precision::Auto,
            PrecisionName::Int8 => Precision::Int8,
            PrecisionName::Fp32 => Precision::Fp32,
            PrecisionName::Dynamic => Precision::Dynamic,
        })
    }

    /// `[height, width]` of the network input.
    pub fn size(&self) -> Option<[usize; 2]> {
        self.choice.size()
    }

    /// Threads that were asked for.
    pub fn threads(&self) -> Option<usize> {
        self.choice.threads()
    }

    /// Detector options with these settings.
    pub fn detector(&self) -> Result<DetectorOptions> {
        Ok(DetectorOptions {
            engine: self.choice.kind(),
            size: self.size(),
            run: self.engine()?,
            ..DetectorOptions::default()
        })
    }
}

/// Which boxes are detections.
#[derive(Args)]
pub(super) struct Thresholds {
    /// Least confidence of a detection, 0 to 1.
    #[arg(long, value_name = "P", default_value_t = 0.25)]
    score: f32,
    /// Boxes of a class that overlap more than this (intersection over union) count as one object.
    #[arg(long, value_name = "P", default_value_t = 0.45)]
    iou: f32,
    /// Most detections of a picture.
    #[arg(long, value_name = "N", default_value_t = 300)]
    max_det: usize,
}

impl Thresholds {
    /// Puts them into `options`.
    pub fn apply(&self, options: &mut DetectorOptions) {
        (options.score, options.iou, options.max_det) = (self.score, self.iou, self.max_det);
    }
}

/// What the model file may not say, or says wrongly.
#[derive(Args)]
pub(super) struct ModelFacts {
    /// Class names, one per line. Default: the model's; COCO's if it has none and 80 classes.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// Anchors per stride as w,h pairs, strides separated by slashes. Default: the model's, else YOLOv5's.
    #[arg(long, value_name = "LIST")]
    anchors: Option<String>,
    /// Mean that is subtracted from each pixel value: one number or R,G,B. Default: the model's, else 0.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    mean: Option<String>,
    /// Factor that each pixel value is then multiplied with. Default: the model's, else 1/255.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    norm: Option<String>,
    /// Order of the colour channels: rgb or bgr. Default: the model's, else rgb.
    #[arg(long, value_name = "ORDER")]
    pixel: Option<String>,
    /// Fit of the picture to the input: letterbox or stretch. Default: the model's, else letterbox.
    #[arg(long, value_name = "FIT")]
    fit: Option<String>,
    /// Resize of the picture: antialias (as Pillow) or linear (as OpenCV). Default: the model's, else antialias.
    #[arg(long, value_name = "METHOD")]
    interpolation: Option<String>,
}

impl ModelFacts {
    /// Puts them into `options`.
    pub fn apply(&self, options: &mut DetectorOptions) -> Result<()> {
        if let Some(path) = &self.names {
            options.names = Some(Names::from_file(path)?);
        }
        if let Some(text) = &self.anchors {
            options.anchors = Some(text.parse::<Anchors>()?);
        }
        let properties = [
            ("mean", &self.mean),
            ("norm", &self.norm),
            ("pixel", &self.pixel),
            ("fit", &self.fit),
            ("interpolation", &self.interpolation),
        ];
        options.preprocess = properties
            .iter()
            .filter_map(|(key, value)| Some(((*key).to_owned(), value.as_ref()?.clone())))
            .collect();
        Ok(())
    }
}
