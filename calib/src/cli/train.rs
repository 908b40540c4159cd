//! `calib train`: arguments and the run.

use super::within;
use crate::augment::Augment;
use crate::error::{Error, Result};
use crate::train::loss::Losses;
use crate::train::run::{Plan, Run};
use crate::train::schedule::Optimizer;
use crate::train::teacher::Lesson;
use crate::train::trainer::Epoch;
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

The folder gets best.onnx and last.onnx, the models of the best and of the last epoch, for `calib eval` and
`calib quantize`; last.safetensors, from which an interrupted run goes on to the same numbers, as long as the data stay what they are; and log.csv. Measured
are the averaged weights on each [[val]] set, as `calib eval` measures. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Which data sets, and which of their classes.
    #[arg(long, value_name = "TOML", required_unless_present = "resume")]
    pub data: Option<PathBuf>,
    /// What the paths in it are relative to [default: its folder].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Network: v5lite-e (the smallest), v5lite-s, v5lite-c, yolov5n or yolov5s.
    #[arg(long, value_name = "NAME", default_value = "v5lite-e")]
    pub model: String,
    /// Side of the pictures in pixels, a multiple of 32.
    #[arg(long, value_name = "PIXELS", default_value_t = 320)]
    pub size: usize,
    /// How often all pictures are seen.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub epochs: usize,
    /// Pictures of a step.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub batch: usize,
    /// How weights follow from gradients.
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub optimizer: Optimizer,
    /// The highest learning rate, after the first epochs [default: 0.01, with adamw 0.001].
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
    /// Begin from the averaged weights of this checkpoint instead of random ones.
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// Leave out pictures and boxes that are faulty, instead of refusing the data.
    #[arg(long)]
    pub skip_bad: bool,
    /// Folder of the run.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Go on with the run in the folder, as it was begun.
    #[arg(long, conflicts_with_all = ["data", "root", "skip_bad", "model", "size", "epochs", "batch", "optimizer", "rate", "objectness", "patience", "seed", "weights"])]
    pub resume: bool,
}

/// Trains, with a teacher if there is a lesson, and reports each epoch on `out`.
pub(super) fn run(args: &TrainArgs, lesson: Option<Lesson>, out: &mut dyn Write) -> Result<()> {
    let mut run = match &args.data {
        Some(data) if !args.resume => {
            let plan = Plan { lesson, ..plan(args, data)? };
            let data = plan.read()?;
            Run::begin(plan, data, &args.output, args.weights.as_deref())?
        }
        _ => {
            let data = Run::plan_of(&args.output)?.read()?;
            Run::resume(data, &args.output)?
        }
    };
    let say = |out: &mut dyn Write, line: String| {
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|e| Error::io("standard output", e))
    };
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
        let epoch = one_epoch(&mut run, epochs)?;
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

fn plan(args: &TrainArgs, data: &Path) -> Result<Plan> {
    within("size", Some(args.size), INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    within("epochs", Some(args.epochs), 1, usize::MAX)?;
    within("batch", Some(args.batch), 1, BATCH_MAX)?;
    let rate = args.rate.unwrap_or(args.optimizer.rate());
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
        model: args.model.clone(),
        size: args.size,
        epochs: args.epochs,
        batch: args.batch,
        seed: args.seed,
        optimizer: args.optimizer,
        rate,
        objectness: args.objectness,
        patience: args.patience,
        augment: Augment::default(),
        lesson: None,
    })
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
    let Losses { boxes, objectness, classes } = epoch.losses;
    let scores =
        epoch.scores.iter().map(|score| format!("{} {:.4}/{:.4}", score.name, score.map, score.map50));
    let scores: Vec<String> = scores.collect();
    let best = if epoch.best { " *" } else { "" };
    format!(
        "epoch {}/{epochs}   loss {boxes:.4} box {objectness:.4} obj {classes:.4} cls   mAP50-95/50: {}{best}",
        epoch.number,
        scores.join(", ")
    )
}
