//! Functions of one variable.

use super::call::{Call, Known, unsupported};
use super::import::Importer;
use crate::error::Result;
use crate::graph::{Op, Unary};

/// The function of an operator with its attributes, or `None` if the operator is not such a function.
pub fn unary(call: &Call) -> Result<Option<Unary>> {
    Ok(Some(match call.op() {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu { slope: call.float("alpha", 0.01)? },
        "Clip" => clip(call)?,
        "Sigmoid" => Unary::Sigmoid,
        "HardSigmoid" => {
            Unary::HardSigmoid { alpha: call.float("alpha", 0.2)?, beta: call.float("beta", 0.5)? }
        }
        "HardSwish" => Unary::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 },
        "Mish" => Unary::Mish,
        "Tanh" => Unary::Tanh,
        "Elu" => Unary::Elu { alpha: call.float("alpha", 1.0)? },
        "Gelu" => match call.node.text("approximate")?.unwrap_or("none") {
            "none" => Unary::Gelu,
            other => return Err(unsupported(format!("Gelu with approximate = {other:?}"))),
        },
        "Neg" => Unary::Affine { scale: -1.0, shift: 0.0 },
        "Reciprocal" => Unary::Reciprocal { numerator: 1.0 },
        "Abs" => Unary::Abs,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sqrt" => Unary::Sqrt,
        "Erf" => Unary::Erf,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Softplus" => Unary::Softplus,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        _ => return Ok(None),
    }))
}

/// `Clip`: limits are attributes before operator set 11, operands since; a missing one does not limit.
fn clip(call: &Call) -> Result<Unary> {
    let lo = match call.node.float("min")? {
        Some(lo) => Some(lo),
        None => call.optional_scalar(1)?,
    };
    let hi = match call.node.float("max")? {
        Some(hi) => Some(hi),
        None => call.optional_scalar(2)?,
    };
    let [lo, hi] = [lo.unwrap_or(f32::MIN).max(f32::MIN), hi.unwrap_or(f32::MAX).min(f32::MAX)];
    Ok(if lo == 0.0 && hi == f32::MAX { Unary::Relu } else { Unary::Clip { lo, hi } })
}

/// Adds a function of operand 0.
pub fn push(cx: &mut Importer<'_>, call: &Call, function: Unary) -> Result<Known> {
    let x = cx.value(call, 0)?;
    cx.push(call, Op::Unary(function), vec![x]).map(Known::Real)
}

/// `Cast` of a computed tensor: every real type is the same here.
pub fn cast(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    match call.int("to", 0)? {
        1 | 10 | 11 | 16 => cx.value(call, 0).map(Known::Real),
        other => {
            let name = super::tensor::type_name(other);
            Err(unsupported(format!("a cast of a computed tensor to {name}")))
        }
    }
}
