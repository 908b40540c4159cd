//! What commands that show a quantized network have in common: annotated pictures, grids, the noise of outputs.

use super::calibrating::Calibrated;
use crate::dataset::classes::MapEntry;
use crate::dataset::{Dataset, Source};
use crate::error::Result;
use crate::hash::Hash;
use crate::quantize::summary::GridRow;
use crate::quantize::{Calibration, Choices, Recipe, range, sensitivity, sites};
use clap::Args;
use std::collections::HashSet;
use std::path::PathBuf;

/// Ratio of signal to noise, in decibels, below which the results have little to do with the float network's.
const OUTPUTS_DB_MIN: f64 = 10.0;
/// Pictures that outputs and layers are compared on.
pub(super) const COMPARED_MAX: usize = 32;
/// Rounds of inference before the clock is read, and timed ones.
pub(super) const ROUNDS: [usize; 2] = [3, 31];

/// Annotated pictures to measure the accuracy on.
#[derive(Debug, Args)]
pub struct AnnotatedArgs {
    /// Annotated pictures to measure the accuracy on: COCO file, or folder of
    /// YOLO, VOC or Cityscapes labels.
    #[arg(long, value_name = "JSON|DIR")]
    pub annotations: Option<PathBuf>,
    /// Folder of the annotated pictures [default: the annotation file's; in a folder its images/ or
    /// JPEGImages/].
    #[arg(long, value_name = "DIR", requires = "annotations")]
    pub annotated_images: Option<PathBuf>,
    /// Which class of the data is which class of the model; others are matched by equal name.
    #[arg(long, value_name = "DATA=MODEL", value_delimiter = ',')]
    pub class_map: Vec<MapEntry>,
}

impl AnnotatedArgs {
    /// The data set, if there is one.
    pub fn open(&self) -> Result<Option<Dataset>> {
        let Some(annotations) = &self.annotations else { return Ok(None) };
        let images = self.annotated_images.as_deref();
        let dataset = Dataset::open(Source { annotations, images, names: None, limit: None })?;
        dataset.check_pictures_exist()?;
        Ok(Some(dataset))
    }
}

/// A warning where pictures calibrate and measure.
pub(super) fn shared_pictures(dataset: &Dataset, pictures: &[PathBuf]) -> Option<String> {
    let real = |path: &PathBuf| std::fs::canonicalize(path).ok();
    let measured: HashSet<PathBuf> = dataset.images.iter().filter_map(|image| real(&image.path)).collect();
    let shared = pictures.iter().filter_map(real).filter(|path| measured.contains(path)).count();
    (shared > 0).then(|| {
        format!("{shared} pictures calibrate and measure: the accuracy on others is likely to be lower")
    })
}

/// Signal to noise of the network's outputs under `recipe` in decibels, and a warning where that is little.
pub(super) fn outputs(
    done: &Calibrated,
    recipe: &Recipe,
    threads: usize,
) -> Result<(Option<f64>, Option<String>)> {
    let few: Vec<PathBuf> = done.pictures.iter().take(COMPARED_MAX).cloned().collect();
    let noise = sensitivity::of_outputs(&done.calibration.network, recipe, &few, threads)?;
    let db = (noise > 0.0).then(|| -10.0 * noise.log10());
    let far = db.filter(|db| *db < OUTPUTS_DB_MIN);
    let warning = far.map(|db| {
        format!("the int8 results are far from the float ones ({db:.1} dB): see calib sensitivity")
    });
    Ok((db, warning))
}

/// The grids, in the order of the graph.
pub(super) fn grids(calibration: &Calibration, choices: &Choices, float: &HashSet<usize>) -> Vec<GridRow> {
    let graph = calibration.network.graph();
    let row = |group: sites::Group| {
        let (chosen, grid) = calibration.grid(&group, choices);
        let histograms = calibration.histograms_of(&group);
        let (low, high) = grid.range();
        let numbers: u64 = histograms.iter().map(|h| h.numbers()).sum();
        let outside: f64 = histograms.iter().map(|h| h.share_outside(low, high) * h.numbers() as f64).sum();
        let cost = range::cost(&histograms, grid) / histograms.len().max(1) as f64;
        GridRow {
            name: group.computed.first().map(|&id| graph.value(id).name.clone()).unwrap_or_default(),
            tensors: group.computed.len(),
            method: chosen.name().map(str::to_owned),
            range: [low, high],
            scale: grid.scale,
            zero_point: grid.zero_point,
            clipped: outside / (numbers as f64).max(1.0),
            sqnr_db: (cost > 0.0).then(|| -10.0 * cost.log10()),
        }
    };
    sites::groups(graph, float).into_iter().map(row).collect()
}

/// [`Hash`] of the bytes of all pictures that can be read, in their order.
pub(super) fn hash(pictures: &[PathBuf]) -> String {
    let mut hash = Hash::default();
    pictures.iter().filter_map(|path| std::fs::read(path).ok()).for_each(|bytes| hash.add(&bytes));
    hash.text()
}
