//! YOLO folders: a text file per picture, one row `class cx cy w h` per box, normalised to the picture.
//!
//! Labels lie in `labels/` of the given folder or in the folder itself; pictures in the folder named by the
//! caller, in `images/`, or beside the labels. A picture without a label file has no objects.

use super::names::find_data_yaml;
use super::picture;
use super::read::read_text;
use super::{Annotation, Category, Dataset, Image, Skipped, Source};
use crate::error::{Error, Result};
use crate::limits::{ANNOTATIONS_MAX, IMAGES_MAX, TEXT_FILE_BYTES_MAX, YOLO_COORDINATE_SLACK};
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Reads the folder of `source`.
pub(super) fn open(source: Source<'_>) -> Result<Dataset> {
    let root = source.annotations;
    let or_root = |folder: PathBuf| if folder.is_dir() { folder } else { root.to_owned() };
    let labels = or_root(root.join("labels"));
    let pictures = source.images.map_or_else(|| or_root(root.join("images")), Path::to_owned);
    let names = match find_data_yaml(root)? {
        Some(names) => names,
        None => source.names.map(<[String]>::to_vec).ok_or_else(|| {
            Error::Usage(format!(
                "{}: no data.yaml there or above says the class names; give them with --names FILE",
                root.display()
            ))
        })?,
    };
    let pairs = pair_up(&pictures, &labels)?;
    let mut dataset = Dataset {
        categories: (0..).zip(names).map(|(id, name)| Category { id, name }).collect(),
        ..Dataset::default()
    };
    for (id, (path, label)) in (1..).zip(pairs).take(source.limit.unwrap_or(usize::MAX)) {
        match picture::size(&path) {
            Ok(size) => {
                if let Some(label) = label {
                    add_rows(&mut dataset, &label, size)?;
                }
                dataset.images.push(Image { id, path });
            }
            Err(reason) => dataset.skipped.push(Skipped { file: path, reason }),
        }
    }
    Ok(dataset)
}

/// Each picture, by name, with its label file if it has one.
fn pair_up(pictures: &Path, labels: &Path) -> Result<Vec<(PathBuf, Option<PathBuf>)>> {
    let pictures_found = list(pictures, picture::has_picture_name)?;
    let mut labels_found: HashSet<OsString> = list(labels, is_label)?
        .iter()
        .filter_map(|path| path.file_stem().map(|stem| stem.to_owned()))
        .collect();
    if labels_found.is_empty() {
        return Err(Error::bad_data(labels, "no YOLO label files (.txt) here"));
    }
    let mut pairs: Vec<(PathBuf, Option<PathBuf>)> = Vec::with_capacity(pictures_found.len());
    for path in pictures_found {
        let stem = path.file_stem().unwrap_or_default().to_owned();
        if pairs.last().is_some_and(|(last, _)| last.file_stem() == Some(&stem)) {
            return Err(Error::bad_data(path, "another picture has the same name but for its extension"));
        }
        let label = labels_found.remove(&stem).then(|| label_path(labels, stem));
        pairs.push((path, label));
    }
    if let Some(first) = labels_found.iter().min() {
        let what =
            format!("no picture for this label file; {} are missing: check --images", labels_found.len());
        return Err(Error::bad_data(label_path(labels, first.clone()), what));
    }
    Ok(pairs)
}

/// Stems may hold dots, so the extension is appended and not replaced.
fn label_path(labels: &Path, mut stem: OsString) -> PathBuf {
    stem.push(".txt");
    labels.join(stem)
}

/// Files in `folder` that `keep` accepts, sorted by name without extension.
fn list(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io(folder, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if keep(&path) && path.is_file() {
            files.push(path);
        }
        if files.len() > IMAGES_MAX {
            return Err(Error::bad_data(folder, format!("more than {IMAGES_MAX} files")));
        }
    }
    files.sort_by(|a, b| (a.file_stem(), a.extension()).cmp(&(b.file_stem(), b.extension())));
    Ok(files)
}

/// Whether a file name is a label file's: `.txt`, and none of the texts that labelling tools put beside.
fn is_label(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.extension().is_some_and(|e| e == "txt") && name != "classes.txt" && !name.starts_with("readme")
}

/// Appends the boxes of one label file, for a picture of `size` (width, height) that is pushed next.
fn add_rows(dataset: &mut Dataset, path: &Path, size: [u32; 2]) -> Result<()> {
    let image = dataset.images.len() as u32;
    for (number, line) in (1..).zip(read_text(path, TEXT_FILE_BYTES_MAX)?.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let (category, bbox) = parse_row(line, dataset.categories.len(), size.map(f64::from))
            .map_err(|what| Error::bad_line(path, number, what))?;
        let id = dataset.annotations.len() as i64 + 1;
        let area = bbox[2] * bbox[3];
        dataset.annotations.push(Annotation { id, image, category, bbox, area, crowd: false });
    }
    if dataset.annotations.len() > ANNOTATIONS_MAX {
        return Err(Error::bad_data(path, format!("more than {ANNOTATIONS_MAX} boxes up to here")));
    }
    Ok(())
}

/// Class and box (left, top, width, height in pixels) of a row.
fn parse_row(line: &str, classes: usize, [width, height]: [f64; 2]) -> Result<(u32, [f64; 4]), String> {
    let fields: Vec<&str> = line.split_whitespace().take(6).collect();
    let [class, coordinates @ ..] = fields.as_slice() else { return Err("empty row".to_owned()) };
    if coordinates.len() != 4 {
        return Err("expected `class cx cy w h`: five numbers, no polygon and no score".to_owned());
    }
    let class: u32 = class.parse().map_err(|_| format!("class `{class}` is not a whole number"))?;
    if class as usize >= classes {
        return Err(format!("class {class}, but the names list ends at {}", classes - 1));
    }
    let mut values = [0.0; 4];
    for (value, text) in values.iter_mut().zip(coordinates) {
        *value = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        if !(-YOLO_COORDINATE_SLACK..=1.0 + YOLO_COORDINATE_SLACK).contains(value) {
            return Err(format!("{text} is outside 0..1: coordinates are fractions of the picture"));
        }
    }
    let [cx, cy, w, h] = values;
    if w < 0.0 || h < 0.0 {
        return Err("width or height is negative".to_owned());
    }
    Ok((class, [(cx - w / 2.0) * width, (cy - h / 2.0) * height, w * width, h * height]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_pixels() {
        // By hand: a 200x100 picture, box centred, a quarter wide, half high.
        assert_eq!(parse_row("1 0.5 0.5 0.25 0.5", 2, [200.0, 100.0]), Ok((1, [75.0, 25.0, 50.0, 50.0])));
    }

    #[test]
    fn bad_rows_are_told_apart() {
        let cases = [
            ("2 .5 .5 .1 .1", "class 2, but the names list ends at 1"),
            ("-1 .5 .5 .1 .1", "class `-1` is not a whole number"),
            ("0 .5 .5 .1", "expected `class cx cy w h`: five numbers, no polygon and no score"),
            ("0 .5 .5 .1 .1 .9", "expected `class cx cy w h`: five numbers, no polygon and no score"),
            ("0 .5 x .1 .1", "`x` is not a number"),
            ("0 320 240 10 10", "320 is outside 0..1: coordinates are fractions of the picture"),
            ("0 .5 NaN .1 .1", "NaN is outside 0..1: coordinates are fractions of the picture"),
            ("0 .5 .5 -0.0005 .1", "width or height is negative"),
        ];
        for (line, message) in cases {
            assert_eq!(parse_row(line, 2, [640.0, 480.0]).unwrap_err(), message);
        }
    }
}
