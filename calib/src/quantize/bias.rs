//! Bias correction: a layer's mean output in int8 is what it was in float.

use super::patches::Patches;
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
