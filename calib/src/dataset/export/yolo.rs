//! YOLO folders.

use super::{Files, Selection, copied, names};
use crate::error::Result;
use std::fmt::Write;
use std::path::Path;

/// `name/images`, `name/labels`, and `data.yaml` beside `name`.
pub(super) fn files(selection: Selection<'_>, name: &Path) -> Result<Files> {
    let dataset = &selection.whole.dataset;
    let mut files = Files::default();
    for (&at, stem) in selection.pictures.iter().zip(names(selection)?) {
        let [width, height] = selection.whole.sizes[at as usize].map(f64::from);
        let mut rows = String::new();
        for a in selection.boxes(at) {
            if a.crowd {
                files.unsaid += 1;
                continue;
            }
            let [left, top, w, h] = a.bbox;
            let middle = [(left + w / 2.0) / width, (top + h / 2.0) / height];
            let [x, y, w, h] = [middle[0], middle[1], w / width, h / height].map(|x| (x * 1e7).round() / 1e7);
            // Writing to a string cannot fail.
            let _ = writeln!(rows, "{} {x} {y} {w} {h}", a.category);
        }
        files.written.push((name.join("labels").join(stem.clone() + ".txt"), rows.into_bytes()));
        let path = &dataset.images[at as usize].path;
        files.copied.push(copied(path, &name.join("images"), &stem));
    }
    let quoted: Vec<String> = dataset.categories.iter().map(|c| quoted(&c.name)).collect();
    let yaml = format!("nc: {}\nnames: [{}]\n", quoted.len(), quoted.join(", "));
    files.written.push((name.parent().unwrap_or(Path::new("")).join("data.yaml"), yaml.into_bytes()));
    Ok(files)
}

/// A name as YAML, so that tools which do not know of doubled quotes read it, too, where it needs none.
fn quoted(name: &str) -> String {
    match name.contains(['"', '\\']) {
        false => format!("\"{name}\""),
        true => format!("'{}'", name.replace('\'', "''")),
    }
}
