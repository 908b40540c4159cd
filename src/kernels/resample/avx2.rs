//! Means with AVX2 and AVX-VNNI, half as many rows and columns at once as with AVX-512.
//!
//! Weights are too long for the instructions that multiply and add neighbours: they are cut into digits, each
//! with an accumulator, which wrap as the sum does.

use super::kernel::{GROUP, Kernel, Packed, ROWS, digits};
use super::{HALF, Ring, WEIGHT_BITS};
use std::arch::x86_64::*;

pub(super) const AVX2: Kernel = Kernel { words: 4, pack: pairs, columns: columns_avx2, rows: rows_avx2 };
pub(super) const AVX_VNNI: Kernel =
    Kernel { words: 3, pack: digits, columns: columns_avx_vnni, rows: rows_avx_vnni };

/// Weights as two 16-bit digits: low and high ones of taps 0 and 1, then of taps 2 and 3.
fn pairs(weights: [i32; 4]) -> [i32; 4] {
    let low = weights.map(|w| w as i16);
    let high = weights.map(|w| ((w - i32::from(w as i16)) >> 16) as i16);
    let word = |digits: [i16; 4], at: usize| i32::from(digits[at] as u16) | i32::from(digits[at + 1]) << 16;
    [word(low, 0), word(high, 0), word(low, 2), word(high, 2)]
}

/// Sums of eight means, one for each digit.
type Sums = [__m256i; 3];

/// How samples meet the digits of their weights.
///
/// # Safety
/// Methods are `#[inline(always)]`: the CPU has the instructions where they are called, and `WORDS` weights are
/// readable.
trait Digits {
    /// Words of a block of weights.
    const WORDS: usize;

    /// Adds a block: four pixels, their twelve bytes in the low part of each half of the vector.
    unsafe fn add_pixels(sums: &mut Sums, pixels: __m256i, weights: *const i32);

    /// Adds a block: four rows, of which the first two and the last two are interleaved byte by byte.
    unsafe fn add_rows(sums: &mut [Sums; 2], rows: [__m256i; 2], weights: *const i32);

    /// The means from their sums.
    unsafe fn means(sums: Sums) -> __m256i;
}

/// 16-bit digits of two taps.
struct Pairs;

impl Pairs {
    /// Adds two taps, their samples side by side in 16 bits.
    #[inline(always)]
    unsafe fn add(sums: &mut Sums, samples: __m256i, weights: *const i32) {
        // SAFETY: the caller's.
        unsafe {
            let low = _mm256_madd_epi16(samples, _mm256_set1_epi32(weights.read()));
            let high = _mm256_madd_epi16(samples, _mm256_set1_epi32(weights.add(1).read()));
            sums[0] = _mm256_add_epi32(sums[0], low);
            sums[1] = _mm256_add_epi32(sums[1], high);
        }
    }
}

impl Digits for Pairs {
    const WORDS: usize = 4;

    #[inline(always)]
    unsafe fn add_pixels(sums: &mut Sums, pixels: __m256i, weights: *const i32) {
        // SAFETY: the caller's.
        unsafe {
            let first = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
            let last = _mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1);
            Self::add(sums, _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(first)), weights);
            Self::add(sums, _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(last)), weights.add(2));
        }
    }

    #[inline(always)]
    unsafe fn add_rows(sums: &mut [Sums; 2], rows: [__m256i; 2], weights: *const i32) {
        // SAFETY: the caller's.
        unsafe {
            let zero = _mm256_setzero_si256();
            for (pair, &rows) in rows.iter().enumerate() {
                let weights = weights.add(2 * pair);
                Self::add(&mut sums[0], _mm256_unpacklo_epi8(rows, zero), weights);
                Self::add(&mut sums[1], _mm256_unpackhi_epi8(rows, zero), weights);
            }
        }
    }

    #[inline(always)]
    unsafe fn means(sums: Sums) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let sum = _mm256_add_epi32(sums[0], _mm256_slli_epi32::<16>(sums[1]));
            _mm256_srai_epi32::<{ WEIGHT_BITS as i32 }>(sum)
        }
    }
}

/// 8-bit digits of four taps.
struct Bytes;

impl Bytes {
    /// Adds four taps, their samples side by side.
    #[inline(always)]
    unsafe fn add(sums: &mut Sums, samples: __m256i, weights: *const i32) {
        for (d, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let weights = _mm256_set1_epi32(weights.add(d).read());
                *sum = _mm256_dpbusd_avx_epi32(*sum, samples, weights);
            }
        }
    }
}

impl Digits for Bytes {
    const WORDS: usize = 3;

    #[inline(always)]
    unsafe fn add_pixels(sums: &mut Sums, pixels: __m256i, weights: *const i32) {
        // SAFETY: the caller's.
        unsafe {
            let channels = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
            Self::add(sums, _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(channels)), weights);
        }
    }

    #[inline(always)]
    unsafe fn add_rows(sums: &mut [Sums; 2], rows: [__m256i; 2], weights: *const i32) {
        // SAFETY: the caller's.
        unsafe {
            Self::add(&mut sums[0], _mm256_unpacklo_epi16(rows[0], rows[1]), weights);
            Self::add(&mut sums[1], _mm256_unpackhi_epi16(rows[0], rows[1]), weights);
        }
    }

    #[inline(always)]
    unsafe fn means(sums: Sums) -> __m256i {
        // SAFETY: the caller's.
        unsafe {
            let high = _mm256_add_epi32(sums[1], _mm256_slli_epi32::<8>(sums[2]));
            let sum = _mm256_add_epi32(sums[0], _mm256_slli_epi32::<8>(high));
            _mm256_srai_epi32::<{ WEIGHT_BITS as i32 }>(sum)
        }
    }
}

/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[target_feature(enable = "avx2")]
unsafe fn columns_avx2(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], out: [*mut u8; ROWS]) {
    // SAFETY: the caller's; this function has the instructions.
    unsafe { columns::<Pairs>(packed, offsets, rows, out) }
}

/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn columns_avx_vnni(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], out: [*mut u8; ROWS]) {
    // SAFETY: the caller's; this function has the instructions.
    unsafe { columns::<Bytes>(packed, offsets, rows, out) }
}

#[target_feature(enable = "avx2")]
fn rows_avx2(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize {
    // SAFETY: this function has the instructions.
    unsafe { rows::<Pairs>(weights, ring, first, out) }
}

#[target_feature(enable = "avx2,avxvnni")]
fn rows_avx_vnni(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize {
    // SAFETY: this function has the instructions.
    unsafe { rows::<Bytes>(weights, ring, first, out) }
}

/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[inline(always)]
unsafe fn columns<D: Digits>(
    packed: &Packed,
    offsets: &[u32],
    rows: [*const u8; ROWS],
    out: [*mut u8; ROWS],
) {
    for pair in 0..2 {
        // SAFETY: the caller's.
        unsafe {
            columns_of_two::<D>(
                packed,
                offsets,
                [rows[2 * pair], rows[2 * pair + 1]],
                [out[2 * pair], out[2 * pair + 1]],
            );
        }
    }
}

/// A vector holds a pixel of each of two rows, red, green and blue in 32-bit lanes.
///
/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[inline(always)]
unsafe fn columns_of_two<D: Digits>(
    packed: &Packed,
    offsets: &[u32],
    rows: [*const u8; 2],
    mut out: [*mut u8; 2],
) {
    let mut weights = packed.weights.as_ptr();
    let (groups, _) = offsets.as_chunks::<GROUP>();
    for offsets in groups {
        // SAFETY: the caller's; there are `blocks · WORDS` weights for every offset.
        unsafe {
            let mut means = [_mm256_setzero_si256(); GROUP];
            for i in 0..GROUP {
                let mut sums = start();
                for block in 0..packed.blocks {
                    let at = offsets[i] as usize + 12 * block;
                    let first = _mm256_castsi128_si256(_mm_loadu_si128(rows[0].add(at).cast()));
                    let second = _mm_loadu_si128(rows[1].add(at).cast());
                    D::add_pixels(&mut sums, _mm256_inserti128_si256::<1>(first, second), weights);
                    weights = weights.add(D::WORDS);
                }
                means[i] = D::means(sums);
            }
            // The fourth lane of each pixel is of no use.
            let gaps = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
            let bytes = _mm256_shuffle_epi8(pack(means), _mm256_broadcastsi128_si256(gaps));
            _mm_storeu_si128(out[0].cast(), _mm256_castsi256_si128(bytes));
            _mm_storeu_si128(out[1].cast(), _mm256_extracti128_si256::<1>(bytes));
            out = [out[0].add(3 * GROUP), out[1].add(3 * GROUP)];
        }
    }
}

/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn start() -> Sums {
    // SAFETY: the caller's.
    unsafe { [_mm256_set1_epi32(HALF), _mm256_setzero_si256(), _mm256_setzero_si256()] }
}

/// Lanes to bytes, within each half of the vectors.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
unsafe fn pack(lanes: [__m256i; 4]) -> __m256i {
    // SAFETY: the caller's.
    unsafe {
        let low = _mm256_packus_epi32(lanes[0], lanes[1]);
        _mm256_packus_epi16(low, _mm256_packus_epi32(lanes[2], lanes[3]))
    }
}

/// Four rows are interleaved, so that the bytes of a column lie side by side.
///
/// # Safety
/// The CPU has the instructions.
#[inline(always)]
unsafe fn rows<D: Digits>(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize {
    let (chunks, _) = out.as_chunks_mut::<32>();
    for (i, out) in chunks.iter_mut().enumerate() {
        // SAFETY: the caller's; slices have the lengths of loads and stores.
        unsafe {
            // Low and high halves of 128 bits, each of two vectors of lanes.
            let mut sums = [[start(); 2]; 2];
            let mut place = first % ring.rows;
            for weights in weights.chunks_exact(D::WORDS) {
                let mut rows = [_mm256_setzero_si256(); 4];
                for row in &mut rows {
                    let bytes = &ring.data[place * ring.pitch + i * 32..][..32];
                    *row = _mm256_loadu_si256(bytes.as_ptr().cast());
                    place = ring.next(place);
                }
                let [a, b, c, d] = rows;
                let low = [_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d)];
                let high = [_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d)];
                D::add_rows(&mut sums[0], low, weights.as_ptr());
                D::add_rows(&mut sums[1], high, weights.as_ptr());
            }
            let [[a, b], [c, d]] = sums;
            let bytes = pack([D::means(a), D::means(b), D::means(c), D::means(d)]);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), bytes);
        }
    }
    chunks.len() * 32
}
