//! Which pictures calibrate: files and folders, and a sample of them.

use crate::dataset::has_picture_name;
use crate::error::{Error, Result};
use crate::limits::IMAGES_MAX;
use crate::random::next_random;
use std::path::{Path, PathBuf};

/// The pictures that `arguments` name, files and folders, each once; those of a folder by name.
///
/// # Errors
/// An argument does not exist, a folder has no picture, or they are too many.
pub fn find(arguments: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut pictures = Vec::new();
    for argument in arguments {
        let about = std::fs::metadata(argument).map_err(|e| Error::io(argument, e))?;
        if about.is_dir() {
            pictures.append(&mut in_folder(argument)?);
        } else {
            pictures.push(argument.clone());
        }
        if pictures.len() > IMAGES_MAX {
            return Err(Error::bad_data(argument, format!("more than {IMAGES_MAX} pictures")));
        }
    }
    let mut seen = std::collections::HashSet::new();
    pictures.retain(|picture| seen.insert(picture.clone()));
    Ok(pictures)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io(folder, e);
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)?.take(IMAGES_MAX + 1) {
        let path = entry.map_err(io)?.path();
        if has_picture_name(&path) && path.is_file() {
            pictures.push(path);
        }
    }
    if pictures.is_empty() {
        return Err(Error::bad_data(folder, "no .jpg, .png or .bmp picture in this folder"));
    }
    pictures.sort();
    Ok(pictures)
}

/// `limit` of the pictures, drawn by `seed`; the same ones on every machine. They keep their order.
pub fn sample(mut pictures: Vec<PathBuf>, limit: usize, seed: u64) -> Vec<PathBuf> {
    if pictures.len() <= limit {
        return pictures;
    }
    let mut left = pictures.len();
    let mut wanted = limit;
    let mut state = seed;
    // Each picture is drawn with the chance that keeps all samples of this size equally likely.
    pictures.retain(|_| {
        let drawn = next_random(&mut state) % (left as u64) < wanted as u64;
        (left, wanted) = (left - 1, wanted - usize::from(drawn));
        drawn
    });
    pictures
}

/// `count` of the pictures at equal distances.
pub fn spread_out(pictures: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let count = count.min(pictures.len());
    (0..count).map(|i| pictures[i * pictures.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_its_size_and_depends_on_the_seed_alone() {
        let all: Vec<PathBuf> = (0..100).map(|i| PathBuf::from(format!("{i:03}"))).collect();
        let drawn = sample(all.clone(), 30, 7);
        assert_eq!(drawn.len(), 30);
        assert!(drawn.is_sorted());
        assert_eq!(drawn, sample(all.clone(), 30, 7));
        assert_ne!(drawn, sample(all.clone(), 30, 8));
        assert_eq!(sample(all.clone(), 100, 7), all);
    }
}
