//! Copies codes from pixels of one pitch to pixels of another, as [`reference`](mod@super::reference) does.

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
    }
}
