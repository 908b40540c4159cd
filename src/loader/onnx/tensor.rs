//! `TensorProto` to constants.

use super::wire::Message;
use crate::error::{Error, Result};
use crate::limits::{RANK_MAX, TENSOR_ELEMENTS_MAX};
use crate::tensor::{Data, Shape, Tensor};
use std::sync::Arc;

/// What the elements of a tensor are. Types that differ only in width are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Half, bfloat16, single and double precision.
    Real,
    /// 64-bit integers.
    Int64,
    /// 32-bit integers; accumulator codes when they are dequantized.
    Int32,
    /// Truth values as 0 and 1.
    Bool,
}

/// Something known before the network runs.
#[derive(Clone, Debug)]
pub enum Constant {
    /// Numbers that mean themselves. Reals are `Data::F32` or `Data::Q8`, all others `Data::I64`.
    Tensor(Kind, Arc<Tensor>),
    /// Int8 or uint8 codes, which mean nothing without a scale.
    Codes(Arc<Codes>),
}

/// Eight-bit codes.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// Logical shape.
    pub shape: Shape,
    /// As they are stored.
    pub bytes: Vec<u8>,
    /// Whether the type is uint8.
    pub unsigned: bool,
}

impl Codes {
    /// Values −128..=127 or 0..=255.
    pub fn values(&self) -> impl Iterator<Item = i16> {
        let unsigned = self.unsigned;
        self.bytes.iter().map(move |&b| if unsigned { i16::from(b) } else { i16::from(b as i8) })
    }
}

impl Constant {
    /// Reals.
    pub fn reals(shape: Shape, values: Vec<f32>) -> Result<Self> {
        Constant::new(Kind::Real, shape, Data::F32(values))
    }

    /// Integers.
    pub fn ints(kind: Kind, shape: Shape, values: Vec<i64>) -> Result<Self> {
        Constant::new(kind, shape, Data::I64(values))
    }

    /// Numbers; an error if there are more or fewer than `shape` says.
    pub fn new(kind: Kind, shape: Shape, data: Data) -> Result<Self> {
        let message = format!("the elements of a constant do not fill its shape {shape}");
        let tensor = Tensor::new(shape, data).ok_or_else(|| Error::bad_model(message))?;
        Ok(Constant::Tensor(kind, Arc::new(tensor)))
    }

    /// Logical shape.
    pub fn shape(&self) -> &Shape {
        match self {
            Constant::Tensor(_, tensor) => tensor.shape(),
            Constant::Codes(codes) => &codes.shape,
        }
    }

    /// Size of the elements in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Constant::Tensor(_, tensor) => tensor.bytes(),
            Constant::Codes(codes) => codes.bytes.len(),
        }
    }
}

/// Name of a `TensorProto.DataType`.
pub fn type_name(data_type: i64) -> String {
    let names = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
        "float8e4m3fn",
        "float8e4m3fnuz",
        "float8e5m2",
        "float8e5m2fnuz",
        "uint4",
        "int4",
        "float4e2m1",
    ];
    let name = usize::try_from(data_type).ok().and_then(|i| names.get(i));
    name.map_or_else(|| format!("type {data_type}"), |s| (*s).to_owned())
}

/// Everything of a `TensorProto` except its elements.
#[derive(Default)]
struct Header<'a> {
    dims: Vec<i64>,
    data_type: i64,
    raw: Option<Message<'a>>,
    external: bool,
}

impl<'a> Header<'a> {
    fn read(message: Message<'a>) -> Result<Self> {
        let mut header = Header::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => field.ints_into(&mut header.dims, RANK_MAX)?,
                2 => header.data_type = field.int()?,
                9 => header.raw = Some(field.message()?),
                13 => header.external = true,
                14 => header.external |= field.int()? == 1,
                _ => {}
            }
        }
        Ok(header)
    }
}

/// Reads a tensor. No more is allocated than the bytes that are there can fill.
pub fn read(message: Message<'_>) -> Result<Constant> {
    let at_byte = |e: Error| e.at(|p| p.byte = Some(message.offset() as u64));
    let header = Header::read(message)?;
    if header.external {
        let what = "the weights are in a second file (external data); save the model as one file, \
                    with onnx.save(model, path, save_as_external_data=False)";
        return Err(at_byte(Error::unsupported(what)));
    }
    let shape = Shape::from_i64(&header.dims).map_err(|e| at_byte(e.into()))?;
    let tensor = match header.data_type {
        1 | 10 | 11 | 16 => {
            let values = reals(message, &header, shape.elements())?;
            Constant::reals(shape, values)
        }
        6 => integers(message, &header, &shape).and_then(|v| Constant::ints(Kind::Int32, shape, v)),
        7 => integers(message, &header, &shape).and_then(|v| Constant::ints(Kind::Int64, shape, v)),
        9 => integers(message, &header, &shape).and_then(|v| Constant::ints(Kind::Bool, shape, v)),
        2 | 3 => codes(message, &header, shape).map(|codes| Constant::Codes(Arc::new(codes))),
        other => Err(Error::unsupported(format!(
            "a tensor of {}; float, float16, bfloat16, double, int64, int32, int8, uint8 and bool are read",
            type_name(other)
        ))),
    };
    tensor.map_err(at_byte)
}

/// The raw bytes, if there are any, checked against the number of elements.
fn raw<'a>(header: &Header<'a>, elements: usize, size: usize) -> Result<Option<&'a [u8]>> {
    let Some(raw) = header.raw else { return Ok(None) };
    let (found, expected) = (raw.bytes().len(), elements * size);
    // Writers may leave an empty raw_data beside typed data.
    if found == 0 && expected > 0 {
        return Ok(None);
    }
    if found != expected {
        let dims = &header.dims;
        return Err(
            raw.error(format!("a tensor of shape {dims:?} needs {expected} bytes, {found} are there"))
        );
    }
    Ok(Some(raw.bytes()))
}

/// An empty list with room for all elements, once the message is known to be long enough for them.
fn room<T>(message: Message<'_>, elements: usize, bytes_each: usize) -> Result<Vec<T>> {
    if elements.saturating_mul(bytes_each) > message.bytes().len() {
        let what = format!("a tensor claims {elements} elements in {} bytes", message.bytes().len());
        return Err(message.error(what));
    }
    Ok(Vec::with_capacity(elements))
}

fn filled<T>(message: Message<'_>, values: Vec<T>, elements: usize) -> Result<Vec<T>> {
    match values.len() == elements {
        true => Ok(values),
        false => Err(message.error(format!("a tensor has {} of its {elements} elements", values.len()))),
    }
}

fn reals(message: Message<'_>, header: &Header<'_>, elements: usize) -> Result<Vec<f32>> {
    let size = match header.data_type {
        1 => 4,
        11 => 8,
        _ => 2,
    };
    if let Some(raw) = raw(header, elements, size)? {
        return Ok(match header.data_type {
            1 => raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            11 => raw.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            10 => raw.as_chunks().0.iter().map(|&b| half(u16::from_le_bytes(b))).collect(),
            _ => raw.as_chunks().0.iter().map(|&b| brain(u16::from_le_bytes(b))).collect(),
        });
    }
    if matches!(header.data_type, 10 | 16) {
        let decode = if header.data_type == 10 { half } else { brain };
        let bits = typed_integers(message, 5, elements)?;
        return bits.into_iter().map(|b| Ok(decode(narrow(message, b, 0, 0xffff)? as u16))).collect();
    }
    let mut values = room(message, elements, size)?;
    for field in message.fields() {
        let field = field?;
        match field.number {
            4 if header.data_type == 1 => field.floats_into(&mut values, elements)?,
            10 if header.data_type == 11 => field.doubles_into(&mut values, elements)?,
            _ => {}
        }
    }
    filled(message, values, elements)
}

/// Elements of `int32_data` (field 5) or `int64_data` (field 7).
fn typed_integers(message: Message<'_>, number: u64, elements: usize) -> Result<Vec<i64>> {
    let mut values = room(message, elements, 1)?;
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            field.ints_into(&mut values, elements)?;
        }
    }
    filled(message, values, elements)
}

fn narrow(message: Message<'_>, value: i64, lo: i64, hi: i64) -> Result<i64> {
    match (lo..=hi).contains(&value) {
        true => Ok(value),
        false => Err(message.error(format!("element {value} is outside {lo}..={hi}"))),
    }
}

fn integers(message: Message<'_>, header: &Header<'_>, shape: &Shape) -> Result<Vec<i64>> {
    let elements = shape.elements();
    debug_assert!(elements <= TENSOR_ELEMENTS_MAX);
    let (size, number) = match header.data_type {
        7 => (8, 7),
        6 => (4, 5),
        _ => (1, 5),
    };
    let Some(raw) = raw(header, elements, size)? else {
        let values = typed_integers(message, number, elements)?;
        return match header.data_type {
            7 => Ok(values),
            // Negative int32 values are stored sign-extended to 64 bits.
            6 => Ok(values.into_iter().map(|v| i64::from(v as i32)).collect()),
            _ => Ok(values.into_iter().map(|v| i64::from(v != 0)).collect()),
        };
    };
    Ok(match header.data_type {
        7 => raw.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect(),
        6 => raw.as_chunks().0.iter().map(|&b| i64::from(i32::from_le_bytes(b))).collect(),
        _ => raw.iter().map(|&b| i64::from(b != 0)).collect(),
    })
}

fn codes(message: Message<'_>, header: &Header<'_>, shape: Shape) -> Result<Codes> {
    let unsigned = header.data_type == 2;
    let bytes = match raw(header, shape.elements(), 1)? {
        Some(raw) => raw.to_vec(),
        None => {
            let (lo, hi) = if unsigned { (0, 255) } else { (-128, 127) };
            let values = typed_integers(message, 5, shape.elements())?;
            values.into_iter().map(|v| Ok(narrow(message, v, lo, hi)? as u8)).collect::<Result<_>>()?
        }
    };
    Ok(Codes { shape, bytes, unsigned })
}

/// IEEE half precision to single.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction as f32 / (1u32 << 24) as f32,
        31 => f32::from_bits(0x7f80_0000 | fraction << 13),
        _ => f32::from_bits(((exponent + 112) << 23) | (fraction << 13)),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// bfloat16, the upper half of a single.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}
