//! Blocks that several networks are made of.

use super::builder::{Act, Builder, HARD_SIGMOID, RELU};
use crate::error::Result;
use crate::graph::ValueId;

/// Depthwise convolution, then a 1×1 convolution.
pub(super) fn separable(
    b: &mut Builder,
    x: ValueId,
    (out, kernel, stride): (usize, usize, usize),
    [first, second]: [Act; 2],
) -> Result<ValueId> {
    let x = b.depthwise(x, kernel, stride, first)?;
    b.pointwise(x, out, second)
}

/// ShuffleNetV2's unit of stride 2: both branches see all channels.
pub(super) fn shuffle_down(b: &mut Builder, x: ValueId, out: usize, act: Act) -> Result<ValueId> {
    let half = out / 2;
    let left = separable(b, x, (half, 3, 2), [None, act])?;
    let right = b.pointwise(x, half, act)?;
    let right = separable(b, right, (half, 3, 2), [None, act])?;
    b.concat(&[left, right])
}

/// ShuffleNetV2's unit of stride 1: half of the channels pass by.
pub(super) fn shuffle_unit(b: &mut Builder, x: ValueId, act: Act) -> Result<ValueId> {
    let [left, right] = b.halves(x)?;
    let half = b.channels(right);
    let right = b.pointwise(right, half, act)?;
    let right = separable(b, right, (half, 3, 1), [None, act])?;
    b.concat(&[left, right])
}

/// A stage of ShuffleNetV2: one unit of stride 2, `units` of stride 1, a shuffle after each.
pub(super) fn shuffle_stage(
    b: &mut Builder,
    x: ValueId,
    out: usize,
    units: usize,
    act: Act,
) -> Result<ValueId> {
    let x = shuffle_down(b, x, out, act)?;
    let mut x = b.shuffle(x, 2)?;
    for _ in 0..units {
        x = shuffle_unit(b, x, act)?;
        x = b.shuffle(x, 2)?;
    }
    Ok(x)
}

/// Squeeze and excitation: a gate per channel from the means of all channels.
pub(super) fn squeeze_excite(
    b: &mut Builder,
    x: ValueId,
    squeezed: usize,
    [inner, gate]: [Act; 2],
    act: Act,
) -> Result<ValueId> {
    let channels = b.channels(x);
    let means = b.global_average(x)?;
    let low = b.pointwise(means, squeezed, inner)?;
    let factors = b.pointwise(low, channels, gate)?;
    b.scale(x, factors, act)
}

/// An inverted residual block of MobileNetV2 and its descendants.
#[derive(Clone, Copy)]
pub(super) struct Inverted {
    /// Channels between the 1×1 convolutions; no first one where they are those of the input.
    pub hidden: usize,
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Channels of the squeeze, where there is one.
    pub squeeze: Option<usize>,
    pub act: Act,
}

pub(super) fn inverted_residual(b: &mut Builder, x: ValueId, block: Inverted) -> Result<ValueId> {
    let Inverted { hidden, out, kernel, stride, squeeze, act } = block;
    let mut y = if hidden == b.channels(x) { x } else { b.pointwise(x, hidden, act)? };
    y = match squeeze {
        None => b.depthwise(y, kernel, stride, act)?,
        // The activation follows the gate, as in the networks of benchncnn.
        Some(squeezed) => {
            let y = b.depthwise(y, kernel, stride, None)?;
            squeeze_excite(b, y, squeezed, [RELU, HARD_SIGMOID], act)?
        }
    };
    y = b.pointwise(y, out, None)?;
    if stride == 1 && out == b.channels(x) { b.add(y, x, None) } else { Ok(y) }
}

/// Means of all channels to `classes` probabilities.
pub(super) fn classifier(b: &mut Builder, x: ValueId, classes: usize) -> Result<Vec<ValueId>> {
    let means = b.global_average(x)?;
    let channels = b.channels(means);
    let flat = b.reshape(means, &[1, channels])?;
    let scores = b.linear(flat, classes, None)?;
    Ok(vec![b.softmax(scores, 1)?])
}
