//! Pascal VOC folders.

use super::{Files, Selection, copied, names};
use crate::error::Result;
use quick_xml::escape::escape;
use std::fmt::Write;
use std::path::Path;

/// `name/Annotations` and `name/JPEGImages`.
pub(super) fn files(selection: Selection<'_>, name: &Path) -> Result<Files> {
    let mut files = Files::default();
    for (&at, stem) in selection.pictures.iter().zip(names(selection)?) {
        let path = &selection.whole.dataset.images[at as usize].path;
        let (from, to) = copied(path, &name.join("JPEGImages"), &stem);
        let file = to.file_name().unwrap_or_default().to_string_lossy();
        let text = annotation(selection, at, &file);
        files.written.push((name.join("Annotations").join(stem + ".xml"), text.into_bytes()));
        files.copied.push((from, to));
    }
    Ok(files)
}

fn annotation(selection: Selection<'_>, at: u32, file: &str) -> String {
    let [width, height] = selection.whole.sizes[at as usize];
    let mut text = format!(
        "<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{}</filename>\n\t<size>\n\t\t<width>{width}</width>\n\
         \t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n",
        escape(file)
    );
    for a in selection.boxes(at) {
        let name = &selection.whole.dataset.categories[a.category as usize].name;
        let [left, top, w, h] = a.bbox;
        // Pixels count from 1, and the last belongs to the box.
        let sides = [left + 1.0, top + 1.0, left + w, top + h].map(|x| (x * 100.0).round() / 100.0);
        let [xmin, ymin, xmax, ymax] = sides;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\t<object>\n\t\t<name>{}</name>\n\t\t<difficult>{}</difficult>\n\t\t<bndbox>\n\t\t\t<xmin>{xmin}</xmin>\n\
             \t\t\t<ymin>{ymin}</ymin>\n\t\t\t<xmax>{xmax}</xmax>\n\t\t\t<ymax>{ymax}</ymax>\n\t\t</bndbox>\n\t</object>\n",
            escape(name.as_str()),
            u8::from(a.crowd)
        );
    }
    text + "</annotation>\n"
}
