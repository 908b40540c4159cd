//! Gradient descent with Nesterov's momentum, and the average of the weights on the way.

use super::kernels::Statistics;
use super::network::{After, Kind, Network, Running, Weights};

/// How fast running statistics follow those of batches; YOLOv5's.
const STATISTICS_RATE: f32 = 0.03;
/// Most that an average keeps of itself in a step.
const AVERAGE_DECAY: f64 = 0.999;
/// Steps in which the average slows down: at first it follows at once.
const AVERAGE_RAMP: f64 = 500.0;

/// What a step is made with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate of weights and scales.
    pub weights: f32,
    /// Learning rate of biases and shifts.
    pub bias: f32,
    /// Part of the last step that is kept.
    pub momentum: f32,
    /// Part of convolutions' weights that counts as their gradient.
    pub decay: f32,
}

/// Moves the weights a step against the gradients; `velocity` is one vector for each parameter, zeros at first.
pub fn step(weights: &mut Weights, velocity: &mut [Vec<f32>], gradients: &[Vec<f32>], rates: Rates) {
    for ((parameter, velocity), gradient) in weights.parameters.iter_mut().zip(velocity).zip(gradients) {
        let (rate, decay) = match parameter.kind {
            Kind::Weights => (rates.weights, rates.decay),
            Kind::Scale => (rates.weights, 0.0),
            Kind::Bias => (rates.bias, 0.0),
        };
        for ((w, v), g) in parameter.values.iter_mut().zip(velocity).zip(gradient) {
            let g = g + decay * *w;
            *v = rates.momentum * *v + g;
            *w -= rate * (g + rates.momentum * *v);
        }
    }
}

/// Lets the running statistics follow those of a batch, which are of so many numbers.
pub fn follow(network: &Network, weights: &mut Weights, batch: &[(Statistics, usize)]) {
    let norms = network.layers.iter().flatten().filter_map(|layer| match layer.after {
        After::Norm { running, .. } => Some(running),
        _ => None,
    });
    for (running, (statistics, count)) in norms.zip(batch) {
        let Running { mean, variance } = &mut weights.running[running];
        mix(mean, &statistics.mean, 1.0, STATISTICS_RATE);
        // The variance of what the batch is a sample of.
        let unbiased = *count as f32 / (*count as f32 - 1.0).max(1.0);
        mix(variance, &statistics.variance, unbiased, STATISTICS_RATE);
    }
}

/// Lets an average of weights follow them; `steps` have been made, this one among them.
pub fn average(average: &mut Weights, weights: &Weights, steps: u64) {
    let decay = AVERAGE_DECAY * (1.0 - (-(steps as f64) / AVERAGE_RAMP).exp());
    let rate = (1.0 - decay) as f32;
    for (a, w) in average.parameters.iter_mut().zip(&weights.parameters) {
        mix(&mut a.values, &w.values, 1.0, rate);
    }
    for (a, w) in average.running.iter_mut().zip(&weights.running) {
        mix(&mut a.mean, &w.mean, 1.0, rate);
        mix(&mut a.variance, &w.variance, 1.0, rate);
    }
}

fn mix(to: &mut [f32], from: &[f32], factor: f32, rate: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += rate * (from * factor - *to));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::network::Parameter;

    /// `torch.optim.SGD(lr=.1, momentum=.9, weight_decay=.01, nesterov=True)` on `w = 1`, gradients 2 and 3, by hand:
    /// v = 2.01, w = 1 − .1·(2.01 + 1.809) = .6181; v = 1.809 + 3.006181 = 4.815181,
    /// w = .6181 − .1·(3.006181 + 4.3336629) = −.11588439.
    #[test]
    fn steps_are_those_of_pytorch() {
        let parameter = |kind| Parameter { name: "w".into(), kind, values: vec![1.0] };
        let rates = Rates { weights: 0.1, bias: 0.1, momentum: 0.9, decay: 0.01 };
        for (kind, expected) in [(Kind::Weights, -0.11588439), (Kind::Bias, -0.112)] {
            let mut weights = Weights { parameters: vec![parameter(kind)], running: Vec::new() };
            let mut velocity = vec![vec![0.0]];
            for gradient in [2.0, 3.0] {
                step(&mut weights, &mut velocity, &[vec![gradient]], rates);
            }
            let value = weights.parameters[0].values[0];
            assert!((value - expected).abs() < 1e-6, "{kind:?}: {value}");
        }
    }
}
