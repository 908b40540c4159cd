//! Changes that programs make, in a configuration and in its text, whose other words and comments stay.

use super::parse::{parse, read};
use super::{Camera, Line, Share, Zone};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

/// What a program may change of a camera; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Name of the camera.
    pub camera: String,
    /// Least score of a detection.
    pub score: Option<Share>,
    /// Least score by class, of all classes that have one of their own.
    pub scores: Option<BTreeMap<String, Share>>,
    /// All zones.
    pub zones: Option<Vec<Zone>>,
    /// All lines.
    pub lines: Option<Vec<Line>>,
}

impl Change {
    /// Changes what is said of the camera.
    pub fn apply(&self, camera: &mut Camera) {
        let Change { camera: _, score, scores, zones, lines } = self.clone();
        camera.score = score.or(camera.score);
        camera.scores = scores.unwrap_or_else(|| std::mem::take(&mut camera.scores));
        camera.zones = zones.unwrap_or_else(|| std::mem::take(&mut camera.zones));
        camera.lines = lines.unwrap_or_else(|| std::mem::take(&mut camera.lines));
    }

    /// Writes the same into the file at `path`, which is replaced as a whole. `alone`: it is the daemon's only camera,
    /// which may have another name and source there than the command line gives it.
    ///
    /// # Errors
    /// As [`load`](super::load); [`Error::Usage`] if the file has no such camera; [`Error::Io`] if it cannot be written.
    /// The file is then as it was.
    pub fn keep(&self, path: &Path, alone: bool) -> Result<()> {
        let text = read(path)?;
        let before = parse(&text, path)?;
        let usage = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        let index = match &before.cameras[..] {
            [] => {
                return Err(usage(
                    "has no [[camera]], so nothing can be kept there; write the one of the command line into it".into(),
                ));
            }
            [_] if alone => Some(0),
            all => all.iter().position(|known| known.label() == self.camera),
        };
        let index = index.ok_or_else(|| usage(format!("no camera is named '{}'", self.camera)))?;
        let mut document: DocumentMut = text.parse().map_err(|e| usage(format!("{e}")))?;
        let cameras = document.get_mut("camera").and_then(Item::as_array_of_tables_mut);
        let table = cameras
            .and_then(|cameras| cameras.get_mut(index))
            .ok_or_else(|| usage("cameras are written in one line; write each as [[camera]]".into()))?;
        self.write(table);
        let text = document.to_string();
        parse(&text, path)?;
        replace(path, text.as_bytes()).map_err(|e| Error::io(path, e))
    }

    fn write(&self, camera: &mut Table) {
        if let Some(score) = self.score {
            set(camera, "score", number(score.into()));
        }
        if let Some(scores) = &self.scores {
            let scores = scores.iter().map(|(class, &score)| (class, number(score.into())));
            set(camera, "scores", Value::InlineTable(scores.collect()));
        }
        let tables = |tables: Vec<Table>| Item::ArrayOfTables(tables.into_iter().collect::<ArrayOfTables>());
        if let Some(zones) = &self.zones {
            let zone = |zone: &Zone| place(&zone.name, &Vec::from(zone.points.clone()), &zone.classes);
            camera.insert("zone", tables(zones.iter().map(zone).collect()));
        }
        if let Some(lines) = &self.lines {
            let line = |line: &Line| place(&line.name, &<[[f32; 2]; 2]>::from(line.points), &line.classes);
            camera.insert("line", tables(lines.iter().map(line).collect()));
        }
    }
}

/// Sets a value; what is written around the old one, such as a comment behind it, stays.
fn set(table: &mut Table, key: &str, mut new: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(new));
}

/// Four decimals are finer than any pixel, and than any score.
fn number(x: f32) -> Value {
    Value::from((f64::from(x) * 1e4).round() / 1e4)
}

fn place(name: &str, points: &[[f32; 2]], classes: &[String]) -> Table {
    let mut table = Table::new();
    table.insert("name", value(name));
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
