//! Pictures of what changed.

use super::Changed;
use crate::error::Result;
use ocellus::image::{Painter, decode, save};
use std::path::{Path, PathBuf};

/// Places in the painter's palette: red and green.
const LOST: usize = 0;
const GAINED: usize = 2;

/// Draws lost boxes red and gained ones green, and writes `01-name.jpg` and so on into `folder`; returns the files.
///
/// # Errors
/// A file cannot be read or written.
pub fn draw(changed: &[Changed], classes: &[String], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (rank, one) in (1..).zip(changed) {
        let mut frame = decode(&one.picture)?;
        let painter = Painter::new(frame.width, frame.height);
        let lost = one.lost.iter().map(|found| (found, LOST, "lost"));
        let all: Vec<_> = lost.chain(one.gained.iter().map(|found| (found, GAINED, "new"))).collect();
        let corners = |[left, top, width, height]: [f32; 4]| [left, top, left + width, top + height];
        for (found, colour, _) in &all {
            painter.outline(&mut frame, corners(found.bbox), *colour);
        }
        for (found, colour, word) in &all {
            let name = classes.get(found.class).map_or("?", String::as_str);
            let label = format!("{word} {name} {:.2}", found.score);
            painter.label(&mut frame, corners(found.bbox), *colour, &label);
        }
        let stem = one.picture.file_stem().unwrap_or_default().to_string_lossy();
        let file = folder.join(format!("{rank:02}-{stem}.jpg"));
        save(&frame, &file)?;
        files.push(file);
    }
    Ok(files)
}
