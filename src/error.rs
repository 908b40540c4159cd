//! The crate's error: what is wrong, where, and what to do about it.

use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where in a model something was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Option<PathBuf>,
    /// Line in a text file, from 1.
    pub line: Option<usize>,
    /// Byte offset in a binary file.
    pub byte: Option<u64>,
    /// Layer or node, as `Type name`.
    pub node: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(file) = &self.file {
            let line = self.line.map(|l| format!(":{l}")).unwrap_or_default();
            parts.push(format!("{}{line}", file.display()));
        } else if let Some(line) = self.line {
            parts.push(format!("line {line}"));
        }
        if let Some(byte) = self.byte {
            parts.push(format!("byte {byte}"));
        }
        if let Some(node) = &self.node {
            parts.push(node.clone());
        }
        f.write_str(&parts.join(", "))
    }
}

/// Everything that can go wrong, by who has to act.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model file is broken: truncated, inconsistent or hostile.
    #[error("{place}: {what}")]
    BadModel {
        /// Where.
        place: Place,
        /// What was expected and what was seen.
        what: String,
    },
    /// A well-formed model needs something that this engine does not do.
    #[error("{place}: {what}")]
    Unsupported {
        /// Where.
        place: Place,
        /// What is missing and which engine can run it.
        what: String,
    },
    /// A picture cannot be decoded.
    #[error("{}: {what}", path.display())]
    BadPicture {
        /// The file.
        path: PathBuf,
        /// What was seen.
        what: String,
    },
    /// A video stream is broken.
    #[error("{stream}: frame {frame}: {what}")]
    BadStream {
        /// Its name: a file, or `stdin`.
        stream: String,
        /// The frame, from 1.
        frame: u64,
        /// What was expected, what was seen, and the remedy.
        what: String,
    },
    /// The caller asked for something impossible.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// An I/O error at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// A broken model; the place is filled in by the layers above with [`Error::at`].
    pub fn bad_model(what: impl Into<String>) -> Self {
        Error::BadModel { place: Place::default(), what: what.into() }
    }

    /// A model that this engine cannot run.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported { place: Place::default(), what: what.into() }
    }

    /// Adds what is still missing of the place where a model error was found.
    pub fn at(mut self, fill: impl FnOnce(&mut Place)) -> Self {
        if let Error::BadModel { place, .. } | Error::Unsupported { place, .. } = &mut self {
            let mut filled = Place::default();
            fill(&mut filled);
            place.file = place.file.take().or(filled.file);
            place.line = place.line.or(filled.line);
            place.byte = place.byte.or(filled.byte);
            place.node = place.node.take().or(filled.node);
        }
        self
    }
}

impl From<crate::tensor::ShapeError> for Error {
    fn from(e: crate::tensor::ShapeError) -> Self {
        Error::bad_model(e.to_string())
    }
}
