//! Runs a [`Plan`]: a loop over steps in one block of memory. After [`Engine::new`] nothing is allocated,
//! locked or refused; a picture goes in, results come out. A [`Batch`] does so with several pictures at once.

mod batch;

pub use batch::Batch;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::kernels::isa::Isa;
use crate::kernels::{Plane, PlaneMut, Requantization, elementwise};
use crate::limits::{ARENA_ALIGN, THREADS_MAX};
use crate::memory::{Element, Memory};
use crate::passes::{self, Grids};
use crate::plan::{self, Plan, Port};
use crate::tensor::{DType, Shape};
use crate::threads::Pool;
use std::borrow::Borrow;
use std::ops::Range;
use std::time::{Duration, Instant};

/// Pixels of a picture that are worth handing to another thread.
const FILL_PIXELS_MIN: usize = 1 << 13;

/// Element types of the arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Int8 wherever the model has scales, float elsewhere.
    #[default]
    Auto,
    /// As `Auto`, but a model without scales is refused.
    Int8,
    /// Float throughout; int8 weights are dequantized.
    Fp32,
    /// As `Fp32`, but convolutions and linear layers compute with int8 weights, and with codes of their operand on
    /// a grid that is made in each run: for models without scales. Grouped convolutions other than depthwise
    /// ones and transposed ones stay float.
    Dynamic,
}

/// How an engine runs.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Element types.
    pub precision: Precision,
    /// Threads that share each step, the caller's included.
    pub threads: usize,
    /// Instruction set of the kernels.
    pub isa: Isa,
    /// How accumulators of convolutions and linear layers become codes. Sums, products, means and tables are the same
    /// with either.
    pub requantization: Requantization,
    /// Range of the picture's numbers after preprocessing; bounds the input's grid.
    pub input_range: (f32, f32),
    /// Whether tensors share memory when their lifetimes allow it. Only tests want `false`.
    pub reuse: bool,
    /// Give detection heads as the maps they were before an exported reshape and transpose.
    pub raw_heads: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            precision: Precision::Auto,
            threads: 1,
            isa: Isa::detect(),
            requantization: Requantization::Float,
            input_range: (0.0, 1.0),
            reuse: true,
            raw_heads: true,
        }
    }
}

/// A network ready to run, with its memory and threads.
pub struct Engine {
    plan: Plan,
    arena: Arena,
    pool: Pool,
    isa: Isa,
}

/// All tensors of one image, and scratch memory behind them.
struct Arena {
    memory: Memory,
    /// Where scratch memory begins, and bytes of it for each thread.
    scratch: (usize, usize),
}

/// The network's input, to be filled before each run.
pub enum Input<'a> {
    /// Codes of the given grid.
    Codes(PlaneMut<'a, i8>, crate::tensor::Quant),
    /// Real numbers.
    Reals(PlaneMut<'a, f32>),
}

/// One result of a run.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    /// Name in the model file.
    pub name: &'a str,
    /// Logical shape.
    pub shape: &'a Shape,
    /// Elements: images `[N, H, W, C]` with the plane's pitch, others row-major.
    pub plane: Plane<'a, f32>,
}

impl Engine {
    /// Simplifies, quantizes and plans `graph`, and allocates all memory it will ever need. A graph that is given
    /// away, not lent, makes room for it.
    ///
    /// # Errors
    /// The graph needs what no kernel does, or has no scales though [`Precision::Int8`] wants them.
    pub fn new(graph: impl Borrow<Graph>, options: &EngineOptions) -> Result<Engine> {
        if options.threads == 0 || options.threads > THREADS_MAX {
            return Err(Error::Usage(format!("threads must be 1 to {THREADS_MAX}, not {}", options.threads)));
        }
        let simple = passes::simplify(graph.borrow())?;
        drop(graph);
        Engine::of_simple(simple, options)
    }

    fn of_simple(graph: Graph, options: &EngineOptions) -> Result<Engine> {
        let graph = if options.raw_heads { passes::raw_heads(&graph)? } else { graph };
        let (graph, grids) = match options.precision {
            Precision::Fp32 | Precision::Dynamic => {
                let graph = passes::simplify(&passes::without_fake_quant(&graph)?)?;
                let grids = Grids::none(&graph);
                (graph, grids)
            }
            _ => {
                let (graph, grids) = passes::assign_grids(&graph, options.input_range)?;
                passes::requantize_movers(&graph, &grids)?
            }
        };
        let ordered = passes::order_channels(&graph, &grids)?;
        drop(graph);
        Engine::of_quantized(ordered, options)
    }

    fn of_quantized((graph, grids): (Graph, Grids), options: &EngineOptions) -> Result<Engine> {
        if options.precision == Precision::Int8 && grids.is_float() {
            return Err(Error::Usage(
                "the model has no int8 scales; quantize it first, or run it with --precision fp32".into(),
            ));
        }
        let dynamic = options.precision == Precision::Dynamic;
        let EngineOptions { isa, requantization, reuse, .. } = *options;
        let choices = plan::Options { isa, requantization, reuse, dynamic };
        let plan = Plan::new(&graph, &grids, &choices)?;
        drop(graph);
        let pool = Pool::new(options.threads);
        let arena = Arena::new(&plan, pool.threads());
        Ok(Engine { plan, arena, pool, isa: options.isa })
    }

    /// The plan, for inspection.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of activations and scratch memory.
    pub fn arena_bytes(&self) -> usize {
        self.arena.memory.bytes()
    }

    /// Rows and columns of the input image.
    pub fn input_size(&self) -> [usize; 2] {
        self.plan.inputs.first().map_or([0, 0], |port| port.loc.rows_columns())
    }

    /// The input tensor, NHWC. Its bytes serve other tensors during a run: fill it before every run.
    ///
    /// # Panics
    /// The graph has no input; loaders refuse such models.
    pub fn input(&mut self) -> Input<'_> {
        self.arena.input(&self.plan)
    }

    /// Fills the input with the numbers of a picture, `[height, width, channels]`, on all threads.
    ///
    /// # Panics
    /// They are too few.
    pub fn fill_reals(&mut self, reals: &[f32]) {
        let pixels = self.plan.inputs[0].loc.pixels();
        let parts = self.pool.threads().min(pixels.div_ceil(FILL_PIXELS_MIN)).max(1);
        let each = pixels.div_ceil(parts);
        self.pool.run(parts, &|i| {
            let pixels = (i * each).min(pixels)..((i + 1) * each).min(pixels);
            self.arena.fill_reals(&self.plan, self.isa, reals, pixels);
        });
    }

    /// Runs all steps.
    pub fn run(&mut self) {
        self.arena.run(&self.plan, &self.pool);
    }

    /// As [`Engine::run`], but waits for all threads after each step, and calls `report(step, duration)` then.
    pub fn run_timed(&mut self, mut report: impl FnMut(usize, Duration)) {
        for index in 0..self.plan.steps.len() {
            let start = Instant::now();
            self.arena.run_steps(&self.plan, index..index + 1, &self.pool);
            report(index, start.elapsed());
        }
    }

    /// Number of results.
    pub fn outputs(&self) -> usize {
        self.plan.outputs.len()
    }

    /// Result `i` of the last run.
    pub fn output(&self, i: usize) -> Output<'_> {
        self.arena.output(&self.plan, i)
    }
}

impl Arena {
    /// Memory for an image whose steps `threads` threads share.
    fn new(plan: &Plan, threads: usize) -> Self {
        let memory = Memory::new(Arena::bytes(plan, threads));
        for (buffer, bytes) in &plan.constants {
            // SAFETY: nothing else uses the memory yet.
            let place = unsafe { memory.view_mut::<u8>(plan.layout.offsets[*buffer], bytes.len()) };
            place.copy_from_slice(bytes);
        }
        Arena { memory, scratch: (plan.layout.bytes.next_multiple_of(ARENA_ALIGN), plan.scratch_bytes()) }
    }

    /// Size of such an arena.
    fn bytes(plan: &Plan, threads: usize) -> usize {
        plan.layout.bytes.next_multiple_of(ARENA_ALIGN) + plan.scratch_bytes() * threads
    }

    fn input(&mut self, plan: &Plan) -> Input<'_> {
        let port = &plan.inputs[0];
        match port.quant {
            Some(quant) => Input::Codes(self.writable(plan, port, 0..port.loc.pixels()), quant),
            None => Input::Reals(self.writable(plan, port, 0..port.loc.pixels())),
        }
    }

    /// Fills some pixels of the input from the numbers of a whole picture, `[height, width, channels]`.
    fn fill_reals(&self, plan: &Plan, isa: Isa, reals: &[f32], pixels: Range<usize>) {
        let port = &plan.inputs[0];
        let channels = port.loc.channels();
        match port.quant {
            Some(quant) => {
                let src = Plane { data: reals, pitch: channels };
                let dst = self.writable(plan, port, pixels.clone());
                elementwise::quantize(isa, quant, channels, src, dst, pixels);
            }
            None => {
                // Real images have no gaps between pixels.
                let from = &reals[pixels.start * channels..pixels.end * channels];
                self.writable(plan, port, pixels).data.copy_from_slice(from);
            }
        }
    }

    /// Some pixels of an input.
    fn writable<T: Element>(&self, plan: &Plan, port: &Port, pixels: Range<usize>) -> PlaneMut<'_, T> {
        let loc = &port.loc;
        let byte = plan.layout.offsets[loc.buffer] + (loc.start + pixels.start * loc.pitch) * size_of::<T>();
        let elements = match pixels.len() {
            0 => 0,
            count => (count - 1) * loc.pitch + loc.channels(),
        };
        assert!(T::DTYPE == Some(loc.dtype) && pixels.end <= loc.pixels());
        // SAFETY: the callers have the engine borrowed mutably, so no step runs, and ask for pixels that no
        // other slice has.
        let data = unsafe { self.memory.view_mut(byte, elements) };
        PlaneMut { data, pitch: loc.pitch }
    }

    /// Runs all steps; the caller has the engine borrowed mutably.
    fn run(&self, plan: &Plan, pool: &Pool) {
        plan.groups.iter().for_each(|group| self.run_steps(plan, group.clone(), pool));
    }

    fn run_steps(&self, plan: &Plan, steps: Range<usize>, pool: &Pool) {
        plan::step::run(&plan.steps[steps], &self.memory, &plan.layout.offsets, self.scratch, pool);
    }

    fn output<'a>(&'a self, plan: &'a Plan, i: usize) -> Output<'a> {
        let port = &plan.outputs[i];
        debug_assert_eq!(port.loc.dtype, DType::F32);
        let byte = plan.layout.offsets[port.loc.buffer] + port.loc.start * size_of::<f32>();
        // SAFETY: `run` and `input` need the engine mutably, so nobody writes while this slice lives.
        let data = unsafe { self.memory.view(byte, port.loc.extent()) };
        Output { name: &port.name, shape: &port.shape, plane: Plane { data, pitch: port.loc.pitch } }
    }
}
