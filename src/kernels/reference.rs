//! The specification of int8 arithmetic: short, scalar, safe.
//!
//! Every function here is to be believed by eye; every other kernel equals it byte for byte. Accumulators
//! are `i32` and wrap modulo 2³², so an order of summation never matters. A `Range` names the output rows
//! (or pixels) to compute; `dst` starts at the first of them, the sources at the image's first pixel.
//!
//! Slices too short for the shapes panic, as everywhere in Rust.

pub mod fixed;

use super::collect::Channels;
use super::{Add, Average, CodeRange, Filter, Mul, Plane, PlaneMut, Requant, Requantization, Window};
use crate::tensor::Quant;
use std::ops::Range;

/// From an accumulator to a code: one multiplication, clamp, round half to even. Never fused with an addition.
#[inline]
pub fn requantize(acc: i32, multiplier: f32, range: CodeRange) -> i8 {
    round(acc as f32 * multiplier, range)
}

/// A real number in steps of the output grid to a code.
#[inline]
fn round(steps: f32, range: CodeRange) -> i8 {
    let zero = i32::from(range.zero_point);
    let (lo, hi) = (i32::from(range.lo) - zero, i32::from(range.hi) - zero);
    (steps.clamp(lo as f32, hi as f32).round_ties_even() as i32 + zero) as i8
}

fn look_up(table: Option<&[i8; 256]>, code: i8) -> i8 {
    table.map_or(code, |t| t[(i32::from(code) + 128) as usize])
}

/// Input cell under tap `tap` of output `out` along one axis (0: rows, 1: columns), if it is not padding.
fn cell(window: &Window, axis: usize, out: usize, tap: usize) -> Option<usize> {
    let at = out * window.stride[axis] + tap * window.dilation[axis];
    at.checked_sub(window.pad[axis]).filter(|&i| i < window.input[axis])
}

/// Calls `visit(tap, pixel)` for each tap of the window at `(y, x)` that lies inside the image.
fn visit_taps(window: &Window, [y, x]: [usize; 2], mut visit: impl FnMut(usize, usize)) {
    for ky in 0..window.kernel[0] {
        let Some(row) = cell(window, 0, y, ky) else { continue };
        for kx in 0..window.kernel[1] {
            let Some(column) = cell(window, 1, x, kx) else { continue };
            visit(ky * window.kernel[1] + kx, row * window.input[1] + column);
        }
    }
}

/// Calls `visit(output pixel within rows, [y, x])` for each pixel of the output rows.
fn visit_pixels(window: &Window, rows: Range<usize>, mut visit: impl FnMut(usize, [usize; 2])) {
    let width = window.output[1];
    for y in rows.clone() {
        for x in 0..width {
            visit((y - rows.start) * width + x, [y, x]);
        }
    }
}

/// `bias + Σ (code − zero point) · weight` for one output channel of a dense convolution.
fn dense(window: &Window, filter: &Filter<'_>, src: Plane<'_, i8>, at: [usize; 2], channel: usize) -> i32 {
    let taps = window.kernel[0] * window.kernel[1];
    let weights = &filter.weights[channel * taps * filter.in_channels..];
    let mut acc = filter.bias[channel];
    visit_taps(window, at, |tap, pixel| {
        for i in 0..filter.in_channels {
            let code = i32::from(src.data[pixel * src.pitch + i]) - i32::from(filter.zero_point);
            acc = acc.wrapping_add(code * i32::from(weights[tap * filter.in_channels + i]));
        }
    });
    acc
}

/// `bias + Σ (code − zero point) · weight` for one channel of a depthwise convolution.
fn per_channel(
    window: &Window,
    filter: &Filter<'_>,
    src: Plane<'_, i8>,
    at: [usize; 2],
    channel: usize,
) -> i32 {
    let mut acc = filter.bias[channel];
    visit_taps(window, at, |tap, pixel| {
        let code = i32::from(src.data[pixel * src.pitch + channel]) - i32::from(filter.zero_point);
        acc = acc.wrapping_add(code * i32::from(filter.weights[tap * filter.out_channels + channel]));
    });
    acc
}

type Accumulate = fn(&Window, &Filter<'_>, Plane<'_, i8>, [usize; 2], usize) -> i32;

fn codes(
    accumulate: Accumulate,
    (window, filter, requant): (&Window, &Filter<'_>, &Requant),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    visit_pixels(window, rows, |pixel, at| {
        for c in 0..filter.out_channels {
            let acc = accumulate(window, filter, src, at, c);
            let (multiplier, range) = (requant.multiplier[c], requant.range());
            let code = match requant.method {
                Requantization::Float => requantize(acc, multiplier, range),
                Requantization::Fixed => fixed::requantize(acc, multiplier.into(), range),
            };
            dst.data[pixel * dst.pitch + c] = look_up(requant.table.as_deref(), code);
        }
    });
}

fn reals(
    accumulate: Accumulate,
    (window, filter, multiplier): (&Window, &Filter<'_>, &[f32]),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, f32>,
    rows: Range<usize>,
) {
    visit_pixels(window, rows, |pixel, at| {
        for (c, &multiplier) in multiplier.iter().enumerate().take(filter.out_channels) {
            dst.data[pixel * dst.pitch + c] = accumulate(window, filter, src, at, c) as f32 * multiplier;
        }
    });
}

/// Dense convolution to codes; weights `[oc][kh][kw][ic]`.
pub fn conv_codes(
    (window, filter, requant): (&Window, &Filter<'_>, &Requant),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    codes(dense, (window, filter, requant), src, dst, rows);
}

/// Dense convolution to real numbers: `acc as f32 * multiplier[channel]`.
pub fn conv_reals(
    (window, filter, multiplier): (&Window, &Filter<'_>, &[f32]),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, f32>,
    rows: Range<usize>,
) {
    reals(dense, (window, filter, multiplier), src, dst, rows);
}

/// Depthwise convolution to codes: one filter per channel, weights `[kh][kw][c]`.
pub fn depthwise_codes(
    (window, filter, requant): (&Window, &Filter<'_>, &Requant),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    codes(per_channel, (window, filter, requant), src, dst, rows);
}

/// Depthwise convolution to real numbers.
pub fn depthwise_reals(
    (window, filter, multiplier): (&Window, &Filter<'_>, &[f32]),
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, f32>,
    rows: Range<usize>,
) {
    reals(per_channel, (window, filter, multiplier), src, dst, rows);
}

/// Maximum of the window's cells; padding never wins. A window of padding alone gives −128.
pub fn max_pool(
    window: &Window,
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    visit_pixels(window, rows, |pixel, at| {
        for c in 0..channels {
            let mut max = i8::MIN;
            visit_taps(window, at, |_, cell| max = max.max(src.data[cell * src.pitch + c]));
            dst.data[pixel * dst.pitch + c] = max;
        }
    });
}

/// How many cells of the window at `(y, x)` count in an average.
fn counted(window: &Window, average: &Average, at: [usize; 2]) -> usize {
    let along = |axis: usize| {
        let end = window.reach(axis).saturating_sub(average.tail[axis]);
        let counts = |&tap: &usize| match average.count_include_pad {
            true => at[axis] * window.stride[axis] + tap * window.dilation[axis] < end,
            false => cell(window, axis, at[axis], tap).is_some(),
        };
        (0..window.kernel[axis]).filter(counts).count()
    };
    along(0) * along(1)
}

/// What the sum of the window at `(y, x)` is multiplied by.
pub fn average_multiplier(window: &Window, average: &Average, at: [usize; 2]) -> f32 {
    average.ratio / counted(window, average, at).max(1) as f32
}

/// Average of the window's cells. A global average is a window as large as the image.
pub fn average_pool(
    (window, average): (&Window, &Average),
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    visit_pixels(window, rows, |pixel, at| {
        let multiplier = average_multiplier(window, average, at);
        for c in 0..channels {
            let mut acc = 0i32;
            visit_taps(window, at, |_, cell| {
                acc = acc
                    .wrapping_add(i32::from(src.data[cell * src.pitch + c]) - i32::from(average.zero_point));
            });
            dst.data[pixel * dst.pitch + c] = requantize(acc, multiplier, average.range);
        }
    });
}

/// `a + b`, each brought to the output's grid: two products, one sum, not fused.
pub fn add(
    add: &Add,
    channels: usize,
    [a, b]: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            let x = (i32::from(a.data[p * a.pitch + c]) - i32::from(add.zero_points[0])) as f32;
            let y = (i32::from(b.data[p * b.pitch + c]) - i32::from(add.zero_points[1])) as f32;
            let code = round(x * add.multipliers[0] + y * add.multipliers[1], add.range);
            dst.data[pixel * dst.pitch + c] = look_up(add.table.as_deref(), code);
        }
    }
}

/// `a · b`: the product of the codes' distances from zero, requantized.
pub fn mul(
    mul: &Mul,
    channels: usize,
    [a, b]: [Plane<'_, i8>; 2],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            let x = i32::from(a.data[p * a.pitch + c]) - i32::from(mul.zero_points[0]);
            let y = i32::from(b.data[p * b.pitch + c]) - i32::from(mul.zero_points[1]);
            let code = requantize(x * y, mul.multiplier, mul.range);
            dst.data[pixel * dst.pitch + c] = look_up(mul.table.as_deref(), code);
        }
    }
}

/// `table[code + 128]` for each code.
pub fn table(
    table: &[i8; 256],
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            dst.data[pixel * dst.pitch + c] = look_up(Some(table), src.data[p * src.pitch + c]);
        }
    }
}

/// Copies `channels` channels of each pixel.
pub fn copy_channels(channels: usize, src: Plane<'_, i8>, dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            dst.data[pixel * dst.pitch + c] = src.data[p * src.pitch + c];
        }
    }
}

/// The channels of `runs` side by side, then each code through the table, if there is one.
pub fn collect(
    (runs, table): (&[Channels], Option<&[i8; 256]>),
    src: &[Plane<'_, i8>],
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        let codes = runs.iter().flat_map(|run| {
            let Plane { data, pitch } = src[run.source];
            &data[p * pitch + run.first..][..run.count]
        });
        for (to, &code) in dst.data[pixel * dst.pitch..].iter_mut().zip(codes) {
            *to = look_up(table, code);
        }
    }
}

/// Real numbers to codes, as [`Quant::quantize`].
pub fn quantize(
    quant: Quant,
    channels: usize,
    src: Plane<'_, f32>,
    dst: PlaneMut<'_, i8>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            dst.data[pixel * dst.pitch + c] = quant.quantize(src.data[p * src.pitch + c]);
        }
    }
}

/// Codes to real numbers, as [`Quant::dequantize`].
pub fn dequantize(
    quant: Quant,
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, f32>,
    pixels: Range<usize>,
) {
    for (pixel, p) in pixels.enumerate() {
        for c in 0..channels {
            dst.data[pixel * dst.pitch + c] = quant.dequantize(src.data[p * src.pitch + c]);
        }
    }
}

/// Worked by hand from the definitions.
#[cfg(test)]
mod tests {
    use super::*;

    const FULL: CodeRange = CodeRange { zero_point: 0, lo: -128, hi: 127 };

    fn window(
        input: [usize; 2],
        output: [usize; 2],
        kernel: [usize; 2],
        stride: usize,
        pad: usize,
    ) -> Window {
        Window { input, output, kernel, stride: [stride; 2], dilation: [1, 1], pad: [pad, pad] }
    }

    /// The codes that `run` writes for some pixels of one channel.
    fn codes(pixels: usize, run: impl FnOnce(PlaneMut<'_, i8>)) -> Vec<i8> {
        let mut out = vec![0; pixels];
        run(PlaneMut { data: &mut out, pitch: 1 });
        out
    }

    fn plane(data: &[i8]) -> Plane<'_, i8> {
        Plane { data, pitch: 1 }
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let code = |acc| requantize(acc, 0.5, FULL);
        assert_eq!([1, 3, 5, -1, -3, -5].map(code), [0, 2, 2, 0, -2, -2]);
    }

    #[test]
    fn codes_are_clamped_around_the_zero_point() {
        let relu = CodeRange { zero_point: -128, lo: -128, hi: 127 };
        assert_eq!(
            [i32::MIN, -1, 0, 100, 255, 256, i32::MAX].map(|acc| requantize(acc, 1.0, relu)),
            [-128, -128, -128, -28, 127, 127, 127]
        );
        let narrow = CodeRange { zero_point: 10, lo: 5, hi: 20 };
        assert_eq!([-6, -5, 0, 10, 11].map(|acc| requantize(acc, 1.0, narrow)), [5, 5, 10, 20, 20]);
        // 16 777 217 is no f32: the nearest one is even, and so is the product's rounding.
        assert_eq!(requantize(16_777_217, 2f32.powi(-20), FULL), 16);
        assert_eq!(requantize(1_000_000, -1e38, FULL), -128);
    }

    #[test]
    fn a_convolution_pads_with_real_zero() {
        // Input 1 2 / 3 4 as reals with zero point 10; a kernel of ones sums each 3x3 neighbourhood.
        let (window, src) = (window([2, 2], [2, 2], [3, 3], 1, 1), [11, 12, 13, 14]);
        let filter =
            Filter { in_channels: 1, out_channels: 1, zero_point: 10, weights: &[1; 9], bias: &[100] };
        let requant = Requant {
            method: Requantization::Float,
            multiplier: vec![1.0],
            zero_point: 0,
            lo: -128,
            hi: 127,
            table: None,
        };
        let all = codes(4, |dst| conv_codes((&window, &filter, &requant), plane(&src), dst, 0..2));
        assert_eq!(all, [110; 4]);
        // Only the corner at the top left of the kernel: the last output sees the first input.
        let filter = Filter { weights: &[2, 0, 0, 0, 0, 0, 0, 0, 0], ..filter };
        let last_row = codes(2, |dst| conv_codes((&window, &filter, &requant), plane(&src), dst, 1..2));
        assert_eq!(last_row, [100, 102]);
    }

    #[test]
    fn dense_sums_over_channels_and_depthwise_does_not() {
        let (window, src) = (window([1, 1], [1, 1], [1, 1], 1, 0), Plane { data: &[3, 5], pitch: 2 });
        let mut reals = [0f32; 2];
        // Weights [oc][ic]: 1 2 / 3 4.
        let filter =
            Filter { in_channels: 2, out_channels: 2, zero_point: 1, weights: &[1, 2, 3, 4], bias: &[0, 1] };
        let dst = PlaneMut { data: &mut reals, pitch: 2 };
        conv_reals((&window, &filter, &[1.0, 0.5]), src, dst, 0..1);
        assert_eq!(reals, [2.0 + 8.0, (6.0 + 16.0 + 1.0) * 0.5]);
        let filter = Filter { weights: &[-1, 4], ..filter };
        let dst = PlaneMut { data: &mut reals, pitch: 2 };
        depthwise_reals((&window, &filter, &[1.0, 0.5]), src, dst, 0..1);
        assert_eq!(reals, [-2.0, (16.0 + 1.0) * 0.5]);
    }

    #[test]
    fn the_table_comes_after_the_clamp() {
        let mut table = Box::new([0i8; 256]);
        table[(128 + 7) as usize] = 42;
        let window = window([1, 1], [1, 1], [1, 1], 1, 0);
        let filter = Filter { in_channels: 1, out_channels: 1, zero_point: 0, weights: &[1], bias: &[0] };
        let requant = Requant {
            method: Requantization::Float,
            multiplier: vec![1.0],
            zero_point: 0,
            lo: 0,
            hi: 7,
            table: Some(table),
        };
        let out = codes(1, |dst| conv_codes((&window, &filter, &requant), plane(&[100]), dst, 0..1));
        assert_eq!(out, [42]);
    }

    #[test]
    fn padding_never_wins_a_maximum() {
        let window = window([2, 2], [1, 1], [3, 3], 2, 1);
        let out = codes(1, |dst| max_pool(&window, 1, plane(&[-100, -90, -80, -128]), dst, 0..1));
        assert_eq!(out, [-80]);
    }

    /// A 2x2 image of 4, 8, 12, 16 under a 2x2 window with one cell of padding above and to the left.
    #[test]
    fn an_average_counts_padding_only_when_asked() {
        let window = window([2, 2], [2, 2], [2, 2], 2, 1);
        let pool = |count_include_pad, tail| {
            let average = Average { count_include_pad, tail, zero_point: 0, ratio: 1.0, range: FULL };
            codes(4, |dst| average_pool((&window, &average), 1, plane(&[4, 8, 12, 16]), dst, 0..2))
        };
        assert_eq!(pool(false, [0, 0]), [4, 8, 12, 16]);
        assert_eq!(pool(true, [0, 0]), [1, 2, 3, 4]);
        // The last row and column exist only to complete the windows: those windows have fewer cells.
        assert_eq!(pool(true, [1, 1]), [1, 4, 6, 16]);
    }

    #[test]
    fn sums_and_products_meet_on_the_output_grid() {
        let one = |run: &dyn Fn(PlaneMut<'_, i8>)| codes(1, run)[0];
        let sum = Add { zero_points: [1, -1], multipliers: [0.5, 0.25], range: FULL, table: None };
        // (4 - 1) / 2 + (3 + 1) / 4 = 2.5, a tie.
        assert_eq!(one(&|dst| add(&sum, 1, [plane(&[4]), plane(&[3])], dst, 0..1)), 2);
        let product = Mul { zero_points: [1, -1], multiplier: 0.125, range: FULL, table: None };
        // (4 - 1) · (3 + 1) / 8 = 1.5, a tie.
        assert_eq!(one(&|dst| mul(&product, 1, [plane(&[4]), plane(&[3])], dst, 0..1)), 2);
        let gate = Plane { data: &[7], pitch: 0 };
        let gated = codes(2, |dst| mul(&product, 1, [plane(&[2, 3]), gate], dst, 0..2));
        assert_eq!(gated, [1, 2]);
    }

    #[test]
    fn codes_move_unchanged() {
        let src = Plane { data: &[1, 2, 3, 4, 5, 6], pitch: 3 };
        let mut out = [0; 4];
        copy_channels(2, src, PlaneMut { data: &mut out, pitch: 2 }, 0..2);
        assert_eq!(out, [1, 2, 4, 5]);
    }

    /// `QuantizeLinear` of ONNX: y = saturate(round_half_even(x / scale) + zero_point).
    #[test]
    fn quantization_rounds_before_it_adds_the_zero_point() {
        let quant = Quant::new(2.0, 1).unwrap();
        let reals = Plane { data: &[0.0f32, 1.0, 3.0, -1.0, 1000.0, -1000.0], pitch: 1 };
        assert_eq!(codes(6, |dst| quantize(quant, 1, reals, dst, 0..6)), [1, 1, 3, 1, 127, -128]);
        let mut back = [0f32; 3];
        dequantize(quant, 1, plane(&[1, -128, 127]), PlaneMut { data: &mut back, pitch: 1 }, 0..3);
        assert_eq!(back, [0.0, -258.0, 252.0]);
    }
}
