//! AVX-512 with VNNI: sixteen dot products of four bytes in one instruction, activations unsigned.

use super::{Feed, Kernels, avx2, depthwise, interleave_sse2, tile};
use crate::kernels::collect::{self, Collect, Shuffle};
use crate::kernels::dot::Dot;
use crate::kernels::isa::Isa;
use crate::kernels::{CodeRange, Plane, PlaneMut};
use std::arch::x86_64::*;

/// Proof that the CPU has AVX-512 F, BW, VL and VNNI.
#[derive(Clone, Copy)]
pub(super) struct Avx512Vnni;

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    let vbmi = is_x86_feature_detected!("avx512vbmi");
    Isa::Avx512Vnni.is_available().then_some(Kernels {
        lanes: Avx512Vnni::LANES,
        dense: Feed::of::<Avx512Vnni>(),
        depthwise_feed: Feed::of::<Avx512Vnni>(),
        // 24 of the 32 registers hold accumulators, 1 to 4 weights, one the activations.
        tiles: &[
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-12x16", 12, 1),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-12x32", 12, 2),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-8x48", 8, 3),
            tile!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", "avx512vnni-gemm-6x64", 6, 4),
        ],
        depthwise_name: "avx512vnni-depthwise-4x64",
        depthwise: depthwise!(Avx512Vnni, "avx512f,avx512bw,avx512vl,avx512vnni", 4),
        look_up: if vbmi { look_up } else { avx2::look_up },
        collect: Some(if vbmi { (Vbmi::BYTES, collect) } else { (avx2::SHUFFLE_BYTES, avx2::collect) }),
    })
}

/// Proof that the CPU has AVX-512 BW and VBMI.
#[derive(Clone, Copy)]
struct Vbmi;

/// See [`collect::Run`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn collect(of: &Collect, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, count: usize) {
    // SAFETY: who runs this has the instruction set, and planes that are large enough.
    unsafe { collect::shuffle(Vbmi, of, src, dst, count) }
}

impl Shuffle for Vbmi {
    const BYTES: usize = 64;
    type Block = __m512i;

    #[inline(always)]
    fn zero(self) -> __m512i {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn pick(self, to: __m512i, from: *const i8, indices: *const u8) -> __m512i {
        // SAFETY: the caller's; `self` proves the CPU. An absent index has its highest bit set.
        unsafe {
            let indices = _mm512_loadu_si512(indices.cast());
            let absent = _mm512_movepi8_mask(indices);
            _mm512_mask_permutexvar_epi8(to, !absent, indices, _mm512_loadu_si512(from.cast()))
        }
    }

    #[inline(always)]
    unsafe fn store(self, block: __m512i, to: *mut i8, count: usize) {
        // SAFETY: the caller's; the mask keeps the store within `count`.
        unsafe { _mm512_mask_storeu_epi8(to, first_lanes(count), block) }
    }
}

/// See [`LookUp`](super::LookUp). A byte permutation over two registers is half of the table.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[i8; 256], channels: usize, plane: PlaneMut<'_, i8>, pixels: usize) {
    // SAFETY: the table has four times 64 bytes.
    let [a, b, c, d] = [0, 64, 128, 192].map(|at| unsafe { _mm512_loadu_si512(table[at..].as_ptr().cast()) });
    // A masked load of bytes beside those of the last store would wait for it: better without gaps.
    let gapless = plane.pitch == channels;
    let (channels, pixels) = if gapless { (channels * pixels, 1) } else { (channels, pixels) };
    for pixel in 0..pixels {
        for codes in plane.data[pixel * plane.pitch..][..channels].chunks_mut(64) {
            let lanes = first_lanes(codes.len());
            // SAFETY: the mask keeps the load within `codes`.
            let code = unsafe { _mm512_maskz_loadu_epi8(lanes, codes.as_ptr()) };
            let negative = _mm512_permutex2var_epi8(a, code, b);
            let positive = _mm512_permutex2var_epi8(c, code, d);
            let out = _mm512_mask_blend_epi8(_mm512_movepi8_mask(code), positive, negative);
            // SAFETY: the mask keeps the store within `codes`.
            unsafe { _mm512_mask_storeu_epi8(codes.as_mut_ptr(), lanes, out) };
        }
    }
}

/// The first `count` of up to 64 lanes.
#[inline(always)]
fn first_lanes(count: usize) -> u64 {
    u64::MAX >> (64 - count.clamp(1, 64))
}

/// The accumulators times their multipliers, through `cut`, rounded to the nearest integers.
///
/// # Safety
/// The CPU has AVX-512; `16 · NV` multipliers are readable.
#[inline(always)]
unsafe fn scaled<const NV: usize>(
    acc: [__m512i; NV],
    multiplier: *const f32,
    cut: impl Fn(__m512) -> __m512,
) -> [__m512i; 4] {
    // SAFETY: the caller's.
    unsafe {
        let mut steps = [_mm512_setzero_si512(); 4];
        for (v, (steps, acc)) in steps.iter_mut().zip(acc).enumerate() {
            let scale = _mm512_loadu_ps(multiplier.add(v * Avx512Vnni::LANES));
            *steps = _mm512_cvtps_epi32(cut(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale)));
        }
        steps
    }
}

/// The sums of 64 steps and a zero point, saturated to codes.
///
/// # Safety
/// The CPU has AVX-512 BW.
#[inline(always)]
unsafe fn narrow(steps: [__m512i; 4], zero_point: i8) -> __m512i {
    // SAFETY: the caller's.
    unsafe {
        let zero_point = _mm512_set1_epi16(i16::from(zero_point));
        let low = _mm512_adds_epi16(_mm512_packs_epi32(steps[0], steps[1]), zero_point);
        let high = _mm512_adds_epi16(_mm512_packs_epi32(steps[2], steps[3]), zero_point);
        // Packing works within 128-bit lanes: lane l now holds four codes of each vector.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high))
    }
}

impl Dot for Avx512Vnni {
    const LANES: usize = 16;
    const FLIP: u8 = 0x80;
    type Acc = __m512i;
    type Groups = __m512i;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    fn dot(self, acc: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: `self` proves the CPU.
        unsafe { _mm512_dpbusd_epi32(acc, activations, weights) }
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        interleave_sse2(rows, Self::FLIP, to);
    }

    const WIDE: usize = 64;

    #[inline(always)]
    unsafe fn interleave_wide(self, rows: [*const u8; 4], count: usize, to: *mut u8) {
        // SAFETY: the caller's; `self` proves the CPU; the mask keeps the loads within `count`.
        unsafe {
            // Unpacking works within 128-bit lanes: lane l gets what will be lane l of each result.
            let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            let flip = _mm512_set1_epi8(Self::FLIP as i8);
            let load = |row: *const u8| {
                let row = _mm512_maskz_loadu_epi8(first_lanes(count), row.cast());
                _mm512_permutexvar_epi32(order, _mm512_xor_si512(row, flip))
            };
            let [a, b, c, d] = [load(rows[0]), load(rows[1]), load(rows[2]), load(rows[3])];
            let (ab, ab_high) = (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b));
            let (cd, cd_high) = (_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d));
            let to = to.cast::<__m512i>();
            _mm512_storeu_si512(to, _mm512_unpacklo_epi16(ab, cd));
            if count > 16 {
                _mm512_storeu_si512(to.add(1), _mm512_unpackhi_epi16(ab, cd));
            }
            if count > 32 {
                _mm512_storeu_si512(to.add(2), _mm512_unpacklo_epi16(ab_high, cd_high));
            }
            if count > 48 {
                _mm512_storeu_si512(to.add(3), _mm512_unpackhi_epi16(ab_high, cd_high));
            }
        }
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [__m512i; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe {
            let above = _mm512_set1_ps(f32::from(i16::from(range.hi) - i16::from(range.zero_point)));
            // What is too large must be cut before it becomes an integer; what is too small becomes
            // i32::MIN, which saturation carries down to the smallest code.
            let steps = scaled(acc, multiplier, |real| _mm512_min_ps(real, above));
            let codes = _mm512_max_epi8(narrow(steps, range.zero_point), _mm512_set1_epi8(range.lo));
            _mm512_mask_storeu_epi8(to, first_lanes(count), codes);
        }
    }

    #[inline(always)]
    unsafe fn store_scaled_down<const NV: usize>(
        self,
        acc: [__m512i; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        // SAFETY: the caller's; `self` proves the CPU.
        unsafe {
            let codes = narrow(scaled(acc, multiplier, |real| real), range.zero_point);
            let codes = _mm512_max_epi8(codes, _mm512_set1_epi8(range.lo));
            let codes = _mm512_min_epi8(codes, _mm512_set1_epi8(range.hi));
            _mm512_mask_storeu_epi8(to, first_lanes(count), codes);
        }
    }

    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [__m512i; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        for (v, acc) in acc.into_iter().enumerate() {
            let left = count.saturating_sub(v * Self::LANES).min(Self::LANES);
            // SAFETY: the caller's; `self` proves the CPU; the mask keeps stores within `count`.
            unsafe {
                let scale = _mm512_loadu_ps(multiplier.add(v * Self::LANES));
                let real = _mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale);
                let mask = ((1u32 << left) - 1) as __mmask16;
                _mm512_mask_storeu_ps(to.wrapping_add(v * Self::LANES), mask, real);
            }
        }
    }
}
