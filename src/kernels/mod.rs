//! Compute kernels: what an operator does to bytes, and nothing else.
//!
//! [`mod@reference`] is the specification of int8 arithmetic; every other int8 kernel gives the same bytes on
//! the same input, on every instruction set, however the rows are split. Kernels know nothing of graphs,
//! files or time. Images are NHWC: the channels of a pixel lie together, pixels are `pitch` elements apart,
//! rows follow each other without a gap.

mod arch;
pub mod channels;
pub mod collect;
pub mod conv;
mod depthwise;
mod dot;
pub mod dynamic;
pub mod elementwise;
pub mod float;
mod gemm;
pub mod isa;
mod job;
mod lines;
pub mod moves;
mod packed;
pub mod pool;
pub mod reference;
pub mod resample;
mod taps;
#[cfg(test)]
mod testing;

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

impl Window {
    /// Rows (axis 0) or columns (axis 1) of the padded image up to the last tap of the last output, from the
    /// first padding cell on.
    pub fn reach(&self, axis: usize) -> usize {
        (self.output[axis] - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Whether every output pixel reads exactly the input pixel at its own place.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0, 0] && self.input == self.output
    }
}

/// Weights of a convolution, with what belongs to them.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output; of a depthwise convolution the same number.
    pub out_channels: usize,
    /// Code of zero in the input; padding cells have it.
    pub zero_point: i8,
    /// Dense: `[oc][kh][kw][ic]`; depthwise: `[kh][kw][c]`. −127..=127.
    pub weights: &'a [i8],
    /// One per output channel, in units of input scale · weight scale.
    pub bias: &'a [i32],
}

/// The codes that a tensor may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRange {
    /// Code of zero.
    pub zero_point: i8,
    /// Smallest code.
    pub lo: i8,
    /// Largest code; not below `lo`.
    pub hi: i8,
}

/// Average pooling.
#[derive(Clone, Debug)]
pub struct Average {
    /// Padding cells count as zeros.
    pub count_include_pad: bool,
    /// Rows and columns of the bottom and right padding that never count (ceil mode).
    pub tail: [usize; 2],
    /// Code of zero in the input.
    pub zero_point: i8,
    /// Input scale / output scale; the multiplier of a window is this over the number of its counted cells.
    pub ratio: f32,
    /// Codes of the output.
    pub range: CodeRange,
}

/// Sum of two tensors. A [`Plane`] of pitch 0 is one pixel that meets every pixel of the other operand.
#[derive(Clone, Debug)]
pub struct Add {
    /// Code of zero in each operand.
    pub zero_points: [i8; 2],
    /// Scale of each operand / output scale.
    pub multipliers: [f32; 2],
    /// Codes of the output (of the table's input, where there is a table).
    pub range: CodeRange,
    /// Activation as a table of codes, indexed by code + 128.
    pub table: Option<Box<[i8; 256]>>,
}

/// Product of two tensors. A [`Plane`] of pitch 0 is one pixel that meets every pixel of the other operand.
#[derive(Clone, Debug)]
pub struct Mul {
    /// Code of zero in each operand.
    pub zero_points: [i8; 2],
    /// Product of the operands' scales / output scale.
    pub multiplier: f32,
    /// Codes of the output (of the table's input, where there is a table).
    pub range: CodeRange,
    /// Activation as a table of codes, indexed by code + 128.
    pub table: Option<Box<[i8; 256]>>,
}

/// How the accumulators of convolutions and linear layers become codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Requantization {
    /// One multiplication in `f32`, half to even: [`reference::requantize`].
    #[default]
    Float,
    /// Integers alone, as hardware without floating point does it: [`reference::fixed`]. On every instruction set the
    /// scalar kernels compute so; it is for comparing with such hardware, not for speed.
    Fixed,
}

/// From an `i32` accumulator to a code: `clamp(round_half_even(acc · multiplier) + zero_point, lo, hi)`,
/// then `table[code + 128]` where there is a table.
#[derive(Clone, Debug)]
pub struct Requant {
    /// How the product with the multiplier is rounded.
    pub method: Requantization,
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

impl Requant {
    /// Codes before the table.
    pub fn range(&self) -> CodeRange {
        CodeRange { zero_point: self.zero_point, lo: self.lo, hi: self.hi }
    }
}

/// What happens to an accumulator of a convolution.
#[derive(Clone, Debug)]
pub enum Epilogue {
    /// Int8 code.
    Codes(Requant),
    /// Real number: `acc as f32 * multiplier[channel]`. Heads leave int8 this way, with no rounding step.
    Reals(Vec<f32>),
}

impl Epilogue {
    /// How accumulators become codes, if they do.
    fn method(&self) -> Requantization {
        match self {
            Epilogue::Codes(requant) => requant.method,
            Epilogue::Reals(_) => Requantization::Float,
        }
    }

    /// The multipliers, after a check that there is one per channel and that codes have a range.
    ///
    /// # Panics
    /// They do not fit.
    fn multiplier(&self, channels: usize) -> &[f32] {
        let multiplier = match self {
            Epilogue::Codes(requant) => {
                assert!(requant.lo <= requant.hi);
                &requant.multiplier
            }
            Epilogue::Reals(multiplier) => multiplier,
        };
        assert!(multiplier.len() == channels && multiplier.iter().all(|m| m.is_finite()));
        multiplier
    }
}

/// Length and number of runs of neighbouring elements: all pixels in one run where no plane has a gap.
#[inline(always)]
fn gapless(channels: usize, pixels: usize, pitches: &[usize]) -> (usize, usize) {
    match pitches.iter().all(|&pitch| pitch == channels) {
        true => (channels * pixels, pixels.min(1)),
        false => (channels, pixels),
    }
}
