//! What INPUT arguments stand for: pictures, folders of pictures, patterns.

use ocellus::{Error, Result};
use std::path::{Path, PathBuf};

const SUFFIXES: [&str; 5] = ["jpg", "jpeg", "png", "bmp", "jfif"];

/// All pictures that `arguments` name, in their order; those of a folder or pattern by name.
pub(super) fn expand(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            let mut found = in_folder(argument)?;
            if found.is_empty() {
                return Err(Error::Usage(format!(
                    "{}: no .jpg, .png or .bmp picture in this folder",
                    argument.display()
                )));
            }
            pictures.append(&mut found);
        } else if argument.exists() || !is_pattern(argument) {
            pictures.push(argument.clone());
        } else {
            let mut found = matching(&argument.to_string_lossy())?;
            if found.is_empty() {
                return Err(Error::Usage(format!("{}: nothing matches", argument.display())));
            }
            pictures.append(&mut found);
        }
    }
    Ok(pictures)
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

fn is_picture(path: &Path) -> bool {
    let suffix = path.extension().map(|s| s.to_string_lossy().to_lowercase());
    path.is_file() && suffix.is_some_and(|s| SUFFIXES.contains(&s.as_str()))
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if is_picture(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn matching(pattern: &str) -> Result<Vec<PathBuf>> {
    let paths = glob::glob(pattern).map_err(|e| Error::Usage(format!("pattern {pattern}: {e}")))?;
    Ok(paths.filter_map(std::result::Result::ok).filter(|path| is_picture(path)).collect())
}
