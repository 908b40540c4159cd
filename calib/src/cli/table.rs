//! `calib table`: arguments and the run.

use super::{Format, PreprocessArgs, bar_of, print, within};
use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, NetworkOptions};
use crate::share::cores;
use crate::table::{self, Method};
use crate::write::save::{check_target, save};
use clap::{Args, ValueEnum};
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN, THREADS_MAX};
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  300 pictures of a folder, drawn at random but the same ones each time:
    calib table yolov5-lite.param train2017 --limit 300 --size 320 -o yolov5-lite.table
  A model whose training used other pixels than 0..1 in RGB:
    calib table nanodet.param pictures --mean 103.53,116.28,123.675 --norm 0.017 --pixel bgr \\
      --fit stretch -o nanodet.table

The table is text as ncnn2table writes it, and serves ncnn2int8; all weights have 8 bits. To keep a layer in
float, take its last line out or put # before it. Calibrate with pictures like those that the model will see,
but not with those that measure it. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib table`.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Float model: ncnn .param (with its .bin beside it) or .onnx.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Pictures, and folders of pictures.
    #[arg(value_name = "IMAGES", required = true)]
    pub images: Vec<PathBuf>,
    /// The table to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How thresholds are chosen.
    #[arg(long, value_enum, default_value_t = MethodName::Kl)]
    pub method: MethodName,
    /// With --method percentile: this much of the numbers other than zero is not clipped.
    #[arg(long, value_name = "PERCENT", default_value_t = 99.99)]
    pub percentile: f64,
    /// Use N of the pictures, drawn by --seed.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Which pictures --limit draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Side of the model's input in pixels [default: what the model says].
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// How pictures are prepared.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    /// Form of the summary on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Name of a [`Method`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// Least Kullback-Leibler divergence, as ncnn2table.
    Kl,
    /// The largest magnitude: nothing is clipped.
    Minmax,
    /// All but a few numbers are not clipped; see --percentile.
    Percentile,
    /// Least mean square of what the codes change.
    Mse,
    /// Clipping for a normal distribution, as ncnn2table.
    Aciq,
}

/// Makes a table, and reports what it did on `out`.
pub(super) fn run(args: &TableArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let method = match args.method {
        MethodName::Kl => Method::Kl,
        MethodName::Minmax => Method::MinMax,
        MethodName::Percentile => Method::Percentile(args.percentile / 100.0),
        MethodName::Mse => Method::Mse,
        MethodName::Aciq => Method::Aciq,
    };
    let mut pictures = table::find(&args.images)?;
    if let Some(limit) = args.limit {
        pictures = table::sample(pictures, limit, args.seed);
    }
    let options =
        NetworkOptions { model: args.model.clone(), side: args.size, preprocess: args.preprocess.entries() };
    let network = Network::open(&options)?;
    let (layers, tensors) = table::layers(network.graph());
    let observer = || Ok(Observer::new(network.graph(), &network.preprocess, &tensors)?);
    let threads = args.threads.unwrap_or_else(cores);
    // Each picture is seen twice.
    let bar = bar_of(2 * pictures.len());
    let collected = table::collect(observer, &pictures, threads, || bar.inc(1));
    bar.finish_and_clear();
    let (made, summary) = table::tabulate(&layers, collected?, method);
    save(&[(&args.output, made.to_text()?.as_bytes())])?;
    for skipped in &summary.skipped {
        eprintln!("left out: {}: {}", skipped.file.display(), skipped.reason);
    }
    summary.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    print(out, args.format, &summary, || summary.to_text())
}

/// Refuses what could only fail after a long run.
fn check(args: &TableArgs) -> Result<()> {
    within("size", args.size, INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    within("limit", args.limit, 1, usize::MAX)?;
    within("threads", args.threads, 1, THREADS_MAX)?;
    if !(args.percentile > 0.0 && args.percentile <= 100.0) {
        return Err(Error::Usage(format!("--percentile {}: must be above 0, to 100", args.percentile)));
    }
    check_target("--output", &args.output)
}
