//! The range of a group's grid, from how its numbers are spread.

use super::scheme::Scheme;
use crate::table::{Histogram, Method};
use ocellus::tensor::Quant;

/// Ends of a range that [`least_error`] tries, as parts of the largest magnitude: each is this much of the one
/// before.
const SHRINK: f64 = 0.97;
/// Number of such ends: down to 8 %.
const ENDS: usize = 84;

/// Mean square of what `grid` changes in the numbers of `histogram`: half a step at most within its range, the
/// distance to its end outside.
pub fn noise(histogram: &Histogram, grid: Quant) -> f64 {
    let (low, high) = grid.range();
    let (low, high) = (f64::from(low), f64::from(high));
    let step = f64::from(grid.scale);
    // Numbers of a bin are spread over many codes' cells or fall evenly into one: a twelfth of the step squared.
    let within = step * step / 12.0;
    let error = |(x, count): (f64, u64)| {
        let beyond = (low - x).max(x - high).max(0.0);
        count as f64 * (within + beyond * beyond)
    };
    histogram.middles().map(error).sum::<f64>() / (histogram.numbers() as f64).max(1.0)
}

/// Mean square of the numbers.
pub fn power(histogram: &Histogram) -> f64 {
    let sum: f64 = histogram.middles().map(|(x, count)| count as f64 * x * x).sum();
    sum / (histogram.numbers() as f64).max(1.0)
}

/// What `grid` costs tensors that share it: the sum of their noise, each in parts of its own power, so that small
/// numbers beside large ones count as much.
pub fn cost(histograms: &[&Histogram], grid: Quant) -> f64 {
    let part = |h: &&Histogram| noise(h, grid) / power(h).max(f64::MIN_POSITIVE);
    histograms.iter().filter(|h| h.nonzero() > 0).map(part).sum()
}

/// The range that `method` gives tensors that share a grid: of each tensor's own range the hull, but for the
/// methods that weigh errors, which weigh those of all tensors together.
pub fn choose(histograms: &[&Histogram], method: Method, scheme: Scheme, pictures: usize) -> (f32, f32) {
    if method == Method::Mse {
        return least_error(histograms, scheme);
    }
    let own = |h: &&Histogram| {
        let (low, high) = h.range();
        let threshold = method.threshold(h, pictures);
        (low.max(-threshold), high.min(threshold))
    };
    hull(histograms.iter().map(own))
}

fn hull(ranges: impl Iterator<Item = (f32, f32)>) -> (f32, f32) {
    ranges.fold((0.0, 0.0), |(low, high), range| (low.min(range.0), high.max(range.1)))
}

/// The range of least [`cost`]: both ends are drawn in from the hull in turns, as far as it pays.
fn least_error(histograms: &[&Histogram], scheme: Scheme) -> (f32, f32) {
    let whole = hull(histograms.iter().map(|h| h.range()));
    let cost = |range| scheme.grid(range).map_or(f64::INFINITY, |grid| cost(histograms, grid));
    let mut best = (cost(whole), whole);
    let ends = |end: f32| (0..ENDS as i32).map(move |i| (f64::from(end) * SHRINK.powi(i)) as f32);
    for _ in 0..2 {
        for high in ends(whole.1) {
            let range = (best.1.0, high);
            best = better(best, (cost(range), range));
        }
        for low in ends(whole.0) {
            let range = (low, best.1.1);
            best = better(best, (cost(range), range));
        }
    }
    best.1
}

fn better(a: (f64, (f32, f32)), b: (f64, (f32, f32))) -> (f64, (f32, f32)) {
    if b.0 < a.0 { b } else { a }
}
