//! Numbers rounded to the codes of a grid, with the straight-through gradient: what the int8 network will compute with.

use super::buffers::buffer;
use super::lanes::{sum, vectorized};
use super::{Extent, Kernel};
use rayon::prelude::*;

/// Each number becomes the nearest of `scale · code`, `code` being an integer in `low..=high`.
///
/// Inputs: the numbers and, if scales are learned, the logarithm of a factor for each of them.
///
/// The gradient is that of numbers which were not rounded; what lies beyond the ends gets none (Jacob et al.,
/// "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018). A scale gets
/// `code − x/scale` from what is rounded and `code` from what lies beyond, over the root of how many they are times the highest
/// code (Esser et al., "Learned Step Size Quantization", 2020).
#[derive(Debug)]
pub struct Codes {
    /// Extents of the input.
    pub input: Extent,
    /// One for each row of equally many numbers: a single one of a tensor, or one for each output channel of weights.
    pub scales: Vec<f32>,
    /// The lowest and the highest code, counted from that of zero.
    pub bounds: [f32; 2],
}

/// A scale whose factor has the logarithm `by`.
pub fn learned(scale: f32, by: f32) -> f32 {
    scale * by.exp()
}

/// 1.5 · 2²³: adding it rounds to an integer, ties to even, and subtracting it is exact.
const ROUND: f32 = 12_582_912.0;

/// Numbers of a gradient that are computed before they are added up.
const PART: usize = 256;

vectorized! {
    fn round_row<'a>(_simd; x: &'a [f32], out: &'a mut [f32], scale: f32, bounds: [f32; 2]) -> () {
        for (out, x) in out.iter_mut().zip(x) {
            let code = (x / scale).max(bounds[0]).min(bounds[1]);
            *out = ((code + ROUND) - ROUND) * scale;
        }
    }

    /// What a row adds to the gradient of the logarithm of its scale.
    fn row_gradient<'a>(simd; x: &'a [f32], grad: &'a [f32], scale: f32, bounds: [f32; 2]) -> f32 {
        let mut all = 0.0;
        for (x, grad) in x.chunks(PART).zip(grad.chunks(PART)) {
            let mut part = [0.0; PART];
            for ((part, x), grad) in part.iter_mut().zip(x).zip(grad) {
                let place = x / scale;
                let code = (place.max(bounds[0]).min(bounds[1]) + ROUND) - ROUND;
                let inside = (place >= bounds[0] - 0.5) & (place <= bounds[1] + 0.5);
                *part = grad * (code - if inside { place } else { 0.0 });
            }
            all += sum(simd, &part);
        }
        all * scale
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

    /// Numbers of a piece of a row, which threads share.
    fn piece(&self) -> usize {
        // A tensor of one scale is shared as well; rows of weights are short.
        if self.scales.len() == 1 { self.input.channel().max(1) } else { self.row() }
    }

    /// The scales as they are after what was learned.
    fn scales(&self, inputs: &[&[f32]]) -> Vec<f32> {
        match inputs.get(1) {
            Some(factors) => {
                self.scales.iter().zip(*factors).map(|(&scale, &by)| learned(scale, by)).collect()
            }
            None => self.scales.clone(),
        }
    }

    /// What the gradient of a scale is multiplied by.
    pub(in crate::train) fn damping(&self) -> f32 {
        1.0 / (self.row() as f32 * self.bounds[1].max(1.0)).sqrt()
    }

    /// Gradients of the logarithms of the scales.
    fn scale_gradients(&self, x: &[f32], grad: &[f32], scales: &[f32]) -> Vec<f32> {
        let piece = self.piece();
        let pieces = x.par_chunks(piece).zip(grad.par_chunks(piece)).enumerate();
        let gradient = |(i, (x, grad))| row_gradient(x, grad, scales[i % scales.len()], self.bounds);
        let gradients: Vec<f32> = pieces.map(gradient).collect();
        let damping = self.damping();
        // All pieces of a tensor of one scale, or one for each row.
        let each = gradients.len().div_ceil(scales.len());
        gradients.chunks(each).map(|row| damping * row.iter().sum::<f32>()).collect()
    }
}

impl Kernel for Codes {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let mut out = buffer(inputs[0].len());
        let (piece, scales) = (self.piece(), self.scales(inputs));
        let pieces = out.par_chunks_mut(piece).zip(inputs[0].par_chunks(piece)).enumerate();
        pieces.for_each(|(i, (out, x))| round_row(x, out, scales[i % scales.len()], self.bounds));
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let mut dx = grad.to_vec();
        let (piece, scales) = (self.piece(), self.scales(inputs));
        let pieces = dx.par_chunks_mut(piece).zip(inputs[0].par_chunks(piece)).enumerate();
        pieces.for_each(|(i, (dx, x))| pass_row(x, dx, scales[i % scales.len()], self.bounds));
        let factors = inputs.get(1).map(|_| self.scale_gradients(inputs[0], grad, &scales));
        [Some(dx), factors].into_iter().take(inputs.len()).collect()
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

    /// By hand, with steps of 2 · e^0 and .1 · e^(ln 5) = .5: places 1.3, −.4, 9 (beyond 3) have codes 1, 0, 3; places .5 (a
    /// tie, to 0), 2.6, −4 (beyond) have 0, 3, −3. So the sums are 2·(1·(1 − 1.3) + 1·(0 + .4) + 1·3) = 6.2 and
    /// .5·(1·(0 − .5) + 2·(3 − 2.6) + 1·(−3)) = −1.35, over √(3 · 3) = 3.
    #[test]
    fn scales_learn_as_learned_step_sizes_do() {
        let input = Extent { channels: 6, images: 1, rows: 1, columns: 1 };
        let kernel = Codes { input, scales: vec![2.0, 0.1], bounds: [-3.0, 3.0] };
        let inputs: [&[f32]; 2] = [&[2.6, -0.8, 18.0, 0.25, 1.3, -2.0], &[0.0, 5f32.ln()]];
        let close = |ours: &[f32], expected: &[f32]| {
            assert!(ours.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{ours:?} {expected:?}");
        };
        close(&kernel.forward(&inputs), &[2.0, 0.0, 6.0, 0.0, 1.5, -1.5]);
        let gradients = kernel.backward(&inputs, &[1.0, 1.0, 1.0, 1.0, 2.0, 1.0], &[true; 2]);
        close(gradients[0].as_ref().unwrap(), &[1.0, 1.0, 0.0, 1.0, 2.0, 0.0]);
        close(gradients[1].as_ref().unwrap(), &[6.2 / 3.0, -0.45]);
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
