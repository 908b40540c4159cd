//! The windows of a channel, laid out so that each tap is one run of numbers.
//!
//! The padded planes are cut by the phases of the stride: pixel `(y, x)` goes to phase `(y mod s, x mod s)` at
//! `(y / s, x / s)`. Then tap `(i, j)` of the window at `(r, c)` lies in phase `(i mod s, j mod s)`, always the same
//! distance behind position `(r, c)`: all windows of all images are one loop over consecutive numbers. Positions
//! that no window has are computed along and dropped.

use super::Extent;
use ocellus::graph::WindowAttrs;

/// The layout of one channel.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    input: Extent,
    rows: usize,
    columns: usize,
    stride: [usize; 2],
    pad: [usize; 2],
    /// Columns and elements of a plane of a phase.
    pitch: usize,
    plane: usize,
    /// Phase of each tap, and its distance.
    pub taps: Vec<(usize, usize)>,
    /// The largest distance.
    pub reach: usize,
}

impl Layout {
    /// Windows without dilation.
    pub fn new(input: Extent, window: &WindowAttrs) -> Self {
        let [top, left, bottom, right] = window.pad;
        let stride = window.stride;
        let padded = [input.rows + top + bottom, input.columns + left + right];
        let pitch = padded[1].div_ceil(stride[1]);
        let plane = padded[0].div_ceil(stride[0]) * pitch;
        let tap = |i: usize, j: usize| {
            let phase = i % stride[0] * stride[1] + j % stride[1];
            (phase, i / stride[0] * pitch + j / stride[1])
        };
        let [kernel_rows, kernel_columns] = window.kernel;
        let taps: Vec<_> =
            (0..kernel_rows).flat_map(|i| (0..kernel_columns).map(move |j| tap(i, j))).collect();
        Layout {
            input,
            rows: (padded[0] - kernel_rows) / stride[0] + 1,
            columns: (padded[1] - kernel_columns) / stride[1] + 1,
            stride,
            pad: [top, left],
            pitch,
            plane,
            reach: taps.iter().map(|tap| tap.1).max().unwrap_or(0),
            taps,
        }
    }

    /// Extents of a tensor of results.
    pub fn output(&self) -> Extent {
        Extent { rows: self.rows, columns: self.columns, ..self.input }
    }

    /// Positions of one phase in all images.
    pub fn positions(&self) -> usize {
        self.input.images * self.plane
    }

    /// Numbers from one phase to the next.
    pub fn phase(&self) -> usize {
        self.positions() + self.reach
    }

    /// Number of phases.
    pub fn phases(&self) -> usize {
        self.stride[0] * self.stride[1]
    }

    /// Calls `row(packed, plain, step)` for each part of a row that lies in one phase: where it begins in the packed
    /// channel, where in the plain one with which step there, and how long it is.
    #[inline(always)]
    fn rows(&self, mut row: impl FnMut(usize, usize, usize)) {
        let Extent { images, rows, columns, .. } = self.input;
        let step = self.stride[1];
        for (image, y) in (0..images).flat_map(|image| (0..rows).map(move |y| (image, y))) {
            let padded = y + self.pad[0];
            let begin = image * self.plane + padded / self.stride[0] * self.pitch;
            for first in 0..step.min(columns) {
                let x = first + self.pad[1];
                let phase = padded % self.stride[0] * step + x % step;
                let packed = phase * self.phase() + begin + x / step;
                row(packed, (image * rows + y) * columns + first, (columns - first).div_ceil(step));
            }
        }
    }

    /// The channel `x` by phases; padding is `fill`.
    #[inline(always)]
    pub fn pack(&self, x: &[f32], fill: f32, packed: &mut Vec<f32>) {
        packed.clear();
        packed.resize(self.phases() * self.phase(), fill);
        let step = self.stride[1];
        self.rows(|to, from, count| {
            let to = &mut packed[to..to + count];
            match step {
                1 => to.copy_from_slice(&x[from..from + count]),
                _ => to.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(to, x)| *to = *x),
            }
        });
    }

    /// The inverse of [`pack`](Self::pack).
    #[inline(always)]
    pub fn unpack(&self, packed: &[f32], x: &mut [f32]) {
        let step = self.stride[1];
        self.rows(|from, to, count| {
            let from = &packed[from..from + count];
            match step {
                1 => x[to..to + count].copy_from_slice(from),
                _ => x[to..].iter_mut().step_by(step).zip(from).for_each(|(x, from)| *x = *from),
            }
        });
    }

    /// Results of windows, at their positions after `margin` zeros; zero where no window is.
    #[inline(always)]
    pub fn spread(&self, results: &[f32], margin: usize, spread: &mut Vec<f32>) {
        spread.clear();
        spread.resize(margin + self.positions(), 0.0);
        for (at, row) in results.chunks_exact(self.columns).enumerate() {
            let begin = margin + self.position(at);
            spread[begin..begin + self.columns].copy_from_slice(row);
        }
    }

    /// The inverse of [`spread`](Self::spread), without a margin.
    #[inline(always)]
    pub fn gather(&self, spread: &[f32], results: &mut [f32]) {
        for (at, row) in results.chunks_exact_mut(self.columns).enumerate() {
            let begin = self.position(at);
            row.copy_from_slice(&spread[begin..begin + self.columns]);
        }
    }

    /// Where the row `at` of all images' results begins.
    #[inline(always)]
    fn position(&self, at: usize) -> usize {
        at / self.rows * self.plane + at % self.rows * self.pitch
    }

    /// What each tap sees: one number for each position.
    #[inline(always)]
    pub fn seen<'a>(&self, packed: &'a [f32], tap: usize) -> &'a [f32] {
        let (phase, distance) = self.taps[tap];
        let begin = phase * self.phase() + distance;
        &packed[begin..begin + self.positions()]
    }
}
