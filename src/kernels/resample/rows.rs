//! Means along rows: byte by byte, whatever the bytes are.

use super::kernel::{Kernel, Packed, kernel};
use super::{Axis, HALF, to_byte};
use crate::kernels::arch::per_isa;
use crate::kernels::isa::Isa;

/// Rows of bytes in a ring: row `y` begins at `(y % rows) · pitch`.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'a> {
    /// All rows.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub pitch: usize,
    /// Number of rows.
    pub rows: usize,
}

impl Ring<'_> {
    /// Place of the row behind the one at `place`.
    #[inline(always)]
    pub(super) fn next(self, place: usize) -> usize {
        if place + 1 == self.rows { 0 } else { place + 1 }
    }
}

/// Joins rows.
#[derive(Clone, Debug)]
pub struct Rows {
    isa: Isa,
    axis: Axis,
    packed: Packed,
    kernel: Option<Kernel>,
}

impl Rows {
    /// Joins rows as `axis` says, by the kernel of `isa`.
    ///
    /// # Panics
    /// This CPU lacks `isa`.
    pub fn new(isa: Isa, axis: Axis) -> Self {
        let kernel = kernel(isa);
        let packed = kernel.map_or_else(Packed::default, |kernel| Packed::new(kernel, &axis, 0..axis.len()));
        Rows { isa, axis, packed, kernel }
    }

    /// The windows.
    pub fn axis(&self) -> &Axis {
        &self.axis
    }

    /// Output row `y` from the source rows of a ring.
    ///
    /// # Panics
    /// The ring is shorter than it says, or its pitch than `out`.
    pub fn join(&self, y: usize, ring: Ring<'_>, out: &mut [u8]) {
        assert!(ring.rows > 0 && ring.pitch >= out.len());
        assert!(ring.rows.checked_mul(ring.pitch).is_some_and(|bytes| bytes <= ring.data.len()));
        let (first, weights) = self.axis.window(y);
        let mut done = 0;
        if let Some(kernel) = self.kernel {
            let of_window = self.packed.weights.len() / self.axis.len();
            let packed = &self.packed.weights[y * of_window..][..of_window];
            // SAFETY: `kernel` has asked the CPU.
            done = unsafe { (kernel.rows)(packed, ring, first, out) };
        }
        join_rows(self.isa, ring, first, weights, done, out);
    }
}

per_isa! {
    /// Means of the rows from `first` on, one for each weight, from byte `done` on.
    join_rows(ring: Ring<'_>, first: usize, weights: &[i32], done: usize, out: &mut [u8]) = join_rows_body
}

#[inline(always)]
fn join_rows_body(ring: Ring<'_>, first: usize, weights: &[i32], done: usize, out: &mut [u8]) {
    let (blocks, rest) = out[done..].as_chunks_mut::<64>();
    let middle = done + blocks.len() * 64;
    for (i, block) in blocks.iter_mut().enumerate() {
        join_block(ring, first, weights, done + i * 64, block);
    }
    let (blocks, rest) = rest.as_chunks_mut::<16>();
    let last = middle + blocks.len() * 16;
    for (i, block) in blocks.iter_mut().enumerate() {
        join_block(ring, first, weights, middle + i * 16, block);
    }
    let (bytes, _) = rest.as_chunks_mut::<1>();
    for (i, byte) in bytes.iter_mut().enumerate() {
        join_block(ring, first, weights, last + i, byte);
    }
}

/// The sums of a block stay in registers while the rows pass by.
#[inline(always)]
fn join_block<const N: usize>(ring: Ring<'_>, first: usize, weights: &[i32], at: usize, out: &mut [u8; N]) {
    let mut sums = [HALF; N];
    let mut place = first % ring.rows;
    for &weight in weights {
        if let Some(bytes) = ring.data[place * ring.pitch + at..].first_chunk::<N>() {
            for (sum, &byte) in sums.iter_mut().zip(bytes) {
                *sum += i32::from(byte) * weight;
            }
        }
        place = ring.next(place);
    }
    for (out, &sum) in out.iter_mut().zip(&sums) {
        *out = to_byte(sum);
    }
}
