//! `calib report`: arguments and the run.

use super::calibrating::{Calibrated, CalibratingArgs, steps_bar};
use super::measuring::{AnnotatedArgs, ROUNDS, grids, hash, outputs, shared_pictures};
use super::sensitivity::{self, LOSS};
use crate::convert::files_of;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::eval::{Detection, truths};
use crate::judge::{Judge, Verdict};
use crate::metrics::{Intervals, ScoredBox, difference, intervals};
use crate::page::{self, *};
use crate::quantize::summary::GridRow;
use crate::quantize::{Calibration, artifact, sites};
use crate::runtime::{self, ModelOptions, latency};
use crate::table::{Histogram, sample};
use crate::write::save::{check_target, save};
use crate::write::sizes::{Files, for_any_size};
use clap::Args;
use ocellus::bench::host::Host;
use ocellus::detect::Names;
use ocellus::loader::Model;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(super) const EXAMPLES: &str = "\
Examples:
  A page of what 300 pictures make of a model, with its accuracy on others:
    calib report page.html yolov5-lite.onnx train2017 --limit 300 --size 320 \\
      --annotations instances_val2017.json --annotated-images val2017

The page is one file that loads nothing. calib quantize with the same arguments writes the int8 model that the page
is about. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Pictures that layers are compared on.
const COMPARED: usize = 16;
/// Resamples of the intervals, and what they are drawn by.
const RESAMPLES: usize = 200;
const SEED: u64 = 1;
/// Most pictures with boxes.
const SAMPLES_MAX: usize = 6;
/// Pictures among which those with boxes are looked for.
const LOOKED_AT_MAX: usize = 32;
/// Most bars of a histogram.
const BINS_MAX: usize = 128;

/// Arguments of `calib report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The page to write: .html.
    #[arg(value_name = "OUT.html")]
    pub output: PathBuf,
    /// Model, pictures and choices.
    #[command(flatten)]
    pub calibrating: CalibratingArgs,
    /// Annotated pictures to measure the accuracy on.
    #[command(flatten)]
    pub annotated: AnnotatedArgs,
}

/// Measures, writes the page, and says so on `out`.
pub(super) fn run(args: &ReportArgs, out: &mut dyn Write) -> Result<()> {
    let output = &args.output;
    // The model's name in the page's place must not cost the model.
    if !output.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("html")) {
        return Err(Error::Usage(format!("{}: expected a .html file first", output.display())));
    }
    check_target("OUT.html", output)?;
    let dataset = args.annotated.open()?;
    let done = args.calibrating.calibrate()?;
    let page = page::render(&gather(args, &done, dataset.as_ref())?);
    save(&[(output, page.as_bytes())])?;
    let line = format!("{}  {:.1} KiB\n", output.display(), page.len() as f64 / 1024.0);
    match out.write_all(line.as_bytes()) {
        // Whoever closed the pipe has read enough.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
        _ => Ok(()),
    }
}

/// Everything on the page.
fn gather(args: &ReportArgs, done: &Calibrated, dataset: Option<&Dataset>) -> Result<PageData> {
    let (calibrating, calibration) = (&args.calibrating, &done.calibration);
    let choices = calibrating.choices();
    let whole = calibration.recipe(&choices, &HashSet::new());
    let models = [done.network.model.clone(), artifact::model(&calibration.network, &whole)?];
    let mut warnings = done.warnings();
    if !calibration.skipped.is_empty() {
        let left_out = calibration.skipped.len();
        warnings.push(format!("{left_out} of the calibration pictures cannot be read and were left out"));
    }
    warnings.extend(dataset.and_then(|dataset| shared_pictures(dataset, &done.pictures)));
    warnings.extend(busy());
    warnings.extend(outputs(done, &whole, calibrating.run.threads())?.1);
    let stem = calibrating.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let artifact = PathBuf::from(format!("{stem}-int8.onnx"));
    let written = for_any_size(&done.at_other_size(&calibrating.model), |other| {
        artifact::onnx_files(&calibration.network, other, &whole, &artifact)
    })?;
    let costs = sensitivity::layers(COMPARED, calibrating, done, &whole)?;
    let rows = grids(calibration, &choices, &HashSet::new());
    let accuracy = dataset.map(|dataset| accuracy(args, dataset, &models)).transpose()?;
    let pictures: Vec<PathBuf> = match dataset {
        Some(dataset) => dataset.images.iter().map(|image| image.path.clone()).collect(),
        None => done.pictures.clone(),
    };
    let folders = calibrating.pictures.images.iter().map(|path| path.display().to_string()).collect();
    let data = PageData {
        title: format!("{stem} in int8"),
        model: calibrating.model.display().to_string(),
        artifact: artifact.display().to_string(),
        command: std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" "),
        date: date(),
        host: host(),
        calibration: CalibrationFacts {
            images: calibration.pictures,
            hash: hash(&done.pictures),
            folders,
            method: method(&rows),
            scheme: scheme(calibrating),
        },
        files: files(calibrating, &written.files),
        accuracy,
        latency: speed(&models, &done.pictures)?,
        tensors: tensors(calibration, rows),
        layers: sensitivity::rows(calibration, &costs),
        loss_caption: LOSS.to_owned(),
        samples: samples(&models, pictures)?,
        warnings: warnings.into_iter().map(sentence).collect(),
    };
    data.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    Ok(data)
}

/// A remark with a capital letter and a full stop.
fn sentence(text: String) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str().trim_end_matches('.'))
}

/// A word of a command line as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// Now, to the minute.
fn date() -> String {
    let now = ocellus::watch::Stamp(SystemTime::now()).to_string();
    format!("{} {} UTC", &now[..10], &now[11..16])
}

fn host() -> String {
    let host = Host::read();
    let cpu = host.cpu.unwrap_or_else(|| "unknown CPU".to_owned());
    let unit = if host.cpus == 1 { "CPU" } else { "CPUs" };
    format!("{cpu}, {} {unit} usable, {}", host.cpus, host.arch)
}

/// A warning where other programs take the CPUs that latencies are measured on.
fn busy() -> Option<String> {
    let host = Host::read();
    let load = host.load.filter(|load| *load > host.cpus as f64)?;
    Some(format!(
        "the machine was busy (load {load:.1} with {} CPUs usable): latencies say little about an idle one",
        host.cpus
    ))
}

/// How often each method has chosen a range.
fn method(rows: &[GridRow]) -> String {
    let mut counts = BTreeMap::new();
    for row in rows {
        let name = row.method.as_deref().unwrap_or("given by the picture");
        *counts.entry(name).or_insert(0usize) += 1;
    }
    let parts: Vec<String> = counts.into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    format!("ranges: {}", parts.join(", "))
}

fn scheme(args: &CalibratingArgs) -> String {
    let choices = args.choices();
    let word = |yes: bool, then: &'static str, other: &'static str| if yes { then } else { other };
    let rounding = match choices.rounding {
        crate::quantize::Rounding::Nearest => "rounded to the nearest code",
        crate::quantize::Rounding::Adaptive => "rounded so that outputs stay",
    };
    [
        word(args.symmetric, "symmetric activations", "affine activations").to_owned(),
        format!(
            "{}-bit weights with a scale per {}, {rounding}",
            choices.scheme.weight_bits,
            word(choices.scheme.per_tensor, "layer", "channel")
        ),
        word(args.equalizes(), "channels evened out", "channels as they are").to_owned(),
        word(choices.correct_bias, "biases corrected", "biases as they are").to_owned(),
    ]
    .join("; ")
}

fn files(args: &CalibratingArgs, written: &Files) -> Vec<FileRow> {
    let file = |path: &Path, bytes: u64, what: &str, precision| FileRow {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        bytes,
        what: what.to_owned(),
        precision: Some(precision),
    };
    let float = files_of(&args.model);
    let float =
        float.iter().map(|one| file(Path::new(&one.path), one.bytes, "float model", Precision::Float));
    let int8 = written.iter().map(|(path, bytes)| {
        let what = "int8 weights and grids, as calib quantize writes them";
        file(path, bytes.len() as u64, what, Precision::Int8)
    });
    float.chain(int8).collect()
}

/// Accuracy of both models, with intervals.
fn accuracy(args: &ReportArgs, dataset: &Dataset, models: &[Model; 2]) -> Result<Accuracy> {
    let judge = Judge::new(dataset, &args.annotated.class_map, &models[0], args.calibrating.run.threads())?;
    let judged = |model: &Model| {
        let bar = steps_bar(dataset.images.len(), "measuring");
        let verdict = judge.judge(model, || bar.inc(1));
        bar.finish_and_clear();
        verdict
    };
    let verdicts = [judged(&models[0])?, judged(&models[1])?];
    let left_out: HashSet<u32> = verdicts[0].found.broken.iter().map(|(image, _)| *image).collect();
    let truths = truths(dataset, &judge.classes, &left_out);
    let (categories, images) = (judge.classes.categories.len(), dataset.images.len());
    let boxes: [&[ScoredBox]; 2] = [&verdicts[0].found.boxes, &verdicts[1].found.boxes];
    let spread = [0, 1].map(|i| intervals(categories, &truths, boxes[i], images, RESAMPLES, SEED));
    let change = difference(categories, &truths, boxes, images, RESAMPLES, SEED);
    let per_class = (judge.classes.categories.iter().enumerate()).map(|(i, category)| {
        let [float, int8] = [0, 1].map(|model: usize| verdicts[model].map.classes[i]);
        ClassLine { name: category.name.clone(), instances: float.instances, float: float.ap, int8: int8.ap }
    });
    Ok(Accuracy {
        dataset: args.annotated.annotations.iter().map(|path| path.display().to_string()).collect(),
        images: images - left_out.len(),
        rows: measures(&verdicts, &spread, change.as_ref()),
        per_class: per_class.filter(|line| line.instances > 0).collect(),
    })
}

/// Rows of [`accuracy`], without those that have no number.
fn measures(
    verdicts: &[Verdict; 2],
    spread: &[Option<Intervals>; 2],
    change: Option<&Intervals>,
) -> Vec<AccuracyRow> {
    let [float, int8] = [0, 1].map(|i: usize| &verdicts[i].map.summary);
    let row = |metric: &str, values: [Option<f64>; 2], of: fn(&Intervals) -> Option<[f64; 2]>| AccuracyRow {
        metric: metric.to_owned(),
        float: values[0],
        int8: values[1],
        float_interval: spread[0].as_ref().and_then(of),
        int8_interval: spread[1].as_ref().and_then(of),
        difference_interval: change.and_then(of),
    };
    let rows = vec![
        row("mAP 50–95", [float.map, int8.map], |i| Some(i.map)),
        row("mAP 50", [float.map50, int8.map50], |i| Some(i.map50)),
        row("Small objects", [float.ap_small, int8.ap_small], |i| i.ap_small),
        row("Medium objects", [float.ap_medium, int8.ap_medium], |i| i.ap_medium),
        row("Large objects", [float.ap_large, int8.ap_large], |i| i.ap_large),
    ];
    rows.into_iter().filter(|row| row.float.or(row.int8).is_some()).collect()
}

/// Times of both models for the first picture that can be read.
fn speed(models: &[Model; 2], pictures: &[PathBuf]) -> Result<Vec<LatencyRow>> {
    let Some(frame) = pictures.iter().find_map(|path| ocellus::image::decode(path).ok()) else {
        return Ok(Vec::new());
    };
    let times = latency::statistics_of(models, &frame, ROUNDS)?;
    let options = ModelOptions { threads: Some(1), ..ModelOptions::default() };
    // The runtime's own word: a quantized model may have parts that run in float.
    let ran = models.iter().map(|model| Ok(runtime::of_model(model, &options)?.precision().to_owned()));
    let ran = ran.collect::<Result<Vec<String>>>()?;
    let rows = [Precision::Float, Precision::Int8].into_iter().zip(ran).zip(times);
    let rows = rows.filter_map(|((precision, ran), times)| {
        let times = times?;
        let engine = format!("ocellus ({ran})");
        Some(LatencyRow { engine, precision, threads: 1, median_ms: times.median_ms, min_ms: times.min_ms })
    });
    Ok(rows.collect())
}

/// How the numbers on each grid are spread.
fn tensors(calibration: &Calibration, rows: Vec<GridRow>) -> Vec<TensorRow> {
    let groups = sites::groups(calibration.network.graph(), &HashSet::new());
    let row = |(group, row): (sites::Group, GridRow)| TensorRow {
        bins: bins(&calibration.histograms_of(&group)),
        name: match row.tensors {
            0 | 1 => row.name,
            2 => format!("{} and 1 other", row.name),
            count => format!("{} and {} others", row.name, count - 1),
        },
        low: f64::from(row.range[0]),
        high: f64::from(row.range[1]),
        method: row.method.unwrap_or_else(|| "given".to_owned()),
        clipped: row.clipped,
        sqnr_db: row.sqnr_db,
    };
    groups.into_iter().zip(rows).map(row).collect()
}

/// Middles and counts of the sum of `histograms`, zeros included, in few bins of equal width.
fn bins(histograms: &[&Histogram]) -> Vec<(f64, u64)> {
    let Some((first, others)) = histograms.split_first() else { return Vec::new() };
    let mut sum = (*first).clone();
    others.iter().for_each(|other| sum.merge(other));
    let (low, high) = sum.range();
    let fine = f64::from(sum.absmax()) / crate::table::histogram::BINS as f64;
    if fine <= 0.0 {
        return vec![(0.0, sum.numbers())];
    }
    // Whole bins of the histogram, so that all of the new ones hold as many; one more at either end.
    let together = (f64::from(high - low) / fine / (BINS_MAX - 2) as f64).ceil().max(1.0);
    let width = fine * together;
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for (x, count) in sum.middles().chain([(fine / 2.0, sum.numbers() - sum.nonzero())]) {
        *counts.entry((x / width).floor() as i64).or_insert(0) += count;
    }
    counts.into_iter().map(|(bin, count)| ((bin as f64 + 0.5) * width, count)).collect()
}

/// Pictures with the boxes of both models, those with something to see first.
fn samples(models: &[Model; 2], pictures: Vec<PathBuf>) -> Result<Vec<Sample>> {
    let options = ModelOptions { score_min: 0.3, iou_max: 0.5, threads: Some(1), ..ModelOptions::default() };
    let mut float = runtime::of_model(&models[0], &options)?;
    let mut int8 = runtime::of_model(&models[1], &options)?;
    let names = Names::new(float.class_names().to_vec())?;
    let mut seen = Vec::new();
    for path in sample(pictures, LOOKED_AT_MAX, SEED) {
        // Broken pictures have been named where they calibrate or measure.
        if let (Ok(a), Ok(b)) = (float.detect(&path), int8.detect(&path)) {
            seen.push((path, a, b));
        }
    }
    // Stable: in their order where there is as much to see.
    seen.sort_by_key(|(_, a, b)| a.is_empty() && b.is_empty());
    let drawn = |(path, a, b): &(PathBuf, Vec<Detection>, Vec<Detection>)| {
        let frame = ocellus::image::decode(path)?;
        let caption = path.file_name().unwrap_or_default().to_string_lossy();
        page::side_by_side(&frame, &corners(a), &corners(b), &names, &caption)
    };
    seen.iter().take(SAMPLES_MAX).map(drawn).collect()
}

fn corners(found: &[Detection]) -> Vec<ocellus::detect::Detection> {
    let one = |d: &Detection| {
        let [left, top, width, height] = d.bbox;
        let bbox = [left, top, left + width, top + height];
        ocellus::detect::Detection { class_id: d.class, score: d.score, bbox }
    };
    found.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("../a-b.onnx"), "../a-b.onnx");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn bins_are_few_and_lose_no_number() {
        let mut a = Histogram::new(-3.0, 1.0);
        let mut b = Histogram::new(0.0, 7.0);
        a.add(&(0..500).map(|i| i as f32 / 125.0 - 3.0).collect::<Vec<_>>());
        b.add(&(0..700).map(|i| i as f32 / 100.0).collect::<Vec<_>>());
        let few = bins(&[&a, &b]);
        assert!(few.len() <= BINS_MAX, "{}", few.len());
        assert_eq!(few.iter().map(|(_, count)| count).sum::<u64>(), 1200);
        assert!(few[0].0 > -3.1 && few[0].0 < -2.9 && few.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(bins(&[]), vec![]);
    }
}
