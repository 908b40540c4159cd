//! Pixels as cameras pack them: YUYV, NV12, RGB.

use super::yuv::{Matrix, Range, check_extents};
use crate::image::Frame;

/// How pixels lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Two pixels as Y, Cb, Y, Cr.
    Yuyv,
    /// The Y plane, then Cb and Cr in turn for two by two pixels.
    Nv12,
    /// Red, green, blue.
    Rgb,
    /// Y alone.
    Grey,
}

/// A frame whose rows may have gaps behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    shape: Shape,
    range: Range,
    bytes: Vec<u8>,
}

/// Extents of a packed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    width: usize,
    height: usize,
    /// Bytes from one row to the next.
    pitch: usize,
    packing: Packing,
}

impl Shape {
    /// A pitch of 0 means rows without gaps.
    ///
    /// # Errors
    /// In words: the extents are above the limits, odd where samples are shared, or a row does not fit into its pitch.
    pub fn new([width, height]: [usize; 2], pitch: usize, packing: Packing) -> Result<Self, String> {
        check_extents(width, height)?;
        let even = match packing {
            Packing::Yuyv => width.is_multiple_of(2),
            Packing::Nv12 => width.is_multiple_of(2) && height.is_multiple_of(2),
            Packing::Rgb | Packing::Grey => true,
        };
        if !even {
            return Err(format!("{width}×{height} pixels in {packing:?}, which shares samples between two"));
        }
        let row = match packing {
            Packing::Yuyv => 2 * width,
            Packing::Nv12 | Packing::Grey => width,
            Packing::Rgb => 3 * width,
        };
        let pitch = if pitch == 0 { row } else { pitch };
        if !(row..=PITCH_MAX).contains(&pitch) {
            return Err(format!(
                "rows of {width} pixels in {pitch} bytes; {row} to {PITCH_MAX} are possible"
            ));
        }
        Ok(Shape { width, height, pitch, packing })
    }

    /// Bytes of a frame.
    pub fn bytes(&self) -> usize {
        match self.packing {
            Packing::Nv12 => self.pitch * self.height / 2 * 3,
            _ => self.pitch * self.height,
        }
    }
}

/// Longest row in bytes.
const PITCH_MAX: usize = 1 << 18;

impl Packed {
    /// `None` unless there are as many bytes as the shape needs; more of them are cut off.
    pub fn new(shape: Shape, range: Range, mut bytes: Vec<u8>) -> Option<Self> {
        bytes.truncate(shape.bytes());
        (bytes.len() == shape.bytes()).then_some(Packed { shape, range, bytes })
    }

    /// The frame as RGB, each value rounded to the nearest code.
    pub fn to_rgb(&self) -> Frame {
        let Shape { width, height, pitch, packing } = self.shape;
        let matrix = Matrix::of(self.range);
        let mut rgb = vec![0; width * height * 3];
        let (rows, colours) = self.bytes.split_at(pitch * height);
        for (y, (row, out)) in rows.chunks_exact(pitch).zip(rgb.chunks_exact_mut(3 * width)).enumerate() {
            match packing {
                Packing::Rgb => out.copy_from_slice(&row[..3 * width]),
                Packing::Grey => {
                    for (out, &y) in out.chunks_exact_mut(3).zip(row) {
                        matrix.pixel(y, [0; 3], out);
                    }
                }
                Packing::Yuyv => {
                    for (out, pair) in out.chunks_exact_mut(6).zip(row.chunks_exact(4)) {
                        let colour = matrix.colour(pair[1], pair[3]);
                        matrix.pixel(pair[0], colour, &mut out[..3]);
                        matrix.pixel(pair[2], colour, &mut out[3..]);
                    }
                }
                Packing::Nv12 => {
                    let samples = colours[y / 2 * pitch..][..width].chunks_exact(2);
                    for ((out, pair), sample) in out.chunks_exact_mut(6).zip(row.chunks_exact(2)).zip(samples)
                    {
                        let colour = matrix.colour(sample[0], sample[1]);
                        matrix.pixel(pair[0], colour, &mut out[..3]);
                        matrix.pixel(pair[1], colour, &mut out[3..]);
                    }
                }
            }
        }
        Frame { width, height, rgb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Chroma, Yuv};

    /// Pixels of a fixed sequence as planes with one colour sample for two pixels, or for two by two.
    fn planes([width, height]: [usize; 2], chroma: Chroma) -> Vec<u8> {
        let samples = match chroma {
            Chroma::C422 => width / 2 * height,
            _ => width / 2 * (height / 2),
        };
        (0..width * height + 2 * samples).map(|i| (i * 37 % 256) as u8).collect()
    }

    /// The packed form of planes, with rows of `pitch` bytes; gaps have a byte that must not be seen.
    fn pack(planes: &[u8], [width, height]: [usize; 2], pitch: usize, packing: Packing) -> Vec<u8> {
        let (luma, colour) = planes.split_at(width * height);
        let (blue, red) = colour.split_at(colour.len() / 2);
        let mut bytes = Vec::new();
        let mut row = |content: Vec<u8>| {
            bytes.extend(&content);
            bytes.extend(vec![0xee; pitch - content.len()]);
        };
        for y in 0..height {
            let pairs = (0..width / 2).map(|x| (y * width + 2 * x, y * width / 2 + x));
            match packing {
                Packing::Yuyv => {
                    row(pairs.flat_map(|(l, c)| [luma[l], blue[c], luma[l + 1], red[c]]).collect())
                }
                _ => row(luma[y * width..][..width].to_vec()),
            }
        }
        if packing == Packing::Nv12 {
            for y in 0..height / 2 {
                row((0..width / 2).map(|x| y * width / 2 + x).flat_map(|c| [blue[c], red[c]]).collect());
            }
        }
        bytes
    }

    /// The planes are the reference, which has tests of its own.
    #[test]
    fn packed_pixels_are_those_of_the_planes() {
        let size = [6, 4];
        for (packing, chroma) in [(Packing::Yuyv, Chroma::C422), (Packing::Nv12, Chroma::C420)] {
            let planes = planes(size, chroma);
            for (pitch, range) in [(12, Range::Limited), (20, Range::Full)] {
                let shape = Shape::new(size, pitch, packing).unwrap();
                let bytes = pack(&planes, size, pitch, packing);
                let packed = Packed::new(shape, range, bytes).unwrap().to_rgb();
                let expected = Yuv::new(size, chroma, range, planes.clone()).unwrap().to_rgb();
                assert_eq!(packed, expected, "{packing:?} {pitch}");
            }
        }
    }

    #[test]
    fn rgb_and_grey_lose_their_gaps() {
        let shape = Shape::new([2, 2], 8, Packing::Rgb).unwrap();
        let bytes = vec![1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0, 99];
        let frame = Packed::new(shape, Range::Full, bytes).unwrap().to_rgb();
        assert_eq!(frame.rgb, (1..=12).collect::<Vec<u8>>());
        let shape = Shape::new([2, 1], 0, Packing::Grey).unwrap();
        let frame = Packed::new(shape, Range::Limited, vec![16, 235]).unwrap().to_rgb();
        assert_eq!(frame.rgb, [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn impossible_shapes_and_short_frames_are_refused() {
        let bad = |size, pitch, packing| Shape::new(size, pitch, packing).unwrap_err();
        assert!(bad([3, 2], 0, Packing::Yuyv).contains("shares samples"));
        assert!(bad([2, 3], 0, Packing::Nv12).contains("shares samples"));
        assert!(bad([0, 2], 0, Packing::Rgb).contains("0×2"));
        assert!(bad([4, 2], 7, Packing::Yuyv).contains("7 bytes; 8 to"));
        assert!(bad([4, 2], usize::MAX, Packing::Nv12).contains("possible"));
        let shape = Shape::new([4, 2], 0, Packing::Nv12).unwrap();
        assert!(shape.bytes() == 12 && Packed::new(shape, Range::Full, vec![0; 11]).is_none());
    }
}
