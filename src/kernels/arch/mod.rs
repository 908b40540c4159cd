//! Instruction sets: one small file each, with its vector type and its doors.
//!
//! A door is the only function that enables an instruction set; all it calls is inlined into it. Doors are
//! reached through [`Kernels`], and a record of kernels only through [`kernels`], which asks the CPU.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512vnni;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
#[cfg(target_arch = "aarch64")]
mod dotprod;
#[cfg(target_arch = "aarch64")]
mod i8mm;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "arm")]
mod neon32;
mod scalar;

use super::PlaneMut;
use super::collect;
use super::dot::Dot;
use super::isa::Isa;
use super::job::Job;

/// A convolution kernel. Safe to call where the instruction set of its [`Kernels`] is there.
pub(crate) type Run = unsafe fn(&mut Job<'_>);

/// Looks codes up in a table, in place: some channels of the first pixels of a plane.
///
/// Safe to call where the instruction set of its [`Kernels`] is there.
pub(crate) type LookUp = unsafe fn(&[i8; 256], usize, PlaneMut<'_, i8>, usize);

/// Defines a function for every instruction set: one safe body, `#[inline(always)]`, that the compiler
/// vectorizes for each. The function panics where the CPU lacks the instruction set.
macro_rules! per_isa {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),* $(,)?) = $body:path) => {
        $(#[$doc])*
        pub fn $name(isa: $crate::kernels::isa::Isa, $($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                use $crate::kernels::isa::Isa;
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $type),*) {
                    $body($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
                fn avx512($($arg: $type),*) {
                    $body($($arg),*)
                }
                assert!(isa.is_available(), "this CPU lacks {isa}");
                match isa {
                    // What is not this architecture's is not available.
                    Isa::Scalar | Isa::Neon | Isa::Dotprod | Isa::I8mm => {}
                    // SAFETY: the CPU was asked.
                    Isa::Avx2 | Isa::AvxVnni => return unsafe { avx2($($arg),*) },
                    // SAFETY: the CPU was asked.
                    Isa::Avx512Vnni | Isa::Amx => return unsafe { avx512($($arg),*) },
                }
            }
            // NEON is part of the 64-bit ARM architecture: the body as it is has it; in the 32-bit one it cannot
            // be enabled for a function.
            #[cfg(not(target_arch = "x86_64"))]
            assert!(isa.is_available(), "this CPU lacks {isa}");
            $body($($arg),*)
        }
    };
}
pub(crate) use per_isa;

/// How kernels take their operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    /// See [`Dot::HALVES`].
    pub(crate) halves: bool,
    /// See [`Dot::FLIP`].
    pub(crate) flip: u8,
}

impl Feed {
    const fn of<D: Dot>() -> Self {
        Feed { halves: D::HALVES, flip: D::FLIP }
    }
}

/// The kernels of an instruction set, each with the tile and the packing that it expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// `i32` accumulators of a vector.
    pub(crate) lanes: usize,
    /// Of dense convolutions.
    pub(crate) dense: Feed,
    /// Of depthwise ones.
    pub(crate) depthwise_feed: Feed,
    /// Tiles of a dense convolution; entry `i` is for panels of `i + 1` vectors.
    pub(crate) tiles: &'static [Tile],
    pub(crate) depthwise_name: &'static str,
    pub(crate) depthwise: Run,
    pub(crate) look_up: LookUp,
    /// Bytes of a vector and the kernel; `None` where codes are best copied one by one.
    pub(crate) collect: Option<(usize, collect::Run)>,
}

/// A dense convolution kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Instruction set, and output pixels × output channels.
    pub(crate) name: &'static str,
    pub(crate) shape: crate::kernels::lines::Shape,
    pub(crate) conv: Run,
}

/// The door to a tile of `$pixels` output pixels and panels of `$vectors` vectors.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! tile {
    ($dot:expr, $features:literal, $name:literal, $pixels:literal, $vectors:literal) => {{
        #[target_feature(enable = $features)]
        fn door(job: &mut crate::kernels::job::Job<'_>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { crate::kernels::gemm::conv::<_, $pixels, $vectors>($dot, job) }
        }
        crate::kernels::arch::Tile {
            name: $name,
            shape: const { crate::kernels::lines::Shape::of(&$dot, $pixels) },
            conv: door,
        }
    }};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use tile;

/// The door to a depthwise convolution in panels of `$vectors` vectors.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! depthwise {
    ($dot:expr, $features:literal, $vectors:literal) => {{
        #[target_feature(enable = $features)]
        fn door(job: &mut crate::kernels::job::Job<'_>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { crate::kernels::depthwise::conv::<_, $vectors>($dot, job) }
        }
        door
    }};
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use depthwise;

/// [`Dot::interleave`](super::dot::Dot::interleave) with 128-bit vectors.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn interleave_sse2(rows: [&[u8; 16]; 4], flip: u8, to: &mut [u8; 64]) {
    use std::arch::x86_64::*;
    // SAFETY: every x86-64 CPU has SSE2; the arrays have the lengths of the loads and stores.
    unsafe {
        let flip = _mm_set1_epi8(flip as i8);
        let [a, b, c, d] = rows.map(|row| _mm_xor_si128(_mm_loadu_si128(row.as_ptr().cast()), flip));
        let (ab, ab_high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
        let (cd, cd_high) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
        let to = to.as_mut_ptr().cast::<__m128i>();
        _mm_storeu_si128(to, _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(to.add(1), _mm_unpackhi_epi16(ab, cd));
        _mm_storeu_si128(to.add(2), _mm_unpacklo_epi16(ab_high, cd_high));
        _mm_storeu_si128(to.add(3), _mm_unpackhi_epi16(ab_high, cd_high));
    }
}

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
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => amx::kernels(),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::kernels(),
        #[cfg(target_arch = "arm")]
        Isa::Neon => neon32::kernels(),
        #[cfg(target_arch = "aarch64")]
        Isa::Dotprod => dotprod::kernels(),
        #[cfg(target_arch = "aarch64")]
        Isa::I8mm => i8mm::kernels(),
        _ => None,
    };
    kernels.unwrap_or_else(|| panic!("this CPU lacks {isa}"))
}

/// Kernels that requantize in integers alone.
pub(crate) fn fixed_kernels() -> Kernels {
    scalar::FIXED_KERNELS
}

/// The kernels of `isa` for a dense convolution with so many output pixels, and so many groups of taps in a row of
/// its window.
///
/// # Panics
/// This CPU lacks it.
pub(crate) fn dense_kernels(isa: Isa, pixels: usize, groups: usize) -> Kernels {
    // A tile of AMX takes as long for one pixel as for sixteen, for one group as for sixteen.
    const AMX_PIXELS_MIN: usize = 6;
    const AMX_GROUPS_MIN: usize = 5;
    match isa {
        Isa::Amx if pixels < AMX_PIXELS_MIN || groups < AMX_GROUPS_MIN => kernels(Isa::Avx512Vnni),
        _ => kernels(isa),
    }
}

/// The codes as bytes.
#[inline(always)]
pub(crate) fn as_bytes(codes: &[i8]) -> &[u8] {
    // SAFETY: both types are one byte of any value.
    unsafe { std::slice::from_raw_parts(codes.as_ptr().cast(), codes.len()) }
}
