//! Means along columns on 64-bit ARM: a vector holds the channels of a pixel in 32-bit lanes.

use super::kernel::{GROUP, Kernel, Packed, ROWS};
use super::{HALF, WEIGHT_BITS};
use std::arch::aarch64::*;

/// Of rows the compiler makes the same instructions from the portable loop.
pub(super) const KERNEL: Kernel = Kernel { words: 4, pack: |weights| weights, columns, rows: None };

/// Bits that leave a sum in its first narrowing, to 16 bits; the rest of the fraction leaves in the second.
const FIRST_SHIFT: i32 = 16;
const SECOND_SHIFT: i32 = WEIGHT_BITS as i32 - FIRST_SHIFT;

#[target_feature(enable = "neon")]
fn columns(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], out: [*mut u8; ROWS]) {
    for pair in 0..2 {
        let [first, second] = [2 * pair, 2 * pair + 1];
        // SAFETY: the caller's.
        unsafe { columns_of_two(packed, offsets, [rows[first], rows[second]], [out[first], out[second]]) };
    }
}

/// # Safety
/// As [`JoinColumns`](super::kernel::JoinColumns)'s.
#[inline(always)]
unsafe fn columns_of_two(packed: &Packed, offsets: &[u32], rows: [*const u8; 2], mut out: [*mut u8; 2]) {
    let mut weights = packed.weights.as_ptr();
    let (groups, _) = offsets.as_chunks::<GROUP>();
    for offsets in groups {
        // SAFETY: the caller's; there are `blocks · 4` weights for every offset.
        unsafe {
            let mut words = [[vdup_n_u16(0); GROUP]; 2];
            for i in 0..GROUP {
                let at = [rows[0].add(offsets[i] as usize), rows[1].add(offsets[i] as usize)];
                let sums = pixel(at, packed.blocks, weights);
                weights = weights.add(packed.blocks * 4);
                for row in 0..2 {
                    words[row][i] = vshrn_n_u32::<FIRST_SHIFT>(sums[row]);
                }
            }
            // The fourth lane of each pixel is of no use.
            let gaps = vld1q_u8([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255].as_ptr());
            for row in 0..2 {
                let [a, b, c, d] = words[row];
                let low = vqshrn_n_u16::<SECOND_SHIFT>(vcombine_u16(a, b));
                let high = vqshrn_n_u16::<SECOND_SHIFT>(vcombine_u16(c, d));
                vst1q_u8(out[row], vqtbl1q_u8(vcombine_u8(low, high), gaps));
                out[row] = out[row].add(3 * GROUP);
            }
        }
    }
}

/// The sums of an output pixel of two rows; they are never negative.
///
/// # Safety
/// `blocks` blocks of the windows and of the weights are readable; the CPU has NEON.
#[inline(always)]
unsafe fn pixel(at: [*const u8; 2], blocks: usize, weights: *const i32) -> [uint32x4_t; 2] {
    /// A pixel's bytes to 32-bit lanes.
    const PIXELS: [[u8; 16]; 4] = [lanes(0), lanes(3), lanes(6), lanes(9)];
    // SAFETY: the caller's.
    unsafe {
        let mut lanes = [vdupq_n_u8(0); 4];
        for (lanes, bytes) in lanes.iter_mut().zip(&PIXELS) {
            *lanes = vld1q_u8(bytes.as_ptr());
        }
        let mut sums = [vdupq_n_u32(HALF as u32); 2];
        for block in 0..blocks {
            let weights = vld1q_u32(weights.add(block * 4).cast());
            for row in 0..2 {
                let bytes = vld1q_u8(at[row].add(12 * block));
                let sum = &mut sums[row];
                *sum = vmlaq_laneq_u32::<0>(*sum, vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes[0])), weights);
                *sum = vmlaq_laneq_u32::<1>(*sum, vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes[1])), weights);
                *sum = vmlaq_laneq_u32::<2>(*sum, vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes[2])), weights);
                *sum = vmlaq_laneq_u32::<3>(*sum, vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes[3])), weights);
            }
        }
        sums
    }
}

/// Bytes `first` to `first + 2` each in a 32-bit lane; what is out of range gives zero.
const fn lanes(first: u8) -> [u8; 16] {
    const NONE: u8 = 255;
    let mut lanes = [NONE; 16];
    lanes[0] = first;
    lanes[4] = first + 1;
    lanes[8] = first + 2;
    lanes
}
