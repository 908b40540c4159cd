//! NEON, which every 64-bit ARM CPU has: four dot products of four bytes in three instructions.

use super::{Feed, Kernels, depthwise, tile};
use crate::kernels::collect::{self, Collect, Shuffle};
use crate::kernels::dot::Dot;
use crate::kernels::isa::Isa;
use crate::kernels::{CodeRange, Plane, PlaneMut};
use std::arch::aarch64::*;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy)]
struct Neon;

/// Bytes of the vectors of [`collect`].
pub(super) const SHUFFLE_BYTES: usize = Neon::BYTES;

/// See [`collect::Run`].
#[target_feature(enable = "neon")]
pub(super) fn collect(of: &Collect, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, count: usize) {
    // SAFETY: who runs this has the instruction set, and planes that are large enough.
    unsafe { collect::shuffle(Neon, of, src, dst, count) }
}

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::Neon.is_available().then_some(Kernels {
        lanes: Neon::LANES,
        dense: Feed::of::<Neon>(),
        depthwise_feed: Feed::of::<Neon>(),
        // Up to 16 of the 32 registers hold accumulators, four weights, one the activations, one their order;
        // the others let several dot products be under way at once.
        tiles: &[
            tile!(Neon, "neon", "neon-gemm-8x4", 8, 1),
            tile!(Neon, "neon", "neon-gemm-8x8", 8, 2),
            tile!(Neon, "neon", "neon-gemm-5x12", 5, 3),
            tile!(Neon, "neon", "neon-gemm-4x16", 4, 4),
        ],
        depthwise_name: "neon-depthwise-4x16",
        depthwise: depthwise!(Neon, "neon", 4),
        look_up,
        collect: Some((SHUFFLE_BYTES, collect)),
    })
}

/// See [`LookUp`](super::LookUp). A table instruction looks up in 64 bytes and keeps what lies elsewhere.
#[target_feature(enable = "neon")]
pub(super) fn look_up(table: &[i8; 256], channels: usize, plane: PlaneMut<'_, i8>, pixels: usize) {
    // SAFETY: the table has four times 64 bytes.
    let [a, b, c, d] = [0, 64, 128, 192].map(|at| unsafe { vld1q_s8_x4(table[at..].as_ptr()) });
    let (sign, step) = (vdupq_n_u8(0x80), vdupq_n_u8(64));
    let of_16 = |codes: int8x16_t| {
        let mut at = veorq_u8(vreinterpretq_u8_s8(codes), sign);
        let mut out = vqtbl4q_s8(a, at);
        for quarter in [b, c, d] {
            at = vsubq_u8(at, step);
            out = vqtbx4q_s8(out, quarter, at);
        }
        out
    };
    let gapless = plane.pitch == channels;
    let (channels, pixels) = if gapless { (channels * pixels, 1) } else { (channels, pixels) };
    for pixel in 0..pixels {
        let (blocks, rest) = plane.data[pixel * plane.pitch..][..channels].as_chunks_mut::<16>();
        for block in blocks {
            // SAFETY: a block has 16 codes.
            unsafe { vst1q_s8(block.as_mut_ptr(), of_16(vld1q_s8(block.as_ptr()))) };
        }
        for code in rest {
            *code = table[usize::from(*code as u8 ^ 0x80)];
        }
    }
}

/// Requantizes vectors of four accumulators and stores `count` codes.
///
/// # Safety
/// `4 · NV` multipliers are readable, `count <= 4 · NV` codes are writable.
#[inline(always)]
pub(super) unsafe fn store_codes<const NV: usize>(
    acc: [int32x4_t; NV],
    multiplier: *const f32,
    range: CodeRange,
    to: *mut i8,
    count: usize,
) {
    const { assert!(NV <= 4) };
    // SAFETY: the caller's; NEON is part of the architecture.
    unsafe {
        let mut steps = [vdupq_n_s32(0); 4];
        for (v, (steps, acc)) in steps.iter_mut().zip(acc).enumerate() {
            let real = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(multiplier.add(v * 4)));
            // To the nearest integer, ties to even; what is too large or too small becomes the extreme one.
            *steps = vcvtnq_s32_f32(real);
        }
        let zero_point = vdupq_n_s16(i16::from(range.zero_point));
        let pair = |a, b| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), zero_point);
        let low = vqmovn_s16(pair(steps[0], steps[1]));
        let codes = match NV {
            1 | 2 => vcombine_s8(low, low),
            _ => vqmovn_high_s16(low, pair(steps[2], steps[3])),
        };
        let codes = vminq_s8(vmaxq_s8(codes, vdupq_n_s8(range.lo)), vdupq_n_s8(range.hi));
        store_first(codes, to, count);
    }
}

/// Stores the first `count` of 16 codes.
///
/// # Safety
/// They are writable.
#[inline(always)]
unsafe fn store_first(mut codes: int8x16_t, mut to: *mut i8, count: usize) {
    // SAFETY: the caller's; the pieces add up to `count`, at most 15 where it is not 16.
    unsafe {
        if count >= 16 {
            return vst1q_s8(to, codes);
        }
        if count & 8 != 0 {
            vst1_s8(to, vget_low_s8(codes));
            (codes, to) = (vextq_s8::<8>(codes, codes), to.add(8));
        }
        let mut rest = vgetq_lane_u64::<0>(vreinterpretq_u64_s8(codes));
        if count & 4 != 0 {
            to.cast::<u32>().write_unaligned(rest as u32);
            (rest, to) = (rest >> 32, to.add(4));
        }
        for i in 0..count & 3 {
            to.add(i).write((rest >> (8 * i)) as i8);
        }
    }
}

/// [`Dot::interleave_wide`] in blocks of 16; the last one may overlap its neighbour.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn interleave_wide<D: Dot>(dot: D, rows: [*const u8; 4], count: usize, to: *mut u8) {
    // SAFETY: the caller's; `at` is at most `count - 16`, and fewer than 16 bytes are copied first.
    unsafe {
        let block = |rows: [*const u8; 4], at: usize| {
            let [a, b, c, d] = rows.map(|row| &*row.add(at).cast::<[u8; 16]>());
            dot.interleave([a, b, c, d], &mut *to.add(4 * at).cast());
        };
        if count < 16 {
            let mut short = [[0; 16]; 4];
            for (short, row) in short.iter_mut().zip(rows) {
                short.as_mut_ptr().copy_from_nonoverlapping(row, count);
            }
            return block(short.each_ref().map(|row| row.as_ptr()), 0);
        }
        let mut at = 0;
        while at + 16 < count {
            block(rows, at);
            at += 16;
        }
        block(rows, count - 16);
    }
}

/// Scales vectors of four accumulators and stores `count` numbers.
///
/// # Safety
/// `4 · NV` multipliers are readable, `count <= 4 · NV` numbers are writable.
#[inline(always)]
pub(super) unsafe fn store_reals<const NV: usize>(
    acc: [int32x4_t; NV],
    multiplier: *const f32,
    to: *mut f32,
    count: usize,
) {
    for (v, acc) in acc.into_iter().enumerate() {
        let left = count.saturating_sub(v * 4).min(4);
        // SAFETY: the caller's: `left` numbers from `4 · v` on; NEON is part of the architecture.
        unsafe {
            let real = vmulq_f32(vcvtq_f32_s32(acc), vld1q_f32(multiplier.add(v * 4)));
            let to = to.wrapping_add(v * 4);
            if left == 4 {
                vst1q_f32(to, real);
                continue;
            }
            let mut rest = [0.0; 4];
            vst1q_f32(rest.as_mut_ptr(), real);
            for (i, real) in rest.into_iter().take(left).enumerate() {
                to.add(i).write(real);
            }
        }
    }
}

impl Dot for Neon {
    const LANES: usize = 4;
    const HALVES: bool = true;
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
        const ORDER: [u8; 16] = [0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3];
        // SAFETY: the caller's.
        unsafe {
            let group = vreinterpretq_s8_s32(vdupq_n_s32(from.cast::<i32>().read_unaligned()));
            vqtbl1q_s8(group, vld1q_u8(ORDER.as_ptr()))
        }
    }

    /// The first two products of each lane and its last two meet in 16 bits: at most 2 · 128 · 127 = 32 512.
    #[inline(always)]
    fn dot(self, acc: int32x4_t, activations: int8x16_t, weights: int8x16_t) -> int32x4_t {
        // SAFETY: `self` proves the CPU.
        unsafe {
            let products = vmull_s8(vget_low_s8(activations), vget_low_s8(weights));
            vpadalq_s16(acc, vmlal_high_s8(products, activations, weights))
        }
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        // SAFETY: `self` proves the CPU; the arrays have the lengths of the loads and stores.
        unsafe {
            let [a, b, c, d] = rows.map(|row| vld1q_s8(row.as_ptr().cast()));
            let long = |v| vreinterpretq_s64_s8(v);
            let (ab, ab_high) = (long(vzip1q_s8(a, b)), long(vzip2q_s8(a, b)));
            let (cd, cd_high) = (long(vzip1q_s8(c, d)), long(vzip2q_s8(c, d)));
            let to = to.as_mut_ptr().cast::<i64>();
            vst1q_s64(to, vzip1q_s64(ab, cd));
            vst1q_s64(to.add(2), vzip2q_s64(ab, cd));
            vst1q_s64(to.add(4), vzip1q_s64(ab_high, cd_high));
            vst1q_s64(to.add(6), vzip2q_s64(ab_high, cd_high));
        }
    }

    const WIDE: usize = usize::MAX;

    #[inline(always)]
    unsafe fn interleave_wide(self, rows: [*const u8; 4], count: usize, to: *mut u8) {
        // SAFETY: the caller's.
        unsafe { interleave_wide(self, rows, count, to) }
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
        unsafe { store_codes(acc, multiplier, range, to, count) }
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
        unsafe { store_reals(acc, multiplier, to, count) }
    }
}

impl Shuffle for Neon {
    const BYTES: usize = 16;
    type Block = int8x16_t;

    #[inline(always)]
    fn zero(self) -> int8x16_t {
        // SAFETY: `self` proves the CPU.
        unsafe { vdupq_n_s8(0) }
    }

    #[inline(always)]
    unsafe fn pick(self, to: int8x16_t, from: *const i8, indices: *const u8) -> int8x16_t {
        // SAFETY: the caller's. The instruction leaves a place alone whose index is outside of the vector.
        unsafe { vqtbx1q_s8(to, vld1q_s8(from), vld1q_u8(indices)) }
    }

    #[inline(always)]
    unsafe fn store(self, block: int8x16_t, to: *mut i8, count: usize) {
        // SAFETY: the caller's.
        unsafe { store_first(block, to, count) }
    }
}
