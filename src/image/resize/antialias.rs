//! Bilinear resize with antialiasing, with the arithmetic of Pillow's `Image.resize(BILINEAR)` on 8-bit RGB.
//!
//! Each output sample is a weighted mean of all source samples under a triangle, which widens with the factor
//! of a reduction: no pixel is passed over. Weights are 22-bit fixed point, and either pass rounds to bytes;
//! the order of the passes shows in the last bit, so it follows Pillow too.

use std::ops::Range;

/// Fraction bits of a weight: 8 bits of a pixel and 2 of headroom complete 32.
const WEIGHT_BITS: u32 = 22;
/// What a sum starts with, so that dropping the fraction rounds it.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// The weights of an axis.
#[derive(Clone, Debug)]
struct Axis {
    windows: Vec<Window>,
    /// Of all windows, one after the other.
    weights: Vec<i32>,
}

/// The source samples of an output sample.
#[derive(Clone, Debug)]
struct Window {
    source: Range<usize>,
    /// Place of the first weight.
    weights: usize,
}

impl Axis {
    fn new(source: usize, target: usize) -> Self {
        let scale = source as f64 / target as f64;
        // Half the triangle's base: one source sample, or one output sample where those are larger.
        let support = scale.max(1.0);
        let mut axis = Axis { windows: Vec::with_capacity(target), weights: Vec::new() };
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
            axis.windows.push(Window { source: first..end, weights: axis.weights.len() });
            let fixed = |share: &f64| (share / sum * f64::from(1 << WEIGHT_BITS) + 0.5) as i32;
            axis.weights.extend(shares.iter().map(fixed));
        }
        axis
    }

    /// Source samples of output sample `i`, and their weights.
    fn window(&self, i: usize) -> (Range<usize>, &[i32]) {
        let Window { source, weights } = &self.windows[i];
        (source.clone(), &self.weights[*weights..][..source.len()])
    }
}

/// The antialiased resizer.
#[derive(Clone, Debug)]
pub(super) struct Antialias {
    /// Bytes of a source row.
    source_row: usize,
    columns: Axis,
    rows: Axis,
    rows_first: bool,
    /// Rows between the passes: one if rows come first, else a ring that holds the widest window.
    between: Vec<u8>,
    sums: Vec<i32>,
    line: Vec<u8>,
}

impl Antialias {
    /// Between two `[height, width]`; every extent is at least 1.
    pub(super) fn new(source: [usize; 2], target: [usize; 2]) -> Self {
        let rows = Axis::new(source[0], target[0]);
        let widest = rows.windows.iter().map(|w| w.source.len()).max().unwrap_or(1);
        // Pillow's rule from version 13 on, where the height shrinks by much more than the width; earlier
        // versions always join columns first.
        let shrink = |axis: usize| source[axis] as i64 - target[axis] as i64;
        let rows_first = shrink(0) > 0 && shrink(0) > 2 * shrink(1);
        let (held, width) = if rows_first { (1, source[1]) } else { (widest, target[1]) };
        Antialias {
            source_row: source[1] * 3,
            columns: Axis::new(source[1], target[1]),
            rows,
            rows_first,
            between: vec![0; held * width * 3],
            sums: vec![0; width * 3],
            line: vec![0; target[1] * 3],
        }
    }

    /// As [`Resizer::run`](super::Resizer::run), for a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        if self.rows_first {
            for y in 0..self.rows.windows.len() {
                let (rows, weights) = self.rows.window(y);
                let lines = rgb[rows.start * self.source_row..].chunks_exact(self.source_row);
                join_rows(lines.zip(weights), &mut self.sums, &mut self.between);
                join_columns(&self.between, &self.columns, &mut self.line);
                each(&self.line);
            }
            return;
        }
        let width = self.line.len();
        let held = self.between.len() / width;
        let mut source = rgb.chunks_exact(self.source_row).enumerate();
        let mut joined = 0;
        for y in 0..self.rows.windows.len() {
            let (rows, weights) = self.rows.window(y);
            for (at, row) in source.by_ref().take(rows.end - joined) {
                join_columns(row, &self.columns, &mut self.between[at % held * width..][..width]);
            }
            joined = rows.end;
            let lines = rows.map(|at| &self.between[at % held * width..][..width]);
            join_rows(lines.zip(weights), &mut self.sums, &mut self.line);
            each(&self.line);
        }
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

fn join_columns(row: &[u8], columns: &Axis, out: &mut [u8]) {
    let (pixels, _) = row.as_chunks::<3>();
    let (out, _) = out.as_chunks_mut::<3>();
    for (x, out) in out.iter_mut().enumerate() {
        let (source, weights) = columns.window(x);
        let mut sums = [HALF; 3];
        for (pixel, &weight) in pixels[source].iter().zip(weights) {
            for c in 0..3 {
                sums[c] += i32::from(pixel[c]) * weight;
            }
        }
        *out = sums.map(to_byte);
    }
}

fn join_rows<'a>(rows: impl Iterator<Item = (&'a [u8], &'a i32)>, sums: &mut [i32], out: &mut [u8]) {
    sums.fill(HALF);
    for (row, &weight) in rows {
        for (sum, &byte) in sums.iter_mut().zip(row) {
            *sum += i32::from(byte) * weight;
        }
    }
    for (out, &sum) in out.iter_mut().zip(&*sums) {
        *out = to_byte(sum);
    }
}
