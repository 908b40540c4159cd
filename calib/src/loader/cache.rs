//! Decoded pictures, kept as long as there is room.

use crate::augment::shrunk;
use crate::error::Result;
use ocellus::image::{Frame, decode};
use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shrunk pictures by their index.
///
/// Each epoch asks for all pictures about equally often, in an order that is random, so it does not matter which of them
/// are kept: the first that fit, for good. Nobody waits for anybody.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Vec<OnceLock<Frame>>,
    /// Bytes that may still be taken.
    left: AtomicUsize,
    /// Longest side of what is kept.
    side: usize,
}

impl Cache {
    pub(super) fn new(pictures: usize, side: usize, bytes_max: usize) -> Self {
        let kept = std::iter::repeat_with(OnceLock::new).take(pictures).collect();
        Cache { kept, left: AtomicUsize::new(bytes_max), side }
    }

    /// The picture with this index, which lies at `path`, with its longer side brought down to the cache's.
    pub(super) fn get(&self, index: usize, path: &Path) -> Result<Cow<'_, Frame>> {
        let slot = &self.kept[index];
        if let Some(frame) = slot.get() {
            return Ok(Cow::Borrowed(frame));
        }
        let frame = shrunk(decode(path)?, self.side)?;
        let bytes = frame.rgb.len();
        let room = |left: usize| left.checked_sub(bytes);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return Ok(Cow::Owned(frame));
        }
        if slot.set(frame).is_err() {
            // Another thread was faster, with the same picture.
            self.left.fetch_add(bytes, Ordering::Relaxed);
        }
        slot.get().map(Cow::Borrowed).map_or_else(|| self.get(index, path), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_decoded_again() {
        let folder = std::env::temp_dir().join(format!("calib-cache-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.png");
        image::RgbImage::from_pixel(20, 10, image::Rgb([9, 8, 7])).save(&path).unwrap();
        // Each picture is 10 × 5 × 3 bytes when it is kept.
        let cache = Cache::new(3, 10, 310);
        for index in [0, 1, 2, 0, 2] {
            let frame = cache.get(index, &path).unwrap();
            assert_eq!((frame.width, frame.height, &frame.rgb[..3]), (10, 5, &[9, 8, 7][..]));
            assert_eq!(matches!(frame, Cow::Borrowed(_)), index < 2, "{index}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(cache.get(1, &path).is_ok(), "it is kept");
        assert!(cache.get(2, &path).unwrap_err().to_string().contains("a.png"));
    }
}
