//! NEON with the int8 matrix product of ARMv8.6: two pixels times two output channels times eight bytes in one
//! instruction. Weights lie as for the dot product, which also serves the depthwise convolutions.

use super::dotprod::{self, Dotprod};
use super::{Kernels, tile};
use crate::kernels::gemm::Operands;
use crate::kernels::isa::Isa;
use crate::limits::CHANNEL_GROUP;
use std::arch::aarch64::*;
use std::arch::asm;

/// The dot product's vectors with sums by matrix products.
const MATRIX: Dotprod<true> = Dotprod;

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    let dotprod = dotprod::kernels()?;
    Isa::I8mm.is_available().then_some(Kernels {
        // Up to 24 of the 32 registers hold accumulators, up to four activations, the others weights.
        tiles: &[
            tile!(MATRIX, "neon,dotprod,i8mm", "i8mm-gemm-12x4", 12, 1),
            tile!(MATRIX, "neon,dotprod,i8mm", "i8mm-gemm-10x8", 10, 2),
            tile!(MATRIX, "neon,dotprod,i8mm", "i8mm-gemm-8x12", 8, 3),
            tile!(MATRIX, "neon,dotprod,i8mm", "i8mm-gemm-6x16", 6, 4),
        ],
        ..dotprod
    })
}

/// Accumulators of a pair of pixels and a vector of four channels: channels 0 and 1 of the first pixel and of
/// the second one, then the same of channels 2 and 3.
type Square = [int32x4_t; 2];

/// See [`Dot::sums`](crate::kernels::dot::Dot::sums).
///
/// # Safety
/// As there; the CPU has the instruction set.
#[inline(always)]
pub(super) unsafe fn sums<const MR: usize, const NV: usize>(operands: Operands) -> [[int32x4_t; NV]; MR] {
    let Operands { taps: mut line, step, groups, mut weights, bias, .. } = operands;
    // SAFETY: the caller's.
    unsafe {
        let mut first = [[vdupq_n_s32(0); 2]; NV];
        for (v, square) in first.iter_mut().enumerate() {
            *square = twice(vld1q_s32(bias.add(4 * v)));
        }
        // The first half has the pairs; half as many cannot be said.
        let mut acc = [first; MR];
        for _ in 0..operands.lines {
            let mut at = line;
            for _ in 0..groups / 2 {
                add_groups::<MR, NV, 2>(&mut acc, (at, step), weights);
                (at, weights) = (at.add(2 * CHANNEL_GROUP), weights.add(2 * 16 * NV));
            }
            if groups % 2 == 1 {
                add_groups::<MR, NV, 1>(&mut acc, (at, step), weights);
                weights = weights.add(16 * NV);
            }
            line = line.wrapping_add(operands.line_bytes);
        }
        let mut sums = [[vdupq_n_s32(0); NV]; MR];
        for (pixel, sums) in sums.iter_mut().enumerate() {
            for (sums, square) in sums.iter_mut().zip(acc[pixel / 2]) {
                *sums = join(square)[pixel % 2];
            }
        }
        sums
    }
}

/// Two neighbouring groups, or a last one, of every pixel and every vector.
///
/// # Safety
/// Eight bytes at each pixel are readable, and `GROUPS` times the vectors of the panel at `weights`; `pixels`
/// says where the first pixel's groups are, and how many bytes from pixel to pixel.
#[inline(always)]
unsafe fn add_groups<const MR: usize, const NV: usize, const GROUPS: usize>(
    acc: &mut [[Square; NV]; MR],
    pixels: (*const u8, usize),
    weights: *const u8,
) {
    // SAFETY: the caller's; where the pixels are odd in number, the last one is its own partner.
    unsafe {
        let of_pixel = |pixel: usize| pixels.0.add(pixel.min(MR - 1) * pixels.1).cast();
        let mut taps = [vdupq_n_s8(0); MR];
        for (pair, taps) in taps.iter_mut().enumerate().take(MR.div_ceil(2)) {
            let first = vcombine_s64(vld1_s64(of_pixel(2 * pair)), vdup_n_s64(0));
            *taps = vreinterpretq_s8_s64(vld1q_lane_s64::<1>(of_pixel(2 * pair + 1), first));
        }
        for v in 0..NV {
            let here = vld1q_s32(weights.add(16 * v).cast());
            // Weights of zero meet what lies behind the last group.
            let next =
                if GROUPS == 2 { vld1q_s32(weights.add(16 * (NV + v)).cast()) } else { vdupq_n_s32(0) };
            let (low, high) = (vzip1q_s32(here, next), vzip2q_s32(here, next));
            for (acc, taps) in acc.iter_mut().zip(taps).take(MR.div_ceil(2)) {
                acc[v][0] = multiply(acc[v][0], taps, vreinterpretq_s8_s32(low));
                acc[v][1] = multiply(acc[v][1], taps, vreinterpretq_s8_s32(high));
            }
        }
    }
}

/// Adds the four products of two rows and two columns of eight. The intrinsic is not stable.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn multiply(mut acc: int32x4_t, taps: int8x16_t, weights: int8x16_t) -> int32x4_t {
    // SAFETY: the caller's; the instruction touches registers only.
    unsafe {
        asm!(
            "smmla {acc:v}.4s, {taps:v}.16b, {weights:v}.16b",
            acc = inout(vreg) acc,
            taps = in(vreg) taps,
            weights = in(vreg) weights,
            options(nomem, nostack, preserves_flags),
        );
    }
    acc
}

/// The same four channels for both pixels.
///
/// # Safety
/// NEON is part of the architecture.
#[inline(always)]
unsafe fn twice(channels: int32x4_t) -> Square {
    // SAFETY: the caller's.
    unsafe { join([channels, channels]) }
}

/// The first halves and the second halves.
///
/// # Safety
/// NEON is part of the architecture.
#[inline(always)]
unsafe fn join([a, b]: Square) -> [int32x4_t; 2] {
    // SAFETY: the caller's.
    unsafe {
        let (a, b) = (vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b));
        [vreinterpretq_s32_s64(vzip1q_s64(a, b)), vreinterpretq_s32_s64(vzip2q_s64(a, b))]
    }
}
