//! `calib label`: arguments and the run.

use super::dataset::write::{check_new, export};
use super::flags::{PicturesArgs, RunArgs, check_share};
use super::{Format, bar_of, print};
use crate::dataset::classes::{MapEntry, same};
use crate::dataset::export::{Selection, picture_folder};
use crate::dataset::{self, Findings, Skipped, Whole, read_names};
use crate::error::{Error, Result};
use crate::label::{Rules, label};
use crate::runtime::{self, ModelOptions};
use clap::Args;
use ocellus::loader::EMBEDDED;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  Persons and vehicles on your own pictures, by the built-in model:
    calib label frames -o frames.json
  By a larger model, whose cars, buses and trucks are vehicles, as a YOLO folder with copies of the pictures:
    calib label frames --model s.param --size 640 --map car=vehicle,bus=vehicle,truck=vehicle \\
      --classes person,vehicle --to yolo -o labelled
  Look at what was found before anything is trained on it:
    calib dataset preview frames.json --images frames -o sheet.jpg

For `calib train`, the description of the data has an entry like any other:
    [[train]]
    annotations = \"frames.json\"
    images = \"frames\"
Boxes from --sure on are objects. Those between --score and --sure are neither objects nor background: COCO's file calls
them crowds, VOC's difficult. YOLO's cannot say that, so there they are left out, and training takes them for background.
A model's labels have its mistakes; labels of people belong beside them. Without files, `calib distill` has a teacher say
more of each picture (`unlabelled = \"unknown\"`). Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Arguments of `calib label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// The pictures.
    #[command(flatten)]
    pub pictures: PicturesArgs,
    /// The detector that labels: .onnx, ncnn .param, or a .pt of YOLOv5 or YOLOv5-Lite.
    #[arg(long, value_name = "FILE", default_value = EMBEDDED)]
    pub model: PathBuf,
    /// Class names of the model, one per line, where its file does not say them.
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Which of the model's classes is which class of the labels; others keep their names.
    #[arg(long, value_name = "MODEL=LABEL", value_delimiter = ',')]
    pub map: Vec<MapEntry>,
    /// The classes that are labelled, in their order [default: all that the model has].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub classes: Vec<String>,
    /// Boxes of at least this score are objects.
    #[arg(long, value_name = "SCORE", default_value_t = 0.5)]
    pub sure: f32,
    /// Boxes of at least this score that are not sure are neither objects nor background; the same as --sure: none.
    #[arg(long, value_name = "SCORE", default_value_t = 0.2)]
    pub score: f32,
    /// Two boxes of a class that overlap more than this are one object.
    #[arg(long, value_name = "IOU", default_value_t = 0.5)]
    pub iou: f32,
    /// Format to write: coco, yolo or voc.
    #[arg(long, value_enum, default_value_t = dataset::Format::Coco)]
    pub to: dataset::Format,
    /// COCO: the annotation file to write; the pictures stay where they are. YOLO and VOC: a new folder, with the pictures.
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: PathBuf,
    /// Input size, threads and preprocessing.
    #[command(flatten)]
    pub run: RunArgs,
    /// Leave out pictures that cannot be read instead of stopping.
    #[arg(long)]
    pub skip_bad: bool,
    /// Form of the report on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What was labelled.
#[derive(Default, Serialize)]
struct Report {
    output: String,
    /// What file names in a COCO file are relative to.
    images: String,
    pictures: usize,
    classes: Vec<Count>,
    /// Regions that are neither objects nor background.
    doubtful: usize,
    /// Those of them that the format cannot say.
    unsaid: usize,
    /// Pictures that cannot be read.
    left_out: usize,
}

#[derive(Serialize)]
struct Count {
    name: String,
    boxes: usize,
}

/// Labels, writes, and says on `out` what was found.
pub(super) fn run(args: &LabelArgs, out: &mut dyn Write) -> Result<()> {
    check(args)?;
    let names = args.names.as_deref().map(read_names).transpose()?;
    let options = ModelOptions {
        model: args.model.clone(),
        side: args.run.size,
        score_min: args.score,
        iou_max: args.iou,
        multi_label: false,
        // Whole pictures are shared among the threads, not the steps of one.
        threads: Some(1),
        names,
        preprocess: args.run.preprocess.entries(),
        ..ModelOptions::default()
    };
    let classes = (!args.classes.is_empty()).then_some(&args.classes[..]);
    let mut rules = Rules::new(runtime::open(&options)?.class_names(), classes, &args.map)?;
    (rules.sure, rules.iou) = (args.sure, args.iou);
    let mut findings = Findings::gathering();
    let mut whole = Whole::of_pictures(args.pictures.find()?, &mut findings)?;
    let unread = findings.count();
    accept(findings, args.skip_bad)?;
    let bar = bar_of(whole.sizes.len());
    let make = || Ok(runtime::open(&options)?);
    let broken = label(&mut whole, &rules, make, args.run.threads(), || bar.inc(1));
    bar.finish_and_clear();
    let broken = broken?;
    let mut findings = Findings::gathering();
    for (_, Skipped { file, reason }) in &broken {
        findings.note(Error::bad_data(file, reason))?;
    }
    accept(findings, args.skip_bad)?;
    let read = |at: &u32| broken.binary_search_by_key(at, |(at, _)| *at).is_err();
    let pictures: Vec<u32> = (0..whole.sizes.len() as u32).filter(read).collect();
    if pictures.is_empty() {
        return Err(Error::Unmet("no picture can be read".to_owned()));
    }
    let unsaid = export(Selection { whole: &whole, pictures: &pictures }, args.to, &args.output)?;
    let report = Report {
        output: args.output.display().to_string(),
        images: picture_folder(&whole).display().to_string(),
        pictures: pictures.len(),
        left_out: unread + broken.len(),
        unsaid,
        ..counted(&whole)
    };
    print(out, args.format, &report, || text(&report, args.to))
}

/// Refuses what could only fail after a long run.
fn check(args: &LabelArgs) -> Result<()> {
    args.pictures.check()?;
    args.run.check()?;
    for (flag, share) in [("sure", args.sure), ("score", args.score), ("iou", args.iou)] {
        check_share(flag, share.into())?;
    }
    if args.score > args.sure {
        let what = format!(
            "--score {}: is above --sure {}, so that nothing would be between",
            args.score, args.sure
        );
        return Err(Error::Usage(what));
    }
    for (at, name) in args.classes.iter().enumerate() {
        if name.trim().is_empty() || args.classes[..at].iter().any(|earlier| same(earlier, name)) {
            return Err(Error::Usage(format!("--classes: `{name}` is empty or there twice")));
        }
    }
    if args.to == dataset::Format::Cityscapes {
        return Err(Error::Usage(
            "--to cityscapes: a model gives boxes, no polygons; write coco, yolo or voc".into(),
        ));
    }
    // Labels may have been corrected by hand: none are overwritten.
    check_new(&args.output)
}

/// Refuses pictures that cannot be read, or says which are left out.
fn accept(findings: Findings, skip_bad: bool) -> Result<()> {
    match skip_bad {
        true => findings.iter().for_each(|fault| eprintln!("left out: {fault}")),
        false => findings.into_result()?,
    }
    Ok(())
}

/// A report with the numbers of boxes alone.
fn counted(whole: &Whole) -> Report {
    let annotations = &whole.dataset.annotations;
    let count = |(class, name): (u32, &String)| Count {
        name: name.clone(),
        boxes: annotations.iter().filter(|label| label.category == class && !label.crowd).count(),
    };
    let names: Vec<String> = whole.dataset.categories.iter().map(|category| category.name.clone()).collect();
    let classes = (0..).zip(&names).map(count).collect();
    let doubtful = annotations.iter().filter(|label| label.crowd).count();
    Report { classes, doubtful, ..Report::default() }
}

fn text(report: &Report, to: dataset::Format) -> String {
    let found = report.classes.iter().filter(|class| class.boxes > 0);
    let found: Vec<String> = found.map(|class| format!("{} {}", class.name, class.boxes)).collect();
    let found = if found.is_empty() { "no objects".to_owned() } else { found.join(", ") };
    let mut text = format!("{}: {} pictures; {found}\n", report.output, report.pictures);
    text += &match report.unsaid {
        0 if report.doubtful == 0 => String::new(),
        0 => format!("{} doubtful boxes are neither objects nor background\n", report.doubtful),
        unsaid => format!(
            "{unsaid} doubtful boxes left out, so background: this format cannot say so; coco and voc can\n"
        ),
    };
    if to == dataset::Format::Coco {
        text += &format!("file names are relative to {}\n", report.images);
    }
    text
}
