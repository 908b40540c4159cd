//! Resize of RGB8 pictures, row by row, with the arithmetic that models are measured with.

mod antialias;
mod linear;
#[cfg(test)]
mod tests;

use super::Interpolation;
use crate::kernels::isa::Isa;
use antialias::Antialias;
use linear::Linear;

/// Resizes pictures of one size to another.
///
/// Owns its tables and row buffers: a run allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Resizer {
    source: [usize; 2],
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    /// Source and target have the same size.
    Copy,
    Antialias(Antialias),
    Linear(Linear),
}

impl Resizer {
    /// A resizer between two `[height, width]`; every extent is at least 1.
    ///
    /// All instruction sets give the same bytes.
    pub(super) fn new(
        isa: Isa,
        source: [usize; 2],
        target: [usize; 2],
        interpolation: Interpolation,
    ) -> Self {
        let method = match interpolation {
            _ if source == target => Method::Copy,
            Interpolation::Antialias => Method::Antialias(Antialias::new(isa, source, target)),
            Interpolation::Linear => Method::Linear(Linear::new(isa, source, target)),
        };
        Resizer { source, method }
    }

    /// Calls `each` with every output row, from the top, as packed RGB8.
    ///
    /// # Panics
    /// If `rgb` is not a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        let [height, width] = self.source;
        assert_eq!(rgb.len(), height * width * 3, "picture of another size");
        match &mut self.method {
            Method::Copy => rgb.chunks_exact(width * 3).for_each(each),
            Method::Antialias(antialias) => antialias.run(rgb, &mut each),
            Method::Linear(linear) => linear.run(rgb, &mut each),
        }
    }
}
