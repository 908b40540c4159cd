//! Ways to choose the threshold of a tensor.

use super::histogram::{BINS, Histogram};
use super::{CODE_MAX, kl};

/// How a threshold follows from a histogram. Magnitudes above the threshold are clipped to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Least Kullback-Leibler divergence, as ncnn2table: see [`kl::threshold`].
    Kl,
    /// The largest magnitude: nothing is clipped.
    MinMax,
    /// The lowest bin edge that this share (0 to 1) of the numbers other than zero does not exceed.
    Percentile(f64),
    /// Least mean square of what 255 codes around zero change.
    Mse,
    /// Analytical clipping for a normal distribution (Banner, Nahshan, Soudry: Post training 4-bit quantization,
    /// 2019), with ncnn2table's estimate of the deviation from largest magnitude and number of elements.
    Aciq,
}

impl Method {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Method::Kl => "kl",
            Method::MinMax => "minmax",
            Method::Percentile(_) => "percentile",
            Method::Mse => "mse",
            Method::Aciq => "aciq",
        }
    }

    /// The threshold; 0 where there is no number but zero. The numbers are those of so many `pictures`.
    pub fn threshold(self, histogram: &Histogram, pictures: usize) -> f32 {
        match self {
            _ if histogram.nonzero() == 0 => 0.0,
            Method::Kl => kl::threshold(histogram),
            Method::MinMax => histogram.absmax(),
            Method::Percentile(share) => percentile(histogram, share),
            Method::Mse => least_square(histogram),
            Method::Aciq => aciq(histogram.absmax(), histogram.numbers() / pictures.max(1) as u64),
        }
    }
}

fn percentile(histogram: &Histogram, share: f64) -> f32 {
    let wanted = share * histogram.nonzero() as f64;
    let mut below = 0;
    let bins = histogram.bins();
    let bin = bins.iter().position(|count| {
        below += count;
        below as f64 >= wanted
    });
    (bin.unwrap_or(BINS - 1) + 1) as f32 * histogram.absmax() / BINS as f32
}

/// Clips of 8 bits at this many deviations (ncnn2table's constant for 8 bits).
const ACIQ_ALPHA: f64 = 3.924_040_37;

/// ncnn2table's threshold of a tensor of `numbers` elements up to `absmax`.
fn aciq(absmax: f32, numbers: u64) -> f32 {
    let gaussian = 0.5 * 0.35 * (1.0 + (std::f64::consts::PI * 4f64.ln()).sqrt());
    let deviation = f64::from(absmax) * 2.0 * gaussian / (2.0 * (numbers.max(2) as f64).ln()).sqrt();
    ((ACIQ_ALPHA * deviation) as f32).min(absmax)
}

/// Tries every 16th bin's edge: within a bin and a half of the best.
fn least_square(histogram: &Histogram) -> f32 {
    let width = f64::from(histogram.absmax()) / BINS as f64;
    let error = |edge: usize| {
        let threshold = edge as f64 * width;
        let step = threshold / f64::from(CODE_MAX);
        let of = |(x, count): (f64, u64)| {
            let beyond = (x.abs() - threshold).max(0.0);
            count as f64 * (step * step / 12.0 + beyond * beyond)
        };
        histogram.middles().map(of).sum::<f64>()
    };
    let edges = (1..=BINS / 16).map(|i| 16 * i);
    let best = edges.map(|edge| (error(edge), edge)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(histogram.absmax(), |(_, edge)| (edge as f64 * width) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1000 numbers, one in each of the first 1000 bins of width 1; the zero does not count.
    #[test]
    fn thresholds_of_even_numbers() {
        let mut histogram = Histogram::new(0.0, 2048.0);
        histogram.add(&(0..1000).map(|i| i as f32 + 0.5).collect::<Vec<_>>());
        histogram.add(&[0.0]);
        assert_eq!(Method::MinMax.threshold(&histogram, 1), 2048.0);
        assert_eq!(Method::Percentile(0.9).threshold(&histogram, 1), 900.0);
        assert_eq!(Method::Percentile(1.0).threshold(&histogram, 1), 1000.0);
        for method in [Method::Kl, Method::MinMax, Method::Percentile(0.9)] {
            assert_eq!(method.threshold(&Histogram::new(0.0, 0.0), 1), 0.0);
        }
    }

    /// `3.92403714 · 2 · 10 · 0.175 · (1 + √(π ln 4)) / √(2 ln N)` in Python: 8.0654 for a million elements, 11.406
    /// for a thousand, which is beyond the largest.
    #[test]
    fn aciq_is_ncnn2tables_formula() {
        let threshold = |numbers: usize, pictures: usize| {
            let mut histogram = Histogram::new(-10.0, 4.0);
            histogram.add(&[-10.0, 4.0]);
            histogram.add(&vec![0.0; numbers - 2]);
            Method::Aciq.threshold(&histogram, pictures)
        };
        assert!((threshold(1_000_000, 1) - 8.06540).abs() < 1e-3, "{}", threshold(1_000_000, 1));
        assert_eq!(threshold(2_000_000, 2), threshold(1_000_000, 1), "the elements of one picture count");
        assert_eq!(threshold(1000, 1), 10.0);
    }

    /// Against the numbers themselves, rounded to 255 codes, at every bin's edge.
    #[test]
    fn mse_is_near_the_best_threshold_there_is() {
        let mut state = 5u64;
        let mut even = || (crate::random::next_random(&mut state) >> 40) as f32 / (1 << 24) as f32 - 0.5;
        // Tails: products of sums.
        let mut sum = |count: usize| (0..count).map(|_| even()).sum::<f32>();
        let numbers: Vec<f32> = (0..2000).map(|_| sum(8) * (1.0 + sum(4).abs()).powi(3)).collect();
        let absmax = numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
        let mut histogram = Histogram::new(-absmax, absmax);
        histogram.add(&numbers);
        let error = |threshold: f32| {
            let step = threshold / 127.0;
            let changed = |x: &f32| f64::from(x - (x / step).round().clamp(-127.0, 127.0) * step);
            numbers.iter().map(|x| changed(x).powi(2)).sum::<f64>()
        };
        let edges = (64..=BINS).map(|edge| edge as f32 * absmax / BINS as f32);
        let best = edges.map(error).fold(f64::INFINITY, f64::min);
        let found = Method::Mse.threshold(&histogram, 1);
        assert!(found < absmax, "{found} of {absmax}");
        assert!(error(found) < 1.1 * best, "{found}: {}, {best}", error(found));
        assert!(error(found) < error(absmax));
    }
}
