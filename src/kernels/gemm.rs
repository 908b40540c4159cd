//! The int8 matrix product under every dense convolution, written once for all instruction sets.
//!
//! A *tile* is `MR` output pixels; a *panel* is up to four vectors of output channels. For each tile the
//! taps of its pixels are laid out as `MR` rows of `groups` groups of four input codes; for each panel the
//! micro-kernel broadcasts one group of a pixel and multiplies it with the same group of every output
//! channel. An instruction set supplies [`Dot`], and a door that calls [`conv`] with its tile.

use super::arch::as_bytes;
use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::packed::Panel;
use super::{Plane, Window};
use crate::limits::CHANNEL_GROUP;

/// Proves that what the micro-kernel touches without a bounds check is there.
fn check(job: &Job<'_>, tile_pixels: usize, lanes: usize) {
    job.check(lanes);
    let taps = job.window.kernel[0] * job.window.kernel[1];
    assert_eq!(job.packed.groups, taps * job.groups);
    assert!(job.scratch.len() >= tile_pixels * job.packed.row_bytes(), "scratch too small");
}

/// Runs a job in tiles of `MR` pixels and panels of at most `NV` vectors.
///
/// # Safety
/// The caller's instruction set is that of `dot`, and `packed` was made for it.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>) {
    check(job, MR, D::LANES);
    let pixels = job.window.pixels(&job.rows);
    let (pointwise, row_bytes) = (job.window.is_pointwise(), job.packed.row_bytes());
    let src = Plane { data: as_bytes(job.src.data), pitch: job.src.pitch };
    let mut waiting = 0;
    let mut place = Place { y: job.rows.start, x: 0 };
    for first in pixels.clone().step_by(MR) {
        let count = MR.min(pixels.end - first);
        let rows = job.scratch.chunks_exact_mut(row_bytes).take(count);
        if pointwise {
            for (i, row) in rows.enumerate() {
                copy_flipped(&src.data[(first + i) * src.pitch..][..row_bytes], D::FLIP, row);
            }
        } else {
            for row in rows {
                lay_out_taps(job.window, (src, job.groups), (job.zero_point, D::FLIP), place, row);
                place.advance(job.window);
            }
        }
        let tile = Pixels { first: first - pixels.start, count };
        // SAFETY: `check` compared every length with what the tile reads and writes.
        unsafe {
            match count {
                1 => multiply::<D, 1, NV>(dot, job, tile),
                _ => multiply::<D, MR, NV>(dot, job, tile),
            }
        }
        // SAFETY: the look-up belongs to the caller's instruction set.
        unsafe { job.look_up(&mut waiting, tile.first + count) };
    }
}

/// An output pixel.
#[derive(Clone, Copy)]
struct Place {
    y: usize,
    x: usize,
}

impl Place {
    #[inline(always)]
    fn advance(&mut self, window: &Window) {
        self.x += 1;
        if self.x == window.output[1] {
            *self = Place { y: self.y + 1, x: 0 };
        }
    }
}

/// Copies the taps of one output pixel side by side; those in the padding are the zero point.
#[inline(always)]
fn lay_out_taps(
    window: &Window,
    (src, groups): (Plane<'_, u8>, usize),
    (zero_point, flip): (i8, u8),
    at: Place,
    to: &mut [u8],
) {
    let run = groups * CHANNEL_GROUP;
    let [height, width] = window.input;
    let [kernel_rows, kernel_columns] = window.kernel;
    let y = (at.y * window.stride[0]).wrapping_sub(window.pad[0]);
    let x = (at.x * window.stride[1]).wrapping_sub(window.pad[1]);
    let inside = x < width && x + (kernel_columns - 1) * window.dilation[1] < width;
    let gapless = inside && window.dilation[1] == 1 && src.pitch == run;
    for (ky, to) in to.chunks_exact_mut(run * kernel_columns).enumerate().take(kernel_rows) {
        let row = y.wrapping_add(ky * window.dilation[0]);
        if row >= height {
            to.fill(zero_point as u8 ^ flip);
        } else if gapless {
            let from = (row * width + x) * run;
            copy_flipped(&src.data[from..][..to.len()], flip, to);
        } else {
            for (kx, to) in to.chunks_exact_mut(run).enumerate() {
                let column = x.wrapping_add(kx * window.dilation[1]);
                match column < width {
                    true => copy_flipped(&src.data[(row * width + column) * src.pitch..][..run], flip, to),
                    false => to.fill(zero_point as u8 ^ flip),
                }
            }
        }
    }
}

/// Copies whole groups of codes, xored with `flip`; `from` is as long as `to`.
///
/// The last piece overlaps its neighbour: a loop over the rest would cost more than all the others.
#[inline(always)]
fn copy_flipped(from: &[u8], flip: u8, to: &mut [u8]) {
    let mask = u128::from_ne_bytes([flip; 16]);
    for (to, from) in to.as_chunks_mut().0.iter_mut().zip(from.as_chunks().0) {
        *to = (u128::from_ne_bytes(*from) ^ mask).to_ne_bytes();
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut(), from.last_chunk()) {
        *to = (u128::from_ne_bytes(*from) ^ mask).to_ne_bytes();
    } else if let (Some(to), Some(from)) = (to.last_chunk_mut(), from.last_chunk()) {
        *to = (u64::from_ne_bytes(*from) ^ u64::from_ne_bytes([flip; 8])).to_ne_bytes();
    }
    if let (Some(to), Some(from)) = (to.first_chunk_mut(), from.first_chunk()) {
        *to = (u32::from_ne_bytes(*from) ^ u32::from_ne_bytes([flip; 4])).to_ne_bytes();
    }
}

/// All panels of a tile whose taps lie in the scratch.
///
/// # Safety
/// As [`conv`], after [`check`].
#[inline(always)]
unsafe fn multiply<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>, tile: Pixels) {
    let packed = job.packed;
    for panel in &packed.panels {
        // SAFETY: the caller's. Panels are balanced: none is narrower than half of the widest, and the
        // conditions keep the compiler from generating what cannot occur.
        unsafe {
            match panel.vectors {
                1 if NV <= 2 => panel_of::<D, MR, 1>(dot, job, panel, tile),
                2 if NV == 2 || NV == 3 => panel_of::<D, MR, 2>(dot, job, panel, tile),
                3 if NV >= 3 => panel_of::<D, MR, 3>(dot, job, panel, tile),
                4 if NV == 4 => panel_of::<D, MR, 4>(dot, job, panel, tile),
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
) {
    // SAFETY: the caller's.
    unsafe {
        let acc = accumulate::<D, MR, NV>(dot, job, panel);
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
) -> [[D::Acc; NV]; MR] {
    let (packed, row_bytes) = (job.packed, job.packed.row_bytes());
    let vector_bytes = D::LANES * CHANNEL_GROUP;
    // SAFETY: scratch holds `MR` rows, the packed weights `NV` vectors for each group of the panel, and the
    // bias `NV` vectors from the panel's first channel on.
    unsafe {
        let activations = job.scratch.as_ptr();
        let mut weights = packed.weights.as_slice().as_ptr().add(panel.channel * row_bytes);
        let bias = packed.bias.as_ptr().add(panel.channel);
        let mut first = [dot.load(bias); NV];
        for (v, acc) in first.iter_mut().enumerate() {
            *acc = dot.load(bias.add(v * D::LANES));
        }
        let mut acc = [first; MR];
        for group in 0..packed.groups {
            let mut w = [dot.groups(weights); NV];
            for (v, w) in w.iter_mut().enumerate() {
                *w = dot.groups(weights.add(v * vector_bytes));
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let a = dot.broadcast(activations.add(r * row_bytes + group * CHANNEL_GROUP));
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = dot.dot(*acc, a, w);
                }
            }
            weights = weights.add(NV * vector_bytes);
        }
        acc
    }
}
