//! The picture in memory.

/// A picture: packed RGB8, rows from the top, no gap between rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `height · width · 3` bytes.
    pub rgb: Vec<u8>,
}

impl Frame {
    /// `None` unless `rgb` holds exactly `height · width` pixels, at least one.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Option<Self> {
        let frame = Frame { width, height, rgb };
        frame.is_consistent().then_some(frame)
    }

    /// True if the number of bytes fits the extents and there is at least one pixel.
    ///
    /// The fields are public so that a capture can refill a frame in place; whoever reads one asks first.
    pub fn is_consistent(&self) -> bool {
        let bytes = self.width.checked_mul(self.height).and_then(|n| n.checked_mul(3));
        !self.rgb.is_empty() && bytes == Some(self.rgb.len())
    }

    /// The picture with sides smaller by a whole factor, each pixel the mean of a square. What is left over at the
    /// right and at the bottom is cut off; a side that is smaller than the factor becomes one pixel.
    pub fn shrunk(&self, factor: usize) -> Frame {
        let factor = factor.clamp(1, self.width.min(self.height).max(1));
        let (width, height) = (self.width / factor, self.height / factor);
        let area = (factor * factor) as u32;
        let mut rgb = Vec::with_capacity(width * height * 3);
        let mut sums = vec![0u32; width * 3];
        for rows in self.rgb.chunks_exact(self.width.max(1) * 3 * factor).take(height) {
            sums.fill(0);
            for row in rows.chunks_exact(self.width * 3) {
                for (sum, square) in sums.chunks_exact_mut(3).zip(row.chunks_exact(3 * factor)) {
                    for pixel in square.chunks_exact(3) {
                        sum.iter_mut().zip(pixel).for_each(|(sum, &x)| *sum += u32::from(x));
                    }
                }
            }
            rgb.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
        }
        Frame { width, height, rgb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shrunk_pixel_is_the_mean_of_a_square() {
        let grey = |codes: &[u8]| codes.iter().flat_map(|&code| [code, 0, 255 - code]).collect::<Vec<_>>();
        let frame = Frame::new(5, 3, grey(&[1, 2, 50, 60, 9, 3, 4, 70, 81, 9, 9, 9, 9, 9, 9])).unwrap();
        // (1 + 2 + 3 + 4) / 4 = 2.5 and (50 + 60 + 70 + 81) / 4 = 65.25; of 255 - x: 252.5 and 189.75.
        let small = frame.shrunk(2);
        assert_eq!(small, Frame::new(2, 1, vec![3, 0, 253, 65, 0, 190]).unwrap());
        assert_eq!(frame.shrunk(1), frame);
        assert_eq!((frame.shrunk(9).width, frame.shrunk(9).height), (1, 1));
    }

    #[test]
    fn a_frame_has_as_many_bytes_as_its_extents_say() {
        assert!(Frame::new(2, 1, vec![0; 6]).is_some());
        assert!(Frame::new(2, 1, vec![0; 5]).is_none());
        assert!(Frame::new(0, 0, vec![]).is_none());
        assert!(Frame::new(usize::MAX, 2, vec![0; 6]).is_none());
    }
}
