//! The forms that annotations come in.

use super::cityscapes::is_polygons;
use crate::error::{Error, Result};
use crate::limits::IMAGES_MAX;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A form of annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON file for all pictures (`instances_*.json`).
    Coco,
    /// A text file per picture with rows `class cx cy w h`, names in `data.yaml`.
    Yolo,
    /// An XML file per picture (Pascal VOC).
    Voc,
    /// A JSON file of polygons per picture (`*_gtFine_polygons.json`).
    Cityscapes,
}

impl Format {
    /// Which form lies at `annotations`: COCO where that is a file; of a folder the names of its files decide, and those
    /// in its `Annotations/`, or in a folder for each city.
    ///
    /// # Errors
    /// The path cannot be read.
    pub fn of(annotations: &Path) -> Result<Self> {
        let about = std::fs::metadata(annotations).map_err(|e| Error::io(annotations, e))?;
        if !about.is_dir() {
            return Ok(Format::Coco);
        }
        let labels = annotations.join("Annotations");
        let voc = |path: &Path| path.extension().is_some_and(|e| e == "xml");
        if any_file(annotations, voc)? || labels.is_dir() && any_file(&labels, voc)? {
            return Ok(Format::Voc);
        }
        if any_file(annotations, is_polygons)? {
            return Ok(Format::Cityscapes);
        }
        for folder in entries(annotations)?.filter(|path| path.is_dir()).take(FOLDERS_TRIED_MAX) {
            if any_file(&folder, is_polygons)? {
                return Ok(Format::Cityscapes);
            }
        }
        Ok(Format::Yolo)
    }
}

/// Most folders that are searched for a city's polygons.
const FOLDERS_TRIED_MAX: usize = 64;

fn entries(folder: &Path) -> Result<impl Iterator<Item = std::path::PathBuf>> {
    let listed = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    Ok(listed.take(IMAGES_MAX).filter_map(|entry| Some(entry.ok()?.path())))
}

fn any_file(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<bool> {
    Ok(entries(folder)?.any(|path| wanted(&path)))
}
