//! `Resize` and `Upsample`: many ways to ask for one of five interpolations.

use super::call::{Call, Known, axis, unsupported};
use super::import::Importer;
use super::ops_conv::image;
use crate::error::{Error, Result};
use crate::graph::{Op, ResizeCoords, ResizeMode};
use crate::limits::INPUT_SIDE_MAX;

/// What a file asks for along one axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    output: usize,
    scale: f32,
}

/// `Resize` of operator sets 10 to 21 and its predecessor `Upsample`.
pub fn resize(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    call.require("antialias", 0)?;
    call.require("exclude_outside", 0)?;
    if let Some(policy @ ("not_larger" | "not_smaller")) = call.node.text("keep_aspect_ratio_policy")? {
        return Err(unsupported(format!("Resize with keep_aspect_ratio_policy {policy}")));
    }
    let nearest = match call.node.text("mode")?.unwrap_or("nearest") {
        "nearest" => true,
        "linear" | "bilinear" => false,
        other => return Err(unsupported(format!("{} with mode {other:?}", call.op()))),
    };
    let (x, grid) = if nearest { cx.data(call, 0)? } else { (cx.value(call, 0)?, None) };
    let [n, c, h, w] = image(cx, call, x)?;
    let dims = extents(call, [n, c, h, w])?;
    if dims[0].output != n || dims[1].output != c {
        return Err(unsupported("a Resize of the batch or of the channels"));
    }
    let sides = [dims[2], dims[3]];
    if let Some(odd) = sides.iter().find(|a| a.output == 0 || a.output > INPUT_SIDE_MAX) {
        return Err(Error::bad_model(format!(
            "an output side of {}, outside 1..={INPUT_SIDE_MAX}",
            odd.output
        )));
    }
    let old = call.op() == "Upsample" || call.opset < 11;
    let default = if old { "asymmetric" } else { "half_pixel" };
    let coords = call.node.text("coordinate_transformation_mode")?.unwrap_or(default);
    let coords = match nearest {
        true => {
            let rounding = if old { "floor" } else { "round_prefer_floor" };
            nearest_coords(sides, coords, call.node.text("nearest_mode")?.unwrap_or(rounding))?
        }
        false => linear_coords(sides, coords)?,
    };
    let mode = if nearest { ResizeMode::Nearest } else { ResizeMode::Linear };
    let (output, scale) = (sides.map(|a| a.output), sides.map(|a| a.scale));
    Ok(Known::data(cx.push(call, Op::Resize { output, scale, mode, coords }, vec![x])?, grid))
}

/// Extents and scales of all four axes.
fn extents(call: &Call, dims: [usize; 4]) -> Result<[Axis; 4]> {
    let mut extents = dims.map(|input| Axis { input, output: input, scale: 1.0 });
    let places = match call.node.ints("axes")? {
        Some(list) => list.iter().map(|&a| axis(a, 4)).collect::<Result<_>>()?,
        None => vec![0, 1, 2, 3],
    };
    let bad = |what: &str| Error::bad_model(format!("{what} of {} do not fit its axes", call.op()));
    if call.op() == "Resize"
        && call.opset >= 11
        && let Some(sizes) = call.optional_ints(3)?.filter(|list| !list.is_empty())
    {
        for (&place, &size) in places.iter().zip(&sizes) {
            let output = usize::try_from(size).map_err(|_| bad("the sizes"))?;
            let input = extents[place].input;
            extents[place] = Axis { input, output, scale: output as f32 / input as f32 };
        }
        return if sizes.len() == places.len() { Ok(extents) } else { Err(bad("the sizes")) };
    }
    let scales = match call.node.floats("scales")? {
        Some(list) => list,
        None => {
            let operand = if call.op() == "Resize" && call.opset >= 11 { 2 } else { 1 };
            call.optional_reals(operand)?.unwrap_or_default()
        }
    };
    if scales.len() != places.len() || !scales.iter().all(|&s| s.is_finite() && s > 0.0) {
        return Err(bad("the scales"));
    }
    for (&place, &scale) in places.iter().zip(&scales) {
        let input = extents[place].input;
        extents[place] = Axis { input, output: (input as f32 * scale).floor() as usize, scale };
    }
    Ok(extents)
}

/// Coordinates for nearest neighbour. Many settings pick the same cells, so the picks are compared.
fn nearest_coords(sides: [Axis; 2], coords: &str, rounding: &str) -> Result<ResizeCoords> {
    let same = |candidate: ResizeCoords| {
        sides.iter().all(|&a| {
            (0..a.output).all(|i| file_pick(a, coords, rounding, i) == Some(graph_pick(a, candidate, i)))
        })
    };
    let known = [ResizeCoords::Asymmetric, ResizeCoords::HalfPixel];
    known.into_iter().find(|&candidate| same(candidate)).ok_or_else(|| {
        unsupported(format!(
            "a nearest Resize with {coords}, {rounding} and scales {:?}",
            sides.map(|a| a.scale)
        ))
    })
}

/// Cell that the file asks for, `None` if it uses words that are not known.
fn file_pick(a: Axis, coords: &str, rounding: &str, i: usize) -> Option<usize> {
    let (at, scale) = (i as f32, a.scale);
    let x = match coords {
        "asymmetric" => at / scale,
        "half_pixel" => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" if a.output > 1 => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "align_corners" if a.output > 1 => at * (a.input - 1) as f32 / (a.output - 1) as f32,
        "align_corners" => 0.0,
        _ => return None,
    };
    let cell = match rounding {
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "round_prefer_floor" => (x - 0.5).ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        _ => return None,
    };
    Some(cell.clamp(0.0, (a.input - 1) as f32) as usize)
}

/// Cell that [`Op::Resize`] picks, in exact arithmetic.
fn graph_pick(a: Axis, coords: ResizeCoords, i: usize) -> usize {
    let (i, input, output) = (i as u64, a.input as u64, a.output as u64);
    let cell = match coords {
        ResizeCoords::Asymmetric => i * input / output,
        // Half down of (i + ½)·in/out − ½, that is ceil((i + ½)·in/out − 1).
        _ => ((2 * i + 1) * input).div_ceil(2 * output).saturating_sub(1),
    };
    cell.min(input - 1) as usize
}

/// Coordinates for bilinear interpolation.
fn linear_coords(sides: [Axis; 2], coords: &str) -> Result<ResizeCoords> {
    // The graph derives the step from the extents; the file's scale must say the same.
    let consistent = |a: &Axis| (a.input as f32 * a.scale - a.output as f32).abs() < 1e-3 * a.output as f32;
    let known = match coords {
        "half_pixel" => Some(ResizeCoords::HalfPixel),
        "pytorch_half_pixel" if sides.iter().all(|a| a.output > 1 || a.input == 1) => {
            Some(ResizeCoords::HalfPixel)
        }
        "align_corners" => return Ok(ResizeCoords::AlignCorners),
        "asymmetric" => Some(ResizeCoords::Asymmetric),
        _ => None,
    };
    known.filter(|_| sides.iter().all(consistent)).ok_or_else(|| {
        unsupported(format!("a linear Resize with {coords} and scales {:?}", sides.map(|a| a.scale)))
    })
}
