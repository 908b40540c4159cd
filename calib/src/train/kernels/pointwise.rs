//! 1×1 convolution: one matrix product.

use super::buffers::buffer;
use super::gemm::{Matrix, Target, product};
use super::{Extent, Kernel};

/// `y [O,N,H,W] = weights [O,C] · x [C,N,H,W]`; inputs: `x`, weights.
#[derive(Debug)]
pub struct Pointwise {
    /// Extents of `x`.
    pub input: Extent,
    /// Output channels.
    pub out: usize,
}

impl Pointwise {
    fn made(&self, rows: usize, a: Matrix, b: Matrix, columns: usize) -> Vec<f32> {
        let mut made = buffer(rows * columns);
        product(a, b, Target { values: &mut made, row_step: columns, offset: 0, add: false });
        made
    }
}

impl Kernel for Pointwise {
    fn output(&self) -> Extent {
        Extent { channels: self.out, ..self.input }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let (channels, pixels) = (self.input.channels, self.input.channel());
        let x = Matrix::new(inputs[0], channels, pixels, pixels);
        let weights = Matrix::new(inputs[1], self.out, channels, channels);
        self.made(self.out, weights, x, pixels)
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let (channels, pixels) = (self.input.channels, self.input.channel());
        let x = Matrix::new(inputs[0], channels, pixels, pixels);
        let weights = Matrix::new(inputs[1], self.out, channels, channels);
        let grad = Matrix::new(grad, self.out, pixels, pixels);
        vec![
            wanted[0].then(|| self.made(channels, weights.transposed(), grad, pixels)),
            wanted[1].then(|| self.made(self.out, grad, x.transposed(), channels)),
        ]
    }
}
