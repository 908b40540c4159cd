//! Matrix product with a constant right-hand side, by the crate matrixmultiply.

/// Weights `[outputs][inputs]`, stored as the product reads them best.
#[derive(Clone, Debug)]
pub(super) struct PackedWeights {
    outputs: usize,
    inputs: usize,
    /// `[inputs][outputs]`.
    columns: Vec<f32>,
}

impl PackedWeights {
    /// Packs row-major weights.
    pub fn new(outputs: usize, inputs: usize, weights: &[f32]) -> Self {
        assert_eq!(weights.len(), outputs * inputs);
        let columns = (0..inputs * outputs).map(|i| weights[i % outputs * inputs + i / outputs]).collect();
        PackedWeights { outputs, inputs, columns }
    }

    /// `y[r][o] = Σ x[r][i] · weights[o][i]` for `rows` rows, `x_pitch` and `y_pitch` elements apart.
    ///
    /// The sum of one element is always taken in the same order, whatever `rows` is.
    pub fn multiply(&self, rows: usize, x: &[f32], x_pitch: usize, y: &mut [f32], y_pitch: usize) {
        if rows == 0 || self.outputs == 0 {
            return;
        }
        assert!(x_pitch <= isize::MAX as usize && y_pitch <= isize::MAX as usize && self.outputs <= y_pitch);
        let x = &x[..(rows - 1) * x_pitch + self.inputs];
        let y = &mut y[..(rows - 1) * y_pitch + self.outputs];
        // SAFETY: the slices above hold every element that the extents and strides reach: of `x`, row r and
        // column i at r · x_pitch + i; of `y`, row r and column o at r · y_pitch + o, which do not overlap
        // as y_pitch ≥ outputs; `columns` has inputs · outputs elements by construction. `y` is borrowed
        // exclusively, and with β = 0 it is not read.
        unsafe {
            matrixmultiply::sgemm(
                rows,
                self.inputs,
                self.outputs,
                1.0,
                x.as_ptr(),
                x_pitch as isize,
                1,
                self.columns.as_ptr(),
                self.outputs as isize,
                1,
                0.0,
                y.as_mut_ptr(),
                y_pitch as isize,
                1,
            );
        }
    }
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
