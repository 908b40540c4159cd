//! A graph in the making, by layers: each call appends one, with random weights of the right size.
//!
//! Weights are scaled as He et al. do (Delving deep into rectifiers, 2015), from the mean square that each
//! tensor is expected to have: whatever the depth, numbers neither vanish nor overflow.

use super::Multiples;
use super::random::Random;
use crate::Error;
use crate::error::Result;
use crate::graph::{Binary, Graph, Op, PoolKind, ReduceKind, ResizeCoords, ResizeMode};
use crate::graph::{Unary, ValueId, WindowAttrs};
use crate::tensor::{Data, Shape, Tensor};
use std::collections::HashMap;

/// Activation of a layer.
pub(super) type Act = Option<Unary>;

pub(super) const RELU: Act = Some(Unary::Relu);
pub(super) const RELU6: Act = Some(Unary::Clip { lo: 0.0, hi: 6.0 });
/// LeakyReLU as YOLO and NanoDet use it.
pub(super) const LEAKY: Act = Some(Unary::LeakyRelu { slope: 0.1 });
pub(super) const SILU: Act = Some(Unary::Silu);
pub(super) const SIGMOID: Act = Some(Unary::Sigmoid);
pub(super) const HARD_SIGMOID: Act = Some(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 });
pub(super) const HARD_SWISH: Act = Some(Unary::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 });

/// Standard deviation of biases.
const BIAS: f32 = 0.3;

/// A convolution: `[kernel, kernel]` weights, step `stride`.
#[derive(Clone, Copy)]
pub(super) struct Conv {
    pub out: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Cells on every side.
    pub pad: usize,
    pub groups: usize,
}

pub(super) struct Builder {
    graph: Graph,
    /// Of a YOLO head.
    classes: usize,
    multiples: Multiples,
    random: Random,
    /// Expected mean square of values.
    power: HashMap<ValueId, f32>,
}

impl Builder {
    /// A graph with one input `[1, 3, height, width]`, a picture of numbers in 0..1.
    pub fn new(size: [usize; 2], classes: usize, multiples: Multiples, seed: u64) -> Result<(Self, ValueId)> {
        let mut graph = Graph::new();
        let shape = Shape::new([1, 3, size[0], size[1]]).map_err(|e| Error::Usage(format!("size: {e}")))?;
        let image = graph.push_input("images", shape)?;
        let power = HashMap::from([(image, 1.0 / 3.0)]);
        Ok((Builder { graph, classes, multiples, random: Random::new(seed), power }, image))
    }

    pub fn finish(mut self, outputs: Vec<ValueId>) -> Graph {
        for (i, &id) in outputs.iter().enumerate() {
            self.graph.rename(id, format!("out_{i}"));
        }
        self.graph.outputs = outputs;
        self.graph
    }

    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Channels where the architecture's file has `channels`.
    pub fn wide(&self, channels: usize) -> usize {
        self.multiples.channels(channels)
    }

    /// Blocks where the architecture's file has `repeats`.
    pub fn deep(&self, repeats: usize) -> usize {
        self.multiples.repeats(repeats)
    }

    pub fn channels(&self, x: ValueId) -> usize {
        self.graph.shape(x)[1]
    }

    pub fn rows_columns(&self, x: ValueId) -> [usize; 2] {
        let shape = self.graph.shape(x);
        [shape[2], shape[3]]
    }

    fn power(&self, x: ValueId) -> f32 {
        self.power.get(&x).copied().unwrap_or(1.0)
    }

    fn push(&mut self, op: Op, inputs: Vec<ValueId>, power: f32) -> Result<ValueId> {
        let name = format!("{}_{}", op.name(), self.graph.nodes.len());
        let output = self.graph.push(name.clone(), op, inputs, format!("{name}.out"))?;
        self.power.insert(output, power);
        Ok(output)
    }

    /// Uniform numbers of mean 0.
    fn constant(&mut self, what: &str, dims: &[usize], deviation: f32) -> Result<ValueId> {
        let shape = Shape::new(dims).map_err(|e| Error::bad_model(e.to_string()))?;
        // A uniform number of -1..1 has the variance 1/3.
        let reach = deviation * 3f32.sqrt();
        let values = (0..shape.elements()).map(|_| reach * self.random.symmetric()).collect();
        let tensor = Tensor::new(shape, Data::F32(values)).expect("as many numbers as the shape has");
        self.graph.push_constant(format!("{what}_{}", self.graph.nodes.len()), tensor)
    }

    /// Convolution (BatchNorm folded) and activation.
    pub fn conv_with(&mut self, x: ValueId, conv: Conv, activation: Act) -> Result<ValueId> {
        let Conv { out, kernel, stride, pad, groups } = conv;
        let depth = self.channels(x) / groups.max(1);
        let deviation = (1.0 / ((depth * kernel * kernel) as f32 * self.power(x))).sqrt();
        let weights = self.constant("weights", &[out, depth, kernel, kernel], deviation)?;
        let bias = self.constant("bias", &[out], BIAS)?;
        let window =
            WindowAttrs { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] };
        let op = Op::Conv { window, groups, activation };
        self.push(op, vec![x, weights, bias], power_after(activation, 1.0 + BIAS * BIAS))
    }

    /// Dense convolution that keeps the size, but for its stride.
    pub fn conv(
        &mut self,
        x: ValueId,
        out: usize,
        kernel: usize,
        stride: usize,
        activation: Act,
    ) -> Result<ValueId> {
        self.conv_with(x, Conv { out, kernel, stride, pad: kernel / 2, groups: 1 }, activation)
    }

    /// 1×1 convolution.
    pub fn pointwise(&mut self, x: ValueId, out: usize, activation: Act) -> Result<ValueId> {
        self.conv(x, out, 1, 1, activation)
    }

    /// One filter per channel.
    pub fn depthwise(
        &mut self,
        x: ValueId,
        kernel: usize,
        stride: usize,
        activation: Act,
    ) -> Result<ValueId> {
        let out = self.channels(x);
        self.conv_with(x, Conv { out, kernel, stride, pad: kernel / 2, groups: out }, activation)
    }

    /// Fully connected layer on `[1, K]`.
    pub fn linear(&mut self, x: ValueId, out: usize, activation: Act) -> Result<ValueId> {
        let depth = self.channels(x);
        let deviation = (1.0 / (depth as f32 * self.power(x))).sqrt();
        let weights = self.constant("weights", &[out, depth], deviation)?;
        let bias = self.constant("bias", &[out], BIAS)?;
        self.push(
            Op::Linear { activation },
            vec![x, weights, bias],
            power_after(activation, 1.0 + BIAS * BIAS),
        )
    }

    /// Element-wise function.
    pub fn unary(&mut self, x: ValueId, activation: Act) -> Result<ValueId> {
        let power = power_after(activation, self.power(x));
        match activation {
            Some(unary) => self.push(Op::Unary(unary), vec![x], power),
            None => Ok(x),
        }
    }

    pub fn max_pool(&mut self, x: ValueId, kernel: usize, stride: usize, pad: usize) -> Result<ValueId> {
        self.pool(x, PoolKind::Max, (kernel, stride), [pad; 4], [0; 2])
    }

    /// Maximum without padding; the last window may reach over the edge.
    pub fn max_pool_ceil(&mut self, x: ValueId, kernel: usize, stride: usize) -> Result<ValueId> {
        let tail = self.rows_columns(x).map(|n| {
            let steps = n.saturating_sub(kernel).div_ceil(stride);
            (steps * stride + kernel).saturating_sub(n)
        });
        self.pool(x, PoolKind::Max, (kernel, stride), [0, 0, tail[0], tail[1]], tail)
    }

    /// Average; padding cells count as zeros.
    pub fn average_pool(&mut self, x: ValueId, kernel: usize, stride: usize, pad: usize) -> Result<ValueId> {
        self.pool(x, PoolKind::Avg, (kernel, stride), [pad; 4], [0; 2])
    }

    fn pool(
        &mut self,
        x: ValueId,
        kind: PoolKind,
        (kernel, stride): (usize, usize),
        pad: [usize; 4],
        tail: [usize; 2],
    ) -> Result<ValueId> {
        let window = WindowAttrs { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad };
        let power = if kind == PoolKind::Max { 2.0 } else { 0.5 } * self.power(x);
        self.push(Op::Pool { kind, window, count_include_pad: true, tail }, vec![x], power)
    }

    /// Mean of each channel, `[1, C, 1, 1]`.
    pub fn global_average(&mut self, x: ValueId) -> Result<ValueId> {
        let power = 0.5 * self.power(x);
        self.push(Op::Reduce { kind: ReduceKind::Mean, axes: vec![2, 3] }, vec![x], power)
    }

    pub fn reshape(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId> {
        self.push(Op::Reshape { shape: shape.to_vec() }, vec![x], self.power(x))
    }

    pub fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId> {
        self.push(Op::Transpose { perm: perm.to_vec() }, vec![x], self.power(x))
    }

    pub fn softmax(&mut self, x: ValueId, axis: usize) -> Result<ValueId> {
        self.push(Op::Softmax { axis }, vec![x], 0.1)
    }

    /// Sum and activation.
    pub fn add(&mut self, a: ValueId, b: ValueId, activation: Act) -> Result<ValueId> {
        let power = power_after(activation, self.power(a) + self.power(b));
        self.push(Op::Binary { kind: Binary::Add, activation }, vec![a, b], power)
    }

    /// Product with a factor per channel, `[1, C, 1, 1]`, and activation.
    pub fn scale(&mut self, x: ValueId, factor: ValueId, activation: Act) -> Result<ValueId> {
        let power = power_after(activation, self.power(x) * self.power(factor));
        self.push(Op::Binary { kind: Binary::Mul, activation }, vec![x, factor], power)
    }

    /// Joins channels.
    pub fn concat(&mut self, parts: &[ValueId]) -> Result<ValueId> {
        let power = parts.iter().map(|&p| self.power(p) * self.channels(p) as f32).sum::<f32>();
        let channels: usize = parts.iter().map(|&p| self.channels(p)).sum();
        self.push(Op::Concat { axis: 1 }, parts.to_vec(), power / channels as f32)
    }

    /// The `count` channels from `first` on.
    pub fn slice(&mut self, x: ValueId, first: usize, count: usize) -> Result<ValueId> {
        let mut counts = self.graph.shape(x).dims().to_vec();
        counts[1] = count;
        let op = Op::Slice { start: vec![0, first, 0, 0], step: vec![1; 4], count: counts };
        self.push(op, vec![x], self.power(x))
    }

    /// The lower and the upper half of the channels.
    pub fn halves(&mut self, x: ValueId) -> Result<[ValueId; 2]> {
        let half = self.channels(x) / 2;
        Ok([self.slice(x, 0, half)?, self.slice(x, half, half)?])
    }

    /// Channel shuffle: channel `j` of group `g` becomes channel `groups · j + g`.
    pub fn shuffle(&mut self, x: ValueId, groups: usize) -> Result<ValueId> {
        let (channels, each) = (self.channels(x), self.channels(x) / groups);
        let indices = (0..channels).map(|c| c % groups * each + c / groups).collect();
        self.push(Op::Gather { axis: 1, indices }, vec![x], self.power(x))
    }

    /// Nearest-neighbour upsampling to twice the size.
    pub fn upsample(&mut self, x: ValueId) -> Result<ValueId> {
        self.resize(x, 2.0, ResizeMode::Nearest, ResizeCoords::Asymmetric)
    }

    /// Bilinear resize by a factor.
    pub fn bilinear(&mut self, x: ValueId, factor: f32) -> Result<ValueId> {
        self.resize(x, factor, ResizeMode::Linear, ResizeCoords::HalfPixel)
    }

    fn resize(&mut self, x: ValueId, factor: f32, mode: ResizeMode, coords: ResizeCoords) -> Result<ValueId> {
        let output = self.rows_columns(x).map(|n| (n as f32 * factor) as usize);
        self.push(Op::Resize { output, scale: [factor; 2], mode, coords }, vec![x], self.power(x))
    }
}

/// Mean square of an activation's result for normally distributed operands of mean square `before`.
fn power_after(activation: Act, before: f32) -> f32 {
    let factor = match activation {
        None => 1.0,
        Some(Unary::Silu | Unary::HardSwish { .. }) => 0.36,
        // Values in 0..1, around a half.
        Some(Unary::Sigmoid | Unary::HardSigmoid { .. }) => return 0.3,
        Some(_) => 0.5,
    };
    factor * before
}
