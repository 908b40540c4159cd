//! The command line of `calib`: arguments, what they mean, and the run.

mod anchors;
mod calibrating;
mod compare;
mod convert;
mod data;
mod dataset;
#[cfg(feature = "train")]
mod distill;
mod flags;
mod label;
mod measuring;
mod merge;
#[cfg(feature = "train")]
mod pipeline;
mod preprocess;
#[cfg(feature = "train")]
mod qat;
mod quantize;
mod report_page;
mod select;
mod sensitivity;
mod shard;
mod sheet;
mod table;
#[cfg(feature = "train")]
mod train;
mod winner;

pub use anchors::AnchorsArgs;
pub use compare::{CompareArgs, PrecisionName};
pub use convert::{ConvertArgs, HeadsName};
pub use data::{DataArgs, PartName};
pub use dataset::{
    ConvertArgs as DatasetConvertArgs, DatasetArgs, DatasetCommand, PreviewArgs, SplitArgs, StatsArgs,
};
#[cfg(feature = "train")]
pub use distill::DistillArgs;
pub use flags::{EvalSetArgs, PicturesArgs, RunArgs};
pub use label::LabelArgs;
pub use measuring::AnnotatedArgs;
pub use merge::MergeArgs;
#[cfg(feature = "train")]
pub use pipeline::PipelineArgs;
pub use preprocess::PreprocessArgs;
#[cfg(feature = "train")]
pub use qat::QatArgs;
pub use quantize::QuantizeArgs;
pub use report_page::ReportArgs;
pub use select::SelectArgs;
pub use sensitivity::SensitivityArgs;
pub use table::{MethodArgs, MethodName, TableArgs};
#[cfg(feature = "train")]
pub use train::TrainArgs;
pub use winner::WinnerArgs;

use crate::dataset::classes::Classes;
use crate::dataset::{Dataset, Skipped, read_results, write_results};
use crate::error::{Error, Result};
use crate::eval::{self, Detected};
use crate::report::{Report, class_rows};
use crate::runtime::{self, Engine, ModelOptions, Precision};
use crate::share::cores;
use crate::write::save::check_target;
use clap::{Args, Parser, Subcommand, ValueEnum};
use flags::check_share;
use indicatif::{ProgressBar, ProgressStyle};
use ocellus::limits::CANDIDATES_MAX;
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Host-side companion of ocellus: measures and calibrates detection models.
#[derive(Debug, Parser)]
#[command(name = "calib", version, about, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure a model's accuracy (COCO mAP) on annotated pictures.
    ///
    /// Runs the model over every picture and compares its boxes with the annotations, exactly as COCO's own
    /// tool does: mean average precision over IoU 0.50 to 0.95, and the eleven numbers beside it. The
    /// defaults (score 0.001, IoU 0.65, 300 boxes) are those that published figures of YOLO models use; they
    /// are right for measuring and wrong for a camera.
    #[command(after_long_help = EVAL_EXAMPLES)]
    Eval(Box<EvalArgs>),
    /// Choose the int8 scales of a float model: a calibration table in ncnn's format.
    ///
    /// Runs the model in float over pictures, prepared as the runtime prepares them, and notes how the input
    /// of each convolution and inner product is spread. From that follows how far its int8 codes should reach;
    /// the weights get a scale per output channel.
    #[command(after_long_help = table::EXAMPLES)]
    Table(Box<TableArgs>),
    /// Make a calibration table of the shards that `calib table --shard` has made on several machines.
    ///
    /// The result is that of one run over all pictures.
    #[command(after_long_help = merge::EXAMPLES)]
    Merge(MergeArgs),
    /// Write a float model in the other format, ONNX or ncnn, simplified and checked against the input.
    ///
    /// What the runtime folds is folded: batch normalization and activations into their convolutions, channel
    /// shuffles into one step, the tail of exported heads away. The new file is then run beside the old one,
    /// and written only if their outputs agree.
    #[command(after_long_help = convert::EXAMPLES)]
    Convert(Box<ConvertArgs>),
    /// Compare two models, or two precisions of one, on pictures: layers, outputs and boxes.
    ///
    /// Runs both over the same pictures and says layer by layer how far their numbers are apart, and which boxes
    /// only one of them finds.
    #[command(after_long_help = compare::EXAMPLES)]
    Compare(Box<CompareArgs>),
    /// Choose the most accurate of several models within bounds of time and size.
    ///
    /// Measures each as `calib eval` does, its time of inference, and the bytes of its files; with --quantize the best
    /// one is then made int8.
    #[command(after_long_help = select::EXAMPLES)]
    Select(Box<SelectArgs>),
    /// Make the int8 model of a float model: QDQ ONNX, or ncnn's int8.
    ///
    /// Runs the model in float over pictures, prepared as the runtime prepares them, evens out its channels, chooses
    /// a grid for every tensor and a code for every weight, and corrects the biases. With annotations it measures
    /// the accuracy before and after, and can return layers to float until little enough is lost.
    #[command(after_long_help = quantize::EXAMPLES)]
    Quantize(Box<QuantizeArgs>),
    /// Say what each layer loses by int8.
    ///
    /// Calibrates as `calib quantize` does, then compares on some of the pictures: each layer's results in the int8
    /// network with those in float, and the network's results where that layer alone is int8.
    #[command(after_long_help = sensitivity::EXAMPLES)]
    Sensitivity(Box<SensitivityArgs>),
    /// Write a page (one HTML file) of what int8 makes of a model: accuracy, speed, size, layers, ranges, pictures.
    ///
    /// Calibrates as `calib quantize` does and measures the float and the int8 model; it writes the page only.
    #[command(after_long_help = report_page::EXAMPLES)]
    Report(Box<ReportArgs>),
    /// Label pictures with what a model finds, as a data set (pseudo-labels).
    ///
    /// The model is a good one, mostly a large one, and the labels are for training another: by `calib train`, beside those that
    /// people have made.
    #[command(after_long_help = label::EXAMPLES)]
    Label(Box<LabelArgs>),
    /// Check, count, convert, split or draw annotated pictures.
    #[command(after_long_help = dataset::EXAMPLES)]
    Dataset(Box<DatasetArgs>),
    /// Choose anchors for the boxes of a data set.
    ///
    /// Clusters of the boxes' widths and heights (k-means), then a thousand random changes of which those stay that serve the
    /// boxes better.
    #[command(after_long_help = anchors::EXAMPLES)]
    Anchors(Box<AnchorsArgs>),
    /// Train a detector from pictures with boxes, and write it as float ONNX.
    ///
    /// YOLOv5's way: its loss, mosaics, warming up and slowing down, averaged weights. Needs no GPU: the small networks
    /// learn a thousand pictures in an hour or two on a few cores.
    #[cfg(feature = "train")]
    #[command(after_long_help = train::EXAMPLES)]
    Train(Box<TrainArgs>),
    /// Train a detector that also learns from what another one sees.
    ///
    /// The teacher sees each picture as the student does, and says of every cell what a label says of few: whether there is
    /// an object, where and of which class. So it fills in what data sets do not label, too.
    #[cfg(feature = "train")]
    #[command(after_long_help = distill::EXAMPLES)]
    Distill(Box<DistillArgs>),
    /// Train an int8 model behind its grids (quantization-aware training).
    #[cfg(feature = "train")]
    #[command(after_long_help = qat::EXAMPLES)]
    Qat(Box<QatArgs>),
    /// From pictures to an int8 model in one go: teacher, student, the better one, quantized, trained further if need be.
    #[cfg(feature = "train")]
    #[command(after_long_help = pipeline::EXAMPLES)]
    Pipeline(PipelineArgs),
}

const EVAL_EXAMPLES: &str = "\
Examples:
  COCO, 320 pixels:
    calib eval --model yolov5-lite.param --size 320 \\
      --annotations instances_val2017.json --images val2017
  A YOLO folder whose five kinds of vehicles are one class for the model:
    calib eval --model vehicles.onnx --annotations street/val \\
      --class-map Bus=vehicle,Car=vehicle,Truck=vehicle
  Keep the detections, and score them again later without the model:
    calib eval --model m.onnx --annotations val.json --images val --detections found.json
    calib eval --from-detections found.json --annotations val.json

A YOLO folder holds images/ and labels/, or pictures and .txt files side by side; a data.yaml there or above
(or --names) says the class names. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Model to measure: ncnn .param or .onnx.
    #[arg(long, value_name = "FILE", required_unless_present = "from_detections")]
    pub model: Option<PathBuf>,
    /// Score this COCO result file instead of running a model.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["model", "detections"])]
    pub from_detections: Option<PathBuf>,
    /// The annotated pictures.
    #[command(flatten)]
    pub dataset: EvalSetArgs,
    /// Engine that runs the model.
    #[arg(long, value_enum, default_value_t = Engine::Native)]
    pub engine: Engine,
    /// Arithmetic of the model.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,
    /// Input size, threads and preprocessing.
    #[command(flatten)]
    pub run: RunArgs,
    /// Drop boxes below this score.
    #[arg(long, default_value_t = 0.001)]
    pub score: f32,
    /// Drop the weaker of two boxes of a class that overlap more than this.
    #[arg(long, default_value_t = 0.65)]
    pub iou: f32,
    /// Most boxes per picture.
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub max_det: usize,
    /// Instruction set to use [default: $OCELLUS_ISA, else the best that this machine has].
    #[arg(long, value_name = "NAME")]
    pub isa: Option<String>,
    /// Write the detections to this file, in COCO's result format.
    #[arg(long, value_name = "JSON")]
    pub detections: Option<PathBuf>,
    /// Form of the report on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// Runs a parsed command line; the report goes to `out`, progress and remarks to standard error.
pub fn run(cli: &Cli, out: &mut dyn Write) -> Result<()> {
    match &cli.command {
        Command::Eval(args) => eval(args, out),
        Command::Table(args) => table::run(args, out),
        Command::Merge(args) => merge::run(args, out),
        Command::Convert(args) => convert::run(args, out),
        Command::Select(args) => select::run(args, out),
        Command::Compare(args) => compare::run(args, out),
        Command::Quantize(args) => quantize::run(args, out),
        Command::Sensitivity(args) => sensitivity::run(args, out),
        Command::Report(args) => report_page::run(args, out),
        Command::Label(args) => label::run(args, out),
        Command::Dataset(args) => dataset::run(args, out),
        Command::Anchors(args) => anchors::run(args, out),
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(args, None, out),
        #[cfg(feature = "train")]
        Command::Distill(args) => distill::run(args, out),
        #[cfg(feature = "train")]
        Command::Qat(args) => qat::run(args, out),
        #[cfg(feature = "train")]
        Command::Pipeline(args) => pipeline::run(args, out),
    }
}

fn eval(args: &EvalArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let (dataset, names) = args.dataset.open()?;
    let report = match (&args.from_detections, &args.model) {
        (Some(path), _) => score_file(args, path, &dataset)?,
        (None, Some(model)) => measure(args, &model_options(args, model, names), &dataset)?,
        (None, None) => return Err(Error::Usage("give --model or --from-detections".to_owned())),
    };
    for Skipped { file, reason } in &report.skipped {
        eprintln!("left out: {}: {reason}", file.display());
    }
    if !report.unmatched_classes.is_empty() {
        eprintln!("left out, the model has no such class: {}", report.unmatched_classes.join(", "));
    }
    print(out, args.format, &report, || report.to_text())
}

/// Prints a report in the wanted form.
fn print(
    out: &mut dyn Write,
    format: Format,
    report: &impl serde::Serialize,
    text: impl FnOnce() -> String,
) -> Result<()> {
    let text = match format {
        Format::Text => text(),
        Format::Json => {
            serde_json::to_string_pretty(report).map_err(|e| Error::io("standard output", e.into()))? + "\n"
        }
    };
    say(out, &text)
}

/// Prints text.
fn say(out: &mut dyn Write, text: &str) -> Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever closed the pipe has read enough.
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", e)),
        _ => Ok(()),
    }
}

/// Refuses a number outside `low..=high`, by the flag's name.
fn within(flag: &str, value: Option<usize>, low: usize, high: usize) -> Result<()> {
    match value {
        Some(v) if !(low..=high).contains(&v) => {
            Err(Error::Usage(format!("--{flag} {v}: must be {low} to {high}")))
        }
        _ => Ok(()),
    }
}

/// Refuses what could only fail after a long run.
fn check(args: &EvalArgs) -> Result<()> {
    args.dataset.check()?;
    args.run.check()?;
    within("max-det", Some(args.max_det), 1, CANDIDATES_MAX)?;
    check_share("score", args.score.into())?;
    check_share("iou", args.iou.into())?;
    args.detections.as_deref().map_or(Ok(()), |path| check_target("--detections", path))
}

fn model_options(args: &EvalArgs, model: &Path, names: Option<Vec<String>>) -> ModelOptions {
    ModelOptions {
        model: model.to_owned(),
        engine: args.engine,
        precision: args.precision,
        side: args.run.size,
        score_min: args.score,
        iou_max: args.iou,
        detections_max: args.max_det,
        multi_label: true,
        threads: args.run.threads,
        isa: args.isa.clone(),
        names,
        preprocess: args.run.preprocess.entries(),
    }
}

/// Scores an existing result file.
fn score_file(args: &EvalArgs, path: &Path, dataset: &Dataset) -> Result<Report> {
    let classes = Classes::of_data_alone(&dataset.categories, &args.dataset.class_map)?;
    let results = read_results(path, dataset, args.dataset.limit.is_some())?;
    let boxes = eval::boxes_of(dataset, &classes, &results);
    let detected = Detected { boxes, ..Detected::default() };
    let report = report(dataset, classes, detected);
    Ok(Report { detections: Some(path.display().to_string()), ..report })
}

/// Runs the model over the pictures and scores what it finds.
fn measure(args: &EvalArgs, options: &ModelOptions, dataset: &Dataset) -> Result<Report> {
    dataset.check_pictures_exist()?;
    // Whole pictures are shared among the threads, not the steps of one.
    let options = ModelOptions { threads: Some(1), ..options.clone() };
    let threads = args.run.threads.unwrap_or_else(cores).min(dataset.images.len());
    let detector = runtime::open(&options)?;
    let classes = Classes::join(&dataset.categories, detector.class_names(), &args.dataset.class_map)?;
    let (precision, size) = (detector.precision().to_owned(), detector.input_side());
    drop(detector);
    let bar = bar_of(dataset.images.len());
    let make = || Ok(runtime::open(&options)?);
    let detected = eval::detect_shared(dataset, &classes, make, threads, || bar.inc(1));
    bar.finish_and_clear();
    let detected = detected?;
    if let Some(path) = &args.detections {
        write_results(path, eval::results_of(dataset, &classes, &detected.boxes))?;
    }
    let ran = (dataset.images.len() * threads) as f64;
    let images_per_second = Some(ran / detected.time.as_secs_f64().max(1e-9));
    let report = report(dataset, classes, detected);
    Ok(Report {
        model: Some(options.model.display().to_string()),
        precision: Some(precision),
        size: Some(size),
        images_per_second,
        ..report
    })
}

/// The part of the report that follows from the boxes.
fn report(dataset: &Dataset, classes: Classes, detected: Detected) -> Report {
    let broken: HashSet<u32> = detected.broken.iter().map(|(image, _)| *image).collect();
    let result = eval::score(dataset, &classes, &detected.boxes, &broken);
    let skipped = dataset.skipped.iter().cloned().chain(detected.broken.into_iter().map(|(_, s)| s));
    Report {
        summary: result.summary,
        per_class: class_rows(&classes.categories, &result),
        images: dataset.images.len() - broken.len(),
        skipped: skipped.collect(),
        unmatched_classes: classes.unmatched,
        model: None,
        detections: None,
        precision: None,
        size: None,
        images_per_second: None,
    }
}

/// A bar on standard error; invisible where that is no terminal.
fn bar_of(images: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} images, {per_sec}, {eta} left");
    let bar = ProgressBar::new(images as u64);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
