//! `calib sensitivity`: arguments and the run.

use super::calibrating::{Calibrated, CalibratingArgs, steps_bar};
use super::measuring::hash;
use super::{Format, print, within};
use crate::error::Result;
use crate::page::{self, LayerRow, Precision};
use crate::quantize::sensitivity::{self, LayerCost};
use crate::quantize::{Calibration, Recipe};
use crate::table::sample;
use crate::write::save::{check_target, save};
use clap::Args;
use ocellus::graph::Op;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  The layers of a model, the costliest first:
    calib sensitivity yolov5-lite.onnx train2017 --limit 300 --size 320
  The same as JSON, in the order of the network, and as a picture:
    calib sensitivity m.onnx train2017 --limit 300 --format json --svg layers.svg

A layer with few decibels is one to keep in float: calib quantize --keep-float. Exit status: 0 done, 1 failed,
2 wrong usage.";

/// What [`LayerRow::loss`] is on pages and pictures.
pub(super) const LOSS: &str =
    "noise of the network's outputs where the layer alone is int8, in percent of the signal";

/// Arguments of `calib sensitivity`.
#[derive(Debug, Args)]
pub struct SensitivityArgs {
    /// Model, pictures and choices.
    #[command(flatten)]
    pub calibrating: CalibratingArgs,
    /// Compare on so many of the pictures.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub pictures: usize,
    /// Form of the table on standard output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write the costs of the layers as a picture, too.
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// What the layers lose.
#[derive(Debug, Serialize)]
struct Sensitivity {
    /// The float model.
    model: String,
    /// Pictures that calibrated.
    images: usize,
    /// As in the summary of `calib quantize`.
    images_hash: String,
    /// Pictures that the layers were compared on.
    pictures: usize,
    /// The layers, in the order of the graph.
    layers: Vec<LayerCost>,
    /// What may be wrong.
    warnings: Vec<String>,
}

/// Measures, and prints the table on `out`.
pub(super) fn run(args: &SensitivityArgs, out: &mut dyn Write) -> Result<()> {
    within("pictures", Some(args.pictures), 1, usize::MAX)?;
    args.svg.as_deref().map_or(Ok(()), |path| check_target("--svg", path))?;
    let done = args.calibrating.calibrate()?;
    let warnings = done.warnings();
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let whole = done.calibration.recipe(&args.calibrating.choices(), &HashSet::new());
    let costs = layers(args.pictures, &args.calibrating, &done, &whole)?;
    if let Some(path) = &args.svg {
        let picture = page::layers_svg(&rows(&done.calibration, &costs), LOSS);
        save(&[(path, picture.as_bytes())])?;
    }
    let report = Sensitivity {
        model: args.calibrating.model.display().to_string(),
        images: done.calibration.pictures,
        images_hash: hash(&done.pictures),
        pictures: args.pictures.min(done.pictures.len()),
        layers: costs,
        warnings,
    };
    print(out, args.format, &report, || to_text(&report.layers))
}

/// The costs of all layers on `pictures` of those that calibrated.
pub(super) fn layers(
    pictures: usize,
    calibrating: &CalibratingArgs,
    done: &Calibrated,
    whole: &Recipe,
) -> Result<Vec<LayerCost>> {
    let few = sample(done.pictures.clone(), pictures, calibrating.pictures.seed);
    let bar = steps_bar(whole.layers.len(), "layers");
    let costs = sensitivity::layers(&done.calibration, whole, &few, calibrating.run.threads(), || bar.inc(1));
    bar.finish_and_clear();
    costs
}

/// The layers as the page has them.
pub(super) fn rows(calibration: &Calibration, costs: &[LayerCost]) -> Vec<LayerRow> {
    let row = |cost: &LayerCost| {
        let op = &calibration.network.graph().nodes[cost.at].op;
        LayerRow {
            name: cost.name.clone(),
            op: match op {
                Op::Conv { groups, .. } if *groups > 1 => "Grouped conv".to_owned(),
                op => op.name().to_owned(),
            },
            precision: Precision::Int8,
            macs: cost.macs,
            sqnr_db: cost.sqnr_db,
            loss: cost.alone_db.map(|db| 100.0 * 10f64.powf(-db / 20.0)),
        }
    };
    costs.iter().map(row).collect()
}

/// A table, the costliest layers first.
fn to_text(layers: &[LayerCost]) -> String {
    let mut sorted: Vec<&LayerCost> = layers.iter().collect();
    let cost = |layer: &LayerCost| layer.alone_db.unwrap_or(f64::INFINITY);
    sorted.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let width = layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0).max("layer".len());
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<width$} {:>9} {:>8} {:>8} {:>9} {:>8}",
        "layer", "alone dB", "own dB", "cosine", "clipped", "MMACs"
    );
    for layer in sorted {
        let cell =
            |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        let _ = writeln!(
            text,
            "{:<width$} {:>9} {:>8} {:>8} {:>8.4}% {:>8.2}",
            layer.name,
            cell(layer.alone_db, 1),
            cell(layer.sqnr_db, 1),
            cell(layer.cosine, 5),
            100.0 * layer.clipped,
            layer.macs as f64 / 1e6
        );
    }
    text
}
