//! Layers that treat every element alike: activations, arithmetic, and scales per channel.

use super::param::Layer;
use super::params::Params;
use super::translate::{Blob, Step, Translator};
use crate::error::{Error, Result};
use crate::graph::{Binary, Op, Unary, ValueId};
use crate::limits::DIM_MAX;

/// The function that a layer applies last: its type and its parameters by their ids.
pub(super) fn fused_activation(p: &Params, type_id: usize, params_id: usize) -> Result<Option<Unary>> {
    let kind = p.int(type_id, 0)?;
    let values = p.floats(params_id)?.unwrap_or_default();
    let unary = match (kind, values.as_slice()) {
        (0, _) => return Ok(None),
        (1, _) => Unary::Relu,
        (2, &[slope]) => Unary::LeakyRelu { slope },
        (3, &[lo, hi]) => clip(lo, hi)?,
        (4, _) => Unary::Sigmoid,
        (5, _) => Unary::Mish,
        (6, &[alpha, beta]) => Unary::HardSwish { alpha, beta },
        (2 | 3 | 6, _) => {
            let what = format!("activation {kind} with {} parameters (id {params_id})", values.len());
            return Err(Error::bad_model(what));
        }
        _ => return Err(Error::unsupported(format!("activation {kind} is not known"))),
    };
    Ok(Some(unary))
}

fn clip(lo: f32, hi: f32) -> Result<Unary> {
    if lo > hi {
        return Err(Error::bad_model(format!("it clips to {lo}..{hi}")));
    }
    Ok(Unary::Clip { lo, hi })
}

fn affine(scale: f32, shift: f32) -> Step {
    Op::Unary(Unary::Affine { scale, shift }).into()
}

/// A function of one variable by its UnaryOp number.
fn unary_op(number: i32) -> Result<Vec<Step>> {
    let unary = match number {
        0 => Unary::Abs,
        1 => Unary::Affine { scale: -1.0, shift: 0.0 },
        2 => Unary::Floor,
        3 => Unary::Ceil,
        4 => Unary::Pow { exponent: 2.0 },
        5 => Unary::Sqrt,
        6 => {
            return Ok(vec![
                Op::Unary(Unary::Sqrt).into(),
                Op::Unary(Unary::Reciprocal { numerator: 1.0 }).into(),
            ]);
        }
        7 => Unary::Exp,
        8 => Unary::Log,
        9 => Unary::Sin,
        10 => Unary::Cos,
        15 => Unary::Reciprocal { numerator: 1.0 },
        16 => Unary::Tanh,
        17 => return Ok(vec![Op::Unary(Unary::Log).into(), affine(std::f32::consts::LOG10_E, 0.0)]),
        18 => Unary::Round,
        11..=14 | 19 => return Err(Error::unsupported(format!("unary operation {number} is not supported"))),
        _ => return Err(Error::unsupported(format!("unary operation {number} is not known"))),
    };
    Ok(vec![Op::Unary(unary).into()])
}

/// `x op b` for a scalar `b`, by BinaryOp number.
fn scalar_op(number: i32, b: f32) -> Result<Unary> {
    let unary = match number {
        0 => Unary::Affine { scale: 1.0, shift: b },
        1 => Unary::Affine { scale: 1.0, shift: -b },
        2 => Unary::Affine { scale: b, shift: 0.0 },
        3 => Unary::Affine { scale: 1.0 / b, shift: 0.0 },
        4 => Unary::Clip { lo: b, hi: f32::INFINITY },
        5 => Unary::Clip { lo: f32::NEG_INFINITY, hi: b },
        6 => Unary::Pow { exponent: b },
        7 => Unary::Affine { scale: -1.0, shift: b },
        8 => Unary::Reciprocal { numerator: b },
        _ => {
            return Err(Error::unsupported(format!(
                "binary operation {number} with a scalar is not supported"
            )));
        }
    };
    match unary {
        Unary::Affine { scale, .. } if !scale.is_finite() => Err(Error::bad_model("division by zero")),
        unary => Ok(unary),
    }
}

/// `a op b` by BinaryOp number, and whether the operands change places.
fn binary_kind(number: i32) -> Result<(Binary, bool)> {
    Ok(match number {
        0 => (Binary::Add, false),
        1 => (Binary::Sub, false),
        2 => (Binary::Mul, false),
        3 => (Binary::Div, false),
        4 => (Binary::Max, false),
        5 => (Binary::Min, false),
        6 => (Binary::Pow, false),
        7 => (Binary::Sub, true),
        8 => (Binary::Div, true),
        9 => (Binary::Pow, true),
        _ => return Err(Error::unsupported(format!("binary operation {number} is not supported"))),
    })
}

/// Dimensions that a blob takes beside one of `other` dimensions, as ncnn expands the shorter one.
///
/// A vector lies along the outermost axis (the channels) if its length fits there, else along the innermost;
/// anything else gets extents of 1 behind its own.
fn expanded(dims: &[usize], other: &[usize]) -> Vec<usize> {
    let missing = other.len().saturating_sub(dims.len());
    match dims {
        [n] if missing > 0 && *n != other[0] => {
            let mut expanded = vec![1; other.len()];
            expanded[other.len() - 1] = *n;
            expanded
        }
        _ => [dims, &vec![1; missing]].concat(),
    }
}

impl<'a> Translator<'a> {
    /// Layers that are a function of one variable.
    pub(super) fn activation_layer(&mut self, layer: &'a Layer) -> Result<()> {
        let p = &layer.params;
        let unary = match layer.kind.as_str() {
            "ReLU" => match p.float(0, 0.0)? {
                0.0 => Unary::Relu,
                slope => Unary::LeakyRelu { slope },
            },
            "Swish" => Unary::Silu,
            "HardSwish" => Unary::HardSwish { alpha: p.float(0, 0.2)?, beta: p.float(1, 0.5)? },
            "HardSigmoid" => Unary::HardSigmoid { alpha: p.float(0, 0.2)?, beta: p.float(1, 0.5)? },
            "Sigmoid" => Unary::Sigmoid,
            "TanH" => Unary::Tanh,
            "Mish" => Unary::Mish,
            "Softplus" => Unary::Softplus,
            "AbsVal" => Unary::Abs,
            "Erf" => Unary::Erf,
            "ELU" => Unary::Elu { alpha: p.float(0, 0.1)? },
            "GELU" => {
                // The fast form is the same function, approximated by tanh to about 5e-4.
                p.flag(0, false)?;
                Unary::Gelu
            }
            "Clip" => clip(p.float(0, f32::MIN)?, p.float(1, f32::MAX)?)?,
            "UnaryOp" => return self.chain_one(layer, unary_op(p.int(0, 0)?)?),
            "Dropout" => match p.float(0, 1.0)? {
                1.0 => return self.chain_one(layer, Vec::new()),
                scale => Unary::Affine { scale, shift: 0.0 },
            },
            kind => {
                let what = format!("the layer type {kind} is not supported here; ncnn itself may run it");
                return Err(Error::unsupported(what));
            }
        };
        self.chain_one(layer, vec![Op::Unary(unary).into()])
    }

    pub(super) fn binary_op(&mut self, layer: &'a Layer) -> Result<()> {
        let p = &layer.params;
        let number = p.int(0, 0)?;
        let b = p.float(2, 0.0)?;
        if p.flag(1, false)? {
            return self.chain_one(layer, vec![Op::Unary(scalar_op(number, b)?).into()]);
        }
        self.arity(layer, 2, 1)?;
        let (kind, swapped) = binary_kind(number)?;
        let (a, b) = (self.input(layer, 0), self.input(layer, 1));
        let operands = if swapped { [b, a] } else { [a, b] };
        self.broadcast(layer, kind, operands)
    }

    /// `kind` over two blobs, the one with fewer dimensions expanded as ncnn does.
    fn broadcast(&mut self, layer: &'a Layer, kind: Binary, [a, b]: [Blob; 2]) -> Result<()> {
        let (a_dims, b_dims) = (self.dims(a), self.dims(b));
        let with_batch = |dims: Vec<usize>| [vec![1], dims].concat();
        let a = self.reshaped(layer, a.value, with_batch(expanded(&a_dims, &b_dims)))?;
        let b = self.reshaped(layer, b.value, with_batch(expanded(&b_dims, &a_dims)))?;
        self.chain_to(layer, 0, a, vec![Step::new(Op::Binary { kind, activation: None }, vec![b])])
    }

    pub(super) fn eltwise(&mut self, layer: &'a Layer) -> Result<()> {
        let p = &layer.params;
        let kind = match p.int(0, 0)? {
            0 => Binary::Mul,
            1 => Binary::Add,
            2 => Binary::Max,
            other => return Err(Error::bad_model(format!("element-wise operation {other}"))),
        };
        let coefficients = p.floats(1)?.unwrap_or_default();
        let count = layer.inputs.len();
        self.arity(layer, count.max(2), 1)?;
        if kind != Binary::Add && !coefficients.is_empty() {
            return Err(Error::unsupported("coefficients outside a sum are not supported"));
        }
        if !coefficients.is_empty() && coefficients.len() != count {
            return Err(Error::bad_model(format!("{} coefficients for {count} inputs", coefficients.len())));
        }
        let mut terms = Vec::with_capacity(count);
        for i in 0..count {
            let blob = self.input(layer, i);
            if self.dims(blob) != self.dims(self.input(layer, 0)) {
                return Err(Error::bad_model("its inputs differ in shape"));
            }
            terms.push(match coefficients.get(i) {
                Some(&scale) if scale != 1.0 => {
                    let op = Op::Unary(Unary::Affine { scale, shift: 0.0 });
                    self.graph.push(
                        layer.name.clone(),
                        op,
                        vec![blob.value],
                        format!("{}/term{i}", layer.name),
                    )?
                }
                _ => blob.value,
            });
        }
        let step = |&term: &ValueId| Step::new(Op::Binary { kind, activation: None }, vec![term]);
        self.chain_to(layer, 0, terms[0], terms[1..].iter().map(step).collect())
    }

    /// `scale · x + shift` per channel of a value `[1, C, ..]`.
    pub(super) fn channel_affine(
        &mut self,
        layer: &Layer,
        value: ValueId,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Result<Step> {
        let channels = self.graph.shape(value)[1];
        if scale.len() != channels {
            return Err(Error::bad_model(format!("{} parameters for {channels} channels", scale.len())));
        }
        let scale = self.channel_constant(layer, "scale", scale)?;
        let shift = self.channel_constant(layer, "shift", shift)?;
        Ok(Step::new(Op::ChannelAffine, vec![scale, shift]))
    }

    pub(super) fn batch_norm(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let channels = layer.params.size(0, 0, 1..=DIM_MAX)?;
        let eps = layer.params.float(1, 0.0)?;
        let [slope, mean, variance, bias] = [(); 4].map(|()| self.weights.reals(channels));
        let (slope, mean, variance, bias) = (slope?, mean?, variance?, bias?);
        let scale: Vec<f32> = slope.iter().zip(&variance).map(|(s, v)| s / (v + eps).sqrt()).collect();
        let shift: Vec<f32> = (0..channels).map(|i| bias[i] - mean[i] * scale[i]).collect();
        if !scale.iter().chain(&shift).all(|x| x.is_finite()) {
            return Err(Error::bad_model("a variance is zero or negative"));
        }
        let step = self.channel_affine(layer, blob.value, scale, shift)?;
        self.chain_to(layer, 0, blob.value, vec![step])
    }

    pub(super) fn scale(&mut self, layer: &'a Layer) -> Result<()> {
        let has_bias = layer.params.flag(1, false)?;
        if layer.params.int(0, 0)? == super::window::ABSENT {
            self.arity(layer, 2, 1)?;
            if has_bias {
                return Err(Error::unsupported("a bias beside a scale from a second blob is not supported"));
            }
            let operands = [self.input(layer, 0), self.input(layer, 1)];
            let (x, scale) = (self.dims(operands[0]), self.dims(operands[1]));
            if scale.len() != 1 || scale[0] != x[0] {
                return Err(Error::unsupported(format!(
                    "a scale of shape {scale:?} for {x:?} is not supported"
                )));
            }
            return self.broadcast(layer, Binary::Mul, operands);
        }
        let blob = self.only_input(layer)?;
        let count = layer.params.size(0, 0, 1..=DIM_MAX)?;
        let scale = self.weights.reals(count)?;
        let shift = if has_bias { self.weights.reals(count)? } else { vec![0.0; count] };
        let step = self.channel_affine(layer, blob.value, scale, shift)?;
        self.chain_to(layer, 0, blob.value, vec![step])
    }

    pub(super) fn bias(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let shift = self.weights.reals(layer.params.size(0, 0, 1..=DIM_MAX)?)?;
        let step = self.channel_affine(layer, blob.value, vec![1.0; shift.len()], shift)?;
        self.chain_to(layer, 0, blob.value, vec![step])
    }

    pub(super) fn prelu(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let slopes = self.weights.reals(layer.params.size(0, 0, 1..=DIM_MAX)?)?;
        let channels = self.dims(blob).first().copied().unwrap_or(0);
        let step = match slopes[..] {
            [slope] => Op::Unary(Unary::LeakyRelu { slope }).into(),
            _ if slopes.len() == channels => {
                let slopes = self.channel_constant(layer, "slopes", slopes)?;
                Step::new(Op::PRelu, vec![slopes])
            }
            _ => return Err(Error::bad_model(format!("{} slopes for {channels} channels", slopes.len()))),
        };
        self.chain_to(layer, 0, blob.value, vec![step])
    }
}
