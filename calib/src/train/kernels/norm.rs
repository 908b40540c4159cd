//! What follows a convolution: batch normalization or a bias, and the activation.

use super::activation::{Function, with_function};
use super::buffers::buffer;
use super::lanes::{dot, fold, sum, vectorized};
use super::{Extent, Kernel};
use ocellus::graph::Unary;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Mean and variance (biased) of each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Means.
    pub mean: Vec<f32>,
    /// Mean squares of the deviations.
    pub variance: Vec<f32>,
}

/// `act(scale · (x − mean)/√(variance + epsilon) + shift)` with the statistics of the batch itself; inputs: `x`,
/// scale, shift.
#[derive(Debug)]
pub struct NormAct {
    /// Extents of `x`.
    pub input: Extent,
    /// Added to the variance.
    pub epsilon: f32,
    /// What follows.
    pub activation: Option<Unary>,
    /// The statistics, after [`Kernel::forward`].
    pub statistics: OnceLock<Statistics>,
}

impl NormAct {
    fn of(&self, x: &[f32]) -> &Statistics {
        self.statistics.get_or_init(|| {
            let (mean, variance) = x.par_chunks(self.input.channel()).map(mean_and_variance).unzip();
            Statistics { mean, variance }
        })
    }
}

/// A channel: `z = factor · x + offset`.
#[derive(Clone, Copy)]
struct Line {
    factor: f32,
    offset: f32,
}

/// The normalization of a channel.
#[derive(Clone, Copy)]
struct Norm {
    scale: f32,
    shift: f32,
    mean: f32,
    /// Of the deviation.
    inverse: f32,
}

vectorized! {
    fn mean_and_variance<'a>(simd; x: &'a [f32]) -> (f32, f32) {
        let n = x.len() as f32;
        let mean = sum(simd, x) / n;
        let center = simd.splat_f32s(mean);
        let squares = fold(simd, (x, x), mean, #[inline(always)] |x, _, sum| {
            let deviation = simd.sub_f32s(x, center);
            simd.mul_add_f32s(deviation, deviation, sum)
        });
        (mean, squares / n)
    }

    fn apply<'a, F: Function>(_simd; f: F, line: Line, x: &'a [f32], out: &'a mut [f32]) -> () {
        for (out, x) in out.iter_mut().zip(x) {
            *out = f.value(line.factor * x + line.offset);
        }
    }

    /// Fills in the gradient of `x`, and returns those of scale and shift.
    fn norm_gradient<'a, F: Function>(
        simd;
        f: F,
        norm: Norm,
        x: &'a [f32],
        grad: &'a [f32],
        dx: &'a mut [f32],
    ) -> [f32; 2] {
        let Norm { scale, shift, mean, inverse } = norm;
        let factor = scale * inverse;
        let line = Line { factor, offset: shift - factor * mean };
        for ((dz, x), grad) in dx.iter_mut().zip(x).zip(grad) {
            *dz = grad * f.slope(line.factor * x + line.offset);
        }
        let (plain, weighted) = (sum(simd, dx), dot(simd, dx, x));
        let dscale = (weighted - mean * plain) * inverse;
        // dx = factor · (dz − mean of dz − x̂ · mean of dz·x̂), as a line in dz and x.
        let n = x.len() as f32;
        let slope = -factor * dscale * inverse / n;
        let constant = -factor * plain / n - slope * mean;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = factor * *dx + (slope * x + constant);
        }
        [dscale, plain]
    }

    /// Fills in the gradient of `x`, and returns that of the bias.
    fn bias_gradient<'a, F: Function>(
        simd;
        f: F,
        offset: f32,
        x: &'a [f32],
        grad: &'a [f32],
        dx: &'a mut [f32],
    ) -> f32 {
        for ((dx, x), grad) in dx.iter_mut().zip(x).zip(grad) {
            *dx = grad * f.slope(x + offset);
        }
        sum(simd, dx)
    }
}

impl Kernel for NormAct {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let [x, scale, shift] = [inputs[0], inputs[1], inputs[2]];
        let statistics = self.of(x);
        let mut out = buffer(x.len());
        let each = self.input.channel();
        with_function!(self.activation, f => {
            out.par_chunks_mut(each).zip(x.par_chunks(each)).enumerate().for_each(|(c, (out, x))| {
                let factor = scale[c] / (statistics.variance[c] + self.epsilon).sqrt();
                let line = Line { factor, offset: shift[c] - factor * statistics.mean[c] };
                apply(f, line, x, out);
            });
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let [x, scale, shift] = [inputs[0], inputs[1], inputs[2]];
        let Statistics { mean, variance } = self.of(x);
        let each = self.input.channel();
        let mut dx = buffer(x.len());
        let mut others = vec![[0.0; 2]; self.input.channels];
        with_function!(self.activation, f => {
            let channels = dx.par_chunks_mut(each).zip(&mut others).zip(x.par_chunks(each).zip(grad.par_chunks(each)));
            channels.enumerate().for_each(|(c, ((dx, others), (x, grad)))| {
                let inverse = 1.0 / (variance[c] + self.epsilon).sqrt();
                let norm = Norm { scale: scale[c], shift: shift[c], mean: mean[c], inverse };
                *others = norm_gradient(f, norm, x, grad, dx);
            });
        });
        let part = |i: usize| others.iter().map(|both| both[i]).collect();
        vec![Some(dx), wanted[1].then(|| part(0)), wanted[2].then(|| part(1))]
    }
}

/// `act(x + bias)`; inputs: `x` and, if there is one, the bias of each channel.
#[derive(Debug)]
pub struct BiasAct {
    /// Extents of `x`.
    pub input: Extent,
    /// What follows.
    pub activation: Option<Unary>,
}

impl BiasAct {
    fn line(inputs: &[&[f32]], channel: usize) -> Line {
        Line { factor: 1.0, offset: inputs.get(1).map_or(0.0, |bias| bias[channel]) }
    }
}

impl Kernel for BiasAct {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let x = inputs[0];
        let each = self.input.channel();
        let mut out = buffer(x.len());
        with_function!(self.activation, f => {
            out.par_chunks_mut(each).zip(x.par_chunks(each)).enumerate().for_each(|(c, (out, x))| {
                apply(f, Self::line(inputs, c), x, out);
            });
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let x = inputs[0];
        let each = self.input.channel();
        let mut dx = buffer(x.len());
        let mut bias = vec![0.0; self.input.channels];
        with_function!(self.activation, f => {
            let channels = dx.par_chunks_mut(each).zip(&mut bias).zip(x.par_chunks(each).zip(grad.par_chunks(each)));
            channels.enumerate().for_each(|(c, ((dx, bias), (x, grad)))| {
                *bias = bias_gradient(f, Self::line(inputs, c).offset, x, grad, dx);
            });
        });
        [Some(dx), wanted.get(1).filter(|wanted| **wanted).map(|_| bias)]
            .into_iter()
            .take(inputs.len())
            .collect()
    }
}
