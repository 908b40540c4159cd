//! What commands that calibrate a network have in common: arguments, pictures, progress, warnings.

use super::flags::{PicturesArgs, RunArgs, check_percentile};
use super::within;
use crate::dataset::Skipped;
use crate::error::Result;
use crate::quantize::imported::{Imported, import};
use crate::quantize::{Activations, Calibration, Choices, Rounding, Scheme, simple};
use crate::runtime::network::{Network, NetworkOptions, at_other_size};
use crate::table::{Method, Table};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use ocellus::graph::Graph;
use std::path::{Path, PathBuf};

/// Below this many pictures the spread of activations is a guess.
const PICTURES_FEW: usize = 100;

/// The float model, the pictures, and how grids and codes are chosen.
#[derive(Debug, Args)]
pub struct CalibratingArgs {
    /// Float model: .onnx, ncnn .param (with its .bin beside it), or a .pt of YOLOv5 or YOLOv5-Lite.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The pictures.
    #[command(flatten)]
    pub pictures: PicturesArgs,
    /// Ranges from this calibration table (ncnn's format) for the layers that it names. Channels then stay as they are.
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// How ranges are chosen; auto takes for each grid the method with the best ratio of signal to noise.
    #[arg(long, value_enum, default_value_t = MethodName::Auto)]
    pub method: MethodName,
    /// With --method percentile: this much of the numbers other than zero is not clipped.
    #[arg(long, value_name = "PERCENT", default_value_t = 99.99)]
    pub percentile: f64,
    /// Zero in the middle of the codes of activations, or at their end where no number is negative, instead of affine
    /// grids.
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
    /// Input size, threads and preprocessing.
    #[command(flatten)]
    pub run: RunArgs,
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
    /// What --table says.
    pub imported: Imported,
}

impl CalibratingArgs {
    /// Refuses what could only fail after a long run.
    pub fn check(&self) -> Result<()> {
        self.pictures.check()?;
        self.run.check()?;
        within("weight-bits", Some(self.weight_bits as usize), 2, 8)?;
        check_percentile(self.percentile)
    }

    /// What the flags choose.
    pub fn choices(&self) -> Choices {
        Choices {
            scheme: Scheme {
                activations: if self.symmetric { Activations::Symmetric } else { Activations::Affine },
                per_tensor: self.per_tensor,
                weight_bits: self.weight_bits,
            },
            method: self.method.method(self.percentile),
            rounding: self.rounding,
            correct_bias: !self.no_bias_correction,
        }
    }

    /// Whether channels are evened out. A table speaks of them as they are.
    pub fn equalizes(&self) -> bool {
        !self.no_equalization && self.table.is_none()
    }

    /// Runs the float network over the pictures.
    pub fn calibrate(&self) -> Result<Calibrated> {
        self.check()?;
        let pictures = self.pictures.find()?;
        let network = Network::open(&NetworkOptions {
            model: self.model.clone(),
            side: self.run.size,
            preprocess: self.run.preprocess.entries(),
        })?;
        // A table that does not fit is to be found before the long run.
        let imported =
            self.table.as_deref().map(|path| import(path, &Table::read(path)?, &simple(network.graph())?));
        let imported = imported.transpose()?;
        let mut done = Calibrated::new(network, pictures, self.equalizes(), self.run.threads())?;
        if let Some(mut imported) = imported {
            done.calibration.impose(&imported.thresholds);
            imported.warnings.extend(imported.picture_warning(&done.calibration));
            done.imported = imported;
        }
        Ok(done)
    }
}

impl Calibrated {
    /// Runs the float network over the pictures; `equalized`: evens out its channels.
    pub fn new(network: Network, pictures: Vec<PathBuf>, equalized: bool, threads: usize) -> Result<Self> {
        let bar = steps_bar(Calibration::steps(pictures.len()), "calibrating");
        let made = Calibration::new(&network, &pictures, equalized, threads, || bar.inc(1));
        bar.finish_and_clear();
        Ok(Calibrated { network, calibration: made?, pictures, imported: Imported::default() })
    }

    /// The calibrated network, which was read from `model`, at another size; or in words, why there is none.
    pub fn at_other_size(&self, model: &Path) -> std::result::Result<Graph, String> {
        let graph = at_other_size(model, self.network.graph())?;
        self.calibration.at_size_of(&graph).map_err(|e| e.to_string())
    }

    /// Says what could not be read, and what may be wrong with the calibration.
    pub fn warnings(&self) -> Vec<String> {
        let Calibration { network, histograms, pictures, skipped, .. } = &self.calibration;
        for Skipped { file, reason } in skipped {
            eprintln!("left out: {}: {reason}", file.display());
        }
        let mut warnings = self.imported.warnings.clone();
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
