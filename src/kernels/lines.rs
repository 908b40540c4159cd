//! How the taps of a dense convolution lie in memory while they are multiplied.

use super::Window;
use super::dot::Dot;
use crate::limits::CHANNEL_GROUP;

/// Bytes of taps that are laid out at once, if they are those of several tiles: the more, the less each call
/// costs; but weights should find room beside them in a small cache.
const CHUNK_BYTES: usize = 8192;

/// Bytes behind the last group that may be read, and are not used: some load several groups at once.
pub(crate) const READ_BEYOND: usize = 64;

/// How much one step of a micro-kernel takes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Output pixels of a tile.
    pub(crate) pixels: usize,
    /// Groups of a pixel that are multiplied at once, at most.
    pub(crate) groups: usize,
    /// Whether taps are widened to 16 bits.
    pub(crate) widen: bool,
}

impl Shape {
    /// Of a kernel that is made of dot products.
    pub(crate) const fn of<D: Dot>(_dot: &D, pixels: usize) -> Self {
        Shape { pixels, groups: usize::MAX, widen: D::WIDEN }
    }
}

/// How the taps of neighbouring output pixels lie in the scratch memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Lines of taps of a pixel.
    pub(crate) count: usize,
    /// From line to line.
    pub(crate) bytes: usize,
    /// Groups of a pixel in each line.
    pub(crate) groups: usize,
    /// Groups of a pixel that are multiplied at once; those of a line are padded to a multiple.
    pub(crate) chunk: usize,
    /// Bytes from pixel to pixel within a line.
    pub(crate) step: usize,
    /// Pixels that are laid out at once.
    pub(crate) pixels: usize,
    /// Whether taps are widened to 16 bits, behind all lines.
    pub(crate) widen: bool,
    /// The lines are rows of the padded image, else each pixel has a line of its own.
    pub(crate) rows: bool,
}

impl Lines {
    /// For tiles of the given shape, and taps of `tap_bytes`.
    ///
    /// Neighbouring pixels of an output row share most of their taps, so the rows of the image serve as they
    /// are, unless too many pixels of the row's last tile would be computed in vain.
    pub(crate) fn new(window: &Window, tap_bytes: usize, shape: Shape) -> Self {
        let [rows, columns] = window.kernel;
        let (width, tiled) = (window.output[1], window.output[1].next_multiple_of(shape.pixels));
        let row_bytes = rows * columns * tap_bytes;
        if columns > 1 && window.dilation[1] == 1 && 12 * (tiled - width) <= width {
            let reach = (tiled - 1) * window.stride[1] + columns;
            let (bytes, step) = (reach * tap_bytes, window.stride[1] * tap_bytes);
            let groups = columns * tap_bytes / CHANNEL_GROUP;
            let chunk = even_chunk(groups, shape.groups);
            let (pixels, widen) = (width, shape.widen);
            return Lines { count: rows, bytes, groups, chunk, step, pixels, widen, rows: true };
        }
        let pixels = (CHUNK_BYTES / (shape.pixels * row_bytes).max(1)).max(1) * shape.pixels;
        let (bytes, groups) = (pixels * row_bytes, row_bytes / CHANNEL_GROUP);
        let chunk = even_chunk(groups, shape.groups);
        let (step, widen) = (row_bytes, shape.widen);
        Lines { count: 1, bytes, groups, chunk, step, pixels, widen, rows: false }
    }

    /// Groups that are multiplied at once, and how often in each line.
    pub(crate) fn chunks(&self) -> (usize, usize) {
        (self.chunk, self.groups.div_ceil(self.chunk.max(1)))
    }

    /// Groups of the packed weights.
    pub(crate) fn packed_groups(&self) -> usize {
        let (chunk, chunks) = self.chunks();
        self.count * chunk * chunks
    }

    /// The byte of a pixel's taps that meets byte `k` of the packed weights; none in the padding of a line.
    pub(crate) fn tap_byte(&self, k: usize) -> Option<usize> {
        let (line_bytes, padded) =
            (self.groups * CHANNEL_GROUP, self.packed_groups() / self.count * CHANNEL_GROUP);
        let (line, within) = (k / padded, k % padded);
        (within < line_bytes).then_some(line * line_bytes + within)
    }

    /// Bytes of all lines.
    pub(crate) fn len(&self) -> usize {
        self.count * self.bytes
    }

    pub(crate) fn scratch_bytes(&self) -> usize {
        self.widened() + if self.widen { 2 * self.widened() } else { 0 }
    }

    /// Where the widened taps are.
    pub(crate) fn widened(&self) -> usize {
        self.len() + READ_BEYOND
    }
}

/// `groups` in as few chunks of at most `most` as it takes, all of nearly the same size.
fn even_chunk(groups: usize, most: usize) -> usize {
    groups.div_ceil(groups.div_ceil(most).max(1))
}
