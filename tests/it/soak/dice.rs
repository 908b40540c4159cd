//! Chances that are the same in each run.

/// xorshift64 (Marsaglia, 2003).
pub struct Dice(u64);

impl Dice {
    /// Of a seed that is not 0.
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}
