//! Pooling. Each kernel equals its namesake in [`reference`](mod@super::reference).
//!
//! The maximum or sum of a block of channels stays in registers while the window is visited.

use super::arch::per_isa;
use super::{Average, Plane, PlaneMut, Window, reference};
use std::ops::Range;

/// Channels at once.
const BLOCK: usize = 32;

per_isa! {
    /// Maximum of the window's cells; padding never wins. A window of padding alone gives −128.
    max_pool(
        window: &Window,
        channels: usize,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        rows: Range<usize>,
    ) = max_pool_body
}

per_isa! {
    /// Average of the window's cells. A global average is a window as large as the image.
    average_pool(
        of: (&Window, &Average),
        channels: usize,
        src: Plane<'_, i8>,
        dst: PlaneMut<'_, i8>,
        rows: Range<usize>,
    ) = average_pool_body
}

/// Taps of a window along one axis that lie in the image, for output `out`.
#[inline(always)]
fn inside(window: &Window, axis: usize, out: usize) -> Range<usize> {
    let (start, dilation) = (out * window.stride[axis], window.dilation[axis]);
    // A division takes longer than the rest of a small window.
    let taps = |cells: usize| if dilation == 1 { cells } else { cells.div_ceil(dilation) };
    let before = taps(window.pad[axis].saturating_sub(start));
    let end = taps((window.input[axis] + window.pad[axis]).saturating_sub(start));
    before.min(window.kernel[axis])..end.min(window.kernel[axis])
}

/// The cells of one output pixel's window that lie in the image.
#[derive(Clone)]
struct Cells {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Row and column of the image under tap (0, 0); below zero in the padding.
    corner: [isize; 2],
}

impl Cells {
    #[inline(always)]
    fn new(window: &Window, [y, x]: [usize; 2]) -> Self {
        let corner =
            |axis: usize, out: usize| (out * window.stride[axis]) as isize - window.pad[axis] as isize;
        let columns = inside(window, 1, x);
        let rows = if columns.is_empty() { 0..0 } else { inside(window, 0, y) };
        Cells { rows, columns, corner: [corner(0, y), corner(1, x)] }
    }

    /// First pixel of a tap row, and the distance of its taps in pixels.
    #[inline(always)]
    fn row(&self, window: &Window, tap: usize) -> usize {
        let y = (self.corner[0] + (tap * window.dilation[0]) as isize) as usize;
        let x = (self.corner[1] + (self.columns.start * window.dilation[1]) as isize) as usize;
        y * window.input[1] + x
    }
}

/// Blocks of channels that cover `channels`; the last one overlaps its neighbour.
#[inline(always)]
fn blocks(channels: usize) -> impl Iterator<Item = usize> {
    let whole = channels / BLOCK;
    let rest = !channels.is_multiple_of(BLOCK) && channels > BLOCK;
    (0..whole + usize::from(rest)).map(move |i| (i * BLOCK).min(channels - BLOCK))
}

#[inline(always)]
fn max_pool_body(
    window: &Window,
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    if channels < BLOCK {
        return reference::max_pool(window, channels, src, dst, rows);
    }
    // Output pixels whose input columns fit the buffer.
    let columns = (ROW_BYTES / src.pitch).saturating_sub(window.kernel[1]) / window.stride[1] + 1;
    if window.dilation == [1, 1] && window.kernel[1] * src.pitch <= ROW_BYTES {
        for (row, y) in rows.enumerate() {
            for first in (0..window.output[1]).step_by(columns) {
                let outputs = first..(first + columns).min(window.output[1]);
                let to = &mut dst.data[(row * window.output[1] + first) * dst.pitch..];
                max_of_rows(window, channels, src, (y, outputs), PlaneMut { data: to, pitch: dst.pitch });
            }
        }
        return;
    }
    for (row, y) in rows.enumerate() {
        for x in 0..window.output[1] {
            let cells = Cells::new(window, [y, x]);
            let to = (row * window.output[1] + x) * dst.pitch;
            for block in blocks(channels) {
                let mut max = [i8::MIN; BLOCK];
                for tap in cells.rows.clone() {
                    let mut at = cells.row(window, tap) * src.pitch + block;
                    for _ in cells.columns.clone() {
                        for (max, &code) in max.iter_mut().zip(&src.data[at..][..BLOCK]) {
                            *max = (*max).max(code);
                        }
                        at += window.dilation[1] * src.pitch;
                    }
                }
                dst.data[to + block..][..BLOCK].copy_from_slice(&max);
            }
        }
    }
}

/// Bytes of an image row that [`max_of_rows`] reduces at once.
const ROW_BYTES: usize = 4096;

/// The maximum of rows first, for whole stretches of them, and then that of columns: fewer comparisons than cell
/// by cell, and long loops. Some output pixels of row `y`, whose input columns fit [`ROW_BYTES`].
#[inline(always)]
fn max_of_rows(
    window: &Window,
    channels: usize,
    src: Plane<'_, i8>,
    (y, outputs): (usize, Range<usize>),
    dst: PlaneMut<'_, i8>,
) {
    let column = |x: usize| {
        let first = x * window.stride[1] + inside(window, 1, x).start;
        first.saturating_sub(window.pad[1]).min(window.input[1])
    };
    let last = inside(window, 1, outputs.end - 1);
    let (begin, end) = (column(outputs.start), column(outputs.end - 1) + last.len());
    let mut row = [i8::MIN; ROW_BYTES];
    let len = ((end - begin) * src.pitch).saturating_sub(src.pitch - channels);
    // Columns may all lie in the padding.
    let taps = if begin < end { inside(window, 0, y) } else { 0..0 };
    let from = |tap: usize| {
        let from = (y * window.stride[0] + tap - window.pad[0]) * window.input[1] + begin;
        &src.data[from * src.pitch..][..len]
    };
    if !taps.is_empty() {
        row[..len].copy_from_slice(from(taps.start));
    }
    for tap in taps.skip(1) {
        row[..len].iter_mut().zip(from(tap)).for_each(|(max, &code)| *max = (*max).max(code));
    }
    for (i, x) in outputs.enumerate() {
        // Most windows lie in the image as a whole.
        let first = (x * window.stride[1]).wrapping_sub(window.pad[1]);
        let (first, count) = match first < window.input[1] && first + window.kernel[1] <= window.input[1] {
            true => (first, window.kernel[1]),
            false => (column(x), inside(window, 1, x).len()),
        };
        let at = (first - begin) * src.pitch;
        for block in blocks(channels) {
            let mut max = [i8::MIN; BLOCK];
            for tap in 0..count {
                for (max, &code) in max.iter_mut().zip(&row[at + tap * src.pitch + block..][..BLOCK]) {
                    *max = (*max).max(code);
                }
            }
            dst.data[i * dst.pitch + block..][..BLOCK].copy_from_slice(&max);
        }
    }
}

#[inline(always)]
fn average_pool_body(
    (window, average): (&Window, &Average),
    channels: usize,
    src: Plane<'_, i8>,
    dst: PlaneMut<'_, i8>,
    rows: Range<usize>,
) {
    if channels < BLOCK {
        return reference::average_pool((window, average), channels, src, dst, rows);
    }
    for (row, y) in rows.enumerate() {
        for x in 0..window.output[1] {
            let cells = Cells::new(window, [y, x]);
            let multiplier = reference::average_multiplier(window, average, [y, x]);
            let zero = i32::from(average.zero_point) * (cells.rows.len() * cells.columns.len()) as i32;
            let to = (row * window.output[1] + x) * dst.pitch;
            for block in blocks(channels) {
                let mut acc = [0i32; BLOCK];
                for tap in cells.rows.clone() {
                    let mut at = cells.row(window, tap) * src.pitch + block;
                    for _ in cells.columns.clone() {
                        for (acc, &code) in acc.iter_mut().zip(&src.data[at..][..BLOCK]) {
                            *acc = acc.wrapping_add(i32::from(code));
                        }
                        at += window.dilation[1] * src.pitch;
                    }
                }
                for (to, acc) in dst.data[to + block..][..BLOCK].iter_mut().zip(acc) {
                    *to = reference::requantize(acc.wrapping_sub(zero), multiplier, average.range);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Image, code, range, target, window};
    use super::super::{Average, reference};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn maximum_equals_the_reference(
            window in window(6), channels in 1..130usize, gaps in [0..9usize, 0..9], seed: u64,
        ) {
            let image = Image::new(seed, window.input[0] * window.input[1], channels, gaps[0]);
            target(&window, channels, gaps[1], seed).compare_codes(
                |dst, rows| reference::max_pool(&window, channels, image.plane(), dst, rows),
                |isa, dst, rows| super::max_pool(isa, &window, channels, image.plane(), dst, rows),
            )?;
        }

        #[test]
        fn average_equals_the_reference(
            window in window(6), channels in 1..130usize, gaps in [0..9usize, 0..9], seed: u64,
            numbers in (any::<bool>(), [0..2usize, 0..2], code(), 0.01..4f32, range()),
        ) {
            let (count_include_pad, tail, zero_point, ratio, range) = numbers;
            let average = Average { count_include_pad, tail, zero_point, ratio, range };
            let image = Image::new(seed, window.input[0] * window.input[1], channels, gaps[0]);
            let of = (&window, &average);
            target(&window, channels, gaps[1], seed).compare_codes(
                |dst, rows| reference::average_pool(of, channels, image.plane(), dst, rows),
                |isa, dst, rows| super::average_pool(isa, of, channels, image.plane(), dst, rows),
            )?;
        }
    }
}
