//! `calib distill`: arguments.

use super::train::{self, TrainArgs, absolute};
use crate::dataset::classes::MapEntry;
use crate::error::{Error, Result};
use crate::train::teacher::Lesson;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  A small network learns from labels, and from what a larger one sees where there are none:
    calib distill --teacher s.param --map car=vehicle,bus=vehicle --data data.toml --size 256 -o run
  The same run, after it was interrupted:
    calib distill --resume -o run

The teacher may be any detector with YOLOv5's heads that the runtime reads; the student's network has to have the same
cells and gets the same anchors. At each cell the student is to say what the teacher says: whether there is an object,
where and of which class, the more the surer the teacher is. Where a label asks for something, the label decides.
data.toml, the folder and all else are as for `calib train`.";

/// Arguments of `calib distill`.
#[derive(Debug, Args)]
pub struct DistillArgs {
    /// The detector to learn from: an ONNX or ncnn model.
    #[arg(long, value_name = "MODEL", required_unless_present = "resume")]
    pub teacher: Option<PathBuf>,
    /// Which of the teacher's classes is which of the student's; others are matched by equal name.
    #[arg(long, value_name = "TEACHER=STUDENT", value_delimiter = ',', conflicts_with = "resume")]
    pub map: Vec<MapEntry>,
    /// How much what the teacher sees counts, in parts of a label.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, conflicts_with = "resume")]
    pub weight: f64,
    #[command(flatten)]
    train: TrainArgs,
}

/// Trains with a teacher.
pub(super) fn run(args: &DistillArgs, out: &mut dyn Write) -> Result<()> {
    if !(args.weight >= 0.0 && args.weight.is_finite()) {
        return Err(Error::Usage(format!("--weight {}: must be 0 or more", args.weight)));
    }
    let lesson = |model: &PathBuf| {
        Ok::<_, Error>(Lesson { model: absolute(model)?, map: args.map.clone(), weight: args.weight })
    };
    train::run(&args.train, args.teacher.as_ref().map(lesson).transpose()?, out)
}
