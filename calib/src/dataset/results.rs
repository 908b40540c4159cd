//! COCO result files: a JSON list of detections.

use super::read::read_bytes;
use super::{Dataset, box_fault};
use crate::error::{Error, Result};
use crate::limits::{DETECTIONS_MAX, JSON_FILE_BYTES_MAX};
use crate::write::save::save_with;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// One detection as COCO's result format writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CocoResult {
    /// Id of the image.
    pub image_id: i64,
    /// Id of the category.
    pub category_id: i64,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Confidence.
    pub score: f64,
}

/// Reads the detections of `path`; each must name an image of `dataset`.
///
/// With `limited`, `dataset` holds only some images of its file, and detections of others are left out.
pub fn read_results(path: &Path, dataset: &Dataset, limited: bool) -> Result<Vec<CocoResult>> {
    let bytes = read_bytes(path, JSON_FILE_BYTES_MAX)?;
    let mut results: Vec<CocoResult> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::bad_data(path, format!("not a list of COCO detections: {e}")))?;
    if results.len() > DETECTIONS_MAX {
        let count = results.len();
        return Err(Error::bad_data(path, format!("{count} detections; the limit is {DETECTIONS_MAX}")));
    }
    let known = |id: i64| dataset.images.binary_search_by_key(&id, |image| image.id).is_ok();
    if limited {
        results.retain(|r| known(r.image_id));
    }
    for (i, r) in results.iter().enumerate() {
        if let Some(fault) = box_fault(&r.bbox) {
            return Err(Error::bad_data(path, format!("detection {i}: bbox {:?} {fault}", r.bbox)));
        }
        if !r.score.is_finite() {
            return Err(Error::bad_data(path, format!("detection {i}: score is not a number")));
        }
        if !known(r.image_id) {
            let what = format!("detection {i}: image id {} is not in the annotations", r.image_id);
            return Err(Error::bad_data(path, format!("{what}: give the annotations it was made for")));
        }
    }
    Ok(results)
}

/// Writes `results` to a temporary file beside `path`, then renames it: `path` is never half written.
pub fn write_results(path: &Path, results: impl Iterator<Item = CocoResult>) -> Result<()> {
    save_with(path, |file| write_list(file, results))
}

fn write_list(file: &mut File, results: impl Iterator<Item = CocoResult>) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    let mut separator = "[\n";
    for result in results {
        file.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut file, &result)?;
        separator = ",\n";
    }
    file.write_all(if separator == "[\n" { b"[]\n" } else { b"\n]\n" })?;
    file.flush()
}
