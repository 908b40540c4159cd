//! The int8 matrix product under every dense convolution, written once for all instruction sets.
//!
//! A *tile* is `MR` output pixels; a *panel* is up to four vectors of output channels. What the pixels of a tile
//! see lies in scratch memory as [`Lines`] of groups of four input codes; for each panel the micro-kernel
//! broadcasts one group of a pixel and multiplies it with the same group of every output channel. An
//! instruction set supplies [`Dot`], and a door that calls [`conv`] with its tile.

use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::lines::{Lines, READ_BEYOND, Shape};
use super::packed::Panel;
use super::taps::Taps;
use crate::limits::CHANNEL_GROUP;

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
        if lines.widen {
            let bytes = if lines.rows { lines.len() } else { count * lines.step };
            let (taps, widened) = job.scratch.split_at_mut(lines.widened());
            widen(&taps[..bytes], widened);
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

/// Signed codes as 16-bit numbers, in the byte order of the CPU.
#[inline(always)]
fn widen(from: &[u8], to: &mut [u8]) {
    for (to, &code) in to.as_chunks_mut().0.iter_mut().zip(from) {
        *to = i16::from(code as i8).to_ne_bytes();
    }
}

/// Sums in registers: `MR` pixels by `NV` vectors.
struct Registers<D, const MR: usize, const NV: usize>(D);

impl<D: Dot, const MR: usize, const NV: usize> Multiply for Registers<D, MR, NV> {
    const LANES: usize = D::LANES;
    const FLIP: u8 = D::FLIP;
    const SHAPE: Shape = Shape { pixels: MR, groups: usize::MAX, widen: D::WIDEN };

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
    (lines, at): (&Lines, usize),
) {
    let packed = job.packed;
    // SAFETY: the caller's. The lines have `MR` pixels from pixel `at` on, the packed weights `NV` vectors for
    // each group of the panel, and the bias `NV` vectors from the panel's first channel on.
    unsafe {
        let (first, bytes) = if D::WIDEN { (lines.widened(), 2) } else { (0, 1) };
        let operands = Operands {
            taps: job.scratch.as_ptr().add(first + at * lines.step * bytes),
            step: lines.step * bytes,
            lines: lines.count,
            line_bytes: lines.bytes * bytes,
            groups: lines.groups,
            weights: packed.weights.as_slice().as_ptr().add(panel.channel * packed.row_bytes()),
            bias: packed.bias.as_ptr().add(panel.channel),
        };
        let acc = dot.sums::<MR, NV>(operands);
        finish(dot, acc, packed, &mut job.output, panel, tile);
    }
}

/// What the micro-kernel multiplies: pixels of a tile and vectors of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Operands {
    /// The first pixel's first group in its first line.
    pub(crate) taps: *const u8,
    /// Bytes from pixel to pixel.
    pub(crate) step: usize,
    pub(crate) lines: usize,
    /// Bytes from line to line.
    pub(crate) line_bytes: usize,
    /// Groups of a pixel in each line.
    pub(crate) groups: usize,
    /// For each group of each line the vectors of the panel.
    pub(crate) weights: *const u8,
    /// The vectors of the panel.
    pub(crate) bias: *const i32,
}

/// The bias of the panel for each pixel.
///
/// # Safety
/// `operands` has `NV` vectors of it.
#[inline(always)]
pub(crate) unsafe fn biases<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    operands: Operands,
) -> [[D::Acc; NV]; MR] {
    // SAFETY: the caller's.
    unsafe {
        let mut first = [dot.load(operands.bias); NV];
        for (v, acc) in first.iter_mut().enumerate() {
            *acc = dot.load(operands.bias.add(v * D::LANES));
        }
        [first; MR]
    }
}

/// [`Dot::sums`] by [`Dot::dot_nth`].
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn sums_of_dots<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    operands: Operands,
) -> [[D::Acc; NV]; MR] {
    let Operands { taps: mut line, step, groups, mut weights, .. } = operands;
    // SAFETY: the caller's.
    unsafe {
        let mut acc = biases(dot, operands);
        for _ in 0..operands.lines {
            let whole = groups - groups % D::STEP;
            for group in (0..whole).step_by(D::STEP) {
                let at = line.add(group * CHANNEL_GROUP);
                add_group::<0, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                if D::STEP == 4 {
                    add_group::<1, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                    add_group::<2, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                    add_group::<3, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                }
            }
            // Fewer than a step.
            let at = line.add(whole * CHANNEL_GROUP);
            match groups - whole {
                0 => {}
                1 => add_group::<0, D, MR, NV>(dot, &mut acc, (at, step), &mut weights),
                2 => {
                    add_group::<0, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                    add_group::<1, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                }
                _ => {
                    add_group::<0, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                    add_group::<1, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                    add_group::<2, D, MR, NV>(dot, &mut acc, (at, step), &mut weights);
                }
            }
            line = line.wrapping_add(operands.line_bytes);
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
