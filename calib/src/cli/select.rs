//! `calib select`: arguments and the run.

use super::flags::{EvalSetArgs, RunArgs};
use super::measuring::ROUNDS;
use super::winner::{self, WinnerArgs};
use super::{Format, bar_of, print};
use crate::dataset::classes::Classes;
use crate::dataset::{Dataset, Skipped};
use crate::error::{Error, Result};
use crate::eval::{detect_shared, score};
use crate::metrics::Summary;
use crate::runtime::{self, ModelOptions, latency};
use crate::select::{Bounds, Broken, Candidate, Metric, Selection, bytes_of};
use clap::Args;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) const EXAMPLES: &str = "\
Examples:
  The most accurate of three models that fit a megabyte of flash and 20 ms on this machine:
    calib select a.param b.param c.onnx --annotations val.json --images val \\
      --max-ms 20 --max-bytes 1000000
  The path alone, for a script:
    best=$(calib select *.param --annotations val | tail -n 1)
  The best of them in int8, written only if there is one within the bounds:
    calib select a.param b.param --annotations val.json --images val --max-ms 20 \
      --quantize best-int8.onnx --calibration train --calibration-limit 300

Time is the median of one-thread inference on this machine, without preparing the picture and decoding; the
models take turns, so that noise hits all alike. Measure on the machine that will run the model. Exit status:
0 done, 1 failed or no model is within the bounds, 2 wrong usage.";

/// Arguments of `calib select`.
#[derive(Debug, Args)]
pub struct SelectArgs {
    /// Models to choose from: ncnn .param or .onnx, float or int8.
    #[arg(value_name = "MODELS", required = true)]
    pub models: Vec<PathBuf>,
    /// The annotated pictures.
    #[command(flatten)]
    pub dataset: EvalSetArgs,
    /// What decides.
    #[arg(long, value_enum, default_value_t = Metric::Map)]
    pub metric: Metric,
    /// Leave out models that take longer than this many milliseconds for a picture, on one thread.
    #[arg(long, value_name = "MS")]
    pub max_ms: Option<f64>,
    /// Leave out models whose files are larger than this.
    #[arg(long, value_name = "N")]
    pub max_bytes: Option<u64>,
    /// Input size, preprocessing, and threads of the evaluation.
    #[command(flatten)]
    pub run: RunArgs,
    /// What becomes of the best model.
    #[command(flatten)]
    pub winner: WinnerArgs,
    /// Form of the report on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// A model's accuracy.
struct Measured {
    options: ModelOptions,
    precision: String,
    size: usize,
    summary: Summary,
    bytes: u64,
}

/// Measures the models, and reports on `out` which is best.
pub(super) fn run(args: &SelectArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let (dataset, names) = args.dataset.open()?;
    dataset.check_pictures_exist()?;
    let (mut measured, mut broken, mut skipped) = (Vec::new(), Vec::new(), HashSet::new());
    let bar = bar_of(args.models.len() * dataset.images.len());
    for path in &args.models {
        let options = ModelOptions {
            model: path.clone(),
            side: args.run.size,
            names: names.clone(),
            preprocess: args.run.preprocess.entries(),
            ..Default::default()
        };
        let tick = || bar.inc(1);
        match measure(args, &options, &dataset, &mut skipped, tick) {
            Ok(one) => measured.push(one),
            // What is wrong with the command line is wrong for every model.
            Err(error @ Error::Usage(_)) => return Err(error),
            Err(error) => broken.push((path, error.to_string())),
        }
    }
    bar.finish_and_clear();
    for (path, reason) in &broken {
        eprintln!("left out: model {}: {reason}", path.display());
    }
    if measured.is_empty() {
        let reason = broken.first().map_or("", |(_, reason)| reason.as_str());
        return Err(Error::Unmet(format!("no model can be evaluated; the first: {reason}")));
    }
    for (file, reason) in &skipped {
        eprintln!("left out: {}: {reason}", file.display());
    }
    let models = candidates(measured, &dataset, &skipped)?;
    let broken =
        broken.into_iter().map(|(path, reason)| Broken { model: path.display().to_string(), reason });
    let bounds = Bounds { ms: args.max_ms, bytes: args.max_bytes };
    let selection = Selection::new(args.metric, bounds, models, broken.collect());
    let mut selection = Selection { images: dataset.images.len() - skipped.len(), ..selection };
    let quantized = selection.winner().zip(args.winner.quantize.as_deref()).map(|(best, path)| {
        let setting = (&args.run, &args.dataset.class_map[..]);
        winner::quantize(&args.winner, setting, (&dataset, names.as_deref()), best, path)
    });
    // A long evaluation is shown though its winner cannot be quantized.
    let failed = match quantized.transpose() {
        Ok(quantized) => {
            selection.quantized = quantized;
            Ok(())
        }
        Err(error) => Err(error),
    };
    print(out, args.format, &selection, || selection.to_text())?;
    selection.check()?;
    failed
}

/// The accuracy of a model; adds pictures that cannot be read to `skipped`.
fn measure(
    args: &SelectArgs,
    options: &ModelOptions,
    dataset: &Dataset,
    skipped: &mut HashSet<(PathBuf, String)>,
    progress: impl Fn() + Sync,
) -> Result<Measured> {
    let bytes = bytes_of(&options.model)?;
    let options = ModelOptions { threads: Some(1), ..options.clone() };
    let detector = runtime::open(&options)?;
    let classes = Classes::join(&dataset.categories, detector.class_names(), &args.dataset.class_map)?;
    let (precision, size) = (detector.precision().to_owned(), detector.input_side());
    drop(detector);
    let make = || Ok(runtime::open(&options)?);
    let found = detect_shared(dataset, &classes, make, args.run.threads(), progress)?;
    let left_out: HashSet<u32> = found.broken.iter().map(|(image, _)| *image).collect();
    skipped.extend(found.broken.into_iter().map(|(_, Skipped { file, reason })| (file, reason)));
    let summary = score(dataset, &classes, &found.boxes, &left_out).summary;
    Ok(Measured { options, precision, size, summary, bytes })
}

/// Adds times, on the first picture that can be read.
fn candidates(
    measured: Vec<Measured>,
    dataset: &Dataset,
    skipped: &HashSet<(PathBuf, String)>,
) -> Result<Vec<Candidate>> {
    let broken: HashSet<&Path> = skipped.iter().map(|(file, _)| file.as_path()).collect();
    let picture = dataset.images.iter().find(|image| !broken.contains(image.path.as_path()));
    let picture = picture.ok_or_else(|| Error::Unmet("no picture can be read".to_owned()))?;
    let frame = ocellus::image::decode(&picture.path)?;
    let options: Vec<ModelOptions> = measured.iter().map(|one| one.options.clone()).collect();
    let times = latency::medians(&options, &frame, ROUNDS)?;
    let candidate = |(one, ms): (Measured, Option<f64>)| Candidate {
        model: one.options.model.display().to_string(),
        precision: one.precision,
        size: one.size,
        summary: one.summary,
        ms: ms.unwrap_or(f64::INFINITY),
        bytes: one.bytes,
        breaks: Vec::new(),
    };
    Ok(measured.into_iter().zip(times).map(candidate).collect())
}

/// Refuses what could only fail after a long run.
fn check(args: &SelectArgs) -> Result<()> {
    args.dataset.check()?;
    args.run.check()?;
    args.winner.check()?;
    match args.max_ms {
        Some(ms) if !(ms > 0.0 && ms.is_finite()) => {
            Err(Error::Usage(format!("--max-ms {ms}: must be above 0")))
        }
        _ => Ok(()),
    }
}
