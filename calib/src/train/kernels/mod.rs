//! Differentiable functions over plain slices: forward, and gradients of the inputs from that of the output.
//!
//! All images of a batch lie side by side in each channel: `[C, N, H, W]`. So a 1×1 convolution is one matrix
//! product, the statistics of a channel are those of one slice, and to join or shuffle channels is to copy slices.
//! Nothing here knows of burn; [`super::tape`] makes operations of these kernels.

mod activation;
mod blend;
mod buffers;
mod codes;
mod dense;
mod depthwise;
mod gemm;
mod lanes;
mod norm;
mod pick;
mod pointwise;
mod pool;
#[cfg(test)]
mod tests;
mod upsample;
mod window;

pub(in crate::train) use activation::known;
pub use blend::{Gate, Mean, Sum};
pub(in crate::train) use buffers::recycle;
pub use codes::{Codes, learned};
pub use dense::Dense;
pub use depthwise::Depthwise;
pub use norm::{BiasAct, NormAct, Statistics};
pub use pick::Pick;
pub use pointwise::Pointwise;
pub use pool::MaxPool;
pub use upsample::Upsample;

use std::fmt::Debug;

/// Extents of a batch of images, `[C, N, H, W]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Channels.
    pub channels: usize,
    /// Images.
    pub images: usize,
    /// Rows of an image.
    pub rows: usize,
    /// Columns of an image.
    pub columns: usize,
}

impl Extent {
    /// Numbers of one channel.
    pub fn channel(&self) -> usize {
        self.images * self.plane()
    }

    /// Numbers of one channel of one image.
    pub fn plane(&self) -> usize {
        self.rows * self.columns
    }

    /// Numbers in all.
    pub fn elements(&self) -> usize {
        self.channels * self.channel()
    }
}

/// A differentiable function of tensors.
pub trait Kernel: Debug + Send + Sync {
    /// Extents of the result.
    fn output(&self) -> Extent;

    /// The result.
    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32>;

    /// Gradients of those inputs that are `wanted`, from that of the result.
    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>>;
}
