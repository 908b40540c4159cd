//! Activations, arithmetic, and scales per channel.

use super::bin;
use super::layer::{Params, Step, unsupported};
use super::writer::{Dims, Writer};
use crate::error::Result;
use ocellus::graph::{Binary, Node, Unary, ValueId};

/// The parameters 9 and 10 (3 and 4) of a layer that applies a function last, if it can apply this one.
pub(super) fn fused(activation: Unary) -> Option<(usize, Vec<f32>)> {
    match activation {
        Unary::Relu => Some((1, vec![])),
        Unary::LeakyRelu { slope } => Some((2, vec![slope])),
        Unary::Clip { lo, hi } => Some((3, vec![bounded(lo), bounded(hi)])),
        Unary::Sigmoid => Some((4, vec![])),
        Unary::Mish => Some((5, vec![])),
        Unary::HardSwish { alpha, beta } => Some((6, vec![alpha, beta])),
        _ => None,
    }
}

/// The largest number of this sign for an infinite one, which the files cannot spell.
fn bounded(x: f32) -> f32 {
    x.clamp(f32::MIN, f32::MAX)
}

/// Layers that follow a layer for a function that it cannot apply itself.
pub(super) fn following(activation: Option<Unary>) -> Result<Vec<Step>> {
    activation.map_or(Ok(Vec::new()), activation_steps)
}

/// Layers that are a function of one variable.
pub(super) fn activation_steps(unary: Unary) -> Result<Vec<Step>> {
    let none = Params::default;
    let step = match unary {
        Unary::Relu => Step::new("ReLU", none()),
        Unary::LeakyRelu { slope } => Step::new("ReLU", none().float(0, slope)),
        Unary::Clip { lo, hi } => Step::new("Clip", none().float(0, bounded(lo)).float(1, bounded(hi))),
        Unary::Sigmoid => Step::new("Sigmoid", none()),
        Unary::Silu => Step::new("Swish", none()),
        Unary::HardSwish { alpha, beta } => Step::new("HardSwish", none().float(0, alpha).float(1, beta)),
        Unary::HardSigmoid { alpha, beta } => Step::new("HardSigmoid", none().float(0, alpha).float(1, beta)),
        Unary::Mish => Step::new("Mish", none()),
        Unary::Tanh => Step::new("TanH", none()),
        Unary::Elu { alpha } => Step::new("ELU", none().float(0, alpha)),
        Unary::Gelu => Step::new("GELU", none()),
        Unary::Affine { scale, shift } => return Ok(affine(scale, shift)),
        Unary::Pow { exponent } => return power(exponent),
        Unary::Reciprocal { numerator: 1.0 } => unary_op(15),
        Unary::Reciprocal { numerator } => scalar_op(Scalar::DividedBy, numerator),
        Unary::Abs => Step::new("AbsVal", none()),
        Unary::Exp => unary_op(7),
        Unary::Log => unary_op(8),
        Unary::Sqrt => unary_op(5),
        Unary::Erf => Step::new("Erf", none()),
        Unary::Floor => unary_op(2),
        Unary::Ceil => unary_op(3),
        Unary::Round => unary_op(18),
        Unary::Softplus => Step::new("Softplus", none()),
        Unary::Sin => unary_op(9),
        Unary::Cos => unary_op(10),
    };
    Ok(vec![step])
}

/// Numbers of BinaryOp beyond those of [`Binary`].
#[derive(Clone, Copy)]
enum Scalar {
    Add = 0,
    Mul = 2,
    Pow = 6,
    /// `b − x`
    SubtractedFrom = 7,
    /// `b ÷ x`
    DividedBy = 8,
    /// `b ^ x`
    Raised = 9,
}

fn unary_op(number: usize) -> Step {
    Step::new("UnaryOp", Params::default().int(0, number))
}

/// BinaryOp of a blob and the number `b`.
fn scalar_op(number: Scalar, b: f32) -> Step {
    numbered_scalar_op(number as usize, b)
}

fn numbered_scalar_op(number: usize, b: f32) -> Step {
    Step::new("BinaryOp", Params::default().int(0, number).int(1, 1).float(2, b))
}

/// A power. ncnn computes it by way of logarithms, which no negative number has: whole exponents, for which
/// that would matter, are made of squares.
fn power(exponent: f32) -> Result<Vec<Step>> {
    let square = || unary_op(4);
    Ok(match exponent {
        2.0 => vec![square()],
        4.0 => vec![square(), square()],
        _ if exponent.fract() != 0.0 => vec![scalar_op(Scalar::Pow, exponent)],
        _ => return unsupported(format!("it raises to the power {exponent}")),
    })
}

fn affine(scale: f32, shift: f32) -> Vec<Step> {
    match (scale, shift) {
        (1.0, shift) => vec![scalar_op(Scalar::Add, shift)],
        (-1.0, shift) => vec![scalar_op(Scalar::SubtractedFrom, shift)],
        (scale, 0.0) => vec![scalar_op(Scalar::Mul, scale)],
        (scale, shift) => vec![scalar_op(Scalar::Mul, scale), scalar_op(Scalar::Add, shift)],
    }
}

fn binary_number(kind: Binary) -> usize {
    match kind {
        Binary::Add => Scalar::Add as usize,
        Binary::Sub => 1,
        Binary::Mul => Scalar::Mul as usize,
        Binary::Div => 3,
        Binary::Max => 4,
        Binary::Min => 5,
        Binary::Pow => Scalar::Pow as usize,
    }
}

/// The operation whose first operand is the second of `kind`.
fn swapped_number(kind: Binary) -> usize {
    match kind {
        Binary::Sub => Scalar::SubtractedFrom as usize,
        Binary::Div => Scalar::DividedBy as usize,
        Binary::Pow => Scalar::Raised as usize,
        commutative => binary_number(commutative),
    }
}

impl Writer<'_> {
    pub(super) fn binary(
        &mut self,
        at: usize,
        node: &Node,
        kind: Binary,
        activation: Option<Unary>,
    ) -> Result<()> {
        let (a, b) = (node.inputs[0], node.inputs[1]);
        for (x, scalar, number) in [(a, b, binary_number(kind)), (b, a, swapped_number(kind))] {
            let number_of = self.graph.constant(scalar).filter(|tensor| tensor.shape().elements() == 1);
            let same = self.dims(x)? == self.dims(node.output)? && self.graph.constant(x).is_none();
            if let Some(tensor) = number_of.filter(|_| same) {
                let steps = vec![numbered_scalar_op(number, tensor.to_f32()[0])];
                let start = self.blob(x)?;
                return self.chain(at, node, vec![start], [steps, following(activation)?].concat());
            }
        }
        let operands = vec![self.aligned(node, a)?, self.aligned(node, b)?];
        let step = Step::new("BinaryOp", Params::default().int(0, binary_number(kind)));
        self.chain(at, node, operands, [vec![step], following(activation)?].concat())
    }

    /// An operand with as many dimensions as the result: ncnn would expand fewer in its own way.
    fn aligned(&mut self, node: &Node, id: ValueId) -> Result<usize> {
        let rank = self.graph.shape(node.output).rank();
        let lead = self.lead(node.output);
        let [here, there] = [self.graph, self.other].map(|graph| {
            let dims = graph.shape(id).dims();
            let full = [vec![1; rank - dims.len()], dims.to_vec()].concat();
            full[lead..].to_vec()
        });
        let dims = Dims { here, there };
        if self.graph.constant(id).is_some() {
            return self.memory(id, &dims);
        }
        let (from, blob) = (self.dims(id)?, self.blob(id)?);
        if from == dims {
            return Ok(blob);
        }
        let step = self.reshape_step(&from, &dims)?;
        let name = self.layer_name(&format!("{}_reshape", node.name));
        let wish = format!("{}/reshaped", self.graph.value(id).name);
        Ok(self.layer(name, step, vec![blob], vec![wish])[0])
    }

    pub(super) fn prelu(&mut self, at: usize, node: &Node) -> Result<()> {
        let slopes = self.channel_parameter(node, 1)?;
        let step = Step {
            kind: "PReLU",
            params: Params::default().int(0, slopes.len()),
            weights: bin::reals(&slopes),
            int8: None,
        };
        self.chain_one(at, node, vec![step])
    }

    pub(super) fn channel_affine(&mut self, at: usize, node: &Node) -> Result<()> {
        let (scale, shift) = (self.channel_parameter(node, 1)?, self.channel_parameter(node, 2)?);
        let step = Step {
            kind: "Scale",
            params: Params::default().int(0, scale.len()).int(1, 1),
            weights: bin::reals(&[scale, shift].concat()),
            int8: None,
        };
        self.chain_one(at, node, vec![step])
    }

    /// A constant with an element per channel, the outermost axis of the blob.
    fn channel_parameter(&self, node: &Node, i: usize) -> Result<Vec<f32>> {
        if self.axis(node, 1)? != 0 {
            return unsupported("its channels are not the outermost axis");
        }
        self.parameter(node, i)
    }
}
