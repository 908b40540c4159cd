//! Buffers that are used again: each step asks for the sizes of the one before.
//!
//! Fresh memory would have to be cleared, by the kernel or by the allocator, though kernels write over all of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Buffers below this many numbers are not worth keeping.
const LEN_MIN: usize = 1024;

/// Buffers of one length.
struct Kept {
    free: Vec<Vec<f32>>,
    /// How many were taken and not brought back. No more than these are accepted: what others made is not hoarded.
    out: usize,
}

static KEPT: Mutex<BTreeMap<usize, Kept>> = Mutex::new(BTreeMap::new());

fn kept() -> MutexGuard<'static, BTreeMap<usize, Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of `len` numbers, which may be any: the caller writes them all.
pub(super) fn buffer(len: usize) -> Vec<f32> {
    let free = (len >= LEN_MIN).then(|| {
        let mut kept = kept();
        let kept = kept.entry(len).or_insert(Kept { free: Vec::new(), out: 0 });
        kept.out += 1;
        kept.free.pop()
    });
    free.flatten().unwrap_or_else(|| vec![0.0; len])
}

/// A buffer of zeros.
pub(super) fn zeros(len: usize) -> Vec<f32> {
    let mut buffer = buffer(len);
    buffer.fill(0.0);
    buffer
}

/// Takes back a buffer that is no longer needed.
pub(in crate::train) fn recycle(mut buffer: Vec<f32>) {
    // So that a kernel that leaves something unwritten is found.
    if cfg!(test) {
        buffer.fill(f32::NAN);
    }
    if let Some(kept) = kept().get_mut(&buffer.len()).filter(|kept| kept.out > 0) {
        kept.out -= 1;
        kept.free.push(buffer);
    }
}
