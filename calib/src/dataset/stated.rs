//! Data sets whose label files name the classes of their boxes.

use super::folder::Pair;
use super::read::read_text;
use super::{Annotation, Category, Dataset, Findings, Image, Place, Skipped, check_classes, picture};
use crate::error::{Error, Result};
use crate::limits::{ANNOTATIONS_MAX, TEXT_FILE_BYTES_MAX};
use std::collections::BTreeMap;
use std::path::Path;

/// A box as a label file states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stated {
    /// Name of its class.
    pub name: String,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Not one object that should be found.
    pub crowd: bool,
    /// Where the file says so.
    pub place: Place,
}

/// Reads the label files of `pairs` by `parse`. Classes are numbered as in `names`, or by the alphabet where there are none.
pub(super) fn read(
    annotations: &Path,
    pairs: impl Iterator<Item = Pair>,
    names: Option<&[String]>,
    findings: &mut Findings,
    parse: impl Fn(&Path, &str, &mut Findings) -> Result<Vec<Stated>>,
) -> Result<Dataset> {
    let mut dataset = Dataset::default();
    // Names seen so far, numbered as they come.
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for (number, name) in (0..).zip(names.unwrap_or_default()) {
        numbers.insert(name.clone(), number);
    }
    for (id, (path, labels)) in (1..).zip(pairs) {
        if let Err(reason) = picture::size(&path) {
            dataset.skipped.push(Skipped { file: path, reason });
            continue;
        }
        let mut rows = Vec::new();
        if let Some(labels) = &labels {
            let read = read_text(labels, TEXT_FILE_BYTES_MAX).and_then(|text| parse(labels, &text, findings));
            match read {
                Ok(stated) => rows = stated,
                Err(fault) => {
                    findings.note(fault)?;
                    continue;
                }
            }
        }
        let image = dataset.images.len() as u32;
        for Stated { name, bbox, crowd, place } in rows {
            let next = numbers.len() as u32;
            let category = match numbers.get(&name) {
                Some(&number) => number,
                None if names.is_none() => *numbers.entry(name).or_insert(next),
                None => {
                    let what = format!("class `{name}` is not among the given names");
                    findings.note(place.fault(labels.as_deref().unwrap_or(&path), &what))?;
                    continue;
                }
            };
            let (id, area) = (dataset.annotations.len() as i64 + 1, bbox[2] * bbox[3]);
            dataset.annotations.push(Annotation { id, image, category, bbox, area, crowd, place });
        }
        if dataset.annotations.len() > ANNOTATIONS_MAX {
            return Err(Error::bad_data(path, format!("more than {ANNOTATIONS_MAX} boxes up to here")));
        }
        dataset.images.push(Image { id, path, labels: labels.map(Into::into) });
    }
    name_classes(&mut dataset, numbers, names)?;
    check_classes(annotations, dataset.categories.iter().map(|c| c.name.as_str()))?;
    Ok(dataset)
}

/// Makes the categories, and gives annotations their final numbers.
fn name_classes(
    dataset: &mut Dataset,
    numbers: BTreeMap<String, u32>,
    names: Option<&[String]>,
) -> Result<()> {
    if let Some(names) = names {
        dataset.categories = (0..).zip(names).map(|(id, name)| Category { id, name: name.clone() }).collect();
        return Ok(());
    }
    let mut by_alphabet = vec![0; numbers.len()];
    for (at, (name, number)) in numbers.into_iter().enumerate() {
        by_alphabet[number as usize] = at as u32;
        dataset.categories.push(Category { id: at as i64, name });
    }
    dataset.annotations.iter_mut().for_each(|a| a.category = by_alphabet[a.category as usize]);
    Ok(())
}
