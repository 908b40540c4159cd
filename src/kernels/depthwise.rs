//! Depthwise convolution, written once for all instruction sets.
//!
//! The dot product adds four neighbouring bytes, so four taps of a channel must lie together: for each output
//! row the input rows under the kernel are interleaved, four codes of one column and channel side by side. An
//! output pixel is then one dot product per kernel column (and group of four kernel rows), for as many
//! channels at once as a vector has lanes; neighbouring pixels share the interleaved columns.

use super::arch::as_bytes;
use super::dot::Dot;
use super::job::{Job, Pixels, finish};
use super::packed::Panel;
use super::{Plane, Window};
use crate::limits::CHANNEL_GROUP;

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
            group_bytes: padded.max(BLOCK) * CHANNEL_GROUP,
            channels: channels.next_multiple_of(CHANNEL_GROUP),
        }
    }

    pub(crate) fn scratch_bytes(self) -> usize {
        self.columns * self.column_bytes() + self.channels
    }

    fn column_bytes(self) -> usize {
        self.row_groups * self.group_bytes
    }
}

/// Groups of four kernel rows.
pub(crate) fn row_groups(window: &Window) -> usize {
    window.kernel[0].div_ceil(CHANNEL_GROUP)
}

/// Runs a job in panels of at most `NV` vectors of channels.
///
/// # Safety
/// The CPU has the instruction set of `dot`.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const NV: usize>(dot: D, job: &mut Job<'_>) {
    job.check(D::LANES);
    let (window, packed) = (job.window, job.packed);
    let layout = Layout::new(window, packed.channels, packed.bias.len());
    assert_eq!(packed.groups, window.kernel[1] * layout.row_groups);
    assert!(job.scratch.len() >= layout.scratch_bytes(), "scratch too small");
    let width = window.output[1];
    let mut waiting = 0;
    for (row, y) in job.rows.clone().enumerate() {
        interleave_rows(dot, job, layout, y);
        for panel in &packed.panels {
            // SAFETY: every length was compared with what the panel reads and writes.
            unsafe {
                match panel.vectors {
                    1 => convolve::<D, 1>(dot, job, layout, panel, row * width),
                    2 if NV >= 2 => convolve::<D, 2>(dot, job, layout, panel, row * width),
                    3 if NV >= 3 => convolve::<D, 3>(dot, job, layout, panel, row * width),
                    4 if NV >= 4 => convolve::<D, 4>(dot, job, layout, panel, row * width),
                    vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
                }
            }
        }
        // SAFETY: the look-up belongs to the caller's instruction set.
        unsafe { job.look_up(&mut waiting, (row + 1) * width) };
    }
}

/// Interleaves the input rows under the kernel of output row `y`.
#[inline(always)]
fn interleave_rows<D: Dot>(dot: D, job: &mut Job<'_>, layout: Layout, y: usize) {
    let (window, zero_point) = (job.window, job.zero_point as u8);
    let src = Plane { data: as_bytes(job.src.data), pitch: job.src.pitch };
    let (columns, rest) = job.scratch.split_at_mut(layout.columns * layout.column_bytes());
    let padding = &mut rest[..layout.channels];
    padding.fill(zero_point);
    let [height, width] = window.input;
    let top = (y * window.stride[0]).wrapping_sub(window.pad[0]);
    for (i, column) in columns.chunks_exact_mut(layout.column_bytes()).enumerate() {
        let x = i.wrapping_sub(window.pad[1]);
        if x >= width {
            column.fill(zero_point ^ D::FLIP);
            continue;
        }
        for (group, to) in column.chunks_exact_mut(layout.group_bytes).enumerate() {
            let mut rows = [&*padding; CHANNEL_GROUP];
            for (tap, row) in rows.iter_mut().enumerate() {
                let ky = group * CHANNEL_GROUP + tap;
                let from = top.wrapping_add(ky * window.dilation[0]);
                if ky < window.kernel[0] && from < height {
                    *row = &src.data[(from * width + x) * src.pitch..][..layout.channels];
                }
            }
            interleave(dot, rows, to);
        }
    }
}

/// Four rows of whole channel groups to one of four times their length; the last block may overlap its
/// neighbour.
#[inline(always)]
fn interleave<D: Dot>(dot: D, rows: [&[u8]; 4], to: &mut [u8]) {
    let len = rows[0].len();
    let mut block = |from: [&[u8; BLOCK]; 4], at: usize| {
        if let Some(to) = to[at * CHANNEL_GROUP..].first_chunk_mut() {
            dot.interleave(from, to);
        }
    };
    if len < BLOCK {
        let mut short = [[0; BLOCK]; 4];
        for (short, row) in short.iter_mut().zip(rows) {
            short[..len].copy_from_slice(row);
        }
        return block(short.each_ref(), 0);
    }
    for at in (0..len - BLOCK).step_by(BLOCK).chain([len - BLOCK]) {
        if let [Some(a), Some(b), Some(c), Some(d)] = rows.map(|row| row[at..].first_chunk()) {
            block([a, b, c, d], at);
        }
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
    panel: &Panel,
    first: usize,
) {
    let (window, packed) = (job.window, job.packed);
    let vector_bytes = D::LANES * CHANNEL_GROUP;
    // SAFETY: `scratch` holds all columns with their channels in whole vectors; the packed weights have `NV`
    // vectors for each kernel column and row group, the bias `NV` vectors from the panel's channel on.
    unsafe {
        let columns = job.scratch.as_ptr().add(panel.channel * CHANNEL_GROUP);
        let weights = packed.weights.as_slice().as_ptr().add(panel.channel * packed.row_bytes());
        let bias = packed.bias.as_ptr().add(panel.channel);
        for x in 0..window.output[1] {
            let mut acc = [dot.load(bias); NV];
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = dot.load(bias.add(v * D::LANES));
            }
            let mut w = weights;
            for kx in 0..window.kernel[1] {
                let column = x * window.stride[1] + kx * window.dilation[1];
                for group in 0..layout.row_groups {
                    let at = columns.add(column * layout.column_bytes() + group * layout.group_bytes);
                    for (v, acc) in acc.iter_mut().enumerate() {
                        let activations = dot.groups(at.add(v * vector_bytes));
                        *acc = dot.dot(*acc, activations, dot.groups(w.add(v * vector_bytes)));
                    }
                    w = w.add(NV * vector_bytes);
                }
            }
            finish(dot, [acc], packed, &mut job.output, panel, Pixels { first: first + x, count: 1 });
        }
    }
}
