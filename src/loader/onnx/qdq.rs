//! `QuantizeLinear` and `DequantizeLinear`.
//!
//! The graph speaks of real numbers only. A quantized tensor of the file is the real tensor behind it with a
//! note of its grid ([`Known::Codes`]); dequantizing it with the same parameters gives that real tensor back.

use super::call::{Call, Grid, Known, axis, unsupported};
use super::import::Importer;
use super::tensor::{Codes, Constant, Kind};
use crate::error::{Error, Result};
use crate::graph::Op;
use crate::tensor::{Data, Quant, Shape, Tensor};
use std::sync::Arc;

/// Scale and zero point of a Q or DQ node.
struct Parameters {
    scales: Vec<f32>,
    /// One per scale, in the file's codes.
    zero_points: Vec<i64>,
    /// Whether the codes are uint8, where the node says.
    unsigned: Option<bool>,
    /// Axis of several scales.
    axis: i64,
}

impl Parameters {
    fn read(cx: &mut Importer<'_>, call: &Call) -> Result<Self> {
        if call.int("block_size", 0)? != 0 {
            return Err(unsupported("quantization in blocks"));
        }
        let scales = cx.reals(call.constant(1)?)?;
        if scales.shape().rank() > 1 {
            return Err(unsupported(format!("scales of shape {}", scales.shape())));
        }
        cx.budget.spend(scales.bytes() * 2)?;
        let scales = scales.to_f32();
        if let Some(bad) = scales.iter().find(|s| !s.is_finite() || **s < 0.0) {
            return Err(Error::bad_model(format!("a scale of {bad}")));
        }
        let (zero_points, unsigned) = match call.optional_constant(2)? {
            None => (vec![0; scales.len()], None),
            Some(Constant::Codes(codes)) => (codes.values().map(i64::from).collect(), Some(codes.unsigned)),
            Some(Constant::Tensor(Kind::Int32, tensor)) => {
                (tensor.as_i64().unwrap_or_default().to_vec(), None)
            }
            Some(_) => return Err(Error::bad_model("the zero point is not int8, uint8 or int32")),
        };
        if zero_points.len() != scales.len() {
            let what = format!("{} scales and {} zero points", scales.len(), zero_points.len());
            return Err(Error::bad_model(what));
        }
        Ok(Parameters { scales, zero_points, unsigned, axis: call.int("axis", 1)? })
    }

    /// The grid of an activation: one scale for the whole tensor.
    fn grid(&self, unsigned: bool) -> Result<Grid> {
        let (&[scale], &[zero_point]) = (self.scales.as_slice(), self.zero_points.as_slice()) else {
            return Err(unsupported(format!("an activation with {} scales instead of 1", self.scales.len())));
        };
        let signed = zero_point - if unsigned { 128 } else { 0 };
        let quant = i8::try_from(signed).ok().and_then(|z| Quant::new(scale, z));
        let quant = quant.ok_or_else(|| {
            Error::bad_model(format!("scale {scale} and zero point {zero_point} are no grid"))
        })?;
        Ok(Grid { quant, unsigned })
    }

    /// Index of the scale of every element of a tensor.
    fn channels(&self, shape: &Shape) -> Result<impl Iterator<Item = usize> + use<>> {
        let (extent, inner) = match self.scales.len() {
            1 => (1, 1),
            n => {
                let axis = axis(self.axis, shape.rank())?;
                if shape[axis] != n {
                    return Err(Error::bad_model(format!("{n} scales along axis {axis} of {shape}")));
                }
                (n, shape.dims()[axis + 1..].iter().product())
            }
        };
        Ok((0..shape.elements()).map(move |i| i / inner % extent))
    }
}

/// `QuantizeLinear`.
pub fn quantize(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    // Without a zero point the codes are uint8, unless operator set 21 says otherwise.
    let parameters = Parameters::read(cx, call)?;
    let unsigned = match (parameters.unsigned, call.int("output_dtype", 0)?) {
        (Some(unsigned), _) => unsigned,
        (None, 3) => false,
        (None, 0 | 2) => true,
        (None, other) => {
            return Err(unsupported(format!("quantization to {}", super::tensor::type_name(other))));
        }
    };
    match call.input(0)? {
        Known::Constant(constant) => quantize_constant(cx, constant, &parameters, unsigned),
        _ => {
            let x = cx.value(call, 0)?;
            let grid = parameters.grid(unsigned)?;
            Ok(Known::Codes(cx.push(call, Op::FakeQuant(grid.quant), vec![x])?, grid))
        }
    }
}

fn quantize_constant(
    cx: &mut Importer<'_>,
    constant: &Constant,
    parameters: &Parameters,
    unsigned: bool,
) -> Result<Known> {
    let tensor = cx.reals(constant)?;
    let shape = tensor.shape().clone();
    cx.budget.spend(shape.elements() * 6)?;
    if let Some(bad) = parameters.scales.iter().find(|s| !s.is_normal()) {
        return Err(Error::bad_model(format!("a scale of {bad}")));
    }
    let (lo, hi) = if unsigned { (0.0, 255.0) } else { (-128.0, 127.0) };
    let code = |(x, channel): (f32, usize)| {
        let zero_point = parameters.zero_points[channel] as f32;
        ((x / parameters.scales[channel]).round_ties_even() + zero_point).clamp(lo, hi) as i16 as u8
    };
    let bytes = tensor.to_f32().into_iter().zip(parameters.channels(&shape)?).map(code).collect();
    Ok(Known::Constant(Constant::Codes(Arc::new(Codes { shape, bytes, unsigned }))))
}

/// `DequantizeLinear`.
pub fn dequantize(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let parameters = Parameters::read(cx, call)?;
    match call.input(0)? {
        Known::Codes(id, grid) => {
            if parameters.unsigned.is_some_and(|unsigned| unsigned != grid.unsigned) {
                return Err(Error::bad_model("the zero point is of another type than the codes"));
            }
            match parameters.grid(grid.unsigned)? == *grid {
                true => Ok(Known::Real(*id)),
                false => Err(unsupported(
                    "codes that are dequantized with other parameters than they were made with",
                )),
            }
        }
        Known::Constant(Constant::Codes(codes)) => {
            if parameters.unsigned.is_some_and(|unsigned| unsigned != codes.unsigned) {
                return Err(Error::bad_model("the zero point is of another type than the codes"));
            }
            dequantize_codes(cx, codes, &parameters)
        }
        Known::Constant(Constant::Tensor(Kind::Int32, tensor)) => dequantize_ints(cx, tensor, &parameters),
        _ => Err(Error::bad_model("the operand is not quantized")),
    }
}

/// Weights. They stay int8 where the graph can say so: signed, symmetric, scales along axis 0.
fn dequantize_codes(cx: &mut Importer<'_>, codes: &Codes, parameters: &Parameters) -> Result<Known> {
    let shape = &codes.shape;
    let channels = parameters.channels(shape)?;
    let first_axis = parameters.scales.len() == 1 || axis(parameters.axis, shape.rank())? == 0;
    let symmetric = !codes.unsigned && parameters.zero_points.iter().all(|&z| z == 0);
    cx.budget.spend(shape.elements() * 4)?;
    let data = if first_axis && symmetric && shape.rank() > 0 && !codes.values().any(|code| code == -128) {
        let scales = match parameters.scales.as_slice() {
            &[scale] => vec![scale; shape[0]],
            scales => scales.to_vec(),
        };
        Data::Q8 { codes: codes.bytes.iter().map(|&c| c as i8).collect(), scales }
    } else {
        let real = |(code, c): (i16, usize)| {
            parameters.scales[c] * (i64::from(code) - parameters.zero_points[c]) as f32
        };
        Data::F32(codes.values().zip(channels).map(real).collect())
    };
    Constant::new(Kind::Real, shape.clone(), data).map(Known::Constant)
}

/// A bias in accumulator codes.
fn dequantize_ints(cx: &mut Importer<'_>, tensor: &Tensor, parameters: &Parameters) -> Result<Known> {
    if parameters.zero_points.iter().any(|&z| z != 0) {
        return Err(Error::bad_model("int32 codes with a zero point"));
    }
    let shape = tensor.shape().clone();
    cx.budget.spend(shape.elements() * 4)?;
    let ints = tensor.as_i64().unwrap_or_default().iter();
    let values = ints
        .zip(parameters.channels(&shape)?)
        .map(|(&v, c)| (f64::from(parameters.scales[c]) * v as f64) as f32);
    Constant::reals(shape, values.collect()).map(Known::Constant)
}
