//! The numbers of a convolution, from the modules that they are in.

use super::names::Name;
use super::tensors::Tensors;
use ocellus::{Error, Result};

/// What both projects add to variances.
pub const EPSILON: f32 = 1e-3;

/// A convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Weights `[O, C/groups, kh, kw]`.
    pub weights: Vec<f32>,
    /// What stands behind the sum.
    pub after: After,
}

/// What stands behind a convolution's sum, a number for each channel.
#[derive(Clone, Debug, PartialEq)]
pub enum After {
    /// A bias.
    Bias(Vec<f32>),
    /// Batch normalization.
    Norm {
        /// Factors.
        scale: Vec<f32>,
        /// Summands.
        shift: Vec<f32>,
        /// Means.
        mean: Vec<f32>,
        /// Variances.
        variance: Vec<f32>,
    },
}

impl Layer {
    /// Weights and bias with the batch normalization folded in.
    pub fn folded(&self) -> (Vec<f32>, Vec<f32>) {
        match &self.after {
            After::Bias(bias) => (self.weights.clone(), bias.clone()),
            After::Norm { scale, shift, mean, variance } => {
                let each = self.weights.len() / scale.len();
                let factors: Vec<f32> =
                    scale.iter().zip(variance).map(|(s, v)| s / (v + EPSILON).sqrt()).collect();
                let rows = self.weights.chunks(each).zip(&factors);
                let weights = rows.flat_map(|(row, factor)| row.iter().map(move |w| w * factor)).collect();
                let bias = (0..scale.len()).map(|c| shift[c] - factors[c] * mean[c]).collect();
                (weights, bias)
            }
        }
    }
}

/// The numbers of the convolution `name`, whose weights the network has in `shape`.
pub(super) fn read(tensors: &Tensors, name: &Name, shape: &[usize]) -> Result<Layer> {
    match name {
        Name::Norm { conv, norm } => conv_norm(tensors, conv, norm, shape),
        Name::Conv(conv) => plain(tensors, conv, shape),
        Name::Rep(module) => rep(tensors, module, shape),
    }
}

fn conv_norm(tensors: &Tensors, conv: &str, norm: &str, shape: &[usize]) -> Result<Layer> {
    if tensors.shape(&format!("{norm}.weight")).is_none() {
        return plain(tensors, conv, shape);
    }
    let numbers = |what: &str| channels(tensors, &format!("{norm}.{what}"), shape[0]);
    let after = After::Norm {
        scale: numbers("weight")?,
        shift: numbers("bias")?,
        mean: numbers("running_mean")?,
        variance: numbers("running_var")?,
    };
    Ok(Layer { weights: weights(tensors, conv, shape)?, after })
}

fn plain(tensors: &Tensors, conv: &str, shape: &[usize]) -> Result<Layer> {
    let bias = format!("{conv}.bias");
    let bias = match tensors.shape(&bias) {
        Some(_) => channels(tensors, &bias, shape[0])?,
        None => vec![0.0; shape[0]],
    };
    Ok(Layer { weights: weights(tensors, conv, shape)?, after: After::Bias(bias) })
}

/// Sums of convolutions of the same picture are a convolution; the 1×1 one is the middle of a 3×3 one.
fn rep(tensors: &Tensors, module: &str, shape: &[usize]) -> Result<Layer> {
    let made = format!("{module}.rbr_reparam");
    if tensors.shape(&format!("{made}.weight")).is_some() {
        return plain(tensors, &made, shape);
    }
    let branch = |branch: &str, shape: &[usize]| {
        let layer =
            conv_norm(tensors, &format!("{module}.{branch}.conv"), &format!("{module}.{branch}.bn"), shape);
        layer.map(|layer| layer.folded())
    };
    let (mut sum, mut bias) = branch("rbr_dense", shape)?;
    let (middle, other) = branch("rbr_1x1", &[shape[0], shape[1], 1, 1])?;
    sum.chunks_exact_mut(9).zip(middle).for_each(|(window, middle)| window[4] += middle);
    bias.iter_mut().zip(other).for_each(|(bias, other)| *bias += other);
    Ok(Layer { weights: sum, after: After::Bias(bias) })
}

/// A number for each of `count` channels.
fn channels(tensors: &Tensors, name: &str, count: usize) -> Result<Vec<f32>> {
    match tensors.shape(name) {
        Some(shape) if shape == [count] => tensors.numbers(name),
        Some(shape) => {
            Err(Error::bad_model(format!("{name} has the shape {shape:?}; [{count}] was expected")))
        }
        None => Err(Error::bad_model(format!("{name} is missing"))),
    }
}

fn weights(tensors: &Tensors, conv: &str, shape: &[usize]) -> Result<Vec<f32>> {
    let name = format!("{conv}.weight");
    match tensors.shape(&name) {
        Some(own) if own == shape => tensors.numbers(&name),
        Some(own) if is_focus(own, shape) => Ok(without_focus(&tensors.numbers(&name)?)),
        Some(own) => Err(Error::bad_model(format!("{name} has the shape {own:?}; {shape:?} was expected"))),
        None => Err(Error::bad_model(format!("{name} is missing"))),
    }
}

/// Whether a 3×3 convolution behind Focus is to be a 6×6 one of stride 2.
pub(super) fn is_focus(own: &[usize], expected: &[usize]) -> bool {
    matches!((own, expected), ([a, 12, 3, 3], [b, 3, 6, 6]) if a == b)
}

/// Focus makes channels of the pixels of 2×2, down first: (row 0, column 0), (1, 0), (0, 1), (1, 1). So its channel `3p + c`
/// at `[i, j]` is channel `c` at `[2i + p % 2, 2j + p / 2]`.
fn without_focus(weights: &[f32]) -> Vec<f32> {
    let mut made = vec![0.0; weights.len()];
    for (at, &weight) in weights.iter().enumerate() {
        let (out, channel, i, j) = (at / 108, at / 9 % 12, at / 3 % 3, at % 3);
        let (pixel, c) = (channel / 3, channel % 3);
        let (row, column) = (2 * i + pixel % 2, 2 * j + pixel / 2);
        made[out * 108 + c * 36 + row * 6 + column] = weight;
    }
    made
}
