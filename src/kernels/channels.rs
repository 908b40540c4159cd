//! Kernels that move codes and change none. Each equals its namesake in [`reference`](super::reference).

use super::arch::per_isa;
use super::{Plane, PlaneMut, gapless};
use std::ops::Range;

per_isa! {
    /// Copies `channels` channels of each pixel.
    copy_channels(
        channels: usize,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        pixels: Range<usize>,
    ) = copy_channels_body
}

per_isa! {
    /// Nearest neighbour: output `(y, x)` is input `(rows_from[y], columns_from[x])` of an image `width` wide.
    upsample(
        from: (&[usize], &[usize], usize),
        channels: usize,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        rows: Range<usize>,
    ) = upsample_body
}

per_isa! {
    /// Output channel `i` is input channel `indices[i]`.
    gather_channels(
        indices: &[usize],
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        pixels: Range<usize>,
    ) = gather_channels_body
}

/// Copies in pieces whose length is known; the last one overlaps its neighbour. For the length of a pixel a
/// call of `memcpy` would cost more than the copy.
#[inline(always)]
fn copy(from: &[i8], to: &mut [i8]) {
    const PIECE: usize = 32;
    if to.len() < PIECE || to.len() > 16 * PIECE {
        return to.copy_from_slice(from);
    }
    for (to, from) in to.as_chunks_mut::<PIECE>().0.iter_mut().zip(from.as_chunks().0) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<PIECE>(), from.last_chunk()) {
        *to = *from;
    }
}

#[inline(always)]
fn copy_channels_body(channels: usize, src: Plane<'_, i8>, dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
    let (len, runs) = gapless(channels, pixels.len(), &[src.pitch, dst.pitch]);
    for run in 0..runs {
        let from = &src.data[(pixels.start + run) * src.pitch..][..len];
        copy(from, &mut dst.data[run * dst.pitch..][..len]);
    }
}

#[inline(always)]
fn upsample_body(
    (rows_from, columns_from, width): (&[usize], &[usize], usize),
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    for (out, y) in rows.enumerate() {
        for (x, column) in columns_from.iter().enumerate() {
            let (to, from) = (out * columns_from.len() + x, rows_from[y] * width + column);
            let from = &src.data[from * src.pitch..][..channels];
            copy(from, &mut dst.data[to * dst.pitch..][..channels]);
        }
    }
}

#[inline(always)]
fn gather_channels_body(indices: &[usize], src: Plane<'_, i8>, dst: PlaneMut<'_, i8>, pixels: Range<usize>) {
    for (to, from) in pixels.enumerate() {
        let from = &src.data[from * src.pitch..];
        for (to, &index) in dst.data[to * dst.pitch..][..indices.len()].iter_mut().zip(indices) {
            *to = from[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference;
    use super::super::testing::{Image, Target};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn copies_equal_the_reference(
            (rows, channels, gaps, seed) in (1..40usize, 1..600usize, [0..9usize, 0..9], any::<u64>()),
        ) {
            let image = Image::new(seed, rows, channels, gaps[0]);
            let split = seed as usize % (rows + 1);
            Target { rows, width: 1, channels, gap: gaps[1], split }.compare_codes(
                |dst, pixels| reference::copy_channels(channels, image.plane(), dst, pixels),
                |isa, dst, pixels| super::copy_channels(isa, channels, image.plane(), dst, pixels),
            )?;
        }

        #[test]
        fn upsampling_equals_the_reference(
            (size, scale, channels) in ([1..7usize, 1..7], [1..4usize, 1..4], 1..130usize),
            (gaps, seed) in ([0..9usize, 0..9], any::<u64>()),
        ) {
            let image = Image::new(seed, size[0] * size[1], channels, gaps[0]);
            let nearest = |axis: usize| (0..size[axis] * scale[axis]).map(move |i| i / scale[axis]);
            let (rows, columns): (Vec<usize>, Vec<usize>) = (nearest(0).collect(), nearest(1).collect());
            let from = (rows.as_slice(), columns.as_slice(), size[1]);
            let split = seed as usize % (rows.len() + 1);
            let target = Target { rows: rows.len(), width: columns.len(), channels, gap: gaps[1], split };
            target.compare_codes(
                |dst, rows| reference::upsample(from, channels, image.plane(), dst, rows),
                |isa, dst, rows| super::upsample(isa, from, channels, image.plane(), dst, rows),
            )?;
        }

        #[test]
        fn gathering_equals_the_reference(
            (rows, channels, gaps, seed) in (1..9usize, 1..130usize, [0..9usize, 0..9], any::<u64>()),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 1..130),
        ) {
            let image = Image::new(seed, rows, channels, gaps[0]);
            let indices: Vec<usize> = picks.iter().map(|pick| pick.index(channels)).collect();
            let split = seed as usize % (rows + 1);
            Target { rows, width: 1, channels: indices.len(), gap: gaps[1], split }.compare_codes(
                |dst, pixels| reference::gather_channels(&indices, image.plane(), dst, pixels),
                |isa, dst, pixels| super::gather_channels(isa, &indices, image.plane(), dst, pixels),
            )?;
        }
    }
}
