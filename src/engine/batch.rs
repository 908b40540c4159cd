//! Several images at once: every thread runs whole images.

use super::{Arena, Engine, Input, Output};
use crate::error::{Error, Result};
use crate::kernels::isa::Isa;
use crate::limits::{ARENA_BYTES_MAX, BATCH_MAX};
use crate::plan::Plan;
use crate::threads::Pool;

/// An engine for several images: one plan with one set of packed weights, and an arena for each image.
///
/// An [`Engine`] gives all threads to one image and has its result soonest. A batch gives each image one thread, which
/// waits for no other between the steps: more images in the same time, each of them later. Image `i` belongs to
/// thread `i` modulo the number of threads, so a batch should be a multiple of it. The results are the same
/// bytes.
pub struct Batch {
    plan: Plan,
    arenas: Vec<Arena>,
    /// The threads that share the images.
    pool: Pool,
    /// The one thread that a step has.
    alone: Pool,
    isa: Isa,
}

impl Engine {
    /// The same network on the same threads, for batches of `images` images.
    ///
    /// # Errors
    /// More images than [`BATCH_MAX`], none, or more memory than [`ARENA_BYTES_MAX`].
    pub fn with_batch(self, images: usize) -> Result<Batch> {
        if images == 0 || images > BATCH_MAX {
            return Err(Error::Usage(format!("a batch has 1 to {BATCH_MAX} images, not {images}")));
        }
        let each = Arena::bytes(&self.plan, 1);
        if each.checked_mul(images).is_none_or(|all| all > ARENA_BYTES_MAX) {
            let most = ARENA_BYTES_MAX / each.max(1);
            return Err(Error::Usage(format!(
                "{images} images of {each} bytes each need more than {ARENA_BYTES_MAX} bytes; at most {most} fit"
            )));
        }
        let Engine { plan, pool, isa, arena } = self;
        drop(arena);
        let arenas = (0..images).map(|_| Arena::new(&plan, 1)).collect();
        Ok(Batch { plan, arenas, pool, alone: Pool::new(1), isa })
    }
}

impl Batch {
    /// The plan, for inspection.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.arenas.len()
    }

    /// Rows and columns of an image.
    pub fn input_size(&self) -> [usize; 2] {
        self.plan.inputs.first().map_or([0, 0], |port| port.loc.rows_columns())
    }

    /// The input tensor of image `i`; see [`Engine::input`].
    ///
    /// # Panics
    /// There is no image `i`, or the graph has no input.
    pub fn input(&mut self, i: usize) -> Input<'_> {
        self.arenas[i].input(&self.plan)
    }

    /// Fills the input of each image `i` with the numbers `picture(i)`, `[height, width, channels]`, on all threads.
    ///
    /// # Panics
    /// A picture has too few numbers.
    pub fn fill_reals<'p>(&mut self, picture: impl Fn(usize) -> &'p [f32] + Sync) {
        let pixels = self.plan.inputs[0].loc.pixels();
        self.pool.run(self.arenas.len(), &|i| {
            self.arenas[i].fill_reals(&self.plan, self.isa, picture(i), 0..pixels);
        });
    }

    /// Runs all steps for all images.
    pub fn run(&mut self) {
        self.pool.run(self.arenas.len(), &|i| self.arenas[i].run(&self.plan, &self.alone));
    }

    /// Number of results of each image.
    pub fn outputs(&self) -> usize {
        self.plan.outputs.len()
    }

    /// Result `k` of image `i` of the last run.
    ///
    /// # Panics
    /// There is no such image or result.
    pub fn output(&self, i: usize, k: usize) -> Output<'_> {
        self.arenas[i].output(&self.plan, k)
    }
}
