//! RepOptimizer: plain 3×3 convolutions that learn as RepVGG's blocks do
//! (Ding et al., "Re-parameterizing Your Optimizers rather than Architectures", 2023).
//!
//! RepVGG trains a 3×3 convolution, a 1×1 convolution and, where input and output are of one shape, the input itself beside
//! each other, each with a batch normalization, and merges them in the end: into weights that, as the paper finds, int8 is hard
//! on. With constant factors in place of these normalizations, and one normalization behind the sum, such a block is
//!
//! ```text
//! y = u·(W3 ∗ x) + t·(W1 ∗ x) + s ⊙ x  =  W ∗ x     with     W = u·W3 + t·W1 at the centre + s at the centre where o = i
//! ```
//!
//! a plain convolution all the time. Of its gradient `G = ∂L/∂W` those of the branches are parts:
//!
//! ```text
//! ∂L/∂W3 = u·G        ∂L/∂W1 = t·G at the centre        ∂L/∂s = G at the centre where o = i
//! ```
//!
//! A step of rate `r` with decay `d` moves every branch by `−r·(its gradient + d·itself)`. Their sum with the factors above is
//! what `W` moves by:
//!
//! ```text
//! −r·(M ⊙ G + d·W)     with     M = u² off the centre, u² + t² at the centre, and 1 more there where o = i
//! ```
//!
//! the step of the plain convolution, its gradient multiplied by `M`. Momentum adds such steps up with factors that are the
//! same for all branches, so it changes nothing. What is left to do is to begin with the `W` of branches, and to multiply
//! gradients: no branch is ever computed, and there is nothing to merge, or to be kept beside the weights.

use super::network::{Network, Weights};
use super::schedule::Optimizer;
use crate::error::{Error, Result};
use crate::random::Random;
use ocellus::graph::{Node, Op};

/// Weights of a kernel, and the place of the one at its centre.
const KERNEL: usize = 9;
const CENTRE: usize = 4;
/// Factors that the paper's authors begin with at the first block behind a halved map, before they search for better ones; all
/// blocks of v5lite-g are of this kind.
const FACTORS: Factors = Factors { three: 1.0, one: 1.0 };

/// What the branches of a block count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factors {
    /// u: of the 3×3 convolution.
    pub three: f32,
    /// t: of the 1×1 convolution.
    pub one: f32,
}

/// A 3×3 convolution that stands for a block of branches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Its weights, a place in [`Weights::parameters`].
    pub weights: usize,
    /// Channels that it reads.
    pub inputs: usize,
    /// Whether its input itself is a branch, too.
    pub identity: bool,
    /// What the branches count.
    pub factors: Factors,
}

impl Block {
    fn new(network: &Network, node: &Node, weights: usize) -> Self {
        let [before, after] = [node.inputs[0], node.output].map(|id| network.graph.shape(id));
        let halves = matches!(&node.op, Op::Conv { window, .. } if window.stride != [1; 2]);
        Block { weights, inputs: before[1], identity: !halves && before[1] == after[1], factors: FACTORS }
    }

    /// The kernels of weights `[O, I, 3, 3]`, each with whether it leads from a channel to the same one.
    fn kernels<'a>(&self, weights: &'a mut [f32]) -> impl Iterator<Item = (bool, &'a mut [f32])> {
        let (inputs, identity) = (self.inputs, self.identity);
        let kernels = weights.chunks_exact_mut(KERNEL).enumerate();
        kernels.map(move |(at, kernel)| (identity && at / inputs == at % inputs, kernel))
    }

    /// Makes of the gradient of the weights what they are to move along.
    pub fn multiply(&self, gradient: &mut [f32]) {
        let Factors { three, one } = self.factors;
        for (same, kernel) in self.kernels(gradient) {
            let centre = kernel[CENTRE] * (one * one + f32::from(u8::from(same)));
            kernel.iter_mut().for_each(|g| *g *= three * three);
            kernel[CENTRE] += centre;
        }
    }

    /// Makes of the weights of the 3×3 convolution those of the whole block, as training begins with it: the 1×1 convolution
    /// random as PyTorch has it, uniform with the deviation `1/√(3 · inputs)`; the input as it is.
    pub fn begin(&self, weights: &mut [f32], random: &mut Random) {
        let Factors { three, one } = self.factors;
        let reach = 1.0 / (self.inputs as f64).sqrt();
        for (same, kernel) in self.kernels(weights) {
            kernel.iter_mut().for_each(|w| *w *= three);
            kernel[CENTRE] += one * random.around(reach) as f32 + f32::from(u8::from(same));
        }
    }
}

/// The convolutions of a network that an optimizer trains as blocks: with [`Optimizer::RepOpt`] those that their authors train
/// as such, else none. `model` is what the user calls the network.
///
/// # Errors
/// The network has no such convolutions, and the optimizer is for them.
pub fn blocks(optimizer: Optimizer, network: &Network, model: &str) -> Result<Vec<Block>> {
    if optimizer != Optimizer::RepOpt {
        return Ok(Vec::new());
    }
    let layers = network.graph.nodes.iter().zip(&network.layers);
    let blocks = layers.filter_map(|(node, layer)| {
        layer.filter(|layer| layer.branches).map(|layer| Block::new(network, node, layer.weights))
    });
    let blocks: Vec<_> = blocks.collect();
    match blocks.is_empty() {
        true => Err(Error::Usage(format!("--optimizer {}", refusal(model)))),
        false => Ok(blocks),
    }
}

/// Says why a network cannot be trained so, and what can be done.
pub fn refusal(model: &str) -> String {
    format!(
        "repopt is for networks of RepVGG's blocks, v5lite-g or a checkpoint of PyTorch with one; {model} has none: take sgd"
    )
}

/// Has random weights begin as those of blocks.
pub fn begin(blocks: &[Block], weights: &mut Weights, seed: u64) {
    for block in blocks {
        let mut random = Random::new(&[seed, block.weights as u64]);
        block.begin(&mut weights.parameters[block.weights].values, &mut random);
    }
}

/// Makes of gradients what the weights are to move along; `gradients` is one vector for each parameter.
pub fn multiply(blocks: &[Block], gradients: &mut [Vec<f32>]) {
    blocks.iter().for_each(|block| block.multiply(&mut gradients[block.weights]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::network::{Kind, Layer, Parameter};
    use crate::train::sgd::{self, Rates};
    use crate::train::source::Architecture;

    const CHANNELS: usize = 3;
    const RATES: Rates = Rates { weights: 0.05, bias: 0.05, momentum: 0.9, decay: 0.01 };

    /// The gradient of a loss that no weight is alone in: `½·Σ a·(w − goal)² + ½·b·(Σ w)²`.
    fn gradient(weights: &[f32]) -> Vec<f32> {
        let sum: f32 = weights.iter().sum();
        let curve = |i: usize| 0.3 + (i % 7) as f32 / 10.0;
        let goal = |i: usize| ((i * 5) % 11) as f32 / 11.0 - 0.5;
        weights.iter().enumerate().map(|(i, w)| curve(i) * (w - goal(i)) + 0.004 * sum).collect()
    }

    /// Weights of a 3×3 convolution, a 1×1 convolution and of the input, one vector each, and what they are together.
    fn merged(branches: &Weights, Factors { three, one }: Factors) -> Vec<f32> {
        let [w3, w1, s] = [0, 1, 2].map(|branch| &branches.parameters[branch].values);
        let mut all: Vec<f32> = w3.iter().map(|w| three * w).collect();
        for (at, w) in w1.iter().enumerate() {
            all[at * 9 + 4] += one * w;
        }
        for (channel, s) in s.iter().enumerate() {
            all[(channel * CHANNELS + channel) * 9 + 4] += s;
        }
        all
    }

    fn weights(vectors: Vec<Vec<f32>>) -> Weights {
        let parameter = |values| Parameter { name: "w".into(), kind: Kind::Weights, values };
        Weights { parameters: vectors.into_iter().map(parameter).collect(), running: Vec::new() }
    }

    fn zeros(of: &Weights) -> Vec<Vec<f32>> {
        of.parameters.iter().map(|parameter| vec![0.0; parameter.values.len()]).collect()
    }

    /// Steps of branches, and of the plain convolution that stands for them, go to the same weights; without the
    /// multiplication they do not.
    #[test]
    fn a_plain_convolution_learns_as_branches_do() {
        let factors = Factors { three: 0.8, one: 1.3 };
        let block = Block { weights: 0, inputs: CHANNELS, identity: true, factors };
        let mut random = Random::new(&[7]);
        let mut some = |count: usize| (0..count).map(|_| random.around(0.5) as f32).collect::<Vec<_>>();
        let square = CHANNELS * CHANNELS;
        let mut branches = weights(vec![some(9 * square), some(square), vec![1.0; CHANNELS]]);
        let mut plain = weights(vec![merged(&branches, factors)]);
        let mut unlike = plain.clone();
        let mut velocities = [zeros(&branches), zeros(&plain), zeros(&unlike)];
        for _ in 0..10 {
            let [of_branches, of_plain, of_unlike] = &mut velocities;
            // By the rule of chains, with the places of the merged weights.
            let g = gradient(&merged(&branches, factors));
            let centre = |at: usize| g[at * 9 + 4];
            let gradients = [
                g.iter().map(|g| factors.three * g).collect(),
                (0..square).map(|at| factors.one * centre(at)).collect(),
                (0..CHANNELS).map(|channel| centre(channel * CHANNELS + channel)).collect(),
            ];
            sgd::step(&mut branches, of_branches, &gradients, RATES);

            let mut gradients = [gradient(&plain.parameters[0].values)];
            multiply(&[block], &mut gradients);
            sgd::step(&mut plain, of_plain, &gradients, RATES);

            let gradients = [gradient(&unlike.parameters[0].values)];
            sgd::step(&mut unlike, of_unlike, &gradients, RATES);
        }
        let expected = merged(&branches, factors);
        let far = |weights: &Weights| {
            let pairs = weights.parameters[0].values.iter().zip(&expected);
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        assert!(far(&plain) < 1e-5, "{}", far(&plain));
        assert!(far(&unlike) > 1e-2, "{}", far(&unlike));
    }

    /// What training begins with: kernels of zeros show the other branches.
    #[test]
    fn weights_begin_as_the_sum_of_branches() {
        let factors = Factors { three: 0.5, one: 2.0 };
        let mut block = Block { weights: 0, inputs: 64, identity: true, factors };
        let begun = |block: Block, weight: f32| {
            let mut values = vec![weight; 64 * 64 * 9];
            block.begin(&mut values, &mut Random::new(&[3]));
            values
        };
        let values = begun(block, 1.0);
        let (centres, others): (Vec<_>, Vec<_>) = values.iter().enumerate().partition(|(at, _)| at % 9 == 4);
        assert!(others.iter().all(|(_, w)| **w == 0.5));
        let mean = |own: bool| {
            let numbers = centres.iter().filter(|(at, _)| (at / 9 / 64 == at / 9 % 64) == own);
            let numbers: Vec<f32> = numbers.map(|(_, w)| **w).collect();
            numbers.iter().sum::<f32>() / numbers.len() as f32
        };
        // The 1×1 convolution's are within 2/√64, with a deviation of 2/√(3 · 64) = .144.
        assert!((mean(true) - 1.5).abs() < 0.08 && (mean(false) - 0.5).abs() < 0.02);
        let spread = centres.iter().map(|(_, w)| (**w - 0.5).powi(2)).sum::<f32>() / centres.len() as f32;
        assert!((spread - 4.0 / 192.0 - 1.0 / 64.0).abs() < 2e-3, "{spread}");
        block.identity = false;
        let plain = begun(block, 1.0);
        assert!(plain.iter().skip(4).step_by(9).all(|w| (w - 0.5).abs() <= 0.25));
    }

    /// Of v5lite-g those that its authors train as blocks: the four that halve the map between the stages of its backbone.
    #[test]
    fn blocks_are_those_of_the_authors() {
        let network = |name: &str, width| {
            let multiples = [None, width];
            Architecture { name: name.into(), multiples, classes: 2, seed: 1 }.network(64).unwrap().0
        };
        for (width, channels) in [(None, 32), (Some(0.25), 8)] {
            let network = network("v5lite-g", width);
            let found = blocks(Optimizer::RepOpt, &network, "v5lite-g").unwrap();
            let inputs: Vec<_> = found.iter().map(|block| block.inputs).collect();
            assert_eq!(inputs, [1, 2, 4, 8].map(|times| times * channels));
            assert!(found.iter().all(|block| !block.identity && block.factors == FACTORS));
            for block in found {
                let own = |layer: &Option<Layer>| layer.is_some_and(|layer| layer.weights == block.weights);
                let node = &network.graph.nodes[network.layers.iter().position(own).unwrap()];
                let shape = network.graph.shape(node.inputs[1]).dims();
                assert_eq!(shape, [2 * block.inputs, block.inputs, 3, 3]);
            }
            assert_eq!(blocks(Optimizer::Sgd, &network, "v5lite-g").unwrap(), []);
        }
        for name in ["v5lite-e", "v5lite-s", "v5lite-c", "yolov5n"] {
            let refused = blocks(Optimizer::RepOpt, &network(name, None), name).unwrap_err();
            let Error::Usage(what) = refused else { panic!("{refused:?}") };
            assert!(
                what.starts_with("--optimizer repopt") && what.contains(name) && what.ends_with("take sgd")
            );
        }
    }
}
