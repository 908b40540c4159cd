//! What many durations come to.

use serde::Serialize;
use std::time::Duration;

/// Milliseconds of repeated runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Shortest.
    pub min_ms: f64,
    /// Half of the runs take no longer.
    pub median_ms: f64,
    /// Arithmetic mean.
    pub avg_ms: f64,
    /// 95 % of the runs take no longer.
    pub p95_ms: f64,
    /// Longest.
    pub max_ms: f64,
    /// Number of runs.
    pub n: usize,
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Statistics {
    /// `None` where there are no durations.
    pub fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = durations.iter().map(|&d| ms(d)).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (min_ms, max_ms) = (*sorted.first()?, *sorted.last()?);
        // The nearest rank: a duration that was really seen.
        let rank = |share: f64| sorted[((share * n as f64).ceil() as usize).clamp(1, n) - 1];
        let median_ms = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
        let avg_ms = sorted.iter().sum::<f64>() / n as f64;
        Some(Statistics { min_ms, median_ms, avg_ms, p95_ms: rank(0.95), max_ms, n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_one_to_twenty() {
        let durations: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        let s = Statistics::of(&durations).unwrap();
        let expected =
            Statistics { min_ms: 1.0, median_ms: 10.5, avg_ms: 10.5, p95_ms: 19.0, max_ms: 20.0, n: 20 };
        for (ours, theirs) in [
            (s.min_ms, expected.min_ms),
            (s.median_ms, expected.median_ms),
            (s.avg_ms, expected.avg_ms),
            (s.p95_ms, expected.p95_ms),
            (s.max_ms, expected.max_ms),
        ] {
            assert!((ours - theirs).abs() < 1e-9, "{s:?}");
        }
        assert_eq!((s.n, Statistics::of(&[])), (20, None));
    }
}
