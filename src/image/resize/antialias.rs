//! Bilinear resize with antialiasing, with the arithmetic of Pillow's `Image.resize(BILINEAR)` on 8-bit RGB.
//!
//! Each output sample is a weighted mean of all source samples under a triangle, which widens with the factor
//! of a reduction: no pixel is passed over. Weights are fixed point, and either pass rounds to bytes; the
//! order of the passes shows in the last bit, so it follows Pillow too.

use crate::kernels::isa::Isa;
use crate::kernels::resample::{Axis, Columns, ROWS, Ring, Rows, WEIGHT_BITS};

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
    /// Extents of the source, `[height, width]`.
    source: [usize; 2],
    columns: Columns,
    rows: Rows,
    rows_first: bool,
    /// Bytes from one row to the next, of the rows whose columns are joined.
    pitch: usize,
    /// Rows between the passes: some if rows come first, else a ring that holds the widest window.
    between: Vec<u8>,
    /// Output rows: some if rows come first, else one.
    lines: Vec<u8>,
}

impl Antialias {
    /// Between two `[height, width]`; every extent is at least 1.
    pub(super) fn new(isa: Isa, source: [usize; 2], target: [usize; 2]) -> Self {
        let rows = Rows::new(isa, triangles(source[0], target[0]));
        let columns = Columns::new(isa, triangles(source[1], target[1]));
        // Pillow's rule from version 13 on, where the height shrinks by much more than the width; earlier
        // versions always join columns first.
        let shrink = |axis: usize| source[axis] as i64 - target[axis] as i64;
        let rows_first = shrink(0) > 0 && shrink(0) > 2 * shrink(1);
        // Whole cache lines: rows are joined by whole vectors.
        let pitch = columns.row_bytes().next_multiple_of(64);
        // Columns are joined in some rows at a time: more rows may lie there than the widest window needs.
        let held = (rows.axis().widest() + ROWS - 1).next_multiple_of(ROWS);
        let (between, lines) = match rows_first {
            true => (ROWS * source[1] * 3, ROWS * pitch),
            false => (held * pitch, pitch),
        };
        Antialias {
            source,
            columns,
            rows,
            rows_first,
            pitch,
            between: vec![0; between],
            lines: vec![0; lines],
        }
    }

    /// As [`Resizer::run`](super::Resizer::run), for a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], each: impl FnMut(&[u8])) {
        match self.rows_first {
            true => self.run_rows_first(rgb, each),
            false => self.run_columns_first(rgb, each),
        }
    }

    fn run_columns_first(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        let (row, pitch) = (self.source[1] * 3, self.pitch);
        let held = self.between.len() / pitch;
        let mut joined = 0;
        for y in 0..self.rows.axis().len() {
            let (first, weights) = self.rows.axis().window(y);
            while joined < first + weights.len() {
                // Both are multiples of the number of rows, so these lie together. What is missing at the
                // end is the last row once more.
                let at = |i: usize| (joined + i).min(self.source[0] - 1) * row;
                let to = &mut self.between[joined % held * pitch..][..ROWS * pitch];
                self.columns.join(rgb, std::array::from_fn(at), rows_mut(to, pitch));
                joined += ROWS;
            }
            self.rows.join(y, Ring { data: &self.between, pitch, rows: held }, &mut self.lines);
            each(&self.lines[..self.columns.width() * 3]);
        }
    }

    fn run_rows_first(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        let (row, pitch) = (self.source[1] * 3, self.pitch);
        let ring = Ring { data: rgb, pitch: row, rows: self.source[0] };
        let height = self.rows.axis().len();
        for y in (0..height).step_by(ROWS) {
            for (y, joined) in (y..height).zip(self.between.chunks_exact_mut(row)) {
                self.rows.join(y, ring, joined);
            }
            let to = rows_mut(&mut self.lines, pitch);
            self.columns.join(&self.between, std::array::from_fn(|i| i * row), to);
            let lines = self.lines.chunks_exact(pitch).take(height - y);
            lines.for_each(|line| each(&line[..self.columns.width() * 3]));
        }
    }
}

/// The first rows of a picture.
fn rows_mut(mut picture: &mut [u8], pitch: usize) -> [&mut [u8]; ROWS] {
    std::array::from_fn(|_| {
        let (row, rest) = std::mem::take(&mut picture).split_at_mut(pitch);
        picture = rest;
        row
    })
}
