//! Picture files to frames.

use super::Frame;
use crate::error::{Error, Result};
use crate::limits::{PICTURE_FILE_BYTES_MAX, PICTURE_PIXELS_MAX, PICTURE_SIDE_MAX};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Most bytes per pixel while a picture is decoded: RGBA with 16 bits per channel.
const DECODED_PIXEL_BYTES_MAX: u64 = 8;

/// Reads a JPEG, PNG or BMP file; the content decides which, not the suffix.
///
/// The EXIF orientation is applied, so width and height are those a viewer shows.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::BadPicture`] if it is no picture or above a limit.
pub fn decode(path: impl AsRef<Path>) -> Result<Frame> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one above it, whatever its metadata says.
    file.take(PICTURE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    decode_bytes(path, &bytes)
}

/// Decodes a picture that is already in memory; `path` only names it in errors.
///
/// # Errors
/// [`Error::BadPicture`]: not a JPEG, PNG or BMP, broken, or above a limit of `limits.rs`.
pub fn decode_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Frame> {
    let bad = |what: String| Error::BadPicture { path: path.as_ref().to_owned(), what };
    if bytes.is_empty() {
        return Err(bad("the file is empty".into()));
    }
    if bytes.len() as u64 > PICTURE_FILE_BYTES_MAX {
        return Err(bad(format!("the file is larger than the limit of {PICTURE_FILE_BYTES_MAX} bytes")));
    }
    barrier(path.as_ref(), || decode_checked(bytes))
}

/// Calls a decoder. Decoders meet hostile bytes and have panicked on some; nothing of theirs outlives the closure.
pub(super) fn barrier<T>(path: &Path, decode: impl FnOnce() -> Result<T, String>) -> Result<T> {
    let bad = |what: String| Error::BadPicture { path: path.to_owned(), what };
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(decoded) => decoded.map_err(bad),
        Err(_) => Err(bad("the decoder failed on this file; save the picture anew".into())),
    }
}

/// Refuses what has no pixels, or too many.
pub(super) fn check_extents(width: u32, height: u32) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("the picture is {width}×{height}: it has no pixels"));
    }
    let too_large = u64::from(width) * u64::from(height) > PICTURE_PIXELS_MAX;
    if too_large || width > PICTURE_SIDE_MAX || height > PICTURE_SIDE_MAX {
        return Err(format!(
            "the picture is {width}×{height}; the limits are {PICTURE_SIDE_MAX} a side \
             and {PICTURE_PIXELS_MAX} pixels"
        ));
    }
    Ok(())
}

fn decode_checked(bytes: &[u8]) -> Result<Frame, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(PICTURE_SIDE_MAX);
    limits.max_image_height = Some(PICTURE_SIDE_MAX);
    limits.max_alloc = Some(PICTURE_PIXELS_MAX * DECODED_PIXEL_BYTES_MAX);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    if reader.format().is_none() {
        return Err("not a picture in a known format; JPEG, PNG and BMP can be read".into());
    }
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions();
    check_extents(width, height)?;
    // A picture with unreadable EXIF is still a picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    let (width, height) = rgb.dimensions();
    Frame::new(width as usize, height as usize, rgb.into_raw()).ok_or_else(|| "no pixels".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
    use image::{ExtendedColorType, ImageEncoder};

    fn refused(bytes: &[u8], why: &str) {
        match decode_bytes("a.jpg", bytes) {
            Err(Error::BadPicture { path, what }) => {
                assert!(path.ends_with("a.jpg") && what.contains(why), "{what}");
            }
            other => panic!("{other:?}"),
        }
    }

    fn png(width: u32, height: u32, pixels: &[u8], colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes).write_image(pixels, width, height, colour).unwrap();
        bytes
    }

    #[test]
    fn grey_and_transparent_pictures_become_rgb() {
        let grey = decode_bytes("g.png", &png(2, 1, &[7, 200], ExtendedColorType::L8)).unwrap();
        assert_eq!(grey.rgb, [7, 7, 7, 200, 200, 200]);
        let rgba = decode_bytes("t.png", &png(1, 1, &[1, 2, 3, 0], ExtendedColorType::Rgba8)).unwrap();
        assert_eq!(rgba.rgb, [1, 2, 3]);
    }

    #[test]
    fn broken_files_are_errors() {
        refused(b"", "empty");
        refused(b"hello, I am no picture", "known format");
        let whole = png(2, 1, &[7, 200], ExtendedColorType::L8);
        for cut in 8..whole.len() - 12 {
            assert!(decode_bytes("a.png", &whole[..cut]).is_err(), "{cut} bytes");
        }
        assert!(matches!(decode("/no/such/file.jpg"), Err(Error::Io { .. })));
    }

    /// A header that announces 30 000 × 30 000 pixels: refused before anything is allocated.
    #[test]
    fn oversized_pictures_are_refused_by_their_header() {
        let mut bmp = vec![0u8; 54];
        bmp[..2].copy_from_slice(b"BM");
        bmp[10] = 54;
        bmp[14] = 40;
        bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&30_000u32.to_le_bytes());
        bmp[26] = 1;
        bmp[28] = 24;
        refused(&bmp, "");
        bmp[18..22].copy_from_slice(&16_000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&16_000u32.to_le_bytes());
        refused(&bmp, "limits");
    }

    /// EXIF orientation 6 says: turn a quarter clockwise to view. The picture is 16×8, left half dark, so the
    /// upper half is dark in the upright 8×16 one.
    #[test]
    fn exif_orientation_is_applied() {
        let pixels: Vec<u8> = (0..16 * 8).map(|i| if i % 16 < 8 { 20 } else { 230 }).collect();
        let mut jpeg = Vec::new();
        JpegEncoder::new(&mut jpeg).write_image(&pixels, 16, 8, ExtendedColorType::L8).unwrap();
        // APP1 with one TIFF entry: tag 0x0112, type SHORT, count 1, value 6.
        let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let mut turned = jpeg[..2].to_vec();
        turned.extend([0xff, 0xe1, 0, exif.len() as u8 + 2]);
        turned.extend(exif);
        turned.extend(&jpeg[2..]);
        let frame = decode_bytes("t.jpg", &turned).unwrap();
        assert_eq!((frame.width, frame.height), (8, 16));
        assert!(frame.rgb[0] < 60 && frame.rgb[15 * 8 * 3] > 190);
    }
}
