//! Nearest-neighbour upsampling by a whole factor.

use super::buffers::{buffer, zeros};
use super::{Extent, Kernel};
use rayon::prelude::*;

/// Each pixel becomes `factor × factor` pixels; input: `x [C,N,H,W]`.
#[derive(Debug)]
pub struct Upsample {
    /// Extents of `x`.
    pub input: Extent,
    /// Rows and columns that a pixel becomes.
    pub factor: [usize; 2],
}

impl Kernel for Upsample {
    fn output(&self) -> Extent {
        let Extent { rows, columns, .. } = self.input;
        Extent { rows: rows * self.factor[0], columns: columns * self.factor[1], ..self.input }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let [down, across] = self.factor;
        let columns = self.input.columns;
        let wide = columns * across;
        let mut out = buffer(self.output().elements());
        out.par_chunks_mut(down * wide).zip(inputs[0].par_chunks(columns)).for_each(|(out, x)| {
            for row in out.chunks_mut(wide) {
                row.chunks_mut(across).zip(x).for_each(|(pixels, x)| pixels.fill(*x));
            }
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let [down, across] = self.factor;
        let columns = self.input.columns;
        let wide = columns * across;
        let mut dx = zeros(inputs[0].len());
        dx.par_chunks_mut(columns).zip(grad.par_chunks(down * wide)).for_each(|(dx, grad)| {
            for row in grad.chunks(wide) {
                dx.iter_mut().zip(row.chunks(across)).for_each(|(dx, grad)| *dx += grad.iter().sum::<f32>());
            }
        });
        vec![Some(dx)]
    }
}
