//! AVX2: eight dot products of two 16-bit numbers in two instructions, or of four bytes in four.

use super::{Feed, Kernels, depthwise, interleave_sse2, tile};
use crate::kernels::collect::{self, Collect, Shuffle};
use crate::kernels::dot::Dot;
use crate::kernels::gemm::{Operands, biases};
use crate::kernels::isa::Isa;
use crate::kernels::{CodeRange, Plane, PlaneMut};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2.
#[derive(Clone, Copy)]
struct Avx2;

/// Bytes of the vectors of [`collect`].
pub(super) const SHUFFLE_BYTES: usize = Avx2::BYTES;

/// See [`collect::Run`].
#[target_feature(enable = "avx2")]
pub(super) fn collect(of: &Collect, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, count: usize) {
    // SAFETY: who runs this has the instruction set, and planes that are large enough.
    unsafe { collect::shuffle(Avx2, of, src, dst, count) }
}

/// See [`LookUp`](super::LookUp): by shuffles of sixteen bytes.
///
/// A shuffle gives zero where the index is negative, else what its lowest four bits choose. An index that is
/// lowered by 16 from shuffle to shuffle is negative from the one after its own sixteen entries on; if each
/// table holds the difference to the one before, the shuffles until then add up to the entry. Codes below zero
/// need indices of their own.
#[target_feature(enable = "avx2")]
pub(super) fn look_up(table: &[i8; 256], channels: usize, plane: PlaneMut<'_, i8>, pixels: usize) {
    let tables = differences(table);
    let gapless = plane.pitch == channels;
    let (len, runs) = if gapless { (channels * pixels, 1) } else { (channels, pixels) };
    for run in 0..runs {
        for first in (0..len).step_by(64) {
            let (at, count) = (run * plane.pitch + first, (len - first).min(64));
            // What lies behind is stored as it was.
            if let Some(codes) = plane.data[at..].first_chunk_mut() {
                look_up_first(&tables, codes, count);
                continue;
            }
            let (mut codes, rest) = ([0; 64], &mut plane.data[at..][..count]);
            codes[..count].copy_from_slice(rest);
            look_up_first(&tables, &mut codes, count);
            rest.copy_from_slice(&codes[..count]);
        }
    }
}

/// Sixteen entries at a time, each xored with the sixteen before: those of codes from 0 on, then those below.
fn differences(table: &[i8; 256]) -> [[i8; 16]; 16] {
    let (parts, _) = table.as_chunks::<16>();
    std::array::from_fn(|i| match (i ^ 8, i % 8) {
        (at, 0) => parts[at],
        (at, _) => std::array::from_fn(|byte| parts[at][byte] ^ parts[at - 1][byte]),
    })
}

/// Looks up the first `count` codes.
#[target_feature(enable = "avx2")]
#[inline]
fn look_up_first(tables: &[[i8; 16]; 16], codes: &mut [i8; 64], count: usize) {
    const PLACES: [i8; 64] = {
        let mut places = [0; 64];
        let mut i = 0;
        while i < 64 {
            places[i] = i as i8;
            i += 1;
        }
        places
    };
    let at = codes.as_mut_ptr().cast::<__m256i>();
    // SAFETY: the codes are two vectors, a table is half of one.
    unsafe {
        let codes = [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))];
        let (step, sign) = (_mm256_set1_epi8(16), _mm256_set1_epi8(i8::MIN));
        let mut found = [_mm256_setzero_si256(); 2];
        for (half, tables) in tables.chunks_exact(8).enumerate() {
            let flip = if half == 0 { _mm256_setzero_si256() } else { sign };
            let mut index = codes.map(|codes| _mm256_xor_si256(codes, flip));
            for table in tables {
                let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
                for (found, index) in found.iter_mut().zip(&mut index) {
                    *found = _mm256_xor_si256(*found, _mm256_shuffle_epi8(table, *index));
                    *index = _mm256_subs_epi8(*index, step);
                }
            }
        }
        for (i, (found, codes)) in found.into_iter().zip(codes).enumerate() {
            let places = _mm256_loadu_si256(PLACES.as_ptr().cast::<__m256i>().add(i));
            let wanted = _mm256_cmpgt_epi8(_mm256_set1_epi8(count as i8), places);
            _mm256_storeu_si256(at.add(i), _mm256_blendv_epi8(codes, found, wanted));
        }
    }
}

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::Avx2.is_available().then_some(Kernels {
        lanes: Avx2::LANES,
        dense: Feed { halves: true, flip: Avx2::FLIP },
        depthwise_feed: Feed::of::<Avx2>(),
        // 12 of the 16 registers hold accumulators, two weights, one activations, one products.
        tiles: &[tile!(Avx2, "avx2", "avx2-gemm-12x8", 12, 1), tile!(Avx2, "avx2", "avx2-gemm-6x16", 6, 2)],
        depthwise_name: "avx2-depthwise-4x16",
        depthwise: depthwise!(Avx2, "avx2", 2),
        look_up,
        collect: Some((SHUFFLE_BYTES, collect)),
    })
}

/// Requantizes up to two vectors of eight accumulators and stores `count` codes.
///
/// # Safety
/// The CPU has AVX2; `8 · NV` multipliers are readable, `count <= 8 · NV` codes are writable.
#[inline(always)]
pub(super) unsafe fn store_codes<const NV: usize>(
    acc: [__m256i; NV],
    multiplier: *const f32,
    range: CodeRange,
    to: *mut i8,
    count: usize,
) {
    assert!(NV <= 2);
    // SAFETY: the caller's.
    unsafe {
        let above = _mm256_set1_ps(f32::from(i16::from(range.hi) - i16::from(range.zero_point)));
        let mut steps = [_mm256_setzero_si256(); 2];
        for (v, (steps, acc)) in steps.iter_mut().zip(acc).enumerate() {
            let scale = _mm256_loadu_ps(multiplier.add(v * 8));
            let real = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale);
            // What is too large must be cut before it becomes an integer; what is too small becomes
            // i32::MIN, which the saturating steps below carry down to the smallest code.
            *steps = _mm256_cvtps_epi32(_mm256_min_ps(real, above));
        }
        // Packing works within 128-bit lanes: the quarters come out as 0, 2, 1, 3.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(steps[0], steps[1]));
        let codes = _mm256_adds_epi16(packed, _mm256_set1_epi16(i16::from(range.zero_point)));
        let codes = _mm_packs_epi16(_mm256_castsi256_si128(codes), _mm256_extracti128_si256::<1>(codes));
        let codes = _mm_max_epi8(codes, _mm_set1_epi8(range.lo));
        store_first(codes, to, count);
    }
}

/// Stores the first `count` of 16 codes.
///
/// # Safety
/// They are writable.
#[inline(always)]
unsafe fn store_first(mut codes: __m128i, mut to: *mut i8, count: usize) {
    // SAFETY: the caller's; the pieces add up to `count`, at most 15 where it is not 16.
    unsafe {
        if count >= 16 {
            return _mm_storeu_si128(to.cast(), codes);
        }
        if count & 8 != 0 {
            _mm_storel_epi64(to.cast(), codes);
            (codes, to) = (_mm_srli_si128::<8>(codes), to.add(8));
        }
        let mut rest = _mm_cvtsi128_si64(codes);
        if count & 4 != 0 {
            to.cast::<i32>().write_unaligned(rest as i32);
            (rest, to) = (rest >> 32, to.add(4));
        }
        for i in 0..count & 3 {
            to.add(i).write((rest >> (8 * i)) as i8);
        }
    }
}

/// Scales vectors of eight accumulators and stores `count` numbers.
///
/// # Safety
/// The CPU has AVX2; `8 · NV` multipliers are readable, `count <= 8 · NV` numbers are writable.
#[inline(always)]
pub(super) unsafe fn store_reals<const NV: usize>(
    acc: [__m256i; NV],
    multiplier: *const f32,
    to: *mut f32,
    count: usize,
) {
    for (v, acc) in acc.into_iter().enumerate() {
        let left = count.saturating_sub(v * 8).min(8);
        // SAFETY: the caller's; the mask keeps stores within `count`.
        unsafe {
            let scale = _mm256_loadu_ps(multiplier.add(v * 8));
            let real = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale);
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            let mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(left as i32), lanes);
            _mm256_maskstore_ps(to.wrapping_add(v * 8), mask, real);
        }
    }
}

impl Dot for Avx2 {
    const LANES: usize = 8;
    const FLIP: u8 = 0;
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

    /// Of 16-bit numbers half as many are multiplied at once, but nothing has to be done about signs: four
    /// instructions for eight dot products of four, and only two of them on the ports that multiply.
    const WIDEN: bool = true;

    #[inline(always)]
    unsafe fn sums<const MR: usize, const NV: usize>(self, operands: Operands) -> [[__m256i; NV]; MR] {
        let Operands { taps: mut line, step, groups, mut weights, .. } = operands;
        // SAFETY: the caller's; `self` proves the CPU. Each group has four taps of two bytes; the weights have the
        // first two of eight channels before the last two.
        unsafe {
            let mut acc = biases(self, operands);
            for _ in 0..operands.lines {
                for pair in 0..2 * groups {
                    let mut w = [_mm256_setzero_si256(); NV];
                    for (v, w) in w.iter_mut().enumerate() {
                        let at = weights.add(pair / 2 * NV * 32 + v * 32 + pair % 2 * 16);
                        *w = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast()));
                    }
                    for (r, acc) in acc.iter_mut().enumerate() {
                        let taps = self.broadcast(line.add(r * step + pair * 4));
                        for (acc, w) in acc.iter_mut().zip(w) {
                            *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(taps, w));
                        }
                    }
                }
                weights = weights.add(groups * NV * 32);
                line = line.wrapping_add(operands.line_bytes);
            }
            acc
        }
    }

    /// |a| · (w with the sign of a): |a| <= 128 is unsigned, |w| <= 127, so that the sums of two products
    /// are at most 32 512 and never saturate.
    #[inline(always)]
    fn dot(self, acc: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: `self` proves the CPU.
        unsafe {
            let signed = _mm256_sign_epi8(weights, activations);
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(activations), signed);
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
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
        unsafe { store_codes(acc, multiplier, range, to, count) }
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
        unsafe { store_reals(acc, multiplier, to, count) }
    }
}

impl Shuffle for Avx2 {
    // Shuffles of 256 bits work within their halves.
    const BYTES: usize = 16;
    type Block = __m128i;

    #[inline(always)]
    fn zero(self) -> __m128i {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm_setzero_si128() }
    }

    #[inline(always)]
    unsafe fn pick(self, to: __m128i, from: *const i8, indices: *const u8) -> __m128i {
        // SAFETY: the caller's; `self` proves the CPU. An absent index has its highest bit set: zero.
        unsafe {
            let picked = _mm_shuffle_epi8(_mm_loadu_si128(from.cast()), _mm_loadu_si128(indices.cast()));
            _mm_or_si128(to, picked)
        }
    }

    #[inline(always)]
    unsafe fn store(self, block: __m128i, to: *mut i8, count: usize) {
        // SAFETY: the caller's.
        unsafe { store_first(block, to, count) }
    }
}
