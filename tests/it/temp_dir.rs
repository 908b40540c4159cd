//! A folder of its own for each test.

use ocellus::image::{Frame, save};
use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
pub struct TempDir(PathBuf);

impl TempDir {
    /// `test` keeps the tests of one process apart.
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ocellus-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Path of `name` inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes a grey picture; the suffix decides the format (.png or .jpg).
    pub fn picture(&self, name: &str, width: usize, height: usize) -> PathBuf {
        let path = self.write(name, "");
        save(&Frame::new(width, height, vec![128; width * height * 3]).unwrap(), &path).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
