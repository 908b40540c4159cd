//! Tensors to compute with.

use ocellus::kernels::{Plane, PlaneMut};
use ocellus::limits::{ARENA_ALIGN, ARENA_SLACK, CHANNEL_GROUP};

/// Numbers that begin at a cache line, with slack behind them, as in an engine's arena.
pub struct Tensor<T> {
    storage: Vec<T>,
    start: usize,
    len: usize,
    pitch: usize,
}

impl<T: Copy + Default> Tensor<T> {
    /// Zeros for so many pixels.
    pub fn new(pixels: usize, channels: usize) -> Self {
        Tensor::with_pitch(pixels, channels.next_multiple_of(CHANNEL_GROUP))
    }

    /// Zeros for so many pixels without a gap between them.
    pub fn with_pitch(pixels: usize, pitch: usize) -> Self {
        let len = pixels * pitch;
        let storage = vec![T::default(); len + ARENA_ALIGN + ARENA_SLACK];
        let start = storage.as_ptr().align_offset(ARENA_ALIGN);
        Tensor { storage, start, len, pitch }
    }

    /// The same, filled by `number`.
    #[must_use]
    pub fn filled(mut self, mut number: impl FnMut() -> T) -> Self {
        self.as_mut_slice().fill_with(&mut number);
        self
    }

    /// All elements.
    pub fn as_slice(&self) -> &[T] {
        &self.storage[self.start..][..self.len]
    }

    /// All elements.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.storage[self.start..][..self.len]
    }

    /// As a kernel reads it.
    pub fn plane(&self) -> Plane<'_, T> {
        Plane { data: self.as_slice(), pitch: self.pitch }
    }

    /// As a kernel writes it.
    pub fn plane_mut(&mut self) -> PlaneMut<'_, T> {
        let pitch = self.pitch;
        PlaneMut { data: self.as_mut_slice(), pitch }
    }
}

/// Pseudo-random codes (Knuth's MMIX generator), the same everywhere.
pub fn noise(seed: u64) -> impl FnMut() -> i8 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as i8
    }
}

/// Pseudo-random weights, −127..=127.
pub fn weights(seed: u64, count: usize) -> Vec<i8> {
    let mut code = noise(seed);
    (0..count).map(|_| code().max(-127)).collect()
}

/// A table without order, as an activation's.
pub fn table() -> Box<[i8; 256]> {
    let mut code = noise(9);
    Box::new(std::array::from_fn(|_| code()))
}
