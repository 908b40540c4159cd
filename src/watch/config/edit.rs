//! Changes of zones and lines in the text of a configuration, whose other words and comments stay.

use super::parse::{parse, read};
use super::{Camera, Config, Line, Zone};
use crate::error::{Error, Result};
use std::fs;
use std::io::Write;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

/// Writes these zones and lines of a camera into the file at `path`, in place of those that it has. The file is
/// replaced as a whole.
///
/// # Errors
/// As [`load`](super::load); [`Error::Usage`] if the file has no such camera; [`Error::Io`] if it cannot be written.
/// The file is then as it was.
pub fn set_places(path: &Path, camera: &str, zones: &[Zone], lines: &[Line]) -> Result<Config> {
    let text = read(path)?;
    let before = parse(&text, path)?;
    let index = before.cameras.iter().position(|known: &Camera| known.label() == camera);
    let no_camera = || Error::Usage(format!("{}: no camera is named '{camera}'", path.display()));
    let index = index.ok_or_else(no_camera)?;
    let mut document: DocumentMut =
        text.parse().map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
    let cameras = document.get_mut("camera").and_then(Item::as_array_of_tables_mut);
    let table = cameras.and_then(|cameras| cameras.get_mut(index)).ok_or_else(|| {
        let path = path.display();
        Error::Usage(format!("{path}: cameras are written in one line; write each as [[camera]]"))
    })?;
    let tables = |tables: Vec<Table>| Item::ArrayOfTables(tables.into_iter().collect::<ArrayOfTables>());
    let zones = zones.iter().map(|zone| {
        let points: Vec<[f32; 2]> = zone.points.clone().into();
        place(&zone.name, &points, &zone.classes)
    });
    let lines = lines.iter().map(|line| {
        let points: [[f32; 2]; 2] = line.points.into();
        place(&line.name, &points, &line.classes)
    });
    table.insert("zone", tables(zones.collect()));
    table.insert("line", tables(lines.collect()));
    let text = document.to_string();
    let after = parse(&text, path)?;
    replace(path, text.as_bytes()).map_err(|e| Error::io(path, e))?;
    Ok(after)
}

fn place(name: &str, points: &[[f32; 2]], classes: &[String]) -> Table {
    let mut table = Table::new();
    table.insert("name", value(name));
    // Four decimals are finer than any pixel.
    let number = |x: f32| Value::from((f64::from(x) * 1e4).round() / 1e4);
    let point = |point: &[f32; 2]| Value::from(point.iter().map(|&x| number(x)).collect::<Array>());
    table.insert("points", value(points.iter().map(point).collect::<Array>()));
    if !classes.is_empty() {
        table.insert("classes", value(classes.iter().collect::<Array>()));
    }
    table
}

/// Writes a file under another name first, so that a reader never sees half of it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let path = path.canonicalize()?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    // For nobody else's eyes: an address in it may hold a password.
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // Of a run that was cut off.
    let _ = fs::remove_file(&temporary);
    let mut file = options.open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let permissions =
        fs::metadata(&path).and_then(|data| fs::set_permissions(&temporary, data.permissions()));
    let done = written.and(permissions).and_then(|()| fs::rename(&temporary, &path));
    done.inspect_err(|_| drop(fs::remove_file(&temporary)))
}
