//! Transposed convolution.

use super::finish;
use crate::graph::Unary;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Transposed convolution of one NHWC image, with bias and activation.
///
/// Input cell `i` adds to the output cells `i · stride + tap · dilation − pad`. Each output cell collects
/// what it is owed, so rows can be computed apart from each other.
#[derive(Clone, Debug)]
pub struct ConvTransposeF32 {
    window: Window,
    /// Input channels, output channels and groups.
    in_channels: usize,
    out_channels: usize,
    groups: usize,
    /// `[kernel row][kernel column][in channel][out channel of the group]`.
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
    activation: Option<Unary>,
}

impl ConvTransposeF32 {
    /// `weights` are `[in_channels][out_channels / groups][kernel rows][kernel columns]`, `bias` has one
    /// number per output channel. `window.input` is the input of this layer, `window.pad` what its output
    /// loses above and to the left.
    ///
    /// # Panics
    /// `groups` does not divide both numbers of channels, or `weights` or `bias` has another length.
    pub fn new(
        window: Window,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Option<Unary>,
    ) -> Self {
        assert!(groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups));
        assert!(bias.is_none_or(|b| b.len() == out_channels));
        let taps = window.kernel[0] * window.kernel[1];
        let filters = in_channels * (out_channels / groups);
        assert_eq!(weights.len(), filters * taps);
        let weights = (0..taps * filters).map(|i| weights[i % filters * taps + i / filters]).collect();
        let bias = bias.map(<[f32]>::to_vec);
        ConvTransposeF32 { window, in_channels, out_channels, groups, weights, bias, activation }
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
        let [_, width] = self.window.output;
        for (i, y) in rows.enumerate() {
            for x in 0..width {
                let out = &mut dst.data[(i * width + x) * dst.pitch..][..self.out_channels];
                out.fill(0.0);
                self.collect(src, [y, x], out);
                finish(out, self.bias.as_deref(), self.activation);
            }
        }
    }

    /// Adds what every input cell owes to the output cell `at`.
    fn collect(&self, src: Plane<f32>, at: [usize; 2], out: &mut [f32]) {
        let [_, columns] = self.window.kernel;
        let (group_in, group_out) = (self.in_channels / self.groups, self.out_channels / self.groups);
        for ky in 0..self.window.kernel[0] {
            let Some(y) = self.origin(0, at[0], ky) else { continue };
            for kx in 0..columns {
                let Some(x) = self.origin(1, at[1], kx) else { continue };
                let pixel = &src.data[(y * self.window.input[1] + x) * src.pitch..][..self.in_channels];
                let filters = &self.weights[(ky * columns + kx) * self.in_channels * group_out..];
                for (channel, value) in pixel.iter().enumerate() {
                    let filter = &filters[channel * group_out..][..group_out];
                    let out = &mut out[channel / group_in * group_out..][..group_out];
                    out.iter_mut().zip(filter).for_each(|(sum, w)| *sum += value * w);
                }
            }
        }
    }

    /// Input index that reaches output index `at` through `tap`.
    fn origin(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let distance = (at + self.window.pad[axis]).checked_sub(tap * self.window.dilation[axis])?;
        let index = distance / self.window.stride[axis];
        (distance.is_multiple_of(self.window.stride[axis]) && index < self.window.input[axis])
            .then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, steps, to_pixels, to_planes};

    // ConvTranspose of onnxruntime with group=2, strides=[2,3], dilations=[1,2], pads=[1,0,1,1],
    // output_padding=[1,2] on the first 2 × 2 corner of each plane of x[4,5,4]; x, w[4,3,3,2] by `steps`.
    #[test]
    #[rustfmt::skip]
    fn grouped_dilated_example_equals_onnxruntime() {
        let expected = [
            -2., 1., 2., 2., 1., 0., 1., -17., 1., -4., 29., 1., 2., 1., 3., 1., 5., -4., 1., -8., 1., 0., 1., 2., 2., 1., -2., 1.,
            -9., -2., -5., 1., -2., -1., -2., 2., -2., -20., -10., -2., 26., -2., -2., -2., 0., -3., -2., -7., -2., 2., -2., -3., -11., -2., -1., -2.,
            24.5, 0.5, -6.5, -8.5, 0.5, 3.5, 0.5, -1.5, 0.5, 4.5, -1.5, 0.5, -7.5, 0.5, -8.5, 0.5, 0.5, 24.5, 0.5, -0.5, 0.5, 2.5, 0.5, 4.5, -4.5, 0.5, -8.5, 0.5,
            9., 0., -6., -4., 0., -4., 0., -7., 0., 3., -1., 0., -3., 0., 1., 0., -9., -1., 0., 4., 0., -5., 0., -1., 2., 0., 0., 0.,
            6., 3., 12., -1., 3., -1., 3., 21., 3., -4., -10., 3., 2., 3., 0., 3., 4., 4., 3., 2., 3., -6., 3., -2., 7., 3., 5., 3.,
            -4., -1., 2., -5., -1., -5., -1., 7., -1., 17., -5., -1., -14., -1., -8., -1., -4., 2., -1., 0., -1., 0., -1., -10., -2., -1., 3., -1.,
        ];
        let planes = steps(4 * 5 * 4, 7, 11);
        let corner: Vec<f32> = (0..16).map(|i| planes[i / 4 * 20 + i / 2 % 2 * 4 + i % 2]).collect();
        let window = Window { input: [2, 2], output: [4, 7], kernel: [3, 2], stride: [2, 3], dilation: [1, 2], pad: [1, 0] };
        let bias = [1.0, -2.0, 0.5, 0.0, 3.0, -1.0];
        let layer = ConvTransposeF32::new(window, 4, 6, 2, &steps(4 * 3 * 6, 5, 7), Some(&bias), None);
        let src = to_pixels(&corner, 4, 5);
        let mut out = vec![0.0; 4 * 7 * 8];
        // In two parts, as two threads would.
        let (top, bottom) = out.split_at_mut(7 * 8);
        layer.run(Plane { data: &src, pitch: 5 }, PlaneMut { data: top, pitch: 8 }, 0..1);
        layer.run(Plane { data: &src, pitch: 5 }, PlaneMut { data: bottom, pitch: 8 }, 1..4);
        assert_close(&to_planes(&out, 6, 8), &expected, 0.0);
    }
}
