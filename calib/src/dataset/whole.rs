//! A data set without its faults.

use super::check::{cut, sizes};
use super::folder::list;
use super::{Annotation, Dataset, Findings, Format, Image, Source, has_picture_name};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a picture without a label file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlabelled {
    /// A fault: the file was lost.
    #[default]
    Fault,
    /// A picture that shows no object.
    Background,
    /// A picture that shows nobody knows what; so is every picture of the data set, and only a teacher can teach with it.
    Unknown,
}

/// A data set whose pictures are there and whose boxes lie on them; faults are gone, and noted elsewhere.
#[derive(Clone, Debug)]
pub struct Whole {
    /// Pictures, classes and boxes; those of a picture side by side.
    pub dataset: Dataset,
    /// Width and height of each picture in pixels.
    pub sizes: Vec<[u32; 2]>,
}

impl Whole {
    /// Reads the data set at `source` and checks it. Faults of single pictures and boxes go to `findings`.
    ///
    /// # Errors
    /// A fault, if `findings` are strict; else one that leaves nothing to read.
    pub fn read(
        source: Source<'_>,
        format: Format,
        unlabelled: Unlabelled,
        findings: &mut Findings,
    ) -> Result<Self> {
        let mut dataset = Dataset::read(source, format, findings)?;
        for skipped in std::mem::take(&mut dataset.skipped) {
            findings.note(Error::bad_data(skipped.file, skipped.reason))?;
        }
        let mut all = sizes(&dataset.images, findings)?;
        for (image, size) in dataset.images.iter().zip(&mut all) {
            if image.labels.is_none() && unlabelled == Unlabelled::Fault {
                let what = "no label file; if such pictures show no objects, say unlabelled = \"background\" \
                            (without a description --background)";
                findings.note(Error::bad_data(&image.path, what))?;
                *size = None;
            }
        }
        let annotations = std::mem::take(&mut dataset.annotations);
        for annotation in annotations {
            let image = annotation.image as usize;
            let Some(size) = all[image] else { continue };
            match cut(annotation.bbox, size) {
                Ok(bbox) => dataset.annotations.push(Annotation { bbox, ..annotation }),
                Err(what) => {
                    let image = &dataset.images[image];
                    let labels = image.labels.as_deref().unwrap_or(&image.path);
                    findings.note(annotation.place.fault(labels, &what))?;
                }
            }
        }
        Ok(Whole::of(dataset, &all))
    }

    /// The pictures in a folder, of which nothing is known.
    ///
    /// # Errors
    /// There are none.
    pub fn of_folder(folder: &Path, findings: &mut Findings) -> Result<Self> {
        let paths = list(folder, has_picture_name)?;
        if paths.is_empty() {
            return Err(Error::bad_data(folder, "no pictures here"));
        }
        Whole::of_pictures(paths, findings)
    }

    /// Pictures of which nothing is known. Those that cannot be read go to `findings`.
    ///
    /// # Errors
    /// One cannot be read, if `findings` are strict.
    pub fn of_pictures(paths: Vec<PathBuf>, findings: &mut Findings) -> Result<Self> {
        let images = (1..).zip(paths).map(|(id, path)| Image { id, path, labels: None });
        let dataset = Dataset { images: images.collect(), ..Dataset::default() };
        let sizes = sizes(&dataset.images, findings)?;
        Ok(Whole::of(dataset, &sizes))
    }

    /// Without the pictures that have no size.
    fn of(mut dataset: Dataset, sizes: &[Option<[u32; 2]>]) -> Self {
        let mut left = 0;
        let places: Vec<u32> = sizes
            .iter()
            .map(|size| {
                left += u32::from(size.is_some());
                left.saturating_sub(1)
            })
            .collect();
        dataset.annotations.iter_mut().for_each(|a| a.image = places[a.image as usize]);
        dataset.annotations.sort_by_key(|a| a.image);
        let mut kept = sizes.iter().map(Option::is_some);
        dataset.images.retain(|_| kept.next().unwrap_or_default());
        Whole { dataset, sizes: sizes.iter().flatten().copied().collect() }
    }
}
