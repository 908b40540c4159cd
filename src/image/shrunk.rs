//! JPEG pictures at a half, a quarter or an eighth of their size, as their transform gives them for less work.

use super::decode::{barrier, check_extents};
use super::{Frame, decode_bytes};
use crate::error::Result;
use crate::limits::{PICTURE_FILE_BYTES_MAX, PICTURE_PIXELS_MAX};
use jpeg_decoder::{Decoder, PixelFormat};
use std::path::Path;

/// Decodes a JPEG file in memory, as small as it may be for a network of `[height, width]`: each side is divided by the
/// largest of 8, 4 and 2 that leaves at least the pixels that the network sees of a whole picture. Where none does, and
/// for other pictures, this is [`decode_bytes`]. The EXIF orientation is applied by the latter only.
///
/// # Errors
/// As [`decode_bytes`].
pub fn decode_shrunk(path: impl AsRef<Path>, bytes: &[u8], network: [usize; 2]) -> Result<Frame> {
    let shrunk = match bytes.len() as u64 <= PICTURE_FILE_BYTES_MAX {
        true => barrier(path.as_ref(), || shrink(bytes, network))?,
        false => None,
    };
    shrunk.map_or_else(|| decode_bytes(path, bytes), Ok)
}

/// `None`: it is to be decoded as it is.
fn shrink(bytes: &[u8], [rows, columns]: [usize; 2]) -> Result<Option<Frame>, String> {
    let mut decoder = Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(PICTURE_PIXELS_MAX as usize * 3);
    if decoder.read_info().is_err() {
        return Ok(None);
    }
    let Some(info) = decoder.info() else { return Ok(None) };
    check_extents(info.width.into(), info.height.into())?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    // A letterbox shrinks both sides by the larger of these two.
    let spare = (width / columns.max(1)).max(height / rows.max(1));
    let Some(factor) = [8, 4, 2].into_iter().find(|&factor| spare >= factor) else { return Ok(None) };
    let side = |side: u16| side.div_ceil(factor as u16);
    let (width, height) = decoder.scale(side(info.width), side(info.height)).map_err(|e| e.to_string())?;
    let pixels = decoder.decode().map_err(|e| e.to_string())?;
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.into_iter().flat_map(|grey| [grey; 3]).collect(),
        PixelFormat::L16 | PixelFormat::CMYK32 => return Ok(None),
    };
    Frame::new(width.into(), height.into(), rgb).map(Some).ok_or_else(|| "no pixels".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use image::ExtendedColorType::{L8, Rgb8};
    use image::ImageEncoder;
    use image::codecs::jpeg::JpegEncoder;

    /// Colours that change slowly, so that a mean is what lies in the middle.
    fn colours(width: usize, height: usize) -> Vec<u8> {
        let pixel = |i: usize| [i % width * 255 / width, i / width * 255 / height, 128].map(|x| x as u8);
        (0..width * height).flat_map(pixel).collect()
    }

    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        let pixels = colours(width.into(), height.into());
        let encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
        encoder.write_image(&pixels, width.into(), height.into(), Rgb8).unwrap();
        bytes
    }

    fn size(width: u16, height: u16, network: [usize; 2]) -> (usize, usize) {
        let frame = decode_shrunk("a.jpg", &jpeg(width, height), network).unwrap();
        (frame.width, frame.height)
    }

    #[test]
    fn a_picture_keeps_at_least_what_the_network_sees() {
        assert_eq!(size(640, 480, [320, 320]), (320, 240));
        assert_eq!(size(639, 480, [320, 320]), (639, 480));
        assert_eq!(size(1280, 720, [320, 320]), (320, 180));
        assert_eq!(size(1000, 200, [64, 64]), (125, 25));
        assert_eq!(size(100, 801, [64, 64]), (13, 101));
        assert_eq!(size(32, 32, [320, 320]), (32, 32));
    }

    /// Each pixel is near the mean of the square that it stands for.
    #[test]
    fn a_shrunk_picture_shows_the_same() {
        let bytes = jpeg(256, 128);
        let whole = decode_bytes("a.jpg", &bytes).unwrap();
        let small = decode_shrunk("a.jpg", &bytes, [32, 64]).unwrap();
        assert_eq!((small.width, small.height), (64, 32));
        for (i, pixel) in small.rgb.chunks(3).enumerate() {
            let (x, y) = (i % 64 * 4, i / 64 * 4);
            for (c, value) in pixel.iter().enumerate() {
                let square = (0..16).map(|k| u32::from(whole.rgb[((y + k / 4) * 256 + x + k % 4) * 3 + c]));
                let mean = square.sum::<u32>() / 16;
                assert!(mean.abs_diff((*value).into()) <= 6, "pixel {i}: {value} instead of {mean}");
            }
        }
    }

    #[test]
    fn grey_and_other_pictures_are_decoded_as_well() {
        let mut grey = Vec::new();
        JpegEncoder::new(&mut grey).write_image(&[128; 64 * 64], 64, 64, L8).unwrap();
        let frame = decode_shrunk("g.jpg", &grey, [32, 32]).unwrap();
        assert_eq!((frame.width, frame.rgb), (32, vec![128; 32 * 32 * 3]));
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.write_image(&[9; 64 * 64], 64, 64, L8).unwrap();
        assert_eq!(decode_shrunk("p.png", &png, [32, 32]).unwrap().width, 64);
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let whole = jpeg(64, 64);
        for cut in (0..whole.len() / 2).step_by(7) {
            let error = decode_shrunk("a.jpg", &whole[..cut], [16, 16]).unwrap_err();
            assert!(matches!(error, Error::BadPicture { .. }), "{cut}: {error}");
        }
    }
}
