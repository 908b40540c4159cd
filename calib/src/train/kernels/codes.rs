//! Numbers rounded to the codes of a grid, with the straight-through gradient: what the int8 network will compute with.

use super::buffers::buffer;
use super::lanes::vectorized;
use super::{Extent, Kernel};
use rayon::prelude::*;

/// Each number becomes the nearest of `scale · code`, `code` being an integer in `low..=high`.
///
/// Its gradient is that of a number which was not rounded; what lies beyond the ends gets none (Jacob et al.,
/// "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018).
#[derive(Debug)]
pub struct Codes {
    /// Extents of the input.
    pub input: Extent,
    /// One for each row of equally many numbers: a single one of a tensor, or one for each output channel of weights.
    pub scales: Vec<f32>,
    /// The lowest and the highest code, counted from that of zero.
    pub bounds: [f32; 2],
}

/// 1.5 · 2²³: adding it rounds to an integer, ties to even, and subtracting it is exact.
const ROUND: f32 = 12_582_912.0;

vectorized! {
    fn round_row<'a>(_simd; x: &'a [f32], out: &'a mut [f32], scale: f32, bounds: [f32; 2]) -> () {
        for (out, x) in out.iter_mut().zip(x) {
            let code = (x / scale).max(bounds[0]).min(bounds[1]);
            *out = ((code + ROUND) - ROUND) * scale;
        }
    }

    fn pass_row<'a>(_simd; x: &'a [f32], grad: &'a mut [f32], scale: f32, bounds: [f32; 2]) -> () {
        // Half a step beyond the ends is still rounded to them, not cut.
        let [low, high] = [(bounds[0] - 0.5) * scale, (bounds[1] + 0.5) * scale];
        for (grad, x) in grad.iter_mut().zip(x) {
            *grad = if (*x >= low) & (*x <= high) { *grad } else { 0.0 };
        }
    }
}

impl Codes {
    fn row(&self) -> usize {
        (self.input.elements() / self.scales.len().max(1)).max(1)
    }

    /// Pieces of rows that threads share, each with its scale.
    fn pieces(&self) -> (usize, impl Fn(usize) -> f32 + Sync + '_) {
        // A tensor of one scale is shared as well; rows of weights are short.
        let (row, channel) = (self.row(), self.input.channel().max(1));
        let piece = if self.scales.len() == 1 { channel } else { row };
        (piece, move |i: usize| if self.scales.len() == 1 { self.scales[0] } else { self.scales[i] })
    }
}

impl Kernel for Codes {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let mut out = buffer(inputs[0].len());
        let (piece, scale) = self.pieces();
        let pieces = out.par_chunks_mut(piece).zip(inputs[0].par_chunks(piece)).enumerate();
        pieces.for_each(|(i, (out, x))| round_row(x, out, scale(i), self.bounds));
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let mut dx = grad.to_vec();
        let (piece, scale) = self.pieces();
        let pieces = dx.par_chunks_mut(piece).zip(inputs[0].par_chunks(piece)).enumerate();
        pieces.for_each(|(i, (dx, x))| pass_row(x, dx, scale(i), self.bounds));
        vec![Some(dx)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus::tensor::Quant;

    #[test]
    fn codes_are_those_of_the_runtime() {
        let quant = Quant::new(0.037, -50).unwrap();
        let input = Extent { channels: 2, images: 1, rows: 20, columns: 50 };
        let kernel = Codes { input, scales: vec![quant.scale], bounds: [-78.0, 177.0] };
        // Ties among them: multiples of half a step.
        let x: Vec<f32> = (0..2000).map(|i| (i as f32 - 400.0) * 0.0185).collect();
        let rounded = kernel.forward(&[&x]);
        for (x, rounded) in x.iter().zip(&rounded) {
            assert_eq!(*rounded, quant.dequantize(quant.quantize(*x)), "{x}");
        }
        let grad = kernel.backward(&[&x], &vec![1.5; 2000], &[true]).remove(0).unwrap();
        let (low, high) = quant.range();
        for (x, grad) in x.iter().zip(grad) {
            let inside = *x > low - 0.6 * quant.scale && *x < high + 0.6 * quant.scale;
            let outside = *x < low - 0.4 * quant.scale || *x > high + 0.4 * quant.scale;
            assert!(grad == 1.5 && inside || grad == 0.0 && outside, "{x} {grad}");
        }
    }

    #[test]
    fn each_row_of_weights_has_its_scale() {
        let input = Extent { channels: 6, images: 1, rows: 1, columns: 1 };
        let kernel = Codes { input, scales: vec![1.0, 0.1], bounds: [-3.0, 3.0] };
        let rounded = kernel.forward(&[&[0.4, 1.5, -9.0, 0.04, 0.26, 0.9]]);
        for (ours, expected) in rounded.iter().zip([0.0, 2.0, -3.0, 0.0, 0.3, 0.3]) {
            assert!((ours - expected).abs() < 1e-6, "{rounded:?}");
        }
    }
}
