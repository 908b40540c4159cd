//! Size of a picture, from its header.

use ocellus::limits::{PICTURE_FILE_BYTES_MAX, PICTURE_SIDE_MAX};
use std::path::Path;

/// Width and height of the picture at `path`, in pixels; an error says what is wrong with it.
pub(super) fn size(path: &Path) -> Result<[u32; 2], String> {
    let bytes = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if bytes > PICTURE_FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes; the limit is {PICTURE_FILE_BYTES_MAX}"));
    }
    let reader = image::ImageReader::open(path).and_then(|r| r.with_guessed_format());
    let (width, height) = reader.map_err(|e| e.to_string())?.into_dimensions().map_err(|e| e.to_string())?;
    if width == 0 || height == 0 || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX {
        return Err(format!("{width}x{height} pixels; sides of 1 to {PICTURE_SIDE_MAX} are supported"));
    }
    Ok([width, height])
}

/// Whether a file name looks like a picture's.
pub(super) fn has_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "bmp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
