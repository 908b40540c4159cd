//! `calib dataset stats`.

use crate::cli::data::{DataArgs, PartName};
use crate::cli::{Format, print, within};
use crate::dataset::Checked;
use crate::dataset::stats::{self, SIZES, SetStats};
use crate::error::Result;
use crate::page::{InstanceBar, instances_svg};
use crate::write::save::{check_target, save};
use clap::Args;
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
A description joins data sets under the classes of a model:
  classes = [\"person\", \"vehicle\"]
  hold-out = { share = 0.05 }           # of each [[train]], to choose the best epoch by: see calib train --help

  [[train]]                             # any number of these, and of [[val]]
  name = \"street\"                       # in tables and messages
  annotations = \"street/train\"          # relative to this file, or to --root
  images = \"street/pictures\"            # if not where the format has them
  format = \"yolo\"                       # coco, yolo, voc, cityscapes; else found out
  map = { Car = \"vehicle\", Bus = \"vehicle\" }
  ignore = [\"Train\"]                    # neither an object nor background
  labelled = [\"vehicle\"]                # else: what `map` and equal names lead to
  unlabelled = \"background\"             # what a picture without label file is; else a fault. \"unknown\": a folder of
                                        # pictures without labels, from which `calib distill` learns
  repeat = 2                            # how often an epoch shows each picture

Faults are missing pictures and label files, broken pictures, boxes outside or without area, classes out of
range, what is no number. All are listed; exit status 1 unless --skip-bad.";

/// Arguments of `calib dataset stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Which annotated pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// Side of the network's input in pixels, which sizes are counted in.
    #[arg(long, value_name = "PIXELS", default_value_t = 320)]
    pub size: usize,
    /// Also draw the counts as a picture.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Form of the counts on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Serialize)]
struct Report {
    size: usize,
    /// Upper bounds of `by_size`.
    sizes: [f32; SIZES.len()],
    sets: Vec<SetStats>,
    faults: Vec<String>,
}

/// Counts, and prints on `out`.
pub(super) fn run(args: &StatsArgs, out: &mut dyn Write) -> Result<()> {
    within("size", Some(args.size), INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    args.svg.as_deref().map_or(Ok(()), |path| check_target("--svg", path))?;
    let (mut sets, mut faults, mut verdicts) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, checked) in parts(args)? {
        let (set, findings) = checked.into_parts();
        faults.extend(findings.iter().map(|fault| fault.to_string()));
        verdicts.push(findings.into_result());
        sets.extend(stats::of(&set, args.size).into_iter().map(|mut of_set| {
            of_set.name = kind.to_owned() + &of_set.name;
            of_set
        }));
    }
    if let Some(path) = &args.svg {
        save(&[(path, picture(&sets, args.size).as_bytes())])?;
    }
    let report = Report { size: args.size, sizes: SIZES, sets, faults };
    print(out, args.format, &report, || stats::to_text(&report.sets))?;
    if args.data.skip_bad {
        report.faults.iter().for_each(|fault| eprintln!("left out: {fault}"));
        return Ok(());
    }
    verdicts.into_iter().collect()
}

/// Both parts of a description, or the data set.
fn parts(args: &StatsArgs) -> Result<Vec<(&'static str, Checked)>> {
    let Some(description) = args.data.description()? else {
        return Ok(vec![("", args.data.checked(PartName::Train)?)]);
    };
    let mut parts = Vec::new();
    if !description.train.is_empty() {
        parts.push(("train ", description.read_train()?));
    }
    if !description.val.is_empty() {
        parts.push(("val ", description.read_val()?));
    }
    Ok(parts)
}

fn picture(sets: &[SetStats], side: usize) -> String {
    let bars = |set: &SetStats| -> Vec<InstanceBar> {
        let counted = set.classes.iter().filter(|class| class.known || class.boxes > 0);
        counted.map(|class| InstanceBar { name: class.name.clone(), parts: class.by_size.to_vec() }).collect()
    };
    let sets: Vec<(String, Vec<InstanceBar>)> = sets
        .iter()
        .map(|set| (format!("{}: {} pictures, {} boxes", set.name, set.pictures, set.boxes), bars(set)))
        .collect();
    let mut parts: Vec<String> = SIZES.iter().map(|bound| format!("below {bound}")).collect();
    parts.push("larger".to_owned());
    instances_svg(&sets, &parts, &format!("Root of the box's area in pixels, input {side}"))
}
