//! A step: a kernel with its operands' places, and how its work is shared between threads.

use super::Loc;
use crate::kernels::{Plane, PlaneMut};
use crate::limits::CHANNEL_GROUP;
use crate::memory::{Element, Memory};
use crate::tensor::{Quant, Shape};
use crate::threads::Pool;
use std::ops::Range;

/// Least work of a part, in elements of its largest operand or the result: about half a microsecond, what it takes to hand it over.
const PART_WORK_MIN: u64 = 1 << 14;

/// Multiply-accumulates that take as long as moving one element.
const MACS_PER_ELEMENT: u64 = 8;

/// What a kernel does, with all its parameters bound. It allocates nothing and cannot fail.
pub type Run = Box<dyn Fn(&mut Part<'_>) + Send + Sync>;

/// A kernel chosen for a node.
pub struct Work {
    /// Name of the kernel, with its instruction set where it has one.
    pub kernel: String,
    /// Bytes of weights and tables it holds.
    pub weights_bytes: usize,
    /// Bytes of scratch memory that each thread needs.
    pub scratch_bytes: usize,
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Pixels of the result that make up the smallest share of a thread; 0: the work cannot be shared.
    pub unit: usize,
    /// The kernel.
    pub run: Run,
}

/// One operation on the arena.
pub struct Step {
    /// Name of the node in the model file.
    pub name: String,
    /// Operator.
    pub op: String,
    /// Logical shape of the result.
    pub shape: Shape,
    /// Grid of the result, if it is int8.
    pub quant: Option<Quant>,
    /// Operands.
    pub reads: Vec<Loc>,
    /// Result. No operand lies in the same buffer.
    pub write: Loc,
    /// Whether each pixel of the result depends only on the same pixel of each operand of that size.
    pub pointwise: bool,
    /// The kernel.
    pub work: Work,
}

/// Runs steps of one [group](super::group) on all threads: each thread all of them for its share of the pixels.
///
/// `offsets` are those of the plan; scratch memory, of [`Plan::scratch_bytes`](super::Plan::scratch_bytes) for
/// each thread, starts at `scratch.0`, and `scratch.1` is that number of bytes.
pub fn run(steps: &[Step], memory: &Memory, offsets: &[usize], scratch: (usize, usize), pool: &Pool) {
    let unit = steps.iter().map(|step| step.work.unit).max().unwrap_or(0);
    let pixels = steps.first().map_or(0, |step| step.write.pixels());
    let units = if unit == 0 { 1 } else { pixels.div_ceil(unit) };
    let work: u64 = steps.iter().map(Step::effort).sum();
    let parts = pool.threads().min(units).min((work / PART_WORK_MIN) as usize).max(1);
    let each = units.div_ceil(parts);
    pool.run(parts, &|index| {
        let pixels = match unit {
            0 => 0..pixels,
            unit => {
                let end = ((index + 1) * each * unit).min(pixels);
                (index * each * unit).min(end)..end
            }
        };
        if pixels.is_empty() {
            return;
        }
        for step in steps {
            let scratch = scratch.0 + index * scratch.1;
            (step.work.run)(&mut Part { step, memory, offsets, scratch, pixels: pixels.clone() });
        }
    });
}

impl Step {
    /// What a run costs, in elements: those it makes or sees, whichever are more.
    fn effort(&self) -> u64 {
        let moved = self.reads.iter().map(Loc::extent).fold(self.write.extent(), usize::max);
        (self.work.macs / MACS_PER_ELEMENT).max(moved as u64)
    }
}

/// The share of a step that one thread does: some pixels of the result.
pub struct Part<'a> {
    step: &'a Step,
    memory: &'a Memory,
    offsets: &'a [usize],
    scratch: usize,
    pixels: Range<usize>,
}

impl<'a> Part<'a> {
    /// Pixels of the result to write.
    pub fn pixels(&self) -> Range<usize> {
        self.pixels.clone()
    }

    /// Rows of the result to write, for kernels whose unit is a row.
    pub fn rows(&self) -> Range<usize> {
        let width = self.step.work.unit.max(1);
        self.pixels.start / width..self.pixels.end / width
    }

    /// Number of operands.
    pub fn inputs(&self) -> usize {
        self.step.reads.len()
    }

    /// Operand `i`, whole.
    pub fn input<T: Element>(&self, i: usize) -> Plane<'a, T> {
        let loc = &self.step.reads[i];
        assert_eq!(T::DTYPE, Some(loc.dtype), "operand {i} has another element type");
        let elements = match loc.pixels() {
            0 => 0,
            pixels => (pixels - 1) * loc.pitch + loc.channels().next_multiple_of(CHANNEL_GROUP),
        };
        let byte = self.offsets[loc.buffer] + loc.start * size_of::<T>();
        // SAFETY: the planner gives a result no bytes of a buffer that lives (property-tested in
        // `plan::arena`) and no buffer of its own operands, so nobody writes here during this step.
        let data = unsafe { self.memory.view(byte, elements) };
        Plane { data, pitch: loc.pitch }
    }

    /// This part's pixels of the result, and scratch memory.
    pub fn output<T: Element, S: Element>(&mut self) -> (PlaneMut<'_, T>, &mut [S]) {
        let loc = &self.step.write;
        assert_eq!(T::DTYPE, Some(loc.dtype), "the result has another element type");
        let elements = match self.pixels.len() {
            0 => 0,
            pixels => (pixels - 1) * loc.pitch + loc.channels(),
        };
        let first = loc.start + self.pixels.start * loc.pitch;
        let byte = self.offsets[loc.buffer] + first * size_of::<T>();
        // SAFETY: parts have disjoint pixels, `&mut self` keeps this part from taking its pixels twice, and
        // operands lie in other buffers.
        let data = unsafe { self.memory.view_mut(byte, elements) };
        let scratch_elements = self.step.work.scratch_bytes / size_of::<S>();
        // SAFETY: each part has scratch bytes of its own, behind all buffers.
        let scratch = unsafe { self.memory.view_mut(self.scratch, scratch_elements) };
        (PlaneMut { data, pitch: loc.pitch }, scratch)
    }
}
