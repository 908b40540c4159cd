//! How often each magnitude occurs in a tensor.

use crate::error::{Error, Result};

/// Bins of a [`Histogram`], as many as ncnn2table has.
pub const BINS: usize = 2048;

/// Counts of magnitudes in [`BINS`] bins of equal width from 0 to a largest magnitude.
///
/// Zeros are counted apart: padding and ReLU make many, and every grid holds them exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    absmax: f32,
    bins: Vec<u64>,
    zeros: u64,
}

impl Histogram {
    /// No numbers yet; `absmax` is the largest magnitude that is to come, finite and not negative.
    pub fn new(absmax: f32) -> Self {
        Histogram { absmax, bins: vec![0; BINS], zeros: 0 }
    }

    /// Counts `numbers`. Bin `i` begins at `i / BINS · absmax`; the last one also takes `absmax` and what
    /// lies beyond.
    pub fn add(&mut self, numbers: &[f32]) {
        let mut zeros = 0;
        for &x in numbers {
            if x == 0.0 {
                zeros += 1;
                continue;
            }
            let bin = (x.abs() / self.absmax * BINS as f32) as usize;
            self.bins[bin.min(BINS - 1)] += 1;
        }
        self.zeros += zeros;
    }

    /// Adds the counts of another part of the numbers.
    ///
    /// # Errors
    /// [`Error::Usage`]: the bins of `other` have another width.
    pub fn merge(&mut self, other: &Histogram) -> Result<()> {
        if self.absmax.to_bits() != other.absmax.to_bits() {
            let (a, b) = (self.absmax, other.absmax);
            return Err(Error::Usage(format!(
                "histograms up to {a} and up to {b} cannot be merged; count both up to the larger"
            )));
        }
        self.bins.iter_mut().zip(&other.bins).for_each(|(mine, theirs)| *mine += theirs);
        self.zeros += other.zeros;
        Ok(())
    }

    /// Largest magnitude.
    pub fn absmax(&self) -> f32 {
        self.absmax
    }

    /// Counts of the bins, without zeros.
    pub fn bins(&self) -> &[u64] {
        &self.bins
    }

    /// How many numbers are not zero.
    pub fn nonzero(&self) -> u64 {
        self.bins.iter().sum()
    }

    /// Share (0 to 1) of all numbers, zeros included, whose magnitude is above `threshold`. Within a bin they
    /// are taken as evenly spread.
    pub fn share_above(&self, threshold: f32) -> f64 {
        let all = self.nonzero() + self.zeros;
        if all == 0 || threshold >= self.absmax {
            return 0.0;
        }
        let edge = (f64::from(threshold) / f64::from(self.absmax)).max(0.0) * BINS as f64;
        let above = |(bin, &count): (usize, &u64)| count as f64 * ((bin + 1) as f64 - edge).clamp(0.0, 1.0);
        self.bins.iter().enumerate().map(above).sum::<f64>() / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a bin is 1/1024 wide.
    #[test]
    fn magnitudes_fall_into_their_bins() {
        let mut histogram = Histogram::new(2.0);
        histogram.add(&[0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 1.0 / 2048.0]);
        for (bin, count) in [(0, 1), (512, 1), (1024, 2), (2047, 1)] {
            assert_eq!(histogram.bins()[bin], count, "{bin}");
        }
        assert_eq!(histogram.nonzero(), 5);
        // One of seven is above 1.5; half of bin 1024's two, and that one, above 1 + 1/2048.
        assert!((histogram.share_above(1.5) - 1.0 / 7.0).abs() < 1e-12);
        assert!((histogram.share_above(1.0 + 1.0 / 2048.0) - 2.0 / 7.0).abs() < 1e-12);
        assert_eq!(histogram.share_above(2.0), 0.0);
    }

    #[test]
    fn parts_make_the_whole() {
        let numbers: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let of = |numbers: &[f32]| {
            let mut histogram = Histogram::new(1.0);
            histogram.add(numbers);
            histogram
        };
        let mut merged = of(&numbers[..333]);
        merged.merge(&of(&numbers[333..])).unwrap();
        assert_eq!(merged, of(&numbers));
        assert!(merged.merge(&Histogram::new(1.5)).is_err());
    }
}
