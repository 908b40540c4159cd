//! What a calibration did, for people and programs.

use super::text::Entry;
use super::{CODE_MAX, Collected, Layer, Table, Thresholds};
use crate::dataset::Skipped;
use serde::Serialize;
use std::fmt::Write;

/// Below this many pictures the spread of activations is a guess.
const PICTURES_FEW: usize = 100;
/// Clipping a larger share of a tensor deserves a look.
const CLIPPED_MUCH: f64 = 0.01;
/// The least scale that six decimals still hold to a percent.
const SCALE_MIN: f32 = 1e-4;

/// One layer in a [`Summary`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerRow {
    /// Its name.
    pub name: String,
    /// Largest magnitude of its input.
    pub absmax: f32,
    /// Magnitudes above this are clipped.
    pub threshold: f32,
    /// 127 / threshold; `null`: the layer stays in float.
    pub scale: Option<f32>,
    /// Share (0 to 1) of the input's numbers that are clipped.
    pub clipped: f64,
    /// Output channels (groups, where it is grouped) whose weights are all zero.
    pub dead_channels: Vec<usize>,
}

/// What a calibration did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of pictures seen.
    pub images: usize,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
    /// What may be wrong with the table.
    pub warnings: Vec<String>,
    /// The layers, in the order of the file.
    pub layers: Vec<LayerRow>,
}

/// 127 over the largest magnitude, where that is a number to multiply with.
fn scale_of(threshold: f32) -> Option<f32> {
    Some(CODE_MAX / threshold).filter(|scale| scale.is_finite() && *scale >= SCALE_MIN)
}

/// The table of `layers` with these `thresholds`, and what there is to say about it.
pub fn tabulate(layers: &[Layer], collected: Collected, thresholds: &[Thresholds]) -> (Table, Summary) {
    let mut table = Table::default();
    let mut warnings = Vec::new();
    if collected.pictures < PICTURES_FEW {
        warnings.push(format!(
            "{} pictures are few: activations of others may reach further; give {PICTURES_FEW} or more",
            collected.pictures
        ));
    }
    let mut rows = Vec::new();
    for (layer, &Thresholds { input: threshold, ref weights }) in layers.iter().zip(thresholds) {
        let histogram = &collected.histograms[layer.tensor];
        let row = LayerRow {
            name: layer.name.clone(),
            absmax: histogram.absmax(),
            threshold,
            scale: scale_of(threshold),
            clipped: histogram.share_above(threshold),
            dead_channels: dead_channels(layer),
        };
        warnings.extend(warnings_of(&row, layer.weight_absmax.len()));
        // All weights of such a channel are code 0 with any scale; 1 needs no care from whoever reads it.
        let weights = weights.iter().map(|&most| scale_of(most).unwrap_or(1.0)).collect();
        table.entries.push(Entry { name: row.name.clone(), weights, input: row.scale });
        rows.push(row);
    }
    let Collected { pictures, skipped, .. } = collected;
    (table, Summary { images: pictures, skipped, warnings, layers: rows })
}

fn dead_channels(layer: &Layer) -> Vec<usize> {
    let dead = |(channel, &most): (usize, &f32)| scale_of(most).is_none().then_some(channel);
    layer.weight_absmax.iter().enumerate().filter_map(dead).collect()
}

fn warnings_of(row: &LayerRow, channels: usize) -> Vec<String> {
    let name = &row.name;
    let mut warnings = Vec::new();
    if row.scale.is_none() {
        let why = match row.absmax == 0.0 {
            true => "its input is zero on every picture".to_owned(),
            false => format!("the scale of inputs up to {} is no usable number", row.absmax),
        };
        warnings.push(format!("layer {name} stays in float: {why}"));
    }
    if row.clipped > CLIPPED_MUCH {
        warnings.push(format!(
            "layer {name}: {:.1} % of its input are above {} and clipped; compare with --method minmax",
            100.0 * row.clipped,
            row.threshold
        ));
    }
    if let Some(first) = row.dead_channels.first() {
        let dead = row.dead_channels.len();
        warnings.push(format!(
            "layer {name}: {dead} of {channels} channels have no weights but zero, the first is {first}"
        ));
    }
    warnings
}

impl Summary {
    /// A line per layer.
    pub fn to_text(&self) -> String {
        let width = self.layers.iter().map(|row| row.name.len()).max().unwrap_or(0).clamp(5, 60);
        let mut text = format!(
            "{:width$} {:>12} {:>12} {:>12} {:>9}\n",
            "layer", "absmax", "threshold", "scale", "clipped"
        );
        for LayerRow { name, absmax, threshold, scale, clipped, .. } in &self.layers {
            let scale = scale.map_or("float".to_owned(), |scale| format!("{scale:.4}"));
            let clipped = 100.0 * clipped;
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{name:width$} {absmax:>12.5} {threshold:>12.5} {scale:>12} {clipped:>8.4}%");
        }
        let _ = writeln!(text, "images: {}, skipped: {}", self.images, self.skipped.len());
        text
    }
}
