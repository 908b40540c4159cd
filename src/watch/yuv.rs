//! Brightness and colour planes (Y, Cb, Cr) and their way to RGB.
//!
//! The matrix is that of ITU-R BT.601, as in JPEG (JFIF, ITU-T T.871) and in standard definition video. HD video
//! is mostly made with BT.709; read as BT.601 its colours shift by a few per cent, which detectors do not mind.
//! With `R = Y + 1.402·Cr`, `B = Y + 1.772·Cb` and `G` from `Y = 0.299·R + 0.587·G + 0.114·B`, Cb and Cr from −½ to
//! ½, the full range has 0 to 255 for Y and 128 ± 127.5 for Cb and Cr, the limited range 16 to 235 and 128 ± 112.

use crate::image::Frame;
use crate::limits::{PICTURE_SIDE_MAX, VIDEO_PIXELS_MAX};

/// How many pixels share a sample of Cb and Cr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chroma {
    /// No colour planes.
    Mono,
    /// Two by two pixels.
    C420,
    /// Two pixels of a row.
    C422,
    /// Each pixel has its own.
    C444,
}

/// Which codes stand for black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// 16 to 235, as video has it.
    Limited,
    /// 0 to 255, as JPEG has it.
    Full,
}

/// One frame: the Y plane, then Cb, then Cr, each row after row without gaps. Where extents are odd, the last
/// samples of Cb and Cr stand for fewer pixels. Colour is not interpolated: pixels that share a sample get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yuv {
    layout: Layout,
    range: Range,
    bytes: Vec<u8>,
}

/// Extents of the planes, within the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub chroma: Chroma,
}

impl Layout {
    /// The message says what is wrong with the extents.
    pub fn new(width: usize, height: usize, chroma: Chroma) -> Result<Self, String> {
        check_extents(width, height)?;
        Ok(Layout { width, height, chroma })
    }

    /// Bytes of a frame.
    pub fn bytes(&self) -> usize {
        let [width, height] = self.chroma_extents();
        self.width * self.height + 2 * width * height
    }

    fn chroma_extents(&self) -> [usize; 2] {
        match self.chroma {
            Chroma::Mono => [0, 0],
            Chroma::C420 => [self.width.div_ceil(2), self.height.div_ceil(2)],
            Chroma::C422 => [self.width.div_ceil(2), self.height],
            Chroma::C444 => [self.width, self.height],
        }
    }
}

/// Refuses extents that no frame may have.
pub(super) fn check_extents(width: usize, height: usize) -> Result<(), String> {
    let side = 1..=PICTURE_SIDE_MAX as usize;
    let pixels = width.checked_mul(height);
    if side.contains(&width) && side.contains(&height) && pixels.is_some_and(|n| n <= VIDEO_PIXELS_MAX) {
        return Ok(());
    }
    Err(format!(
        "frames of {width}×{height} pixels; a side has 1 to {PICTURE_SIDE_MAX}, a frame at most \
         {VIDEO_PIXELS_MAX}: let the program that writes the stream scale it down"
    ))
}

impl Yuv {
    /// `None` unless the extents are within the limits and `bytes` holds exactly the planes.
    pub fn new([width, height]: [usize; 2], chroma: Chroma, range: Range, bytes: Vec<u8>) -> Option<Self> {
        Yuv::with(Layout::new(width, height, chroma).ok()?, range, bytes)
    }

    pub(super) fn with(layout: Layout, range: Range, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == layout.bytes()).then_some(Yuv { layout, range, bytes })
    }

    /// The frame as RGB, each value rounded to the nearest code.
    pub fn to_rgb(&self) -> Frame {
        let Layout { width, height, chroma } = self.layout;
        let matrix = Matrix::of(self.range);
        let [chroma_width, chroma_height] = self.layout.chroma_extents();
        let (luma, colour) = self.bytes.split_at(width * height);
        let (blue, red) = colour.split_at(chroma_width * chroma_height);
        let mut rgb = vec![0; width * height * 3];
        for (y, (row, out)) in luma.chunks_exact(width).zip(rgb.chunks_exact_mut(width * 3)).enumerate() {
            let start = if chroma == Chroma::C420 { y / 2 } else { y } * chroma_width;
            let samples = || blue[start..][..chroma_width].iter().zip(&red[start..][..chroma_width]);
            match chroma {
                Chroma::Mono => {
                    for (out, &y) in out.chunks_exact_mut(3).zip(row) {
                        matrix.pixel(y, [0; 3], out);
                    }
                }
                Chroma::C444 => {
                    for ((out, &y), (&cb, &cr)) in out.chunks_exact_mut(3).zip(row).zip(samples()) {
                        matrix.pixel(y, matrix.colour(cb, cr), out);
                    }
                }
                Chroma::C420 | Chroma::C422 => {
                    for ((out, y), (&cb, &cr)) in out.chunks_mut(6).zip(row.chunks(2)).zip(samples()) {
                        let colour = matrix.colour(cb, cr);
                        out.chunks_exact_mut(3).zip(y).for_each(|(out, &y)| matrix.pixel(y, colour, out));
                    }
                }
            }
        }
        Frame { width, height, rgb }
    }
}

/// The matrix in integers with 16 fractional bits.
pub(super) struct Matrix {
    black: i32,
    luma: i32,
    red_of_cr: i32,
    green_of_cb: i32,
    green_of_cr: i32,
    blue_of_cb: i32,
}

impl Matrix {
    pub fn of(range: Range) -> Self {
        let (black, luma, colour) = match range {
            Range::Full => (0, 1.0, 1.0),
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
        };
        let fixed = |x: f64| (x * 65536.0).round() as i32;
        Matrix {
            black,
            luma: fixed(luma),
            red_of_cr: fixed(1.402 * colour),
            green_of_cb: fixed(-0.114 * 1.772 / 0.587 * colour),
            green_of_cr: fixed(-0.299 * 1.402 / 0.587 * colour),
            blue_of_cb: fixed(1.772 * colour),
        }
    }

    /// What the colour samples add to red, green and blue.
    pub fn colour(&self, cb: u8, cr: u8) -> [i32; 3] {
        let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
        [self.red_of_cr * cr, self.green_of_cb * cb + self.green_of_cr * cr, self.blue_of_cb * cb]
    }

    pub fn pixel(&self, y: u8, colour: [i32; 3], out: &mut [u8]) {
        let y = self.luma * (i32::from(y) - self.black) + (1 << 15);
        for (out, colour) in out.iter_mut().zip(colour) {
            *out = ((y + colour) >> 16).clamp(0, 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(range: Range, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let yuv = Yuv::new([1, 1], Chroma::C444, range, vec![y, cb, cr]).unwrap();
        yuv.to_rgb().rgb.try_into().unwrap()
    }

    fn close(a: [u8; 3], b: [u8; 3], tolerance: u8) -> bool {
        a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
    }

    /// The colour bars at 100 %: the limited codes are those of ITU-R BT.801 / SMPTE, the full ones those that
    /// JFIF gives for the pure colours. Codes are rounded, so the way back may miss by two.
    #[test]
    fn the_pure_colours_have_their_known_codes() {
        let bars = [
            ([255, 255, 255], [235, 128, 128], [255, 128, 128]),
            ([255, 255, 0], [210, 16, 146], [226, 0, 149]),
            ([0, 255, 255], [170, 166, 16], [179, 171, 0]),
            ([0, 255, 0], [145, 54, 34], [150, 44, 21]),
            ([255, 0, 255], [106, 202, 222], [105, 212, 235]),
            ([255, 0, 0], [81, 90, 240], [76, 85, 255]),
            ([0, 0, 255], [41, 240, 110], [29, 255, 107]),
            ([0, 0, 0], [16, 128, 128], [0, 128, 128]),
        ];
        for (rgb, limited, full) in bars {
            let (a, b) = (one(Range::Limited, limited), one(Range::Full, full));
            assert!(close(a, rgb, 2) && close(b, rgb, 2), "{rgb:?}: {a:?} {b:?}");
        }
    }

    /// Against the definition in floats, on a grid of all codes that includes the ends.
    #[test]
    fn every_code_is_within_one_of_the_definition() {
        let steps = || (0..=255u8).step_by(17);
        for range in [Range::Limited, Range::Full] {
            let (black, luma, colour) = match range {
                Range::Limited => (16.0, 219.0, 224.0),
                Range::Full => (0.0, 255.0, 255.0),
            };
            for (y, cb, cr) in
                steps().flat_map(|y| steps().flat_map(move |b| steps().map(move |r| (y, b, r))))
            {
                let code = |x: f64| (x * 255.0).round().clamp(0.0, 255.0) as u8;
                let (l, b, r) = (
                    (f64::from(y) - black) / luma,
                    (f64::from(cb) - 128.0) / colour,
                    (f64::from(cr) - 128.0) / colour,
                );
                let (red, blue) = (l + 1.402 * r, l + 1.772 * b);
                let green = (l - 0.299 * red - 0.114 * blue) / 0.587;
                let expected = [code(red), code(green), code(blue)];
                assert!(close(one(range, [y, cb, cr]), expected, 1), "{range:?} {y} {cb} {cr}");
            }
        }
    }

    /// 3×3 pixels have 2×2 samples of colour; the last row and column have samples of their own.
    #[test]
    fn odd_extents_have_a_last_half_sample() {
        let mut bytes = vec![76; 9];
        bytes.extend([85, 128, 128, 128]);
        bytes.extend([255, 128, 128, 128]);
        let frame = Yuv::new([3, 3], Chroma::C420, Range::Full, bytes).unwrap().to_rgb();
        let red: Vec<bool> = frame.rgb.chunks(3).map(|p| p[0] > 250 && p[1] < 5).collect();
        assert_eq!(red, [true, true, false, true, true, false, false, false, false]);
        let wide = Yuv::new([3, 1], Chroma::C422, Range::Full, vec![76, 76, 76, 85, 128, 255, 128]).unwrap();
        assert_eq!(wide.to_rgb().rgb, [254, 0, 0, 254, 0, 0, 76, 76, 76]);
        let grey = Yuv::new([2, 1], Chroma::Mono, Range::Limited, vec![16, 235]).unwrap();
        assert_eq!(grey.to_rgb().rgb, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn planes_of_another_size_are_refused() {
        assert!(Yuv::new([3, 3], Chroma::C420, Range::Full, vec![0; 16]).is_none());
        assert!(Yuv::new([0, 3], Chroma::C420, Range::Full, vec![]).is_none());
        assert!(Yuv::new([usize::MAX, 2], Chroma::C444, Range::Full, vec![]).is_none());
        assert!(check_extents(7680, 4320).is_ok() && check_extents(16_384, 16_384).is_err());
    }
}
