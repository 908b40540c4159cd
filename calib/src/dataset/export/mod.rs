//! Data sets written anew, in another format.

mod coco;
mod voc;
mod yolo;

use super::{Format, Whole};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The pictures of one data set that are written.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    /// The data set.
    pub whole: &'a Whole,
    /// Indices of the pictures, ascending.
    pub pictures: &'a [u32],
}

/// Files of a data set, below one folder.
#[derive(Debug, Default)]
pub struct Files {
    /// What is written.
    pub written: Vec<(PathBuf, Vec<u8>)>,
    /// Pictures that are copied: from where, to where.
    pub copied: Vec<(PathBuf, PathBuf)>,
    /// Boxes that the format cannot say: crowds in YOLO's.
    pub unsaid: usize,
}

impl<'a> Selection<'a> {
    /// All boxes of the picture with this index.
    fn boxes(&self, picture: u32) -> impl Iterator<Item = &'a super::Annotation> {
        let annotations = &self.whole.dataset.annotations;
        let first = annotations.partition_point(|a| a.image < picture);
        annotations[first..].iter().take_while(move |a| a.image == picture)
    }
}

/// The files for `name.json` (COCO) or the folder `name` (YOLO, VOC), relative to the folder of all.
///
/// # Errors
/// [`Error::Usage`]: nothing writes the format, or two pictures would have the same name.
pub fn files(selection: Selection<'_>, format: Format, name: &Path) -> Result<Files> {
    match format {
        Format::Coco => {
            let written = vec![(name.with_extension("json"), coco::to_json(selection)?)];
            Ok(Files { written, ..Files::default() })
        }
        Format::Yolo => yolo::files(selection, name),
        Format::Voc => voc::files(selection, name),
        Format::Cityscapes => Err(Error::Usage(
            "Cityscapes' polygons cannot be made of boxes; write coco, yolo or voc".to_owned(),
        )),
    }
}

/// The folder that has all of the data set's pictures in it or below.
pub fn picture_folder(whole: &Whole) -> PathBuf {
    let mut folders = whole.dataset.images.iter().filter_map(|image| image.path.parent());
    let mut common = folders.next().unwrap_or(Path::new("")).to_owned();
    for folder in folders {
        while !folder.starts_with(&common) {
            common.pop();
        }
    }
    common
}

/// A name for each selected picture, without its extension: its own, or with its folders' where that is not unique.
fn names(selection: Selection<'_>) -> Result<Vec<String>> {
    let images = &selection.whole.dataset.images;
    let folder = picture_folder(selection.whole);
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let short: HashSet<String> = images.iter().map(|image| stem(&image.path)).collect();
    let name = |path: &Path| {
        if short.len() == images.len() {
            return stem(path);
        }
        let inside = path.strip_prefix(&folder).unwrap_or(path).with_extension("");
        let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        parts.join("_")
    };
    let names: Vec<String> = selection.pictures.iter().map(|&at| name(&images[at as usize].path)).collect();
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(Error::Usage(format!("two pictures would be called `{name}`: rename one"))),
        None => Ok(names),
    }
}

/// Where a picture goes that is copied to `folder` as `name`, with its own extension.
fn copied(path: &Path, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    (path.to_owned(), folder.join(format!("{name}.{extension}")))
}
