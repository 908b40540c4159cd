//! Kernels that treat every code alike. Each equals its namesake in [`reference`](mod@super::reference).

use super::arch::{self, per_isa};
use super::channels::copy_channels;
use super::isa::Isa;
use super::{Add, CodeRange, Mul, Plane, PlaneMut, gapless};
use crate::tensor::Quant;
use std::ops::Range;

/// `a + b`, each brought to the output's grid: two products, one sum, not fused.
pub fn add(
    isa: Isa,
    add: &Add,
    channels: usize,
    operands: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let PlaneMut { data, pitch } = dst;
    let count = pixels.len();
    add_codes(isa, add, channels, operands, PlaneMut { data, pitch }, pixels);
    look_up(isa, add.table.as_deref(), channels, PlaneMut { data, pitch }, count);
}

/// `a · b`: the product of the codes' distances from zero, requantized.
pub fn mul(
    isa: Isa,
    mul: &Mul,
    channels: usize,
    operands: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let PlaneMut { data, pitch } = dst;
    let count = pixels.len();
    mul_codes(isa, mul, channels, operands, PlaneMut { data, pitch }, pixels);
    look_up(isa, mul.table.as_deref(), channels, PlaneMut { data, pitch }, count);
}

/// `table[code + 128]` for each code.
pub fn table(
    isa: Isa,
    table: &[i8; 256],
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let PlaneMut { data, pitch } = dst;
    let count = pixels.len();
    copy_channels(isa, channels, src, PlaneMut { data, pitch }, pixels);
    look_up(isa, Some(table), channels, PlaneMut { data, pitch }, count);
}

fn look_up(isa: Isa, table: Option<&[i8; 256]>, channels: usize, plane: PlaneMut<'_, i8>, pixels: usize) {
    if let Some(table) = table {
        // SAFETY: `kernels` has asked the CPU for the instruction set.
        unsafe { (arch::kernels(isa).look_up)(table, channels, plane, pixels) };
    }
}

per_isa! {
    /// Real numbers to codes, as [`Quant::quantize`].
    quantize(
        quant: Quant,
        channels: usize,
        src: Plane<'_, f32>,
        dst: PlaneMut<'_, i8>,
        pixels: Range<usize>,
    ) = quantize_body
}

per_isa! {
    /// Codes to real numbers, as [`Quant::dequantize`].
    dequantize(
        quant: Quant,
        channels: usize,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, f32>,
        pixels: Range<usize>,
    ) = dequantize_body
}

mod doors {
    //! Without the tables.
    use super::*;

    per_isa! {
        /// See [`super::add`].
        add_codes(
            add: &Add,
            channels: usize,
            operands: [Plane<'_, i8>; 2],
            dst: PlaneMut<'_, i8>,
            pixels: Range<usize>,
        ) = pairwise_body
    }

    per_isa! {
        /// See [`super::mul`].
        mul_codes(
            mul: &Mul,
            channels: usize,
            operands: [Plane<'_, i8>; 2],
            dst: PlaneMut<'_, i8>,
            pixels: Range<usize>,
        ) = pairwise_body
    }
}
use doors::{add_codes, mul_codes};

/// 1.5 · 2²³. A sum of this and a number between −2²² and 2²² has no bits for a fraction: the addition itself
/// rounds half to even, and the integer stands in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// Rounds a number of steps of the output grid to a code.
#[inline(always)]
fn round(steps: f32, range: CodeRange) -> i8 {
    let zero = i32::from(range.zero_point);
    let (lo, hi) = ((i32::from(range.lo) - zero) as f32, (i32::from(range.hi) - zero) as f32);
    let bits = (steps.max(lo).min(hi) + MAGIC).to_bits() as i32;
    bits.wrapping_sub(MAGIC.to_bits() as i32).wrapping_add(zero) as i8
}

/// A function of two codes. Not a closure: a closure that is called from two places is not inlined, and then
/// compiled without the instruction set of its door.
trait Pairwise {
    fn code(&self, x: i8, y: i8) -> i8;
}

impl Pairwise for Add {
    #[inline(always)]
    fn code(&self, x: i8, y: i8) -> i8 {
        let x = f32::from(x) - f32::from(self.zero_points[0]);
        let y = f32::from(y) - f32::from(self.zero_points[1]);
        round(x * self.multipliers[0] + y * self.multipliers[1], self.range)
    }
}

impl Pairwise for Mul {
    #[inline(always)]
    fn code(&self, x: i8, y: i8) -> i8 {
        let x = i32::from(x) - i32::from(self.zero_points[0]);
        let y = i32::from(y) - i32::from(self.zero_points[1]);
        round((x * y) as f32 * self.multiplier, self.range)
    }
}

#[inline(always)]
fn pairwise_body(
    function: &impl Pairwise,
    channels: usize,
    [a, b]: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let (len, runs) = gapless(channels, pixels.len(), &[a.pitch, b.pitch, dst.pitch]);
    for run in 0..runs {
        let x = &a.data[(pixels.start + run) * a.pitch..][..len];
        let y = &b.data[(pixels.start + run) * b.pitch..][..len];
        zip(function, x, y, &mut dst.data[run * dst.pitch..][..len]);
    }
}

/// Blocks whose length is known; the last one overlaps its neighbour.
#[inline(always)]
fn zip(function: &impl Pairwise, x: &[i8], y: &[i8], to: &mut [i8]) {
    const BLOCK: usize = 32;
    let Some(last) = to.len().checked_sub(BLOCK) else {
        for ((to, &x), &y) in to.iter_mut().zip(x).zip(y) {
            *to = function.code(x, y);
        }
        return;
    };
    let mut at = 0;
    loop {
        for ((to, &x), &y) in to[at..][..BLOCK].iter_mut().zip(&x[at..][..BLOCK]).zip(&y[at..][..BLOCK]) {
            *to = function.code(x, y);
        }
        if at == last {
            return;
        }
        at = last.min(at + BLOCK);
    }
}

/// Numbers that are quantized at once.
const BLOCK: usize = 192;

#[inline(always)]
fn quantize_body(
    quant: Quant,
    channels: usize,
    src: Plane<'_, f32>,
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    if channels == 3 && src.pitch == 3 && dst.pitch == 4 {
        return quantize_picture(quant, &src.data[pixels.start * 3..pixels.end * 3], dst.data);
    }
    let (len, runs) = gapless(channels, pixels.len(), &[src.pitch, dst.pitch]);
    for run in 0..runs {
        let from = &src.data[(pixels.start + run) * src.pitch..][..len];
        quantize_run(quant, from, &mut dst.data[run * dst.pitch..][..len]);
    }
}

/// Pixels of three channels to pixels of four bytes, the last of which stays as it is.
#[inline(always)]
fn quantize_picture(quant: Quant, src: &[f32], dst: &mut [i8]) {
    let mut codes = [0; BLOCK + 1];
    for (from, to) in src.chunks(BLOCK).zip(dst.chunks_mut(BLOCK / 3 * 4)) {
        quantize_run(quant, from, &mut codes[..from.len()]);
        let (whole, rest) = to.as_chunks_mut::<4>();
        for (to, pixel) in whole.iter_mut().zip(codes.windows(4).step_by(3)).take(from.len() / 3) {
            if let &[r, g, b, _] = pixel {
                *to = [r, g, b, to[3]];
            }
        }
        let done = 3 * whole.len();
        let count = rest.len().min(from.len().saturating_sub(done));
        rest[..count].copy_from_slice(&codes[done..][..count]);
    }
}

#[inline(always)]
fn quantize_run(quant: Quant, from: &[f32], to: &mut [i8]) {
    let (from, rest) = from.as_chunks::<64>();
    let (to, last) = to.as_chunks_mut::<64>();
    for (from, to) in from.iter().zip(to) {
        if !quantize_far_from_ties(quant, from, to) {
            quantize_exactly(quant, from, to);
        }
    }
    quantize_exactly(quant, rest, last);
}

/// Multiplies by the reciprocal, where [`Quant::quantize`] divides: several times as fast, and the same code,
/// unless the number of steps is so close to the middle between two codes that the error may cross it. False
/// if any is.
#[inline(always)]
fn quantize_far_from_ties(quant: Quant, from: &[f32; 64], to: &mut [i8; 64]) -> bool {
    // Of up to 512 steps, two roundings of 2⁻²⁴ each are less than a ten-thousandth.
    const FAR: f32 = 0.4998;
    let reciprocal = 1.0 / quant.scale;
    let mut near = 0;
    for (to, &real) in to.iter_mut().zip(from) {
        let steps = (real * reciprocal).clamp(-512.0, 512.0);
        let rounded = steps + MAGIC;
        near |= u32::from((steps - (rounded - MAGIC)).abs() > FAR);
        *to = code_of(quant, real, rounded);
    }
    near == 0 && reciprocal.is_normal()
}

#[inline(always)]
fn quantize_exactly(quant: Quant, from: &[f32], to: &mut [i8]) {
    for (to, &real) in to.iter_mut().zip(from) {
        // Far from any code the quotient can be cut before it is rounded.
        *to = code_of(quant, real, (real / quant.scale).clamp(-512.0, 512.0) + MAGIC);
    }
}

/// The code of a number that is so many steps and [`MAGIC`]. As [`Quant::quantize`] without a saturating
/// conversion, which is not vectorized. Not a number is code 0, as it is there.
#[inline(always)]
fn code_of(quant: Quant, real: f32, rounded: f32) -> i8 {
    let code = (rounded.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32) + i32::from(quant.zero_point);
    if real.is_nan() { 0 } else { code.clamp(-128, 127) as i8 }
}

#[inline(always)]
fn dequantize_body(
    quant: Quant,
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, f32>,
    pixels: Range<usize>,
) {
    let (len, runs) = gapless(channels, pixels.len(), &[src.pitch, dst.pitch]);
    for run in 0..runs {
        let from = &src.data[(pixels.start + run) * src.pitch..][..len];
        dequantize_run(quant, from, &mut dst.data[run * dst.pitch..][..len]);
    }
}

/// In blocks; the last one overlaps its neighbour.
#[inline(always)]
fn dequantize_run(quant: Quant, from: &[i8], to: &mut [f32]) {
    const BLOCK: usize = 32;
    let block = |from: &[i8; BLOCK], to: &mut [f32; BLOCK]| {
        for (to, &code) in to.iter_mut().zip(from) {
            *to = quant.dequantize(code);
        }
    };
    let (Some(last), Some(end)) = (from.last_chunk(), from.len().checked_sub(BLOCK)) else {
        return to.iter_mut().zip(from).for_each(|(to, &code)| *to = quant.dequantize(code));
    };
    from.as_chunks().0.iter().zip(to.as_chunks_mut().0).for_each(|(from, to)| block(from, to));
    if let Some(to) = to[end..].first_chunk_mut() {
        block(last, to);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Image, Target, code, multiplier, range, table};
    use super::super::{Add, Mul, Plane, reference};
    use crate::tensor::Quant;
    use proptest::prelude::*;

    /// Shape and contents: where the results go, the pitch of the source beyond its channels, a seed.
    fn shape() -> impl Strategy<Value = (Target, usize, u64)> {
        (1..40usize, 1..130usize, 0..9usize, 0..9usize, any::<u64>()).prop_map(
            |(rows, channels, gap, source_gap, seed)| {
                let split = seed as usize % (rows + 1);
                (Target { rows, width: 1, channels, gap, split }, source_gap, seed)
            },
        )
    }

    /// Two operands; the second one may be a single pixel.
    fn operands((target, gap, seed): &(Target, usize, u64), one: bool) -> [Image; 2] {
        let mut b = Image::new(seed ^ 7, target.rows, target.channels, 0);
        if one {
            b.pitch = 0;
        }
        [Image::new(*seed, target.rows, target.channels, *gap), b]
    }

    /// Three channels in pixels of four bytes have a way of their own.
    #[test]
    fn a_picture_leaves_its_fourth_bytes_alone() {
        let quant = Quant::from_range(-1.0, 1.0).unwrap();
        for rows in [1, 5, 64, 65, 200] {
            let target = Target { rows, width: 1, channels: 3, gap: 1, split: rows / 3 };
            let data: Vec<f32> = (0..rows * 3).map(|i| (i as f32 * 0.37).sin()).collect();
            let plane = Plane { data: &data, pitch: 3 };
            let compared = target.compare_codes(
                |dst, pixels| reference::quantize(quant, 3, plane, dst, pixels),
                |isa, dst, pixels| super::quantize(isa, quant, 3, plane, dst, pixels),
            );
            compared.unwrap();
        }
    }

    proptest! {
        #[test]
        fn sums_equal_the_reference(
            (shape, one) in (shape(), any::<bool>()),
            (zero_points, multipliers) in ([code(), code()], [multiplier(), multiplier()]),
            (range, table) in (range(), table()),
        ) {
            let add = Add { zero_points, multipliers, range, table };
            let [a, b] = operands(&shape, one);
            let (planes, target) = ([a.plane(), b.plane()], &shape.0);
            target.compare_codes(
                |dst, pixels| reference::add(&add, target.channels, planes, dst, pixels),
                |isa, dst, pixels| super::add(isa, &add, target.channels, planes, dst, pixels),
            )?;
        }

        #[test]
        fn products_equal_the_reference(
            (shape, one) in (shape(), any::<bool>()),
            (zero_points, multiplier) in ([code(), code()], multiplier()),
            (range, table) in (range(), table()),
        ) {
            let mul = Mul { zero_points, multiplier, range, table };
            let [a, b] = operands(&shape, one);
            let (planes, target) = ([a.plane(), b.plane()], &shape.0);
            target.compare_codes(
                |dst, pixels| reference::mul(&mul, target.channels, planes, dst, pixels),
                |isa, dst, pixels| super::mul(isa, &mul, target.channels, planes, dst, pixels),
            )?;
        }

        #[test]
        fn tables_equal_the_reference(shape in shape(), table in prop::collection::vec(any::<i8>(), 256)) {
            let table: [i8; 256] = table.try_into().unwrap();
            let ([image, _], target) = (operands(&shape, false), &shape.0);
            target.compare_codes(
                |dst, pixels| reference::table(&table, target.channels, image.plane(), dst, pixels),
                |isa, dst, pixels| super::table(isa, &table, target.channels, image.plane(), dst, pixels),
            )?;
        }

        #[test]
        fn quantization_equals_the_reference(shape in shape(), scale in 1e-6..10f32, zero_point in code()) {
            let (target, gap, seed) = &shape;
            let quant = Quant::new(scale, zero_point).unwrap();
            let image = Image::new(*seed, target.rows, target.channels, *gap);
            // Halves of a step are as frequent as everything else; now and then something is not a number.
            let real = |(i, &code): (usize, &i8)| match (i + *seed as usize) % 97 {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => -1e38,
                i if i % 2 == 0 => scale * (f32::from(code) + 0.5),
                i => f32::from(code) * i as f32 / 50.0,
            };
            let reals: Vec<f32> = image.data.iter().enumerate().map(real).collect();
            let src = Plane { data: &reals, pitch: image.pitch };
            target.compare_codes(
                |dst, pixels| reference::quantize(quant, target.channels, src, dst, pixels),
                |isa, dst, pixels| super::quantize(isa, quant, target.channels, src, dst, pixels),
            )?;
            target.compare_reals(
                |dst, pixels| reference::dequantize(quant, target.channels, image.plane(), dst, pixels),
                |isa, dst, pixels| super::dequantize(isa, quant, target.channels, image.plane(), dst, pixels),
            )?;
        }
    }
}
