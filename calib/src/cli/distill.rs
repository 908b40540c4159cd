//! `calib distill`: arguments.

use super::sheet::{PIXELS_MAX, Sheet};
use super::train::{self, TrainArgs, absolute, say};
use crate::dataset::classes::MapEntry;
use crate::error::{Error, Result};
use crate::train::features::Taps;
use crate::train::imitation::Kind;
use crate::train::plan::Plan;
use crate::train::preview::{Preview, draw};
use crate::train::teacher::Lesson;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Pictures that --preview draws, and how many in a row.
const DRAWN: usize = 16;
const DRAWN_COLUMNS: usize = 4;

pub(super) const EXAMPLES: &str = "\
Examples:
  A small network learns from labels, and from what a larger one sees where there are none:
    calib distill --teacher s.param --map car=vehicle,bus=vehicle --data data.toml --size 256 -o run
  Feature imitation: a layer's result is to be the teacher's where objects are
    calib distill --teacher s.param --map car=vehicle --imitate STUDENT_LAYER=TEACHER_LAYER --data data.toml -o run
  Where is that? A look at it first; nothing is trained:
    calib distill --teacher s.param --map car=vehicle --imitate STUDENT_LAYER=TEACHER_LAYER --data data.toml -o run --preview mask.jpg
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
    /// A layer of the student whose result is to be like that of one of the teacher's, through a 1×1 convolution that is
    /// learned, too.
    #[arg(long, value_name = "STUDENT=TEACHER", conflicts_with = "resume")]
    pub imitate: Option<String>,
    /// How: imitation, where objects are; channelwise, in what each channel looks to.
    #[arg(long, value_enum, default_value_t, requires = "imitate")]
    pub features: Kind,
    /// What that weighs in the loss.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.01, requires = "imitate")]
    pub feature_weight: f64,
    /// Instead of training, draw the cells where the student is to imitate the teacher's features, with the labelled boxes,
    /// onto pictures as training shows them: a sheet, .jpg or .png.
    #[arg(long, value_name = "FILE", requires = "imitate", conflicts_with = "resume")]
    pub preview: Option<PathBuf>,
    #[command(flatten)]
    train: TrainArgs,
}

/// Trains with a teacher.
pub(super) fn run(args: &DistillArgs, out: &mut dyn Write) -> Result<()> {
    if !(args.weight >= 0.0 && args.weight.is_finite()) {
        return Err(Error::Usage(format!("--weight {}: must be 0 or more", args.weight)));
    }
    let taps = args.imitate.as_deref().map(|text| taps(args, text)).transpose()?;
    let lesson = |model: &PathBuf| {
        let (model, map, taps) = (absolute(model)?, args.map.clone(), taps.clone());
        Ok::<_, Error>(Lesson { model, map, weight: args.weight, taps })
    };
    let lesson = args.teacher.as_ref().map(lesson).transpose()?;
    match &args.preview {
        Some(path) => preview(path, &train::planned(&args.train, lesson)?, out),
        None => train::run(&args.train, lesson, out),
    }
}

/// Draws where the run is to imitate.
fn preview(path: &Path, plan: &Plan, out: &mut dyn Write) -> Result<()> {
    let sheet = Sheet::at("--preview", path)?;
    let count = DRAWN.min(PIXELS_MAX / (plan.size * plan.size)).max(1);
    let Preview { pictures, grid: [rows, columns], masked } = draw(plan, plan.read()?.train, count)?;
    sheet.write(&pictures, plan.size, DRAWN_COLUMNS)?;
    let (count, cells) = (pictures.len(), pictures.len() * rows * columns);
    say(
        out,
        format!(
            "{}: {count} pictures of {rows}×{columns} cells; {masked} of {cells} are imitated ({:.1} %)",
            path.display(),
            100.0 * masked as f64 / cells as f64
        ),
    )
}

fn taps(args: &DistillArgs, text: &str) -> Result<Taps> {
    if !(args.feature_weight >= 0.0 && args.feature_weight.is_finite()) {
        return Err(Error::Usage(format!("--feature-weight {}: must be 0 or more", args.feature_weight)));
    }
    let Some((student, teacher)) = text.split_once('=') else {
        return Err(Error::Usage(format!("--imitate {text}: two names of layers, STUDENT=TEACHER")));
    };
    let (student, teacher) = (student.trim().to_owned(), teacher.trim().to_owned());
    Ok(Taps { student, teacher, kind: args.features, weight: args.feature_weight })
}
