//! Detections drawn into a picture, and pictures written to files.

use super::{Frame, text::Face};
use crate::error::{Error, Result};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

type Colour = [u8; 3];

/// Colours of classes, in turn; neighbours differ in hue.
const PALETTE: [Colour; 12] = [
    [214, 40, 57],
    [38, 132, 222],
    [46, 173, 96],
    [247, 164, 40],
    [137, 92, 214],
    [0, 176, 176],
    [236, 96, 164],
    [139, 195, 52],
    [72, 84, 196],
    [252, 211, 64],
    [186, 118, 70],
    [104, 204, 244],
];
const DARK: Colour = [18, 18, 22];
const LIGHT: Colour = [255, 255, 255];
/// Opacity of the dark rim that keeps a line visible on a background of its own colour.
const RIM_OPACITY: f32 = 0.35;
const JPEG_QUALITY: u8 = 92;

/// Draws boxes with labels; line and letters are sized for one picture size.
#[derive(Clone, Copy, Debug)]
pub struct Painter {
    line: f32,
    face: Face,
}

impl Painter {
    /// A painter for pictures of about `width` × `height` pixels.
    pub fn new(width: usize, height: usize) -> Self {
        let line = ((width + height) as f32 * 0.0015).round().clamp(2.0, 64.0);
        Painter { line, face: Face::with_height(line as usize * 8) }
    }

    /// Draws the edges of `bbox` (`[x1, y1, x2, y2]` in pixels, clipped to the frame) in the colour of
    /// `class_id`.
    pub fn outline(&self, frame: &mut Frame, bbox: [f32; 4], class_id: usize) {
        let Some(bbox) = clipped(frame, bbox) else { return };
        draw_edges(frame, bbox, self.line + 2.0, DARK, RIM_OPACITY);
        draw_edges(frame, bbox, self.line, colour_of(class_id), 1.0);
    }

    /// Writes `text` on a plate at the upper left corner of `bbox`, in the colour of `class_id`. The plate
    /// never leaves the frame; text too long for the frame is cut.
    ///
    /// Labels after all outlines stay readable where boxes cross.
    pub fn label(&self, frame: &mut Frame, bbox: [f32; 4], class_id: usize, text: &str) {
        let Some(bbox) = clipped(frame, bbox) else { return };
        let (advance, margin) = (self.face.advance(), self.face.height() / 4);
        let letters = text.chars().count().min(frame.width.saturating_sub(2 * margin) / advance);
        let (width, height) = (letters * advance + 2 * margin, self.face.height() + margin);
        if letters == 0 || height > frame.height {
            return;
        }
        let half = self.line / 2.0;
        let left = ((bbox[0] - half).max(0.0) as usize).min(frame.width - width);
        // On top of the box; inside it where there is no room above.
        let above = bbox[1] - half - height as f32;
        let top = if above >= 0.0 { above } else { (bbox[1] - half).max(0.0) };
        let top = (top as usize).min(frame.height - height);
        let plate = [left, top, left + width, top + height].map(|x| x as f32);
        let colour = colour_of(class_id);
        fill_rectangle(frame, plate, colour, 1.0);
        let ink = ink_on(colour);
        for (i, letter) in text.chars().take(letters).enumerate() {
            let origin = [left + margin + i * advance, top + margin / 2];
            self.face
                .letter(letter, |x, y, coverage| blend(frame, origin[0] + x, origin[1] + y, ink, coverage));
        }
    }
}

fn colour_of(class_id: usize) -> Colour {
    PALETTE[class_id % PALETTE.len()]
}

/// The part of a box inside the frame; `None` if the box is not one, or the frame is none.
fn clipped(frame: &Frame, bbox: [f32; 4]) -> Option<[f32; 4]> {
    let drawable = frame.is_consistent() && bbox.iter().all(|x| !x.is_nan());
    let extent = [frame.width as f32, frame.height as f32];
    drawable.then(|| std::array::from_fn(|i| bbox[i].clamp(0.0, extent[i % 2])))
}

/// The one of [`DARK`] and [`LIGHT`] that contrasts more with `plate`.
fn ink_on(plate: Colour) -> Colour {
    let light = luminance(LIGHT) + 0.05;
    let dark = luminance(DARK) + 0.05;
    let plate = luminance(plate) + 0.05;
    if light / plate > plate / dark { LIGHT } else { DARK }
}

/// Relative luminance of an sRGB colour, 0..=1, as WCAG defines it.
fn luminance(colour: Colour) -> f32 {
    let linear = colour.map(|x| {
        let x = f32::from(x) / 255.0;
        if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

/// Four bars of width `line`, centred on the edges of `bbox`.
fn draw_edges(frame: &mut Frame, [x1, y1, x2, y2]: [f32; 4], line: f32, colour: Colour, opacity: f32) {
    let half = line / 2.0;
    let (left, right, top, bottom) = (x1 - half, x2 + half, y1 - half, y2 + half);
    // Inner edges of the bars; bars of a box thinner than a line meet in its middle, they do not overlap.
    let (middle_x, middle_y) = ((x1 + x2) / 2.0, (y1 + y2) / 2.0);
    let (inner_left, inner_right) = ((x1 + half).min(middle_x), (x2 - half).max(middle_x));
    let (inner_top, inner_bottom) = ((y1 + half).min(middle_y), (y2 - half).max(middle_y));
    fill_rectangle(frame, [left, top, right, inner_top], colour, opacity);
    fill_rectangle(frame, [left, inner_bottom, right, bottom], colour, opacity);
    fill_rectangle(frame, [left, inner_top, inner_left, inner_bottom], colour, opacity);
    fill_rectangle(frame, [inner_right, inner_top, right, inner_bottom], colour, opacity);
}

/// Fills a rectangle with fractional edges: a pixel takes as much colour as the rectangle covers of it.
fn fill_rectangle(frame: &mut Frame, [x1, y1, x2, y2]: [f32; 4], colour: Colour, opacity: f32) {
    let covered =
        |from: f32, to: f32, i: usize| (to.min(i as f32 + 1.0) - from.max(i as f32)).clamp(0.0, 1.0);
    let span = |from: f32, to: f32, extent: usize| {
        let end = (to.ceil().max(0.0) as usize).min(extent);
        (from.floor().max(0.0) as usize).min(end)..end
    };
    let columns = span(x1, x2, frame.width);
    for y in span(y1, y2, frame.height) {
        let rows = covered(y1, y2, y) * opacity;
        for x in columns.clone() {
            blend(frame, x, y, colour, rows * covered(x1, x2, x));
        }
    }
}

/// Mixes `colour` into pixel `(x, y)`; outside the frame nothing happens.
fn blend(frame: &mut Frame, x: usize, y: usize, colour: Colour, opacity: f32) {
    if x >= frame.width || y >= frame.height {
        return;
    }
    let at = (y * frame.width + x) * 3;
    for (pixel, colour) in frame.rgb[at..at + 3].iter_mut().zip(colour) {
        let mixed = f32::from(*pixel) + (f32::from(colour) - f32::from(*pixel)) * opacity;
        *pixel = mixed.round() as u8;
    }
}

/// Writes a frame as JPEG (`.jpg`, `.jpeg`) or PNG (`.png`).
///
/// # Errors
/// [`Error::Usage`] for another suffix or an inconsistent frame, [`Error::Io`] if the file cannot be written.
pub fn save(frame: &Frame, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let suffix = path.extension().and_then(|s| s.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !matches!(suffix.as_str(), "jpg" | "jpeg" | "png") {
        let message = format!("{}: pictures are written as .jpg, .jpeg or .png", path.display());
        return Err(Error::Usage(message));
    }
    let extents = u32::try_from(frame.width).ok().zip(u32::try_from(frame.height).ok());
    let Some((width, height)) = extents.filter(|_| frame.is_consistent()) else {
        return Err(Error::Usage(format!("{}: the frame's bytes do not fit its size", path.display())));
    };
    let mut file = BufWriter::new(File::create(path).map_err(|e| Error::io(path, e))?);
    let written = match suffix.as_str() {
        "png" => PngEncoder::new(&mut file).write_image(&frame.rgb, width, height, ExtendedColorType::Rgb8),
        _ => JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY).write_image(
            &frame.rgb,
            width,
            height,
            ExtendedColorType::Rgb8,
        ),
    };
    written.and_then(|()| file.flush().map_err(ImageError::IoError)).map_err(|e| match e {
        ImageError::IoError(e) => Error::io(path, e),
        other => Error::io(path, std::io::Error::other(other)),
    })
}

/// The picture as a JPEG file in memory, of a quality from 1 to 100.
///
/// # Errors
/// [`Error::BadPicture`] if the frame has no pixels, or more in a side than a JPEG can have.
pub fn to_jpeg(frame: &Frame, quality: u8) -> Result<Vec<u8>> {
    let bad = |what: String| Error::BadPicture { path: "picture".into(), what };
    let extents = (u16::try_from(frame.width), u16::try_from(frame.height));
    let (Ok(width), Ok(height), true) = (extents.0, extents.1, frame.is_consistent()) else {
        return Err(bad(format!("{}×{} pixels are no JPEG", frame.width, frame.height)));
    };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality)
        .write_image(&frame.rgb, width.into(), height.into(), ExtendedColorType::Rgb8)
        .map_err(|e| bad(e.to_string()))?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize) -> Frame {
        Frame::new(width, height, vec![128; width * height * 3]).unwrap()
    }

    #[test]
    fn ink_contrasts_with_every_plate() {
        for plate in PALETTE {
            let (a, b) = (luminance(ink_on(plate)) + 0.05, luminance(plate) + 0.05);
            // 4.5 : 1 is WCAG's AA level for text.
            assert!(a.max(b) / a.min(b) >= 4.5, "{plate:?}");
        }
        assert_eq!((ink_on([255, 255, 0]), ink_on([0, 0, 90])), (DARK, LIGHT));
    }

    #[test]
    fn half_a_pixel_takes_half_the_colour() {
        let mut frame = Frame::new(3, 1, vec![0; 9]).unwrap();
        fill_rectangle(&mut frame, [0.5, 0.0, 2.0, 1.0], [200, 100, 50], 1.0);
        assert_eq!(frame.rgb, [100, 50, 25, 200, 100, 50, 0, 0, 0]);
    }

    #[test]
    fn boxes_and_labels_anywhere_stay_inside() {
        let boxes = [
            [0.0, 0.0, 64.0, 48.0],
            [60.0, 44.0, 64.0, 48.0],
            [-1e30, -1e30, 1e30, 1e30],
            [f32::NEG_INFINITY, 0.0, f32::INFINITY, 5.0],
            [f32::NAN, 0.0, 1.0, 1.0],
            [30.0, 30.0, 10.0, 10.0],
            [20.0, 20.0, 20.0, 20.0],
        ];
        for (width, height) in [(64, 48), (1, 1), (8, 400), (400, 8)] {
            let mut frame = grey(width, height);
            for (i, bbox) in boxes.into_iter().enumerate() {
                let painter = Painter::new(width, height);
                painter.outline(&mut frame, bbox, i);
                painter.label(&mut frame, bbox, i, "a label longer than the picture 0.99");
            }
            assert!(frame.is_consistent());
        }
    }

    #[test]
    fn a_label_at_the_right_edge_is_drawn_whole() {
        let (width, height) = (320, 240);
        let painter = Painter::new(width, height);
        let mut frame = grey(width, height);
        painter.label(&mut frame, [310.0, 100.0, 318.0, 140.0], 0, "person 0.87");
        let plate = 11 * painter.face.advance() + 2 * (painter.face.height() / 4);
        let row = 100 - 8;
        let coloured = (0..width).filter(|x| frame.rgb[(row * width + x) * 3..][..3] != [128; 3]).count();
        assert_eq!(coloured, plate);
    }

    #[test]
    fn a_saved_png_reads_back_the_same() {
        let path = std::env::temp_dir().join(format!("ocellus-draw-{}.png", std::process::id()));
        let frame = grey(5, 3);
        save(&frame, &path).unwrap();
        let read = crate::image::decode(&path);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap(), frame);
        assert!(matches!(save(&frame, "a.gif"), Err(Error::Usage(_))));
        assert!(matches!(save(&frame, "no/such/folder/a.jpg"), Err(Error::Io { .. })));
    }
}
