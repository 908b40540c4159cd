//! 64-bit ARM: NEON is part of the architecture.

use super::{Kernels, Lanes, doors};
use std::arch::aarch64::*;

/// 24 of the 32 registers hold sums, 3 weights, one the activation.
pub(super) const KERNELS: Kernels = doors!("neon", Neon, "neon", 8, 3);

#[derive(Clone, Copy)]
struct Neon;

impl Lanes for Neon {
    const COUNT: usize = 4;
    type Vector = float32x4_t;

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        // SAFETY: NEON is part of the architecture.
        unsafe { vdupq_n_f32(x) }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> float32x4_t {
        // SAFETY: the caller's.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> float32x4_t {
        let mut lanes = [0.0; Self::COUNT];
        // SAFETY: the caller's.
        let from = unsafe { std::slice::from_raw_parts(from, count.min(Self::COUNT)) };
        lanes.iter_mut().zip(from).for_each(|(lane, &x)| *lane = x);
        // SAFETY: the array has the length of the load.
        unsafe { vld1q_f32(lanes.as_ptr()) }
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: float32x4_t, to: *mut f32, count: usize) {
        if count >= Self::COUNT {
            // SAFETY: the caller's.
            return unsafe { vst1q_f32(to, vector) };
        }
        let mut lanes = [0.0; Self::COUNT];
        // SAFETY: the array has the length of the store; the caller's.
        let to = unsafe {
            vst1q_f32(lanes.as_mut_ptr(), vector);
            std::slice::from_raw_parts_mut(to, count)
        };
        to.iter_mut().zip(lanes).for_each(|(to, lane)| *to = lane);
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the architecture.
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn clamp(self, x: float32x4_t, lo: float32x4_t, hi: float32x4_t) -> float32x4_t {
        // SAFETY: NEON is part of the architecture. Of a NaN and a number, the number.
        unsafe { vminq_f32(vmaxnmq_f32(x, lo), hi) }
    }
}
