//! Operators that only move elements, and resizing.

use super::proto::AttributeProto;
use super::unsupported;
use super::writer::Writer;
use crate::error::Result;
use ocellus::graph::{Op, ResizeCoords, ResizeMode, ValueId};

/// To the last element, however many there are.
const END: i64 = i64::MAX;

/// An extent here and in the network of another size.
type Extent = (usize, usize);

/// Writes one of them.
pub fn moves(w: &mut Writer, x: ValueId, op: &Op) -> Result<()> {
    let from = w.extents(x);
    let name = w.operand(x);
    match op {
        Op::Slice { start, step, count } => {
            let out = w.target();
            slice(w, &name, (&from, start, step, count), out);
        }
        Op::Gather { axis, indices } => match groups(indices, from[*axis]) {
            Some(groups) => shuffle(w, &name, &from, (*axis, groups))?,
            None => {
                let indices = w.indices("indices", indices);
                let axis = AttributeProto::int("axis", *axis as i64);
                w.emit_target("Gather", &[&name, &indices], vec![axis]);
            }
        },
        Op::Transpose { perm } => {
            w.emit_target("Transpose", &[&name], vec![AttributeProto::ints("perm", perm)]);
        }
        Op::Reshape { .. } => {
            let (to, out) = (w.target_extents(), w.target());
            reshape(w, &name, &from, &to, out)?;
        }
        Op::Resize { output, scale, mode, coords } => {
            let input = [from[2].0, from[3].0];
            let target = resize_target(w, input, *output, (*scale, *coords))?;
            let operands: Vec<&str> = [&name].into_iter().chain(&target).map(String::as_str).collect();
            w.emit_target("Resize", &operands, resize_attributes(*mode, *coords));
        }
        Op::Pad { before, after, value } => {
            let pads = w.indices("pads", &[before.as_slice(), after].concat());
            let value = w.scalar("value", *value);
            w.emit_target("Pad", &[&name, &pads, &value], vec![]);
        }
        Op::Focus => focus(w, &name, &from),
        other => return Err(unsupported(format!("{} has no form in ONNX", other.name()))),
    }
    Ok(())
}

/// Extents of the operand; start, step and count per axis.
type Ranges<'a> = (&'a [Extent], &'a [usize], &'a [usize], &'a [usize]);

fn slice(w: &mut Writer, x: &str, (from, start, step, count): Ranges, out: String) {
    let cut = |&axis: &usize| (start[axis], step[axis], count[axis]) != (0, 1, from[axis].0);
    let axes: Vec<usize> = (0..from.len()).filter(cut).collect();
    if axes.is_empty() {
        return w.emit("Identity", &[x], out, vec![]);
    }
    let list = |of: &[usize]| axes.iter().map(|&axis| of[axis]).collect::<Vec<_>>();
    let end = |&axis: &usize| {
        let end = start[axis] + step[axis] * count[axis];
        if end >= from[axis].0 { END } else { end as i64 }
    };
    let ends: Vec<i64> = axes.iter().map(end).collect();
    let lists = [
        w.indices("starts", &list(start)),
        w.ints("ends", &ends),
        w.indices("axes", &axes),
        w.indices("steps", &list(step)),
    ];
    let [starts, ends, axes, steps] = lists.each_ref().map(String::as_str);
    w.emit("Slice", &[x, starts, ends, axes, steps], out, vec![]);
}

/// Number of groups that a shuffle deals out in turn, one element of each; `None`: it is something else.
fn groups(indices: &[usize], (here, there): Extent) -> Option<usize> {
    let deals = |&groups: &usize| {
        let size = here / groups;
        let dealt = |(i, &index): (usize, &usize)| index == i % groups * size + i / groups;
        here % groups == 0 && indices.iter().enumerate().all(dealt)
    };
    (here == there && here == indices.len()).then(|| (2..here).find(deals)).flatten()
}

/// The form that exports have and every runtime knows. As Gather it would be one operator, but OpenVINO
/// 2026.4 computes wrong numbers behind a Gather of all channels that depthwise convolutions read.
fn shuffle(w: &mut Writer, x: &str, from: &[Extent], (axis, groups): (usize, usize)) -> Result<()> {
    let size = from[axis].0 / groups;
    let mut split = from.to_vec();
    split.splice(axis..=axis, [(groups, groups), (size, size)]);
    let apart = w.beside("apart");
    reshape(w, x, from, &split, apart.clone())?;
    let mut perm: Vec<usize> = (0..split.len()).collect();
    perm.swap(axis, axis + 1);
    split.swap(axis, axis + 1);
    let dealt = w.part("Transpose", &[&apart], vec![AttributeProto::ints("perm", &perm)]);
    let out = w.target();
    reshape(w, &dealt, &split, from, out)
}

/// YOLOv5's four phases: row and column where each begins.
fn focus(w: &mut Writer, x: &str, from: &[Extent]) {
    let phases = [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[row, column]| {
        let count = [from[0].0, from[1].0, from[2].0 / 2, from[3].0 / 2];
        let phase = w.beside("phase");
        slice(w, x, (from, &[0, 0, row, column], &[1, 1, 2, 2], &count), phase.clone());
        phase
    });
    let phases = phases.each_ref().map(String::as_str);
    w.emit_target("Concat", &phases, vec![AttributeProto::int("axis", 1)]);
}

/// Writes `out`, the elements of `x` in another shape.
pub fn reshape(w: &mut Writer, x: &str, from: &[Extent], to: &[Extent], out: String) -> Result<()> {
    let varies = |(here, there): &Extent| here != there;
    let varying = to.iter().filter(|extent| varies(extent)).count();
    // To ONNX a zero is the operand's extent at that place.
    let zeros_fit = (0..to.len()).all(|i| to[i].0 != 0 || from.get(i).is_some_and(|d| d.0 == 0));
    if !zeros_fit || varying > 0 && to.iter().any(|extent| extent.0 == 0) {
        return Err(unsupported("operator set 13 cannot reshape to nothing"));
    }
    let shape = if varying <= 1 {
        let extents = to.iter().map(|extent| if varies(extent) { -1 } else { extent.0 as i64 });
        let extents: Vec<i64> = extents.collect();
        w.ints("shape", &extents)
    } else if from.iter().filter(|d| varies(d)).eq(to.iter().filter(|d| varies(d))) {
        computed_shape(w, x, from, to)
    } else {
        return Err(unsupported(format!("a reshape to {varying} extents that depend on the input's size")));
    };
    w.emit("Reshape", &[x, &shape], out, vec![]);
    Ok(())
}

/// The shape `to`, with the extents that vary taken from the operand, where they are in the same order.
fn computed_shape(w: &mut Writer, x: &str, from: &[Extent], to: &[Extent]) -> String {
    let shape = w.part("Shape", &[x], vec![]);
    let mut sources = (0..from.len()).filter(|&i| from[i].0 != from[i].1);
    let mut parts = Vec::with_capacity(to.len());
    for &(here, there) in to {
        let source = if here == there { None } else { sources.next() };
        parts.push(match source {
            None => w.indices("extent", &[here]),
            Some(source) => {
                let source = w.indices("source", &[source]);
                w.part("Gather", &[&shape, &source], vec![AttributeProto::int("axis", 0)])
            }
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    w.part("Concat", &parts, vec![AttributeProto::int("axis", 0)])
}

fn resize_attributes(mode: ResizeMode, coords: ResizeCoords) -> Vec<AttributeProto> {
    let coordinates = match coords {
        ResizeCoords::Asymmetric => "asymmetric",
        ResizeCoords::HalfPixel => "half_pixel",
        ResizeCoords::AlignCorners => "align_corners",
    };
    let coordinates = AttributeProto::text("coordinate_transformation_mode", coordinates);
    if mode == ResizeMode::Linear {
        return vec![coordinates, AttributeProto::text("mode", "linear")];
    }
    let rounding = if coords == ResizeCoords::Asymmetric { "floor" } else { "round_prefer_floor" };
    vec![coordinates, AttributeProto::text("mode", "nearest"), AttributeProto::text("nearest_mode", rounding)]
}

/// The operands behind the picture: no region, and scales, which hold for any input; or sizes, where rounding
/// the scaled extents would miss the output.
fn resize_target(
    w: &mut Writer,
    input: [usize; 2],
    output: [usize; 2],
    (scale, coords): ([f32; 2], ResizeCoords),
) -> Result<Vec<String>> {
    let none = String::new;
    // Some compute the extents in single precision, some in double.
    let fits = |a: usize| {
        let single = (input[a] as f32 * scale[a]).floor() == output[a] as f32;
        single && (input[a] as f64 * f64::from(scale[a])).floor() == output[a] as f64
    };
    if (0..2).all(fits) {
        let scales = w.beside("scales");
        w.reals(&scales, &[4], &[1.0, 1.0, scale[0], scale[1]]);
        return Ok(vec![none(), scales]);
    }
    let implied = |a: usize| scale[a] == output[a] as f32 / input[a] as f32;
    if coords != ResizeCoords::AlignCorners && !(0..2).all(implied) {
        return Err(unsupported(format!("a Resize of {input:?} by {scale:?} to {output:?}")));
    }
    let target = w.target_extents();
    let sizes: Vec<usize> = target.iter().map(|extent| extent.0).collect();
    Ok(vec![none(), none(), w.indices("sizes", &sizes)])
}
