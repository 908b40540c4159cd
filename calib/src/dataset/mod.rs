//! Annotated pictures, whatever format the annotations came in.

mod check;
pub mod cityscapes;
pub mod classes;
mod coco;
pub mod description;
pub mod export;
mod findings;
mod folder;
mod format;
pub mod hold_out;
mod join;
mod names;
mod picture;
mod read;
mod results;
pub mod split;
pub mod stated;
pub mod stats;
pub mod training;
pub mod voc;
mod whole;
pub mod yolo;

pub use findings::Findings;
pub use format::Format;
pub use join::Checked;
pub use names::{parse_names, read_names};
pub(crate) use picture::has_picture_name;
pub(crate) use read::{read_bytes, read_text};
pub use results::{CocoResult, read_results, write_results};
pub use whole::{Unlabelled, Whole};

use crate::error::{Error, Result};
use crate::limits::{BOX_COORDINATE_MAX, CLASS_NAME_BYTES_MAX};
use ocellus::limits::CLASSES_MAX;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An image of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Its id in the annotation file; for YOLO folders its place in the list of files, from 1.
    pub id: i64,
    /// Where the picture lies.
    pub path: PathBuf,
    /// The file that says what is on it. `None`: there is none, so nothing is.
    pub labels: Option<Arc<Path>>,
}

/// A class of objects.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// Its id in the annotation file; for YOLO folders the class number, from 0.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// A box drawn by an annotator.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// Its id in the annotation file; for YOLO folders its place among all rows, from 1.
    pub id: i64,
    /// Index in [`Dataset::images`].
    pub image: u32,
    /// Index in [`Dataset::categories`].
    pub category: u32,
    /// Left, top, width, height in pixels. Finite, width and height not negative.
    pub bbox: [f64; 4],
    /// Area of the object in pixels, finite and not negative.
    pub area: f64,
    /// A region of many objects, or an object that need not be found.
    pub crowd: bool,
    /// Where in [`Image::labels`] it stands.
    pub place: Place,
}

/// Where in a label file something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, from 1.
    Line(u32),
    /// The COCO annotation with this id.
    Annotation(i64),
    /// An entry of a JSON file's list of objects, from 0.
    Object(u32),
}

impl Place {
    /// What is wrong at this place of `file`.
    fn fault(self, file: &Path, what: &str) -> Error {
        match self {
            Place::Line(line) => Error::bad_line(file, line as usize, what),
            Place::Annotation(id) => Error::bad_data(file, format!("annotation {id}: {what}")),
            Place::Object(at) => Error::bad_data(file, format!("objects[{at}]: {what}")),
        }
    }
}

/// A picture that could not be read.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Skipped {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// What was wrong with it.
    pub reason: String,
}

/// Serializes a path that need not be UTF-8.
fn lossy<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Annotated pictures.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// By ascending id, each id once.
    pub images: Vec<Image>,
    /// By ascending id, each id once.
    pub categories: Vec<Category>,
    /// Each picture's in the order of the file.
    pub annotations: Vec<Annotation>,
    /// Pictures that are not among `images` because not even their size could be read.
    pub skipped: Vec<Skipped>,
}

/// What to read, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// A COCO annotation file, or a folder of label files.
    pub annotations: &'a Path,
    /// The folder of the pictures. Without it, COCO's file names are relative to the annotation file's folder, and each
    /// other format has its own habits.
    pub images: Option<&'a Path>,
    /// Class names for a YOLO folder that has no `data.yaml`, for VOC all that there may be,
    /// and for Cityscapes those that count.
    pub names: Option<&'a [String]>,
    /// Keeps only the first images (by id).
    pub limit: Option<usize>,
}

impl Dataset {
    /// Reads annotations in the format that [`Format::of`] finds.
    ///
    /// # Errors
    /// Something is faulty; the error names the file and the place.
    pub fn open(source: Source<'_>) -> Result<Self> {
        Self::read(source, Format::of(source.annotations)?, &mut Findings::strict())
    }

    /// Reads annotations in this format. Faults of single pictures and boxes go to `findings`.
    ///
    /// # Errors
    /// A fault, if `findings` are strict; else one that leaves nothing to read.
    pub fn read(source: Source<'_>, format: Format, findings: &mut Findings) -> Result<Self> {
        let dataset = match format {
            Format::Coco => coco::open(source, findings)?,
            Format::Yolo => yolo::open(source, findings)?,
            Format::Voc => voc::open(source, findings)?,
            Format::Cityscapes => cityscapes::open(source, findings)?,
        };
        // Of data without a single good picture the faults are what is worth reading.
        if findings.gathers() && dataset.images.is_empty() && findings.count() + dataset.skipped.len() > 0 {
            return Ok(dataset);
        }
        if dataset.images.is_empty() {
            return Err(match dataset.skipped.first() {
                Some(first) => {
                    Error::bad_data(&first.file, format!("{}; no picture can be read", first.reason))
                }
                None => Error::bad_data(source.annotations, "the data set has no images"),
            });
        }
        if dataset.categories.is_empty() {
            return Err(Error::bad_data(source.annotations, "the data set has no categories"));
        }
        Ok(dataset)
    }

    /// Fails if a picture is not there, naming the first and how many there are.
    pub fn check_pictures_exist(&self) -> Result<()> {
        let mut missing = self.images.iter().filter(|image| !image.path.is_file());
        let Some(first) = missing.next() else { return Ok(()) };
        Err(Error::bad_data(
            &first.path,
            format!(
                "no such picture; {} of {} are missing: check --images",
                1 + missing.count(),
                self.images.len()
            ),
        ))
    }
}

/// What is wrong with a box (left, top, width, height), if anything is.
fn box_fault(bbox: &[f64; 4]) -> Option<&'static str> {
    if bbox.iter().any(|v| v.is_nan() || v.abs() > BOX_COORDINATE_MAX) {
        Some("has a coordinate that is not a number of pixels")
    } else if bbox[2] < 0.0 || bbox[3] < 0.0 {
        Some("has a negative width or height")
    } else {
        None
    }
}

/// Checks names and number of the classes found in `path`.
fn check_classes<'a>(path: &Path, names: impl ExactSizeIterator<Item = &'a str>) -> Result<()> {
    if names.len() > CLASSES_MAX {
        return Err(Error::bad_data(path, format!("{} classes; the limit is {CLASSES_MAX}", names.len())));
    }
    for name in names {
        if name.trim().is_empty() || name.len() > CLASS_NAME_BYTES_MAX {
            return Err(Error::bad_data(
                path,
                format!("a class name is empty or longer than {CLASS_NAME_BYTES_MAX} bytes"),
            ));
        }
    }
    Ok(())
}
