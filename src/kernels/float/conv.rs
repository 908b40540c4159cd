//! Convolution.

use super::depthwise::Depthwise;
use super::finish;
use super::gemm::PackedWeights;
use crate::graph::Unary;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Output pixels that are computed together; their patches lie in the scratch buffer.
const TILE_PIXELS: usize = 64;

/// Convolution of one NHWC image, with bias and activation.
#[derive(Clone, Debug)]
pub struct ConvF32 {
    window: Window,
    out_channels: usize,
    body: Body,
    bias: Option<Vec<f32>>,
    activation: Option<Unary>,
}

#[derive(Clone, Debug)]
enum Body {
    /// One matrix product per group.
    Gemm {
        /// Input channels of a group.
        group_in: usize,
        /// Output channels of a group.
        group_out: usize,
        groups: Vec<PackedWeights>,
    },
    Depthwise(Depthwise),
}

impl ConvF32 {
    /// `weights` are `[out_channels][kernel rows][kernel columns][in_channels / groups]`, `bias` has one
    /// number per output channel. Padding cells are zero.
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
        let (group_in, group_out) = (in_channels / groups, out_channels / groups);
        let depth = window.kernel[0] * window.kernel[1] * group_in;
        assert_eq!(weights.len(), out_channels * depth);
        let body = if group_in == 1 && group_out == 1 {
            Body::Depthwise(Depthwise::new(&window, out_channels, weights))
        } else {
            let group = |g: usize| &weights[g * group_out * depth..][..group_out * depth];
            let groups = (0..groups).map(|g| PackedWeights::new(group_out, depth, group(g))).collect();
            Body::Gemm { group_in, group_out, groups }
        };
        ConvF32 { window, out_channels, body, bias: bias.map(<[f32]>::to_vec), activation }
    }

    /// Numbers that [`ConvF32::run`] needs as scratch.
    pub fn scratch_len(&self) -> usize {
        match &self.body {
            Body::Gemm { group_in, .. } if !self.is_pointwise() => {
                TILE_PIXELS * self.window.kernel[0] * self.window.kernel[1] * group_in
            }
            _ => 0,
        }
    }

    /// The patch of an output pixel is the input pixel of the same number.
    fn is_pointwise(&self) -> bool {
        let w = &self.window;
        w.kernel == [1, 1] && w.stride == [1, 1] && w.pad == [0, 0] && w.input == w.output
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image, or `scratch` than [`ConvF32::scratch_len`].
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>, scratch: &mut [f32]) {
        let width = self.window.output[1];
        let first = rows.start * width;
        let end = rows.end * width;
        for start in (first..end).step_by(TILE_PIXELS) {
            let pixels = start..end.min(start + TILE_PIXELS);
            let tile = &mut dst.data[(start - first) * dst.pitch..];
            match &self.body {
                Body::Depthwise(depthwise) => {
                    depthwise.run(&self.window, src, tile, dst.pitch, pixels.clone())
                }
                Body::Gemm { group_in, group_out, groups } => {
                    for (g, weights) in groups.iter().enumerate() {
                        let channels = g * group_in..(g + 1) * group_in;
                        let out = &mut tile[g * group_out..];
                        if self.is_pointwise() {
                            let x = &src.data[start * src.pitch + channels.start..];
                            weights.multiply(pixels.len(), x, src.pitch, out, dst.pitch);
                        } else {
                            let depth = self.window.kernel[0] * self.window.kernel[1] * group_in;
                            patches(&self.window, src, channels, pixels.clone(), scratch);
                            weights.multiply(pixels.len(), scratch, depth, out, dst.pitch);
                        }
                    }
                }
            }
            for pixel in 0..pixels.len() {
                let row = &mut tile[pixel * dst.pitch..][..self.out_channels];
                finish(row, self.bias.as_deref(), self.activation);
            }
        }
    }
}

/// Copies what the window sees at each of the output pixels `pixels` one after the other to `out`:
/// `[pixel][kernel row][kernel column][channel]` ("im2col"). Padding cells are zero.
fn patches(window: &Window, src: Plane<f32>, channels: Range<usize>, pixels: Range<usize>, out: &mut [f32]) {
    let [rows, columns] = window.input;
    let n = channels.len();
    let mut cell = 0;
    for pixel in pixels {
        let at = [pixel / window.output[1], pixel % window.output[1]];
        for ky in 0..window.kernel[0] {
            let y = (at[0] * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.pad[0]);
            for kx in 0..window.kernel[1] {
                let x = (at[1] * window.stride[1] + kx * window.dilation[1]).wrapping_sub(window.pad[1]);
                let patch = &mut out[cell..][..n];
                // Above or left of the image the difference wraps to a huge number.
                if y < rows && x < columns {
                    patch.copy_from_slice(&src.data[(y * columns + x) * src.pitch + channels.start..][..n]);
                } else {
                    patch.fill(0.0);
                }
                cell += n;
            }
        }
    }
}

#[cfg(test)]
mod tests;
