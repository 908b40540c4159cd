//! Vectors of floats: what an instruction set supplies to the float kernels, which are written once.
//!
//! A sum is one chain of [`Lanes::mul_add`] in the order of the weights, one chain per element of the result.
//! So it does not depend on how pixels and channels are cut into tiles, and it is the same on all instruction
//! sets that multiply and add in one rounding (all but [`Plain`] on x86-64).

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::depthwise;
use super::gemm;
use crate::kernels::isa::Isa;

/// A vector of floats of one instruction set.
///
/// A value is the proof that the CPU has the instructions. Methods are `#[inline(always)]`: they become
/// vector code inside a function that enables the instruction set, and only there.
pub(super) trait Lanes: Copy {
    /// Floats of a vector.
    const COUNT: usize;
    /// `COUNT` floats.
    type Vector: Copy;

    /// The same number in every lane.
    fn splat(self, x: f32) -> Self::Vector;

    /// # Safety
    /// `COUNT` floats at `from` are readable.
    unsafe fn load(self, from: *const f32) -> Self::Vector;

    /// The first `count` lanes, at most `COUNT`; the others are zero.
    ///
    /// # Safety
    /// `count` floats at `from` are readable.
    unsafe fn load_first(self, from: *const f32, count: usize) -> Self::Vector;

    /// Stores the first `count` lanes, at most `COUNT`.
    ///
    /// # Safety
    /// `count` floats at `to` are writable.
    unsafe fn store_first(self, vector: Self::Vector, to: *mut f32, count: usize);

    /// `a · b + c`, rounded once where the instruction set can.
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// `max(x, lo)`, then `min(·, hi)`; a NaN becomes `lo`.
    fn clamp(self, x: Self::Vector, lo: Self::Vector, hi: Self::Vector) -> Self::Vector;
}

/// The float kernels of an instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    /// Instruction set.
    pub name: &'static str,
    /// Floats of a vector.
    pub lanes: usize,
    /// Most vectors of a panel of output channels.
    pub vectors: usize,
    pub gemm: gemm::Run,
    pub depthwise: depthwise::Run,
}

/// The kernels that `isa` goes with.
///
/// # Panics
/// This CPU lacks it.
pub(super) fn kernels(isa: Isa) -> Kernels {
    assert!(isa.is_available(), "this CPU lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::AvxVnni => x86::fma_kernels().unwrap_or(plain::KERNELS),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni | Isa::Amx => x86::AVX512_KERNELS,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::Dotprod | Isa::I8mm => neon::KERNELS,
        _ => plain::KERNELS,
    }
}

/// The doors to the kernels with the vectors `$lanes`: tiles of `$rows` pixels and up to `$vectors` vectors.
///
/// Both are safe to call where the CPU has `$features`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! doors {
    ($name:literal, $lanes:ident, $features:literal, $rows:literal, $vectors:literal) => {{
        #[target_feature(enable = $features)]
        fn gemm(block: &$crate::kernels::float::gemm::Block<'_>, dst: $crate::kernels::PlaneMut<'_, f32>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { $crate::kernels::float::gemm::multiply::<_, $rows, $vectors>($lanes, block, dst) }
        }
        #[target_feature(enable = $features)]
        fn depthwise(
            layer: &$crate::kernels::float::depthwise::Depthwise,
            src: $crate::kernels::Plane<'_, f32>,
            dst: $crate::kernels::PlaneMut<'_, f32>,
            row: usize,
        ) {
            // SAFETY: who runs this has the instruction set.
            unsafe { $crate::kernels::float::depthwise::convolve_row($lanes, layer, src, dst, row) }
        }
        $crate::kernels::float::lanes::Kernels {
            name: $name,
            lanes: <$lanes as $crate::kernels::float::lanes::Lanes>::COUNT,
            vectors: $vectors,
            gemm,
            depthwise,
        }
    }};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use doors;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_has_kernels() {
        for isa in Isa::available() {
            let kernels = kernels(isa);
            assert!(kernels.lanes.is_power_of_two() && kernels.vectors > 0, "{isa}: {}", kernels.name);
        }
    }
}
