//! Convolution of all channels: the windows become columns of a matrix.

use super::buffers::{buffer, recycle, zeros};
use super::gemm::{Matrix, Target, product};
use super::{Extent, Kernel};
use ocellus::graph::WindowAttrs;
use rayon::prelude::*;

/// Most numbers of a matrix of windows: images are taken in groups that keep within it.
const COLUMNS_MAX: usize = 1 << 18;

/// Convolution without groups and bias; inputs: `x [C,N,H,W]`, weights `[O, C·kh·kw]`.
#[derive(Debug)]
pub struct Dense {
    pub(in crate::train) input: Extent,
    pub(in crate::train) output: Extent,
    pub(in crate::train) window: WindowAttrs,
}

impl Dense {
    /// A convolution of tensors of extents `input` to `output`.
    pub fn new(input: Extent, output: Extent, window: WindowAttrs) -> Self {
        Dense { input, output, window }
    }

    /// Elements of a window.
    fn depth(&self) -> usize {
        self.input.channels * self.window.kernel[0] * self.window.kernel[1]
    }

    /// First image and number of images of each group.
    fn groups(&self) -> impl Iterator<Item = (usize, usize)> {
        let images = self.output.images;
        let each = (COLUMNS_MAX / (self.depth() * self.output.plane())).clamp(1, images);
        (0..images).step_by(each).map(move |first| (first, each.min(images - first)))
    }

    /// Calls `run(element of the plane, element of the result's plane, count)` for each run of pixels that tap
    /// `[i, j]` sees; both step through columns, the plane by the stride.
    fn runs(&self, [i, j]: [usize; 2], mut run: impl FnMut(usize, usize, usize)) {
        let WindowAttrs { stride, dilation, pad, .. } = &self.window;
        // Results whose tap falls inside: stride · r + shift in 0..extent.
        let inside = |axis: usize, tap: usize, extent: usize, results: usize| {
            let shift = tap * dilation[axis];
            let first = pad[axis].saturating_sub(shift).div_ceil(stride[axis]);
            let end = (extent + pad[axis]).saturating_sub(shift).div_ceil(stride[axis]);
            (first, end.min(results), shift)
        };
        let (top, bottom, down) = inside(0, i, self.input.rows, self.output.rows);
        let (left, right, across) = inside(1, j, self.input.columns, self.output.columns);
        if left >= right {
            return;
        }
        for row in top..bottom {
            let y = row * stride[0] + down - pad[0];
            let x = left * stride[1] + across - pad[1];
            run(y * self.input.columns + x, row * self.output.columns + left, right - left);
        }
    }

    /// Channel and tap of a row of the matrix of windows.
    fn tap(&self, row: usize) -> (usize, [usize; 2]) {
        let [rows, columns] = self.window.kernel;
        (row / (rows * columns), [row / columns % rows, row % columns])
    }

    /// The windows of a group of images: a row for each channel and tap.
    fn windows(&self, x: &[f32], (first, count): (usize, usize)) -> Vec<f32> {
        let (before, after) = (self.input.plane(), self.output.plane());
        let mut windows = zeros(self.depth() * count * after);
        windows.par_chunks_mut(count * after).enumerate().for_each(|(row, windows)| {
            let (channel, tap) = self.tap(row);
            for (image, to) in windows.chunks_mut(after).enumerate() {
                let x = &x[(channel * self.input.images + first + image) * before..][..before];
                self.runs(tap, |from, at, n| {
                    let step = self.window.stride[1];
                    to[at..at + n]
                        .iter_mut()
                        .zip(x[from..].iter().step_by(step))
                        .for_each(|(to, x)| *to = *x);
                });
            }
        });
        windows
    }

    /// Adds the gradients of windows to those of the pixels they saw.
    fn add_windows(&self, windows: &[f32], (first, count): (usize, usize), dx: &mut [f32]) {
        let (before, after) = (self.input.plane(), self.output.plane());
        let taps = self.window.kernel[0] * self.window.kernel[1];
        dx.par_chunks_mut(self.input.channel()).enumerate().for_each(|(channel, dx)| {
            for row in channel * taps..(channel + 1) * taps {
                let windows = windows[row * count * after..][..count * after].chunks(after);
                for (image, from) in windows.enumerate() {
                    let dx = &mut dx[(first + image) * before..][..before];
                    self.runs(self.tap(row).1, |to, at, n| {
                        let step = self.window.stride[1];
                        dx[to..].iter_mut().step_by(step).zip(&from[at..at + n]).for_each(|(x, g)| *x += g);
                    });
                }
            }
        });
    }
}

impl Kernel for Dense {
    fn output(&self) -> Extent {
        self.output
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let (depth, plane, row_step) = (self.depth(), self.output.plane(), self.output.channel());
        let weights = Matrix::new(inputs[1], self.output.channels, depth, depth);
        let mut out = buffer(self.output.elements());
        for group in self.groups() {
            let seen = self.windows(inputs[0], group);
            let columns = group.1 * plane;
            let windows = Matrix::new(&seen, depth, columns, columns);
            let target = Target { values: &mut out, row_step, offset: group.0 * plane, add: false };
            product(weights, windows, target);
            recycle(seen);
        }
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let (depth, plane, row_step) = (self.depth(), self.output.plane(), self.output.channel());
        let weights = Matrix::new(inputs[1], self.output.channels, depth, depth);
        let mut dx = wanted[0].then(|| zeros(inputs[0].len()));
        let mut dweights = wanted[1].then(|| vec![0.0; inputs[1].len()]);
        for group in self.groups() {
            let columns = group.1 * plane;
            let grad = Matrix::new(&grad[group.0 * plane..], self.output.channels, columns, row_step);
            if let Some(dweights) = &mut dweights {
                let seen = self.windows(inputs[0], group);
                let windows = Matrix::new(&seen, depth, columns, columns);
                let target = Target { values: dweights, row_step: depth, offset: 0, add: true };
                product(grad, windows.transposed(), target);
                recycle(seen);
            }
            if let Some(dx) = &mut dx {
                let mut windows = buffer(depth * columns);
                let target = Target { values: &mut windows, row_step: columns, offset: 0, add: false };
                product(weights.transposed(), grad, target);
                self.add_windows(&windows, group, dx);
                recycle(windows);
            }
        }
        vec![dx, dweights]
    }
}
