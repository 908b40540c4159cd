//! A folder of pictures as a source.

use super::{Picture, Shot, Source, Step};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

const SUFFIXES: [&str; 5] = ["jpg", "jpeg", "jfif", "png", "bmp"];

/// The pictures of a folder (JPEG, PNG, BMP), by name; what lies deeper is not looked at.
pub struct Folder {
    pictures: std::vec::IntoIter<PathBuf>,
    number: u64,
}

impl Folder {
    /// # Errors
    /// [`Error::Io`] if the folder cannot be read, [`Error::Usage`] if no picture is in it.
    pub fn open(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, e))?;
        let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
        let mut pictures = paths.map_err(|e| Error::io(folder, e))?;
        pictures.retain(|path| is_picture(path));
        if pictures.is_empty() {
            let folder = folder.display();
            return Err(Error::Usage(format!("{folder}: no .jpg, .png or .bmp picture in this folder")));
        }
        pictures.sort();
        Ok(Folder { pictures: pictures.into_iter(), number: 0 })
    }
}

fn is_picture(path: &Path) -> bool {
    let suffix = path.extension().map(|s| s.to_string_lossy().to_lowercase());
    suffix.is_some_and(|s| SUFFIXES.contains(&s.as_str())) && path.is_file()
}

impl Source for Folder {
    fn next_frame(&mut self) -> Result<Step> {
        let Some(path) = self.pictures.next() else { return Ok(Step::End) };
        self.number += 1;
        Ok(Step::Frame(Shot::now(self.number, Picture::File(path))))
    }
}
