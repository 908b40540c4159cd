//! How far the numbers of one value are apart in two models.

/// Sums over pairs of numbers: a of the first model, b of the second. Pairs that are not finite are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Pairs that were added.
    pub numbers: u64,
    /// Pairs of which a number is NaN or infinite.
    pub not_finite: u64,
    /// Pairs whose b lies at an end of its int8 range.
    pub at_ends: u64,
    /// Largest |a − b|.
    pub largest: f64,
    a_squares: f64,
    b_squares: f64,
    products: f64,
    noise: f64,
}

impl Sums {
    /// Adds pairs; a b outside the open interval `inner` is at an end of its range.
    pub fn add(&mut self, a: &[f32], b: &[f32], inner: (f32, f32)) {
        for (&a, &b) in a.iter().zip(b) {
            self.numbers += 1;
            if !(a.is_finite() && b.is_finite()) {
                self.not_finite += 1;
                continue;
            }
            self.at_ends += u64::from(b <= inner.0 || b >= inner.1);
            let (a, b) = (f64::from(a), f64::from(b));
            let difference = a - b;
            self.a_squares += a * a;
            self.b_squares += b * b;
            self.products += a * b;
            self.noise += difference * difference;
            self.largest = self.largest.max(difference.abs());
        }
    }

    /// Adds the pairs of another.
    pub fn merge(&mut self, other: &Sums) {
        self.numbers += other.numbers;
        self.not_finite += other.not_finite;
        self.at_ends += other.at_ends;
        self.largest = self.largest.max(other.largest);
        self.a_squares += other.a_squares;
        self.b_squares += other.b_squares;
        self.products += other.products;
        self.noise += other.noise;
    }

    /// Whether all numbers are equal.
    pub fn equal(&self) -> bool {
        self.noise == 0.0 && self.not_finite == 0
    }

    /// Signal to quantization noise, 10 log₁₀ Σa² / Σ(a − b)², in dB; `None` where it is infinite.
    pub fn sqnr_db(&self) -> Option<f64> {
        Some(10.0 * (self.a_squares / self.noise).log10()).filter(|db| db.is_finite())
    }

    /// Cosine of the angle between a and b; `None` where one of them is all zero.
    pub fn cosine(&self) -> Option<f64> {
        let lengths = self.a_squares.sqrt() * self.b_squares.sqrt();
        (lengths > 0.0).then(|| (self.products / lengths).clamp(-1.0, 1.0))
    }

    /// Share of the numbers of b that lie at an end of its range.
    pub fn share_at_ends(&self) -> f64 {
        self.at_ends as f64 / self.numbers.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: Σa² = 25, Σ(a − b)² = 0.25, Σb² = 9 + 12.25, Σab = 9 + 14.
    #[test]
    fn measures_are_those_computed_by_hand() {
        let mut sums = Sums::default();
        sums.add(&[3.0, f32::NAN], &[3.0, 1.0], (-1.0, 3.25));
        let mut more = Sums::default();
        more.add(&[4.0], &[3.5], (-1.0, 3.25));
        sums.merge(&more);
        assert!((sums.sqnr_db().unwrap() - 20.0).abs() < 1e-9);
        assert!((sums.cosine().unwrap() - 23.0 / (5.0 * 21.25f64.sqrt())).abs() < 1e-12);
        assert_eq!((sums.largest, sums.numbers, sums.not_finite, sums.at_ends), (0.5, 3, 1, 1));
        assert!(!sums.equal());
    }

    #[test]
    fn equal_and_empty_numbers_have_no_ratio() {
        let mut sums = Sums::default();
        sums.add(&[1.0, -2.0], &[1.0, -2.0], (f32::NEG_INFINITY, f32::INFINITY));
        assert_eq!((sums.sqnr_db(), sums.equal(), sums.at_ends), (None, true, 0));
        assert!((sums.cosine().unwrap() - 1.0).abs() < 1e-12);
        assert_eq!((Sums::default().sqnr_db(), Sums::default().cosine()), (None, None));
    }
}
