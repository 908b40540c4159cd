//! COCO annotation files (`instances_*.json`). Fields that are not needed here are not looked at.

use super::read::read_bytes;
use super::{Annotation, Category, Dataset, Findings, Image, Place, Source, box_fault, check_classes};
use crate::error::{Error, Result};
use crate::limits::{ANNOTATIONS_MAX, IMAGES_MAX, JSON_FILE_BYTES_MAX};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::Arc;

#[derive(Deserialize)]
struct CocoFile {
    images: Vec<CocoImage>,
    annotations: Vec<CocoAnnotation>,
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: i64,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    /// The segment's area; the box's where it is absent.
    area: Option<f64>,
    #[serde(default)]
    iscrowd: i64,
}

/// Reads the annotation file of `source`.
pub(super) fn open(source: Source<'_>, findings: &mut Findings) -> Result<Dataset> {
    let path = source.annotations;
    let bytes = read_bytes(path, JSON_FILE_BYTES_MAX)?;
    let file: CocoFile = serde_json::from_slice(&bytes).map_err(|e| {
        Error::bad_data(path, format!("not COCO annotations (images, annotations, categories): {e}"))
    })?;
    drop(bytes);
    for (what, count, limit) in
        [("images", file.images.len(), IMAGES_MAX), ("annotations", file.annotations.len(), ANNOTATIONS_MAX)]
    {
        if count > limit {
            return Err(Error::bad_data(path, format!("{count} {what}; the limit is {limit}")));
        }
    }
    check_classes(path, file.categories.iter().map(|c| c.name.as_str()))?;
    let folder = source.images.or(path.parent()).unwrap_or(Path::new(""));
    let mut images = images(path, folder, file.images)?;
    let categories = categories(path, file.categories)?;
    let annotations = annotations(path, &images, &categories, file.annotations, findings)?;
    images.truncate(source.limit.unwrap_or(usize::MAX));
    let kept = images.len();
    let annotations = annotations.into_iter().filter(|a| (a.image as usize) < kept).collect();
    Ok(Dataset { images, categories, annotations, skipped: Vec::new() })
}

fn images(path: &Path, folder: &Path, listed: Vec<CocoImage>) -> Result<Vec<Image>> {
    let mut images = Vec::with_capacity(listed.len());
    let labels: Arc<Path> = path.into();
    for CocoImage { id, file_name } in listed {
        let name = Path::new(&file_name);
        let inside = name.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        if !inside || file_name.is_empty() {
            return Err(Error::bad_data(
                path,
                format!("image {id}: file_name {file_name:?} must be a path inside the image folder"),
            ));
        }
        images.push(Image { id, path: folder.join(name), labels: Some(labels.clone()) });
    }
    images.sort_by_key(|image| image.id);
    match images.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(Error::bad_data(path, format!("image id {} appears twice", pair[0].id))),
        None => Ok(images),
    }
}

fn categories(path: &Path, listed: Vec<CocoCategory>) -> Result<Vec<Category>> {
    let mut categories: Vec<Category> =
        listed.into_iter().map(|c| Category { id: c.id, name: c.name.trim().to_owned() }).collect();
    categories.sort_by_key(|category| category.id);
    match categories.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some(pair) => Err(Error::bad_data(path, format!("category id {} appears twice", pair[0].id))),
        None => Ok(categories),
    }
}

/// Resolves ids to indices. Annotations of unlisted images or categories are left out, as by `COCOeval`; where faults are
/// gathered, they are faults.
fn annotations(
    path: &Path,
    images: &[Image],
    categories: &[Category],
    listed: Vec<CocoAnnotation>,
    findings: &mut Findings,
) -> Result<Vec<Annotation>> {
    let image_index: HashMap<i64, u32> = images.iter().map(|image| image.id).zip(0..).collect();
    let category_index: HashMap<i64, u32> = categories.iter().map(|category| category.id).zip(0..).collect();
    check_annotation_ids(path, &listed)?;
    let (total, mut unlisted) = (listed.len(), 0);
    let mut annotations = Vec::with_capacity(total);
    for a in listed {
        let place = Place::Annotation(a.id);
        let area = a.area.unwrap_or(a.bbox[2] * a.bbox[3]);
        let fault = match box_fault(&a.bbox) {
            Some(fault) => Some(format!("bbox {:?} {fault}", a.bbox)),
            None if area.is_nan() || area < 0.0 => Some(format!("area {area} is negative")),
            None => None,
        };
        if let Some(fault) = fault {
            findings.note(place.fault(path, &fault))?;
            continue;
        }
        match (image_index.get(&a.image_id), category_index.get(&a.category_id)) {
            (Some(&image), Some(&category)) => {
                let crowd = a.iscrowd != 0;
                annotations.push(Annotation { id: a.id, image, category, bbox: a.bbox, area, crowd, place });
            }
            (image, _) if findings.gathers() => {
                let what = match image {
                    None => format!("image {} is not listed", a.image_id),
                    Some(_) => format!("category {} is not listed", a.category_id),
                };
                findings.note(place.fault(path, &what))?;
            }
            _ => unlisted += 1,
        }
    }
    if unlisted > 0 {
        log::warn!(
            "{}: {unlisted} of {total} annotations name an image or category that is not listed; left out",
            path.display(),
        );
    }
    Ok(annotations)
}

fn check_annotation_ids(path: &Path, listed: &[CocoAnnotation]) -> Result<()> {
    let mut ids: Vec<i64> = listed.iter().map(|a| a.id).collect();
    ids.sort_unstable();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::bad_data(path, format!("annotation id {} appears twice", pair[0])));
    }
    if ids.binary_search(&0).is_ok() {
        log::warn!(
            "{}: COCO counts a match with annotation id 0 as a miss; number annotations from 1",
            path.display()
        );
    }
    Ok(())
}
