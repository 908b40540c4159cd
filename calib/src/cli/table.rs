//! `calib table`: arguments and the run.

use super::calibrating::steps_bar;
use super::flags::{PicturesArgs, RunArgs, check_percentile};
use super::{Format, bar_of, print, shard};
use crate::error::Result;
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, NetworkOptions};
use crate::table::patches::{SAMPLED_MAX, samples};
use crate::table::shard::Place;
use crate::table::{self, Method, Summary, Table, Thresholds};
use crate::write::save::{check_target, save};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) const EXAMPLES: &str = "\
Examples:
  300 pictures of a folder, drawn at random but the same ones each time:
    calib table yolov5-lite.param train2017 --limit 300 --size 320 -o yolov5-lite.table
  A model whose training used other pixels than 0..1 in RGB:
    calib table nanodet.param pictures --mean 103.53,116.28,123.675 --norm 0.017 --pixel bgr \\
      --fit stretch -o nanodet.table
  The scales that change each layer's results least, instead of those of its input alone:
    calib table yolov5-lite.param train2017 --limit 300 --size 320 --method eq -o yolov5-lite.table

  One of four parts of a large set, on one of four machines; calib merge --help shows all of it:
    calib table yolov5-lite.param train2017 --size 320 --shard 1/4 -o 1.ranges

The table is text as ncnn2table writes it, and serves ncnn2int8; all weights have 8 bits. To keep a layer in
float, take its last line out or put # before it. Calibrate with pictures like those that the model will see,
but not with those that measure it. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib table`.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Float model: ncnn .param (with its .bin beside it), .onnx, or a .pt of YOLOv5 or YOLOv5-Lite.
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The pictures.
    #[command(flatten)]
    pub pictures: PicturesArgs,
    /// The table to write.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// How thresholds are chosen.
    #[command(flatten)]
    pub method: MethodArgs,
    /// See part I of N of the pictures only, each N-th one, and write a shard instead of a table: see calib merge.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["method", "percentile"])]
    pub shard: Option<Place>,
    /// With --shard, the second round: the files that all shards of the first have written.
    #[arg(long, value_name = "FILES", num_args = 1.., requires = "shard")]
    pub ranges: Vec<PathBuf>,
    /// Input size, threads and preprocessing.
    #[command(flatten)]
    pub run: RunArgs,
    /// Form of the summary on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How thresholds are chosen.
#[derive(Clone, Copy, Debug, Args)]
pub struct MethodArgs {
    /// How thresholds are chosen.
    #[arg(long, value_enum, default_value_t = MethodName::Kl)]
    pub method: MethodName,
    /// With --method percentile: this much of the numbers other than zero is not clipped.
    #[arg(long, value_name = "PERCENT", default_value_t = 99.99)]
    pub percentile: f64,
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
    /// Scales of input and weights with which each layer's results change least; begins with kl.
    Eq,
}

impl MethodArgs {
    /// Refuses what no method can do with.
    pub(super) fn check(&self) -> Result<()> {
        check_percentile(self.percentile)
    }

    /// How thresholds follow from histograms, for [`MethodName::Eq`] those that it begins with.
    pub(super) fn method(&self) -> Method {
        match self.method {
            MethodName::Kl | MethodName::Eq => Method::Kl,
            MethodName::Minmax => Method::MinMax,
            MethodName::Percentile => Method::Percentile(self.percentile / 100.0),
            MethodName::Mse => Method::Mse,
            MethodName::Aciq => Method::Aciq,
        }
    }
}

/// Makes a table, or a shard, and reports what it did on `out`.
pub(super) fn run(args: &TableArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let pictures = args.pictures.find()?;
    let network = Network::open(&NetworkOptions {
        model: args.model.clone(),
        side: args.run.size,
        preprocess: args.run.preprocess.entries(),
    })?;
    if let Some(place) = args.shard {
        let wanted = shard::Part {
            place,
            ranges: &args.ranges,
            model: &args.model,
            output: &args.output,
            threads: args.run.threads(),
            format: args.format,
        };
        return shard::run(&wanted, &network, &pictures, out);
    }
    let (layers, tensors) = table::layers(network.graph());
    let observer = || Ok(Observer::new(network.graph(), &network.preprocess, &tensors)?);
    // Each picture is seen twice.
    let bar = bar_of(2 * pictures.len());
    let collected = table::collect(observer, &pictures, args.run.threads(), || bar.inc(1));
    bar.finish_and_clear();
    let collected = collected?;
    let mut thresholds = table::thresholds(&layers, &collected, args.method.method());
    if args.method.method == MethodName::Eq {
        thresholds = improve(args, &network, &pictures, thresholds)?;
    }
    let (made, summary) = table::tabulate(&layers, collected, &thresholds);
    finish(&made, &summary, &args.output, args.format, out)
}

/// Writes the table, and says what there is to say.
pub(super) fn finish(
    made: &Table,
    summary: &Summary,
    output: &Path,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    save(&[(output, made.to_text()?.as_bytes())])?;
    for skipped in &summary.skipped {
        eprintln!("left out: {}: {}", skipped.file.display(), skipped.reason);
    }
    summary.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    print(out, format, summary, || summary.to_text())
}

/// The search of [`MethodName::Eq`].
fn improve(
    args: &TableArgs,
    network: &Network,
    pictures: &[PathBuf],
    start: Vec<Thresholds>,
) -> Result<Vec<Thresholds>> {
    let (few, threads) = (table::spread_out(pictures, SAMPLED_MAX), args.run.threads());
    let bar = bar_of(few.len());
    let samples = samples(network, &few, threads, || bar.inc(1));
    bar.finish_and_clear();
    let bar = steps_bar(start.len(), "layers");
    let found = table::eq::improve(network.graph(), &samples?, start, threads, || bar.inc(1));
    bar.finish_and_clear();
    found
}

/// Refuses what could only fail after a long run.
fn check(args: &TableArgs) -> Result<()> {
    args.pictures.check()?;
    args.run.check()?;
    args.method.check()?;
    check_target("--output", &args.output)
}
