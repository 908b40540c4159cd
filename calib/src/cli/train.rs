//! `calib train`: arguments and the run.

use super::within;
use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::train::device::DeviceName;
use crate::train::loss::Losses;
use crate::train::plan::Plan;
use crate::train::run::Run;
use crate::train::schedule::Optimizer;
use crate::train::teacher::Lesson;
use crate::train::trainer::Epoch;
use crate::train::validation::Score;
use clap::Args;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use ocellus::limits::{BATCH_MAX, INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub(super) const EXAMPLES: &str = "\
Examples:
  Persons and vehicles, 256 pixels:
    calib train --data data.toml --model v5lite-e --size 256 --epochs 100 -o run
  The same run, after it was interrupted:
    calib train --resume -o run
  A finer model from what that one has learned:
    calib train --data data.toml --size 320 --epochs 30 --weights run/last.safetensors -o finer
  On a GPU, by a calib that was built with `cargo build --release -p ocellus-calib --features wgpu` (or cuda):
    calib train --device wgpu --data data.toml --model v5lite-s --batch 64 -o run

data.toml names the classes and the data sets, and how their classes are called:
    classes = [\"person\", \"vehicle\"]
    [[train]]
    annotations = \"coco/train.json\"
    images = \"coco/train\"
    map = { car = \"vehicle\", bus = \"vehicle\" }
    [[val]]
    annotations = \"street/val\"
    map = { Car = \"vehicle\" }
A class that a data set does not label is not learned from it, and its objects there do no harm.

best.onnx is chosen by the [[val]] sets, so what they say of it is a little too good. Before its first table, data.toml may have
    hold-out = { share = 0.05, together = \"_mp4\" }
Then so much of each [[train]] set is not trained on and chooses instead, also in `calib pipeline`; [[val]] is measured as before.
Names decide which pictures that are, the same ones in every run. Frames of a clip resemble each other too much to choose for
one another: `together` keeps pictures on one side whose names are equal up to this text, or those of a `folder`, as
`calib dataset split --together` does.

The folder gets best.onnx and last.onnx, the models of the best and of the last epoch, for `calib eval` and
`calib quantize`; last.safetensors, from which an interrupted run goes on to the same numbers, as long as the data stay what they are and it stays on the CPU; log.csv, and
curves.html, which shows in a browser how the run goes. Measured are the averaged weights on each [[val]] set, as `calib eval` measures. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Network: v5lite-e (the smallest), -s, -c or -g, yolov5n, -s, -m, -l or -x, with random weights; a checkpoint of
    /// PyTorch (.pt) of one of these, which is trained further, for other classes with new heads; or a file with any other
    /// trained detector, which is trained further without batch normalization.
    #[arg(long, value_name = "NAME|FILE", default_value = "v5lite-e", conflicts_with = "resume")]
    pub model: String,
    /// Number of repeated blocks of a built-in network, in parts of its architecture's file [default: the network's own].
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume")]
    pub depth_multiple: Option<f64>,
    /// Number of channels, likewise, rounded up to multiples of 8.
    #[arg(long, value_name = "FACTOR", conflicts_with = "resume")]
    pub width_multiple: Option<f64>,
    /// Begin from the averaged weights of this checkpoint instead of random ones.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub weights: Option<PathBuf>,
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What all runs are told.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which data sets, and which of their classes.
    #[arg(long, value_name = "TOML", required_unless_present = "resume")]
    pub data: Option<PathBuf>,
    /// What the paths in it are relative to [default: its folder].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Side of the pictures in pixels, a multiple of 32.
    #[arg(long, value_name = "PIXELS", default_value_t = 320)]
    pub size: usize,
    /// How often all pictures are seen [default: 100; with qat 10].
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Pictures of a step.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch: usize,
    /// How weights follow from gradients [default: sgd; with qat adamw].
    #[arg(long, value_name = "NAME", value_enum)]
    pub optimizer: Option<Optimizer>,
    /// The highest learning rate, after the first epochs [default: 0.01, with adamw 0.001, with qat 0.0001].
    #[arg(long, value_name = "RATE")]
    pub rate: Option<f64>,
    /// What objectness weighs in the loss, beside 0.05 for boxes [default: YOLOv5's, (size/640)²].
    ///
    /// With small pictures that is little, and a network needs long to learn where something is at all: where runs are
    /// short, 1 is better.
    #[arg(long, value_name = "WEIGHT")]
    pub objectness: Option<f64>,
    /// End after N epochs without a better one; 0: never.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub patience: usize,
    /// What weights, order and changes of pictures follow from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Leave out pictures and boxes that are faulty, instead of refusing the data.
    #[arg(long)]
    pub skip_bad: bool,
    /// What computes the steps; a GPU only where calib was built with the feature of that name. The rest stays on the CPU, and
    /// a run may go on elsewhere than where it was begun.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub device: DeviceName,
    /// Folder of the run.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Go on with the run in the folder, as it was begun.
    #[arg(long, conflicts_with_all = ["data", "root", "skip_bad", "size", "epochs", "batch", "optimizer", "rate", "objectness", "patience", "seed"])]
    pub resume: bool,
}

/// What a command takes where the user says nothing.
pub(super) struct Defaults {
    pub epochs: usize,
    pub optimizer: Optimizer,
    pub rate: Option<f64>,
}

/// From random weights.
pub(super) const NEW: Defaults = Defaults { epochs: 100, optimizer: Optimizer::Sgd, rate: None };

/// What is trained, and what it learns from.
pub(super) struct Subject<'a> {
    pub model: &'a str,
    pub multiples: [Option<f64>; 2],
    pub weights: Option<&'a Path>,
    pub lesson: Option<Lesson>,
    pub learn_scales: bool,
}

/// `calib train`.
pub(super) fn run(args: &TrainArgs, lesson: Option<Lesson>, out: &mut dyn Write) -> Result<()> {
    let mut run = open(&args.run, subject(args, lesson), &NEW)?;
    report(&mut run, out)
}

/// What a run would be that these arguments begin.
pub(super) fn planned(args: &TrainArgs, lesson: Option<Lesson>) -> Result<Plan> {
    let data = args.run.data.as_deref().ok_or_else(|| Error::Usage("--data is missing".to_owned()))?;
    plan(&args.run, data, subject(args, lesson), &NEW)
}

fn subject(args: &TrainArgs, lesson: Option<Lesson>) -> Subject<'_> {
    let multiples = [args.depth_multiple, args.width_multiple];
    Subject { model: &args.model, multiples, weights: args.weights.as_deref(), lesson, learn_scales: false }
}

/// A run begun, or gone on with.
pub(super) fn open(args: &RunArgs, subject: Subject, defaults: &Defaults) -> Result<Run> {
    let device = args.device.open()?;
    let run = match &args.data {
        Some(data) if !args.resume => {
            let weights = subject.weights;
            if let Some(path) = weights.filter(|path| path.extension().is_some_and(|suffix| suffix == "pt")) {
                let what =
                    format!("--weights {0}: what PyTorch trained is given as --model {0}", path.display());
                return Err(Error::Usage(what));
            }
            let plan = plan(args, data, subject, defaults)?;
            let data = plan.read()?;
            Run::begin(plan, data, &args.output, weights)
        }
        _ => {
            let data = Run::plan_of(&args.output)?.read()?;
            Run::resume(data, &args.output)
        }
    }?;
    Ok(run.on(device))
}

/// Trains, and reports each epoch on `out`.
pub(super) fn report(run: &mut Run, out: &mut dyn Write) -> Result<()> {
    let Plan { model, size, epochs, batch, .. } = run.plan();
    let (parameters, steps) = (run.parameters(), run.steps());
    let measured = run.measured();
    say(
        out,
        format!(
            "{model} at {size}×{size}: {parameters} parameters; {epochs} epochs of {steps} steps of {batch} \
             pictures, each measured on {measured} pictures"
        ),
    )?;
    let (start, begun, epochs) = (Instant::now(), run.epochs(), *epochs);
    while !run.is_over() {
        let epoch = one_epoch(run, epochs)?;
        let each = start.elapsed() / (epoch.number - begun) as u32;
        let left = each * (epochs - epoch.number) as u32;
        say(out, format!("{}   {} left", line(&epoch, epochs), HumanDuration(left)))?;
    }
    match run.best() {
        Some((epoch, worth)) => {
            let file = run.best_model();
            say(out, format!("best: epoch {epoch}, mAP50-95 {worth:.4}; {}", file.display()))
        }
        None => Ok(()),
    }
}

pub(super) fn say(out: &mut dyn Write, line: String) -> Result<()> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
}

fn plan(args: &RunArgs, data: &Path, subject: Subject, defaults: &Defaults) -> Result<Plan> {
    let epochs = args.epochs.unwrap_or(defaults.epochs);
    within("size", Some(args.size), INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    within("epochs", Some(epochs), 1, usize::MAX)?;
    within("batch", Some(args.batch), 1, BATCH_MAX)?;
    let optimizer = args.optimizer.unwrap_or(defaults.optimizer);
    let rate = args.rate.or(defaults.rate).unwrap_or(optimizer.rate());
    if !(rate > 0.0 && rate <= 1.0) {
        return Err(Error::Usage(format!("--rate {rate}: must be above 0, to 1")));
    }
    if let Some(weight) = args.objectness.filter(|weight| !(*weight >= 0.0 && weight.is_finite())) {
        return Err(Error::Usage(format!("--objectness {weight}: must be 0 or more")));
    }
    Ok(Plan {
        data: absolute(data)?,
        root: args.root.as_deref().map(absolute).transpose()?,
        skip_bad: args.skip_bad,
        model: model_of(subject.model)?,
        multiples: subject.multiples,
        size: args.size,
        epochs,
        batch: args.batch,
        seed: args.seed,
        optimizer,
        rate,
        objectness: args.objectness,
        patience: args.patience,
        augment: Augment::default(),
        lesson: subject.lesson,
        learn_scales: subject.learn_scales,
    })
}

/// A built-in network's name as it is, a file's whole path: a run goes on from any folder.
fn model_of(model: &str) -> Result<String> {
    match Path::new(model).extension() {
        Some(_) => Ok(absolute(Path::new(model))?.to_string_lossy().into_owned()),
        None => Ok(model.to_owned()),
    }
}

pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::io(path, e))
}

fn one_epoch(run: &mut Run, epochs: usize) -> Result<Epoch> {
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let bar = ProgressBar::new(run.steps() as u64)
        .with_style(style("{prefix} {bar:30} {pos}/{len} steps, {per_sec}, {eta} left {msg}"))
        .with_prefix(format!("epoch {}/{epochs}", run.epochs() + 1));
    let looks =
        ProgressBar::new(run.measured() as u64).with_style(style("measuring {bar:30} {pos}/{len} images"));
    let stepped = |losses: Losses| {
        bar.set_message(format!("loss {:.4}", losses.sum()));
        bar.inc(1);
        if bar.position() == bar.length().unwrap_or(0) {
            bar.finish_and_clear();
        }
    };
    let epoch = run.epoch(stepped, || looks.inc(1));
    bar.finish_and_clear();
    looks.finish_and_clear();
    epoch
}

fn line(epoch: &Epoch, epochs: usize) -> String {
    let Losses { boxes, objectness, classes, features } = epoch.losses;
    let features = if features > 0.0 { format!(" {features:.4} features") } else { String::new() };
    let scores = scores_line(&epoch.scores);
    let best = if epoch.best { " *" } else { "" };
    format!(
        "epoch {}/{epochs}   loss {boxes:.4} box {objectness:.4} obj {classes:.4} cls{features}   mAP50-95/50: {scores}{best}",
        epoch.number
    )
}

pub(super) fn scores_line(scores: &[Score]) -> String {
    let one = |score: &Score| format!("{} {:.4}/{:.4}", score.name, score.map, score.map50);
    scores.iter().map(one).collect::<Vec<_>>().join(", ")
}
