//! Which grids are allowed: signs, granularity, bits.
//!
//! Affine grids and the integers of a layer are those of Jacob et al., Quantization and Training of Neural Networks
//! for Efficient Integer-Arithmetic-Only Inference, 2018, as they are taught for YOLOv5: with `q` from −128 to 127,
//! `scale = (high − low) / (127 + 128)`, `Z = −128 − low / scale` and `q = round(x / scale) + Z`; a range without zero
//! is widened to have it, so that `Z` is a code.
//!
//! Symmetric grids and weights are those of OpenVINO's post-training quantization, by its table of levels:
//!
//! | of                   | levels | lowest, highest level | scale of codes    | code of zero           |
//! |----------------------|--------|-----------------------|-------------------|------------------------|
//! | weights              | 255    | −127, 127             | `largest / 127`   | 0                      |
//! | unsigned activations | 256    | 0, 255                | `largest / 255`   | 0 (−128 as an `i8`)    |
//! | signed activations   | 256    | −128, 127             | `largest / 127`   | 0                      |
//!
//! with `high = largest`, `low = largest · lowest / highest`, and `x` becoming
//! `round((clamp(x) − low) · s) / s + low`, where `1/s = (high − low) / (levels − 1)` is the scale of codes. (Where the
//! table is printed with −127 for signed activations its 256 levels would have none for zero.)

use ocellus::tensor::{Data, Quant, Shape, Tensor};

/// Where the code of zero lies on the grids of activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activations {
    /// Where all codes serve the range.
    #[default]
    Affine,
    /// In the middle; at the end of tensors that are never negative.
    Symmetric,
    /// In the middle of all, as ncnn has it.
    Signed,
}

/// How tensors and weights are put on grids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Grids of activations.
    pub activations: Activations,
    /// One scale for all weights of a layer instead of one per output channel.
    pub per_tensor: bool,
    /// Bits of a weight, 2 to 8.
    pub weight_bits: u32,
}

impl Default for Scheme {
    /// Affine activations, 8-bit weights with a scale per output channel.
    fn default() -> Self {
        Scheme { activations: Activations::Affine, per_tensor: false, weight_bits: 8 }
    }
}

impl Scheme {
    /// The grid for numbers in `low..=high`; `None` where that is zero alone.
    ///
    /// Affine, and unsigned of symmetric ones: `scale = (high − low) / 255`. Others:
    /// `scale = max(|low|, |high|) / 127`, zero point 0.
    pub fn grid(self, (low, high): (f32, f32)) -> Option<Quant> {
        match self.activations {
            Activations::Symmetric if low >= 0.0 => Quant::from_range(0.0, high),
            Activations::Symmetric | Activations::Signed => Quant::new(high.max(-low) / 127.0, 0),
            Activations::Affine => Quant::from_range(low, high),
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

/// Worked by hand from the formulas at the head of this file.
#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(activations: Activations) -> Scheme {
        Scheme { activations, ..Scheme::default() }
    }

    fn weights(values: [f32; 6]) -> Tensor {
        Tensor::new(Shape::new([2, 3]).unwrap(), Data::F32(values.to_vec())).unwrap()
    }

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() <= b.abs() * 1e-6
    }

    /// −0.5 to 2.05: a scale of 2.55/255 = 0.01, and Z = −128 + 0.5/0.01 = −78.
    #[test]
    fn affine_grids_use_all_codes() {
        let grid = scheme(Activations::Affine).grid((-0.5, 2.05)).unwrap();
        assert!(near(grid.scale, 0.01) && grid.zero_point == -78, "{grid:?}");
        // q = round(x/S) + Z; x = S · (q − Z). 0.123 is 12.3 steps; 3.0 and −1.0 are beyond the ends.
        assert_eq!([0.0, 0.123, -0.126, 3.0, -1.0].map(|x| grid.quantize(x)), [-78, -66, -91, 127, -128]);
        assert!(near(grid.dequantize(-66), 0.12) && near(grid.dequantize(127), 2.05));
        // No zero between 1.0 and 2.55: Z is the lowest code. Nor between −2.55 and −1.0: the highest.
        let above = scheme(Activations::Affine).grid((1.0, 2.55)).unwrap();
        let below = scheme(Activations::Affine).grid((-2.55, -1.0)).unwrap();
        assert!(near(above.scale, 0.01) && near(below.scale, 0.01));
        assert_eq!((above.zero_point, below.zero_point), (-128, 127));
    }

    /// What a number becomes by formulas (3) to (7): its largest number, levels, lowest and highest level.
    fn by_levels(x: f64, largest: f64, [levels, lowest, highest]: [f64; 3]) -> f64 {
        let (low, high) = (largest * lowest / highest, largest);
        let s = (levels - 1.0) / (high - low);
        ((x.min(high).max(low) - low) * s).round() / s + low
    }

    #[test]
    fn symmetric_grids_are_those_of_the_table_of_levels() {
        let symmetric = scheme(Activations::Symmetric);
        let signed = symmetric.grid((-1.0, 2.54)).unwrap();
        assert!(near(signed.scale, 0.02) && signed.zero_point == 0, "{signed:?}");
        let unsigned = symmetric.grid((0.0, 5.1)).unwrap();
        assert!(near(unsigned.scale, 0.02) && unsigned.zero_point == -128, "{unsigned:?}");
        assert_eq!(
            [-3.0, -2.56, -0.031, 0.0, 1.234, 9.0].map(|x| signed.quantize(x)),
            [-128, -128, -2, 0, 62, 127]
        );
        assert_eq!([-3.0, 0.0, 0.031, 5.1, 9.0].map(|x| unsigned.quantize(x)), [-128, -128, -126, 127, 127]);
        for x in (-60..=120).map(|i| f64::from(i) * 0.05071) {
            for (grid, largest, levels) in
                [(signed, 2.54, [256.0, -128.0, 127.0]), (unsigned, 5.1, [256.0, 0.0, 255.0])]
            {
                let (found, expected) =
                    (grid.dequantize(grid.quantize(x as f32)), by_levels(x, largest, levels));
                assert!((f64::from(found) - expected).abs() < 1e-5, "{x}: {found}, {expected}");
            }
        }
        // ncnn has no unsigned codes.
        let ncnn = scheme(Activations::Signed).grid((0.0, 2.54)).unwrap();
        assert!(near(ncnn.scale, 0.02) && ncnn.zero_point == 0, "{ncnn:?}");
        for activations in [Activations::Affine, Activations::Symmetric, Activations::Signed] {
            assert_eq!(scheme(activations).grid((0.0, 0.0)), None);
        }
    }

    #[test]
    fn weights_have_255_levels_around_zero() {
        let values = [0.127, -0.0634, 0.0004, -2.54, 1.0, 0.045];
        let codes = |scheme: Scheme| match scheme.round(&weights(values)).data() {
            Data::Q8 { codes, scales } => (codes.clone(), scales.clone()),
            _ => panic!("real weights"),
        };
        let (found, scales) = codes(Scheme::default());
        assert!(near(scales[0], 0.001) && near(scales[1], 0.02), "{scales:?}");
        assert_eq!(found, [127, -63, 0, -127, 50, 2]);
        let (found, scales) = codes(Scheme { per_tensor: true, ..Scheme::default() });
        assert!(scales.iter().all(|&scale| near(scale, 0.02)) && scales.len() == 2, "{scales:?}");
        assert_eq!(found, [6, -3, 0, -127, 50, 2]);
        for (x, code) in values.into_iter().zip(found) {
            let expected = by_levels(x.into(), 2.54, [255.0, -127.0, 127.0]);
            assert!((f64::from(code) * 0.02 - expected).abs() < 1e-6, "{x}: {code}, {expected}");
        }
        // Six bits: 63 levels, −31 to 31. Zeros alone keep any scale.
        let (found, _) = codes(Scheme { weight_bits: 6, ..Scheme::default() });
        assert_eq!(found, [31, -15, 0, -31, 12, 1]);
        assert_eq!(Scheme::default().weight_scales(&weights([0.0; 6])), [1.0, 1.0]);
    }
}
