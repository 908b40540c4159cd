//! From a graph to a list of steps over one block of memory: everything is decided here, once, so that
//! running is a loop over steps.
//!
//! [`lower`] walks the nodes and chooses for each the element type, the place of its result and the kernel;
//! [`arena`] turns lifetimes into offsets. Concat, shuffle and slice of channels move nothing: a convolution
//! behind them reads the channels from where they were made. A tensor that an operator of the other element
//! type reads is converted once.

pub mod arena;
mod dynamic;
mod epilogue;
mod group;
mod int8;
mod lower;
mod movers;
mod real;
pub mod step;

pub use lower::lower;
pub use step::{Part, Run, Step, Work};

use crate::graph::Graph;
use crate::kernels::Requantization;
use crate::kernels::isa::Isa;
use crate::limits::ARENA_ALIGN;
use crate::tensor::{DType, Quant, Shape};
use std::ops::Range;

/// Where a tensor lies, or a range of an image's channels.
///
/// Rank-4 tensors are stored `[N, H, W, C]` with `pitch` elements from pixel to pixel; others row-major, and
/// kernels that work pixel by pixel see their last dimension as channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loc {
    /// Index of the buffer, as in [`Layout::offsets`](arena::Layout::offsets).
    pub buffer: usize,
    /// First element within the buffer.
    pub start: usize,
    /// Physical extents, outermost first; channels last.
    pub dims: Vec<usize>,
    /// Elements from pixel to pixel.
    pub pitch: usize,
    /// Element type.
    pub dtype: DType,
}

impl Loc {
    /// Extent of the last dimension.
    pub fn channels(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// The `count` channels from `first` on.
    #[must_use]
    pub fn channels_from(&self, first: usize, count: usize) -> Loc {
        let mut part = Loc { start: self.start + first, ..self.clone() };
        if let Some(channels) = part.dims.last_mut() {
            *channels = count;
        }
        part
    }

    /// Product of all other extents.
    pub fn pixels(&self) -> usize {
        self.dims[..self.dims.len().saturating_sub(1)].iter().product()
    }

    /// Rows and columns of an image; one row of pixels for other tensors.
    pub fn rows_columns(&self) -> [usize; 2] {
        match self.dims[..] {
            [n, h, w, _] => [n * h, w],
            _ => [1, self.pixels()],
        }
    }

    /// Elements from one index to the next, per physical dimension.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.dims.len()];
        let mut stride = self.pitch;
        for axis in (0..self.dims.len().saturating_sub(1)).rev() {
            strides[axis] = stride;
            stride *= self.dims[axis];
        }
        strides
    }

    /// Elements from the first to one behind the last.
    pub fn extent(&self) -> usize {
        match self.pixels() {
            0 => 0,
            pixels => (pixels - 1) * self.pitch + self.channels(),
        }
    }
}

/// Physical extents of a logical shape: images have their channels last.
pub fn physical_dims(shape: &Shape) -> Vec<usize> {
    match shape.nchw() {
        Some([n, c, h, w]) => vec![n, h, w, c],
        None => shape.dims().to_vec(),
    }
}

/// Physical axis of a logical one.
pub fn physical_axis(rank: usize, axis: usize) -> usize {
    if rank == 4 { [0, 3, 1, 2][axis] } else { axis }
}

/// How the picture's tensor is to be filled, or a result to be read.
#[derive(Clone, Debug)]
pub struct Port {
    /// Name in the model file.
    pub name: String,
    /// Logical shape.
    pub shape: Shape,
    /// Place.
    pub loc: Loc,
    /// Grid, if the element type is int8.
    pub quant: Option<Quant>,
}

/// What the planner may choose from.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Instruction set of the kernels.
    pub isa: Isa,
    /// How accumulators become codes.
    pub requantization: Requantization,
    /// Whether buffers share bytes when their lifetimes allow it.
    pub reuse: bool,
    /// Whether float convolutions and linear layers quantize their operand in each run.
    pub dynamic: bool,
}

/// A network ready to run.
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Steps that threads run without waiting for each other in between.
    pub groups: Vec<Range<usize>>,
    /// Byte offsets of the buffers.
    pub layout: arena::Layout,
    /// Contents of buffers that hold constants, written once.
    pub constants: Vec<(usize, Vec<u8>)>,
    /// The picture.
    pub inputs: Vec<Port>,
    /// The results, all float.
    pub outputs: Vec<Port>,
}

impl Plan {
    /// Plans `graph` on `grids`.
    ///
    /// # Errors
    /// An operator that no kernel runs, or too large an arena.
    pub fn new(graph: &Graph, grids: &crate::passes::Grids, options: &Options) -> crate::Result<Plan> {
        lower(graph, grids, options)
    }

    /// Arithmetic of the steps that multiply and accumulate: `int8`, `fp32` or `mixed`; `dynamic` where operands
    /// are quantized in each run.
    pub fn precision(&self) -> &'static str {
        if self.steps.iter().any(dynamic::is_dynamic) {
            return "dynamic";
        }
        let int8 = |step: &Step| step.reads.iter().all(|loc| loc.dtype == DType::I8);
        let (int8, all) = self
            .steps
            .iter()
            .filter(|s| s.work.macs > 0)
            .fold((0, 0), |(i, n), s| (i + usize::from(int8(s)), n + 1));
        match int8 {
            0 => "fp32",
            _ if int8 == all => "int8",
            _ => "mixed",
        }
    }

    /// Bytes of weights and tables that the steps hold.
    pub fn weights_bytes(&self) -> usize {
        self.steps.iter().map(|s| s.work.weights_bytes).sum::<usize>()
            + self.constants.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }

    /// Bytes of scratch memory that each thread needs, aligned.
    pub fn scratch_bytes(&self) -> usize {
        self.steps.iter().map(|s| s.work.scratch_bytes.next_multiple_of(ARENA_ALIGN)).max().unwrap_or(0)
    }
}
