//! AVX-512 with VNNI: sixteen dot products of four bytes in one instruction, activations unsigned.

use super::{Kernels, avx2, tile};
use crate::kernels::CodeRange;
use crate::kernels::gemm::Dot;
use crate::kernels::isa::Isa;
use std::arch::x86_64::*;

/// Proof that the CPU has AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
struct Avx512Vnni;

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::Avx512Vnni.is_available().then_some(Kernels {
        lanes: Avx512Vnni::LANES,
        flip: Avx512Vnni::FLIP,
        // 24 of the 32 registers hold accumulators, 1 to 4 weights, one the activations.
        tiles: &[
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-12x16", 12, 1),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-12x32", 12, 2),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-8x48", 8, 3),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-6x64", 6, 4),
        ],
        look_up: avx2::look_up,
    })
}

/// The first `count` of up to 64 lanes.
#[inline(always)]
fn first_lanes(count: usize) -> u64 {
    u64::MAX >> (64 - count.clamp(1, 64))
}

impl Dot for Avx512Vnni {
    const LANES: usize = 16;
    const FLIP: u8 = 0x80;
    type Acc = __m512i;
    type Groups = __m512i;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn dot(self, acc: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_dpbusd_epi32(acc, activations, weights) }
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [__m512i; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps stores within `count`.
        unsafe {
            let above = _mm512_set1_ps(f32::from(i16::from(range.hi) - i16::from(range.zero_point)));
            let mut steps = [_mm512_setzero_si512(); 4];
            for (v, (steps, acc)) in steps.iter_mut().zip(acc).enumerate() {
                let scale = _mm512_loadu_ps(multiplier.add(v * Self::LANES));
                let real = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
                // What is too large must be cut before it becomes an integer; what is too small becomes
                // i32::MIN, which the saturating steps below carry down to the smallest code.
                *steps = _mm512_cvtps_epi32(_mm512_min_ps(real, above));
            }
            let zero_point = _mm512_set1_epi16(i16::from(range.zero_point));
            let low = _mm512_adds_epi16(_mm512_packs_epi32(steps[0], steps[1]), zero_point);
            let high = _mm512_adds_epi16(_mm512_packs_epi32(steps[2], steps[3]), zero_point);
            // Packing works within 128-bit lanes: lane l now holds four codes of each vector.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let codes = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
            let codes = _mm512_max_epi8(codes, _mm512_set1_epi8(range.lo));
            _mm512_mask_storeu_epi8(to, first_lanes(count), codes);
        }
    }

    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [__m512i; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        for (v, acc) in acc.into_iter().enumerate() {
            let left = count.saturating_sub(v * Self::LANES).min(Self::LANES);
            // SAFETY: the caller's; `self` proves the CPU; the mask keeps stores within `count`.
            unsafe {
                let scale = _mm512_loadu_ps(multiplier.add(v * Self::LANES));
                let real = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
                let mask = ((1u32 << left) - 1) as __mmask16;
                _mm512_mask_storeu_ps(to.wrapping_add(v * Self::LANES), mask, real);
            }
        }
    }
}
