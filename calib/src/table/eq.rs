//! Scales of a layer by what they change in its results: the search of EasyQuant.
//!
//! After Wu, Tang, Zhao, Zhang, Fu, Zhang (EasyQuant: Post-training quantization via scale optimization, 2020), as the
//! method `eq` of ncnn2table means it: from thresholds that a histogram gives, the scale of each output channel's
//! weights and then the scale of the layer's input are tried at [`STEPS`] even steps from a half to twice of what they
//! were, and the one is kept with which the layer's results are nearest to those of the float network.
//!
//! Two things are ours. Nearest is the least sum of squared differences; ncnn2table compares directions (cosine),
//! which stay the same where a whole channel shrinks. And weights are chosen by one sample of positions and the input by
//! another, as what fits one sample best is off on others. Results are those of the weights alone, without
//! bias and activation.

use super::patches::{Patches, Sample};
use super::{CODE_MAX, Thresholds};
use crate::error::Result;
use crate::runtime::network::{Weighted, weighted};
use crate::share::share;
use ocellus::graph::Graph;

/// Scales that are tried, beside the one to begin with.
const STEPS: usize = 100;
/// Ends of what they are multiplied with.
const FACTORS: [f32; 2] = [0.5, 2.0];
/// Most positions of a sample that results are compared at.
const ROWS_MAX: usize = 128;
/// Positions of a block: sums that fit into vector registers.
const LANES: usize = 16;

/// Better thresholds than `start` for the layers of `graph`, as [`search`] finds them in the two `samples` of what they
/// read; on `threads` threads. Calls `progress` after each layer.
///
/// # Errors
/// None of its own.
pub fn improve(
    graph: &Graph,
    samples: &[Sample; 2],
    start: Vec<Thresholds>,
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Vec<Thresholds>> {
    let items: Vec<(Weighted, Thresholds)> = weighted(graph).zip(start).collect();
    let parts = share(
        &items,
        threads,
        || Ok(Vec::new()),
        |found, at, (layer, start)| {
            let [first, second] = samples.each_ref().map(|sample| sample.get(&layer.at));
            found.push((
                at,
                match (first, second) {
                    (Some(first), Some(second)) => search(layer, [first, second], start),
                    _ => start.clone(),
                },
            ));
            progress();
            Ok(())
        },
    )?;
    let mut found: Vec<(usize, Thresholds)> = parts.into_iter().flatten().collect();
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, thresholds)| thresholds).collect())
}

/// Thresholds of a layer near `start` whose codes change its results least. A threshold of zero, which has no scale,
/// stays; where it is the input's, so does everything.
pub fn search(layer: &Weighted, samples: [&Patches; 2], start: &Thresholds) -> Thresholds {
    let [first, second] = samples.map(Rows::of);
    if start.input <= 0.0 || first.blocks == 0 || second.blocks == 0 {
        return start.clone();
    }
    let parts = Parts::new(layer, start.weights.len());
    let coded = first.on_grid(start.input);
    let best = |(i, &threshold): (usize, &f32)| {
        let expected = parts.results(&first, i, parts.real(i));
        let error = |threshold| distance(&expected, &parts.results(&coded, i, &parts.on_grid(i, threshold)));
        nearest(threshold, error)
    };
    let weights: Vec<f32> = start.weights.iter().enumerate().map(best).collect();
    let of_part = |(i, &threshold): (usize, &f32)| {
        (parts.results(&second, i, parts.real(i)), parts.on_grid(i, threshold))
    };
    let of_parts: Vec<(Vec<f32>, Vec<f32>)> = weights.iter().enumerate().map(of_part).collect();
    let error = |threshold| {
        let coded = second.on_grid(threshold);
        let of_parts = of_parts.iter().enumerate();
        of_parts.map(|(i, (expected, weights))| distance(expected, &parts.results(&coded, i, weights))).sum()
    };
    Thresholds { input: nearest(start.input, error), weights }
}

/// The threshold of least error: `start`, or one with a scale of up to [`FACTORS`] of its scale.
fn nearest(start: f32, error: impl Fn(f32) -> f64) -> f32 {
    if start <= 0.0 {
        return start;
    }
    let [low, high] = FACTORS;
    let step = |i: usize| start / (low + (high - low) * i as f32 / (STEPS - 1) as f32);
    let mut best = (error(start), start);
    for threshold in (0..STEPS).map(step) {
        let found = error(threshold);
        if found < best.0 {
            best = (found, threshold);
        }
    }
    best.1
}

/// Sum of the squared differences.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b) * f64::from(a - b)).sum()
}

/// `x` on the grid of 255 codes up to `threshold`.
fn on_grid(x: f32, threshold: f32) -> f32 {
    let scale = CODE_MAX / threshold;
    let code = (x * scale).clamp(-CODE_MAX, CODE_MAX);
    // Half away from zero, as ncnn; a call of round() would take most of the search's time.
    (code + 0.5f32.copysign(code)) as i32 as f32 / scale
}

/// Numbers under a layer's window at some positions, in blocks of [`LANES`] positions: per block and weight of the
/// window the positions' numbers, so that a weight is multiplied with all of a block at once. Missing positions are zero.
struct Rows {
    width: usize,
    blocks: usize,
    numbers: Vec<f32>,
}

impl Rows {
    /// At most [`ROWS_MAX`] rows of `patches`, at equal distances.
    fn of(patches: &Patches) -> Self {
        let (all, width) = (patches.rows().len(), patches.width);
        let rows = all.min(ROWS_MAX);
        let blocks = rows.div_ceil(LANES);
        let mut numbers = vec![0.0; blocks * width * LANES];
        for to in 0..rows {
            let row = &patches.numbers[to * all / rows * width..][..width];
            let block = &mut numbers[to / LANES * width * LANES..][..width * LANES];
            row.iter().enumerate().for_each(|(column, &x)| block[column * LANES + to % LANES] = x);
        }
        Rows { width, blocks, numbers }
    }

    fn on_grid(&self, threshold: f32) -> Self {
        let numbers = self.numbers.iter().map(|&x| on_grid(x, threshold)).collect();
        Rows { numbers, ..*self }
    }

    /// Appends for each row the sum of its numbers from column `first` on, each times its weight.
    fn product(&self, first: usize, weights: &[f32], results: &mut Vec<f32>) {
        for block in 0..self.blocks {
            let numbers = &self.numbers[(block * self.width + first) * LANES..];
            let mut sums = [0f32; LANES];
            for (weight, numbers) in weights.iter().zip(numbers.as_chunks::<LANES>().0) {
                for (sum, x) in sums.iter_mut().zip(numbers) {
                    *sum += weight * x;
                }
            }
            results.extend(sums);
        }
    }
}

/// The weights of a layer in parts that share a scale: an output channel, or all of a group.
struct Parts {
    weights: Vec<f32>,
    /// Weights of an output channel.
    width: usize,
    /// Weights of a part.
    share: usize,
    grouped: bool,
}

impl Parts {
    fn new(layer: &Weighted, parts: usize) -> Self {
        let (weights, outputs) = (layer.weights.to_f32(), layer.weights.shape()[0].max(1));
        let (width, share) = (weights.len() / outputs, weights.len() / parts.max(1));
        Parts { weights, width, share, grouped: layer.groups > 1 }
    }

    /// The weights of part `i`.
    fn real(&self, i: usize) -> &[f32] {
        &self.weights[i * self.share..(i + 1) * self.share]
    }

    /// The weights of part `i` on the grid up to `threshold`.
    fn on_grid(&self, i: usize, threshold: f32) -> Vec<f32> {
        let code = |&w: &f32| if threshold > 0.0 { on_grid(w, threshold) } else { 0.0 };
        self.real(i).iter().map(code).collect()
    }

    /// What the channels of part `i` make of `x` with these `weights`.
    fn results(&self, x: &Rows, i: usize, weights: &[f32]) -> Vec<f32> {
        let first = if self.grouped { i * self.width } else { 0 };
        let mut results = Vec::new();
        weights.chunks_exact(self.width).for_each(|channel| x.product(first, channel, &mut results));
        results
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::next_random;
    use ocellus::graph::{Op, WindowAttrs};
    use ocellus::tensor::{Data, Shape, Tensor};

    /// A pointwise layer; depthwise where `groups` is not 1.
    fn layer(weights: &[f32], outputs: usize, groups: usize) -> Graph {
        let mut graph = Graph::new();
        let width = weights.len() / outputs;
        let input = Shape::new([1, width * groups, 1, 1]).unwrap();
        let input = graph.push_input("x", input).unwrap();
        let shape = Shape::new([outputs, width, 1, 1]).unwrap();
        let weights = Tensor::new(shape, Data::F32(weights.to_vec())).unwrap();
        let weights = graph.push_constant("w", weights).unwrap();
        let window = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        let op = Op::Conv { window, groups, activation: None };
        graph.push("layer", op, vec![input, weights], "y").unwrap();
        graph
    }

    fn found(graph: &Graph, patches: &Patches, input: f32, weights: &[f32]) -> Thresholds {
        let start = Thresholds { input, weights: weights.to_vec() };
        search(&weighted(graph).next().unwrap(), [patches, patches], &start)
    }

    /// By hand: all numbers and all weights are codes of the grid up to 1 (of the second output's weights, up to 0.5),
    /// so that no other grid is as good; it lies at an end of what is tried, or between. Codes of weights that are all
    /// zero do not matter.
    #[test]
    fn the_grid_that_holds_all_numbers_is_found() {
        let numbers: Vec<f32> = (-127..=127).flat_map(|k| [k as f32, (k * 7 % 128) as f32]).collect();
        let patches = Patches { width: 2, numbers: numbers.iter().map(|k| k / 127.0).collect() };
        let graph = layer(&[1.0, -3.0 / 127.0, 0.5, 11.0 / 254.0, 0.0, 0.0], 3, 1);
        for (input, weights) in [(0.5, [2.0, 1.0, 0.0]), (2.0, [0.5, 0.25, 0.0]), (1.0, [1.0, 0.5, 0.0])] {
            let Thresholds { weights: found, .. } = found(&graph, &patches, 1.0, &weights);
            assert_eq!(found, [1.0, 0.5, 0.0], "{weights:?}");
            let Thresholds { input: found, .. } =
                super::tests::found(&graph, &patches, input, &[1.0, 0.5, 0.0]);
            assert_eq!(found, 1.0, "{input}");
        }
        // A channel of its own for each: the second reaches twice as far, and has a weight that only 0.75 holds.
        let depthwise = layer(&[1.0, 0.75], 2, 2);
        assert_eq!(found(&depthwise, &patches, 1.0, &[2.0, 1.5]).weights, [1.0, 0.75]);
        assert_eq!(found(&graph, &patches, 0.0, &[2.0; 3]).weights, [2.0; 3], "an input of zeros");
    }

    /// Against plain sums over all rows.
    #[test]
    fn results_are_nearer_than_before() {
        let mut state = 11u64;
        let mut even = || (next_random(&mut state) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        let mut tailed = |count: usize| -> Vec<f32> { (0..count).map(|_| (2.0 * even()).powi(7)).collect() };
        let (weights, patches) = (tailed(6 * 9), Patches { width: 9, numbers: tailed(200 * 9) });
        let graph = layer(&weights, 6, 1);
        let absmax = |numbers: &[f32]| numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
        // Steps that are 1.6 times as wide as need be make 1.6² times the noise.
        let start = Thresholds {
            input: 1.6 * absmax(&patches.numbers),
            weights: weights.chunks(9).map(|channel| 1.6 * absmax(channel)).collect(),
        };
        let better = found(&graph, &patches, start.input, &start.weights);
        let error = |thresholds: &Thresholds| -> f64 {
            let code = |x: f32, most: f32| (x / most * 127.0).round().clamp(-127.0, 127.0) * most / 127.0;
            let of = |row: &[f32], channel: usize| -> f32 {
                let pairs = row.iter().zip(&weights[channel * 9..]);
                let changed = |(x, w): (&f32, &f32)| {
                    x * w - code(*x, thresholds.input) * code(*w, thresholds.weights[channel])
                };
                pairs.map(changed).sum()
            };
            patches.rows().flat_map(|row| (0..6).map(move |c| f64::from(of(row, c)).powi(2))).sum()
        };
        assert!(error(&better) < 0.45 * error(&start), "{} of {}", error(&better), error(&start));
    }
}
