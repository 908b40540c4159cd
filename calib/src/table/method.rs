//! Ways to choose the threshold of a tensor.

use super::histogram::{BINS, Histogram};
use super::kl;

/// How a threshold follows from a histogram. Magnitudes above the threshold are clipped to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Least Kullback-Leibler divergence, as ncnn2table: see [`kl::threshold`].
    Kl,
    /// The largest magnitude: nothing is clipped.
    MinMax,
    /// The lowest bin edge that this share (0 to 1) of the numbers other than zero does not exceed.
    Percentile(f64),
}

impl Method {
    /// The threshold; 0 where there is no number but zero.
    pub fn threshold(self, histogram: &Histogram) -> f32 {
        match self {
            _ if histogram.nonzero() == 0 => 0.0,
            Method::Kl => kl::threshold(histogram),
            Method::MinMax => histogram.absmax(),
            Method::Percentile(share) => percentile(histogram, share),
        }
    }
}

fn percentile(histogram: &Histogram, share: f64) -> f32 {
    let wanted = share * histogram.nonzero() as f64;
    let mut below = 0;
    let bin = histogram.bins().iter().position(|count| {
        below += count;
        below as f64 >= wanted
    });
    (bin.unwrap_or(BINS - 1) + 1) as f32 * histogram.absmax() / BINS as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 1000 numbers, one in each of the first 1000 bins of width 1; the zero does not count.
    #[test]
    fn thresholds_of_even_numbers() {
        let mut histogram = Histogram::new(2048.0);
        histogram.add(&(0..1000).map(|i| i as f32 + 0.5).collect::<Vec<_>>());
        histogram.add(&[0.0]);
        assert_eq!(Method::MinMax.threshold(&histogram), 2048.0);
        assert_eq!(Method::Percentile(0.9).threshold(&histogram), 900.0);
        assert_eq!(Method::Percentile(1.0).threshold(&histogram), 1000.0);
        for method in [Method::Kl, Method::MinMax, Method::Percentile(0.9)] {
            assert_eq!(method.threshold(&Histogram::new(0.0)), 0.0);
        }
    }
}
