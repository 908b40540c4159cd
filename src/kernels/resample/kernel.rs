//! What an instruction set supplies for means, and the weights in the form that it takes.

use super::{Axis, Ring};
use crate::kernels::isa::Isa;

/// Rows whose columns are joined at once.
pub const ROWS: usize = 4;
/// Output pixels that a kernel stores together.
pub(super) const GROUP: usize = 4;
/// Bytes that a kernel reads for four source pixels: one vector of 128 bits, of which it uses twelve.
pub(super) const BLOCK_BYTES: usize = 16;

/// Joins the columns of some rows, for the groups of output pixels whose windows begin at `offsets`.
///
/// # Safety
/// The CPU has the instruction set. From each row + offset on, `blocks` blocks of [`BLOCK_BYTES`], 12 bytes
/// apart, are readable; to each output, three bytes per pixel and four more are writable.
pub(super) type JoinColumns =
    unsafe fn(packed: &Packed, offsets: &[u32], rows: [*const u8; ROWS], out: [*mut u8; ROWS]);

/// Joins rows of a ring from row `first` on, for the first bytes of `out`; returns how many. The ring has rows
/// of `out.len()` bytes at least.
///
/// # Safety
/// The CPU has the instruction set.
pub(super) type JoinRows = unsafe fn(weights: &[i32], ring: Ring<'_>, first: usize, out: &mut [u8]) -> usize;

/// The kernels of an instruction set with their form of the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// Words that hold four weights, and what brings them there.
    pub(super) words: usize,
    pub(super) pack: fn([i32; 4]) -> [i32; 4],
    pub(super) columns: JoinColumns,
    pub(super) rows: JoinRows,
}

/// `None` for the scalar instruction set.
///
/// # Panics
/// This CPU lacks `isa`.
pub(super) fn kernel(isa: Isa) -> Option<Kernel> {
    assert!(isa.is_available(), "this CPU lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(super::avx2::AVX2),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => Some(super::avx2::AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni | Isa::Amx => Some(super::avx512vnni::KERNEL),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::Dotprod | Isa::I8mm => Some(super::neon::KERNEL),
        _ => None,
    }
}

/// The weights as the kernels take them. Every window has the same number of taps, a multiple of four; what it
/// had not before weighs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// Blocks of four taps in a window.
    pub(super) blocks: usize,
    /// `[window][block][word]`.
    pub(super) weights: Vec<i32>,
}

impl Packed {
    /// The weights of these windows.
    pub(super) fn new(kernel: Kernel, axis: &Axis, windows: impl Iterator<Item = usize>) -> Self {
        let blocks = axis.widest().div_ceil(4);
        let mut packed = Packed { blocks, weights: Vec::new() };
        for (_, weights) in windows.map(|i| axis.window(i)) {
            for block in 0..blocks {
                let weight = |tap: usize| weights.get(block * 4 + tap).copied().unwrap_or(0);
                let words = (kernel.pack)(std::array::from_fn(weight));
                packed.weights.extend(&words[..kernel.words]);
            }
        }
        packed
    }
}

/// Weights as three signed 8-bit digits, the lowest first, of four taps each.
#[cfg(target_arch = "x86_64")]
pub(super) fn digits(weights: [i32; 4]) -> [i32; 4] {
    let mut rest = weights;
    std::array::from_fn(|_| {
        let digit = rest.map(|w| w as i8);
        rest = std::array::from_fn(|tap| (rest[tap] - i32::from(digit[tap])) >> 8);
        i32::from_le_bytes(digit.map(|d| d as u8))
    })
}
