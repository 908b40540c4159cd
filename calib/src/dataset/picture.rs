//! Size of a picture, from its headers.

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};
use ocellus::limits::{PICTURE_FILE_BYTES_MAX, PICTURE_SIDE_MAX};
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

/// Width and height of the picture at `path` in pixels, as a viewer shows it; an error says what is wrong
/// with it.
pub(super) fn size(path: &Path) -> Result<[u32; 2], String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let bytes = file.metadata().map_err(|e| e.to_string())?.len();
    if bytes > PICTURE_FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes; the limit is {PICTURE_FILE_BYTES_MAX}"));
    }
    size_of(BufReader::new(file))
}

fn size_of(picture: impl BufRead + Seek) -> Result<[u32; 2], String> {
    let reader = ImageReader::new(picture).with_guessed_format().map_err(|e| e.to_string())?;
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX {
        return Err(format!("{width}x{height} pixels; sides of 1 to {PICTURE_SIDE_MAX} are supported"));
    }
    // The runtime turns pictures upright too; one with unreadable EXIF is still a picture.
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match decoder.orientation() {
        Ok(Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH) => Ok([height, width]),
        _ => Ok([width, height]),
    }
}

/// Whether a file name looks like a picture's.
pub(crate) fn has_picture_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["jpg", "jpeg", "png", "bmp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};
    use std::io::Cursor;

    /// EXIF orientations 5 to 8 turn by a quarter; the runtime's decoder is asked for the same picture.
    #[test]
    fn the_size_is_that_of_the_upright_picture() {
        let mut jpeg = Vec::new();
        JpegEncoder::new(&mut jpeg).write_image(&[90; 16 * 8], 16, 8, ExtendedColorType::L8).unwrap();
        assert_eq!(size_of(Cursor::new(&jpeg)), Ok([16, 8]));
        for orientation in 1..=8 {
            // APP1 with one TIFF entry: tag 0x0112, type SHORT, count 1.
            let mut exif = *b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0";
            exif[25] = orientation;
            let mut turned = jpeg[..2].to_vec();
            turned.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
            turned.extend(exif);
            turned.extend(&jpeg[2..]);
            let expected = if orientation < 5 { [16, 8] } else { [8, 16] };
            let frame = ocellus::image::decode_bytes("turned.jpg", &turned).unwrap();
            assert_eq!([frame.width, frame.height], expected.map(|side| side as usize), "{orientation}");
            assert_eq!(size_of(Cursor::new(&turned)), Ok(expected), "{orientation}");
        }
        assert!(size_of(Cursor::new(b"no picture")).is_err());
    }
}
