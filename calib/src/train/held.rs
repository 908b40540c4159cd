//! What the executor holds of a value of the graph.

use super::kernels::Extent;
use burn::tensor::Tensor;

/// A tensor and its extents.
pub(super) type Value = (Tensor<4>, Extent);

/// A value of the graph.
#[derive(Clone)]
pub(super) enum Held {
    /// As it is.
    Whole(Box<Value>),
    /// Channels of other tensors: which tensor, and which channel of it. So a shuffle between a concatenation and a
    /// split copies nothing.
    Channels(Vec<Value>, Vec<(usize, usize)>),
}

impl Held {
    /// The tensors, and where each channel is.
    pub(super) fn channels(self) -> (Vec<Value>, Vec<(usize, usize)>) {
        match self {
            Held::Whole(value) => {
                let from = (0..value.1.channels).map(|c| (0, c)).collect();
                (vec![*value], from)
            }
            Held::Channels(tensors, from) => (tensors, from),
        }
    }
}
