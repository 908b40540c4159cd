//! Single-precision kernels: calibration, layers that stay in float, and the baseline to compare with.
//!
//! Dimensions are physical: images NHWC as [`Plane`](crate::kernels::Plane), everything else row-major.
//! A kernel is built once from attributes and constants and then run without allocating. Sums are taken in
//! an order of each kernel's own, so results may differ from another engine's in the last bits; they do not
//! depend on how the output rows are split.

mod binary;
mod channel;
mod conv;
mod conv_transpose;
mod depthwise;
mod gemm;
mod lanes;
mod linear;
mod pool;
mod reduce;
mod resize;
mod softmax;
mod taps;
pub mod unary;

pub use binary::BinaryF32;
pub use channel::{ChannelAffineF32, PReluF32};
pub use conv::ConvF32;
pub use conv_transpose::ConvTransposeF32;
pub use linear::LinearF32;
pub use pool::{AdaptivePoolF32, PoolF32};
pub use reduce::ReduceF32;
pub use resize::BilinearF32;
pub use softmax::SoftmaxF32;

use crate::graph::Unary;

/// Adds the bias to one row of sums and applies the activation.
fn finish(row: &mut [f32], bias: Option<&[f32]>, activation: Option<Unary>) {
    if let Some(bias) = bias {
        row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
    }
    if let Some(f) = activation {
        unary::map_in_place(f, row);
    }
}

#[cfg(test)]
mod testing {
    /// Numbers in −1..1 that look random and are the same everywhere.
    pub fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2654435769).wrapping_add(12345);
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| next()).collect()
    }

    /// Small integers in an arbitrary but simple order: `(i · multiplier) mod modulus − modulus/2`.
    pub fn steps(n: usize, multiplier: usize, modulus: usize) -> Vec<f32> {
        (0..n).map(|i| (i * multiplier % modulus) as f32 - (modulus / 2) as f32).collect()
    }

    /// `[C, H, W]` to pixels `pitch` apart; the gap is NaN, so that a kernel that reads it shows.
    pub fn to_pixels(planes: &[f32], channels: usize, pitch: usize) -> Vec<f32> {
        let pixels = planes.len() / channels;
        let mut out = vec![f32::NAN; pixels * pitch];
        for p in 0..pixels {
            for c in 0..channels {
                out[p * pitch + c] = planes[c * pixels + p];
            }
        }
        out
    }

    /// Pixels `pitch` apart to `[C, H, W]`.
    pub fn to_planes(pixels: &[f32], channels: usize, pitch: usize) -> Vec<f32> {
        let n = pixels.len() / pitch;
        (0..channels * n).map(|i| pixels[i % n * pitch + i / n]).collect()
    }

    /// Every pair differs by at most `tolerance`, absolute or relative.
    pub fn assert_close(got: &[f32], expected: &[f32], tolerance: f32) {
        assert_eq!(got.len(), expected.len());
        for (i, (&g, &e)) in got.iter().zip(expected).enumerate() {
            let near = g == e || (g - e).abs() <= tolerance * e.abs().max(1.0);
            assert!(near, "element {i}: {g} instead of {e}");
        }
    }
}
