//! YOLO folders: a text file per picture, one row `class cx cy w h` per box, normalised to the picture.
//!
//! Labels lie in `labels/` of the given folder or in the folder itself; pictures in the folder named by the
//! caller, in `images/`, or beside the labels. A picture without a label file has no objects.

use super::folder::{inside_or, pair_up};
use super::names::find_data_yaml;
use super::picture;
use super::read::read_text;
use super::{Annotation, Category, Dataset, Findings, Image, Place, Skipped, Source};
use crate::error::{Error, Result};
use crate::limits::{ANNOTATIONS_MAX, TEXT_FILE_BYTES_MAX, YOLO_COORDINATE_SLACK};
use std::path::Path;

/// Reads the folder of `source`.
pub(super) fn open(source: Source<'_>, findings: &mut Findings) -> Result<Dataset> {
    let root = source.annotations;
    let pictures = source.images.map_or_else(|| inside_or(root, "images"), Path::to_owned);
    let names = match find_data_yaml(root)? {
        Some(names) => names,
        None => source.names.map(<[String]>::to_vec).ok_or_else(|| {
            Error::Usage(format!(
                "{}: no data.yaml there or above says the class names; give them with --names FILE",
                root.display()
            ))
        })?,
    };
    let pairs = pair_up(&pictures, &inside_or(root, "labels"), "txt", findings)?;
    let mut dataset = Dataset {
        categories: (0..).zip(names).map(|(id, name)| Category { id, name }).collect(),
        ..Dataset::default()
    };
    for (id, (path, label)) in (1..).zip(pairs).take(source.limit.unwrap_or(usize::MAX)) {
        match picture::size(&path) {
            Ok(size) => {
                if let Some(label) = &label
                    && !add_rows(&mut dataset, label, size, findings)?
                {
                    continue;
                }
                dataset.images.push(Image { id, path, labels: label.map(Into::into) });
            }
            Err(reason) => dataset.skipped.push(Skipped { file: path, reason }),
        }
    }
    Ok(dataset)
}

/// Appends the boxes of one label file, for a picture of `size` (width, height) that is pushed next. Whether there are
/// any to speak of: a file that cannot be read says nothing of its picture.
fn add_rows(dataset: &mut Dataset, path: &Path, size: [u32; 2], findings: &mut Findings) -> Result<bool> {
    let image = dataset.images.len() as u32;
    let text = match read_text(path, TEXT_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(fault) => return findings.note(fault).map(|()| false),
    };
    for (category, bbox, line) in parse(path, &text, dataset.categories.len(), size, findings)? {
        let id = dataset.annotations.len() as i64 + 1;
        let (area, place) = (bbox[2] * bbox[3], Place::Line(line));
        dataset.annotations.push(Annotation { id, image, category, bbox, area, crowd: false, place });
    }
    if dataset.annotations.len() > ANNOTATIONS_MAX {
        return Err(Error::bad_data(path, format!("more than {ANNOTATIONS_MAX} boxes up to here")));
    }
    Ok(true)
}

/// A class, a box (left, top, width, height in pixels), and the line of both.
pub type Row = (u32, [f64; 4], u32);

/// The rows of `text`, the content of the label file `path` of a picture of `size` (width, height). Faulty rows are noted
/// and left out.
///
/// # Errors
/// A row is faulty and `findings` are strict.
pub fn parse(
    path: &Path,
    text: &str,
    classes: usize,
    size: [u32; 2],
    findings: &mut Findings,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match parse_row(line, classes, size.map(f64::from)) {
            Ok((class, bbox)) => rows.push((class, bbox, number)),
            Err(what) => findings.note(Error::bad_line(path, number as usize, what))?,
        }
    }
    Ok(rows)
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
