//! `calib compare`: arguments and the run.

use super::flags::{PicturesArgs, RunArgs, check_share};
use super::{Format, bar_of, print};
use crate::compare::{self, Options, Report, Side};
use crate::error::{Error, Result};
use crate::runtime::Precision;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  What quantization changed, with pictures of the boxes that it changed:
    calib compare yolov5-lite.param yolov5-lite-int8.param val2017 --limit 100 --size 320 --draw changed
  What int8 alone changes of an int8 file:
    calib compare int8.param int8.param val2017 --precision-a fp32 --limit 100

Layers are compared where both models give a value the same name. A ratio (SQNR) that falls from one layer to
the next by many dB says which layer to look at, or to keep in float; numbers at the ends of their range say
that it is too narrow. No annotations are needed, so nothing here says which model is right: `calib eval` does.
Exit status: 0 done, whatever differs; 1 failed; 2 wrong usage.";

/// Most pictures that are drawn.
const DRAWN_MAX: usize = 20;

/// Arguments of `calib compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// First model: the one that counts as right. ncnn .param or .onnx, float or int8.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Second model.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// The pictures.
    #[command(flatten)]
    pub pictures: PicturesArgs,
    /// Arithmetic of the first model.
    #[arg(long, value_enum, default_value_t = PrecisionName::Auto)]
    pub precision_a: PrecisionName,
    /// Arithmetic of the second model.
    #[arg(long, value_enum, default_value_t = PrecisionName::Auto)]
    pub precision_b: PrecisionName,
    /// Boxes below this score do not count.
    #[arg(long, default_value_t = 0.25)]
    pub score: f32,
    /// Boxes of a class that overlap at least this much (intersection over union) are the same object.
    #[arg(long, default_value_t = 0.5)]
    pub iou: f32,
    /// Draw lost and gained boxes into a folder: the pictures with most of them, at most 20.
    #[arg(long, value_name = "DIR")]
    pub draw: Option<PathBuf>,
    /// Input size, threads and preprocessing, of both models.
    #[command(flatten)]
    pub run: RunArgs,
    /// Form of the report on standard output; only JSON has all layers and all pictures.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Arithmetic that layers can be compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// Int8 where the model file is quantized, else float.
    Auto,
    /// Eight-bit integers.
    Int8,
    /// Single precision; of an int8 file the float that it stands for.
    Fp32,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Auto => Precision::Auto,
            PrecisionName::Int8 => Precision::Int8,
            PrecisionName::Fp32 => Precision::Fp32,
        }
    }
}

/// Compares two models, and reports on `out`.
pub(super) fn run(args: &CompareArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let pictures = args.pictures.find()?;
    let entries = args.run.preprocess.entries();
    let a = Side::open(&args.a, args.precision_a.into(), args.run.size, &entries)?;
    let b = Side::open(&args.b, args.precision_b.into(), args.run.size, &entries)?;
    if let Some(folder) = &args.draw {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    let options = Options {
        score_min: args.score,
        iou_min: args.iou,
        threads: args.run.threads(),
        kept: if args.draw.is_some() { DRAWN_MAX } else { 0 },
    };
    let values = compare::common(&a, &b);
    let bar = bar_of(pictures.len());
    let compared = compare::run([&a, &b], &values, &pictures, &options, || bar.inc(1));
    bar.finish_and_clear();
    let compared = compared?;
    let mut report = Report::new([&a, &b], &values, &compared);
    if let Some(folder) = &args.draw {
        let files = compare::draw(&compared.changed, &compared.classes, folder)?;
        report.drawn = files.iter().map(|file| file.display().to_string()).collect();
    }
    for skipped in &report.skipped {
        eprintln!("left out: {}: {}", skipped.file.display(), skipped.reason);
    }
    report.remarks.iter().for_each(|remark| eprintln!("remark: {remark}"));
    print(out, args.format, &report, || report.to_text())
}

/// Refuses what could only fail after a long run.
fn check(args: &CompareArgs) -> Result<()> {
    args.pictures.check()?;
    args.run.check()?;
    check_share("score", args.score.into())?;
    check_share("iou", args.iou.into())
}
