//! Kernels that treat every code alike. Each equals its namesake in [`reference`](super::reference).

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
        ) = add_body
    }

    per_isa! {
        /// See [`super::mul`].
        mul_codes(
            mul: &Mul,
            channels: usize,
            operands: [Plane<'_, i8>; 2],
            dst: PlaneMut<'_, i8>,
            pixels: Range<usize>,
        ) = mul_body
    }
}
use doors::{add_codes, mul_codes};

/// Rounds a number of steps of the output grid to a code.
///
/// Between −255 and 255 the sum with 1.5 · 2²³ has no bits left for a fraction: the addition itself rounds
/// half to even, and the integer stands in its low bits.
#[inline(always)]
fn round(steps: f32, range: CodeRange) -> i8 {
    const MAGIC: f32 = 12_582_912.0;
    let zero = i32::from(range.zero_point);
    let (lo, hi) = ((i32::from(range.lo) - zero) as f32, (i32::from(range.hi) - zero) as f32);
    let bits = (steps.max(lo).min(hi) + MAGIC).to_bits() as i32;
    bits.wrapping_sub(MAGIC.to_bits() as i32).wrapping_add(zero) as i8
}

#[inline(always)]
fn add_body(
    add: &Add,
    channels: usize,
    [a, b]: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let (len, runs) = gapless(channels, pixels.len(), &[a.pitch, b.pitch, dst.pitch]);
    let (zero_points, [scale_a, scale_b], range) =
        (add.zero_points.map(f32::from), add.multipliers, add.range);
    for run in 0..runs {
        let x = &a.data[(pixels.start + run) * a.pitch..][..len];
        let y = &b.data[(pixels.start + run) * b.pitch..][..len];
        for ((to, &x), &y) in dst.data[run * dst.pitch..][..len].iter_mut().zip(x).zip(y) {
            let (x, y) = (f32::from(x) - zero_points[0], f32::from(y) - zero_points[1]);
            *to = round(x * scale_a + y * scale_b, range);
        }
    }
}

#[inline(always)]
fn mul_body(
    mul: &Mul,
    channels: usize,
    [a, b]: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let (len, runs) = gapless(channels, pixels.len(), &[a.pitch, b.pitch, dst.pitch]);
    let (zero_points, multiplier, range) = (mul.zero_points.map(i32::from), mul.multiplier, mul.range);
    for run in 0..runs {
        let x = &a.data[(pixels.start + run) * a.pitch..][..len];
        let y = &b.data[(pixels.start + run) * b.pitch..][..len];
        for ((to, &x), &y) in dst.data[run * dst.pitch..][..len].iter_mut().zip(x).zip(y) {
            let product = (i32::from(x) - zero_points[0]) * (i32::from(y) - zero_points[1]);
            *to = round(product as f32 * multiplier, range);
        }
    }
}

#[inline(always)]
fn quantize_body(
    quant: Quant,
    channels: usize,
    src: Plane<'_, f32>,
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    let (len, runs) = gapless(channels, pixels.len(), &[src.pitch, dst.pitch]);
    for run in 0..runs {
        let from = &src.data[(pixels.start + run) * src.pitch..][..len];
        for (to, &real) in dst.data[run * dst.pitch..][..len].iter_mut().zip(from) {
            *to = quant.quantize(real);
        }
    }
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
        for (to, &code) in dst.data[run * dst.pitch..][..len].iter_mut().zip(from) {
            *to = quant.dequantize(code);
        }
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
