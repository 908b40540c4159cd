//! Offsets of buffers in one block of memory.
//!
//! Lifetimes are known before anything runs, so memory is planned once: greedily, largest buffer first, into
//! the lowest gap that no overlapping lifetime occupies (the method of XNNPACK's and TFLite Micro's memory
//! planners).

use crate::error::{Error, Result};
use crate::limits::{ARENA_ALIGN, ARENA_BYTES_MAX, ARENA_SLACK};

/// A buffer from the step that first writes it to the step that last reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// First step that uses it.
    pub first: usize,
    /// Last step that uses it.
    pub last: usize,
    /// Its size, without slack.
    pub bytes: usize,
}

impl Lifetime {
    fn overlaps(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// Bytes it takes: aligned, with slack for kernels that read whole groups of channels.
    fn room(&self) -> usize {
        self.bytes.next_multiple_of(ARENA_ALIGN) + ARENA_SLACK
    }
}

/// Where each buffer lies, and how large the whole is.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Byte offset of each buffer, in the order of the lifetimes.
    pub offsets: Vec<usize>,
    /// Size of the arena.
    pub bytes: usize,
}

/// Plans the arena. Without `reuse` every buffer gets bytes of its own: slower and larger, but an error in
/// the lifetimes cannot show, so tests compare the two.
///
/// # Errors
/// The arena would be larger than [`ARENA_BYTES_MAX`].
pub fn plan(buffers: &[Lifetime], reuse: bool) -> Result<Layout> {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(buffers[i].bytes), i));
    let mut layout = Layout { offsets: vec![0; buffers.len()], bytes: 0 };
    let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
    for i in order {
        let offset = if reuse { lowest_gap(buffers, &layout.offsets, &placed, i) } else { layout.bytes };
        layout.offsets[i] = offset;
        layout.bytes = layout.bytes.max(offset + buffers[i].room());
        // Kept in order of offset, so that gaps are found in one pass.
        let at = placed.partition_point(|&p| layout.offsets[p] <= offset);
        placed.insert(at, i);
        if layout.bytes > ARENA_BYTES_MAX {
            return Err(Error::unsupported(format!(
                "the network needs more than {} MiB of activations; choose a smaller --size",
                ARENA_BYTES_MAX >> 20
            )));
        }
    }
    Ok(layout)
}

fn lowest_gap(buffers: &[Lifetime], offsets: &[usize], placed: &[usize], i: usize) -> usize {
    let mut candidate = 0;
    for &p in placed.iter().filter(|&&p| buffers[p].overlaps(&buffers[i])) {
        if candidate + buffers[i].room() <= offsets[p] {
            break;
        }
        candidate = candidate.max(offsets[p] + buffers[p].room());
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn disjoint(buffers: &[Lifetime], layout: &Layout, i: usize, j: usize) -> bool {
        let (a, b) = (layout.offsets[i], layout.offsets[j]);
        a + buffers[i].room() <= b || b + buffers[j].room() <= a
    }

    proptest! {
        #[test]
        fn overlapping_lifetimes_never_share_bytes(raw in prop::collection::vec((0usize..20, 0usize..6, 1usize..5000), 1..40)) {
            let buffers: Vec<Lifetime> = raw.iter()
                .map(|&(first, more, bytes)| Lifetime { first, last: first + more, bytes })
                .collect();
            for reuse in [true, false] {
                let layout = plan(&buffers, reuse).unwrap();
                for i in 0..buffers.len() {
                    prop_assert_eq!(layout.offsets[i] % ARENA_ALIGN, 0);
                    prop_assert!(layout.offsets[i] + buffers[i].room() <= layout.bytes);
                    for j in 0..i {
                        let share = reuse && !buffers[i].overlaps(&buffers[j]);
                        prop_assert!(share || disjoint(&buffers, &layout, i, j));
                    }
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<Lifetime> = (0..6).map(|i| Lifetime { first: i, last: i + 1, bytes: 640 }).collect();
        assert_eq!(plan(&chain, true).unwrap().bytes, 2 * (640 + ARENA_SLACK));
    }
}
