//! What an instruction set supplies: one vector type, one instruction, and how its results leave it.

use super::CodeRange;
use super::depthwise::{self, Columns};
use super::gemm::{self, Operands};

/// A vector of `i32` accumulators with the int8 dot product of one instruction set.
///
/// A value is the proof that the CPU has the instructions. Methods are `#[inline(always)]`: they become
/// vector code inside a function that enables the instruction set, and only there.
pub(crate) trait Dot: Copy {
    /// Accumulators of a vector.
    const LANES: usize;
    /// How the `LANES` groups of a vector lie: one after the other, or the first halves of all before the
    /// second halves of all.
    const HALVES: bool = false;
    /// What activations are xored with: 0x80 (that is, + 128) where the instruction takes them unsigned.
    const FLIP: u8;
    /// `LANES` accumulators.
    type Acc: Copy;
    /// `LANES` groups of four bytes.
    type Groups: Copy;

    /// # Safety
    /// `LANES` values at `from` are readable.
    unsafe fn load(self, from: *const i32) -> Self::Acc;

    /// # Safety
    /// `4 · LANES` bytes at `from` are readable.
    unsafe fn groups(self, from: *const u8) -> Self::Groups;

    /// The same group in every lane.
    ///
    /// # Safety
    /// Four bytes at `from` are readable.
    unsafe fn broadcast(self, from: *const u8) -> Self::Groups;

    /// Groups that [`Dot::load_groups`] loads, for [`Dot::dot_nth`] to choose from: 1 or 4.
    const STEP: usize = 1;

    /// Neighbouring groups of a pixel: the one that others [`broadcast`](Dot::broadcast), or more.
    ///
    /// # Safety
    /// `4 · STEP` bytes at `from` are readable.
    #[inline(always)]
    unsafe fn load_groups(self, from: *const u8) -> Self::Groups {
        // SAFETY: the caller's.
        unsafe { self.broadcast(from) }
    }

    /// [`Dot::dot`] with group `I` in every lane.
    #[inline(always)]
    fn dot_nth<const I: usize>(
        self,
        acc: Self::Acc,
        groups: Self::Groups,
        weights: Self::Groups,
    ) -> Self::Acc {
        self.dot(acc, groups, weights)
    }

    /// Adds to each lane the sum of its four products; exact for flipped activations and weights −127..=127.
    fn dot(self, acc: Self::Acc, activations: Self::Groups, weights: Self::Groups) -> Self::Acc;

    /// Whether [`Dot::sums`] takes the taps widened to 16 bits.
    const WIDEN: bool = false;

    /// `bias + Σ activation · weight` of `MR` pixels and `NV` vectors of output channels.
    ///
    /// # Safety
    /// What `operands` says is readable, and 16 bytes behind the last group of each pixel.
    #[inline(always)]
    unsafe fn sums<const MR: usize, const NV: usize>(self, operands: Operands) -> [[Self::Acc; NV]; MR] {
        // SAFETY: the caller's.
        unsafe { gemm::sums_of_dots(self, operands) }
    }

    /// The same of `P` pixels of a depthwise convolution.
    ///
    /// # Safety
    /// What `of` says is readable.
    #[inline(always)]
    unsafe fn depthwise_sums<const P: usize, const NV: usize>(self, of: Columns) -> [[Self::Acc; NV]; P] {
        // SAFETY: the caller's.
        unsafe { depthwise::sums_of_dots(self, of) }
    }

    /// Vectors of groups: group `i` is byte `i` of each row, all flipped.
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]);

    /// Bytes of each row that [`Dot::interleave_wide`] takes at most; 0 where it is not there.
    const WIDE: usize = 0;

    /// As [`Dot::interleave`] for the first `count` bytes of longer rows; writes whole blocks of 16.
    ///
    /// # Safety
    /// `count <= WIDE` bytes of each row are readable, four times as many in whole blocks at `to` writable.
    unsafe fn interleave_wide(self, _rows: [*const u8; 4], _count: usize, _to: *mut u8) {
        unreachable!("this instruction set interleaves blocks of 16")
    }

    /// Requantizes and stores the first `count` lanes of the vectors.
    ///
    /// # Safety
    /// `NV · LANES` multipliers are readable, `count <= NV · LANES` codes at `to` are writable.
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    );

    /// As [`Dot::store_codes`], where no multiplier is 1 or more: what is scaled then still fits an `i32`.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn store_scaled_down<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's.
        unsafe { self.store_codes(acc, multiplier, range, to, count) }
    }

    /// Scales and stores the first `count` lanes of the vectors.
    ///
    /// # Safety
    /// `NV · LANES` multipliers are readable, `count <= NV · LANES` numbers at `to` are writable.
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    );
}
