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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_as_many_bytes_as_its_extents_say() {
        assert!(Frame::new(2, 1, vec![0; 6]).is_some());
        assert!(Frame::new(2, 1, vec![0; 5]).is_none());
        assert!(Frame::new(0, 0, vec![]).is_none());
        assert!(Frame::new(usize::MAX, 2, vec![0; 6]).is_none());
    }
}
