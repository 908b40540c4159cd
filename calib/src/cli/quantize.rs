//! `calib quantize`: arguments and the run.

use super::calibrating::{Calibrated, CalibratingArgs, steps_bar};
use super::flags::check_share;
use super::measuring::{AnnotatedArgs, COMPARED_MAX, ROUNDS, grids, hash, outputs, shared_pictures};
use super::{Format, print};
use crate::convert::{FileSize, Target};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::judge::Judge;
use crate::quantize::aware::{Bound, Found, Notes, Search};
use crate::quantize::summary::{Accuracy, Summary};
use crate::quantize::{Recipe, artifact, sensitivity};
use crate::runtime::latency;
use crate::runtime::network::{files_named, size_of, weighted};
use crate::write::save::{check_target, save};
use clap::Args;
use ocellus::loader::Model;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(super) const EXAMPLES: &str = "\
Examples:
  300 pictures of a folder, drawn at random but the same ones each time:
    calib quantize yolov5-lite.onnx train2017 --limit 300 --size 320 -o yolov5-lite-int8.onnx
  The same for ncnn as well, with the accuracy before and after:
    calib quantize yolov5-lite.param train2017 --limit 300 --size 320 -o int8.onnx --also int8.param \\
      --annotations instances_val2017.json --annotated-images val2017
  At most 0.001 mAP below float: as few layers as possible go back to float (the run may be stopped and
  started again, it goes on where it was):
    calib quantize m.onnx train2017 --limit 300 -o m-int8.onnx --accuracy-aware --max-drop 0.001 \\
      --annotations val.json --annotated-images val

  With ranges that ncnn2table has chosen; what is doubtful in the table is a warning:
    calib quantize yolov5-lite.param train2017 --limit 300 --size 320 --table yolov5-lite.table -o int8.param

The .onnx file is in QDQ form, which other engines open as it is; the .param file is ncnn's int8. Calibrate with
pictures like those that the model will see, but not with those that measure it. Exit status: 0 done, 1 failed or
--max-drop is not met, 2 wrong usage.";

/// Arguments of `calib quantize`.
#[derive(Debug, Args)]
pub struct QuantizeArgs {
    /// Model, pictures and choices.
    #[command(flatten)]
    pub calibrating: CalibratingArgs,
    /// The int8 model to write: .onnx or .param (and .bin).
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write the int8 model in the other format as well.
    #[arg(long, value_name = "FILE")]
    pub also: Option<PathBuf>,
    /// Keep a layer in float; may be given several times.
    #[arg(long, value_name = "LAYER")]
    pub keep_float: Vec<String>,
    /// Annotated pictures to measure the accuracy on.
    #[command(flatten)]
    pub annotated: AnnotatedArgs,
    /// Return layers to float until mAP is within --max-drop of the float model's.
    #[arg(long, requires = "annotations")]
    pub accuracy_aware: bool,
    /// With --accuracy-aware: most that mAP (0 to 1) may fall.
    #[arg(long, value_name = "MAP", default_value_t = 0.001)]
    pub max_drop: f64,
    /// With --accuracy-aware: least share of multiply-accumulates that stay in int8.
    #[arg(long, value_name = "SHARE", default_value_t = 0.9)]
    pub min_int8: f64,
    /// With --accuracy-aware: most models that are measured.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub max_tries: usize,
    /// Form of the summary on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Quantizes, and reports what it did on `out`.
pub(super) fn run(args: &QuantizeArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let dataset = args.annotated.open()?;
    let done = args.calibrating.calibrate()?;
    let mut warnings = done.warnings();
    warnings.extend(dataset.iter().filter_map(|dataset| shared_pictures(dataset, &done.pictures)));
    let mut float = kept(args, &done)?;
    let choices = args.calibrating.choices();
    let whole = done.calibration.recipe(&choices, &float);
    let mut summary = Summary {
        model: args.calibrating.model.display().to_string(),
        size: size_of(done.network.graph()),
        images: done.calibration.pictures,
        skipped: done.calibration.skipped.clone(),
        images_hash: hash(&done.pictures),
        grids: grids(&done.calibration, &choices, &float),
        ..Summary::default()
    };
    let mut met = true;
    if let Some(dataset) = &dataset {
        met = measure(args, &done, (dataset, &whole), &mut float, &mut summary)?;
    }
    let recipe = done.calibration.recipe_of(&whole, &float);
    summary.int8_macs = done.calibration.int8_share(&float);
    let (outputs_db, far) = outputs(&done, &recipe, args.calibrating.run.threads())?;
    summary.outputs_db = outputs_db;
    warnings.extend(far);
    let other = done.at_other_size(&args.calibrating.model);
    let written = std::iter::once(&args.output)
        .chain(&args.also)
        .map(|path| artifact::files((&done.calibration, &other), &choices, &float, &recipe, path));
    let written = written.collect::<Result<Vec<_>>>()?;
    let files = || written.iter().flat_map(|written| &written.files);
    let contents: Vec<(&Path, &[u8])> = files().map(|(path, bytes)| (path.as_path(), &bytes[..])).collect();
    save(&contents)?;
    summary.files = files().map(|(path, bytes)| FileSize::new(path, bytes.len() as u64)).collect();
    summary.fixed_because = written.iter().find_map(|written| written.fixed_because.clone());
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    summary.warnings = warnings;
    print(out, args.format, &summary, || summary.to_text())?;
    match met {
        true => Ok(()),
        false => Err(Error::Unmet(format!(
            "mAP falls by more than {} with {:.0} % of multiply-accumulates in int8; the best model found was \
             written: allow more with --max-drop, or less int8 with --min-int8",
            args.max_drop,
            100.0 * args.min_int8
        ))),
    }
}

/// Refuses what could only fail after a long run.
fn check(args: &QuantizeArgs) -> Result<()> {
    args.calibrating.check()?;
    for (flag, path) in [("--output", Some(&args.output)), ("--also", args.also.as_ref())] {
        let Some(path) = path else { continue };
        Target::of(path)?;
        check_target(flag, path)?;
    }
    for (flag, value) in [("max-drop", args.max_drop), ("min-int8", args.min_int8)] {
        check_share(flag, value)?;
    }
    Ok(())
}

/// Places of the layers that --keep-float names, or that a table has no scale for.
fn kept(args: &QuantizeArgs, done: &Calibrated) -> Result<HashSet<usize>> {
    let graph = done.calibration.network.graph();
    let place = |name: &String| {
        let found = weighted(graph).find(|layer| layer.node.name == *name).map(|layer| layer.at);
        found.ok_or_else(|| {
            let known: Vec<_> = weighted(graph).map(|layer| layer.node.name.as_str()).take(12).collect();
            Error::Usage(format!("--keep-float {name}: no such layer; the first are {}", known.join(", ")))
        })
    };
    args.keep_float.iter().chain(&done.imported.float).map(place).collect()
}

/// Measures float and int8 on `dataset`, and lets --accuracy-aware add to `float`. Whether its bound is met.
fn measure(
    args: &QuantizeArgs,
    done: &Calibrated,
    (dataset, whole): (&Dataset, &Recipe),
    float: &mut HashSet<usize>,
    summary: &mut Summary,
) -> Result<bool> {
    let network = &done.calibration.network;
    let judge =
        Judge::new(dataset, &args.annotated.class_map, &network.model, args.calibrating.run.threads())?;
    let judged = |model: &Model| {
        let bar = steps_bar(dataset.images.len(), "measuring");
        let verdict = judge.judge(model, || bar.inc(1));
        bar.finish_and_clear();
        Ok::<_, Error>(verdict?.map.summary)
    };
    let before = judged(&network.model)?;
    let mut met = true;
    if args.accuracy_aware {
        let found = restore(args, done, whole, (&judge, before.map.unwrap_or(0.0)), summary)?;
        met = found.within;
        float.extend(found.restored.iter().map(|layer| layer.at));
        summary.restored = found.restored;
    }
    let after = judged(&artifact::model(network, &done.calibration.recipe_of(whole, float))?)?;
    summary.accuracy = Some(Accuracy { float: before, int8: after });
    Ok(met)
}

/// The accuracy-aware search, with what each restored layer costs in time.
fn restore(
    args: &QuantizeArgs,
    done: &Calibrated,
    whole: &Recipe,
    (judge, float_map): (&Judge, f64),
    summary: &mut Summary,
) -> Result<Found> {
    let calibration = &done.calibration;
    let few: Vec<PathBuf> = done.pictures.iter().take(COMPARED_MAX / 2).cloned().collect();
    let bar = steps_bar(weighted(calibration.network.graph()).count(), "layers");
    let threads = args.calibrating.run.threads();
    let costs = sensitivity::layers(calibration, whole, &few, threads, || bar.inc(1));
    bar.finish_and_clear();
    summary.layers = costs?;
    let bound = Bound { drop_max: args.max_drop, int8_min: args.min_int8, tries_max: args.max_tries };
    let worth = |model: &Model| Ok(judge.judge(model, || ())?.value());
    let search = Search { calibration, whole, worth: &worth, costs: &summary.layers, bound, float_map };
    let mut read = files_named(&args.calibrating.model);
    read.extend(args.calibrating.table.clone());
    let key = format!(
        "{} {} {:?} {:?} {:?}",
        hash(&read),
        summary.images_hash,
        args.calibrating,
        args.annotated,
        args.keep_float
    );
    let mut notes = Notes::open(&args.output.with_extension("progress.json"), &key);
    if !notes.is_empty() {
        eprintln!("going on after {} models measured before", notes.len());
    }
    let mut found = search.run(&mut notes, |line| eprintln!("mAP {line}"))?;
    notes.discard();
    time(done, whole, &mut found)?;
    Ok(found)
}

/// Fills in the time of each restored layer: the found model's beside that of the model without it.
fn time(done: &Calibrated, whole: &Recipe, found: &mut Found) -> Result<()> {
    let Some(frame) = done.pictures.iter().find_map(|path| ocellus::image::decode(path).ok()) else {
        return Ok(());
    };
    let calibration = &done.calibration;
    let model =
        |set: &HashSet<usize>| artifact::model(&calibration.network, &calibration.recipe_of(whole, set));
    let all: HashSet<usize> = found.restored.iter().map(|layer| layer.at).collect();
    let with = model(&all)?;
    for layer in &mut found.restored {
        let without = model(&all.iter().copied().filter(|at| *at != layer.at).collect())?;
        layer.ms = latency::difference([&with, &without], &frame, ROUNDS)?;
    }
    Ok(())
}
