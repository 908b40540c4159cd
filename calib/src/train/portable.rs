//! The kernels once more, by operations of burn, which have gradients on any of its devices.
//!
//! On the CPU they are slower than [`super::kernels`] and take more memory. A test compares both ways.

use super::device::numbers;
use super::kernels::{
    BiasAct, Codes, Dense, Depthwise, Extent, Gate, Kernel, MaxPool, Mean, NormAct, Pick, Pointwise,
    Statistics, Sum, Upsample,
};
use burn::tensor::activation::sigmoid;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Int, Slice, Tensor, TensorData};
use ocellus::graph::{Unary, WindowAttrs};

/// A kernel that any device can compute.
pub trait Portable: Kernel {
    /// The result of tensors, with gradients.
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4>;
}

fn dims(extent: Extent) -> [usize; 4] {
    [extent.channels, extent.images, extent.rows, extent.columns]
}

/// What is added before and behind rows and columns.
fn padding(window: &WindowAttrs) -> [(usize, usize); 2] {
    let [top, left, bottom, right] = window.pad;
    [(top, bottom), (left, right)]
}

impl Portable for Pointwise {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let x: Tensor<2> = inputs[0].clone().reshape([self.input.channels, self.input.channel()]);
        let weights = inputs[1].clone().reshape([self.out, self.input.channels]);
        weights.matmul(x).reshape(dims(self.output()))
    }
}

impl Portable for Dense {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let WindowAttrs { kernel: [rows, columns], stride, dilation, .. } = self.window;
        let weights = inputs[1].clone().reshape([self.output.channels, self.input.channels, rows, columns]);
        let options = ConvOptions::new_with_padding(stride, padding(&self.window), dilation, 1);
        conv2d(inputs[0].clone().swap_dims(0, 1), weights, None, options).swap_dims(0, 1)
    }
}

impl Portable for Depthwise {
    /// A sum over taps: the gradient of a convolution in groups would go through them one by one.
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let Extent { channels, rows, columns, .. } = self.output();
        let WindowAttrs { kernel: [down, across], stride, .. } = self.window;
        let x = inputs[0].clone().pad(padding(&self.window), PadMode::Constant(0.0));
        let weights = inputs[1].clone().reshape([channels, down * across, 1, 1]);
        // Each `stride`-th from `first`, `count` in all.
        let every = |first: usize, count: usize, stride: usize| {
            let end = first + (count - 1) * stride + 1;
            Slice::new(first as isize, Some(end as isize), stride as isize)
        };
        let seen = |tap: usize| {
            let (i, j) = (tap / across, tap % across);
            let [rows, columns] = [every(i, rows, stride[0]), every(j, columns, stride[1])];
            x.clone().slice([Slice::full(), Slice::full(), rows, columns])
        };
        let parts = (0..down * across).map(|tap| seen(tap) * weights.clone().slice_dim(1, tap..tap + 1));
        parts.reduce(|a, b| a + b).expect("a window has a tap")
    }
}

/// Mean of each channel, `[C,1,1,1]`.
fn mean(x: Tensor<4>) -> Tensor<4> {
    x.mean_dim(3).mean_dim(2).mean_dim(1)
}

/// `x` less its mean, the mean, and the variance.
fn moments(x: Tensor<4>) -> [Tensor<4>; 3] {
    let mean_of_x = mean(x.clone());
    let centered = x - mean_of_x.clone();
    let variance = mean(centered.clone().square());
    [centered, mean_of_x, variance]
}

/// The statistics of what is normalized.
pub(super) fn statistics(normalized: &[Tensor<4>]) -> Vec<Statistics> {
    let moments = normalized.iter().flat_map(|x| {
        let [_, mean, variance] = moments(x.clone().detach());
        [mean, variance]
    });
    let numbers = numbers(moments);
    let pairs = numbers.as_chunks::<2>().0.iter();
    pairs.map(|[mean, variance]| Statistics { mean: mean.clone(), variance: variance.clone() }).collect()
}

impl Portable for NormAct {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let [centered, _, variance] = moments(inputs[0].clone());
        let factor = inputs[1].clone() / (variance + self.epsilon).sqrt();
        activated(centered * factor + inputs[2].clone(), self.activation)
    }
}

impl Portable for BiasAct {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let x = inputs[0].clone();
        let sum = match inputs.get(1) {
            Some(bias) => x + (*bias).clone(),
            None => x,
        };
        activated(sum, self.activation)
    }
}

/// Masks rather than burn's own functions: at a corner the slope is to be that of the kernels.
fn activated(z: Tensor<4>, activation: Option<Unary>) -> Tensor<4> {
    match activation {
        None => z,
        Some(Unary::Relu) => z.clone().mask_fill(z.lower_equal_elem(0.0), 0.0),
        Some(Unary::LeakyRelu { slope }) => z.clone().mask_where(z.clone().lower_equal_elem(0.0), z * slope),
        Some(Unary::Clip { lo, hi }) => clipped(z, lo, hi),
        Some(Unary::Sigmoid) => sigmoid(z),
        Some(Unary::Silu) => z.clone() * sigmoid(z),
        Some(Unary::HardSigmoid { alpha, beta }) => clipped(z * alpha + beta, 0.0, 1.0),
        Some(Unary::HardSwish { alpha, beta }) => z.clone() * clipped(z * alpha + beta, 0.0, 1.0),
        Some(other) => unreachable!("{other:?} was refused when the network was read"),
    }
}

fn clipped(z: Tensor<4>, low: f32, high: f32) -> Tensor<4> {
    let (below, above) = (z.clone().lower_equal_elem(low), z.clone().greater_equal_elem(high));
    z.mask_fill(below, low).mask_fill(above, high)
}

impl Portable for MaxPool {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let options = MaxPoolOptions::new(self.window.kernel).with_stride(self.window.stride);
        max_pool2d(inputs[0].clone(), options.with_padding_pairs(padding(&self.window)))
    }
}

impl Portable for Upsample {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let Extent { channels, images, rows, columns } = self.input;
        let [down, across] = self.factor;
        let planes = channels * images;
        let pixels: Tensor<5> = inputs[0].clone().reshape([planes, rows, 1, columns, 1]);
        pixels.expand([planes, rows, down, columns, across]).reshape(dims(self.output()))
    }
}

impl Portable for Pick {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let all = match inputs {
            [one] => (*one).clone(),
            many => Tensor::cat(many.iter().map(|x| (*x).clone()).collect(), 0),
        };
        let before = |input: usize| self.inputs[..input].iter().map(|extent| extent.channels).sum::<usize>();
        let from: Vec<i32> =
            self.from.iter().map(|&(input, channel)| (before(input) + channel) as i32).collect();
        if from.iter().copied().eq(0..all.dims()[0] as i32) {
            return all;
        }
        let count = from.len();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(from, [count]), &all.device());
        all.select(0, indices)
    }
}

impl Portable for Sum {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        inputs[0].clone() + inputs[1].clone()
    }
}

impl Portable for Mean {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        inputs[0].clone().mean_dim(3).mean_dim(2)
    }
}

impl Portable for Gate {
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        inputs[0].clone() * inputs[1].clone()
    }
}

impl Portable for Codes {
    /// The codes are constants; what has gradients is added as differences that are zero.
    fn tensors(&self, inputs: &[&Tensor<4>]) -> Tensor<4> {
        let rows = self.scales.len();
        let [low, high] = self.bounds;
        let x: Tensor<2> = inputs[0].clone().reshape([rows, self.input.elements() / rows]);
        let factors: Option<Tensor<2>> = inputs.get(1).map(|factors| (*factors).clone().reshape([rows, 1]));
        let scales = Tensor::<2>::from_data(TensorData::new(self.scales.clone(), [rows, 1]), &x.device());
        let scales = match &factors {
            Some(factors) => scales * factors.clone().detach().exp(),
            None => scales,
        };
        let place = x.clone().detach() / scales.clone();
        // Half a step beyond the ends is still rounded to them, not cut.
        let outside = place.clone().lower_elem(low - 0.5).bool_or(place.clone().greater_elem(high + 0.5));
        let code = place.clone().clamp(low, high).round();
        let passed = x.mask_fill(outside.clone(), 0.0);
        let mut rounded = code.clone() * scales.clone() + (passed.clone() - passed.detach());
        if let Some(factors) = factors {
            let slopes = (code - place.mask_fill(outside, 0.0)) * scales * self.damping();
            rounded = rounded + slopes * (factors.clone() - factors.detach());
        }
        rounded.reshape(dims(self.input))
    }
}

#[cfg(test)]
mod tests;
