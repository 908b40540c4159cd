//! Depthwise convolution: every channel has a kernel of its own.

use super::taps::taps_inside;
use crate::kernels::{Plane, Window};
use std::ops::Range;

/// Channels whose sums are kept in registers.
const LANES: usize = 16;

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
        for (i, pixel) in pixels.enumerate() {
            let at = [pixel / window.output[1], pixel % window.output[1]];
            let taps = [0, 1].map(|axis| taps_inside(window, axis, at[axis]));
            let out = &mut out[i * pitch..][..self.channels];
            let (blocks, rest) = out.as_chunks_mut::<LANES>();
            for (block, out) in blocks.iter_mut().enumerate() {
                *out = [0.0; LANES];
                self.for_each_tap(window, src, at, &taps, |x, w| {
                    let (x, w) = (&x.as_chunks::<LANES>().0[block], &w.as_chunks::<LANES>().0[block]);
                    for lane in 0..LANES {
                        out[lane] += x[lane] * w[lane];
                    }
                });
            }
            let done = self.channels - rest.len();
            rest.fill(0.0);
            self.for_each_tap(window, src, at, &taps, |x, w| {
                for ((sum, x), w) in rest.iter_mut().zip(&x[done..]).zip(&w[done..]) {
                    *sum += x * w;
                }
            });
        }
    }

    /// Calls `tap` with the input pixel and the weights of every tap inside the image.
    #[inline(always)]
    fn for_each_tap(
        &self,
        window: &Window,
        src: Plane<f32>,
        at: [usize; 2],
        taps: &[Range<usize>; 2],
        mut tap: impl FnMut(&[f32], &[f32]),
    ) {
        let n = self.channels;
        for ky in taps[0].clone() {
            let y = at[0] * window.stride[0] + ky * window.dilation[0] - window.pad[0];
            for kx in taps[1].clone() {
                let x = at[1] * window.stride[1] + kx * window.dilation[1] - window.pad[1];
                let pixel = &src.data[(y * window.input[1] + x) * src.pitch..][..n];
                tap(pixel, &self.weights[(ky * window.kernel[1] + kx) * n..][..n]);
            }
        }
    }
}
