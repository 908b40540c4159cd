//! AdamW: steps of about the same length for every number, however large its gradients are
//! (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019).

use super::network::{Kind, Weights};
use super::sgd::Rates;

/// Part of the mean square that is kept in a step.
const SQUARE_KEPT: f64 = 0.999;
/// Added to roots of mean squares.
const EPSILON: f32 = 1e-8;

/// Moves the weights a step against the gradients. `mean` and `square` are one vector for each parameter, zeros at first;
/// this is step number `steps`, from 1.
pub fn step(
    weights: &mut Weights,
    mean: &mut [Vec<f32>],
    square: &mut [Vec<f32>],
    gradients: &[Vec<f32>],
    rates: Rates,
    steps: u64,
) {
    let steps = i32::try_from(steps).unwrap_or(i32::MAX);
    // The means begin at zero; these undo it.
    let of_mean = (1.0 - f64::from(rates.momentum).powi(steps)) as f32;
    let of_square = (1.0 - SQUARE_KEPT.powi(steps)) as f32;
    let kept = SQUARE_KEPT as f32;
    let moments = mean.iter_mut().zip(square);
    for ((parameter, (mean, square)), gradient) in weights.parameters.iter_mut().zip(moments).zip(gradients) {
        let (rate, decay) = match parameter.kind {
            Kind::Weights => (rates.weights, rates.decay),
            Kind::Scale => (rates.weights, 0.0),
            Kind::Bias => (rates.bias, 0.0),
        };
        let numbers = parameter.values.iter_mut().zip(mean).zip(square).zip(gradient);
        for (((w, m), s), g) in numbers {
            *m = rates.momentum * *m + (1.0 - rates.momentum) * g;
            *s = kept * *s + (1.0 - kept) * g * g;
            *w -= rate * (decay * *w + *m / of_mean / ((*s / of_square).sqrt() + EPSILON));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::network::Parameter;

    /// `torch.optim.AdamW(lr=.1, betas=(.9, .999), weight_decay=.01)` on `w = 1`, gradients 2 and 3, by hand: the first
    /// step is .1·(.01 + 2/2); before the second, m = .2·.9 + .3 = .48, over 1 − .81; s = .004·.999 + .009 = .012996, over
    /// 1 − .998001: 2.5263158/√6.5012506 = .9908186.
    #[test]
    fn steps_are_those_of_pytorch() {
        for (kind, decay) in [(Kind::Weights, 0.01), (Kind::Bias, 0.0)] {
            let values = vec![1.0];
            let parameters = vec![Parameter { name: "w".into(), kind, values }];
            let mut weights = Weights { parameters, running: Vec::new() };
            let (mut mean, mut square) = (vec![vec![0.0]], vec![vec![0.0]]);
            let rates = Rates { weights: 0.1, bias: 0.1, momentum: 0.9, decay: 0.01 };
            let mut expected = 1.0f32;
            for (steps, gradient, along) in [(1, 2.0, 1.0), (2, 3.0, 0.9908186)] {
                step(&mut weights, &mut mean, &mut square, &[vec![gradient]], rates, steps);
                expected -= 0.1 * (decay * expected + along);
                let value = weights.parameters[0].values[0];
                assert!((value - expected).abs() < 1e-6, "{kind:?} {steps}: {value} {expected}");
            }
        }
    }
}
