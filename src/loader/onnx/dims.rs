//! What the operators that move elements do to shapes, with every index resolved and checked.

use super::call::{Call, axes, axis};
use crate::error::{Error, Result};
use crate::limits::RANK_MAX;
use crate::tensor::{Shape, ShapeError};

/// Target of `Reshape`: 0 copies an extent (unless `allowzero`), one −1 takes what is left.
pub fn reshape(call: &Call, dims: &[usize]) -> Result<Vec<usize>> {
    let target = match call.node.ints("shape")? {
        Some(list) => list,
        None => call.ints(1)?,
    };
    let copies_zero = call.int("allowzero", 0)? == 0;
    let bad = || Error::bad_model(format!("a tensor of shape {dims:?} cannot have shape {target:?}"));
    let mut resolved = Vec::with_capacity(target.len());
    let mut inferred = None;
    for (i, &d) in target.iter().enumerate() {
        resolved.push(match d {
            0 if copies_zero => *dims.get(i).ok_or_else(bad)?,
            -1 if inferred.is_none() => {
                inferred = Some(i);
                1
            }
            d => usize::try_from(d).map_err(|_| bad())?,
        });
    }
    let total = dims.iter().product::<usize>();
    let known = Shape::new(resolved.clone())?.elements();
    if let Some(i) = inferred {
        resolved[i] = total.checked_div(known).ok_or_else(bad)?;
    }
    match Shape::new(resolved.clone())?.elements() == total {
        true => Ok(resolved),
        false => Err(bad()),
    }
}

/// `Flatten` to two dimensions.
pub fn flatten(call: &Call, dims: &[usize]) -> Result<Vec<usize>> {
    let split = match call.int("axis", 1)? {
        a if a == dims.len() as i64 => dims.len(),
        a => axis(a, dims.len())?,
    };
    Ok(vec![dims[..split].iter().product(), dims[split..].iter().product()])
}

/// `Squeeze`: the named axes, or all of extent 1.
pub fn squeeze(call: &Call, dims: &[usize]) -> Result<Vec<usize>> {
    let dropped = match call.ints_of("axes", 1)? {
        Some(list) => axes(&list, dims.len())?,
        None => (0..dims.len()).filter(|&i| dims[i] == 1).collect(),
    };
    if let Some(&a) = dropped.iter().find(|&&a| dims[a] != 1) {
        return Err(Error::bad_model(format!("axis {a} of shape {dims:?} does not have extent 1")));
    }
    Ok((0..dims.len()).filter(|i| !dropped.contains(i)).map(|i| dims[i]).collect())
}

/// `Unsqueeze`: axes of extent 1 at the named places of the result.
pub fn unsqueeze(call: &Call, dims: &[usize]) -> Result<Vec<usize>> {
    let list = call.ints_of("axes", 1)?.ok_or_else(|| Error::bad_model("the axes are missing"))?;
    if dims.len() + list.len() > RANK_MAX {
        return Err(ShapeError::Rank(dims.len() + list.len()).into());
    }
    let mut result = dims.to_vec();
    for a in axes(&list, dims.len() + list.len())? {
        // Ascending, so each place is inside the result so far; `axes` refused repetitions.
        result.insert(a, 1);
    }
    Ok(result)
}

/// Permutation of `Transpose`; reversal by default.
pub fn transpose(call: &Call, rank: usize) -> Result<Vec<usize>> {
    let Some(perm) = call.node.ints("perm")? else { return Ok((0..rank).rev().collect()) };
    let resolved: Vec<usize> = perm.iter().filter_map(|&p| usize::try_from(p).ok()).collect();
    let mut sorted = resolved.clone();
    sorted.sort_unstable();
    match perm.len() == rank && sorted.iter().copied().eq(0..rank) {
        true => Ok(resolved),
        false => Err(Error::bad_model(format!("{perm:?} does not permute {rank} axes"))),
    }
}

/// What `Slice` takes of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First index.
    pub start: usize,
    /// Distance, not zero.
    pub step: isize,
    /// Number of elements.
    pub count: usize,
}

/// Ranges of `Slice`, one per axis.
pub fn slice(call: &Call, dims: &[usize]) -> Result<Vec<Range>> {
    let list = |name, i| -> Result<Vec<i64>> {
        call.ints_of(name, i)?.ok_or_else(|| Error::bad_model(format!("the {name} are missing")))
    };
    let (starts, ends) = (list("starts", 1)?, list("ends", 2)?);
    let places = match call.ints_of("axes", 3)? {
        Some(axes) => axes,
        None => (0..starts.len() as i64).collect(),
    };
    let steps = call.optional_ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), places.len(), steps.len()] != [starts.len(); 3] {
        return Err(Error::bad_model("starts, ends, axes and steps differ in length"));
    }
    axes(&places, dims.len())?;
    let mut ranges: Vec<Range> = dims.iter().map(|&count| Range { start: 0, step: 1, count }).collect();
    for (i, &place) in places.iter().enumerate() {
        let a = axis(place, dims.len())?;
        ranges[a] = range(starts[i], ends[i], steps[i], dims[a])?;
    }
    Ok(ranges)
}

/// One axis of `Slice`, clamped as NumPy does.
fn range(start: i64, end: i64, step: i64, extent: usize) -> Result<Range> {
    let n = extent as i64;
    if step == 0 || step == i64::MIN {
        return Err(Error::bad_model(format!("a slice with step {step}")));
    }
    let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (start, end) = match step > 0 {
        true => (from_end(start).clamp(0, n), from_end(end).clamp(0, n)),
        false => (from_end(start).clamp(-1, n - 1), from_end(end).clamp(-1, n - 1)),
    };
    let distance = if step > 0 { end - start } else { start - end };
    let count = if distance <= 0 { 0 } else { (distance - 1) / step.abs() + 1 };
    // A step beyond the axis takes one element; clamped, index arithmetic cannot overflow.
    let step = step.clamp(-n.max(1), n.max(1)) as isize;
    Ok(match count {
        0 => Range { start: 0, step: 1, count: 0 },
        _ => Range { start: start as usize, step, count: count as usize },
    })
}

/// Sizes of the parts of `Split`, and the axis.
pub fn split(call: &Call, dims: &[usize]) -> Result<(usize, Vec<usize>)> {
    let a = axis(call.int("axis", 0)?, dims.len())?;
    let (extent, parts) = (dims[a], call.node.outputs.len());
    let sizes: Vec<usize> = match call.ints_of("split", 1)? {
        Some(list) => list.iter().map(|&s| usize::try_from(s).unwrap_or(usize::MAX)).collect(),
        None => {
            // With num_outputs (operator set 18) the last part may be smaller.
            if call.int("num_outputs", parts as i64)? != parts as i64 || parts == 0 {
                return Err(Error::bad_model(format!("num_outputs does not match {parts} outputs")));
            }
            let size = extent.div_ceil(parts);
            if extent % parts != 0 && !call.node.has("num_outputs") {
                return Err(Error::bad_model(format!("{extent} elements in {parts} equal parts")));
            }
            (0..parts).map(|i| size.min(extent.saturating_sub(i * size))).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |sum, &s| sum.checked_add(s));
    match total == Some(extent) && sizes.len() == parts {
        true => Ok((a, sizes)),
        false => Err(Error::bad_model(format!("{extent} elements in {parts} parts of sizes {sizes:?}"))),
    }
}

/// Indices of `Gather`, counted from the start of `axis`.
pub fn gather(call: &Call, dims: &[usize]) -> Result<(usize, Vec<usize>)> {
    let a = axis(call.int("axis", 0)?, dims.len())?;
    let indices = call.ints(1)?;
    let resolved = indices.iter().map(|&i| axis(i, dims[a])).collect::<Result<Vec<_>>>();
    let indices = resolved
        .map_err(|_| Error::bad_model(format!("an index is outside the {} elements of axis {a}", dims[a])))?;
    Ok((a, indices))
}

/// Shape of `Expand`: the operand's and the requested one, broadcast.
pub fn expand(call: &Call, dims: &[usize]) -> Result<Shape> {
    let target = Shape::from_i64(&call.ints(1)?)?;
    broadcast(dims, target.dims())
}

/// NumPy's broadcast of two shapes.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Shape> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], i: usize| (i + dims.len()).checked_sub(rank).map_or(1, |j| dims[j]);
    let extents = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(Error::bad_model(format!("shapes {a:?} and {b:?} do not broadcast"))),
    });
    Ok(Shape::new(extents.collect::<Result<Vec<_>>>()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of NumPy's `list(range(n))[start:end:step]`.
    #[test]
    fn ranges_are_clamped_as_numpy_does() {
        let taken = |start, end, step, n| {
            let r = range(start, end, step, n).unwrap();
            (0..r.count).map(|i| (r.start as isize + i as isize * r.step) as usize).collect::<Vec<_>>()
        };
        assert_eq!(taken(0, i64::MAX, 2, 5), [0, 2, 4]);
        assert_eq!(taken(-2, i64::MAX, 1, 5), [3, 4]);
        assert_eq!(taken(1, -1, 1, 5), [1, 2, 3]);
        assert_eq!(taken(-1, i64::MIN, -1, 4), [3, 2, 1, 0]);
        assert_eq!(taken(i64::MAX, i64::MIN, -3, 7), [6, 3, 0]);
        assert_eq!(taken(1, 5, i64::MAX, 5), [1]);
        assert_eq!(taken(3, 2, 1, 5), [0; 0]);
        assert_eq!(taken(0, 5, 1, 0), [0; 0]);
        assert_eq!(taken(-1, i64::MIN, -1, 0), [0; 0]);
        assert!(range(0, 1, 0, 5).is_err());
    }

    #[test]
    fn shapes_broadcast_as_numpy_does() {
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]).unwrap().dims(), [2, 3, 4]);
        assert_eq!(broadcast(&[], &[0]).unwrap().dims(), [0]);
        assert!(broadcast(&[2], &[3]).is_err());
    }
}
