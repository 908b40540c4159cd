//! Means on 64-bit ARM: samples go to 32-bit lanes by a table look-up, and meet whole weights there.

use super::kernel::{GROUP, Kernel, Packed, ROWS};
use super::{HALF, Ring, WEIGHT_BITS};
use std::arch::aarch64::*;

pub(super) const KERNEL: Kernel = Kernel { words: 4, pack: |weights| weights, columns, rows };

/// Bits that leave a sum in its first narrowing, to 16 bits; the rest of the fraction leaves in the second.
const FIRST_SHIFT: i32 = 16;
const SECOND_SHIFT: i32 = WEIGHT_BITS as i32 - FIRST_SHIFT;

/// Four bytes of sixteen to 32-bit lanes; what is out of range gives zero.
const fn lanes(bytes: [u8; 4]) -> [u8; 16] {
    const NONE: u8 = 255;
    let [a, b, c, d] = bytes;
    [a, NONE, NONE, NONE, b, NONE, NONE, NONE, c, NONE, NONE, NONE, d, NONE, NONE, NONE]
}

/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn load_lanes(bytes: &[[u8; 16]; 4]) -> [uint8x16_t; 4] {
    // SAFETY: the caller's.
    unsafe {
        [
            vld1q_u8(bytes[0].as_ptr()),
            vld1q_u8(bytes[1].as_ptr()),
            vld1q_u8(bytes[2].as_ptr()),
            vld1q_u8(bytes[3].as_ptr()),
        ]
    }
}

/// The samples of some lanes.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn samples(bytes: uint8x16_t, lanes: uint8x16_t) -> uint32x4_t {
    // SAFETY: the caller's.
    unsafe { vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes)) }
}

/// Sums, which are never negative, to sixteen means.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn means(sums: [uint32x4_t; 4]) -> uint8x16_t {
    // SAFETY: the caller's.
    unsafe {
        let low = vshrn_high_n_u32::<FIRST_SHIFT>(vshrn_n_u32::<FIRST_SHIFT>(sums[0]), sums[1]);
        let high = vshrn_high_n_u32::<FIRST_SHIFT>(vshrn_n_u32::<FIRST_SHIFT>(sums[2]), sums[3]);
        vqshrn_high_n_u16::<SECOND_SHIFT>(vqshrn_n_u16::<SECOND_SHIFT>(low), high)
    }
}

/// A vector holds a pixel of a row.
///
/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[target_feature(enable = "neon")]
unsafe fn columns(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], mut out: [*mut u8; ROWS]) {
    /// The pixels of a block.
    const PIXELS: [[u8; 16]; 4] =
        [lanes([0, 1, 2, 255]), lanes([3, 4, 5, 255]), lanes([6, 7, 8, 255]), lanes([9, 10, 11, 255])];
    let mut weights = packed.weights.as_ptr();
    let (groups, _) = offsets.as_chunks::<GROUP>();
    // SAFETY: the caller's; there are `blocks · 4` weights for every offset.
    unsafe {
        let pixels = load_lanes(&PIXELS);
        // The fourth lane of each pixel is of no use.
        let gaps = vld1q_u8([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255].as_ptr());
        for offsets in groups {
            // Spelled out: a loop would keep the sums in memory.
            let of_pixel = 4 * packed.blocks;
            let a = pixel(rows, offsets[0], packed.blocks, weights, &pixels);
            let b = pixel(rows, offsets[1], packed.blocks, weights.add(of_pixel), &pixels);
            let c = pixel(rows, offsets[2], packed.blocks, weights.add(2 * of_pixel), &pixels);
            let d = pixel(rows, offsets[3], packed.blocks, weights.add(3 * of_pixel), &pixels);
            weights = weights.add(GROUP * of_pixel);
            for row in 0..ROWS {
                let sums = [a[row], b[row], c[row], d[row]];
                vst1q_u8(out[row], vqtbl1q_u8(means(sums), gaps));
                out[row] = out[row].add(3 * GROUP);
            }
        }
    }
}

/// The sums of one output pixel of all rows.
///
/// # Safety
/// `blocks` blocks of the windows and of the weights are readable; the CPU has NEON.
#[inline(always)]
unsafe fn pixel(
    rows: [*const u8; ROWS],
    offset: u32,
    blocks: usize,
    weights: *const i32,
    pixels: &[uint8x16_t; 4],
) -> [uint32x4_t; ROWS] {
    // SAFETY: the caller's.
    unsafe {
        let [mut a, mut b, mut c, mut d] = [vdupq_n_u32(HALF as u32); ROWS];
        for block in 0..blocks {
            let at = offset as usize + 12 * block;
            let four = vld1q_u32(weights.add(4 * block).cast());
            a = add_block(a, vld1q_u8(rows[0].add(at)), pixels, four);
            b = add_block(b, vld1q_u8(rows[1].add(at)), pixels, four);
            c = add_block(c, vld1q_u8(rows[2].add(at)), pixels, four);
            d = add_block(d, vld1q_u8(rows[3].add(at)), pixels, four);
        }
        [a, b, c, d]
    }
}

/// Adds four pixels, each with its weight.
///
/// # Safety
/// The CPU has NEON.
#[inline(always)]
unsafe fn add_block(
    sum: uint32x4_t,
    bytes: uint8x16_t,
    pixels: &[uint8x16_t; 4],
    weights: uint32x4_t,
) -> uint32x4_t {
    // SAFETY: the caller's.
    unsafe {
        let sum = vmlaq_laneq_u32::<0>(sum, samples(bytes, pixels[0]), weights);
        let sum = vmlaq_laneq_u32::<1>(sum, samples(bytes, pixels[1]), weights);
        let sum = vmlaq_laneq_u32::<2>(sum, samples(bytes, pixels[2]), weights);
        vmlaq_laneq_u32::<3>(sum, samples(bytes, pixels[3]), weights)
    }
}

/// Four vectors of sixteen columns at once; their sums stay in registers while the rows pass by.
#[target_feature(enable = "neon")]
fn rows(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize {
    /// Quarters of a vector.
    const QUARTERS: [[u8; 16]; 4] =
        [lanes([0, 1, 2, 3]), lanes([4, 5, 6, 7]), lanes([8, 9, 10, 11]), lanes([12, 13, 14, 15])];
    let (chunks, _) = out.as_chunks_mut::<64>();
    for (i, out) in chunks.iter_mut().enumerate() {
        // SAFETY: this function has NEON; slices have the lengths of loads and stores.
        unsafe {
            let quarters = load_lanes(&QUARTERS);
            let mut sums = [[vdupq_n_u32(HALF as u32); 4]; 4];
            let mut place = first % ring.rows;
            for &weight in weights {
                let bytes = &ring.data[place * ring.pitch + i * 64..][..64];
                for v in 0..4 {
                    let bytes = vld1q_u8(bytes.as_ptr().add(v * 16));
                    for q in 0..4 {
                        sums[v][q] = vmlaq_n_u32(sums[v][q], samples(bytes, quarters[q]), weight as u32);
                    }
                }
                place = ring.next(place);
            }
            for v in 0..4 {
                vst1q_u8(out.as_mut_ptr().add(v * 16), means(sums[v]));
            }
        }
    }
    chunks.len() * 64
}
