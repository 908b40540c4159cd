//! Pooling.

use super::taps::{taps_before, taps_inside};
use crate::graph::PoolKind;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Maximum or average over a sliding window of one NHWC image.
#[derive(Clone, Debug)]
pub struct PoolF32 {
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
    pub fn new(kind: PoolKind, window: Window, channels: usize, counted_pad_end: Option<[usize; 2]>) -> Self {
        let counted =
            counted_pad_end.map(|end| [0, 1].map(|axis| window.pad[axis] + window.input[axis] + end[axis]));
        PoolF32 { kind, window, channels, counted }
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
        let window = &self.window;
        let width = window.output[1];
        for (i, y) in rows.enumerate() {
            for x in 0..width {
                let out = &mut dst.data[(i * width + x) * dst.pitch..][..self.channels];
                let taps = [taps_inside(window, 0, y), taps_inside(window, 1, x)];
                let cells = match self.counted {
                    Some([rows, columns]) => {
                        taps_before(window, 0, y, rows) * taps_before(window, 1, x, columns)
                    }
                    None => taps[0].len() * taps[1].len(),
                };
                let inside =
                    taps[0].clone().flat_map(|ky| taps[1].clone().map(move |kx| [ky, kx])).map(|[ky, kx]| {
                        let row = y * window.stride[0] + ky * window.dilation[0] - window.pad[0];
                        let column = x * window.stride[1] + kx * window.dilation[1] - window.pad[1];
                        row * window.input[1] + column
                    });
                pool(self.kind, src, inside, cells, out);
            }
        }
    }
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
                let inside = bin_rows.flat_map(|row| bin_columns.clone().map(move |x| row * width_in + x));
                let out = &mut dst.data[(i * width_out + x) * dst.pitch..][..self.channels];
                pool(self.kind, src, inside, cells, out);
            }
        }
    }
}

/// Pools the pixels `inside` into `out`; an average divides by `cells`.
fn pool(kind: PoolKind, src: Plane<f32>, inside: impl Iterator<Item = usize>, cells: usize, out: &mut [f32]) {
    let channels = out.len();
    let pixels = inside.map(|pixel| &src.data[pixel * src.pitch..][..channels]);
    match kind {
        PoolKind::Max => {
            out.fill(f32::NEG_INFINITY);
            pixels.for_each(|pixel| out.iter_mut().zip(pixel).for_each(|(max, &x)| *max = x.max(*max)));
        }
        PoolKind::Avg => {
            out.fill(0.0);
            pixels.for_each(|pixel| out.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x));
            let cells = cells.max(1) as f32;
            out.iter_mut().for_each(|sum| *sum /= cells);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, steps};

    /// Pools the 5 × 5 image `steps(25, 7, 11)`.
    fn pooled(kind: PoolKind, window: Window, counted: Option<[usize; 2]>) -> Vec<f32> {
        let [height, width] = window.output;
        let mut out = vec![0.0; height * width];
        let src = steps(25, 7, 11);
        PoolF32::new(kind, window, 1, counted).run(
            Plane { data: &src, pitch: 1 },
            PlaneMut { data: &mut out, pitch: 1 },
            0..height,
        );
        out
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
