//! Cityscapes: a JSON file of polygons per picture, `gtFine/train/CITY/CITY_…_gtFine_polygons.json`, with the picture
//! `leftImg8bit/train/CITY/CITY_…_leftImg8bit.png`.
//!
//! A box reaches from the smallest to the largest coordinate of its object's polygon. The classes are, where the caller
//! names no others, the ten of vehicles, people and objects beside the road that detectors are trained on.

use super::folder::list;
use super::stated::{self, Stated};
use super::{Dataset, Findings, Place, Source, box_fault};
use crate::error::{Error, Result};
use crate::limits::IMAGES_MAX;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What the names of the label files end with.
const SUFFIX: &str = "_gtFine_polygons.json";
/// What the names of the pictures end with, where the label files have [`SUFFIX`].
const PICTURE_SUFFIX: &str = "_leftImg8bit.png";

/// Whether a file name is that of Cityscapes' polygons.
pub(super) fn is_polygons(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(SUFFIX)
}
/// What is added to the name of a class where one polygon encloses several objects.
const GROUP: &str = "group";

/// The classes, if the caller names none.
pub const CLASSES: [&str; 10] = [
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "traffic light",
    "traffic sign",
];

#[derive(Deserialize)]
struct File {
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    label: String,
    polygon: Vec<[f64; 2]>,
    #[serde(default)]
    deleted: i64,
}

/// Reads the folder of `source`.
pub(super) fn open(source: Source<'_>, findings: &mut Findings) -> Result<Dataset> {
    let root = source.annotations;
    let own: Vec<String> = CLASSES.map(str::to_owned).into();
    let names = source.names.unwrap_or(&own);
    let mut pairs = Vec::new();
    for label in labels(root)? {
        let Some(picture) = picture_of(&label, root, source.images) else {
            let what =
                "no picture for this label file: name the folder of the pictures (images), leftImg8bit/…";
            findings.note(Error::bad_data(label, what))?;
            continue;
        };
        pairs.push((picture, Some(label)));
    }
    let pairs = pairs.into_iter().take(source.limit.unwrap_or(usize::MAX));
    stated::read(root, pairs, Some(names), findings, |path, text, findings| {
        parse(path, text, names, findings)
    })
}

/// The label files in `root` and its folders, sorted.
fn labels(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = list(root, is_polygons)?;
    for entry in std::fs::read_dir(root).map_err(|e| Error::io(root, e))? {
        let folder = entry.map_err(|e| Error::io(root, e))?.path();
        if folder.is_dir() {
            found.extend(list(&folder, is_polygons)?);
        }
        if found.len() > IMAGES_MAX {
            return Err(Error::bad_data(root, format!("more than {IMAGES_MAX} label files")));
        }
    }
    if found.is_empty() {
        return Err(Error::bad_data(root, format!("no file *{SUFFIX} here or one folder below")));
    }
    found.sort();
    Ok(found)
}

/// The picture beside a label file, or at the same place below the folder of the pictures.
fn picture_of(label: &Path, root: &Path, images: Option<&Path>) -> Option<PathBuf> {
    let name = label.file_name()?.to_str()?.strip_suffix(SUFFIX)?.to_owned() + PICTURE_SUFFIX;
    let folder = label.parent()?;
    let inside = folder.strip_prefix(root).ok()?;
    let places = [images.map(|images| images.join(inside).join(&name)), Some(folder.join(&name))];
    places.into_iter().flatten().find(|path| path.is_file())
}

/// The boxes that `text`, the content of the label file `path`, states of the classes in `names`. Faulty objects are
/// noted and left out.
///
/// # Errors
/// The text is not such a file, or an object is faulty and `findings` are strict.
pub fn parse(path: &Path, text: &str, names: &[String], findings: &mut Findings) -> Result<Vec<Stated>> {
    let file: File = serde_json::from_str(text).map_err(|e| {
        Error::bad_line(
            path,
            e.line(),
            format!("not Cityscapes polygons (objects with label and polygon): {e}"),
        )
    })?;
    let mut boxes = Vec::new();
    for (at, object) in (0..).zip(file.objects) {
        let single = |label: &str| names.iter().any(|name| name == label);
        let group = object.label.strip_suffix(GROUP).filter(|label| single(label));
        let (name, crowd) = match group {
            Some(name) => (name.to_owned(), true),
            None => (object.label, false),
        };
        if object.deleted != 0 || !single(&name) {
            continue;
        }
        let place = Place::Object(at);
        match bounds(&object.polygon) {
            Ok(bbox) => boxes.push(Stated { name, bbox, crowd, place }),
            Err(what) => findings.note(place.fault(path, what))?,
        }
    }
    Ok(boxes)
}

/// Left, top, width, height of what a polygon reaches.
fn bounds(polygon: &[[f64; 2]]) -> Result<[f64; 4], &'static str> {
    let along = |axis: usize, pick: fn(f64, f64) -> f64| polygon.iter().map(|p| p[axis]).reduce(pick);
    let ends = [along(0, f64::min), along(1, f64::min), along(0, f64::max), along(1, f64::max)];
    let [Some(left), Some(top), Some(right), Some(bottom)] = ends else {
        return Err("the polygon has no points");
    };
    let bbox = [left, top, right - left, bottom - top];
    box_fault(&bbox).map_or(Ok(bbox), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<Stated>, Findings)> {
        let mut findings = Findings::gathering();
        let names = CLASSES.map(str::to_owned);
        Ok((parse(Path::new("a.json"), text, &names, &mut findings)?, findings))
    }

    /// The fields of the data set's own files; the box by hand.
    #[test]
    fn polygons_become_boxes_of_their_extremes() {
        let (boxes, findings) = read(
            r#"{"imgHeight": 1024, "imgWidth": 2048, "objects": [
                {"label": "road", "polygon": [[0, 769], [290, 574]]},
                {"label": "car", "polygon": [[100, 40], [130, 20], [160, 45], [120, 60]]},
                {"label": "persongroup", "polygon": [[1, 2], [3, 4]]},
                {"label": "bus", "polygon": [[1, 2], [3, 4]], "deleted": 1},
                {"label": "license plate", "polygon": []}]}"#,
        )
        .unwrap();
        let car = Stated {
            name: "car".to_owned(),
            bbox: [100.0, 20.0, 60.0, 40.0],
            crowd: false,
            place: Place::Object(1),
        };
        let crowd = Stated {
            name: "person".to_owned(),
            bbox: [1.0, 2.0, 2.0, 2.0],
            crowd: true,
            place: Place::Object(2),
        };
        assert_eq!((boxes, findings.count()), (vec![car, crowd], 0));
    }

    #[test]
    fn faulty_objects_are_named() {
        let (boxes, findings) = read(
            r#"{"objects": [{"label": "car", "polygon": []}, {"label": "car", "polygon": [[1e300, 0]]}]}"#,
        )
        .unwrap();
        let said: Vec<String> = findings.iter().map(|fault| fault.to_string()).collect();
        assert_eq!(
            said,
            [
                "a.json: objects[0]: the polygon has no points",
                "a.json: objects[1]: has a coordinate that is not a number of pixels"
            ]
        );
        assert_eq!(boxes, []);
        let error = read("{\n\"objects\": [{\"label\": \"car\"}]}").unwrap_err().to_string();
        assert!(error.starts_with("a.json:2: not Cityscapes polygons"), "{error}");
    }
}
