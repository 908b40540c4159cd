//! `calib qat`: arguments and the run.

use super::train::{self, Defaults, RunArgs, Subject, absolute, say, scores_line};
use crate::error::{Error, Result};
use crate::train::schedule::Optimizer;
use crate::train::teacher::Lesson;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  An int8 model that lost too much learns to do with its codes; the float one shows how:
    calib quantize m.onnx train2017 --limit 300 --size 320 --per-tensor -o m8.onnx
    calib qat m8.onnx --teacher m.onnx --data data.toml --size 320 -o run

The model is one that `calib quantize` has written. Its grids stay, or their scales are learned, too (--learn-scales), and
weights and biases are trained behind them: forward everything is rounded to the codes that the runtime has, backward as if it
were not (straight through). data.toml and the folder are as for `calib train`; last.onnx and best.onnx are int8 models again,
and what is measured after each epoch is what the runtime computes. Its classes have to be those of the data.";

/// A short run of small steps.
const DEFAULTS: Defaults = Defaults { epochs: 10, optimizer: Optimizer::AdamW, rate: Some(1e-4) };

/// Arguments of `calib qat`.
#[derive(Debug, Args)]
pub struct QatArgs {
    /// The int8 model to begin with.
    #[arg(value_name = "MODEL", required_unless_present = "resume", conflicts_with = "resume")]
    pub model: Option<PathBuf>,
    /// The float model, whose word counts where no label asks for anything.
    #[arg(long, value_name = "MODEL", conflicts_with = "resume")]
    pub teacher: Option<PathBuf>,
    /// How much what the teacher sees counts, in parts of a label.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, conflicts_with = "resume")]
    pub weight: f64,
    /// Learn the scales of the codes, too, those of weights and of what goes from layer to layer (LSQ); zero points and the
    /// number of codes stay.
    #[arg(long, conflicts_with = "resume")]
    pub learn_scales: bool,
    /// The run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Trains behind the grids of an int8 model.
pub(super) fn run(args: &QatArgs, out: &mut dyn Write) -> Result<()> {
    let lesson = |model: &PathBuf| {
        Ok::<_, Error>(Lesson { model: absolute(model)?, map: Vec::new(), weight: args.weight, taps: None })
    };
    let lesson = args.teacher.as_ref().map(lesson).transpose()?;
    let model = args.model.as_deref().unwrap_or_else(|| "".as_ref()).to_string_lossy();
    let mut run = train::open(
        &args.run,
        Subject {
            model: &model,
            multiples: [None; 2],
            weights: None,
            lesson,
            learn_scales: args.learn_scales,
        },
        &DEFAULTS,
    )?;
    if !run.is_int8() {
        return Err(Error::Usage(format!("{model}: a float model; make it int8 by calib quantize first")));
    }
    if run.epochs() == 0 {
        let scores = run.scores(|| ())?;
        say(out, format!("before   mAP50-95/50: {}", scores_line(&scores)))?;
    }
    train::report(&mut run, out)
}
