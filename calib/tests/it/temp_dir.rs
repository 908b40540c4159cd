//! A folder of its own for each test.

use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    /// `test` keeps tests of one process apart.
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("calib-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    /// Path of `name` inside.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a black picture; the extension decides the format.
    pub fn picture(&self, name: &str, width: u32, height: u32) -> PathBuf {
        let path = self.write(name, "");
        image::RgbImage::new(width, height).save(&path).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
