//! Pictures in batches, decoded and changed ahead of whom they are for.
//!
//! ```no_run
//! use calib::augment::Augment;
//! use calib::loader::{Loader, Options};
//! # fn main() -> calib::Result<()> {
//! # let set = calib::dataset::training::TrainingSet::default();
//! let augment = Some(Augment::default());
//! let loader = Loader::new(set, Options { size: 256, batch: 16, augment, ..Options::default() })?;
//! for epoch in 0..100 {
//!     for batch in loader.epoch(epoch) {
//!         let batch = batch?;
//!         println!("{} pictures, {} boxes", batch.len(), batch.targets.len());
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod batch;
mod cache;
mod epoch;

pub use batch::{Batch, Region, Target};
pub use epoch::Epoch;

use crate::augment::Augment;
use crate::dataset::training::TrainingSet;
use crate::error::{Error, Result};
use crate::share::cores;
use cache::Cache;
use ocellus::limits::{BATCH_MAX, INPUT_SIDE_MAX, INPUT_SIDE_MIN, THREADS_MAX};
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of decoded pictures where the caller does not say: all of a small data set, little beside a training step.
const CACHE_BYTES: usize = 384 << 20;
/// Side of pictures that are kept to be changed, in sides of the network's input: what is enlarged afterwards is still
/// about as sharp as what the network will see.
const KEPT_SIDE: f64 = 1.25;

/// What a [`Loader`] makes.
#[derive(Clone, Debug)]
pub struct Options {
    /// Side of the square pictures in pixels.
    pub size: usize,
    /// Pictures in a batch.
    pub batch: usize,
    /// How pictures are changed, in an order that differs from epoch to epoch. `None`: letterboxed, in their own order, each
    /// once, as for validation.
    pub augment: Option<Augment>,
    /// What order and changes follow from, with the epoch's number.
    pub seed: u64,
    /// Threads that prepare pictures. Their number changes no result.
    pub threads: usize,
    /// Most bytes of decoded pictures that are kept. Their number changes no result.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { size: 320, batch: 16, augment: None, seed: 0, threads: cores(), cache_bytes: CACHE_BYTES }
    }
}

/// Makes batches of a training set's pictures.
#[derive(Clone, Debug)]
pub struct Loader(Arc<Shared>);

/// What the threads of an epoch read.
#[derive(Debug)]
struct Shared {
    set: TrainingSet,
    options: Options,
    cache: Cache,
    /// Indices of the pictures in their own order, each as often as an epoch has it.
    order: Vec<u32>,
    /// For each origin, the part of `order` whose data sets label the same classes: only these share a mosaic, so that of
    /// each picture that is made one can still say which classes are labelled on it.
    partners: Vec<Arc<[u32]>>,
}

impl Loader {
    /// # Errors
    /// [`Error::Usage`]: an option is out of its bounds, or the set has no pictures.
    pub fn new(set: TrainingSet, options: Options) -> Result<Self> {
        for (name, value, low, high) in [
            ("size", options.size, INPUT_SIDE_MIN, INPUT_SIDE_MAX),
            ("batch", options.batch, 1, BATCH_MAX),
            ("threads", options.threads, 1, THREADS_MAX),
        ] {
            if !(low..=high).contains(&value) {
                return Err(Error::Usage(format!("{name} {value}: must be {low} to {high}")));
            }
        }
        options.augment.as_ref().map_or(Ok(()), Augment::check)?;
        if set.pictures.is_empty() {
            return Err(Error::Usage("there are no pictures to load".to_owned()));
        }
        let changing = options.augment.is_some();
        let order = order(&set, changing);
        let partners = partners(&set, &order);
        let side = if changing { (options.size as f64 * KEPT_SIDE) as usize } else { options.size };
        let cache = Cache::new(set.pictures.len(), side, options.cache_bytes);
        Ok(Loader(Arc::new(Shared { set, options, cache, order, partners })))
    }

    /// The batches of an epoch. They depend on the seed and on the number of the epoch alone.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        Epoch::start(&self.0, epoch, self.0.options.augment.clone())
    }

    /// As [`Loader::epoch`], with other changes: networks end better if the last epochs show them pictures as they are.
    /// Without effect where pictures are not changed at all.
    ///
    /// # Errors
    /// [`Error::Usage`]: a value is out of its bounds.
    pub fn epoch_with(&self, epoch: u64, augment: Augment) -> Result<Epoch> {
        augment.check()?;
        let augment = self.0.options.augment.as_ref().map(|_| augment);
        Ok(Epoch::start(&self.0, epoch, augment))
    }

    /// Batches in an epoch. Where pictures are changed, all batches but a single one are full: each epoch leaves out other
    /// pictures. Else the last one has what is left.
    pub fn batches(&self) -> usize {
        self.0.batches()
    }
}

impl Shared {
    fn batches(&self) -> usize {
        let (pictures, batch) = (self.order.len(), self.options.batch);
        if self.options.augment.is_some() { (pictures / batch).max(1) } else { pictures.div_ceil(batch) }
    }
}

fn order(set: &TrainingSet, repeat: bool) -> Vec<u32> {
    let times = |origin: u32| if repeat { set.origins[origin as usize].repeat as usize } else { 1 };
    let pictures = (0..).zip(&set.pictures);
    pictures.flat_map(|(at, picture)| std::iter::repeat_n(at, times(picture.origin))).collect()
}

fn partners(set: &TrainingSet, order: &[u32]) -> Vec<Arc<[u32]>> {
    let known = |origin: u32| &set.origins[origin as usize].known;
    let mut groups: HashMap<&[bool], Vec<u32>> = HashMap::new();
    for &at in order {
        groups.entry(known(set.pictures[at as usize].origin)).or_default().push(at);
    }
    let groups: HashMap<&[bool], Arc<[u32]>> = groups.into_iter().map(|(k, v)| (k, v.into())).collect();
    let of_origin = |origin: u32| groups.get(known(origin).as_slice()).cloned().unwrap_or_default();
    (0..set.origins.len() as u32).map(of_origin).collect()
}

#[cfg(test)]
mod tests;
