//! Bilinear resize with antialiasing, with the arithmetic of Pillow's `Image.resize(BILINEAR)` on 8-bit RGB.
//!
//! Each output sample is a weighted mean of all source samples under a triangle, which widens with the factor
//! of a reduction: no pixel is passed over. Weights are fixed point, and either pass rounds to bytes; the
//! order of the passes shows in the last bit, so it follows Pillow too.

use crate::kernels::isa::Isa;
use crate::kernels::resample::{Axis, Columns, Ring, WEIGHT_BITS, join_rows};

/// Windows and weights of one axis.
fn triangles(source: usize, target: usize) -> Axis {
    let scale = source as f64 / target as f64;
    // Half the triangle's base: one source sample, or one output sample where those are larger.
    let support = scale.max(1.0);
    let mut axis = Axis::default();
    let mut shares = Vec::new();
    for i in 0..target {
        let centre = (i as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(source);
        shares.clear();
        shares.extend((first..end).map(|x| {
            let distance = (x as f64 - centre + 0.5) * (1.0 / support);
            (1.0 - distance.abs()).max(0.0)
        }));
        let sum: f64 = shares.iter().sum();
        let fixed = |share: &f64| (share / sum * f64::from(1 << WEIGHT_BITS) + 0.5) as i32;
        axis.push(first, shares.iter().map(fixed));
    }
    axis
}

/// The antialiased resizer.
#[derive(Clone, Debug)]
pub(super) struct Antialias {
    isa: Isa,
    /// Extents of the source, `[height, width]`.
    source: [usize; 2],
    columns: Columns,
    rows: Axis,
    rows_first: bool,
    /// Rows between the passes: two if rows come first, else a ring that holds the widest window.
    between: Vec<u8>,
    /// Output rows: two if rows come first.
    lines: Vec<u8>,
}

impl Antialias {
    /// Between two `[height, width]`; every extent is at least 1.
    pub(super) fn new(isa: Isa, source: [usize; 2], target: [usize; 2]) -> Self {
        let rows = triangles(source[0], target[0]);
        let columns = Columns::new(isa, triangles(source[1], target[1]));
        // Pillow's rule from version 13 on, where the height shrinks by much more than the width; earlier
        // versions always join columns first.
        let shrink = |axis: usize| source[axis] as i64 - target[axis] as i64;
        let rows_first = shrink(0) > 0 && shrink(0) > 2 * shrink(1);
        // Columns are joined in two rows at a time: there may be one row more than the widest window.
        let held = (rows.widest() + 1).next_multiple_of(2);
        let (between, lines) = match rows_first {
            true => (2 * source[1] * 3, 2 * columns.pitch()),
            false => (held * columns.pitch(), target[1] * 3),
        };
        Antialias { isa, source, columns, rows, rows_first, between: vec![0; between], lines: vec![0; lines] }
    }

    /// As [`Resizer::run`](super::Resizer::run), for a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], each: impl FnMut(&[u8])) {
        match self.rows_first {
            true => self.run_rows_first(rgb, each),
            false => self.run_columns_first(rgb, each),
        }
    }

    fn run_columns_first(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        let (row, pitch) = (self.source[1] * 3, self.columns.pitch());
        let held = self.between.len() / pitch;
        let mut joined = 0;
        for y in 0..self.rows.len() {
            let (first, weights) = self.rows.window(y);
            while joined < first + weights.len() {
                // Both are even: the pair lies together. A last row without a partner is its own.
                let pair = &mut self.between[joined % held * pitch..][..2 * pitch];
                let last = (joined + 1).min(self.source[0] - 1);
                self.columns.join(rgb, [joined * row, last * row], pair.split_at_mut(pitch).into());
                joined += 2;
            }
            let ring = Ring { data: &self.between, pitch, rows: held };
            join_rows(self.isa, ring, first, weights, &mut self.lines);
            each(&self.lines);
        }
    }

    fn run_rows_first(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        let row = self.source[1] * 3;
        let ring = Ring { data: rgb, pitch: row, rows: self.source[0] };
        let height = self.rows.len();
        let width = self.columns.width() * 3;
        for y in (0..height).step_by(2) {
            for (y, joined) in (y..height).zip(self.between.chunks_exact_mut(row)) {
                let (first, weights) = self.rows.window(y);
                join_rows(self.isa, ring, first, weights, joined);
            }
            let (one, other) = self.lines.split_at_mut(self.columns.pitch());
            self.columns.join(&self.between, [0, row], [one, other]);
            let lines = self.lines.chunks_exact(self.columns.pitch());
            lines.take(height - y).for_each(|line| each(&line[..width]));
        }
    }
}
