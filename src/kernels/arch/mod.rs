//! Instruction sets: one small file each, with its vector type and its doors.
//!
//! A door is the only function that enables an instruction set; all it calls is inlined into it. Doors are
//! reached through [`Kernels`], and a record of kernels only through [`kernels`], which asks the CPU.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
mod scalar;

use super::PlaneMut;
use super::gemm::Job;
use super::isa::Isa;

/// Looks codes up in a table, in place: some channels of the first pixels of a plane.
///
/// Safe to call where the instruction set of its [`Kernels`] is there.
pub(crate) type LookUp = unsafe fn(&[i8; 256], usize, PlaneMut<'_, i8>, usize);

/// The kernels of an instruction set, each with the tile and the packing that it expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// `i32` accumulators of a vector.
    pub(crate) lanes: usize,
    /// See [`Dot::FLIP`](super::gemm::Dot::FLIP).
    pub(crate) flip: u8,
    /// Tiles of a dense convolution; entry `i` is for panels of `i + 1` vectors.
    pub(crate) tiles: &'static [Tile],
    pub(crate) look_up: LookUp,
}

/// A dense convolution kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Instruction set, and output pixels × output channels.
    pub(crate) name: &'static str,
    /// Output pixels.
    pub(crate) pixels: usize,
    /// Safe to call where the instruction set is there.
    pub(crate) conv: unsafe fn(&mut Job<'_>),
}

/// The door to a tile of `$pixels` output pixels and panels of `$vectors` vectors.
macro_rules! tile {
    ($dot:expr, $features:literal, $name:literal, $pixels:literal, $vectors:literal) => {{
        #[target_feature(enable = $features)]
        fn door(job: &mut crate::kernels::gemm::Job<'_>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { crate::kernels::gemm::conv::<_, $pixels, $vectors>($dot, job) }
        }
        crate::kernels::arch::Tile { name: $name, pixels: $pixels, conv: door }
    }};
}
use tile;

/// The kernels of `isa`.
///
/// # Panics
/// This CPU lacks it.
pub(crate) fn kernels(isa: Isa) -> Kernels {
    let kernels = match isa {
        Isa::Scalar => Some(scalar::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::kernels(),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => avxvnni::kernels(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => avx512vnni::kernels(),
        #[cfg(not(target_arch = "x86_64"))]
        _ => None,
    };
    kernels.unwrap_or_else(|| panic!("this CPU lacks {isa}"))
}
