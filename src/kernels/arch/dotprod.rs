//! NEON with the int8 dot product of ARMv8.2: four dot products of four bytes in one instruction.

use super::{Feed, Kernels, depthwise, i8mm, neon, tile};
use crate::kernels::CodeRange;
use crate::kernels::dot::Dot;
use crate::kernels::gemm::{self, Operands};
use crate::kernels::isa::Isa;
use std::arch::aarch64::*;
use std::arch::asm;

/// Proof that the CPU has NEON with the dot product; `MATRIX`: and the matrix product, which makes the sums of
/// dense convolutions.
#[derive(Clone, Copy)]
pub(super) struct Dotprod<const MATRIX: bool>;

const DOTPROD: Dotprod<false> = Dotprod;

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::Dotprod.is_available().then_some(Kernels {
        lanes: Dotprod::<false>::LANES,
        dense: Feed::of::<Dotprod<false>>(),
        depthwise_feed: Feed::of::<Dotprod<false>>(),
        // Up to 21 of the 32 registers hold accumulators, 1 to 4 weights, the others activations.
        tiles: &[
            tile!(DOTPROD, "neon,dotprod", "dotprod-gemm-10x4", 10, 1),
            tile!(DOTPROD, "neon,dotprod", "dotprod-gemm-10x8", 10, 2),
            tile!(DOTPROD, "neon,dotprod", "dotprod-gemm-5x12", 5, 3),
            tile!(DOTPROD, "neon,dotprod", "dotprod-gemm-5x16", 5, 4),
        ],
        depthwise_name: "dotprod-depthwise-4x16",
        depthwise: depthwise!(DOTPROD, "neon,dotprod", 4),
        look_up: neon::look_up,
        collect: Some((neon::SHUFFLE_BYTES, neon::collect)),
    })
}

impl<const MATRIX: bool> Dot for Dotprod<MATRIX> {
    const LANES: usize = 4;
    const HALVES: bool = false;
    const STEP: usize = 4;
    const FLIP: u8 = 0;
    type Acc = int32x4_t;
    type Groups = int8x16_t;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> int32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_s32(from) }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> int8x16_t {
        // SAFETY: the caller's.
        unsafe { vld1q_s8(from.cast()) }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> int8x16_t {
        // SAFETY: the caller's.
        unsafe { vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned())) }
    }

    #[inline(always)]
    unsafe fn load_groups(self, from: *const u8) -> int8x16_t {
        // SAFETY: the caller's.
        unsafe { vld1q_s8(from.cast()) }
    }

    /// The instruction itself takes one group of a vector for all lanes.
    #[inline(always)]
    fn dot_nth<const I: usize>(self, mut acc: int32x4_t, groups: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves the CPU; the instruction touches registers only. Its intrinsic is not stable.
        unsafe {
            asm!(
                "sdot {acc:v}.4s, {weights:v}.16b, {groups:v}.4b[{i}]",
                acc = inout(vreg) acc,
                weights = in(vreg) weights,
                groups = in(vreg) groups,
                i = const I,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        acc
    }

    #[inline(always)]
    fn dot(self, mut acc: int32x4_t, activations: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves the CPU; the instruction touches registers only. Its intrinsic is not stable.
        unsafe {
            asm!(
                "sdot {acc:v}.4s, {activations:v}.16b, {weights:v}.16b",
                acc = inout(vreg) acc,
                activations = in(vreg) activations,
                weights = in(vreg) weights,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        acc
    }

    #[inline(always)]
    unsafe fn sums<const MR: usize, const NV: usize>(self, operands: Operands) -> [[int32x4_t; NV]; MR] {
        // SAFETY: the caller's; `MATRIX` proves the matrix product.
        unsafe {
            match MATRIX {
                true => i8mm::sums(operands),
                false => gemm::sums_of_dots(self, operands),
            }
        }
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        // SAFETY: `self` proves the CPU; four vectors of 16 are 64 bytes.
        unsafe {
            let [a, b, c, d] = rows.map(|row| vld1q_u8(row.as_ptr()));
            vst4q_u8(to.as_mut_ptr(), uint8x16x4_t(a, b, c, d));
        }
    }

    const WIDE: usize = usize::MAX;

    #[inline(always)]
    unsafe fn interleave_wide(self, rows: [*const u8; 4], count: usize, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { neon::interleave_wide(self, rows, count, to) }
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [int32x4_t; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's.
        unsafe { neon::store_codes(acc, multiplier, range, to, count) }
    }

    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [int32x4_t; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        // SAFETY: the caller's.
        unsafe { neon::store_reals(acc, multiplier, to, count) }
    }
}
