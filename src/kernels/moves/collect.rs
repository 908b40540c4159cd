//! Channels of several float tensors side by side: runs of neighbouring channels, copied from where they are.

use crate::kernels::arch::per_isa;
use crate::kernels::collect::Channels;
use crate::kernels::{Plane, PlaneMut};
use std::ops::Range;

per_isa! {
    /// The channels of `runs`, one run after the other, of `pixels`; `dst` starts at the first of them.
    ///
    /// # Panics
    /// A source is missing, or a slice is too short.
    collect(
        runs: &[Channels],
        src: &[Plane<'_, f32>],
        dst: PlaneMut<'_, f32>,
        pixels: Range<usize>,
    ) = collect_body
}

#[inline(always)]
fn collect_body(runs: &[Channels], src: &[Plane<'_, f32>], dst: PlaneMut<'_, f32>, pixels: Range<usize>) {
    let mut at = 0;
    for run in runs {
        let source = &src[run.source];
        for (i, pixel) in pixels.clone().enumerate() {
            let from = &source.data[pixel * source.pitch + run.first..][..run.count];
            copy(from, &mut dst.data[i * dst.pitch + at..][..run.count]);
        }
        at += run.count;
    }
}

/// Copies in pieces whose length is known; the last one overlaps its neighbour. For so few floats a call of
/// `memcpy` would cost more than the copy.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match to.len() {
        8.. => copy_pieces::<8>(from, to),
        4.. => copy_pieces::<4>(from, to),
        2.. => copy_pieces::<2>(from, to),
        _ => copy_pieces::<1>(from, to),
    }
}

#[inline(always)]
fn copy_pieces<const PIECE: usize>(from: &[f32], to: &mut [f32]) {
    for (to, from) in to.as_chunks_mut::<PIECE>().0.iter_mut().zip(from.as_chunks().0) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<PIECE>(), from.last_chunk()) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::isa::Isa;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn collected_channels_equal_those_picked_one_by_one(
            (pixels, start, gap) in (1..20usize, 0..5usize, 0..3usize),
            picks in prop::collection::vec((0..2usize, 0..30usize, 1..40usize), 1..6),
        ) {
            let widths = [50, 70];
            let images = widths.map(|w| (0..(pixels + start) * w).map(|i| (i * w) as f32).collect::<Vec<f32>>());
            let src = [0, 1].map(|i| Plane { data: &images[i][..], pitch: widths[i] });
            let runs: Vec<Channels> = picks
                .iter()
                .map(|&(source, first, count)| Channels { source, first, count: count.min(widths[source] - first) })
                .collect();
            let channels: usize = runs.iter().map(|run| run.count).sum();
            let pitch = channels + gap;
            for isa in Isa::available() {
                let mut out = vec![-1.0; pixels * pitch];
                collect(isa, &runs, &src, PlaneMut { data: &mut out, pitch }, start..start + pixels);
                for (p, out) in out.chunks(pitch).enumerate() {
                    let of = |run: &Channels| src[run.source].data[(start + p) * src[run.source].pitch + run.first..][..run.count].to_vec();
                    let expected: Vec<f32> = runs.iter().flat_map(of).collect();
                    prop_assert_eq!(&out[..channels], &expected[..]);
                    prop_assert!(out[channels..].iter().all(|&gap| gap == -1.0));
                }
            }
        }
    }
}
