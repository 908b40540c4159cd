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

/// The smallest range that holds all `ranges` and zero.
pub(super) fn hull(ranges: impl Iterator<Item = (f32, f32)>) -> (f32, f32) {
    ranges.fold((0.0, 0.0), |(low, high), range| (low.min(range.0), high.max(range.1)))
}

/// The range of least [`cost`]: both ends are drawn in from the hull, together and then in turns, as far as it pays.
/// Of a grid around zero no end alone makes the step finer.
fn least_error(histograms: &[&Histogram], scheme: Scheme) -> (f32, f32) {
    let whole = hull(histograms.iter().map(|h| h.range()));
    let cost = |range| scheme.grid(range).map_or(f64::INFINITY, |grid| cost(histograms, grid));
    let mut best = (cost(whole), whole);
    let ends = |end: f32| (0..ENDS as i32).map(move |i| (f64::from(end) * SHRINK.powi(i)) as f32);
    for end in ends(whole.1.max(-whole.0)) {
        let range = (whole.0.max(-end), whole.1.min(end));
        best = better(best, (cost(range), range));
    }
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

#[cfg(test)]
mod tests {
    use super::super::Activations;
    use super::*;

    const ACTIVATIONS: [Activations; 3] = [Activations::Affine, Activations::Symmetric, Activations::Signed];

    /// Sums of sixteen even numbers, nearly normal, about `middle`; those below `low` become `low`, as an activation
    /// would make them.
    fn numbers(count: usize, middle: f32, low: f32) -> Vec<f32> {
        let mut state = 3u64;
        let mut even = || (crate::random::next_random(&mut state) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        (0..count).map(|_| ((0..16).map(|_| even()).sum::<f32>() + middle).max(low)).collect()
    }

    fn histogram(numbers: &[f32]) -> Histogram {
        let ends = numbers.iter().fold((0f32, 0f32), |(low, high), &x| (low.min(x), high.max(x)));
        let mut histogram = Histogram::new(ends.0, ends.1);
        histogram.add(numbers);
        histogram
    }

    #[test]
    fn noise_is_that_of_the_numbers() {
        let numbers = numbers(20_000, 0.3, f32::NEG_INFINITY);
        let histogram = histogram(&numbers);
        for (low, high) in [histogram.range(), (-2.0, 3.0), (-1.0, 1.0), (-0.2, 4.0)] {
            for activations in ACTIVATIONS {
                let grid = Scheme { activations, ..Scheme::default() }.grid((low, high)).unwrap();
                let changed = |x: f32| f64::from(x - grid.dequantize(grid.quantize(x)));
                let expected =
                    numbers.iter().map(|&x| changed(x).powi(2)).sum::<f64>() / numbers.len() as f64;
                let found = noise(&histogram, grid);
                assert!((found / expected - 1.0).abs() < 0.05, "{low} to {high}: {found}, {expected}");
            }
        }
        let expected = numbers.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / numbers.len() as f64;
        assert!((power(&histogram) / expected - 1.0).abs() < 1e-3);
    }

    /// The ends that are tried lie 3 % apart: a method may hit upon one a little better.
    #[test]
    fn no_other_method_has_less_error() {
        let far = [&numbers(5000, 0.0, f32::NEG_INFINITY)[..], &[40.0, -9.0]].concat();
        let sets = [
            numbers(5000, 0.0, f32::NEG_INFINITY),
            numbers(5000, 0.5, 0.0),
            numbers(5000, 2.0, -0.3),
            far.clone(),
            far.iter().map(|x| x * 0.01).collect(),
        ];
        let histograms: Vec<Histogram> = sets.iter().map(|set| histogram(set)).collect();
        let mut groups: Vec<Vec<&Histogram>> = histograms.iter().map(|h| vec![h]).collect();
        groups.push(histograms.iter().collect());
        for histograms in &groups {
            for activations in ACTIVATIONS {
                let scheme = Scheme { activations, ..Scheme::default() };
                let of = |method| {
                    let range = choose(histograms, method, scheme, 1);
                    assert!(range.0 <= 0.0 && range.1 >= 0.0, "{range:?}");
                    cost(histograms, scheme.grid(range).unwrap())
                };
                let least = of(Method::Mse);
                for method in [Method::Kl, Method::MinMax, Method::Aciq, Method::Percentile(0.9999)] {
                    assert!(least <= of(method) * 1.03, "{}: {least}, {}", method.name(), of(method));
                }
                assert!(least <= of(Method::MinMax));
            }
        }
        // Nothing is to be gained by a range beyond the numbers.
        let (low, high) = choose(&[&histograms[1]], Method::Mse, Scheme::default(), 1);
        assert!(low == 0.0 && high <= histograms[1].range().1, "{low} to {high}");
    }

    #[test]
    fn a_shared_range_holds_all_tensors() {
        let (a, b) = (histogram(&[1.0, -2.0]), histogram(&[3.0, -0.5, 0.0]));
        assert_eq!(choose(&[&a, &b], Method::MinMax, Scheme::default(), 1), (-2.0, 3.0));
        let grid = Scheme::default().grid((-2.0, 3.0)).unwrap();
        let sum = noise(&a, grid) / power(&a) + noise(&b, grid) / power(&b);
        assert!((cost(&[&a, &b], grid) - sum).abs() < 1e-15);
        // Zeros alone say nothing.
        assert_eq!(cost(&[&Histogram::new(0.0, 0.0)], grid), 0.0);
    }
}
