//! Operators of the graph: what a node means on real numbers, independent of any file format.
//!
//! Images are logically `[N, C, H, W]`. Weights, biases and other parameters are constant inputs; everything
//! else is an attribute, already resolved to numbers. An attribute that depends on shapes (SAME padding, a
//! −1 in a reshape, ceil mode) is resolved by the loader, which always knows the shapes.

use crate::tensor::Quant;

/// Element-wise function of one variable.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Unary {
    /// `max(x, 0)`
    Relu,
    /// `x` if positive, `slope · x` otherwise
    LeakyRelu {
        slope: f32,
    },
    /// `min(max(x, lo), hi)`
    Clip {
        lo: f32,
        hi: f32,
    },
    /// `1 / (1 + e^−x)`
    Sigmoid,
    /// `x · sigmoid(x)`; also called swish
    Silu,
    /// `x · clamp(alpha·x + beta, 0, 1)`
    HardSwish {
        alpha: f32,
        beta: f32,
    },
    /// `clamp(alpha·x + beta, 0, 1)`
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    /// `x · tanh(ln(1 + e^x))`
    Mish,
    /// Hyperbolic tangent
    Tanh,
    /// `x` if positive, `alpha · (e^x − 1)` otherwise
    Elu {
        alpha: f32,
    },
    /// `x/2 · (1 + erf(x/√2))`
    Gelu,
    /// `scale · x + shift`: any arithmetic with a constant scalar
    Affine {
        scale: f32,
        shift: f32,
    },
    /// `x ^ exponent`
    Pow {
        exponent: f32,
    },
    /// `numerator / x`
    Reciprocal {
        numerator: f32,
    },
    Abs,
    Exp,
    Log,
    Sqrt,
    Erf,
    Floor,
    Ceil,
    /// Nearest integer, ties to even
    Round,
    Softplus,
    Sin,
    Cos,
}

/// Element-wise function of two variables, with broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
}

/// What a pooling window takes of its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum PoolKind {
    Max,
    Avg,
}

/// What a reduction takes of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ReduceKind {
    Mean,
    Sum,
    Max,
    Min,
}

/// Interpolation of [`Op::Resize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    /// Nearest neighbour: `source = min(floor(i · in/out), in − 1)` for [`ResizeCoords::Asymmetric`].
    Nearest,
    /// Bilinear.
    Linear,
}

/// From output to input coordinates in [`Op::Resize`]; `i` is the output index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeCoords {
    /// `i · in/out`
    Asymmetric,
    /// `(i + ½) · in/out − ½`; nearest rounds half down
    HalfPixel,
    /// `i · (in − 1)/(out − 1)`
    AlignCorners,
}

/// Sliding window of a convolution or pooling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowAttrs {
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Step down and right.
    pub stride: [usize; 2],
    /// Distance between taps, down and right.
    pub dilation: [usize; 2],
    /// Padding `[top, left, bottom, right]`.
    pub pad: [usize; 4],
}

/// An operator. Shapes of inputs → output are given where they are not obvious.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x [N,C,H,W]`, weights `[O, C/groups, kh, kw]` (constant), optional bias `[O]` (constant) →
    /// `[N,O,H',W']`; then `activation`. Padding cells are zero.
    Conv {
        /// Window.
        window: WindowAttrs,
        /// Groups; `C` of them make a depthwise convolution.
        groups: usize,
        /// Fused activation.
        activation: Option<Unary>,
    },
    /// Transposed convolution: `x [N,C,H,W]`, weights `[C, O/groups, kh, kw]`, optional bias `[O]`.
    /// `H' = (H−1)·stride − pad + dilation·(kernel−1) + output_pad + 1`.
    ConvTranspose {
        /// Window.
        window: WindowAttrs,
        /// Extra rows and columns at the bottom and right.
        output_pad: [usize; 2],
        /// Groups.
        groups: usize,
        /// Fused activation.
        activation: Option<Unary>,
    },
    /// `x [.., K]`, weights `[O, K]` (constant), optional bias `[O]` → `[.., O]`; then `activation`.
    Linear {
        /// Fused activation.
        activation: Option<Unary>,
    },
    /// Pooling over `[N,C,H,W]`. Maximum ignores padding cells.
    Pool {
        /// Maximum or average.
        kind: PoolKind,
        /// Window; `pad` includes `tail`.
        window: WindowAttrs,
        /// Average: padding cells count as zeros (those of `tail` never count).
        count_include_pad: bool,
        /// Part of the bottom and right padding that exists only to complete the last window (ceil mode).
        tail: [usize; 2],
    },
    /// Average or maximum over uneven bins to a fixed `[rows, columns]`, as PyTorch's adaptive pooling.
    AdaptivePool {
        /// Maximum or average.
        kind: PoolKind,
        /// Output rows and columns.
        output: [usize; 2],
    },
    /// Element-wise function.
    Unary(Unary),
    /// `x [N,C,..]`, slope `[C]` (constant): `x` if positive, `slope · x` otherwise.
    PRelu,
    /// `x [N,C,..]`, scale `[C]`, shift `[C]` (constants): BatchNorm in inference form.
    ChannelAffine,
    /// Two inputs, broadcast as NumPy does; then `activation`. Either may be constant.
    Binary {
        /// The function.
        kind: Binary,
        /// Fused activation.
        activation: Option<Unary>,
    },
    /// Joins any number of inputs along `axis`.
    Concat {
        /// Axis.
        axis: usize,
    },
    /// Per dimension `start`, `step` (positive); the output's shape tells how many.
    Slice {
        /// First index per dimension.
        start: Vec<usize>,
        /// Distance per dimension.
        step: Vec<usize>,
        /// Number of elements per dimension.
        count: Vec<usize>,
    },
    /// Picks `indices` along `axis`. Channel shuffle is `axis = 1` and a permutation.
    Gather {
        /// Axis.
        axis: usize,
        /// Indices into `axis`.
        indices: Vec<usize>,
    },
    /// Output dimension `i` is input dimension `perm[i]`.
    Transpose {
        /// Permutation.
        perm: Vec<usize>,
    },
    /// Same elements in row-major order, new shape.
    Reshape {
        /// New shape; no −1, no 0-means-copy.
        shape: Vec<usize>,
    },
    /// Resizes height and width of `[N,C,H,W]`.
    Resize {
        /// Output rows and columns.
        output: [usize; 2],
        /// Output ÷ input per axis as the file gives it (rows, columns).
        scale: [f32; 2],
        /// Interpolation.
        mode: ResizeMode,
        /// Coordinates.
        coords: ResizeCoords,
    },
    /// Pads with a constant: cells before and after each dimension.
    Pad {
        /// Before, per dimension.
        before: Vec<usize>,
        /// After, per dimension.
        after: Vec<usize>,
        /// Value of the new cells.
        value: f32,
    },
    /// Softmax along `axis`.
    Softmax {
        /// Axis.
        axis: usize,
    },
    /// Reduces `axes`, which stay as extent 1 (a [`Op::Reshape`] follows where the file drops them).
    Reduce {
        /// What is taken.
        kind: ReduceKind,
        /// Axes, ascending.
        axes: Vec<usize>,
    },
    /// `[N,C,H,W]` → `[N,4C,H/2,W/2]`: the four phases of YOLOv5's Focus in its order
    /// (even rows and columns; odd rows, even columns; even rows, odd columns; odd both).
    Focus,
    /// Rounds onto an int8 grid and back to real numbers: `QuantizeLinear` → `DequantizeLinear`, or the
    /// input (output) of an ncnn int8 layer. It tells the planner which grid the tensor has.
    FakeQuant(Quant),
}

impl Op {
    /// Short name for messages and listings.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv { .. } => "Conv",
            Op::ConvTranspose { .. } => "ConvTranspose",
            Op::Linear { .. } => "Linear",
            Op::Pool { kind: PoolKind::Max, .. } => "MaxPool",
            Op::Pool { kind: PoolKind::Avg, .. } => "AvgPool",
            Op::AdaptivePool { .. } => "AdaptivePool",
            Op::Unary(_) => "Unary",
            Op::PRelu => "PRelu",
            Op::ChannelAffine => "ChannelAffine",
            Op::Binary { .. } => "Binary",
            Op::Concat { .. } => "Concat",
            Op::Slice { .. } => "Slice",
            Op::Gather { .. } => "Gather",
            Op::Transpose { .. } => "Transpose",
            Op::Reshape { .. } => "Reshape",
            Op::Resize { .. } => "Resize",
            Op::Pad { .. } => "Pad",
            Op::Softmax { .. } => "Softmax",
            Op::Reduce { .. } => "Reduce",
            Op::Focus => "Focus",
            Op::FakeQuant(_) => "FakeQuant",
        }
    }
}
