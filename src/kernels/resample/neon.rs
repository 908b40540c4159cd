//! Means along columns on 64-bit ARM: a vector holds the channels of a pixel in 32-bit lanes.

use super::columns::{GROUP, Join, Kernel, Packed};
use super::{HALF, WEIGHT_BITS};
use std::arch::aarch64::*;

pub(super) const NEON: Kernel = Kernel { words: 4, pack: |weights| weights, join: neon as Join };

/// Bits that leave a sum in its first narrowing, to 16 bits; the rest of the fraction leaves in the second.
const FIRST_SHIFT: i32 = 16;
const SECOND_SHIFT: i32 = WEIGHT_BITS as i32 - FIRST_SHIFT;

#[target_feature(enable = "neon")]
fn neon(packed: &Packed, groups: usize, rows: [*const u8; 2], mut out: [*mut u8; 2]) {
    let mut weights = packed.weights.as_ptr();
    let (offsets, _) = packed.offsets.as_chunks::<GROUP>();
    for offsets in &offsets[..groups] {
        // SAFETY: the caller's; there are `blocks · 4` weights for every offset.
        unsafe {
            let mut words = [[vdup_n_u16(0); GROUP]; 2];
            for (i, &offset) in offsets.iter().enumerate() {
                let at = [rows[0].add(offset as usize), rows[1].add(offset as usize)];
                let sums = pixel(at, packed.blocks, weights);
                weights = weights.add(packed.blocks * 4);
                for (words, sum) in words.iter_mut().zip(sums) {
                    words[i] = vshrn_n_u32::<FIRST_SHIFT>(sum);
                }
            }
            for (words, out) in words.into_iter().zip(&mut out) {
                let [a, b] = [vcombine_u16(words[0], words[1]), vcombine_u16(words[2], words[3])]
                    .map(|words| vqshrn_n_u16::<SECOND_SHIFT>(words));
                // The fourth lane of each pixel is of no use.
                let gaps = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255];
                let bytes = vqtbl1q_u8(vcombine_u8(a, b), vld1q_u8(gaps.as_ptr()));
                vst1q_u8(*out, bytes);
                *out = out.add(3 * GROUP);
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
        let pixels = PIXELS.map(|lanes| vld1q_u8(lanes.as_ptr()));
        let mut sums = [vdupq_n_u32(HALF as u32); 2];
        for block in 0..blocks {
            let weights = vld1q_u32(weights.add(block * 4).cast());
            for (sum, at) in sums.iter_mut().zip(at) {
                let bytes = vld1q_u8(at.add(12 * block));
                let tap = |lanes| vreinterpretq_u32_u8(vqtbl1q_u8(bytes, lanes));
                *sum = vmlaq_laneq_u32::<0>(*sum, tap(pixels[0]), weights);
                *sum = vmlaq_laneq_u32::<1>(*sum, tap(pixels[1]), weights);
                *sum = vmlaq_laneq_u32::<2>(*sum, tap(pixels[2]), weights);
                *sum = vmlaq_laneq_u32::<3>(*sum, tap(pixels[3]), weights);
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
