//! Arithmetic of two or more tensors, reductions, softmax.

use super::call::{Call, Known, axes, axis, single};
use super::import::Importer;
use crate::error::{Error, Result};
use crate::graph::{Binary, Op, ReduceKind, Unary, ValueId};

/// The function of an arithmetic operator.
pub fn binary_kind(op: &str) -> Option<Binary> {
    Some(match op {
        "Add" | "Sum" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        "Pow" => Binary::Pow,
        _ => return None,
    })
}

/// `Add`, `Sub`, `Mul`, `Div`, `Pow` of two tensors; `Sum`, `Max`, `Min` of any number.
pub fn arithmetic(cx: &mut Importer<'_>, call: &Call, kind: Binary) -> Result<Known> {
    let count = call.inputs.len();
    let any_number = matches!(call.op(), "Sum" | "Max" | "Min");
    if count == 0 || !any_number && count != 2 {
        return Err(Error::bad_model(format!("{} with {count} operands", call.op())));
    }
    if count == 2 {
        return two(cx, call, kind).map(Known::Real);
    }
    let mut result = cx.value(call, 0)?;
    for i in 1..count {
        let operands = vec![result, cx.value(call, i)?];
        let op = Op::Binary { kind, activation: None };
        result = match i + 1 == count {
            true => cx.push(call, op, operands)?,
            false => cx.push_part(call, &format!("{i}"), op, operands)?,
        };
    }
    Ok(Known::Real(result))
}

fn two(cx: &mut Importer<'_>, call: &Call, kind: Binary) -> Result<ValueId> {
    for (tensor, constant) in [(0, 1), (1, 0)] {
        let Known::Real(x) = call.input(tensor)? else { continue };
        let Some(c) = call.input(constant)?.constant() else { continue };
        let Some(value) = single(c).filter(|_| c.shape().rank() <= cx.graph.shape(*x).rank()) else {
            continue;
        };
        if let Some(unary) = with_scalar(kind, value, constant == 0) {
            return cx.push(call, Op::Unary(unary), vec![*x]);
        }
    }
    let operands = vec![cx.value(call, 0)?, cx.value(call, 1)?];
    cx.push(call, Op::Binary { kind, activation: None }, operands)
}

/// The function of one variable that arithmetic with the constant `c` is; `first`: `c` is on the left.
fn with_scalar(kind: Binary, c: f32, first: bool) -> Option<Unary> {
    if !c.is_finite() {
        return None;
    }
    Some(match (kind, first) {
        (Binary::Add, _) => Unary::Affine { scale: 1.0, shift: c },
        (Binary::Sub, false) => Unary::Affine { scale: 1.0, shift: -c },
        (Binary::Sub, true) => Unary::Affine { scale: -1.0, shift: c },
        (Binary::Mul, _) => Unary::Affine { scale: c, shift: 0.0 },
        (Binary::Div, false) if c.recip().is_normal() => Unary::Affine { scale: c.recip(), shift: 0.0 },
        (Binary::Div, true) => Unary::Reciprocal { numerator: c },
        (Binary::Max, _) if c == 0.0 => Unary::Relu,
        (Binary::Max, _) => Unary::Clip { lo: c, hi: f32::MAX },
        (Binary::Min, _) => Unary::Clip { lo: f32::MIN, hi: c },
        (Binary::Pow, false) => Unary::Pow { exponent: c },
        (Binary::Div, false) | (Binary::Pow, true) => return None,
    })
}

/// `ReduceMean`, `ReduceSum`, `ReduceMax`, `ReduceMin`.
pub fn reduce(cx: &mut Importer<'_>, call: &Call, kind: ReduceKind) -> Result<Known> {
    let x = cx.value(call, 0)?;
    let dims = cx.graph.shape(x).dims().to_vec();
    let reduced = match call.ints_of("axes", 1)? {
        Some(list) if !list.is_empty() => axes(&list, dims.len())?,
        _ if call.int("noop_with_empty_axes", 0)? != 0 => return Ok(Known::Real(x)),
        _ => (0..dims.len()).collect(),
    };
    let op = Op::Reduce { kind, axes: reduced.clone() };
    if call.int("keepdims", 1)? != 0 {
        return cx.push(call, op, vec![x]).map(Known::Real);
    }
    let kept = cx.push_part(call, "kept", op, vec![x])?;
    let shape = (0..dims.len()).filter(|i| !reduced.contains(i)).map(|i| dims[i]).collect();
    cx.push(call, Op::Reshape { shape }, vec![kept]).map(Known::Real)
}

/// `Softmax`: along one axis since operator set 13; before that over all axes from `axis` on.
pub fn softmax(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let x = cx.value(call, 0)?;
    let dims = cx.graph.shape(x).dims().to_vec();
    let default = if call.opset >= 13 { -1 } else { 1 };
    let axis = axis(call.int("axis", default)?, dims.len())?;
    let softmax = |axis| Op::Softmax { axis };
    if call.opset >= 13 || dims[axis + 1..].iter().all(|&d| d == 1) {
        return cx.push(call, softmax(axis), vec![x]).map(Known::Real);
    }
    let shape = vec![dims[..axis].iter().product(), dims[axis..].iter().product()];
    let flat = cx.push_part(call, "flat", Op::Reshape { shape }, vec![x])?;
    let soft = cx.push_part(call, "softmax", softmax(1), vec![flat])?;
    cx.push(call, Op::Reshape { shape: dims }, vec![soft]).map(Known::Real)
}
