//! Means along columns on x86-64: a vector holds a pixel of each of two rows.
//!
//! Sixteen bytes of a row hold four pixels and more; a byte shuffle sorts them by channel, so that an
//! instruction that multiplies and adds neighbours leaves red, green and blue in 32-bit lanes of their own.
//! Weights are too long for it: they are cut into digits, each with an accumulator, which wrap as the sum does.

use super::columns::{GROUP, Join, Kernel, Packed};
use super::{HALF, WEIGHT_BITS};
use std::arch::x86_64::*;

pub(super) const AVX2: Kernel = Kernel { words: 4, pack: pairs, join: avx2 as Join };
pub(super) const AVX_VNNI: Kernel = Kernel { words: 3, pack: digits, join: avx_vnni as Join };
pub(super) const AVX512_VNNI: Kernel = Kernel { words: 3, pack: digits, join: avx512_vnni as Join };

/// Weights as two 16-bit digits: `[low, high]` of taps 0 and 1, then of taps 2 and 3.
fn pairs(weights: [i32; 4]) -> [i32; 4] {
    let low = weights.map(|w| w as i16);
    let high = weights.map(|w| ((w - i32::from(w as i16)) >> 16) as i16);
    let word = |digits: [i16; 4], at: usize| i32::from(digits[at] as u16) | i32::from(digits[at + 1]) << 16;
    [word(low, 0), word(high, 0), word(low, 2), word(high, 2)]
}

/// Weights as three signed 8-bit digits, the lowest first, of four taps each.
fn digits(weights: [i32; 4]) -> [i32; 4] {
    let mut rest = weights;
    std::array::from_fn(|_| {
        let digit = rest.map(|w| w as i8);
        rest = std::array::from_fn(|tap| (rest[tap] - i32::from(digit[tap])) >> 8);
        i32::from_le_bytes(digit.map(|d| d as u8))
    })
}

#[target_feature(enable = "avx2")]
fn avx2(packed: &Packed, groups: usize, rows: [*const u8; 2], out: [*mut u8; 2]) {
    // SAFETY: the caller's; this function has AVX2.
    unsafe { join::<4>(packed, groups, rows, out, |at, weights| pixel_by_pairs(at, packed.blocks, weights)) }
}

#[target_feature(enable = "avx2,avxvnni")]
fn avx_vnni(packed: &Packed, groups: usize, rows: [*const u8; 2], out: [*mut u8; 2]) {
    // SAFETY: as above, and AVX-VNNI.
    unsafe {
        join::<3>(packed, groups, rows, out, |at, weights| {
            pixel_by_digits(at, packed.blocks, weights, |sum, bytes, weights| {
                _mm256_dpbusd_avx_epi32(sum, bytes, weights)
            })
        })
    }
}

#[target_feature(enable = "avx2,avx512f,avx512vl,avx512vnni")]
fn avx512_vnni(packed: &Packed, groups: usize, rows: [*const u8; 2], out: [*mut u8; 2]) {
    // SAFETY: as above, and AVX-512 VNNI.
    unsafe {
        join::<3>(packed, groups, rows, out, |at, weights| {
            pixel_by_digits(at, packed.blocks, weights, |sum, bytes, weights| {
                _mm256_dpbusd_epi32(sum, bytes, weights)
            })
        })
    }
}

/// A [`Join`] with `WORDS` words of weights per block. `pixel` makes the sums of one output pixel of both rows
/// from where its windows begin and its weights.
///
/// # Safety
/// As [`Join`]'s; the CPU has AVX2.
#[inline(always)]
unsafe fn join<const WORDS: usize>(
    packed: &Packed,
    groups: usize,
    rows: [*const u8; 2],
    mut out: [*mut u8; 2],
    pixel: impl Fn([*const u8; 2], *const i32) -> __m256i,
) {
    let mut weights = packed.weights.as_ptr();
    let (offsets, _) = packed.offsets.as_chunks::<GROUP>();
    for offsets in &offsets[..groups] {
        // SAFETY: the caller's; there are `blocks · WORDS` weights for every offset.
        unsafe {
            let mut sums = [_mm256_setzero_si256(); GROUP];
            for (sum, &offset) in sums.iter_mut().zip(offsets) {
                let at = [rows[0].add(offset as usize), rows[1].add(offset as usize)];
                *sum = _mm256_srai_epi32::<{ WEIGHT_BITS as i32 }>(pixel(at, weights));
                weights = weights.add(packed.blocks * WORDS);
            }
            let words = [_mm256_packus_epi32(sums[0], sums[1]), _mm256_packus_epi32(sums[2], sums[3])];
            let bytes = _mm256_packus_epi16(words[0], words[1]);
            // The fourth lane of each pixel is of no use.
            let gaps = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
            let bytes = _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(gaps));
            _mm_storeu_si128(out[0].cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(out[1].cast(), _mm256_extracti128_si256::<1>(bytes));
            out = [out[0].add(3 * GROUP), out[1].add(3 * GROUP)];
        }
    }
}

/// Block `block` of two windows.
///
/// # Safety
/// It is readable; the CPU has AVX2.
#[inline(always)]
unsafe fn load(at: [*const u8; 2], block: usize) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let first = _mm_loadu_si128(at[0].add(12 * block).cast());
        let second = _mm_loadu_si128(at[1].add(12 * block).cast());
        _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(first), second)
    }
}

/// # Safety
/// `blocks` blocks of the windows and of the weights are readable; the CPU has AVX2.
#[inline(always)]
unsafe fn pixel_by_pairs(at: [*const u8; 2], blocks: usize, weights: *const i32) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        // Pixels 0 and 1, pixels 2 and 3: bytes of a channel side by side, widened to 16 bits.
        let first = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
        let second = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
        let pairs = [_mm256_broadcastsi128_si256(first), _mm256_broadcastsi128_si256(second)];
        let mut sums = [_mm256_set1_epi32(HALF), _mm256_setzero_si256()];
        for block in 0..blocks {
            let bytes = load(at, block);
            for (p, &pair) in pairs.iter().enumerate() {
                let samples = _mm256_shuffle_epi8(bytes, pair);
                for (d, sum) in sums.iter_mut().enumerate() {
                    let weights = _mm256_set1_epi32(weights.add(block * 4 + p * 2 + d).read());
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(samples, weights));
                }
            }
        }
        _mm256_add_epi32(sums[0], _mm256_slli_epi32::<16>(sums[1]))
    }
}

/// `dot` adds to each lane the sum of its four products of a byte and a digit.
///
/// # Safety
/// `blocks` blocks of the windows and of the weights are readable; the CPU has AVX2.
#[inline(always)]
unsafe fn pixel_by_digits(
    at: [*const u8; 2],
    blocks: usize,
    weights: *const i32,
    dot: impl Fn(__m256i, __m256i, __m256i) -> __m256i,
) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        // The bytes of a channel side by side.
        let channels = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
        let channels = _mm256_broadcastsi128_si256(channels);
        let mut sums = [_mm256_set1_epi32(HALF), _mm256_setzero_si256(), _mm256_setzero_si256()];
        for block in 0..blocks {
            let samples = _mm256_shuffle_epi8(load(at, block), channels);
            for (d, sum) in sums.iter_mut().enumerate() {
                let weights = _mm256_set1_epi32(weights.add(block * 3 + d).read());
                *sum = dot(*sum, samples, weights);
            }
        }
        let high = _mm256_add_epi32(sums[1], _mm256_slli_epi32::<8>(sums[2]));
        _mm256_add_epi32(sums[0], _mm256_slli_epi32::<8>(high))
    }
}
