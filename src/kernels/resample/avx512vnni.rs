//! Means with AVX-512 VNNI: a dot product of four bytes with four digits of weights.

use super::kernel::{GROUP, Kernel, Packed, ROWS, digits};
use super::{HALF, Ring, WEIGHT_BITS};
use std::arch::x86_64::*;

pub(super) const KERNEL: Kernel = Kernel { words: 3, pack: digits, columns, rows };

/// Loops of a length that the compiler knows for reductions up to about two, four and six times.
///
/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn columns(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], out: [*mut u8; ROWS]) {
    // SAFETY: the caller's.
    unsafe {
        match packed.blocks {
            1 => columns_of(1, packed, offsets, rows, out),
            2 => columns_of(2, packed, offsets, rows, out),
            3 => columns_of(3, packed, offsets, rows, out),
            blocks => columns_of(blocks, packed, offsets, rows, out),
        }
    }
}

/// A vector holds a pixel of each row. Sixteen bytes of a row hold four pixels and more; a byte shuffle sorts
/// them by channel, so that red, green and blue gather in 32-bit lanes of their own.
///
/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s; the CPU has AVX-512 VNNI.
#[inline(always)]
unsafe fn columns_of(
    blocks: usize,
    packed: &Packed,
    offsets: &[u32],
    rows: [*const u8; ROWS],
    mut out: [*mut u8; ROWS],
) {
    let mut weights = packed.weights.as_ptr();
    let (groups, _) = offsets.as_chunks::<GROUP>();
    // SAFETY: the caller's; there are `blocks · 3` weights for every offset.
    unsafe {
        // The fourth lane of each pixel is of no use.
        let gaps =
            _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
        for offsets in groups {
            let mut means = [_mm512_setzero_si512(); GROUP];
            for i in 0..GROUP {
                means[i] = pixel(rows, offsets[i] as usize, blocks, weights);
                weights = weights.add(blocks * 3);
            }
            let bytes = _mm512_shuffle_epi8(pack(means), gaps);
            _mm_storeu_si128(out[0].cast(), _mm512_castsi512_si128(bytes));
            _mm_storeu_si128(out[1].cast(), _mm512_extracti32x4_epi32::<1>(bytes));
            _mm_storeu_si128(out[2].cast(), _mm512_extracti32x4_epi32::<2>(bytes));
            _mm_storeu_si128(out[3].cast(), _mm512_extracti32x4_epi32::<3>(bytes));
            for out in &mut out {
                *out = out.add(3 * GROUP);
            }
        }
    }
}

/// Means of one output pixel of all rows.
///
/// # Safety
/// `blocks` blocks of the windows and of the weights are readable; the CPU has AVX-512 VNNI.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn pixel(rows: [*const u8; ROWS], offset: usize, blocks: usize, weights: *const i32) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        let channels =
            _mm512_broadcast_i32x4(_mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1));
        let mut sums = [_mm512_set1_epi32(HALF), _mm512_setzero_si512(), _mm512_setzero_si512()];
        for block in 0..blocks {
            let at = offset + 12 * block;
            let bytes = _mm512_castsi128_si512(_mm_loadu_si128(rows[0].add(at).cast()));
            let bytes = _mm512_inserti32x4::<1>(bytes, _mm_loadu_si128(rows[1].add(at).cast()));
            let bytes = _mm512_inserti32x4::<2>(bytes, _mm_loadu_si128(rows[2].add(at).cast()));
            let bytes = _mm512_inserti32x4::<3>(bytes, _mm_loadu_si128(rows[3].add(at).cast()));
            let samples = _mm512_shuffle_epi8(bytes, channels);
            for (d, sum) in sums.iter_mut().enumerate() {
                let weights = _mm512_set1_epi32(weights.add(block * 3 + d).read());
                *sum = _mm512_dpbusd_epi32(*sum, samples, weights);
            }
        }
        mean(sums)
    }
}

/// From the sums of the three digits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn mean(sums: [__m512i; 3]) -> __m512i {
    let high = _mm512_add_epi32(sums[1], _mm512_slli_epi32::<8>(sums[2]));
    _mm512_srai_epi32::<{ WEIGHT_BITS }>(_mm512_add_epi32(sums[0], _mm512_slli_epi32::<8>(high)))
}

/// Lanes to bytes, within each quarter of the vectors.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn pack(lanes: [__m512i; 4]) -> __m512i {
    let low = _mm512_packus_epi32(lanes[0], lanes[1]);
    _mm512_packus_epi16(low, _mm512_packus_epi32(lanes[2], lanes[3]))
}

/// Four rows are interleaved, so that four bytes of a column lie side by side.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn rows(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize {
    let (blocks, _) = weights.as_chunks::<3>();
    let (chunks, _) = out.as_chunks_mut::<64>();
    for (i, out) in chunks.iter_mut().enumerate() {
        let mut sums = [[_mm512_setzero_si512(); 3]; 4];
        for sums in &mut sums {
            sums[0] = _mm512_set1_epi32(HALF);
        }
        let mut place = first % ring.rows;
        for digits in blocks {
            let mut rows = [_mm512_setzero_si512(); 4];
            for row in &mut rows {
                let bytes = &ring.data[place * ring.pitch + i * 64..][..64];
                // SAFETY: 64 bytes.
                *row = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
                place = ring.next(place);
            }
            let [a, b, c, d] = rows;
            let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
            let samples = [
                _mm512_unpacklo_epi16(ab, cd),
                _mm512_unpackhi_epi16(ab, cd),
                _mm512_unpacklo_epi16(ab_high, cd_high),
                _mm512_unpackhi_epi16(ab_high, cd_high),
            ];
            for d in 0..3 {
                let weights = _mm512_set1_epi32(digits[d]);
                for q in 0..4 {
                    sums[q][d] = _mm512_dpbusd_epi32(sums[q][d], samples[q], weights);
                }
            }
        }
        let bytes = pack([mean(sums[0]), mean(sums[1]), mean(sums[2]), mean(sums[3])]);
        // SAFETY: 64 bytes.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), bytes) };
    }
    chunks.len() * 64
}
