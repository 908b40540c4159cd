//! What commands that calibrate a network have in common: arguments, pictures, progress, warnings.

use super::preprocess::PreprocessArgs;
use super::within;
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::quantize::{Calibration, Choices, Rounding, Scheme};
use crate::runtime::network::{Network, NetworkOptions, at_other_size};
use crate::share::cores;
use crate::table::{self, Method};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use ocellus::graph::Graph;
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN, THREADS_MAX};
use std::path::PathBuf;

/// Below this many pictures the spread of activations is a guess.
const PICTURES_FEW: usize = 100;

/// The float model, the pictures, and how grids and codes are chosen.
#[derive(Debug, Args)]
pub struct CalibratingArgs {
    /// Float model: .onnx, or ncnn .param (with its .bin beside it).
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Pictures, and folders of pictures, like those that the model will see.
    #[arg(value_name = "IMAGES", required = true)]
    pub images: Vec<PathBuf>,
    /// Use N of the pictures, drawn by --seed.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Which pictures --limit draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Side of the model's input in pixels [default: what the model says].
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// How ranges are chosen; auto takes for each grid the method with the best ratio of signal to noise.
    #[arg(long, value_enum, default_value_t = MethodName::Auto)]
    pub method: MethodName,
    /// With --method percentile: this much of the numbers other than zero is not clipped.
    #[arg(long, value_name = "PERCENT", default_value_t = 99.99)]
    pub percentile: f64,
    /// Activations around zero (zero point 0) instead of affine.
    #[arg(long)]
    pub symmetric: bool,
    /// One scale for all weights of a layer instead of one per output channel.
    #[arg(long)]
    pub per_tensor: bool,
    /// Bits of a weight, 2 to 8; 7 spares other engines the saturation of AVX2's byte products.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub weight_bits: u32,
    /// How weights become codes.
    #[arg(long, value_enum, default_value_t = Rounding::Adaptive)]
    pub rounding: Rounding,
    /// Leave the channels as they are instead of evening out how far they reach.
    #[arg(long)]
    pub no_equalization: bool,
    /// Leave biases as they are instead of making up for shifted means.
    #[arg(long)]
    pub no_bias_correction: bool,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// How pictures are prepared.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
}

/// Name of a way to choose ranges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// The best of the others, for each grid.
    Auto,
    /// Least mean square of what changes.
    Mse,
    /// Least Kullback-Leibler divergence, as ncnn2table.
    Kl,
    /// Smallest and largest number: nothing is clipped.
    Minmax,
    /// All but a few numbers are not clipped; see --percentile.
    Percentile,
    /// Clipping for a normal distribution.
    Aciq,
}

impl MethodName {
    /// The method; `None`: the best of all.
    pub fn method(self, percentile: f64) -> Option<Method> {
        match self {
            MethodName::Auto => None,
            MethodName::Mse => Some(Method::Mse),
            MethodName::Kl => Some(Method::Kl),
            MethodName::Minmax => Some(Method::MinMax),
            MethodName::Percentile => Some(Method::Percentile(percentile / 100.0)),
            MethodName::Aciq => Some(Method::Aciq),
        }
    }
}

/// A network with what its pictures show.
pub struct Calibrated {
    /// The network as the file has it.
    pub network: Network,
    /// What the pictures show.
    pub calibration: Calibration,
    /// The pictures, also those that cannot be read.
    pub pictures: Vec<PathBuf>,
}

impl CalibratingArgs {
    /// Refuses what could only fail after a long run.
    pub fn check(&self) -> Result<()> {
        within("size", self.size, INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
        within("limit", self.limit, 1, usize::MAX)?;
        within("threads", self.threads, 1, THREADS_MAX)?;
        within("weight-bits", Some(self.weight_bits as usize), 2, 8)?;
        match self.percentile > 0.0 && self.percentile <= 100.0 {
            true => Ok(()),
            false => Err(Error::Usage(format!("--percentile {}: must be above 0, to 100", self.percentile))),
        }
    }

    /// What the flags choose.
    pub fn choices(&self) -> Choices {
        Choices {
            scheme: Scheme {
                symmetric: self.symmetric,
                per_tensor: self.per_tensor,
                weight_bits: self.weight_bits,
            },
            method: self.method.method(self.percentile),
            rounding: self.rounding,
            correct_bias: !self.no_bias_correction,
        }
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores)
    }

    /// Runs the float network over the pictures.
    pub fn calibrate(&self) -> Result<Calibrated> {
        self.check()?;
        let mut pictures = table::find(&self.images)?;
        if let Some(limit) = self.limit {
            pictures = table::sample(pictures, limit, self.seed);
        }
        let network = Network::open(&NetworkOptions {
            model: self.model.clone(),
            side: self.size,
            preprocess: self.preprocess.entries(),
        })?;
        let bar = steps_bar(Calibration::steps(pictures.len()), "calibrating");
        let equalized = !self.no_equalization;
        let made = Calibration::new(&network, &pictures, equalized, self.threads(), || bar.inc(1));
        bar.finish_and_clear();
        Ok(Calibrated { network, calibration: made?, pictures })
    }
}

impl Calibrated {
    /// The calibrated network at another size; or in words, why there is none.
    pub fn at_other_size(&self, args: &CalibratingArgs) -> std::result::Result<Graph, String> {
        let graph = at_other_size(&args.model, self.network.graph())?;
        self.calibration.at_size_of(&graph).map_err(|e| e.to_string())
    }

    /// Says what could not be read, and what may be wrong with the calibration.
    pub fn warnings(&self) -> Vec<String> {
        let Calibration { network, histograms, pictures, skipped, .. } = &self.calibration;
        for Skipped { file, reason } in skipped {
            eprintln!("left out: {}: {reason}", file.display());
        }
        let mut warnings = Vec::new();
        if *pictures < PICTURES_FEW {
            warnings.push(format!(
                "{pictures} pictures are few: activations of others may reach further; give {PICTURES_FEW} or more"
            ));
        }
        let dead = histograms.iter().filter(|(_, histogram)| histogram.nonzero() == 0);
        let mut dead: Vec<_> = dead.map(|(id, _)| network.graph().value(*id).name.as_str()).collect();
        dead.sort_unstable();
        warnings.extend(dead.iter().map(|name| format!("tensor {name} is zero on every picture")));
        warnings
    }
}

/// A bar of `steps` on standard error; invisible where that is no terminal.
pub fn steps_bar(steps: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}, {eta} left");
    let bar = ProgressBar::new(steps as u64).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
