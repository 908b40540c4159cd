//! The int8 matrix product under every dense convolution, written once for all instruction sets.
//!
//! A *tile* is `MR` output pixels; a *panel* is up to four vectors of output channels. What the pixels of a tile
//! see lies in scratch memory as [`Lines`] of groups of four input codes; for each panel the micro-kernel
//! broadcasts one group of a pixel and multiplies it with the same group of every output channel. An
//! instruction set supplies [`Dot`], and a door that calls [`conv`] with its tile.

use super::Window;
use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::packed::Panel;
use super::taps::Taps;
use crate::limits::CHANNEL_GROUP;

/// Bytes of taps that are laid out at once, if they are those of several tiles: the more, the less each call
/// costs; but weights should find room beside them in a small cache.
const CHUNK_BYTES: usize = 8192;

/// Bytes behind the last group that may be read, and are not used: some load several groups at once.
const READ_BEYOND: usize = 64;

/// How much one step of a micro-kernel takes in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Output pixels of a tile.
    pub(crate) pixels: usize,
    /// Groups of a pixel that are multiplied at once, at most.
    pub(crate) groups: usize,
}

/// How the taps of neighbouring output pixels lie in the scratch memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Lines of taps of a pixel.
    count: usize,
    /// From line to line.
    bytes: usize,
    /// Groups of a pixel in each line.
    groups: usize,
    /// Groups of a pixel that are multiplied at once; those of a line are padded to a multiple.
    chunk: usize,
    /// Bytes from pixel to pixel within a line.
    step: usize,
    /// Pixels that are laid out at once.
    pixels: usize,
    /// The lines are rows of the padded image, else each pixel has a line of its own.
    rows: bool,
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
            return Lines { count: rows, bytes, groups, chunk, step, pixels: width, rows: true };
        }
        let pixels = (CHUNK_BYTES / (shape.pixels * row_bytes).max(1)).max(1) * shape.pixels;
        let (bytes, groups) = (pixels * row_bytes, row_bytes / CHANNEL_GROUP);
        let chunk = even_chunk(groups, shape.groups);
        Lines { count: 1, bytes, groups, chunk, step: row_bytes, pixels, rows: false }
    }

    /// Lines of taps of a pixel.
    pub(crate) fn count(&self) -> usize {
        self.count
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

    /// Bytes from pixel to pixel within a line.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    /// First byte of a pixel in a line.
    pub(crate) fn start(&self, line: usize, pixel: usize) -> usize {
        line * self.bytes + pixel * self.step
    }

    /// Bytes of all lines.
    fn len(&self) -> usize {
        self.count * self.bytes
    }

    pub(crate) fn scratch_bytes(&self) -> usize {
        self.len() + READ_BEYOND
    }
}

/// `groups` in as few chunks of at most `most` as it takes, all of nearly the same size.
fn even_chunk(groups: usize, most: usize) -> usize {
    groups.div_ceil(groups.div_ceil(most).max(1))
}

/// Proves that what the micro-kernel touches without a bounds check is there.
fn check(job: &Job<'_>, lines: &Lines, lanes: usize) {
    job.check(lanes);
    assert_eq!(job.packed.groups, lines.packed_groups());
    // What lies behind a pixel's last chunk belongs to the next one, or to what may be read beyond.
    assert!(lines.chunk * CHANNEL_GROUP <= READ_BEYOND || lines.chunk == lines.groups);
    assert_eq!(job.src.len(), job.source_bytes.len());
    assert!(job.scratch.len() >= lines.scratch_bytes(), "scratch too small");
}

/// How a tile is multiplied with the weights.
pub(crate) trait Multiply {
    /// Accumulators of a vector.
    const LANES: usize;
    /// See [`Dot::FLIP`].
    const FLIP: u8;
    /// Pixels of a tile, and groups at once.
    const SHAPE: Shape;

    /// Before the first tile.
    ///
    /// # Safety
    /// The CPU has the instruction set.
    #[inline(always)]
    unsafe fn start(&mut self, _lines: &Lines) {}

    /// Multiplies the tile that begins with pixel `at` of the lines with all panels.
    ///
    /// # Safety
    /// The CPU has the instruction set; [`check`] passed; the lines have room for whole tiles.
    unsafe fn tile(&mut self, job: &mut Job<'_>, tile: Pixels, at: (&Lines, usize));

    /// Stores what is left to store of the tiles so far.
    ///
    /// # Safety
    /// As [`Multiply::tile`].
    #[inline(always)]
    unsafe fn flush(&mut self, _job: &mut Job<'_>) {}
}

/// Runs a job in tiles of `MR` pixels and panels of at most `NV` vectors.
///
/// # Safety
/// The caller's instruction set is that of `dot`, and `packed` was made for it.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>) {
    // SAFETY: the caller's.
    unsafe { run(Registers::<D, MR, NV>(dot), job) }
}

/// Runs a job tile by tile.
///
/// # Safety
/// The caller's instruction set is that of `kernel`, and `packed` was made for it.
#[inline(always)]
pub(crate) unsafe fn run<M: Multiply>(mut kernel: M, job: &mut Job<'_>) {
    let lines = Lines::new(job.window, job.source_bytes.iter().sum(), M::SHAPE);
    check(job, &lines, M::LANES);
    let pixels = job.rows.len() * job.window.output[1];
    let mut taps = Taps::new(job, M::FLIP);
    let mut waiting = 0;
    // SAFETY: the caller's.
    unsafe { kernel.start(&lines) };
    for first in (0..pixels).step_by(lines.pixels) {
        let count = lines.pixels.min(pixels - first);
        match lines.rows {
            true => {
                let y = job.rows.start + first / lines.pixels;
                taps.lay_out_rows(y, lines.bytes, &mut job.scratch[..lines.len()]);
            }
            false => taps.lay_out(count, &mut job.scratch[..count * lines.step]),
        }
        // SAFETY: `check` compared every length with what a tile reads and writes; the lines have room for
        // whole tiles; the look-up belongs to the caller's instruction set.
        unsafe {
            for at in (0..count).step_by(M::SHAPE.pixels) {
                let tile = Pixels { first: first + at, count: M::SHAPE.pixels.min(count - at) };
                kernel.tile(job, tile, (&lines, at));
            }
            kernel.flush(job);
            job.look_up(&mut waiting, first + count);
        }
    }
}

/// Sums in registers: `MR` pixels by `NV` vectors.
struct Registers<D, const MR: usize, const NV: usize>(D);

impl<D: Dot, const MR: usize, const NV: usize> Multiply for Registers<D, MR, NV> {
    const LANES: usize = D::LANES;
    const FLIP: u8 = D::FLIP;
    const SHAPE: Shape = Shape { pixels: MR, groups: usize::MAX };

    #[inline(always)]
    unsafe fn tile(&mut self, job: &mut Job<'_>, tile: Pixels, at: (&Lines, usize)) {
        // SAFETY: the caller's.
        unsafe {
            match tile.count {
                1 => multiply::<D, 1, NV>(self.0, job, tile, at),
                _ => multiply::<D, MR, NV>(self.0, job, tile, at),
            }
        }
    }
}

/// All panels of a tile that begins with pixel `at` of the lines.
///
/// # Safety
/// As [`Multiply::tile`].
#[inline(always)]
unsafe fn multiply<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    job: &mut Job<'_>,
    tile: Pixels,
    at: (&Lines, usize),
) {
    let packed = job.packed;
    for panel in &packed.panels {
        // SAFETY: the caller's. Panels are balanced: none is narrower than half of the widest, and the
        // conditions keep the compiler from generating what cannot occur.
        unsafe {
            match panel.vectors {
                1 if NV <= 2 => panel_of::<D, MR, 1>(dot, job, panel, tile, at),
                2 if NV == 2 || NV == 3 => panel_of::<D, MR, 2>(dot, job, panel, tile, at),
                3 if NV >= 3 => panel_of::<D, MR, 3>(dot, job, panel, tile, at),
                4 if NV == 4 => panel_of::<D, MR, 4>(dot, job, panel, tile, at),
                vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
            }
        }
    }
}

/// One panel of `NV` vectors.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn panel_of<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    job: &mut Job<'_>,
    panel: &Panel,
    tile: Pixels,
    at: (&Lines, usize),
) {
    // SAFETY: the caller's.
    unsafe {
        let acc = accumulate::<D, MR, NV>(dot, job, panel, at);
        finish(dot, acc, job.packed, &mut job.output, panel, tile);
    }
}

/// The micro-kernel: `bias + Σ activation · weight` of `MR` pixels and `NV` vectors of output channels.
///
/// # Safety
/// As [`multiply`]; the panel has `NV` vectors.
#[inline(always)]
unsafe fn accumulate<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    job: &Job<'_>,
    panel: &Panel,
    (lines, at): (&Lines, usize),
) -> [[D::Acc; NV]; MR] {
    let (packed, lines) = (job.packed, *lines);
    // SAFETY: the lines have `MR` pixels from pixel `at` on, the packed weights `NV` vectors for each group of
    // the panel, and the bias `NV` vectors from the panel's first channel on.
    unsafe {
        let mut line = job.scratch.as_ptr().add(at * lines.step);
        let mut weights = packed.weights.as_slice().as_ptr().add(panel.channel * packed.row_bytes());
        let bias = packed.bias.as_ptr().add(panel.channel);
        let mut first = [dot.load(bias); NV];
        for (v, acc) in first.iter_mut().enumerate() {
            *acc = dot.load(bias.add(v * D::LANES));
        }
        let mut acc = [first; MR];
        for _ in 0..lines.count {
            for group in (0..lines.groups).step_by(D::STEP) {
                let (pixels, left) = ((line.add(group * CHANNEL_GROUP), lines.step), lines.groups - group);
                add_group::<0, D, MR, NV>(dot, &mut acc, pixels, &mut weights);
                if D::STEP > 1 && left > 1 {
                    add_group::<1, D, MR, NV>(dot, &mut acc, pixels, &mut weights);
                }
                if D::STEP > 2 && left > 2 {
                    add_group::<2, D, MR, NV>(dot, &mut acc, pixels, &mut weights);
                }
                if D::STEP > 3 && left > 3 {
                    add_group::<3, D, MR, NV>(dot, &mut acc, pixels, &mut weights);
                }
            }
            line = line.wrapping_add(lines.bytes);
        }
        acc
    }
}

/// Multiplies group `I` of those loaded together of each pixel with the next `NV` vectors of weights.
///
/// # Safety
/// `pixels` says where the first pixel's groups are, and how many bytes from pixel to pixel; the weights are there.
#[inline(always)]
unsafe fn add_group<const I: usize, D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    acc: &mut [[D::Acc; NV]; MR],
    pixels: (*const u8, usize),
    weights: &mut *const u8,
) {
    let vector_bytes = D::LANES * CHANNEL_GROUP;
    // SAFETY: the caller's.
    unsafe {
        let mut w = [dot.groups(*weights); NV];
        for (v, w) in w.iter_mut().enumerate() {
            *w = dot.groups(weights.add(v * vector_bytes));
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            // The compiler loads once for all `I`.
            let groups = dot.load_groups(pixels.0.add(r * pixels.1));
            for (acc, w) in acc.iter_mut().zip(w) {
                *acc = dot.dot_nth::<I>(*acc, groups, w);
            }
        }
        *weights = weights.add(NV * vector_bytes);
    }
}
