//! Nodes whose operands are all constants: shape arithmetic, grids of anchors, rearranged weights.

use super::call::{Call, axis};
use super::fold_math;
use super::import::{Budget, Importer};
use super::tensor::{Codes, Constant, Kind};
use super::{dims, strided};
use crate::error::{Error, Result};
use crate::tensor::{Data, Shape, Tensor};
use std::sync::Arc;

/// Results of a node, or `None` if an operand is not a constant or the operator is left to the graph.
pub fn evaluate(cx: &mut Importer<'_>, call: &Call) -> Result<Option<Vec<Constant>>> {
    if call.op() == "Constant" {
        return Ok(Some(vec![constant_node(cx, call)?]));
    }
    let constants = call.inputs.iter().flatten().map(|known| known.constant());
    let Some(constants) = constants.collect::<Option<Vec<_>>>() else { return Ok(None) };
    let Some(first) = constants.first() else { return Ok(None) };
    constants.iter().try_for_each(|c| cx.budget.spend(c.bytes()))?;
    let (kind, tensor) = match first {
        Constant::Tensor(kind, tensor) => (*kind, tensor),
        Constant::Codes(codes) => return uncode(cx, call, codes),
    };
    let budget = &mut cx.budget;
    let folded = match call.op() {
        "Cast" => cast(budget, kind, tensor, call.int("to", 0)?)?,
        "ConstantOfShape" => constant_of_shape(cx, call)?,
        "Range" => range(budget, call, kind)?,
        "Concat" => concat(budget, call, kind)?,
        "Split" => return Ok(Some(split(budget, call, kind, tensor)?)),
        _ => match moved(budget, call, kind, tensor)? {
            Some(folded) => folded,
            None => return Ok(fold_math::evaluate(budget, call)?.map(|c| vec![c])),
        },
    };
    Ok(Some(vec![folded]))
}

/// `Shape` and `Size` of anything.
pub fn shape(call: &Call, dims: &[usize]) -> Result<Constant> {
    let extent = |d: &usize| *d as i64;
    if call.op() == "Size" {
        return Constant::ints(Kind::Int64, Shape::new([])?, vec![dims.iter().map(extent).product()]);
    }
    let rank = dims.len() as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (clamp(call.int("start", 0)?), clamp(call.int("end", rank)?));
    let list: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(extent).collect();
    Constant::ints(Kind::Int64, Shape::new([list.len()])?, list)
}

/// The only arithmetic on bare codes: they become numbers.
fn uncode(cx: &mut Importer<'_>, call: &Call, codes: &Codes) -> Result<Option<Vec<Constant>>> {
    if call.op() != "Cast" {
        return Ok(None);
    }
    let shape = codes.shape.clone();
    cx.budget.cells(shape.elements())?;
    let ints =
        Arc::new(Tensor::new(shape, Data::I64(codes.values().map(i64::from).collect())).expect("same shape"));
    let cast = cast(&mut cx.budget, Kind::Int32, &ints, call.int("to", 0)?)?;
    Ok(Some(vec![cast]))
}

fn constant_node(cx: &mut Importer<'_>, call: &Call) -> Result<Constant> {
    let node = call.node;
    if let Some(message) = node.tensor("value")? {
        return cx.read_tensor(message);
    }
    if let Some(value) = node.float("value_float")? {
        return Constant::reals(Shape::new([])?, vec![value]);
    }
    if let Some(value) = node.int("value_int")? {
        return Constant::ints(Kind::Int64, Shape::new([])?, vec![value]);
    }
    if let Some(list) = node.floats("value_floats")? {
        cx.budget.spend(list.len() * 4)?;
        return Constant::reals(Shape::new([list.len()])?, list);
    }
    if let Some(list) = node.ints("value_ints")? {
        cx.budget.spend(list.len() * 8)?;
        return Constant::ints(Kind::Int64, Shape::new([list.len()])?, list);
    }
    Err(super::call::unsupported("a constant of text or of sparse elements"))
}

/// Elements of `tensor` at `indices`.
pub fn pick(
    budget: &mut Budget,
    kind: Kind,
    tensor: &Tensor,
    shape: Shape,
    indices: impl Iterator<Item = usize>,
) -> Result<Constant> {
    budget.cells(shape.elements())?;
    match tensor.data() {
        Data::F32(v) => Constant::reals(shape, indices.map(|i| v[i]).collect()),
        Data::I64(v) => Constant::ints(kind, shape, indices.map(|i| v[i]).collect()),
        Data::Q8 { codes, scales } => {
            let per_scale = (codes.len() / scales.len().max(1)).max(1);
            let real = |i: usize| scales[i / per_scale] * f32::from(codes[i]);
            Constant::reals(shape, indices.map(real).collect())
        }
    }
}

/// Operators that move elements of one tensor; `None` for any other operator.
fn moved(budget: &mut Budget, call: &Call, kind: Kind, tensor: &Arc<Tensor>) -> Result<Option<Constant>> {
    let from = tensor.shape().dims();
    let elements = 0..from.iter().product();
    let own = strided::row_major(from);
    let moved = match call.op() {
        "Identity" | "Dropout" => Constant::Tensor(kind, tensor.clone()),
        "Shape" | "Size" => shape(call, from)?,
        "Reshape" => pick(budget, kind, tensor, Shape::new(dims::reshape(call, from)?)?, elements)?,
        "Flatten" => pick(budget, kind, tensor, Shape::new(dims::flatten(call, from)?)?, elements)?,
        "Squeeze" => pick(budget, kind, tensor, Shape::new(dims::squeeze(call, from)?)?, elements)?,
        "Unsqueeze" => pick(budget, kind, tensor, Shape::new(dims::unsqueeze(call, from)?)?, elements)?,
        "Transpose" => {
            let perm = dims::transpose(call, from.len())?;
            let shape = Shape::new(perm.iter().map(|&p| from[p]).collect::<Vec<_>>())?;
            let strides = perm.iter().map(|&p| own[p]).collect();
            let cells = strided::indices(shape.dims().to_vec(), 0, strides);
            pick(budget, kind, tensor, shape, cells)?
        }
        "Slice" => {
            let ranges = dims::slice(call, from)?;
            let shape = Shape::new(ranges.iter().map(|r| r.count).collect::<Vec<_>>())?;
            let offset = ranges.iter().zip(&own).map(|(r, &stride)| r.start * stride as usize).sum();
            let strides = ranges.iter().zip(&own).map(|(r, &stride)| r.step * stride).collect();
            let cells = strided::indices(shape.dims().to_vec(), offset, strides);
            pick(budget, kind, tensor, shape, cells)?
        }
        "Expand" => {
            let shape = dims::expand(call, from)?;
            let cells = strided::indices(shape.dims().to_vec(), 0, strided::broadcast(from, shape.rank()));
            pick(budget, kind, tensor, shape, cells)?
        }
        "Tile" => tile(budget, call, kind, tensor)?,
        "Gather" => gather(budget, call, kind, tensor)?,
        _ => return Ok(None),
    };
    Ok(Some(moved))
}

fn tile(budget: &mut Budget, call: &Call, kind: Kind, tensor: &Tensor) -> Result<Constant> {
    let from = tensor.shape().dims();
    let repeats = Shape::from_i64(&call.ints(1)?)?;
    if repeats.rank() != from.len() {
        return Err(Error::bad_model(format!("repeats {repeats} for a tensor of shape {from:?}")));
    }
    let dims: Vec<usize> = from.iter().zip(repeats.dims()).map(|(&d, &r)| d.saturating_mul(r)).collect();
    // Each axis becomes two: the repetition, which moves nowhere, and the axis itself.
    let doubled = repeats.dims().iter().zip(from).flat_map(|(&r, &d)| [r, d]).collect();
    let strides = strided::row_major(from).into_iter().flat_map(|s| [0, s]).collect();
    pick(budget, kind, tensor, Shape::new(dims)?, strided::indices(doubled, 0, strides))
}

fn gather(budget: &mut Budget, call: &Call, kind: Kind, tensor: &Tensor) -> Result<Constant> {
    let from = tensor.shape().dims();
    let (axis, indices) = dims::gather(call, from)?;
    let index_dims = call.constant(1)?.shape().dims();
    let shape = Shape::new([&from[..axis], index_dims, &from[axis + 1..]].concat())?;
    let inner: usize = from[axis + 1..].iter().product();
    let outer: usize = from[..axis].iter().product();
    let (extent, indices) = (from[axis], &indices);
    let cells = (0..outer).flat_map(|o| {
        indices.iter().flat_map(move |&i| {
            let start = (o * extent + i) * inner;
            start..start + inner
        })
    });
    pick(budget, kind, tensor, shape, cells)
}

fn split(budget: &mut Budget, call: &Call, kind: Kind, tensor: &Tensor) -> Result<Vec<Constant>> {
    let from = tensor.shape().dims();
    let (axis, sizes) = dims::split(call, from)?;
    let own = strided::row_major(from);
    let mut start = 0;
    let parts = sizes.into_iter().map(|size| {
        let mut dims = from.to_vec();
        dims[axis] = size;
        let cells = strided::indices(dims.clone(), start * own[axis] as usize, own.clone());
        start += size;
        pick(budget, kind, tensor, Shape::new(dims)?, cells)
    });
    parts.collect()
}

fn concat(budget: &mut Budget, call: &Call, kind: Kind) -> Result<Constant> {
    let parts = call.inputs.iter().flatten().map(|known| match known.constant() {
        Some(Constant::Tensor(k, tensor)) if (*k == Kind::Real) == (kind == Kind::Real) => Ok(tensor),
        _ => Err(Error::bad_model("the operands differ in type")),
    });
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let mut dims = parts[0].shape().dims().to_vec();
    let axis = axis(call.int("axis", 0)?, dims.len())?;
    let fits = |t: &Tensor| {
        let other = t.shape().dims();
        other.len() == dims.len() && (0..dims.len()).all(|i| i == axis || other[i] == dims[i])
    };
    if let Some(odd) = parts.iter().find(|t| !fits(t)) {
        return Err(Error::bad_model(format!("shapes {dims:?} and {} do not join", odd.shape())));
    }
    dims[axis] = parts.iter().map(|t| t.shape()[axis]).sum();
    let shape = Shape::new(dims)?;
    budget.cells(shape.elements())?;
    let outer: usize = shape.dims()[..axis].iter().product();
    if kind == Kind::Real {
        let lists: Vec<_> = parts.iter().map(|t| t.to_f32()).collect();
        let lists: Vec<_> = lists.iter().map(Vec::as_slice).collect();
        Constant::reals(shape, interleave(&lists, outer))
    } else {
        let lists: Vec<_> = parts.iter().filter_map(|t| t.as_i64()).collect();
        Constant::ints(kind, shape, interleave(&lists, outer))
    }
}

/// Row 0 of each list, then row 1 of each, and so on; each list has `rows` rows.
fn interleave<T: Copy>(lists: &[&[T]], rows: usize) -> Vec<T> {
    let row = |r: usize| {
        lists.iter().flat_map(move |list| {
            let length = list.len() / rows;
            &list[r * length..(r + 1) * length]
        })
    };
    (0..rows).flat_map(row).copied().collect()
}

/// Conversion to `TensorProto.DataType` `to`; reals are truncated.
fn cast(budget: &mut Budget, kind: Kind, tensor: &Arc<Tensor>, to: i64) -> Result<Constant> {
    let target = match to {
        1 | 10 | 11 | 16 => Kind::Real,
        6 => Kind::Int32,
        7 => Kind::Int64,
        9 => Kind::Bool,
        other => {
            let name = super::tensor::type_name(other);
            return Err(super::call::unsupported(format!("a cast of a constant to {name}")));
        }
    };
    if target == kind {
        return Ok(Constant::Tensor(kind, tensor.clone()));
    }
    let shape = tensor.shape().clone();
    budget.cells(shape.elements())?;
    if target == Kind::Real {
        return Constant::reals(shape, tensor.to_f32());
    }
    let convert: fn(i64) -> i64 = match target {
        Kind::Bool => |v| i64::from(v != 0),
        Kind::Int32 => |v| i64::from(v as i32),
        _ => |v| v,
    };
    let values = match tensor.as_i64() {
        Some(ints) => ints.iter().map(|&v| convert(v)).collect(),
        None if target == Kind::Bool => tensor.to_f32().into_iter().map(|v| i64::from(v != 0.0)).collect(),
        None => tensor.to_f32().into_iter().map(|v| convert(v as i64)).collect(),
    };
    Constant::ints(target, shape, values)
}

fn constant_of_shape(cx: &mut Importer<'_>, call: &Call) -> Result<Constant> {
    let shape = Shape::from_i64(&call.ints(0)?)?;
    let value = match call.node.tensor("value")? {
        Some(message) => cx.read_tensor(message)?,
        None => Constant::reals(Shape::new([])?, vec![0.0])?,
    };
    match value {
        Constant::Tensor(kind, tensor) if tensor.shape().elements() == 1 => {
            let cells = std::iter::repeat_n(0, shape.elements());
            pick(&mut cx.budget, kind, &tensor, shape, cells)
        }
        _ => Err(Error::bad_model("the value is not one number")),
    }
}

fn range(budget: &mut Budget, call: &Call, kind: Kind) -> Result<Constant> {
    let bad = || Error::bad_model("the range is endless or too long");
    let ends = [call.constant(0)?, call.constant(1)?, call.constant(2)?];
    let ints: Option<Vec<i64>> = ends
        .iter()
        .map(|c| match c {
            Constant::Tensor(_, tensor) => tensor.as_i64().and_then(|v| v.first().copied()),
            Constant::Codes(_) => None,
        })
        .collect();
    if let Some(&[start, limit, delta]) = ints.as_deref() {
        let (start, limit, delta) = (i128::from(start), i128::from(limit), i128::from(delta));
        let distance = if delta > 0 { limit - start } else { start - limit };
        let count = (distance + delta.abs() - 1).max(0).checked_div(delta.abs()).ok_or_else(bad)?;
        let shape = Shape::new([usize::try_from(count).map_err(|_| bad())?])?;
        budget.cells(shape.elements())?;
        return Constant::ints(kind, shape, (0..count).map(|i| (start + i * delta) as i64).collect());
    }
    let real = |c: &Constant| super::call::single(c).ok_or_else(bad);
    let [start, limit, delta] = [real(ends[0])?, real(ends[1])?, real(ends[2])?];
    let count = ((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil().max(0.0);
    if !count.is_finite() || count > u32::MAX.into() {
        return Err(bad());
    }
    let shape = Shape::new([count as usize])?;
    budget.cells(shape.elements())?;
    Constant::reals(shape, (0..count as usize).map(|i| start + i as f32 * delta).collect())
}
