//! The crate's error: what is wrong, where, and what to do about it.

use std::path::{Path, PathBuf};

/// Result with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// Annotations, detections or labels are broken.
    #[error("{}{}: {what}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    BadData {
        /// The file.
        path: PathBuf,
        /// Line in a text file, from 1.
        line: Option<usize>,
        /// What was expected and what was seen.
        what: String,
    },
    /// Several things in annotations are broken.
    #[error("{count} faults in the data; correct them, or leave out what is faulty with --skip-bad:{listed}")]
    Faults {
        /// How many.
        count: usize,
        /// A line for each, begun by a line break.
        listed: String,
    },
    /// The caller asked for something impossible.
    #[error("{0}")]
    Usage(String),
    /// Nothing of what was given meets the caller's bounds.
    #[error("{0}")]
    Unmet(String),
    /// The runtime refused a model or failed on it.
    #[error(transparent)]
    Runtime(#[from] ocellus::Error),
}

impl Error {
    /// An I/O error at `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_owned(), source }
    }

    /// A broken file.
    pub fn bad_data(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Error::BadData { path: path.as_ref().to_owned(), line: None, what: what.into() }
    }

    /// A broken line of a text file, counted from 1.
    pub fn bad_line(path: impl AsRef<Path>, line: usize, what: impl Into<String>) -> Self {
        Error::BadData { path: path.as_ref().to_owned(), line: Some(line), what: what.into() }
    }

    /// Exit status for this error: 2 where the command line is to be changed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Runtime(ocellus::Error::Usage(_)) => 2,
            _ => 1,
        }
    }
}
