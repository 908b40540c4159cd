//! Which grids are allowed: signs, granularity, bits.

use ocellus::tensor::{Data, Quant, Shape, Tensor};

/// How tensors and weights are put on grids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Activations around zero (zero point 0) instead of affine, with a zero point that uses all codes.
    pub symmetric: bool,
    /// One scale for all weights of a layer instead of one per output channel.
    pub per_tensor: bool,
    /// Bits of a weight, 2 to 8.
    pub weight_bits: u32,
}

impl Default for Scheme {
    /// Affine activations, 8-bit weights with a scale per output channel.
    fn default() -> Self {
        Scheme { symmetric: false, per_tensor: false, weight_bits: 8 }
    }
}

impl Scheme {
    /// The grid for numbers in `low..=high`; `None` where that is zero alone.
    ///
    /// Affine: `scale = (high − low) / 255`. Symmetric: `scale = max(|low|, |high|) / 127`, zero point 0.
    pub fn grid(self, (low, high): (f32, f32)) -> Option<Quant> {
        match self.symmetric {
            true => Quant::new(high.max(-low) / 127.0, 0),
            false => Quant::from_range(low, high),
        }
    }

    /// Largest code of a weight: 127 for 8 bits.
    pub fn weight_code_max(self) -> f32 {
        ((1u32 << (self.weight_bits - 1)) - 1) as f32
    }

    /// The scale of each output channel of `weights`: its largest magnitude, or that of the whole tensor, is the
    /// largest code.
    pub fn weight_scales(self, weights: &Tensor) -> Vec<f32> {
        let values = weights.to_f32();
        let channels = weights.shape()[0].max(1);
        let largest = |row: &[f32]| row.iter().fold(0f32, |most, w| most.max(w.abs()));
        let scale = |most: f32| match most / self.weight_code_max() {
            scale if scale.is_normal() => scale,
            // All codes are 0, with any scale.
            _ => 1.0,
        };
        match self.per_tensor {
            true => vec![scale(largest(&values)); channels],
            false => values.chunks((values.len() / channels).max(1)).map(|row| scale(largest(row))).collect(),
        }
    }

    /// `weights` rounded to the nearest codes.
    pub fn round(self, weights: &Tensor) -> Tensor {
        let scales = self.weight_scales(weights);
        let values = weights.to_f32();
        let row = (values.len() / scales.len().max(1)).max(1);
        let most = self.weight_code_max();
        let code = |(i, w): (usize, &f32)| (w / scales[i / row]).round_ties_even().clamp(-most, most) as i8;
        let codes = values.iter().enumerate().map(code).collect();
        q8(weights.shape(), codes, scales)
    }
}

/// Int8 weights of `shape`.
pub fn q8(shape: &Shape, codes: Vec<i8>, scales: Vec<f32>) -> Tensor {
    Tensor::new(shape.clone(), Data::Q8 { codes, scales }).expect("a code per weight, a scale per channel")
}
