//! Bounded reading of whole files.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a regular file of at most `bytes_max` bytes.
pub(crate) fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let io = |e| Error::io(path, e);
    let too_large = || Error::bad_data(path, format!("larger than the limit of {bytes_max} bytes"));
    // Asked of the path and not of the open file: opening a pipe would wait for a writer.
    let about = std::fs::metadata(path).map_err(io)?;
    if !about.is_file() {
        return Err(Error::bad_data(path, "not a regular file"));
    }
    if about.len() > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(about.len() as usize + 1);
    File::open(path).map_err(io)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a UTF-8 text file of at most `bytes_max` bytes.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String> {
    String::from_utf8(read_bytes(path, bytes_max)?).map_err(|_| Error::bad_data(path, "not UTF-8 text"))
}
