//! COCO JSON.

use super::{Selection, picture_folder};
use crate::error::{Error, Result};
use serde::Serialize;

#[derive(Serialize)]
struct File<'a> {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Image {
    id: i64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct Annotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    bbox: [f64; 4],
    area: f64,
    iscrowd: u8,
}

#[derive(Serialize)]
struct Category<'a> {
    id: i64,
    name: &'a str,
}

/// The selected pictures and their boxes. File names are relative to the folder of all pictures; ids stay.
pub(super) fn to_json(selection: Selection<'_>) -> Result<Vec<u8>> {
    let dataset = &selection.whole.dataset;
    let folder = picture_folder(selection.whole);
    let image = |&at: &u32| {
        let image = &dataset.images[at as usize];
        let [width, height] = selection.whole.sizes[at as usize];
        let inside = image.path.strip_prefix(&folder).unwrap_or(&image.path);
        let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        Image { id: image.id, file_name: parts.join("/"), width, height }
    };
    let annotation = |a: &crate::dataset::Annotation| Annotation {
        id: a.id,
        image_id: dataset.images[a.image as usize].id,
        category_id: dataset.categories[a.category as usize].id,
        bbox: a.bbox,
        area: a.area,
        iscrowd: a.crowd.into(),
    };
    let selected = dataset.annotations.iter().filter(|a| selection.pictures.binary_search(&a.image).is_ok());
    let file = File {
        images: selection.pictures.iter().map(image).collect(),
        annotations: selected.map(annotation).collect(),
        categories: dataset.categories.iter().map(|c| Category { id: c.id, name: &c.name }).collect(),
    };
    serde_json::to_vec(&file).map_err(|e| Error::Usage(format!("the annotations cannot be written: {e}")))
}
