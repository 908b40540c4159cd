//! A picture with the boxes of both models.

use super::data::Sample;
use crate::error::{Error, Result};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, RgbImage};
use ocellus::detect::{Detection, Names, annotate};
use ocellus::image::Frame;

/// Longest side of a picture on the page, in pixels.
const SIDE_MAX: u32 = 640;
/// Quality of its JPEG, of 100.
const QUALITY: u8 = 80;

/// `frame` twice, with the boxes of each model, as JPEGs small enough for a page.
///
/// The picture is made smaller first: names and scores stay readable.
///
/// # Errors
/// The frame's bytes do not fit its size.
pub fn side_by_side(
    frame: &Frame,
    float: &[Detection],
    int8: &[Detection],
    names: &Names,
    caption: &str,
) -> Result<Sample> {
    let (small, ratio) = reduced(frame)?;
    Ok(Sample {
        caption: caption.to_owned(),
        float: drawn(&small, ratio, float, names)?,
        int8: drawn(&small, ratio, int8, names)?,
    })
}

/// The picture with no side beyond [`SIDE_MAX`], and by how much it shrank, across and down.
fn reduced(frame: &Frame) -> Result<(Frame, [f32; 2])> {
    let broken = || Error::Usage("a sample picture's bytes do not fit its size".to_owned());
    let extents = u32::try_from(frame.width).ok().zip(u32::try_from(frame.height).ok());
    let (width, height) = extents.filter(|_| frame.is_consistent()).ok_or_else(broken)?;
    let longest = width.max(height);
    if longest <= SIDE_MAX {
        return Ok((frame.clone(), [1.0; 2]));
    }
    let side = |n: u32| {
        let exact = u64::from(n) * u64::from(SIDE_MAX);
        ((exact + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    let picture = RgbImage::from_raw(width, height, frame.rgb.clone()).ok_or_else(broken)?;
    let small = resize(&picture, side(width), side(height), FilterType::Triangle);
    let ratio = [small.width() as f32 / width as f32, small.height() as f32 / height as f32];
    let (width, height) = (small.width() as usize, small.height() as usize);
    Ok((Frame::new(width, height, small.into_raw()).ok_or_else(broken)?, ratio))
}

fn drawn(frame: &Frame, [across, down]: [f32; 2], found: &[Detection], names: &Names) -> Result<Vec<u8>> {
    let scale = |d: &Detection| {
        let [left, top, right, bottom] = d.bbox;
        Detection { bbox: [left * across, top * down, right * across, bottom * down], ..*d }
    };
    let found: Vec<Detection> = found.iter().map(scale).collect();
    let mut frame = frame.clone();
    annotate(&mut frame, &found, names);
    let mut jpeg = Vec::new();
    // No side is beyond SIDE_MAX.
    let (width, height) = (frame.width as u32, frame.height as u32);
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .encode(&frame.rgb, width, height, ExtendedColorType::Rgb8)
        .map_err(|e| Error::Usage(format!("a sample picture cannot be written: {e}")))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_shrink_and_boxes_with_them() {
        let frame = Frame::new(1280, 320, vec![90; 1280 * 320 * 3]).unwrap();
        let found = [Detection { class_id: 0, score: 0.9, bbox: [640.0, 100.0, 1200.0, 300.0] }];
        let sample = side_by_side(&frame, &found, &[], &Names::coco(), "street").unwrap();
        let [float, int8] =
            [&sample.float, &sample.int8].map(|j| image::load_from_memory(j).unwrap().to_rgb8());
        assert_eq!((float.dimensions(), int8.dimensions()), ((640, 160), (640, 160)));
        let changed = |x, y| float.get_pixel(x, y) != int8.get_pixel(x, y);
        assert!(changed(320, 120) && changed(599, 120), "the box's sides at half the size");
        assert!(!changed(100, 100) && !changed(460, 120));
        let broken = Frame { width: 3, height: 3, rgb: vec![0; 5] };
        assert!(side_by_side(&broken, &[], &[], &Names::coco(), "").is_err());
    }
}
