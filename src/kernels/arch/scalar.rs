//! Portable Rust.

use super::{Feed, Kernels, Tile};
use crate::kernels::depthwise;
use crate::kernels::dot::Dot;
use crate::kernels::gemm;
use crate::kernels::job::Job;
use crate::kernels::lines::Shape;
use crate::kernels::{CodeRange, PlaneMut, reference};

const LANES: usize = 8;

pub(super) const KERNELS: Kernels = Kernels {
    lanes: LANES,
    dense: Feed::of::<Scalar>(),
    depthwise_feed: Feed::of::<Scalar>(),
    tiles: &[Tile { name: "scalar-gemm-4x8", shape: SHAPE, conv: conv_4x8::<false> }],
    depthwise_name: "scalar-depthwise-4x8",
    depthwise: depthwise_1x8::<false>,
    look_up,
    collect: None,
};

/// With [`Requantization::Fixed`](crate::kernels::Requantization::Fixed).
pub(super) const FIXED_KERNELS: Kernels = Kernels {
    tiles: &[Tile { name: "scalar-fixed-gemm-4x8", shape: SHAPE, conv: conv_4x8::<true> }],
    depthwise_name: "scalar-fixed-depthwise-4x8",
    depthwise: depthwise_1x8::<true>,
    ..KERNELS
};

const SHAPE: Shape = Shape::of(&Scalar::<false>, 4);

/// `FIXED`: accumulators become codes without floating point.
#[derive(Clone, Copy)]
struct Scalar<const FIXED: bool = false>;

fn conv_4x8<const FIXED: bool>(job: &mut Job<'_>) {
    // SAFETY: every CPU has what portable Rust needs.
    unsafe { gemm::conv::<_, 4, 1>(Scalar::<FIXED>, job) }
}

fn depthwise_1x8<const FIXED: bool>(job: &mut Job<'_>) {
    // SAFETY: every CPU has what portable Rust needs.
    unsafe { depthwise::conv::<_, 1>(Scalar::<FIXED>, job) }
}

/// See [`LookUp`](super::LookUp).
pub(super) fn look_up(table: &[i8; 256], channels: usize, plane: PlaneMut<'_, i8>, pixels: usize) {
    for pixel in 0..pixels {
        for code in &mut plane.data[pixel * plane.pitch..][..channels] {
            *code = table[usize::from(*code as u8 ^ 0x80)];
        }
    }
}

impl<const FIXED: bool> Dot for Scalar<FIXED> {
    const LANES: usize = LANES;
    const FLIP: u8 = 0;
    type Acc = [i32; LANES];
    type Groups = [[i8; 4]; LANES];

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> Self::Acc {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::Acc>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> Self::Groups {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::Groups>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> Self::Groups {
        // SAFETY: the caller's.
        [unsafe { from.cast::<[i8; 4]>().read_unaligned() }; LANES]
    }

    #[inline(always)]
    fn dot(self, mut acc: Self::Acc, activations: Self::Groups, weights: Self::Groups) -> Self::Acc {
        for (acc, (a, w)) in acc.iter_mut().zip(activations.iter().zip(&weights)) {
            for (&a, &w) in a.iter().zip(w) {
                *acc = acc.wrapping_add(i32::from(a) * i32::from(w));
            }
        }
        acc
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        for (i, to) in to.as_chunks_mut().0.iter_mut().enumerate() {
            *to = rows.map(|row| row[i]);
        }
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        for (i, &acc) in acc.as_flattened().iter().enumerate().take(count) {
            // SAFETY: the caller's; `i` is below `count`.
            let multiplier = unsafe { *multiplier.add(i) };
            let code = match FIXED {
                false => reference::requantize(acc, multiplier, range),
                true => reference::fixed::requantize(acc, multiplier.into(), range),
            };
            // SAFETY: the caller's; `i` is below `count`.
            unsafe { to.add(i).write(code) };
        }
    }

    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        for (i, &acc) in acc.as_flattened().iter().enumerate().take(count) {
            // SAFETY: the caller's; `i` is below `count`.
            unsafe { to.add(i).write(acc as f32 * *multiplier.add(i)) };
        }
    }
}
