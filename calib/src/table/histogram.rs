//! How often each magnitude occurs in a tensor.

/// Bins of a [`Histogram`], as many as ncnn2table has.
pub const BINS: usize = 2048;

/// Smallest and largest number of a tensor, zero included.
pub type Range = (f32, f32);

/// Counts of numbers by magnitude, each sign for itself, in [`BINS`] bins of equal width from 0 to a largest
/// magnitude.
///
/// Zeros are counted apart: padding and ReLU make many, and every grid holds them exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    lowest: f32,
    highest: f32,
    negative: Vec<u64>,
    positive: Vec<u64>,
    zeros: u64,
}

impl Histogram {
    /// No numbers yet. Those to come lie within `lowest..=highest`, finite; zero is added to that range.
    pub fn new(lowest: f32, highest: f32) -> Self {
        let (lowest, highest) = (lowest.min(0.0), highest.max(0.0));
        Histogram { lowest, highest, negative: vec![0; BINS], positive: vec![0; BINS], zeros: 0 }
    }

    /// Of counts that were made before: magnitudes of negative and of positive numbers, and zeros. `None` where they are
    /// not of [`BINS`] bins, or their sum is beyond all numbers.
    pub fn of_counts(
        (lowest, highest): Range,
        [negative, positive]: [Vec<u64>; 2],
        zeros: u64,
    ) -> Option<Self> {
        let mut all = negative.iter().chain(&positive).copied();
        all.try_fold(zeros, u64::checked_add)?;
        let whole = negative.len() == BINS && positive.len() == BINS;
        whole.then(|| Histogram { negative, positive, zeros, ..Histogram::new(lowest, highest) })
    }

    /// Counts of the magnitudes of negative and of positive numbers.
    pub fn sides(&self) -> [&[u64]; 2] {
        [&self.negative, &self.positive]
    }

    /// How many numbers are zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Counts `numbers`. Bin `i` begins at `i / BINS · absmax`; the last one also takes `absmax` and what
    /// lies beyond.
    pub fn add(&mut self, numbers: &[f32]) {
        let absmax = self.absmax();
        let mut zeros = 0;
        for &x in numbers {
            if x == 0.0 {
                zeros += 1;
                continue;
            }
            // Not times the inverse: ncnn's bins are those of this division.
            let bin = ((x.abs() / absmax * BINS as f32) as usize).min(BINS - 1);
            let side = if x > 0.0 { &mut self.positive } else { &mut self.negative };
            side[bin] += 1;
        }
        self.zeros += zeros;
    }

    /// Adds the counts of another part of the numbers. Where that part reaches less far, or further, the counts of
    /// the narrower bins are spread over the wider ones, evenly within a bin: thresholds then move by a bin at
    /// most.
    pub fn merge(&mut self, other: &Histogram) {
        let absmax = self.absmax().max(other.absmax());
        for (mine, theirs) in [(&mut self.positive, &other.positive), (&mut self.negative, &other.negative)] {
            *mine = spread(mine, self.highest.max(-self.lowest), absmax);
            let theirs = spread(theirs, other.absmax(), absmax);
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
        self.zeros += other.zeros;
        (self.lowest, self.highest) = (self.lowest.min(other.lowest), self.highest.max(other.highest));
    }

    /// Largest magnitude.
    pub fn absmax(&self) -> f32 {
        self.highest.max(-self.lowest)
    }

    /// Smallest and largest number, zero included.
    pub fn range(&self) -> Range {
        (self.lowest, self.highest)
    }

    /// Counts of magnitudes, without zeros.
    pub fn bins(&self) -> Vec<u64> {
        self.positive.iter().zip(&self.negative).map(|(a, b)| a + b).collect()
    }

    /// How many numbers are not zero.
    pub fn nonzero(&self) -> u64 {
        self.positive.iter().chain(&self.negative).sum()
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> u64 {
        self.nonzero() + self.zeros
    }

    /// In how many places numbers lie: bins that have some, and zero.
    pub fn distinct(&self) -> usize {
        self.middles().count() + usize::from(self.zeros > 0)
    }

    /// The middle of each bin that has numbers, and how many.
    pub fn middles(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = f64::from(self.absmax()) / BINS as f64;
        let sides = [(-width, &self.negative), (width, &self.positive)];
        sides.into_iter().flat_map(|(width, counts)| {
            let counted = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            counted.map(move |(bin, &count)| ((bin as f64 + 0.5) * width, count))
        })
    }

    /// Share (0 to 1) of all numbers, zeros included, whose magnitude is above `threshold`. Within a bin they
    /// are taken as evenly spread.
    pub fn share_above(&self, threshold: f32) -> f64 {
        self.share_outside(-threshold, threshold)
    }

    /// Share (0 to 1) of all numbers that lie below `low` or above `high`.
    pub fn share_outside(&self, low: f32, high: f32) -> f64 {
        let all = self.numbers();
        let beyond = |counts: &[u64], threshold: f32| {
            let edge = (f64::from(threshold) / f64::from(self.absmax())).max(0.0) * BINS as f64;
            let above =
                |(bin, &count): (usize, &u64)| count as f64 * ((bin + 1) as f64 - edge).clamp(0.0, 1.0);
            counts.iter().enumerate().map(above).sum::<f64>()
        };
        let below = if low <= self.lowest { 0.0 } else { beyond(&self.negative, -low) };
        let above = if high >= self.highest { 0.0 } else { beyond(&self.positive, high) };
        if all == 0 { 0.0 } else { (below + above) / all as f64 }
    }
}

/// Counts of bins up to `from` as counts of as many bins up to `to`, which is not less.
fn spread(counts: &[u64], from: f32, to: f32) -> Vec<u64> {
    if from.to_bits() == to.to_bits() || from == 0.0 {
        return counts.to_vec();
    }
    let ratio = f64::from(to) / f64::from(from);
    let mut below = 0.0;
    let mut counted = 0;
    let (mut bin, mut taken) = (0, 0u64);
    // What lies below each new edge, rounded, so that nothing is lost or counted twice.
    let new = (1..=counts.len()).map(|edge| {
        let end = edge as f64 * ratio;
        while bin < counts.len() && (bin + 1) as f64 <= end {
            taken += counts[bin];
            bin += 1;
        }
        let part = counts.get(bin).map_or(0.0, |&count| count as f64 * (end - bin as f64).clamp(0.0, 1.0));
        below = f64::max(below, (taken as f64 + part).round());
        let count = below as u64 - counted;
        counted = below as u64;
        count
    });
    new.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a bin is 1/1024 wide.
    #[test]
    fn magnitudes_fall_into_their_bins() {
        let mut histogram = Histogram::new(-1.0, 2.0);
        histogram.add(&[0.0, -0.0, 1.0, -1.0, 2.0, 0.5, 1.0 / 2048.0]);
        for (bin, count) in [(0, 1), (512, 1), (1024, 2), (2047, 1)] {
            assert_eq!(histogram.bins()[bin], count, "{bin}");
        }
        assert_eq!(histogram.nonzero(), 5);
        // One of seven is above 1.5; that one, and half of the 1 in bin 1024, above 1 + 1/2048. Nothing is below −1.
        assert!((histogram.share_above(1.5) - 1.0 / 7.0).abs() < 1e-12);
        assert!((histogram.share_above(1.0 + 1.0 / 2048.0) - 1.5 / 7.0).abs() < 1e-12);
        assert_eq!(histogram.share_above(2.0), 0.0);
    }

    #[test]
    fn parts_make_the_whole() {
        let numbers: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let of = |numbers: &[f32]| {
            let mut histogram = Histogram::new(-1.0, 1.0);
            histogram.add(numbers);
            histogram
        };
        let mut merged = of(&numbers[..333]);
        merged.merge(&of(&numbers[333..]));
        assert_eq!(merged, of(&numbers));
        // By hand: bins of 1/1024 become bins of 2/1024, two to one; no number is lost.
        let mut wide = Histogram::new(0.0, 4.0);
        let mut narrow = Histogram::new(0.0, 2.0);
        narrow.add(&[0.0, 1.0 / 1024.0, 1.5 / 1024.0, 2.0 / 1024.0, 2.0]);
        wide.merge(&narrow);
        assert_eq!((wide.bins()[0], wide.bins()[1], wide.bins()[1023]), (2, 1, 1));
        narrow.merge(&Histogram::new(0.0, 4.0));
        assert_eq!((narrow.bins(), narrow.range(), narrow.numbers()), (wide.bins(), (0.0, 4.0), 5));
    }
}
