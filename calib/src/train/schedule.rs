//! Learning rates over a run: up from nothing in a few epochs, then down along a cosine.

use super::sgd::Rates;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// Epochs of warming up, and how many steps they are at least; YOLOv5's.
const WARM_EPOCHS: f64 = 3.0;
const WARM_STEPS: f64 = 100.0;
/// Rate of biases and momentum at the start.
const BIAS_START: f64 = 0.1;
const MOMENTUM_START: f64 = 0.8;
const MOMENTUM: f64 = 0.937;
/// The rate at the end, in parts of the highest.
const RATE_END: f64 = 0.01;
/// Decay of weights for each step of as many pictures as YOLOv5 makes its steps of.
const DECAY: f64 = 5e-4;
const PICTURES: f64 = 64.0;

/// How the weights follow from gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Gradient descent with Nesterov's momentum.
    #[default]
    Sgd,
    /// RepOptimizer, for v5lite-g: sgd by which RepVGG's blocks learn as if they had branches, but stay plain convolutions, with
    /// nothing to merge before they become int8.
    #[value(name = "repopt")]
    RepOpt,
    /// AdamW: for short runs.
    #[value(name = "adamw")]
    AdamW,
}

impl Optimizer {
    /// The highest learning rate where the caller does not say: YOLOv5's.
    pub fn rate(self) -> f64 {
        match self {
            Optimizer::Sgd | Optimizer::RepOpt => 0.01,
            Optimizer::AdamW => 0.001,
        }
    }
}

/// A run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// What is done with gradients.
    pub optimizer: Optimizer,
    /// Its epochs.
    pub epochs: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Pictures of a step.
    pub batch: usize,
    /// The highest learning rate.
    pub rate: f64,
}

impl Schedule {
    /// The rates of a step of an epoch, both from 0.
    pub fn rates(&self, epoch: usize, step: usize) -> Rates {
        let along = epoch as f64 / self.epochs.max(1) as f64;
        let rate = self.rate * (RATE_END + (1.0 - RATE_END) * (1.0 + (along * PI).cos()) / 2.0);
        // A short run is at most half warming up.
        let steps = self.steps as f64;
        let warm = (WARM_EPOCHS * steps).max(WARM_STEPS).min(self.epochs as f64 * steps / 2.0);
        let done = (epoch * self.steps + step) as f64;
        let warmth = (done / warm.max(1.0)).min(1.0);
        let between = |from: f64, to: f64| (from + (to - from) * warmth) as f32;
        let decay = DECAY * self.batch as f64 / PICTURES;
        let (weights, momentum) = (between(0.0, rate), between(MOMENTUM_START, MOMENTUM));
        match self.optimizer {
            Optimizer::Sgd | Optimizer::RepOpt => {
                Rates { weights, bias: between(BIAS_START, rate), momentum, decay: decay as f32 }
            }
            // Its decay does not pass through the gradients, whose size it evens out.
            Optimizer::AdamW => Rates { weights, bias: weights, momentum, decay: DECAY as f32 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_and_fall() {
        let schedule = Schedule { optimizer: Optimizer::Sgd, epochs: 100, steps: 50, batch: 16, rate: 0.01 };
        let first = schedule.rates(0, 0);
        assert_eq!((first.weights, first.bias, first.momentum), (0.0, 0.1, 0.8));
        let warm = schedule.rates(3, 0);
        assert!((warm.weights - 0.01).abs() < 1e-4 && warm.weights == warm.bias, "{warm:?}");
        assert_eq!((warm.momentum, warm.decay), (0.937, 1.25e-4));
        // Half way between the highest and the last: .01 · (.01 + .99/2).
        assert!((schedule.rates(50, 7).weights - 0.00505).abs() < 1e-6);
        assert!(schedule.rates(99, 49).weights < 1.1e-4);
        let short = Schedule { epochs: 2, steps: 10, ..schedule };
        assert!((short.rates(1, 0).weights - 0.00505).abs() < 1e-6, "{:?}", short.rates(1, 0));
    }
}
