//! Bias correction: a layer's mean output in int8 is what it was in float.

use crate::table::patches::Patches;
use ocellus::tensor::Tensor;

/// Per output channel, what int8 takes from the mean output of a layer on `patches`: to be added to its bias.
/// `weights` `[O, I/groups, ..]` become `rounded`, a number of the input `changed`.
pub fn correction(
    weights: &Tensor,
    rounded: &Tensor,
    groups: usize,
    patches: &Patches,
    changed: impl Fn(f32) -> f32,
) -> Vec<f32> {
    let rows = patches.rows().len().max(1) as f64;
    let mut before = vec![0f64; patches.width];
    let mut after = vec![0f64; patches.width];
    for row in patches.rows() {
        for (i, &x) in row.iter().enumerate() {
            before[i] += f64::from(x) / rows;
            after[i] += f64::from(changed(x)) / rows;
        }
    }
    let (real, codes) = (weights.to_f32(), rounded.to_f32());
    let outputs = weights.shape()[0];
    let width = real.len() / outputs.max(1);
    let dot = |weights: &[f32], means: &[f64]| -> f64 {
        weights.iter().zip(means).map(|(&w, mean)| f64::from(w) * mean).sum()
    };
    let of = |o: usize| {
        let row = o * width..(o + 1) * width;
        let first = o * groups / outputs * width;
        let means = first..first + width;
        (dot(&real[row.clone()], &before[means.clone()]) - dot(&codes[row], &after[means])) as f32
    };
    (0..outputs).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::scheme::q8;
    use ocellus::tensor::{Data, Shape};

    fn real(shape: &Shape, values: &[f32]) -> Tensor {
        Tensor::new(shape.clone(), Data::F32(values.to_vec())).unwrap()
    }

    fn patches() -> Patches {
        Patches { width: 2, numbers: vec![1.0, 2.0, 3.0, 4.0] }
    }

    /// By hand: the inputs' means are (2, 3), on the grid (1.5, 2.5). The first output is 1·2 + 2·3 = 8 and
    /// becomes 1·1.5 + 1·2.5 = 4; the second is 0.5·2 − 3 = −2 and becomes 0.5·1.5 − 0.5·2.5 = −0.5.
    #[test]
    fn means_are_made_up_for() {
        let shape = Shape::new([2, 2]).unwrap();
        let weights = real(&shape, &[1.0, 2.0, 0.5, -1.0]);
        let rounded = q8(&shape, vec![1, 1, 1, -1], vec![1.0, 0.5]);
        assert_eq!(correction(&weights, &rounded, 1, &patches(), |x| x - 0.5), [4.0, -1.5]);
        assert_eq!(correction(&weights, &weights, 1, &patches(), |x| x), [0.0, 0.0]);
    }

    /// By hand: 1·2 becomes 1·1.5; 2·3 becomes 1.5·2.5.
    #[test]
    fn a_depthwise_channel_has_its_own_mean() {
        let shape = Shape::new([2, 1, 1, 1]).unwrap();
        let weights = real(&shape, &[1.0, 2.0]);
        let rounded = q8(&shape, vec![1, 3], vec![1.0, 0.5]);
        assert_eq!(correction(&weights, &rounded, 2, &patches(), |x| x - 0.5), [0.5, 2.25]);
    }
}
