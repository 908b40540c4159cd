//! Random numbers that depend on their seed alone, on every machine.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of a seed of several parts, such as run, epoch and picture. Parts that differ give streams that have
    /// nothing in common.
    pub fn new(seed: &[u64]) -> Self {
        Random(seed.iter().fold(0, |mut state, part| {
            state ^= part;
            next_random(&mut state)
        }))
    }

    /// A number below `count`, which must not be 0, each equally likely.
    pub fn below(&mut self, count: usize) -> usize {
        // The upper half of the product is evenly spread below `count`.
        ((u128::from(next_random(&mut self.0)) * count as u128) >> 64) as usize
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f64 {
        // As many bits as an f64 holds.
        (next_random(&mut self.0) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `-reach..reach`.
    pub fn around(&mut self, reach: f64) -> f64 {
        (self.unit() * 2.0 - 1.0) * reach
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number of the standard normal distribution, by Box and Muller's method.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Puts `items` into an order of which each is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for left in (2..=items.len()).rev() {
            items.swap(left - 1, self.below(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_every_part_of_the_seed() {
        let first = |seed: &[u64]| Random::new(seed).unit();
        assert_eq!(first(&[1, 2, 3]), first(&[1, 2, 3]));
        for other in [[1, 2, 4], [1, 3, 3], [2, 2, 3], [2, 1, 3], [3, 2, 1]] {
            assert_ne!(first(&[1, 2, 3]), first(&other));
        }
    }

    /// Means and spreads of the distributions, within four standard errors.
    #[test]
    fn numbers_are_spread_as_they_say() {
        const DRAWS: usize = 20_000;
        let mut random = Random::new(&[5]);
        let mut moments = |draw: &dyn Fn(&mut Random) -> f64| {
            let drawn: Vec<f64> = (0..DRAWS).map(|_| draw(&mut random)).collect();
            let mean = drawn.iter().sum::<f64>() / DRAWS as f64;
            [mean, drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / DRAWS as f64]
        };
        let near = |[mean, variance]: [f64; 2], [m, v]: [f64; 2]| {
            let error = 4.0 * (v / DRAWS as f64).sqrt();
            assert!((mean - m).abs() < error && (variance / v - 1.0).abs() < 0.05, "{mean} {variance}");
        };
        near(moments(&|r| r.unit()), [0.5, 1.0 / 12.0]);
        near(moments(&|r| r.around(3.0)), [0.0, 3.0]);
        near(moments(&|r| r.normal()), [0.0, 1.0]);
        near(moments(&|r| f64::from(u8::from(r.chance(0.2)))), [0.2, 0.16]);
        near(moments(&|r| r.below(10) as f64), [4.5, 8.25]);
    }

    #[test]
    fn a_shuffle_keeps_all_items() {
        let mut items: Vec<u32> = (0..50).collect();
        Random::new(&[1]).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
