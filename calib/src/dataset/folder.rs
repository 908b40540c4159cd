//! Folders with a label file for each picture.

use super::Findings;
use crate::error::{Error, Result};
use crate::limits::IMAGES_MAX;
use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A picture, with its label file if it has one.
pub(super) type Pair = (PathBuf, Option<PathBuf>);

/// `root/name`, or `root` where there is no such folder.
pub(super) fn inside_or(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    if folder.is_dir() { folder } else { root.to_owned() }
}

/// Each picture, by name, with the label file in `labels` that has its name and `extension`.
pub(super) fn pair_up(
    pictures: &Path,
    labels: &Path,
    extension: &str,
    findings: &mut Findings,
) -> Result<Vec<Pair>> {
    let pictures_found = list(pictures, super::picture::has_picture_name)?;
    let mut labels_found: HashSet<OsString> = list(labels, |path| is_label(path, extension))?
        .iter()
        .filter_map(|path| path.file_stem().map(|stem| stem.to_owned()))
        .collect();
    if labels_found.is_empty() {
        return Err(Error::bad_data(labels, format!("no label files (.{extension}) here")));
    }
    let mut pairs: Vec<Pair> = Vec::with_capacity(pictures_found.len());
    for path in pictures_found {
        let stem = path.file_stem().unwrap_or_default().to_owned();
        if pairs.last().is_some_and(|(last, _)| last.file_stem() == Some(&stem)) {
            let what = "another picture has the same name but for its extension";
            findings.note(Error::bad_data(path, what))?;
            continue;
        }
        let label = labels_found.remove(&stem).then(|| label_path(labels, stem, extension));
        pairs.push((path, label));
    }
    let mut without: Vec<OsString> = labels_found.into_iter().collect();
    without.sort();
    for stem in without {
        let what = "no picture for this label file: check where the pictures are (images)";
        findings.note(Error::bad_data(label_path(labels, stem, extension), what))?;
    }
    Ok(pairs)
}

/// Stems may hold dots, so the extension is appended and not replaced.
fn label_path(labels: &Path, mut stem: OsString, extension: &str) -> PathBuf {
    stem.push(".");
    stem.push(extension);
    labels.join(stem)
}

/// Files in `folder` that `keep` accepts, sorted by name without extension.
pub(super) fn list(folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io(folder, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if keep(&path) && path.is_file() {
            files.push(path);
        }
        if files.len() > IMAGES_MAX {
            return Err(Error::bad_data(folder, format!("more than {IMAGES_MAX} files")));
        }
    }
    files.sort_by(|a, b| (a.file_stem(), a.extension()).cmp(&(b.file_stem(), b.extension())));
    Ok(files)
}

/// Whether a file name is a label file's, and none of the texts that labelling tools put beside.
fn is_label(path: &Path, extension: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.extension().is_some_and(|e| e == extension) && name != "classes.txt" && !name.starts_with("readme")
}
