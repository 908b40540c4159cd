//! The threshold that loses least information, as ncnn2table searches it.

use super::histogram::{BINS, Histogram};

/// Magnitudes that int8 codes tell apart.
const LEVELS: usize = 128;
/// Added to every probability, so that none is zero.
const EPSILON: f64 = 1e-4;

/// The threshold whose grid keeps the distribution best, by Kullback-Leibler divergence.
///
/// For each number `t` of bins from 128 to 2047: the reference `P` is the first `t` bins with the mass of the
/// rest added to the last of them; `Q` is the same bins without that rest, joined to 128 groups of
/// `t / 128` bins (edges fall within bins, which then count by their part), each group's mean spread over its
/// bins again. The first `t` with the least `Σ P ln(P / Q)` wins; the threshold is the middle of bin `t`.
/// Sums are made in double precision.
///
/// A histogram without numbers gives 0.
pub fn threshold(histogram: &Histogram) -> f32 {
    match best_bins(&histogram.bins()) {
        Some(t) => (t as f32 + 0.5) * histogram.absmax() / BINS as f32,
        None => 0.0,
    }
}

/// Number of bins that the best threshold keeps.
fn best_bins(counts: &[u64]) -> Option<usize> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let shares: Vec<f64> = counts.iter().map(|&count| count as f64 / total as f64).collect();
    let mut best = (f64::INFINITY, LEVELS);
    let mut beyond = shares[LEVELS..].iter().sum::<f64>();
    let mut spread = Vec::with_capacity(BINS);
    for t in LEVELS..counts.len() {
        spread_groups(&shares[..t], &mut spread);
        let divergence = divergence(&shares[..t], beyond, &spread);
        if divergence < best.0 {
            best = (divergence, t);
        }
        beyond = (beyond - shares[t]).max(0.0);
    }
    Some(best.1)
}

/// `shares` joined to [`LEVELS`] groups of equal width, each group's mean spread over its bins again.
fn spread_groups(shares: &[f64], spread: &mut Vec<f64>) {
    spread.clear();
    spread.resize(shares.len(), 0.0);
    // The width is a multiple of 1/128, so edges are exact.
    let width = shares.len() as f64 / LEVELS as f64;
    for group in 0..LEVELS {
        let (start, end) = (group as f64 * width, (group + 1) as f64 * width);
        let bins = start as usize..(end.ceil() as usize).min(shares.len());
        let part = |bin: usize| end.min((bin + 1) as f64) - start.max(bin as f64);
        let mean = bins.clone().map(|bin| shares[bin] * part(bin)).sum::<f64>() / width;
        bins.for_each(|bin| spread[bin] += mean * part(bin));
    }
}

/// `Σ P ln(P / Q)`; the last bin of `P` also has `beyond`.
fn divergence(shares: &[f64], beyond: f64, spread: &[f64]) -> f64 {
    let last = shares.len() - 1;
    let term = |(bin, (&share, &q)): (usize, (&f64, &f64))| {
        let p = if bin == last { share + beyond } else { share } + EPSILON;
        p * (p / (q + EPSILON)).ln()
    };
    shares.iter().zip(spread).enumerate().map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origin of the numbers: the definition in NumPy, with the 128 groups as a matrix of overlaps between
    /// groups and bins, `mean = (O @ h[:t]) / (t / 128)`, `Q = O.T @ mean + 1e-4`, in float64.
    #[test]
    fn thresholds_of_worked_histograms() {
        let bins = || 0..BINS as u64;
        let wild = |s: u64| {
            let count = |x: u64| {
                ((x * 2_654_435_761 + s * 40_503 * x * x) >> 7) % (1 + (50_000 >> (x / (60 + 25 * s))))
            };
            bins().map(count).collect::<Vec<_>>()
        };
        let halving = |run: u64| {
            bins()
                .map(|x| if x == 2047 { 1 } else { 4096u64.checked_shr((x / run) as u32).unwrap_or(0) })
                .collect()
        };
        let cases: [(&str, Vec<u64>, usize); 9] = [
            ("falling", bins().map(|x| 1_000_000 / (x + 1)).collect(), 2043),
            (
                "sparse",
                bins().map(|x| if x % 3 == 0 { (x * x * 7 + 13 * x) % 101 } else { 0 }).collect(),
                2042,
            ),
            ("steps of 64, one far out", halving(64), 1024),
            ("steps of 16, one far out", halving(16), 256),
            ("wild 0", wild(0), 583),
            ("wild 1", wild(1), 771),
            ("wild 2", wild(2), 989),
            ("wild 3", wild(3), 1437),
            ("wild 5", wild(5), 1973),
        ];
        for (name, counts, expected) in cases {
            assert_eq!(best_bins(&counts), Some(expected), "{name}");
        }
    }

    /// From the same script: the divergence of the falling histogram at its best, where the groups are 15.96 bins wide.
    #[test]
    fn divergence_of_a_worked_histogram() {
        let counts: Vec<u64> = (0..BINS as u64).map(|x| 1_000_000 / (x + 1)).collect();
        let total = counts.iter().sum::<u64>() as f64;
        let shares: Vec<f64> = counts.iter().map(|&count| count as f64 / total).collect();
        let mut spread = Vec::new();
        spread_groups(&shares[..2043], &mut spread);
        let found = divergence(&shares[..2043], shares[2043..].iter().sum(), &spread);
        assert!((found - 0.171_888_043_284_889_43).abs() < 1e-12, "{found}");
    }

    #[test]
    fn a_threshold_is_the_middle_of_its_bin() {
        let mut histogram = Histogram::new(0.0, 2048.0);
        assert_eq!(threshold(&histogram), 0.0);
        // Everything in the first bins: the fewest bins keep it best.
        histogram.add(&[0.5; 100]);
        assert_eq!(threshold(&histogram), 128.5);
    }
}
