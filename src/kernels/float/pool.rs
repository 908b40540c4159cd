//! Pooling.

use super::taps::{taps_before, taps_inside};
use crate::graph::PoolKind;
use crate::kernels::arch::per_isa;
use crate::kernels::isa::Isa;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Maximum or average over a sliding window of one NHWC image.
#[derive(Clone, Debug)]
pub struct PoolF32 {
    isa: Isa,
    kind: PoolKind,
    window: Window,
    channels: usize,
    /// Rows and columns that count in an average: padding included, if at all, only up to these.
    counted: Option<[usize; 2]>,
}

impl PoolF32 {
    /// A maximum ignores padding cells. An average divides by the number of cells inside the image; with
    /// `counted_pad_end`, padding cells count as zeros: all above and to the left, and that many rows below
    /// and columns to the right (the padding without what ceil mode adds to complete the last window).
    ///
    /// A window with no cell at all gives −∞ (maximum) or 0 (average).
    pub fn new(
        isa: Isa,
        kind: PoolKind,
        window: Window,
        channels: usize,
        counted_pad_end: Option<[usize; 2]>,
    ) -> Self {
        let counted =
            counted_pad_end.map(|end| [0, 1].map(|axis| window.pad[axis] + window.input[axis] + end[axis]));
        PoolF32 { isa, kind, window, channels, counted }
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
        pool_rows(self.isa, self, src, dst, rows);
    }
}

per_isa! {
    /// See [`PoolF32::run`]. All instruction sets give the same bits.
    pool_rows(pool: &PoolF32, src: Plane<'_, f32>, dst: PlaneMut<'_, f32>, rows: Range<usize>) = pool_rows_body
}

#[inline(always)]
fn pool_rows_body(layer: &PoolF32, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
    let window = &layer.window;
    let width = window.output[1];
    for (i, y) in rows.enumerate() {
        let down = taps_inside(window, 0, y);
        for x in 0..width {
            let out = &mut dst.data[(i * width + x) * dst.pitch..][..layer.channels];
            let across = taps_inside(window, 1, x);
            let cells = match layer.counted {
                Some([rows, columns]) => taps_before(window, 0, y, rows) * taps_before(window, 1, x, columns),
                None => down.len() * across.len(),
            };
            let at = |axis: usize, output: usize, tap: usize| {
                output * window.stride[axis] + tap * window.dilation[axis] - window.pad[axis]
            };
            let inside = Inside {
                first: match down.is_empty() || across.is_empty() {
                    true => 0,
                    false => at(0, y, down.start) * window.input[1] + at(1, x, across.start),
                },
                count: [down.len(), across.len()],
                step: [window.dilation[0] * window.input[1], window.dilation[1]],
            };
            pool(layer.kind, src, inside, cells, out);
        }
    }
}

/// A rectangle of pixels.
#[derive(Clone, Copy)]
struct Inside {
    first: usize,
    /// Rows and columns.
    count: [usize; 2],
    /// Distance between rows and between columns, in pixels.
    step: [usize; 2],
}

/// Maximum or average over uneven bins that cover one NHWC image, as PyTorch's adaptive pooling: bin `i` of
/// `n` covers `floor(i · in / n) .. ceil((i + 1) · in / n)`.
#[derive(Clone, Debug)]
pub struct AdaptivePoolF32 {
    kind: PoolKind,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
}

impl AdaptivePoolF32 {
    /// `input` and `output` are rows and columns.
    pub fn new(kind: PoolKind, channels: usize, input: [usize; 2], output: [usize; 2]) -> Self {
        AdaptivePoolF32 { kind, channels, input, output }
    }

    fn bin(&self, axis: usize, i: usize) -> Range<usize> {
        let (input, output) = (self.input[axis], self.output[axis]);
        i * input / output..((i + 1) * input).div_ceil(output)
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
        let [width_in, width_out] = [self.input[1], self.output[1]];
        for (i, y) in rows.enumerate() {
            for x in 0..width_out {
                let (bin_rows, bin_columns) = (self.bin(0, y), self.bin(1, x));
                let cells = bin_rows.len() * bin_columns.len();
                let inside = Inside {
                    first: bin_rows.start * width_in + bin_columns.start,
                    count: [bin_rows.len(), bin_columns.len()],
                    step: [width_in, 1],
                };
                let out = &mut dst.data[(i * width_out + x) * dst.pitch..][..self.channels];
                pool(self.kind, src, inside, cells, out);
            }
        }
    }
}

/// Channels whose results stay in registers while the pixels go by.
const BLOCK: usize = 32;

/// Pools the pixels `inside` into `out`; an average divides by `cells`.
#[inline(always)]
fn pool(kind: PoolKind, src: Plane<f32>, inside: Inside, cells: usize, out: &mut [f32]) {
    // Not `f32::max`: this is one instruction, and ignores a NaN as well.
    let max = |max: f32, x: f32| if x > max { x } else { max };
    match kind {
        PoolKind::Max => fold(src, inside, out, f32::NEG_INFINITY, max),
        PoolKind::Avg => {
            fold(src, inside, out, 0.0, |sum, x| sum + x);
            let cells = cells.max(1) as f32;
            out.iter_mut().for_each(|sum| *sum /= cells);
        }
    }
}

/// `out[c] = f(.. f(f(first, x₀[c]), x₁[c]) ..)` over the pixels `inside`, row by row.
#[inline(always)]
fn fold(src: Plane<f32>, inside: Inside, out: &mut [f32], first: f32, f: impl Fn(f32, f32) -> f32) {
    let channels = out.len();
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut folded = [first; BLOCK];
        for row in 0..inside.count[0] {
            for column in 0..inside.count[1] {
                let pixel = inside.first + row * inside.step[0] + column * inside.step[1];
                let from = &src.data[pixel * src.pitch + block * BLOCK..][..BLOCK];
                for (folded, &x) in folded.iter_mut().zip(from) {
                    *folded = f(*folded, x);
                }
            }
        }
        *out = folded;
    }
    rest.fill(first);
    for row in 0..inside.count[0] {
        for column in 0..inside.count[1] {
            let pixel = inside.first + row * inside.step[0] + column * inside.step[1];
            let from = &src.data[pixel * src.pitch..][channels - rest.len()..channels];
            rest.iter_mut().zip(from).for_each(|(folded, &x)| *folded = f(*folded, x));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, steps};

    /// Pools the 5 × 5 image `steps(25, 7, 11)` in every instruction set, in one channel and in 40.
    fn pooled(kind: PoolKind, window: Window, counted: Option<[usize; 2]>) -> Vec<f32> {
        let [height, width] = window.output;
        let src = steps(25, 7, 11);
        let mut last = None;
        for (isa, channels) in Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, 40)]) {
            let src: Vec<f32> = src.iter().flat_map(|&x| vec![x; channels]).collect();
            let mut out = vec![0.0; height * width * channels];
            PoolF32::new(isa, kind, window.clone(), channels, counted).run(
                Plane { data: &src, pitch: channels },
                PlaneMut { data: &mut out, pitch: channels },
                0..height,
            );
            let first: Vec<f32> = out.iter().step_by(channels).copied().collect();
            let all: Vec<f32> = first.iter().flat_map(|&x| vec![x; channels]).collect();
            assert!(out == all && last.is_none_or(|last| last == first), "{isa}");
            last = Some(first);
        }
        last.unwrap()
    }

    fn window(output: [usize; 2], kernel: [usize; 2], stride: [usize; 2], pad: [usize; 2]) -> Window {
        Window { input: [5, 5], output, kernel, stride, dilation: [1, 1], pad }
    }

    // AveragePool of onnxruntime (opset 19), kernel 3 × 2, strides 2 and 3; [top, left, bottom, right] pads.
    #[test]
    fn averages_equal_those_of_onnxruntime() {
        let even = || window([3, 2], [3, 2], [2, 3], [1, 1]);
        let without = [-4.0, -0.25, -1.0, 0.0, 2.0, 0.25];
        let with = [-1.3333333, -0.16666667, -0.5, 0.0, 0.6666667, 0.16666667];
        assert_close(&pooled(PoolKind::Avg, even(), None), &without, 1e-6);
        assert_close(&pooled(PoolKind::Avg, even(), Some([1, 1])), &with, 1e-6);
        // pads [0, 1, 1, 0], ceil_mode: the last window hangs over the padding by one row that never counts.
        let hanging = || window([3, 2], [3, 2], [2, 3], [0, 1]);
        let without = [-3.0, -0.16666667, 1.0, 0.16666667, 3.0, -1.5];
        let with = [-1.5, -0.16666667, 0.5, 0.16666667, 0.75, -0.75];
        assert_close(&pooled(PoolKind::Avg, hanging(), None), &without, 1e-6);
        assert_close(&pooled(PoolKind::Avg, hanging(), Some([1, 0])), &with, 1e-6);
    }

    // MaxPool of onnxruntime, kernel 2 × 3, strides 2, pads [0, 1, 0, 1], dilations [2, 1], ceil_mode.
    #[test]
    fn maximum_equals_that_of_onnxruntime() {
        let dilated = Window { dilation: [2, 1], ..window([2, 3], [2, 3], [2, 2], [0, 1]) };
        assert_eq!(pooled(PoolKind::Max, dilated, None), [2.0, 5.0, 5.0, 3.0, 2.0, 5.0]);
    }

    #[test]
    fn a_maximum_ignores_what_is_not_a_number() {
        let src = [1.0, f32::NAN, -2.0, f32::NAN];
        let mut out = [0.0; 2];
        let window = Window { input: [1, 4], output: [1, 2], ..window([1, 2], [1, 3], [1, 1], [0, 0]) };
        for isa in Isa::available() {
            PoolF32::new(isa, PoolKind::Max, window.clone(), 1, None).run(
                Plane { data: &src, pitch: 1 },
                PlaneMut { data: &mut out, pitch: 1 },
                0..1,
            );
            assert_eq!(out, [1.0, -2.0]);
        }
    }

    #[test]
    fn a_window_in_the_padding_is_defined() {
        let outside = || window([1, 1], [1, 1], [1, 1], [2, 2]);
        assert_eq!(pooled(PoolKind::Max, outside(), None), [f32::NEG_INFINITY]);
        assert_eq!(pooled(PoolKind::Avg, outside(), None), [0.0]);
    }

    // By hand: bins of 5 into 3 are 0..2, 1..4, 3..5.
    #[test]
    fn adaptive_bins_overlap_as_in_pytorch() {
        let src = [1.0, 10.0, 2.0, 20.0, 6.0, 60.0, 4.0, 40.0, 8.0, 80.0];
        let mut out = [0.0; 6];
        for (kind, expected) in [
            (PoolKind::Avg, [1.5, 15.0, 4.0, 40.0, 6.0, 60.0]),
            (PoolKind::Max, [2.0, 20.0, 6.0, 60.0, 8.0, 80.0]),
        ] {
            AdaptivePoolF32::new(kind, 2, [1, 5], [1, 3]).run(
                Plane { data: &src, pitch: 2 },
                PlaneMut { data: &mut out, pitch: 2 },
                0..1,
            );
            assert_eq!(out, expected);
        }
    }
}
