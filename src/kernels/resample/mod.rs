//! Weighted means along the columns and rows of RGB8 pictures: what a resize with antialiasing computes.
//!
//! Weights are fixed point with [`WEIGHT_BITS`] fraction bits, not negative, about one in sum; a mean is
//! `(½ + Σ byte · weight) >> WEIGHT_BITS`, exact integer arithmetic. So all instruction sets give the same
//! bytes as [`mean`], which is the specification.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
mod columns;
mod kernel;
pub mod linear;
#[cfg(target_arch = "aarch64")]
mod neon;
mod rows;
#[cfg(test)]
mod tests;

pub use columns::Columns;
pub use kernel::ROWS;
pub use rows::{Ring, Rows};

/// Fraction bits of a weight: 8 bits of a pixel and 2 of headroom complete 32.
pub const WEIGHT_BITS: u32 = 22;
/// What a sum starts with, so that dropping the fraction rounds it.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Source samples and weights of every output sample along an axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    windows: Vec<Window>,
    /// Of all windows, one after the other.
    weights: Vec<i32>,
}

/// The source samples of an output sample.
#[derive(Clone, Debug)]
struct Window {
    /// First sample.
    first: usize,
    /// Place of the first weight.
    weights: usize,
}

impl Axis {
    /// Adds an output sample that joins the source samples from `first` on; `first` never descends.
    pub fn push(&mut self, first: usize, weights: impl Iterator<Item = i32>) {
        self.windows.push(Window { first, weights: self.weights.len() });
        self.weights.extend(weights);
    }

    /// Number of output samples.
    #[allow(clippy::len_without_is_empty, reason = "an axis without samples is of no use")]
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// First source sample and weights of output sample `i`.
    pub fn window(&self, i: usize) -> (usize, &[i32]) {
        let Window { first, weights } = self.windows[i];
        let end = self.windows.get(i + 1).map_or(self.weights.len(), |next| next.weights);
        (first, &self.weights[weights..end])
    }

    /// Most source samples of an output sample.
    pub fn widest(&self) -> usize {
        (0..self.len()).map(|i| self.window(i).1.len()).max().unwrap_or(0)
    }
}

/// The mean of bytes, each with its weight.
#[inline(always)]
pub fn mean(samples: impl Iterator<Item = (u8, i32)>) -> u8 {
    to_byte(samples.fold(HALF, |sum, (byte, weight)| sum + i32::from(byte) * weight))
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}
