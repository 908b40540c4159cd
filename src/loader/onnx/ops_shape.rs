//! Operators that only move elements. They work on reals and, between Q and DQ, on codes.

use super::call::{Call, Known, axis, unsupported};
use super::dims;
use super::import::Importer;
use super::ops_conv::image;
use crate::error::{Error, Result};
use crate::graph::{Op, ValueId};

/// A new shape, or the operand itself where nothing changes.
fn reshaped(cx: &mut Importer<'_>, call: &Call, x: ValueId, shape: Vec<usize>) -> Result<ValueId> {
    if cx.graph.shape(x).dims() == shape {
        return Ok(x);
    }
    cx.push(call, Op::Reshape { shape }, vec![x])
}

/// `Reshape`, `Flatten`, `Squeeze`, `Unsqueeze`: `resolve` gives the new shape.
pub fn reshape(
    cx: &mut Importer<'_>,
    call: &Call,
    resolve: fn(&Call, &[usize]) -> Result<Vec<usize>>,
) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let shape = resolve(call, cx.graph.shape(x).dims())?;
    Ok(Known::data(reshaped(cx, call, x, shape)?, grid))
}

/// `Identity` and `Dropout`.
pub fn alias(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    Ok(Known::data(x, grid))
}

/// `Transpose`.
pub fn transpose(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let perm = dims::transpose(call, cx.graph.shape(x).rank())?;
    if perm.iter().copied().eq(0..perm.len()) {
        return Ok(Known::data(x, grid));
    }
    Ok(Known::data(cx.push(call, Op::Transpose { perm }, vec![x])?, grid))
}

/// `Slice`.
pub fn slice(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let from = cx.graph.shape(x).dims().to_vec();
    let ranges = dims::slice(call, &from)?;
    if ranges.iter().any(|r| r.step < 0) {
        return Err(unsupported("a Slice that runs backwards over a computed tensor"));
    }
    let count: Vec<usize> = ranges.iter().map(|r| r.count).collect();
    if count == from {
        return Ok(Known::data(x, grid));
    }
    let start = ranges.iter().map(|r| r.start).collect();
    let step = ranges.iter().map(|r| r.step.unsigned_abs()).collect();
    Ok(Known::data(cx.push(call, Op::Slice { start, step, count }, vec![x])?, grid))
}

/// `length` elements from `start` on along one axis.
fn part_of(from: &[usize], axis: usize, start: usize, length: usize) -> Op {
    let mut starts = vec![0; from.len()];
    let mut count = from.to_vec();
    (starts[axis], count[axis]) = (start, length);
    Op::Slice { start: starts, step: vec![1; from.len()], count }
}

/// `Split`: one slice per output.
pub fn split(cx: &mut Importer<'_>, call: &Call) -> Result<Vec<Known>> {
    let (x, grid) = cx.data(call, 0)?;
    let from = cx.graph.shape(x).dims().to_vec();
    let (axis, sizes) = dims::split(call, &from)?;
    let mut start = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for (i, size) in sizes.into_iter().enumerate() {
        let part = cx.push_output(call, i, part_of(&from, axis, start, size), vec![x])?;
        parts.push(Known::data(part, grid));
        start += size;
    }
    Ok(parts)
}

/// `Gather` with constant indices.
pub fn gather(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let from = cx.graph.shape(x).dims().to_vec();
    let index_dims = call.constant(1)?.shape().dims().to_vec();
    let (axis, indices) = dims::gather(call, &from)?;
    cx.budget.spend(indices.len() * 8)?;
    let op = match *indices.as_slice() {
        [index] => part_of(&from, axis, index, 1),
        _ => Op::Gather { axis, indices },
    };
    if index_dims.len() == 1 {
        return Ok(Known::data(cx.push(call, op, vec![x])?, grid));
    }
    let picked = cx.push_part(call, "picked", op, vec![x])?;
    let shape = [&from[..axis], &index_dims, &from[axis + 1..]].concat();
    Ok(Known::data(cx.push(call, Op::Reshape { shape }, vec![picked])?, grid))
}

/// `Concat`: of reals, or of codes on one grid.
pub fn concat(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let mut parts = Vec::with_capacity(call.inputs.len());
    for i in 0..call.inputs.len() {
        parts.push(cx.data(call, i)?);
    }
    let &(first, grid) = parts.first().ok_or_else(|| Error::bad_model("Concat of nothing"))?;
    if parts.iter().any(|&(_, other)| other != grid) {
        return Err(unsupported("Concat of codes with different scales or zero points"));
    }
    let axis = match call.node.int("axis")? {
        Some(a) => axis(a, cx.graph.shape(first).rank())?,
        None => return Err(Error::bad_model("the axis is missing")),
    };
    // Exporters leave empty pieces behind; they add nothing.
    let rank = cx.graph.shape(first).rank();
    let filled = |id: ValueId| cx.graph.shape(id).rank() != rank || cx.graph.shape(id)[axis] > 0;
    let ids: Vec<ValueId> = parts.iter().map(|&(id, _)| id).filter(|&id| filled(id)).collect();
    match *ids.as_slice() {
        [only] => Ok(Known::data(only, grid)),
        _ => Ok(Known::data(cx.push(call, Op::Concat { axis }, ids)?, grid)),
    }
}

/// `Expand` and `Tile`, where they repeat nothing.
pub fn repeat(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let from = cx.graph.shape(x).dims().to_vec();
    let shape = match call.op() {
        "Expand" => dims::expand(call, &from)?.dims().to_vec(),
        _ if call.ints(1)?.iter().all(|&r| r == 1) => from.clone(),
        _ => return Err(unsupported("a Tile that repeats a computed tensor")),
    };
    if shape.iter().product::<usize>() != from.iter().product::<usize>() {
        return Err(unsupported(format!("an Expand of a computed tensor from {from:?} to {shape:?}")));
    }
    Ok(Known::data(reshaped(cx, call, x, shape)?, grid))
}

/// `Pad` with a constant.
pub fn pad(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let mode = call.node.text("mode")?.unwrap_or("constant");
    let x = cx.value(call, 0)?;
    let rank = cx.graph.shape(x).rank();
    let pads = call.ints_of("pads", 1)?.ok_or_else(|| Error::bad_model("the pads are missing"))?;
    let places = match call.optional_ints(3)? {
        Some(list) => list,
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * places.len() {
        return Err(Error::bad_model(format!("{} pads for {} axes", pads.len(), places.len())));
    }
    if pads.iter().all(|&p| p == 0) {
        return Ok(Known::Real(x));
    }
    if mode != "constant" {
        return Err(unsupported(format!("Pad with mode {mode:?}")));
    }
    let value = match call.node.float("value")? {
        Some(value) => value,
        None => call.optional_scalar(2)?.unwrap_or(0.0),
    };
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    for (i, &place) in places.iter().enumerate() {
        let a = axis(place, rank)?;
        let size =
            |p: i64| usize::try_from(p).map_err(|_| unsupported(format!("Pad with a negative pad {p}")));
        (before[a], after[a]) = (size(pads[i])?, size(pads[i + places.len()])?);
    }
    cx.push(call, Op::Pad { before, after, value }, vec![x]).map(Known::Real)
}

/// `DepthToSpace` and `SpaceToDepth`: blocks of `b`×`b` pixels from or to channels.
pub fn block(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, grid) = cx.data(call, 0)?;
    let [n, c, h, w] = image(cx, call, x)?;
    let size = call.int("blocksize", 0)?;
    let b = usize::try_from(size).ok().filter(|&b| (1..=h.max(w).max(c)).contains(&b));
    let b = b.ok_or_else(|| Error::bad_model(format!("a block size of {size} for {}", cx.graph.shape(x))))?;
    let uneven = || Error::bad_model(format!("blocks of {b} do not fit [{n},{c},{h},{w}]"));
    let (split, perm, joined) = if call.op() == "DepthToSpace" {
        let rest = c / (b * b);
        if rest * b * b != c {
            return Err(uneven());
        }
        let joined = vec![n, rest, h * b, w * b];
        match call.node.text("mode")?.unwrap_or("DCR") {
            "DCR" => (vec![n, b, b, rest, h, w], vec![0, 3, 4, 1, 5, 2], joined),
            "CRD" => (vec![n, rest, b, b, h, w], vec![0, 1, 4, 2, 5, 3], joined),
            other => return Err(Error::bad_model(format!("mode {other:?}"))),
        }
    } else {
        if h % b != 0 || w % b != 0 {
            return Err(uneven());
        }
        (vec![n, c, h / b, b, w / b, b], vec![0, 3, 5, 1, 2, 4], vec![n, c * b * b, h / b, w / b])
    };
    let split = cx.push_part(call, "split", Op::Reshape { shape: split }, vec![x])?;
    let turned = cx.push_part(call, "turned", Op::Transpose { perm }, vec![split])?;
    Ok(Known::data(cx.push(call, Op::Reshape { shape: joined }, vec![turned])?, grid))
}
