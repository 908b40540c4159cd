//! Compute kernels: what an operator does to bytes, and nothing else.
//!
//! [`reference`] is the specification of int8 arithmetic; every other int8 kernel gives the same bytes on
//! the same input, on every instruction set, however the rows are split. Kernels know nothing of graphs,
//! files or time. Images are NHWC: the channels of a pixel lie together, pixels are `pitch` elements apart,
//! rows follow each other without a gap.

pub mod float;
pub mod moves;
pub mod reference;

/// Read access to an image tensor, or to a range of its channels.
///
/// Channel `c` of pixel `p` (row-major) is `data[p * pitch + c]`. At least
/// [`CHANNEL_GROUP`](crate::limits::CHANNEL_GROUP)-rounded channels of every pixel may be read; what lies
/// beyond the tensor's own channels is arbitrary.
#[derive(Clone, Copy, Debug)]
pub struct Plane<'a, T> {
    /// Elements from the first channel of the first pixel on.
    pub data: &'a [T],
    /// Distance between neighbouring pixels, in elements.
    pub pitch: usize,
}

/// Write access to some rows of an image tensor, or to a range of its channels.
///
/// `data` starts at the first channel of the first pixel *of the rows to be written*.
#[derive(Debug)]
pub struct PlaneMut<'a, T> {
    /// Elements from the first channel of the first pixel on.
    pub data: &'a mut [T],
    /// Distance between neighbouring pixels, in elements.
    pub pitch: usize,
}

/// Sliding window of a convolution or pooling: NHWC image in, NHWC image out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Input rows and columns.
    pub input: [usize; 2],
    /// Output rows and columns.
    pub output: [usize; 2],
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Step down and right.
    pub stride: [usize; 2],
    /// Distance between taps, down and right.
    pub dilation: [usize; 2],
    /// Padding above and to the left; what is needed below and right follows from `output`.
    pub pad: [usize; 2],
}

/// From an `i32` accumulator to a code: `clamp(round_half_even(acc · multiplier) + zero_point, lo, hi)`,
/// then `table[code + 128]` where there is a table.
#[derive(Clone, Debug)]
pub struct Requant {
    /// Per output channel: input scale · weight scale / output scale. Finite.
    pub multiplier: Vec<f32>,
    /// Code of zero in the output (of the table's input, where there is a table).
    pub zero_point: i8,
    /// Smallest code before the table; a fused ReLU is `lo = zero_point`.
    pub lo: i8,
    /// Largest code before the table.
    pub hi: i8,
    /// Activation as a table of codes, indexed by code + 128.
    pub table: Option<Box<[i8; 256]>>,
}

/// What happens to an accumulator of a convolution.
#[derive(Clone, Debug)]
pub enum Epilogue {
    /// Int8 code.
    Codes(Requant),
    /// Real number: `acc as f32 * multiplier[channel]`. Heads leave int8 this way, with no rounding step.
    Reals(Vec<f32>),
}
