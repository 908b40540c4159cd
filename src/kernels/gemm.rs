//! The int8 matrix product under every dense convolution, written once for all instruction sets.
//!
//! A *tile* is `MR` output pixels; a *panel* is up to four vectors of output channels. For each tile the
//! taps of its pixels are laid out as `MR` rows of `groups` groups of four input codes; for each panel the
//! micro-kernel broadcasts one group of a pixel and multiplies it with the same group of every output
//! channel. An instruction set supplies [`Dot`], and a door that calls [`conv`] with its tile.

use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::packed::Panel;
use super::taps::Taps;
use crate::limits::CHANNEL_GROUP;

/// Proves that what the micro-kernel touches without a bounds check is there.
fn check(job: &Job<'_>, tile_pixels: usize, lanes: usize) {
    job.check(lanes);
    let taps = job.window.kernel[0] * job.window.kernel[1];
    assert_eq!(job.packed.row_bytes(), taps * job.source_bytes.iter().sum::<usize>());
    assert_eq!(job.src.len(), job.source_bytes.len());
    assert!(job.scratch.len() >= tile_pixels * job.packed.row_bytes(), "scratch too small");
}

/// Runs a job in tiles of `MR` pixels and panels of at most `NV` vectors.
///
/// # Safety
/// The caller's instruction set is that of `dot`, and `packed` was made for it.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>) {
    check(job, MR, D::LANES);
    let (pixels, row_bytes) = (job.rows.len() * job.window.output[1], job.packed.row_bytes());
    let mut taps = Taps::new(job, D::FLIP);
    let mut waiting = 0;
    for first in (0..pixels).step_by(MR) {
        let count = MR.min(pixels - first);
        taps.lay_out(count, &mut job.scratch[..count * row_bytes]);
        let tile = Pixels { first, count };
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
