//! Channels of several tensors side by side, in any order: a permutation of bytes, prepared once.
//!
//! A pixel of the result is made in blocks of as many bytes as a vector has. For each block the *picks* say
//! which vectors of which source it draws from, and where each of their bytes goes; a long run of
//! neighbouring channels is one pick, and so are scattered channels that lie within one vector. An instruction
//! set supplies [`Shuffle`].

use super::arch::{self, LookUp};
use super::isa::Isa;
use super::{Plane, PlaneMut};
use std::ops::Range;

/// Most tensors that one [`Collect`] draws from.
pub const SOURCES_MAX: usize = 16;

/// Bytes of the widest vector.
const BYTES_MAX: usize = 64;

/// Index of a byte that a pick leaves alone.
const ABSENT: u8 = 0xff;

/// Pixels after which codes go through the table: they are in the cache, but no longer in flight to it.
const LOOK_UP_PIXELS: usize = 64;

/// Neighbouring channels of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Index of the source.
    pub source: usize,
    /// First channel.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// A vector of codes and the shuffle of one instruction set.
///
/// A value is the proof that the CPU has the instructions; see [`Dot`](super::dot::Dot).
pub(crate) trait Shuffle: Copy {
    /// Bytes of a vector.
    const BYTES: usize;
    /// A vector.
    type Block: Copy;

    /// All bytes zero.
    fn zero(self) -> Self::Block;

    /// Puts byte `indices[i]` of `from` in place `i` of `to`, which is zero there; [`ABSENT`] leaves the place
    /// as it is.
    ///
    /// # Safety
    /// `BYTES` bytes at `from` and at `indices` are readable.
    unsafe fn pick(self, to: Self::Block, from: *const i8, indices: *const u8) -> Self::Block;

    /// Stores the first `count` bytes, at most `BYTES`.
    ///
    /// # Safety
    /// They are writable.
    unsafe fn store(self, block: Self::Block, to: *mut i8, count: usize);
}

/// Some bytes of one source, on their way to one block. Indices that straddled cache lines would take twice as
/// long to load.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Pick {
    source: usize,
    /// First channel of the vector that is read.
    first: usize,
    indices: [u8; BYTES_MAX],
}

/// Some channels of the result.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    first: usize,
    count: usize,
    picks: Range<usize>,
}

/// Makes `count` pixels of `blocks`: [`shuffle`] for one instruction set.
///
/// Safe to call where the instruction set of its [`Kernels`](arch::Kernels) is there, with planes that hold
/// every vector read and every channel written.
pub(crate) type Run = unsafe fn(&Collect, &[Plane<'_, i8>], PlaneMut<'_, i8>, usize);

/// A collection of channels, ready to run. Equals [`reference`](mod@super::reference) byte for byte.
#[derive(Debug)]
pub struct Collect {
    /// Source and position there of each channel.
    places: Vec<(usize, usize)>,
    blocks: Vec<Block>,
    picks: Vec<Pick>,
    table: Option<Box<[i8; 256]>>,
    bytes: usize,
    run: Option<Run>,
    look_up: LookUp,
}

impl Collect {
    /// The channels of `runs`, one run after the other, and then each code through the table, if there is one.
    ///
    /// # Panics
    /// A source is not below [`SOURCES_MAX`], or this CPU lacks `isa`.
    pub fn new(isa: Isa, runs: &[Channels], table: Option<Box<[i8; 256]>>) -> Self {
        assert!(runs.iter().all(|run| run.source < SOURCES_MAX));
        let kernels = arch::kernels(isa);
        let places =
            |&Channels { source, first, count }: &Channels| (first..first + count).map(move |c| (source, c));
        let mut collect = Collect {
            places: runs.iter().flat_map(places).collect(),
            blocks: Vec::new(),
            picks: Vec::new(),
            table,
            bytes: kernels.collect.map_or(0, |(bytes, _)| bytes),
            run: kernels.collect.map(|(_, run)| run),
            look_up: kernels.look_up,
        };
        if collect.bytes > 0 {
            for first in (0..collect.places.len()).step_by(collect.bytes) {
                collect.push_block(first);
            }
        }
        collect
    }

    /// Covers the channels of a block with as few picks as possible.
    fn push_block(&mut self, first: usize) {
        let count = self.bytes.min(self.places.len() - first);
        let mut wanted: Vec<((usize, usize), usize)> =
            self.places[first..][..count].iter().copied().zip(0..).collect();
        wanted.sort_unstable();
        let picks = self.picks.len();
        for ((source, channel), to) in wanted {
            let reaches = |pick: &Pick| pick.source == source && channel < pick.first + self.bytes;
            if !self.picks[picks..].last().is_some_and(reaches) {
                self.picks.push(Pick { source, first: channel, indices: [ABSENT; BYTES_MAX] });
            }
            if let Some(pick) = self.picks.last_mut() {
                pick.indices[to] = (channel - pick.first) as u8;
            }
        }
        self.blocks.push(Block { first, count, picks: picks..self.picks.len() });
    }

    /// Number of channels of the result.
    pub fn channels(&self) -> usize {
        self.places.len()
    }

    /// Memory of the prepared permutation.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.places) + size_of_val(&*self.blocks) + size_of_val(&*self.picks)
    }

    /// Collects the channels of `pixels`; `dst` starts at the first of them.
    ///
    /// # Panics
    /// A source is missing, or a slice is too short.
    pub fn run(&self, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
        let PlaneMut { data, pitch } = dst;
        let step = if self.table.is_some() { LOOK_UP_PIXELS } else { usize::MAX };
        let mut first = pixels.start;
        while first < pixels.end {
            let next = first.saturating_add(step).min(pixels.end);
            let data = &mut data[(first - pixels.start) * pitch..];
            self.collect(src, PlaneMut { data: &mut *data, pitch }, first..next);
            if let Some(table) = &self.table {
                // SAFETY: `arch::kernels` gave the look-up only because the CPU has its instruction set.
                unsafe { (self.look_up)(table, self.channels(), PlaneMut { data, pitch }, next - first) };
            }
            first = next;
        }
    }

    fn collect(&self, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
        let PlaneMut { data, pitch } = dst;
        let whole = self.whole(src, pixels.clone());
        if let Some(run) = self.run.filter(|_| whole > 0) {
            assert!(data.len() >= (whole - 1) * pitch + self.channels(), "destination too small");
            let mut from = [Plane { data: &[][..], pitch: 0 }; SOURCES_MAX];
            for (from, src) in from.iter_mut().zip(src) {
                *from = Plane { data: &src.data[(pixels.start * src.pitch).min(src.data.len())..], ..*src };
            }
            // SAFETY: `arch::kernels` gave `run` only because the CPU has its instruction set; `whole` pixels
            // of the sources hold every vector that is read, and as many of `data` every channel.
            unsafe { run(self, &from, PlaneMut { data: &mut *data, pitch }, whole) };
        }
        for pixel in pixels.start + whole..pixels.end {
            let to = &mut data[(pixel - pixels.start) * pitch..][..self.channels()];
            for (to, &(source, channel)) in to.iter_mut().zip(&self.places) {
                *to = src[source].data[pixel * src[source].pitch + channel];
            }
        }
    }

    /// How many of `pixels`, from the first on, have all vectors within the slices of the sources.
    fn whole(&self, src: &[Plane<'_, i8>], pixels: Range<usize>) -> usize {
        if self.run.is_none() {
            return 0;
        }
        let end = self.picks.iter().map(|pick| {
            let Plane { data, pitch } = src[pick.source];
            match data.len().checked_sub(pick.first + self.bytes) {
                None => 0,
                Some(last) => last.checked_div(pitch).map_or(usize::MAX, |pixel| pixel + 1),
            }
        });
        end.min().unwrap_or(0).clamp(pixels.start, pixels.end) - pixels.start
    }
}

/// The body of a [`Run`].
///
/// # Safety
/// As there; the caller's instruction set is that of `shuffle`.
#[inline(always)]
pub(crate) unsafe fn shuffle<S: Shuffle>(
    shuffle: S,
    collect: &Collect,
    src: &[Plane<'_, i8>],
    dst: PlaneMut<'_, i8>,
    count: usize,
) {
    assert!(S::BYTES == collect.bytes && src.len() == SOURCES_MAX);
    for pixel in 0..count {
        for block in &collect.blocks {
            let mut made = shuffle.zero();
            for pick in &collect.picks[block.picks.clone()] {
                let source = &src[pick.source];
                // SAFETY: the caller's.
                unsafe {
                    let from = source.data.as_ptr().add(pixel * source.pitch + pick.first);
                    made = shuffle.pick(made, from, pick.indices.as_ptr());
                }
            }
            // SAFETY: the caller's.
            unsafe {
                let to = dst.data.as_mut_ptr().add(pixel * dst.pitch + block.first);
                shuffle.store(made, to, block.count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Image, Target, table};
    use super::super::{Plane, reference};
    use super::{Channels, Collect};
    use proptest::prelude::*;

    /// Runs of random lengths over three sources; single channels are as frequent as long runs.
    fn runs() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
        prop::collection::vec((0..3usize, 0..200usize, prop_oneof![Just(1usize), 1..90usize]), 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn collected_channels_equal_the_reference(
            (pixels, widths, gaps) in (1..90usize, [1..200usize, 1..200, 1..80], [0..9usize, 0..9]),
            (runs, table, seed) in (runs(), table(), any::<u64>()),
        ) {
            let images: Vec<Image> =
                widths.iter().zip(1..).map(|(&w, i)| Image::new(seed ^ i, pixels, w, gaps[0])).collect();
            let planes: Vec<Plane<'_, i8>> = images.iter().map(Image::plane).collect();
            let runs: Vec<Channels> = runs
                .iter()
                .map(|&(source, first, count)| {
                    let first = first % widths[source];
                    Channels { source, first, count: count.min(widths[source] - first) }
                })
                .collect();
            let channels = runs.iter().map(|run| run.count).sum();
            let split = seed as usize % (pixels + 1);
            Target { rows: pixels, width: 1, channels, gap: gaps[1], split }.compare_codes(
                |dst, pixels| reference::collect((&runs, table.as_deref()), &planes, dst, pixels),
                |isa, dst, pixels| Collect::new(isa, &runs, table.clone()).run(&planes, dst, pixels),
            )?;
        }
    }
}
