//! Fully connected layer.

use super::gemm::{BLOCK_ROWS, Block, PackedWeights, Row, Segment};
use super::lanes::{self, Kernels};
use super::unary::{map_rows, only_clamps};
use crate::graph::Unary;
use crate::kernels::isa::Isa;
use crate::kernels::{Plane, PlaneMut};

/// `y = activation(x · Wᵀ + bias)` over rows.
#[derive(Clone, Debug)]
pub struct LinearF32 {
    isa: Isa,
    kernels: Kernels,
    outputs: usize,
    weights: PackedWeights,
    activation: Option<Unary>,
}

impl LinearF32 {
    /// `weights` are `[outputs][inputs]`, `bias` has one number per output.
    ///
    /// # Panics
    /// This CPU lacks `isa`, or `weights` or `bias` has another length.
    pub fn new(
        isa: Isa,
        [outputs, inputs]: [usize; 2],
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Option<Unary>,
    ) -> Self {
        let kernels = lanes::kernels(isa);
        let weights = PackedWeights::new(kernels, [outputs, inputs], weights, bias);
        LinearF32 { isa, kernels, outputs, weights, activation }
    }

    /// Computes `rows` rows; a row is a pixel of `src` and of `dst`.
    ///
    /// # Panics
    /// A buffer is shorter than its rows.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: usize) {
        let clamp = self.activation.and_then(only_clamps);
        let whole = Segment { source: 0, pixel: 0, channel: 0, first: 0, len: self.weights.inputs() };
        for start in (0..rows).step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(rows - start);
            let mut places = [Row::Image(0); BLOCK_ROWS];
            places.iter_mut().zip(start..).for_each(|(place, row)| *place = Row::Image(row));
            let block = Block {
                sources: &[src],
                segments: &[whole],
                patches: &[],
                rows: &places[..count],
                weights: &self.weights,
                clamp,
            };
            let to = &mut dst.data[start * dst.pitch..];
            // SAFETY: `lanes::kernels` gave the kernel only because the CPU has its instruction set.
            unsafe { (self.kernels.gemm)(&block, PlaneMut { data: &mut *to, pitch: dst.pitch }) };
            if let Some(f) = self.activation.filter(|_| clamp.is_none()) {
                map_rows(self.isa, f, to, dst.pitch, count, self.outputs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example() {
        let weights = [1.0, 2.0, -1.0, 0.5, 0.0, 1.0];
        for isa in Isa::available() {
            let bias = Some(&[0.0, 1.0, -9.0][..]);
            let mut out = [5.0; 8];
            let src = Plane { data: &[1.0, 2.0, f32::NAN, 3.0, -4.0], pitch: 3 };
            let layer = LinearF32::new(isa, [3, 2], &weights, bias, Some(Unary::Relu));
            layer.run(src, PlaneMut { data: &mut out, pitch: 4 }, 2);
            assert_eq!(out, [5.0, 1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 5.0]);
            let layer = LinearF32::new(isa, [3, 2], &weights, bias, Some(Unary::Abs));
            layer.run(src, PlaneMut { data: &mut out, pitch: 4 }, 2);
            assert_eq!(out, [5.0, 1.0, 7.0, 5.0, 5.0, 4.0, 13.0, 5.0]);
        }
    }
}
