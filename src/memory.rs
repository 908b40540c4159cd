//! The arena: one aligned block of bytes that steps see as typed slices.
//!
//! This is one of the crate's few unsafe places. The block is shared between threads while they write to
//! different rows of the same tensor, which Rust's references cannot express; the planner's invariants do.

use crate::limits::ARENA_ALIGN;
use crate::tensor::DType;
use std::cell::UnsafeCell;

/// Element types that the arena holds: any bit pattern is a value.
///
/// # Safety
/// Implementors have no invalid bit patterns, no padding and no drop glue.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The run-time tag, if tensors have this element type.
    const DTYPE: Option<DType>;
}

// SAFETY: every bit pattern is an f32.
unsafe impl Element for f32 {
    const DTYPE: Option<DType> = Some(DType::F32);
}
// SAFETY: every bit pattern is an i8.
unsafe impl Element for i8 {
    const DTYPE: Option<DType> = Some(DType::I8);
}
// SAFETY: every bit pattern is a u8; scratch memory is made of it.
unsafe impl Element for u8 {
    const DTYPE: Option<DType> = None;
}

/// One cache line; gives the block its alignment.
#[derive(Clone)]
#[repr(C, align(64))]
struct Line([u8; ARENA_ALIGN]);

/// A block of zero-initialised bytes.
pub struct Memory {
    lines: Box<[UnsafeCell<Line>]>,
}

// SAFETY: all access goes through `view` and `view_mut`, whose callers promise that no byte is written while
// another thread reads or writes it.
unsafe impl Sync for Memory {}

impl Memory {
    /// A block of at least `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        let lines =
            (0..bytes.div_ceil(ARENA_ALIGN)).map(|_| UnsafeCell::new(Line([0; ARENA_ALIGN]))).collect();
        Memory { lines }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.lines.len() * ARENA_ALIGN
    }

    fn at<T>(&self, byte: usize, elements: usize) -> *mut T {
        let end = elements.checked_mul(size_of::<T>()).and_then(|n| n.checked_add(byte));
        assert!(end.is_some_and(|end| end <= self.bytes()), "a step reaches outside the arena");
        assert!(byte.is_multiple_of(align_of::<T>()), "a buffer is misaligned");
        // Stays inside or one past the block, by the first assertion.
        self.lines.as_ptr().cast::<u8>().cast_mut().wrapping_add(byte).cast()
    }

    /// `elements` elements from `byte` on.
    ///
    /// # Safety
    /// While the slice lives, nobody writes to these bytes.
    pub unsafe fn view<T: Element>(&self, byte: usize, elements: usize) -> &[T] {
        let start = self.at::<T>(byte, elements);
        // SAFETY: in bounds and aligned (checked by `at`), initialised (zeroed at first), any bits are a T;
        // the caller keeps writers away.
        unsafe { std::slice::from_raw_parts(start, elements) }
    }

    /// `elements` elements from `byte` on, for writing.
    ///
    /// # Safety
    /// While the slice lives, nobody else reads or writes these bytes.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn view_mut<T: Element>(&self, byte: usize, elements: usize) -> &mut [T] {
        let start = self.at::<T>(byte, elements);
        // SAFETY: as in `view`; the bytes lie in UnsafeCells, and the caller keeps everybody else away.
        unsafe { std::slice::from_raw_parts_mut(start, elements) }
    }
}
