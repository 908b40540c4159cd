//! Matrix product with a constant right-hand side, in portable Rust.

/// Rows and columns of the tile of sums that is kept in registers: eight accumulators of four lanes, enough
/// to hide the latency of an addition where a CPU has sixteen vector registers.
const TILE_ROWS: usize = 4;
/// See [`TILE_ROWS`].
const TILE_COLUMNS: usize = 8;

/// Weights `[outputs][inputs]`, packed so that the product reads them in sequence.
#[derive(Clone, Debug)]
pub(super) struct PackedWeights {
    outputs: usize,
    inputs: usize,
    /// Panels of `TILE_COLUMNS` outputs: `[panel][input][output]`, filled up with zeros.
    panels: Vec<[f32; TILE_COLUMNS]>,
}

impl PackedWeights {
    /// Packs row-major weights.
    pub fn new(outputs: usize, inputs: usize, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), outputs * inputs);
        let mut panels = vec![[0.0; TILE_COLUMNS]; outputs.div_ceil(TILE_COLUMNS) * inputs];
        for output in 0..outputs {
            for input in 0..inputs {
                panels[output / TILE_COLUMNS * inputs + input][output % TILE_COLUMNS] =
                    weights[output * inputs + input];
            }
        }
        PackedWeights { outputs, inputs, panels }
    }

    /// `y[r][o] = Σ x[r][i] · weights[o][i]` for `rows` rows, `x_pitch` and `y_pitch` elements apart.
    ///
    /// The sum of one element is always taken in the same order, whatever `rows` is.
    pub fn multiply(&self, rows: usize, x: &[f32], x_pitch: usize, y: &mut [f32], y_pitch: usize) {
        let mut row = 0;
        while row < rows {
            let taken = TILE_ROWS.min(rows - row);
            for first in (0..self.outputs).step_by(TILE_COLUMNS) {
                let panel = &self.panels[first / TILE_COLUMNS * self.inputs..][..self.inputs];
                // Rows beyond the last are the last one again: one inner loop serves every tile.
                let lines = std::array::from_fn(|r| &x[(row + r.min(taken - 1)) * x_pitch..][..self.inputs]);
                let sums = tile(lines, panel);
                let columns = TILE_COLUMNS.min(self.outputs - first);
                for (r, sum) in sums.iter().take(taken).enumerate() {
                    y[(row + r) * y_pitch + first..][..columns].copy_from_slice(&sum[..columns]);
                }
            }
            row += taken;
        }
    }
}

/// `Σ lines[r][i] · panel[i][c]`.
#[inline(always)]
fn tile(lines: [&[f32]; TILE_ROWS], panel: &[[f32; TILE_COLUMNS]]) -> [[f32; TILE_COLUMNS]; TILE_ROWS] {
    // Of the length that the loop has, so that indexing needs no check.
    let lines = lines.map(|line| &line[..panel.len()]);
    let mut sums = [[0.0; TILE_COLUMNS]; TILE_ROWS];
    for (i, weights) in panel.iter().enumerate() {
        for (sum, line) in sums.iter_mut().zip(lines) {
            for (s, w) in sum.iter_mut().zip(weights) {
                *s += line[i] * w;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, noise};

    #[test]
    fn every_remainder_equals_the_plain_product() {
        for (rows, outputs, inputs) in [(1, 1, 1), (4, 8, 3), (5, 9, 7), (11, 7, 16), (3, 17, 0), (0, 3, 2)] {
            let (x_pitch, y_pitch) = (inputs + 2, outputs + 1);
            let x = noise(rows * x_pitch, 3);
            let w = noise(outputs * inputs, 4);
            let mut y = vec![9.0; rows * y_pitch];
            PackedWeights::new(outputs, inputs, &w).multiply(rows, &x, x_pitch, &mut y, y_pitch);
            for r in 0..rows {
                let expected: Vec<f32> = (0..outputs)
                    .map(|o| (0..inputs).map(|i| x[r * x_pitch + i] * w[o * inputs + i]).sum())
                    .collect();
                assert_close(&y[r * y_pitch..][..outputs], &expected, 1e-6);
                assert_eq!(y[r * y_pitch + outputs], 9.0);
            }
        }
    }
}
