//! `calib anchors`: arguments and the run.

use super::data::{DataArgs, PartName};
use super::{Format, print, within};
use crate::anchors::{Extent, Fit, choose, extents, fit, text};
use crate::error::{Error, Result};
use clap::Args;
use ocellus::detect::Anchors;
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use serde::Serialize;
use std::io::Write;

pub(super) const EXAMPLES: &str = "\
Examples:
  Nine anchors, three for each of three scales, for a network of 320 pixels a side:
    calib anchors data.toml --size 320
  As one line for `ocellus detect --anchors`:
    calib anchors data.toml --size 320 --format json | jq -r .text

Recall is the part of the boxes that some anchor is like, within a factor of 4 across and down: training uses no
other. Near 1, anchors are good enough, whatever their fitness. Exit status: 0 done, 1 failed, 2 wrong usage.";

/// Most anchors.
const COUNT_MAX: usize = 48;

/// Arguments of `calib anchors`.
#[derive(Debug, Args)]
pub struct AnchorsArgs {
    /// Which annotated pictures.
    #[command(flatten)]
    pub data: DataArgs,
    /// Side of the network's input in pixels.
    #[arg(long, value_name = "PIXELS", default_value_t = 320)]
    pub size: usize,
    /// Number of anchors, of all scales together.
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub count: usize,
    /// Number of scales that share them.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub scales: usize,
    /// What the search follows from.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Form of the result on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Serialize)]
struct Report {
    size: usize,
    boxes: usize,
    /// Width and height in pixels, by scale, the smallest first.
    anchors: Vec<Vec<Extent>>,
    /// The same as the runtime reads it.
    text: String,
    fit: Fit,
    /// That of YOLOv5's anchors, scaled to this size.
    usual: Fit,
}

/// Chooses anchors, and prints them on `out`.
pub(super) fn run(args: &AnchorsArgs, out: &mut dyn Write) -> Result<()> {
    within("size", Some(args.size), INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
    within("count", Some(args.count), 1, COUNT_MAX)?;
    if args.scales == 0 || !args.count.is_multiple_of(args.scales) {
        return Err(Error::Usage(format!("--scales {}: must divide --count {}", args.scales, args.count)));
    }
    let set = args.data.training_set(PartName::Train)?;
    let boxes = extents(&set, args.size);
    // To whole pixels: nothing is gained by more digits.
    let chosen: Vec<Extent> =
        choose(&boxes, args.count, args.seed).iter().map(|a| a.map(|side| side.round().max(1.0))).collect();
    if chosen.len() < args.count {
        let what = format!("{} boxes of different size are too few for {} anchors", chosen.len(), args.count);
        return Err(Error::Unmet(what));
    }
    // YOLOv5's are in pixels of an input of 640.
    let scale = args.size as f64 / 640.0;
    let anchors: Vec<Vec<Extent>> = chosen.chunks(args.count / args.scales).map(<[Extent]>::to_vec).collect();
    let usual = Anchors::yolov5(3).expect("anchors of three scales");
    let usual: Vec<Extent> =
        usual.levels().iter().flatten().map(|a| a.map(|side| f64::from(side) * scale)).collect();
    let report = Report {
        size: args.size,
        boxes: boxes.len(),
        text: text(&anchors),
        anchors,
        fit: fit(&boxes, &chosen),
        usual: fit(&boxes, &usual),
    };
    print(out, args.format, &report, || to_text(&report))
}

fn to_text(report: &Report) -> String {
    let line = |name: &str, fit: Fit| {
        format!("{name:<10} {:>7.4} {:>8.4} {:>12.2}\n", fit.recall, fit.fitness, fit.anchors_per_box)
    };
    format!(
        "{}\n\n{} boxes     recall  fitness  anchors/box\n{}{}",
        report.text,
        report.boxes,
        line("these", report.fit),
        line("YOLOv5's", report.usual)
    )
}
