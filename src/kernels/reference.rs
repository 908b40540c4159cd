//! The specification of int8 arithmetic: short, scalar, safe.
//!
//! Every function here is to be believed by eye; every other kernel equals it byte for byte. Accumulators
//! are `i32` and wrap modulo 2³², so an order of summation never matters. A `Range` names the output rows
//! (or pixels) to compute; `dst` starts at the first of them, the sources at the image's first pixel.
//!
//! Slices too short for the shapes panic, as everywhere in Rust.

use super::{Add, Average, CodeRange, Filter, Mul, Plane, PlaneMut, Requant, Window};
use crate::tensor::Quant;
use std::ops::Range;

/// From an accumulator to a code: one multiplication, clamp, round half to even. Never fused with an addition.
pub fn requantize(acc: i32, multiplier: f32, range: CodeRange) -> i8 {
    round(acc as f32 * multiplier, range)
}

/// A real number in steps of the output grid to a code.
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
            let code = requantize(acc, requant.multiplier[c], requant.range());
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
        let end = window.reach(axis) - average.tail[axis];
        let counts = |&tap: &usize| match average.count_include_pad {
            true => at[axis] * window.stride[axis] + tap * window.dilation[axis] < end,
            false => cell(window, axis, at[axis], tap).is_some(),
        };
        (0..window.kernel[axis]).filter(counts).count()
    };
    along(0) * along(1)
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
        let multiplier = average.ratio / counted(window, average, at).max(1) as f32;
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

/// Nearest neighbour: output `(y, x)` is input `(rows_from[y], columns_from[x])` of an image `width` wide.
pub fn upsample(
    (rows_from, columns_from, width): (&[usize], &[usize], usize),
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    for (out, y) in rows.enumerate() {
        for (x, column) in columns_from.iter().enumerate() {
            let (to, from) = (out * columns_from.len() + x, rows_from[y] * width + column);
            for c in 0..channels {
                dst.data[to * dst.pitch + c] = src.data[from * src.pitch + c];
            }
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

/// Output channel `i` is input channel `indices[i]`.
pub fn gather_channels(indices: &[usize], src: Plane<'_, i8>, dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
    for (pixel, p) in pixels.enumerate() {
        for (c, &from) in indices.iter().enumerate() {
            dst.data[pixel * dst.pitch + c] = src.data[p * src.pitch + from];
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
