//! x86-64: AVX2 with FMA, and AVX-512.

use super::{Kernels, Lanes, doors};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
struct Fma;

/// Proof that the CPU has AVX-512 F.
#[derive(Clone, Copy)]
struct Avx512;

/// For CPUs with AVX-512. 24 of the 32 registers hold sums, 3 weights, one the activation.
pub(super) const AVX512_KERNELS: Kernels = doors!("avx512", Avx512, "avx512f", 8, 3);

/// `None` where the CPU lacks AVX2 or FMA. 12 of the 16 registers hold sums, 2 weights, one the activation.
pub(super) fn fma_kernels() -> Option<Kernels> {
    let here = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    here.then_some(doors!("fma", Fma, "avx2,fma", 6, 2))
}

impl Lanes for Fma {
    const COUNT: usize = 8;
    type Vector = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m256 {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps the load within `count`.
        unsafe { _mm256_maskload_ps(from, first_lanes(count)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: __m256, to: *mut f32, count: usize) {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps the store within `count`.
        unsafe {
            match count >= Self::COUNT {
                true => _mm256_storeu_ps(to, vector),
                false => _mm256_maskstore_ps(to, first_lanes(count), vector),
            }
        }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn clamp(self, x: __m256, lo: __m256, hi: __m256) -> __m256 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm256_min_ps(_mm256_max_ps(x, lo), hi) }
    }
}

/// The mask of the first `count` of 8 lanes.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn first_lanes(count: usize) -> __m256i {
    const MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the caller's; eight numbers follow index 8 − count.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - count.min(8)).cast()) }
}

impl Lanes for Avx512 {
    const COUNT: usize = 16;
    type Vector = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> __m512 {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps the load within `count`.
        unsafe { _mm512_maskz_loadu_ps(mask(count), from) }
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: __m512, to: *mut f32, count: usize) {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps the store within `count`.
        unsafe { _mm512_mask_storeu_ps(to, mask(count), vector) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn clamp(self, x: __m512, lo: __m512, hi: __m512) -> __m512 {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_min_ps(_mm512_max_ps(x, lo), hi) }
    }
}

/// The first `count` of 16 lanes.
#[inline(always)]
fn mask(count: usize) -> __mmask16 {
    ((1u32 << count.min(16)) - 1) as __mmask16
}
