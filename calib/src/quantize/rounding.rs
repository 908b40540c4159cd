//! Adaptive rounding: codes of a layer's weights that keep its outputs, not its weights, as they were.
//!
//! Weights are rounded one input after the other; what a rounding changes in the output is made up for by the
//! weights that are still real, as the correlation of the inputs allows (Frantar, Ashkboos, Hoefler, Alistarh:
//! GPTQ, 2022, after Hassibi and Stork's optimal brain surgeon).

use super::scheme::{Scheme, q8};
use crate::table::patches::Patches;
use ocellus::tensor::Tensor;

/// Added to the diagonal of the correlations, in parts of its mean: inputs that are never seen stay as they are.
const DAMPING: f64 = 0.01;

/// Codes of `weights` `[O, I/groups, ..]`, whose inputs are spread as `patches` show. `changed` is what the layer
/// will see of a number: its place on the input's grid.
pub fn round(
    scheme: Scheme,
    weights: &Tensor,
    groups: usize,
    patches: &Patches,
    changed: impl Fn(f32) -> f32,
) -> Tensor {
    let scales = scheme.weight_scales(weights);
    let mut values: Vec<f64> = weights.to_f32().iter().map(|&w| f64::from(w)).collect();
    let outputs = scales.len();
    let width = values.len() / outputs.max(1);
    let most = f64::from(scheme.weight_code_max());
    let mut codes = Vec::with_capacity(values.len());
    for group in 0..groups {
        let factor =
            inverse_factor(correlations(patches, group * width..(group + 1) * width, &changed), width);
        let rows = group * outputs / groups..(group + 1) * outputs / groups;
        for o in rows {
            let scale = f64::from(scales[o]);
            let row = &mut values[o * width..(o + 1) * width];
            for k in 0..width {
                let code = (row[k] / scale).round_ties_even().clamp(-most, most);
                codes.push(code as i8);
                let error = (row[k] - code * scale) / factor[k * width + k];
                let later = &factor[k * width + k + 1..(k + 1) * width];
                row[k + 1..].iter_mut().zip(later).for_each(|(w, f)| *w -= error * f);
            }
        }
    }
    q8(weights.shape(), codes, scales)
}

/// `Σ x xᵀ` over the rows, of some of their columns, dampened.
fn correlations(
    patches: &Patches,
    columns: std::ops::Range<usize>,
    changed: &impl Fn(f32) -> f32,
) -> Vec<f64> {
    let width = columns.len();
    let mut sums = vec![0f64; width * width];
    let mut x = vec![0f64; width];
    for row in patches.rows() {
        x.iter_mut().zip(&row[columns.clone()]).for_each(|(x, &n)| *x = f64::from(changed(n)));
        for i in 0..width {
            if x[i] != 0.0 {
                let scale = x[i];
                sums[i * width + i..(i + 1) * width]
                    .iter_mut()
                    .zip(&x[i..])
                    .for_each(|(s, x)| *s += scale * x);
            }
        }
    }
    let mean = (0..width).map(|i| sums[i * width + i]).sum::<f64>() / width.max(1) as f64;
    let damping = if mean > 0.0 { DAMPING * mean } else { 1.0 };
    for i in 0..width {
        sums[i * width + i] += damping;
        for j in 0..i {
            sums[i * width + j] = sums[j * width + i];
        }
    }
    sums
}

/// The upper factor `U` with `Uᵀ U = H⁻¹`, of a positive definite `H`.
fn inverse_factor(matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let lower = cholesky(matrix, n);
    let inverse = inverse_of_lower(&lower, n);
    // H⁻¹ = L⁻ᵀ L⁻¹.
    let mut product = vec![0f64; n * n];
    for k in 0..n {
        let row = &inverse[k * n..k * n + k + 1];
        for i in 0..=k {
            let factor = row[i];
            product[i * n..i * n + k + 1].iter_mut().zip(row).for_each(|(p, x)| *p += factor * x);
        }
    }
    let lower = cholesky(product, n);
    let mut upper = vec![0f64; n * n];
    for i in 0..n {
        for j in 0..=i {
            upper[j * n + i] = lower[i * n + j];
        }
    }
    upper
}

/// The lower factor `L` with `L Lᵀ = A`, row by row.
fn cholesky(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    for i in 0..n {
        let (above, rest) = a.split_at_mut(i * n);
        let row = &mut rest[..n];
        for j in 0..i {
            let other = &above[j * n..j * n + j + 1];
            let sum: f64 = row[..j].iter().zip(other).map(|(x, y)| x * y).sum();
            row[j] = (row[j] - sum) / other[j];
        }
        let sum: f64 = row[..i].iter().map(|x| x * x).sum();
        row[i] = (row[i] - sum).max(f64::MIN_POSITIVE).sqrt();
        row[i + 1..].fill(0.0);
    }
    a
}

/// `L⁻¹` of a lower triangular `L`.
fn inverse_of_lower(lower: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0f64; n * n];
    for i in 0..n {
        let diagonal = lower[i * n + i];
        let (above, rest) = inverse.split_at_mut(i * n);
        let row = &mut rest[..n];
        for k in 0..i {
            let factor = lower[i * n + k];
            row[..=k].iter_mut().zip(&above[k * n..]).for_each(|(x, y)| *x -= factor * y);
        }
        row[i] = 1.0;
        row[..=i].iter_mut().for_each(|x| *x /= diagonal);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus::tensor::{Data, Shape};

    fn weights(dims: [usize; 2], values: &[f32]) -> Tensor {
        Tensor::new(Shape::new(dims).unwrap(), Data::F32(values.to_vec())).unwrap()
    }

    fn patches(rows: &[&[f32]]) -> Patches {
        Patches { width: rows[0].len(), numbers: rows.concat() }
    }

    /// Sum of squares of what `rounded` changes in the output.
    fn error(weights: &Tensor, rounded: &Tensor, patches: &Patches) -> f32 {
        let differences: Vec<f32> =
            weights.to_f32().iter().zip(rounded.to_f32()).map(|(a, b)| a - b).collect();
        let of = |row: &[f32]| row.iter().zip(&differences).map(|(x, d)| x * d).sum::<f32>();
        patches.rows().map(|row| of(row).powi(2)).sum()
    }

    /// By hand: the third weight makes the scale 1. Nearest, both 0.4 become 0, and the output of (1, 1, 0) loses
    /// 0.8. Where the first two inputs are always equal, the second weight takes on the loss of the first,
    /// 0.4 / 1.01 with the damping, and becomes 1: the output gains 0.2.
    #[test]
    fn an_input_makes_up_for_one_that_goes_with_it() {
        let weights = weights([1, 3], &[0.4, 0.4, 127.0]);
        let patches = patches(&[&[1.0, 1.0, 0.0], &[0.0, 0.0, 1.0]]);
        let nearest = Scheme::default().round(&weights);
        let adaptive = round(Scheme::default(), &weights, 1, &patches, |x| x);
        assert_eq!(nearest.to_f32(), [0.0, 0.0, 127.0]);
        assert_eq!(adaptive.to_f32(), [0.0, 1.0, 127.0]);
        assert!((error(&weights, &nearest, &patches) - 0.64).abs() < 1e-5);
        assert!((error(&weights, &adaptive, &patches) - 0.04).abs() < 1e-5);
    }

    #[test]
    fn inputs_that_have_nothing_to_do_with_each_other_are_rounded_to_the_nearest() {
        let values = [0.4, -0.45, 3.3, 127.0, 1.6, 0.2, -8.7, -254.0];
        let weights = weights([2, 4], &values);
        let mut rows = [[0.0; 4]; 4];
        (0..4).for_each(|i| rows[i][i] = 1.0 + i as f32);
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..]).collect();
        let scheme = Scheme::default();
        assert_eq!(round(scheme, &weights, 1, &patches(&rows), |x| x), scheme.round(&weights));
        // No number but zero has been seen.
        assert_eq!(round(scheme, &weights, 1, &patches(&[&[0.0; 4]]), |x| x), scheme.round(&weights));
    }

    /// As the first, of the second of two groups; what the first group reads does not matter.
    #[test]
    fn each_group_has_its_own_inputs() {
        let weights = weights([2, 2], &[0.4, 127.0, 127.0, 0.4]);
        let even = patches(&[&[1.0, 0.0, 1.0, 1.0], &[0.0, 1.0, 0.0, 0.0]]);
        let rounded = round(Scheme::default(), &weights, 2, &even, |x| x);
        assert_eq!(rounded.to_f32(), [0.0, 127.0, 127.0, 0.0]);
        // What is passed on does not lift a code above the largest.
        let few = Scheme { weight_bits: 3, ..Scheme::default() };
        let Data::Q8 { codes, .. } = round(few, &weights, 2, &even, |x| x).data().clone() else { panic!() };
        assert!(codes.iter().all(|code| (-3..=3).contains(code)), "{codes:?}");
    }

    /// `H · Uᵀ U = 1`.
    #[test]
    fn the_factor_is_that_of_the_inverse() {
        let matrix = [4.0, 2.0, 0.5, 2.0, 5.0, -1.0, 0.5, -1.0, 3.0];
        let factor = inverse_factor(matrix.to_vec(), 3);
        let inverse = |i: usize, j: usize| (0..3).map(|k| factor[k * 3 + i] * factor[k * 3 + j]).sum::<f64>();
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3).map(|k| matrix[i * 3 + k] * inverse(k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}: {product}");
                assert!(i <= j || factor[i * 3 + j] == 0.0, "{factor:?}");
            }
        }
    }
}
