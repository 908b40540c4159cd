//! AVX-VNNI: eight dot products of four bytes in one instruction, activations unsigned.

use super::{Feed, Kernels, avx2, depthwise, interleave_sse2, tile};
use crate::kernels::CodeRange;
use crate::kernels::dot::Dot;
use crate::kernels::isa::Isa;
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2 and AVX-VNNI.
#[derive(Clone, Copy)]
struct AvxVnni;

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::AvxVnni.is_available().then_some(Kernels {
        lanes: AvxVnni::LANES,
        dense: Feed::of::<AvxVnni>(),
        depthwise_feed: Feed::of::<AvxVnni>(),
        // 12 of the 16 registers hold accumulators, two weights, one the activations.
        tiles: &[
            tile!(AvxVnni, "avx2,avxvnni", "avxvnni-gemm-12x8", 12, 1),
            tile!(AvxVnni, "avx2,avxvnni", "avxvnni-gemm-6x16", 6, 2),
        ],
        depthwise_name: "avxvnni-depthwise-4x16",
        depthwise: depthwise!(AvxVnni, "avx2,avxvnni", 2),
        look_up: avx2::look_up,
        collect: Some((avx2::SHUFFLE_BYTES, avx2::collect)),
    })
}

impl Dot for AvxVnni {
    const LANES: usize = 8;
    const FLIP: u8 = 0x80;
    type Acc = __m256i;
    type Groups = __m256i;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn dot(self, acc: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm256_dpbusd_avx_epi32(acc, activations, weights) }
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        interleave_sse2(rows, Self::FLIP, to);
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [__m256i; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe { avx2::store_codes(acc, multiplier, range, to, count) }
    }

    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [__m256i; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe { avx2::store_reals(acc, multiplier, to, count) }
    }
}
