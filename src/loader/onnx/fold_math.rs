//! Arithmetic on constants.

use super::call::{Call, axes};
use super::import::Budget;
use super::tensor::{Constant, Kind};
use super::{dims, strided};
use crate::error::{Error, Result};
use crate::tensor::{Data, Shape, Tensor};
use std::cmp::Ordering;

/// Result of an arithmetic node, or `None` for any other operator. All operands are constants.
pub fn evaluate(budget: &mut Budget, call: &Call) -> Result<Option<Constant>> {
    // Codes have no value; a dequantized tensor is plain reals from here on.
    let tensors = call.inputs.iter().flatten().map(|known| match known.constant() {
        Some(Constant::Tensor(kind, tensor)) => Some((*kind, tensor.as_ref())),
        _ => None,
    });
    let Some(operands) = tensors.collect::<Option<Vec<_>>>() else { return Ok(None) };
    match *operands.as_slice() {
        [a] if call.op().starts_with("Reduce") => return reduce(budget, call, a),
        [a, _] if call.op().starts_with("Reduce") => return reduce(budget, call, a),
        [a] => {
            if let Some(f) = unary(call.op()) {
                return map(budget, a, f).map(Some);
            }
        }
        [a, b] => {
            if let Some(test) = comparison(call.op()) {
                return compare(budget, a, b, test).map(Some);
            }
        }
        [condition, a, b] if call.op() == "Where" => return select(budget, condition.1, a, b).map(Some),
        _ => {}
    }
    let Some((real, int)) = binary(call.op()) else { return Ok(None) };
    let Some((&first, others)) = operands.split_first() else { return Ok(None) };
    if others.len() > 1 && !matches!(call.op(), "Sum" | "Max" | "Min") {
        return Err(Error::bad_model(format!("{} operands", operands.len())));
    }
    let mut result = copy(first)?;
    for &b in others {
        let Constant::Tensor(kind, tensor) = &result else { return Ok(None) };
        result = combine(budget, (*kind, tensor), b, real, int)?;
    }
    Ok(Some(result))
}

type Operand<'a> = (Kind, &'a Tensor);

fn copy((kind, tensor): Operand) -> Result<Constant> {
    match tensor.data() {
        Data::I64(v) => Constant::ints(kind, tensor.shape().clone(), v.clone()),
        _ => Constant::reals(tensor.shape().clone(), tensor.to_f32()),
    }
}

type RealMap = fn(f32) -> f32;
type IntMap = fn(i64) -> Option<i64>;

/// Functions of one variable, on reals and on integers.
fn unary(op: &str) -> Option<(RealMap, IntMap)> {
    let none: IntMap = |_| None;
    Some(match op {
        "Neg" => (|x| -x, i64::checked_neg),
        "Abs" => (f32::abs, i64::checked_abs),
        "Sign" => (|x| if x == 0.0 { 0.0 } else { x.signum() }, |x| Some(x.signum())),
        "Not" => (|x| x, |x| Some(i64::from(x == 0))),
        "Relu" => (|x| x.max(0.0), |x| Some(x.max(0))),
        "Floor" => (f32::floor, none),
        "Ceil" => (f32::ceil, none),
        "Round" => (f32::round_ties_even, none),
        "Sqrt" => (f32::sqrt, none),
        "Exp" => (f32::exp, none),
        "Log" => (f32::ln, none),
        "Sin" => (f32::sin, none),
        "Cos" => (f32::cos, none),
        "Tanh" => (f32::tanh, none),
        "Sigmoid" => (|x| 1.0 / (1.0 + (-x).exp()), none),
        "Reciprocal" => (f32::recip, none),
        _ => return None,
    })
}

fn map(budget: &mut Budget, (kind, tensor): Operand, (real, int): (RealMap, IntMap)) -> Result<Constant> {
    let shape = tensor.shape().clone();
    budget.cells(shape.elements())?;
    match tensor.as_i64() {
        Some(ints) => {
            let values = ints.iter().map(|&x| int(x).ok_or_else(overflow)).collect::<Result<_>>()?;
            Constant::ints(kind, shape, values)
        }
        None => Constant::reals(shape, tensor.to_f32().into_iter().map(real).collect()),
    }
}

fn overflow() -> Error {
    Error::bad_model("integer arithmetic on constants overflows, divides by zero or is undefined")
}

type RealBinary = fn(f32, f32) -> f32;
type IntBinary = fn(i64, i64) -> Option<i64>;

/// Functions of two variables, on reals and on integers.
fn binary(op: &str) -> Option<(RealBinary, IntBinary)> {
    Some(match op {
        "Add" | "Sum" => (|a, b| a + b, i64::checked_add),
        "Sub" => (|a, b| a - b, i64::checked_sub),
        "Mul" => (|a, b| a * b, i64::checked_mul),
        "Div" => (|a, b| a / b, i64::checked_div),
        "Max" => (f32::max, |a, b| Some(a.max(b))),
        "Min" => (f32::min, |a, b| Some(a.min(b))),
        "Pow" => (f32::powf, |a, b| a.checked_pow(u32::try_from(b).ok()?)),
        "Mod" => (|a, b| a - b * (a / b).floor(), |a, b| a.checked_rem_euclid(b)),
        "And" => (|a, _| a, |a, b| Some(a & b)),
        "Or" => (|a, _| a, |a, b| Some(a | b)),
        _ => return None,
    })
}

fn comparison(op: &str) -> Option<fn(Option<Ordering>) -> bool> {
    Some(match op {
        "Equal" => |o| o == Some(Ordering::Equal),
        "Greater" => |o| o == Some(Ordering::Greater),
        "Less" => |o| o == Some(Ordering::Less),
        "GreaterOrEqual" => |o| matches!(o, Some(Ordering::Greater | Ordering::Equal)),
        "LessOrEqual" => |o| matches!(o, Some(Ordering::Less | Ordering::Equal)),
        _ => return None,
    })
}

/// Pairs of cells of two broadcast operands, as flat indices.
fn pairs(
    budget: &mut Budget,
    a: &Tensor,
    b: &Tensor,
) -> Result<(Shape, impl Iterator<Item = (usize, usize)>)> {
    let shape = dims::broadcast(a.shape().dims(), b.shape().dims())?;
    budget.cells(shape.elements())?;
    let cells = |t: &Tensor| {
        let strides = strided::broadcast(t.shape().dims(), shape.rank());
        strided::indices(shape.dims().to_vec(), 0, strides)
    };
    let both = cells(a).zip(cells(b));
    Ok((shape, both))
}

fn combine(
    budget: &mut Budget,
    (kind, a): Operand,
    (_, b): Operand,
    real: RealBinary,
    int: IntBinary,
) -> Result<Constant> {
    let (shape, pairs) = pairs(budget, a, b)?;
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => {
            let values = pairs.map(|(i, j)| int(a[i], b[j]).ok_or_else(overflow)).collect::<Result<_>>()?;
            Constant::ints(kind, shape, values)
        }
        _ => {
            let (a, b) = (a.to_f32(), b.to_f32());
            Constant::reals(shape, pairs.map(|(i, j)| real(a[i], b[j])).collect())
        }
    }
}

fn compare(
    budget: &mut Budget,
    (_, a): Operand,
    (_, b): Operand,
    test: fn(Option<Ordering>) -> bool,
) -> Result<Constant> {
    let (shape, pairs) = pairs(budget, a, b)?;
    let values = match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => pairs.map(|(i, j)| i64::from(test(Some(a[i].cmp(&b[j]))))).collect(),
        _ => {
            let (a, b) = (a.to_f32(), b.to_f32());
            pairs.map(|(i, j)| i64::from(test(a[i].partial_cmp(&b[j])))).collect()
        }
    };
    Constant::ints(Kind::Bool, shape, values)
}

/// `Where`: of two tensors, cell by cell.
fn select(budget: &mut Budget, condition: &Tensor, (kind, a): Operand, (_, b): Operand) -> Result<Constant> {
    let inner = dims::broadcast(a.shape().dims(), b.shape().dims())?;
    let shape = dims::broadcast(condition.shape().dims(), inner.dims())?;
    budget.cells(shape.elements())?;
    let cells = |t: &Tensor| {
        let strides = strided::broadcast(t.shape().dims(), shape.rank());
        strided::indices(shape.dims().to_vec(), 0, strides)
    };
    let test = condition.as_i64().ok_or_else(|| Error::bad_model("the condition is not a truth value"))?;
    let cells = cells(condition).zip(cells(a).zip(cells(b)));
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => {
            let values = cells.map(|(c, (i, j))| if test[c] != 0 { a[i] } else { b[j] }).collect();
            Constant::ints(kind, shape, values)
        }
        _ => {
            let (a, b) = (a.to_f32(), b.to_f32());
            let values = cells.map(|(c, (i, j))| if test[c] != 0 { a[i] } else { b[j] }).collect();
            Constant::reals(shape, values)
        }
    }
}

/// `ReduceSum`, `ReduceProd`, `ReduceMax`, `ReduceMin`.
fn reduce(budget: &mut Budget, call: &Call, (kind, tensor): Operand) -> Result<Option<Constant>> {
    let of = match call.op() {
        "ReduceSum" => "Add",
        "ReduceProd" => "Mul",
        "ReduceMax" => "Max",
        "ReduceMin" => "Min",
        _ => return Ok(None),
    };
    let Some((real, int)) = binary(of) else { return Ok(None) };
    let from = tensor.shape().dims();
    let reduced = match call.ints_of("axes", 1)? {
        Some(list) if !list.is_empty() => axes(&list, from.len())?,
        _ if call.int("noop_with_empty_axes", 0)? != 0 => Vec::new(),
        _ => (0..from.len()).collect(),
    };
    let keep = call.int("keepdims", 1)? != 0;
    let kept = |i: &usize| !reduced.contains(i);
    let result = (0..from.len()).filter(|i| keep || kept(i)).map(|i| if kept(&i) { from[i] } else { 1 });
    let shape = Shape::new(result.collect::<Vec<_>>())?;
    budget.cells(tensor.shape().elements())?;
    budget.cells(shape.elements())?;
    let own = strided::row_major(from);
    let walk = |axes: Vec<usize>, offset| {
        let dims = axes.iter().map(|&i| from[i]).collect();
        strided::indices(dims, offset, axes.iter().map(|&i| own[i]).collect())
    };
    let starts = walk((0..from.len()).filter(kept).collect(), 0);
    let cells = |start| walk(reduced.clone(), start);
    let empty = || Error::bad_model("a reduction of no elements");
    Ok(Some(match tensor.as_i64() {
        Some(v) => {
            let fold = |start| {
                let mut all = cells(start).map(|i| Some(v[i]));
                let first = all.next().ok_or_else(empty)?;
                all.fold(first, |sum, x| int(sum?, x?)).ok_or_else(overflow)
            };
            Constant::ints(kind, shape, starts.map(fold).collect::<Result<_>>()?)?
        }
        None => {
            let v = tensor.to_f32();
            let fold = |start| cells(start).map(|i| v[i]).reduce(real).ok_or_else(empty);
            Constant::reals(shape, starts.map(fold).collect::<Result<_>>()?)?
        }
    }))
}
