//! From an image to rows of taps: what a dense convolution multiplies with its weights.

use super::arch::as_bytes;
use super::job::Job;
use super::{Plane, Window};
use std::ops::Range;

/// Lays the taps of output pixels side by side, one row of bytes per pixel: `[kh][kw][channels]`, channels in
/// whole groups, all codes flipped, the zero point where a tap lies in the padding.
pub(crate) struct Taps<'a> {
    window: &'a Window,
    /// Where the channels of a pixel are, in the order of the weights.
    sources: &'a [Plane<'a, i8>],
    /// Bytes that each of them gives to a tap.
    source_bytes: &'a [usize],
    /// Bytes of one tap.
    tap_bytes: usize,
    flip: u8,
    /// Zero point, flipped.
    padding: u8,
    pointwise: bool,
    /// The next output pixel.
    y: usize,
    x: usize,
}

impl<'a> Taps<'a> {
    /// Starts at the first pixel of the job.
    pub(crate) fn new(job: &Job<'a>, flip: u8) -> Self {
        Taps {
            window: job.window,
            sources: job.src,
            source_bytes: job.source_bytes,
            tap_bytes: job.source_bytes.iter().sum(),
            flip,
            padding: job.zero_point as u8 ^ flip,
            pointwise: job.window.is_pointwise(),
            y: job.rows.start,
            x: 0,
        }
    }

    /// Lays out the next `count` pixels.
    #[inline(always)]
    pub(crate) fn lay_out(&mut self, mut count: usize, mut to: &mut [u8]) {
        let row_bytes = self.window.kernel[0] * self.window.kernel[1] * self.tap_bytes;
        while count > 0 {
            let width = self.window.output[1];
            let pixels = count.min(width - self.x);
            let (now, later) = to.split_at_mut(pixels * row_bytes);
            match self.pointwise {
                true => self.lay_out_points(now),
                false => self.lay_out_neighbours(now, row_bytes),
            }
            (to, count, self.x) = (later, count - pixels, self.x + pixels);
            if self.x == width {
                (self.y, self.x) = (self.y + 1, 0);
            }
        }
    }

    /// Pixels of one output row, each of a single tap.
    #[inline(always)]
    fn lay_out_points(&self, to: &mut [u8]) {
        if let [src] = self.sources
            && src.pitch == self.tap_bytes
        {
            let at = (self.y * self.window.input[1] + self.x) * src.pitch;
            return copy_flipped(&as_bytes(src.data)[at..][..to.len()], self.flip, to);
        }
        let first = self.y * self.window.input[1] + self.x;
        let count = to.len() / self.tap_bytes;
        let hasty = self.hasty_pixels(first, count);
        for pixel in 0..hasty {
            let mut offset = pixel * self.tap_bytes;
            for (src, &bytes) in self.sources.iter().zip(self.source_bytes) {
                let (from, to) = (&as_bytes(src.data)[(first + pixel) * src.pitch..], &mut to[offset..]);
                match bytes {
                    ..=16 => copy_piece::<16>(from, self.flip, to),
                    17..=32 => copy_piece::<32>(from, self.flip, to),
                    33..=64 => copy_piece::<64>(from, self.flip, to),
                    _ => copy_flipped(&from[..bytes], self.flip, &mut to[..bytes]),
                }
                offset += bytes;
            }
        }
        for pixel in hasty..count {
            self.lay_out_tap(first + pixel, &mut to[pixel * self.tap_bytes..][..self.tap_bytes]);
        }
    }

    /// How many of the next `count` pixels can be copied in whole pieces: what a piece writes beyond the bytes
    /// of its source, the next source or pixel overwrites, but neither image nor row may end before it.
    #[inline(always)]
    fn hasty_pixels(&self, first: usize, count: usize) -> usize {
        let behind = PIECE_MAX.div_ceil(self.tap_bytes);
        let inside = |src: &Plane<'_, i8>| {
            (src.data.len().saturating_sub(PIECE_MAX) / src.pitch).saturating_sub(first)
        };
        let inside = self.sources.iter().map(inside).min().unwrap_or(0);
        inside.min(count.saturating_sub(behind))
    }

    /// Pixels of one output row, kernel row by kernel row.
    #[inline(never)]
    fn lay_out_neighbours(&self, to: &mut [u8], row_bytes: usize) {
        let (window, [height, width]) = (self.window, self.window.input);
        let (count, line_bytes) = (to.len() / row_bytes, window.kernel[1] * self.tap_bytes);
        let inside = self.gapless_pixels(count);
        for ky in 0..window.kernel[0] {
            let row = (self.y * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.pad[0]);
            for pixel in (0..inside.start).chain(inside.end..count) {
                let x = ((self.x + pixel) * window.stride[1]).wrapping_sub(window.pad[1]);
                let to = &mut to[pixel * row_bytes + ky * line_bytes..][..line_bytes];
                match row < height {
                    false => to.fill(self.padding),
                    true => self.lay_out_line(row * width, x, to),
                }
            }
            if inside.is_empty() {
                continue;
            }
            let to = &mut to[inside.start * row_bytes + ky * line_bytes..];
            if row >= height {
                let lines = to.chunks_mut(row_bytes).take(inside.len());
                lines.for_each(|to| to[..line_bytes].fill(self.padding));
                continue;
            }
            let line = &as_bytes(self.sources[0].data)[row * width * self.tap_bytes..];
            let x = (self.x + inside.start) * window.stride[1] - window.pad[1];
            let steps = [window.stride[1] * self.tap_bytes, row_bytes];
            copy_lines(&line[x * self.tap_bytes..], to, (inside.len(), line_bytes), steps, self.flip);
        }
    }

    /// The rows of the image under output row `y`, one after the other, `line_bytes` apart: with the padding
    /// around them, so that the taps of a pixel in a row are neighbours.
    #[inline(always)]
    pub(crate) fn lay_out_rows(&self, y: usize, line_bytes: usize, to: &mut [u8]) {
        let (window, [height, width]) = (self.window, self.window.input);
        let columns = window.pad[1]..(window.pad[1] + width).min(line_bytes / self.tap_bytes);
        let gapless = self.sources.len() == 1 && self.sources[0].pitch == self.tap_bytes;
        for (ky, to) in to.chunks_exact_mut(line_bytes).enumerate() {
            let row = (y * window.stride[0] + ky * window.dilation[0]).wrapping_sub(window.pad[0]);
            if row >= height || columns.is_empty() {
                to.fill(self.padding);
                continue;
            }
            let (before, inside) = to.split_at_mut(columns.start * self.tap_bytes);
            let (inside, behind) = inside.split_at_mut(columns.len() * self.tap_bytes);
            before.fill(self.padding);
            behind.fill(self.padding);
            match gapless {
                true => {
                    let from = &as_bytes(self.sources[0].data)[row * width * self.tap_bytes..];
                    copy_flipped(&from[..inside.len()], self.flip, inside);
                }
                false => {
                    let pixels = inside.chunks_exact_mut(self.tap_bytes).enumerate();
                    pixels.for_each(|(x, to)| self.lay_out_tap(row * width + x, to));
                }
            }
        }
    }

    /// Those of the next `count` pixels whose taps of a kernel row follow each other in the image without a gap.
    fn gapless_pixels(&self, count: usize) -> Range<usize> {
        let (window, columns) = (self.window, self.window.kernel[1]);
        let padded = window.input[1] + window.pad[1];
        let gapless = self.sources.len() == 1 && self.sources[0].pitch == self.tap_bytes;
        if window.dilation[1] != 1 || !gapless || padded < columns {
            return 0..0;
        }
        let start = window.pad[1].div_ceil(window.stride[1]).saturating_sub(self.x).min(count);
        let end = ((padded - columns) / window.stride[1] + 1).saturating_sub(self.x).min(count);
        start..end.max(start)
    }

    /// The taps of one kernel row, one by one: the first lies at column `x` of the image row that begins with
    /// pixel `row`.
    #[inline(always)]
    fn lay_out_line(&self, row: usize, mut x: usize, to: &mut [u8]) {
        for to in to.chunks_exact_mut(self.tap_bytes) {
            match x < self.window.input[1] {
                true => self.lay_out_tap(row + x, to),
                false => to.fill(self.padding),
            }
            x = x.wrapping_add(self.window.dilation[1]);
        }
    }

    /// The channels of one pixel, from all sources.
    #[inline(always)]
    fn lay_out_tap(&self, pixel: usize, to: &mut [u8]) {
        let mut offset = 0;
        for (src, &bytes) in self.sources.iter().zip(self.source_bytes) {
            let from = &as_bytes(src.data)[pixel * src.pitch..][..bytes];
            copy_flipped(from, self.flip, &mut to[offset..][..bytes]);
            offset += bytes;
        }
    }
}

/// Copies `count` lines of `len` bytes, `steps` apart in source and destination.
///
/// Not inlined: the lines of a first layer are a few bytes long, and copied fast only where all counters have
/// registers.
#[inline(never)]
fn copy_lines(from: &[u8], to: &mut [u8], (count, len): (usize, usize), steps: [usize; 2], flip: u8) {
    for i in 0..count {
        copy_flipped(&from[i * steps[0]..][..len], flip, &mut to[i * steps[1]..][..len]);
    }
}

/// Copies whole groups of codes, xored with `flip`; `from` is as long as `to`.
///
/// The last piece overlaps its neighbour: a loop over the rest would cost more than all the others.
#[inline(always)]
fn copy_flipped(from: &[u8], flip: u8, to: &mut [u8]) {
    // Here the compiler has no vectors, but the C library's copy has.
    if cfg!(target_arch = "arm") && flip == 0 {
        return to.copy_from_slice(from);
    }
    match to.len() {
        64.. => flip_pieces::<64>(from, flip, to),
        32.. => flip_pieces::<32>(from, flip, to),
        16.. => flip_pieces::<16>(from, flip, to),
        8.. => {
            // Integers: the compiler would treat these few bytes one by one.
            let flip = u64::from_ne_bytes([flip; 8]);
            if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
                let (first, last) = (u64::from_ne_bytes(*first) ^ flip, u64::from_ne_bytes(*last) ^ flip);
                let rest = to.len() - 8;
                to[..8].copy_from_slice(&first.to_ne_bytes());
                to[rest..].copy_from_slice(&last.to_ne_bytes());
            }
        }
        _ => {
            if let (Some(to), Some(from)) = (to.first_chunk_mut(), from.first_chunk()) {
                *to = (u32::from_ne_bytes(*from) ^ u32::from_ne_bytes([flip; 4])).to_ne_bytes();
            }
        }
    }
}

/// Bytes of the longest piece.
const PIECE_MAX: usize = 64;

/// Copies `LEN` codes, xored with `flip`.
#[inline(always)]
fn copy_piece<const LEN: usize>(from: &[u8], flip: u8, to: &mut [u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<LEN>(), from.first_chunk()) {
        *to = flipped(from, flip);
    }
}

#[inline(always)]
fn flip_pieces<const LEN: usize>(from: &[u8], flip: u8, to: &mut [u8]) {
    for (to, from) in to.as_chunks_mut::<LEN>().0.iter_mut().zip(from.as_chunks().0) {
        *to = flipped(from, flip);
    }
    if !to.len().is_multiple_of(LEN)
        && let (Some(to), Some(from)) = (to.last_chunk_mut::<LEN>(), from.last_chunk())
    {
        *to = flipped(from, flip);
    }
}

#[inline(always)]
fn flipped<const LEN: usize>(from: &[u8; LEN], flip: u8) -> [u8; LEN] {
    let mut to = *from;
    to.iter_mut().for_each(|byte| *byte ^= flip);
    to
}
