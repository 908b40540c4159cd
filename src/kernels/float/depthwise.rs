//! Depthwise convolution: every channel has a kernel of its own.

use super::taps::taps_inside;
use crate::kernels::{Plane, Window};
use std::ops::Range;

/// Weights of a depthwise convolution, `[kernel row][kernel column][channel]`.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    channels: usize,
    weights: Vec<f32>,
}

impl Depthwise {
    /// `weights` are `[channel][kernel row][kernel column]`.
    pub fn new(window: &Window, channels: usize, weights: &[f32]) -> Self {
        let taps = window.kernel[0] * window.kernel[1];
        let turned = (0..taps * channels).map(|i| weights[i % channels * taps + i / channels]).collect();
        Depthwise { channels, weights: turned }
    }

    /// Sums at the output pixels `pixels`; `out` starts at the first of them.
    pub fn run(&self, window: &Window, src: Plane<f32>, out: &mut [f32], pitch: usize, pixels: Range<usize>) {
        let n = self.channels;
        for (i, pixel) in pixels.enumerate() {
            let at = [pixel / window.output[1], pixel % window.output[1]];
            let columns = taps_inside(window, 1, at[1]);
            let sums = &mut out[i * pitch..][..n];
            sums.fill(0.0);
            for ky in taps_inside(window, 0, at[0]) {
                let y = at[0] * window.stride[0] + ky * window.dilation[0] - window.pad[0];
                for kx in columns.clone() {
                    let x = at[1] * window.stride[1] + kx * window.dilation[1] - window.pad[1];
                    let pixel = &src.data[(y * window.input[1] + x) * src.pitch..][..n];
                    let weights = &self.weights[(ky * window.kernel[1] + kx) * n..][..n];
                    // All channels at once: one long vector loop per tap.
                    for ((sum, x), w) in sums.iter_mut().zip(pixel).zip(weights) {
                        *sum += x * w;
                    }
                }
            }
        }
    }
}
