//! Depthwise convolution, written once for all instruction sets.
//!
//! The dot product adds four neighbouring bytes, so four taps of a channel must lie together: for each output
//! row the input rows under the kernel are interleaved, four codes of one column and channel side by side. An
//! output pixel is then one dot product per kernel column (and group of four kernel rows), for as many
//! channels at once as a vector has lanes; neighbouring pixels share the interleaved columns. Of kernels with
//! at most three rows, two output rows share them too: the second one's weights lie one row lower.

use super::arch::as_bytes;
use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::packed::{Packed, Panel};
use super::{Plane, Window};
use crate::limits::CHANNEL_GROUP;
use std::ops::Range;

/// Channels that are interleaved at once.
const BLOCK: usize = 16;

/// The scratch of a depthwise convolution: `[column][row group][channel][4 rows]`, and a row of zero points.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    columns: usize,
    /// Groups of four kernel rows.
    row_groups: usize,
    /// Bytes of a row group of one column.
    group_bytes: usize,
    /// Input channels of a pixel that are read.
    channels: usize,
}

impl Layout {
    /// `padded`: channels in whole vectors.
    pub(crate) fn new(window: &Window, channels: usize, padded: usize) -> Self {
        Layout {
            columns: window.reach(1),
            row_groups: row_groups(window),
            group_bytes: padded.next_multiple_of(BLOCK) * CHANNEL_GROUP,
            channels: channels.next_multiple_of(CHANNEL_GROUP),
        }
    }

    pub(crate) fn scratch_bytes(self) -> usize {
        self.columns * self.column_bytes() + self.channels
    }

    /// The columns that lie in the image.
    fn inside(self, window: &Window) -> Range<usize> {
        let start = window.pad[1].min(self.columns);
        start..(start + window.input[1]).min(self.columns)
    }

    fn column_bytes(self) -> usize {
        self.row_groups * self.group_bytes
    }
}

/// Groups of four kernel rows.
pub(crate) fn row_groups(window: &Window) -> usize {
    window.kernel[0].div_ceil(CHANNEL_GROUP)
}

/// Whether two output rows need no more than four input rows, each one row below the other's.
pub(crate) fn shares_rows(window: &Window) -> bool {
    window.kernel[0] < CHANNEL_GROUP && window.stride[0] == 1 && window.dilation[0] == 1
}

/// Runs a job in panels of at most `NV` vectors of channels.
///
/// # Safety
/// The CPU has the instruction set of `dot`.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const NV: usize>(dot: D, job: &mut Job<'_>) {
    job.check(D::LANES);
    let (window, packed) = (job.window, job.packed);
    let layout = Layout::new(window, packed.channels, packed.multiplier.len());
    assert_eq!(packed.groups, window.kernel[1] * layout.row_groups);
    if let Some(lower) = job.lower {
        lower.check(D::LANES);
        assert!(shares_rows(window) && (lower.groups, lower.channels) == (packed.groups, packed.channels));
    }
    assert!(job.scratch.len() >= layout.scratch_bytes(), "scratch too small");
    let width = window.output[1];
    fill_padding(job, layout, D::FLIP);
    let (mut waiting, mut row) = (0, 0);
    while row < job.rows.len() {
        let both = job.lower.filter(|_| row + 1 < job.rows.len());
        let taps = window.kernel[0] + usize::from(both.is_some());
        interleave_rows(dot, job, layout, (job.rows.start + row, taps));
        // SAFETY: every length was compared with what a row reads and writes.
        unsafe {
            convolve_row::<D, NV>(dot, job, layout, packed, row * width);
            if let Some(lower) = both {
                convolve_row::<D, NV>(dot, job, layout, lower, (row + 1) * width);
            }
        }
        row += taps - window.kernel[0] + 1;
        // SAFETY: the look-up belongs to the caller's instruction set.
        unsafe { job.look_up(&mut waiting, row * width) };
    }
}

/// All panels of an output row; `first` is its first pixel within the job.
///
/// # Safety
/// As [`conv`], after its checks, which `weights` has passed too; the rows are interleaved.
#[inline(always)]
unsafe fn convolve_row<D: Dot, const NV: usize>(
    dot: D,
    job: &mut Job<'_>,
    layout: Layout,
    weights: &Packed,
    first: usize,
) {
    for panel in &weights.panels {
        // SAFETY: the caller's.
        unsafe {
            match panel.vectors {
                1 => convolve::<D, 1>(dot, job, layout, (weights, panel), first),
                2 if NV >= 2 => convolve::<D, 2>(dot, job, layout, (weights, panel), first),
                3 if NV >= 3 => convolve::<D, 3>(dot, job, layout, (weights, panel), first),
                4 if NV >= 4 => convolve::<D, 4>(dot, job, layout, (weights, panel), first),
                vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
            }
        }
    }
}

/// Fills what no row of the image reaches: the row of zero points, and the columns in the padding.
fn fill_padding(job: &mut Job<'_>, layout: Layout, flip: u8) {
    let zero_point = job.zero_point as u8;
    let (columns, row) = job.scratch.split_at_mut(layout.columns * layout.column_bytes());
    row[..layout.channels].fill(zero_point);
    let inside = layout.inside(job.window);
    columns[..inside.start * layout.column_bytes()].fill(zero_point ^ flip);
    columns[inside.end * layout.column_bytes()..].fill(zero_point ^ flip);
}

/// Interleaves the input rows under the first `taps` rows of the kernel of output row `y`.
#[inline(always)]
fn interleave_rows<D: Dot>(dot: D, job: &mut Job<'_>, layout: Layout, (y, taps): (usize, usize)) {
    let (window, [height, width], channels) = (job.window, job.window.input, layout.channels);
    let src = Plane { data: as_bytes(job.src[0].data), pitch: job.src[0].pitch };
    let (columns, padding) = job.scratch.split_at_mut(layout.columns * layout.column_bytes());
    let top = (y * window.stride[0]).wrapping_sub(window.pad[0]);
    for group in 0..layout.row_groups {
        // A row of zero points is one pixel again and again.
        let mut rows = [Plane { data: &*padding, pitch: 0 }; CHANNEL_GROUP];
        for (tap, row) in rows.iter_mut().enumerate() {
            let ky = group * CHANNEL_GROUP + tap;
            let from = top.wrapping_add(ky * window.dilation[0]);
            if ky < taps && from < height {
                *row = Plane { data: &src.data[from * width * src.pitch..], pitch: src.pitch };
            }
        }
        let inside = layout.inside(window);
        if D::WIDE > 0 {
            let to = &mut columns[inside.start * layout.column_bytes() + group * layout.group_bytes..];
            interleave_wide(dot, rows, layout, to, inside.len());
            continue;
        }
        for (x, i) in inside.enumerate() {
            let to = &mut columns[i * layout.column_bytes() + group * layout.group_bytes..];
            let [a, b, c, d] = rows;
            let pixels =
                [pixel(a, x, channels), pixel(b, x, channels), pixel(c, x, channels), pixel(d, x, channels)];
            interleave(dot, pixels, &mut to[..layout.group_bytes]);
        }
    }
}

/// [`interleave`] for `count` columns, in blocks of [`Dot::WIDE`] channels.
#[inline(always)]
fn interleave_wide<D: Dot>(
    dot: D,
    rows: [Plane<'_, u8>; CHANNEL_GROUP],
    layout: Layout,
    to: &mut [u8],
    count: usize,
) {
    if count == 0 {
        return;
    }
    let channels = layout.channels;
    let reaches = |row: &Plane<'_, u8>| row.data.len() >= (count - 1) * row.pitch + channels;
    assert!(
        rows.iter().all(reaches) && channels.next_multiple_of(BLOCK) * CHANNEL_GROUP <= layout.group_bytes
    );
    assert!(to.len() >= (count - 1) * layout.column_bytes() + layout.group_bytes);
    for at in (0..channels).step_by(D::WIDE.max(1)) {
        let block = D::WIDE.min(channels - at);
        for x in 0..count {
            // SAFETY: the lengths were compared.
            unsafe {
                let [a, b, c, d] = rows.map(|row| row.data.as_ptr().add(x * row.pitch + at));
                let to = to.as_mut_ptr().add(x * layout.column_bytes() + at * CHANNEL_GROUP);
                dot.interleave_wide([a, b, c, d], block, to);
            }
        }
    }
}

#[inline(always)]
fn pixel(row: Plane<'_, u8>, x: usize, channels: usize) -> &[u8] {
    &row.data[x * row.pitch..][..channels]
}

/// Four rows of whole channel groups to one of four times their length; the last block may overlap its
/// neighbour.
#[inline(always)]
fn interleave<D: Dot>(dot: D, rows: [&[u8]; 4], to: &mut [u8]) {
    let len = rows[0].len();
    if len < BLOCK {
        let mut short = [[0; BLOCK]; 4];
        for (short, row) in short.iter_mut().zip(rows) {
            short[..len].copy_from_slice(row);
        }
        let [a, b, c, d] = &short;
        return interleave_block(dot, [a, b, c, d], to, 0);
    }
    let mut at = 0;
    while at + BLOCK < len {
        interleave_block(dot, rows, to, at);
        at += BLOCK;
    }
    interleave_block(dot, rows, to, len - BLOCK);
}

#[inline(always)]
fn interleave_block<D: Dot>(dot: D, [a, b, c, d]: [&[u8]; 4], to: &mut [u8], at: usize) {
    if let Some(a) = a[at..].first_chunk()
        && let Some(b) = b[at..].first_chunk()
        && let Some(c) = c[at..].first_chunk()
        && let Some(d) = d[at..].first_chunk()
        && let Some(to) = to[at * CHANNEL_GROUP..].first_chunk_mut()
    {
        dot.interleave([a, b, c, d], to);
    }
}

/// One output row of a panel of `NV` vectors; `first` is its first pixel within the job.
///
/// # Safety
/// As [`conv`], after its checks; the rows are interleaved.
#[inline(always)]
unsafe fn convolve<D: Dot, const NV: usize>(
    dot: D,
    job: &mut Job<'_>,
    layout: Layout,
    panel: (&Packed, &Panel),
    first: usize,
) {
    /// Neighbouring pixels that share the loads of the weights.
    const PIXELS: usize = 4;
    let width = job.window.output[1];
    let mut x = 0;
    // SAFETY: the caller's; both runs end within the row.
    unsafe {
        while x + PIXELS <= width {
            let acc = accumulate::<D, PIXELS, NV>(dot, job, layout, panel, x);
            let pixels = Pixels { first: first + x, count: PIXELS };
            finish(dot, acc, job.packed, &mut job.output, panel.1, pixels);
            x += PIXELS;
        }
        while x < width {
            let acc = accumulate::<D, 1, NV>(dot, job, layout, panel, x);
            finish(dot, acc, job.packed, &mut job.output, panel.1, Pixels { first: first + x, count: 1 });
            x += 1;
        }
    }
}

/// `bias + Σ activation · weight` of `NV` vectors of channels of the `P` output pixels from column `x` on.
///
/// # Safety
/// As [`convolve`]; `x + P` is at most the width of the output.
#[inline(always)]
unsafe fn accumulate<D: Dot, const P: usize, const NV: usize>(
    dot: D,
    job: &Job<'_>,
    layout: Layout,
    (packed, panel): (&Packed, &Panel),
    x: usize,
) -> [[D::Acc; NV]; P] {
    let window = job.window;
    let step = window.stride[1] * layout.column_bytes();
    // SAFETY: `scratch` holds all columns with their channels in whole vectors; the packed weights have `NV`
    // vectors for each kernel column and row group, the bias `NV` vectors from the panel's channel on.
    unsafe {
        dot.depthwise_sums(Columns {
            taps: job.scratch.as_ptr().add(panel.channel * CHANNEL_GROUP + x * step),
            step,
            columns: window.kernel[1],
            column_bytes: window.dilation[1] * layout.column_bytes(),
            groups: layout.row_groups,
            group_bytes: layout.group_bytes,
            weights: packed.weights.as_slice().as_ptr().add(panel.channel * packed.row_bytes()),
            bias: packed.bias.as_ptr().add(panel.channel),
        })
    }
}

/// What the micro-kernel multiplies: some output pixels and the vectors of a panel.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    /// The first pixel's first vector of groups.
    pub(crate) taps: *const u8,
    /// Bytes from pixel to pixel.
    pub(crate) step: usize,
    /// Kernel columns.
    pub(crate) columns: usize,
    /// Bytes from one to the next.
    pub(crate) column_bytes: usize,
    /// Groups of four kernel rows.
    pub(crate) groups: usize,
    /// Bytes from one to the next.
    pub(crate) group_bytes: usize,
    /// For each row group of each column the vectors of the panel.
    pub(crate) weights: *const u8,
    /// The vectors of the panel.
    pub(crate) bias: *const i32,
}

/// [`Dot::depthwise_sums`] by [`Dot::dot`].
///
/// # Safety
/// As there.
#[inline(always)]
pub(crate) unsafe fn sums_of_dots<D: Dot, const P: usize, const NV: usize>(
    dot: D,
    of: Columns,
) -> [[D::Acc; NV]; P] {
    let vector_bytes = D::LANES * CHANNEL_GROUP;
    let mut weights = of.weights;
    // SAFETY: the caller's.
    unsafe {
        let mut first = [dot.load(of.bias); NV];
        for (v, acc) in first.iter_mut().enumerate() {
            *acc = dot.load(of.bias.add(v * D::LANES));
        }
        let mut acc = [first; P];
        // Of most kernels a column is one group: the loop over the columns is then the inner one.
        let (outer, inner) = match of.groups {
            1 => ((1, 0), (of.columns, of.column_bytes)),
            groups => ((of.columns, of.column_bytes), (groups, of.group_bytes)),
        };
        for i in 0..outer.0 {
            for j in 0..inner.0 {
                let at = of.taps.add(i * outer.1 + j * inner.1);
                let mut w = [dot.groups(weights); NV];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = dot.groups(weights.add(v * vector_bytes));
                }
                for (p, acc) in acc.iter_mut().enumerate() {
                    for (v, (acc, w)) in acc.iter_mut().zip(w).enumerate() {
                        *acc = dot.dot(*acc, dot.groups(at.add(p * of.step + v * vector_bytes)), w);
                    }
                }
                weights = weights.add(NV * vector_bytes);
            }
        }
        acc
    }
}
