//! Frames of a known number of bytes, read from a stream that may lie or end.

use crate::error::{Error, Result};
use std::io::Read;

/// Most bytes that are reserved on the word of a header alone.
const TRUSTED_BYTES: usize = 1 << 16;

/// A stream with its name and the number of the frame that is being read.
pub(super) struct Stream<R> {
    pub reader: R,
    /// Name, for messages.
    pub name: String,
    /// Frames begun so far; the number of the frame that is being read, from 1.
    pub frame: u64,
}

impl<R: Read> Stream<R> {
    pub fn new(reader: R, name: impl Into<String>) -> Self {
        Stream { reader, name: name.into(), frame: 0 }
    }

    /// An error at the current frame; before the first one, at that.
    pub fn bad(&self, what: impl Into<String>) -> Error {
        Error::BadStream { stream: self.name.clone(), frame: self.frame.max(1), what: what.into() }
    }

    /// An error of the system.
    pub fn io(&self, error: std::io::Error) -> Error {
        Error::io(&self.name, error)
    }

    /// Reads `bytes` bytes; fewer only where the stream ends. Memory grows with what arrives until one
    /// frame has shown that the stream is as large as it says.
    pub fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        let proven = self.frame > 1;
        let mut buffer = Vec::with_capacity(if proven { bytes } else { bytes.min(TRUSTED_BYTES) });
        (&mut self.reader).take(bytes as u64).read_to_end(&mut buffer).map_err(|e| self.io(e))?;
        Ok(buffer)
    }

    /// The error of a frame that has `got` of `expected` bytes.
    pub fn truncated(&self, got: usize, expected: usize) -> Error {
        self.bad(format!(
            "the stream ends inside this frame, after {got} of {expected} bytes; the frames before it are \
             whole, see why the program that writes it stopped"
        ))
    }
}
