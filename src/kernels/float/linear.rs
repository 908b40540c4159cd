//! Fully connected layer.

use super::finish;
use super::gemm::PackedWeights;
use crate::graph::Unary;
use crate::kernels::{Plane, PlaneMut};

/// `y = activation(x · Wᵀ + bias)` over rows.
#[derive(Clone, Debug)]
pub struct LinearF32 {
    outputs: usize,
    weights: PackedWeights,
    bias: Option<Vec<f32>>,
    activation: Option<Unary>,
}

impl LinearF32 {
    /// `weights` are `[outputs][inputs]`, `bias` has one number per output.
    ///
    /// # Panics
    /// `weights` or `bias` has another length.
    pub fn new(
        inputs: usize,
        outputs: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Option<Unary>,
    ) -> Self {
        assert!(bias.is_none_or(|b| b.len() == outputs));
        let weights = PackedWeights::new(outputs, inputs, weights);
        LinearF32 { outputs, weights, bias: bias.map(<[f32]>::to_vec), activation }
    }

    /// Computes `rows` rows; a row is a pixel of `src` and of `dst`.
    ///
    /// # Panics
    /// A buffer is shorter than its rows.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: usize) {
        self.weights.multiply(rows, src.data, src.pitch, dst.data, dst.pitch);
        for row in 0..rows {
            let row = &mut dst.data[row * dst.pitch..][..self.outputs];
            finish(row, self.bias.as_deref(), self.activation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_example() {
        let weights = [1.0, 2.0, -1.0, 0.5, 0.0, 1.0];
        let layer = LinearF32::new(2, 3, &weights, Some(&[0.0, 1.0, -9.0]), Some(Unary::Relu));
        let mut out = [5.0; 8];
        let src = Plane { data: &[1.0, 2.0, f32::NAN, 3.0, -4.0], pitch: 3 };
        layer.run(src, PlaneMut { data: &mut out, pitch: 4 }, 2);
        assert_eq!(out, [5.0, 1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 5.0]);
    }
}
