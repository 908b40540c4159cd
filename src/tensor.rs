//! Shapes, element types and quantization parameters.

use crate::limits::{DIM_MAX, RANK_MAX, TENSOR_ELEMENTS_MAX};
use std::fmt;

/// Element type of a tensor at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE single precision.
    F32,
    /// Eight-bit code of an affine quantized tensor.
    I8,
}

impl DType {
    /// Size of one element in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::I8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::I8 => "i8",
        })
    }
}

/// Why a list of dimensions is not a shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// More than [`RANK_MAX`] dimensions.
    #[error("rank {0} is above the limit of {RANK_MAX}")]
    Rank(usize),
    /// A dimension that is negative or above [`DIM_MAX`].
    #[error("dimension {0} is outside 0..={DIM_MAX}")]
    Dim(i64),
    /// The product of the dimensions is above [`TENSOR_ELEMENTS_MAX`].
    #[error("{0} has more than {TENSOR_ELEMENTS_MAX} elements")]
    Elements(String),
}

/// Extents of a tensor, outermost first. Images are logically `[N, C, H, W]`.
///
/// A `Shape` exists only if its rank, every extent and the number of elements keep within `limits.rs`, so
/// products of its dimensions never overflow.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Checks `dims` against the limits.
    pub fn new(dims: impl Into<Vec<usize>>) -> Result<Self, ShapeError> {
        let dims = dims.into();
        if dims.len() > RANK_MAX {
            return Err(ShapeError::Rank(dims.len()));
        }
        if let Some(&d) = dims.iter().find(|&&d| d > DIM_MAX) {
            return Err(ShapeError::Dim(i64::try_from(d).unwrap_or(i64::MAX)));
        }
        let elements = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        match elements {
            Some(n) if n <= TENSOR_ELEMENTS_MAX => Ok(Shape(dims)),
            _ => Err(ShapeError::Elements(format!("{dims:?}"))),
        }
    }

    /// Checks signed dimensions, as files hold them.
    pub fn from_i64(dims: &[i64]) -> Result<Self, ShapeError> {
        let dims: Result<Vec<usize>, _> =
            dims.iter().map(|&d| usize::try_from(d).map_err(|_| ShapeError::Dim(d))).collect();
        Shape::new(dims?)
    }

    /// The extents.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements; 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// `[N, C, H, W]` of an image tensor, `None` for any other rank.
    pub fn nchw(&self) -> Option<[usize; 4]> {
        self.0.as_slice().try_into().ok()
    }
}

impl std::ops::Index<usize> for Shape {
    type Output = usize;
    fn index(&self, axis: usize) -> &usize {
        &self.0[axis]
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "[{}]", dims.join(","))
    }
}

/// Affine quantization of a whole tensor: `real = scale · (code − zero_point)`, codes −128..=127.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quant {
    /// Real value of one code step; finite and positive.
    pub scale: f32,
    /// Code that stands for zero.
    pub zero_point: i8,
}

impl Quant {
    /// `None` unless `scale` is a normal positive number.
    pub fn new(scale: f32, zero_point: i8) -> Option<Self> {
        (scale.is_normal() && scale > 0.0).then_some(Quant { scale, zero_point })
    }

    /// The finest grid that holds `lo..=hi` and has an exact zero. Both ends are widened to include zero.
    /// `None` where a bound is not finite, or both are zero.
    pub fn from_range(lo: f32, hi: f32) -> Option<Self> {
        if lo.is_nan() || hi.is_nan() {
            return None;
        }
        let (lo, hi) = (lo.min(0.0), hi.max(0.0));
        let scale = (hi - lo) / 255.0;
        let quant = Quant::new(scale, 0)?;
        let zero_point = (-128.0 - lo / scale).round_ties_even().clamp(-128.0, 127.0) as i8;
        Some(Quant { zero_point, ..quant })
    }

    /// Nearest code, ties to even, saturating: `QuantizeLinear` of ONNX.
    pub fn quantize(self, real: f32) -> i8 {
        let code = (real / self.scale).round_ties_even() + f32::from(self.zero_point);
        code.clamp(-128.0, 127.0) as i8
    }

    /// Real value of a code.
    pub fn dequantize(self, code: i8) -> f32 {
        self.scale * f32::from(i16::from(code) - i16::from(self.zero_point))
    }

    /// Smallest and largest representable real value.
    pub fn range(self) -> (f32, f32) {
        (self.dequantize(i8::MIN), self.dequantize(i8::MAX))
    }
}

/// Elements of a constant, row-major in the tensor's logical shape.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Real numbers.
    F32(Vec<f32>),
    /// Integers of shape arithmetic and indices.
    I64(Vec<i64>),
    /// Symmetric int8 weights: `real = scales[i] · code` where `i` is the index along axis 0.
    ///
    /// `scales` has one entry per index of axis 0 (the output channel). Codes keep to −127..=127.
    Q8 {
        /// Codes.
        codes: Vec<i8>,
        /// One scale per output channel.
        scales: Vec<f32>,
    },
}

/// A constant tensor: weights, biases, folded values.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Shape,
    data: Data,
}

impl Tensor {
    /// `None` if the number of elements (or of scales) does not match `shape`.
    pub fn new(shape: Shape, data: Data) -> Option<Self> {
        let n = shape.elements();
        let fits = match &data {
            Data::F32(v) => v.len() == n,
            Data::I64(v) => v.len() == n,
            Data::Q8 { codes, scales } => {
                codes.len() == n && shape.rank() > 0 && scales.len() == shape[0] && !codes.contains(&i8::MIN)
            }
        };
        fits.then_some(Tensor { shape, data })
    }

    /// Logical shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Elements, row-major.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The elements as real numbers; quantized weights are dequantized.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::Q8 { codes, scales } => {
                let per_channel = (codes.len() / scales.len().max(1)).max(1);
                codes
                    .chunks(per_channel)
                    .zip(scales)
                    .flat_map(|(row, &scale)| row.iter().map(move |&c| scale * f32::from(c)))
                    .collect()
            }
        }
    }

    /// Symmetric int8 weights `[O, ..]`: each output channel's largest magnitude is code 127, the others are
    /// rounded to the nearest code, ties to even. Quantized weights stay as they are. A channel of zeros has
    /// scale 1.
    ///
    /// # Panics
    /// The tensor is a scalar, which has no channels.
    #[must_use]
    pub fn to_q8(&self) -> Tensor {
        if let Data::Q8 { .. } = self.data {
            return self.clone();
        }
        let values = self.to_f32();
        let row = (values.len() / self.shape[0].max(1)).max(1);
        let scale = |row: &[f32]| {
            let largest = row.iter().fold(0f32, |most, w| most.max(w.abs()));
            if largest.is_normal() { largest / 127.0 } else { 1.0 }
        };
        let scales: Vec<f32> = values.chunks(row).map(scale).collect();
        let code = |w: f32, scale: f32| (w / scale).round_ties_even().clamp(-127.0, 127.0) as i8;
        let codes =
            values.chunks(row).zip(&scales).flat_map(|(row, &s)| row.iter().map(move |&w| code(w, s)));
        Tensor { shape: self.shape.clone(), data: Data::Q8 { codes: codes.collect(), scales } }
    }

    /// The elements as integers, if they are integers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(v) => Some(v),
            _ => None,
        }
    }

    /// Size of the elements in bytes.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F32(v) => v.len() * 4,
            Data::I64(v) => v.len() * 8,
            Data::Q8 { codes, scales } => codes.len() + scales.len() * 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_dimensions_are_refused_before_they_are_multiplied() {
        assert!(matches!(Shape::from_i64(&[1, -3, 2]), Err(ShapeError::Dim(-3))));
        assert!(matches!(Shape::from_i64(&[i64::MAX, 4]), Err(ShapeError::Dim(_))));
        assert!(matches!(Shape::new([1 << 20, 1 << 20, 1 << 20]), Err(ShapeError::Elements(_))));
        assert!(matches!(Shape::new([0, 1 << 28, 1 << 28]), Err(ShapeError::Elements(_))));
        assert!(matches!(Shape::new([1; 9]), Err(ShapeError::Rank(9))));
    }

    #[test]
    fn range_to_grid_keeps_zero_exact() {
        let relu = Quant::from_range(0.0, 25.5).unwrap();
        assert_eq!((relu.scale, relu.zero_point), (0.1, -128));
        let silu = Quant::from_range(-0.2785, 4.0).unwrap();
        assert_eq!(silu.dequantize(silu.quantize(0.0)), 0.0);
        assert!(Quant::from_range(0.0, 0.0).is_none() && Quant::from_range(f32::NAN, 1.0).is_none());
    }
}
