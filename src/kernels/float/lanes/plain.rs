//! Portable Rust.

use super::{Kernels, Lanes};
use crate::kernels::float::depthwise::{self, Depthwise};
use crate::kernels::float::gemm::{self, Block};
use crate::kernels::{Plane, PlaneMut};

const COUNT: usize = 4;

pub(super) const KERNELS: Kernels =
    Kernels { name: "scalar", lanes: COUNT, vectors: 2, gemm: multiply, depthwise: convolve_row };

#[derive(Clone, Copy)]
struct Plain;

fn multiply(block: &Block<'_>, dst: PlaneMut<'_, f32>) {
    // SAFETY: every CPU has what portable Rust needs.
    unsafe { gemm::multiply::<_, 4, 2>(Plain, block, dst) }
}

fn convolve_row(layer: &Depthwise, src: Plane<'_, f32>, dst: PlaneMut<'_, f32>, row: usize) {
    // SAFETY: every CPU has what portable Rust needs.
    unsafe { depthwise::convolve_row(Plain, layer, src, dst, row) }
}

impl Lanes for Plain {
    const COUNT: usize = COUNT;
    type Vector = [f32; COUNT];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Vector {
        [x; COUNT]
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Vector {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::Vector>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector {
        let mut vector = [0.0; COUNT];
        // SAFETY: the caller's.
        let from = unsafe { std::slice::from_raw_parts(from, count.min(COUNT)) };
        vector.iter_mut().zip(from).for_each(|(lane, &x)| *lane = x);
        vector
    }

    #[inline(always)]
    unsafe fn store_first(self, vector: Self::Vector, to: *mut f32, count: usize) {
        if count >= COUNT {
            // SAFETY: the caller's.
            return unsafe { to.cast::<Self::Vector>().write_unaligned(vector) };
        }
        // SAFETY: the caller's.
        let to = unsafe { std::slice::from_raw_parts_mut(to, count) };
        to.iter_mut().zip(vector).for_each(|(to, lane)| *to = lane);
    }

    #[inline(always)]
    fn mul_add(self, a: Self::Vector, b: Self::Vector, mut c: Self::Vector) -> Self::Vector {
        // Without an instruction for it, `f32::mul_add` would be a function call.
        c.iter_mut().zip(a).zip(b).for_each(|((c, a), b)| *c += a * b);
        c
    }

    #[inline(always)]
    fn clamp(self, mut x: Self::Vector, lo: Self::Vector, hi: Self::Vector) -> Self::Vector {
        for ((x, lo), hi) in x.iter_mut().zip(lo).zip(hi) {
            *x = if *x > lo { *x } else { lo };
            *x = if *x < hi { *x } else { hi };
        }
        x
    }
}
