//! `calib pipeline`: arguments and the run.

use super::{Format, print, train};
use crate::error::{Error, Result};
use crate::pipeline::config::Config;
use crate::pipeline::{self, Hands};
use crate::train::run::Run;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Example:
    calib pipeline person-vehicle.toml -o made

person-vehicle.toml says what is wanted; paths are relative to it:
    data = \"data.toml\"            # as of calib train
    root = \"pictures\"             # what paths in it are relative to
    size = 256
    [teacher]                     # without it there is no distillation
    file = \"s.param\"              # or [teacher.train] with the keys of [student]: it is trained first
    map = { car = \"vehicle\" }     # its classes that have other names
    [student]
    network = \"v5lite-e\"
    epochs = 76                   # and batch, optimizer, rate, objectness, as the flags of calib train
    [quantize]
    pictures = [\"coco/train\"]     # to calibrate with, below root; without it those that are trained on
    max-drop = 0.005              # of the mean mAP; and limit, min-int8, max-tries
    [qat]
    epochs = 10                   # and rate, learn-scales

The student is trained with and without the teacher, the better one is quantized; if that loses more than max-drop, it is
trained behind its grids, and if that is not enough, layers go back to float. DIR gets float.onnx, int8.onnx, report.md and
report.json; DIR/steps keeps what each step made. The same command goes on where it was interrupted, and makes again only
what follows from something that has changed. Exit status: 0 done, 1 failed or max-drop is not met, 2 wrong usage.";

/// Arguments of `calib pipeline`.
#[derive(Debug, Args)]
pub struct PipelineArgs {
    /// What is wanted.
    #[arg(value_name = "TOML")]
    pub config: PathBuf,
    /// Folder of what is made.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Form of the table on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// Makes all; what is going on is told on standard error, the table on `out`.
pub(super) fn run(args: &PipelineArgs, out: &mut dyn Write) -> Result<()> {
    let config = Config::open(&args.config)?;
    let mut say = |line: &str| {
        eprintln!("{line}");
        Ok(())
    };
    let mut train = |run: &mut Run| train::report(run, &mut std::io::stderr());
    let outcome = pipeline::run(&config, &args.output, &mut Hands { say: &mut say, train: &mut train })?;
    print(out, args.format, &outcome, || outcome.to_text())?;
    match outcome.met {
        true => Ok(()),
        false => Err(Error::Unmet(format!(
            "int8 loses {:.4} of the mean mAP, more than max-drop = {}; the best model was written: allow more, give \
             [qat] more epochs, or lower min-int8",
            outcome.drop, config.quantize.max_drop
        ))),
    }
}
