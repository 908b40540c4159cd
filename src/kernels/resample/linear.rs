//! Linear interpolation as OpenCV computes it: 11-bit weights, 15-bit rows between the passes.

use crate::kernels::arch::per_isa;

/// Bits dropped between the passes, so that a row fits 16 bits: 255 · 2048 >> 4 = 32 640.
const ROW_SHIFT: u32 = 4;

/// Two neighbours of every sample, gathered, and their weights.
#[derive(Clone, Copy, Debug)]
pub struct Neighbours<'a> {
    /// First and second neighbours.
    pub samples: [&'a [u8]; 2],
    /// Their weights, 2048 in sum.
    pub weights: [&'a [u16]; 2],
}

per_isa! {
    /// Between the columns of a row; `out` has 15 bits.
    blend_columns(of: Neighbours<'_>, out: &mut [u16]) = blend_columns_body
}

#[inline(always)]
fn blend_columns_body(of: Neighbours<'_>, out: &mut [u16]) {
    let Neighbours { samples: [a, b], weights: [wa, wb] } = of;
    for ((((out, &a), &b), &wa), &wb) in out.iter_mut().zip(a).zip(b).zip(wa).zip(wb) {
        let sum = u32::from(a) * u32::from(wa) + u32::from(b) * u32::from(wb);
        *out = (sum >> ROW_SHIFT) as u16;
    }
}

per_isa! {
    /// Between two rows of 15 bits with weights that are 2048 in sum.
    blend_rows(rows: [&[u16]; 2], weights: [u16; 2], out: &mut [u8]) = blend_rows_body
}

#[inline(always)]
fn blend_rows_body([a, b]: [&[u16]; 2], [wa, wb]: [u16; 2], out: &mut [u8]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        // Each product loses its low 16 bits before the sum: that is OpenCV's rounding, not a nicer one.
        let high = |sample: u16, weight: u16| ((u32::from(sample) * u32::from(weight)) >> 16) as u16;
        *out = ((high(a, wa) + high(b, wb) + 2) >> 2) as u8;
    }
}
