//! Bilinear resize with the arithmetic of OpenCV's `resize(INTER_LINEAR)` on 8-bit pictures.
//!
//! Datasets are measured with what OpenCV makes of them, so the same picture must give the same bytes here.
//! Weights are 11-bit fixed point; a horizontal pass makes 15-bit rows, a vertical pass joins two of them.
//! Sample points are pixel centres and nothing is smoothed before a reduction.

use crate::kernels::isa::Isa;
use crate::kernels::resample::linear::{Neighbours, blend_columns, blend_rows};

/// Fixed-point one of a weight.
const ONE: f32 = 2048.0;

/// Two source samples and their weights, for one output column or row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    source: [u32; 2],
    weight: [u16; 2],
}

/// Resizes RGB8 pictures of one size to another, row by row.
///
/// Owns its tables and row buffers: a run allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    isa: Isa,
    /// Bytes of a source row.
    source_row: usize,
    /// Source columns of every output column.
    columns: Vec<[u32; 2]>,
    /// Their weights, one for every byte.
    weights: [Vec<u16>; 2],
    rows: Vec<Tap>,
    /// The source pixels of a row's columns.
    gathered: [Vec<u8>; 2],
    /// Two source rows after the horizontal pass, and the row that each holds.
    blended: [Vec<u16>; 2],
    held: [Option<u32>; 2],
    line: Vec<u8>,
}

impl Linear {
    /// A resizer between two `[height, width]`; every extent is at least 1.
    pub(super) fn new(isa: Isa, source: [usize; 2], target: [usize; 2]) -> Self {
        let width = target[1] * 3;
        let columns = taps(source[1], target[1], Edge::Exact);
        let per_byte = |i: usize| columns.iter().flat_map(|tap| [tap.weight[i]; 3]).collect();
        Linear {
            isa,
            source_row: source[1] * 3,
            weights: [per_byte(0), per_byte(1)],
            columns: columns.iter().map(|tap| tap.source).collect(),
            rows: taps(source[0], target[0], Edge::Repeated),
            gathered: [vec![0; width], vec![0; width]],
            blended: [vec![0; width], vec![0; width]],
            held: [None; 2],
            line: vec![0; width],
        }
    }

    /// As [`Resizer::run`](super::Resizer::run), for a picture of the source's size.
    pub(super) fn run(&mut self, rgb: &[u8], mut each: impl FnMut(&[u8])) {
        self.held = [None; 2];
        for y in 0..self.rows.len() {
            let tap = self.rows[y];
            let first = self.hold(rgb, tap.source[0], None);
            let second = self.hold(rgb, tap.source[1], Some(first));
            let rows = [&self.blended[first][..], &self.blended[second]];
            blend_rows(self.isa, rows, tap.weight, &mut self.line);
            each(&self.line);
        }
    }

    /// Index of the buffer that holds source row `y`, filled now if it was not. Buffer `keep` is not touched.
    fn hold(&mut self, rgb: &[u8], y: u32, keep: Option<usize>) -> usize {
        if let Some(found) = self.held.iter().position(|&held| held == Some(y)) {
            return found;
        }
        // Rows are asked for from top to bottom: the higher one is not needed again.
        let slot = keep.map_or(usize::from(self.held[1] < self.held[0]), |k| 1 - k);
        let row = &rgb[y as usize * self.source_row..][..self.source_row];
        gather(row, &self.columns, &mut self.gathered);
        let neighbours = Neighbours {
            samples: self.gathered.each_ref().map(|samples| &samples[..]),
            weights: self.weights.each_ref().map(|weights| &weights[..]),
        };
        blend_columns(self.isa, neighbours, &mut self.blended[slot]);
        self.held[slot] = Some(y);
        slot
    }
}

/// How an axis treats sample points outside the picture.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    /// The edge pixel with weight one (OpenCV's columns).
    Exact,
    /// The edge pixel twice, with the weights as they are (OpenCV's rows). Rounding differs.
    Repeated,
}

fn taps(source: usize, target: usize, edge: Edge) -> Vec<Tap> {
    let last = source as i64 - 1;
    // OpenCV takes the reciprocal of the reciprocal; the last bit of a weight can depend on it.
    let scale = 1.0 / (target as f64 / source as f64);
    let tap = |i: usize| {
        let at = ((i as f64 + 0.5) * scale - 0.5) as f32;
        let mut first = at.floor() as i64;
        let mut second_share = at - at.floor();
        if edge == Edge::Exact && (first < 0 || first >= last) {
            first = first.clamp(0, last);
            second_share = 0.0;
        }
        let weight = |share: f32| (share * ONE).round_ties_even() as u16;
        Tap {
            source: [first.clamp(0, last) as u32, (first + 1).clamp(0, last) as u32],
            weight: [weight(1.0 - second_share), weight(second_share)],
        }
    };
    (0..target).map(tap).collect()
}

/// Pixels side by side that are apart in the source: what follows is arithmetic on whole vectors.
fn gather(row: &[u8], columns: &[[u32; 2]], out: &mut [Vec<u8>; 2]) {
    let (pixels, _) = row.as_chunks::<3>();
    let [(first, _), (second, _)] = out.each_mut().map(|out| out.as_chunks_mut::<3>());
    for ((&[a, b], first), second) in columns.iter().zip(first).zip(second) {
        *first = pixels[a as usize];
        *second = pixels[b as usize];
    }
}
