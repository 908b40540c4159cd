//! NEON of 32-bit ARM, which every Raspberry Pi but the first and the Zero has.
//!
//! Intrinsics for it are not stable. So vectors stay in memory between the blocks of assembly, each of which does
//! as much as it can: all sums of two pixels, or all that becomes of a pixel's sums.

use super::{Feed, Kernels, Tile, scalar};
use crate::kernels::collect::{self, Collect, Shuffle};
use crate::kernels::depthwise::{self, Columns};
use crate::kernels::dot::Dot;
use crate::kernels::gemm::Operands;
use crate::kernels::isa::Isa;
use crate::kernels::job::Job;
use crate::kernels::lines::Shape;
use crate::kernels::{CodeRange, Plane, PlaneMut, gemm};
use crate::limits::CHANNEL_GROUP;
use std::arch::asm;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy)]
struct Neon;

/// The bits of a vector: what the compiler moves in two steps instead of four or sixteen, and aligned for
/// `vldmia` and `vstmia`, which want whole words.
type Bits = [f64; 2];

/// The door to a tile of two pixels and panels of `$vectors` vectors.
macro_rules! tile {
    ($name:literal, $vectors:literal) => {{
        fn door(job: &mut Job<'_>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { gemm::conv::<_, 2, $vectors>(Neon, job) }
        }
        Tile { name: $name, shape: const { Shape::of(&Neon, 2) }, conv: door }
    }};
}

fn depthwise(job: &mut Job<'_>) {
    // SAFETY: who runs this has the instruction set.
    unsafe { depthwise::conv::<_, 4>(Neon, job) }
}

/// See [`collect::Run`].
fn collect(of: &Collect, src: &[Plane<'_, i8>], dst: PlaneMut<'_, i8>, count: usize) {
    // SAFETY: who runs this has the instruction set, and planes that are large enough.
    unsafe { collect::shuffle(Neon, of, src, dst, count) }
}

/// `None` where the CPU lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    Isa::Neon.is_available().then_some(Kernels {
        lanes: Neon::LANES,
        dense: Feed::of::<Neon>(),
        depthwise_feed: Feed::of::<Neon>(),
        // Eight of the 16 registers hold accumulators, two weights, two activations, four products.
        tiles: &[
            tile!("neon-gemm-2x4", 1),
            tile!("neon-gemm-2x8", 2),
            tile!("neon-gemm-2x12", 3),
            tile!("neon-gemm-2x16", 4),
        ],
        depthwise_name: "neon-depthwise-4x16",
        depthwise,
        look_up: scalar::look_up,
        collect: Some((Neon::BYTES, collect)),
    })
}

/// Adds the products of a group of two pixels with one vector of weights, or with two. The products of two
/// bytes each meet in 16 bits: at most 2 · 128 · 127 = 32 512.
#[rustfmt::skip]
macro_rules! add_group {
    ($a:literal $b:literal) => {
        concat!(
            "vld1.8 {{d0, d1}}, [r2]!
            vmull.s8 q2, d0, d8
            vmull.s8 q3, d0, d10
            vmlal.s8 q2, d1, d9
            vmlal.s8 q3, d1, d11
            vpadal.s16 ", $a, ", q2
            vpadal.s16 ", $b, ", q3
            "
        )
    };
    ($a:literal $b:literal $c:literal $d:literal) => {
        concat!(
            "vld1.8 {{d0, d1, d2, d3}}, [r2]!
            vmull.s8 q2, d0, d8
            vmull.s8 q3, d0, d10
            vmull.s8 q6, d2, d8
            vmull.s8 q7, d2, d10
            vmlal.s8 q2, d1, d9
            vmlal.s8 q3, d1, d11
            vmlal.s8 q6, d3, d9
            vmlal.s8 q7, d3, d11
            vpadal.s16 ", $a, ", q2
            vpadal.s16 ", $b, ", q3
            vpadal.s16 ", $c, ", q6
            vpadal.s16 ", $d, ", q7
            "
        )
    };
}

/// The sums of two pixels: the loop over lines and groups around `$group`. `$first` and `$second` are the
/// registers of the pixels' accumulators, lists for the loads and stores.
macro_rules! sums_of_two {
    ($operands:expr, $pixels:expr, $to:expr, $first:literal, $second:literal, $($group:expr),*) => {
        asm!(
            ".fpu neon",
            concat!("vldmia {bias}, {{", $first, "}}"),
            concat!("vldmia {bias}, {{", $second, "}}"),
            "3:",
            "mov r14, {groups}",
            "4:",
            "vld1.16 {{d8[]}}, [r0]!",
            "vld1.16 {{d9[]}}, [r0]!",
            "vld1.16 {{d10[]}}, [r1]!",
            "vld1.16 {{d11[]}}, [r1]!",
            $($group,)*
            "subs r14, r14, #1",
            "bne 4b",
            "add r0, r0, {gap}",
            "add r1, r1, {gap}",
            "subs r3, r3, #1",
            "bne 3b",
            concat!("vstmia {to_first}, {{", $first, "}}"),
            concat!("vstmia {to_second}, {{", $second, "}}"),
            bias = in(reg) $operands.bias,
            groups = in(reg) $operands.groups,
            gap = in(reg) $operands.line_bytes.wrapping_sub($operands.groups * CHANNEL_GROUP),
            inout("r2") $operands.weights => _,
            inout("r0") $pixels[0] => _,
            inout("r1") $pixels[1] => _,
            inout("r3") $operands.lines => _,
            to_first = in(reg) $to[0],
            to_second = in(reg) $to[1],
            out("r14") _,
            out("d8") _, out("d9") _, out("d10") _, out("d11") _,
            out("d12") _, out("d13") _, out("d14") _, out("d15") _,
            clobber_abi("C"),
            options(nostack),
        )
    };
}

/// As [`add_group`] for one pixel of a depthwise convolution, whose groups are not broadcast.
#[rustfmt::skip]
macro_rules! add_vectors {
    ($a:literal) => {
        concat!(
            "vld1.8 {{d0, d1}}, [r2]!
            vld1.8 {{d4, d5}}, [r0]!
            vmull.s8 q12, d0, d4
            vmlal.s8 q12, d1, d5
            vpadal.s16 ", $a, ", q12
            "
        )
    };
    ($a:literal $b:literal) => {
        concat!(
            "vld1.8 {{d0, d1, d2, d3}}, [r2]!
            vld1.8 {{d4, d5, d6, d7}}, [r0]!
            vmull.s8 q12, d0, d4
            vmull.s8 q13, d2, d6
            vmlal.s8 q12, d1, d5
            vmlal.s8 q13, d3, d7
            vpadal.s16 ", $a, ", q12
            vpadal.s16 ", $b, ", q13
            "
        )
    };
}

/// The sums of a pixel of a depthwise convolution: the loop over columns and row groups around `$vectors`.
macro_rules! depthwise_sums {
    ($of:expr, $taps:expr, $to:expr, $registers:literal, $count:literal, $($vectors:expr),*) => {
        asm!(
            ".fpu neon",
            concat!("vldmia {bias}, {{", $registers, "}}"),
            "3:",
            "mov r14, {groups}",
            "4:",
            $($vectors,)*
            "add r0, r0, {group_gap}",
            "subs r14, r14, #1",
            "bne 4b",
            "add r0, r0, {column_gap}",
            "subs r3, r3, #1",
            "bne 3b",
            concat!("vstmia {to}, {{", $registers, "}}"),
            bias = in(reg) $of.bias,
            groups = in(reg) $of.groups,
            group_gap = in(reg) $of.group_bytes.wrapping_sub(16 * $count),
            column_gap = in(reg) $of.column_bytes.wrapping_sub($of.groups * $of.group_bytes),
            to = in(reg) $to,
            inout("r0") $taps => _,
            inout("r2") $of.weights => _,
            inout("r3") $of.columns => _,
            out("r14") _,
            clobber_abi("C"),
            options(nostack),
        )
    };
}

/// Requantizes the accumulators in registers `$acc` by the multipliers in `$by`.
macro_rules! codes {
    ($from:expr, $multiplier:expr, $constants:expr, $to:expr, $accs:literal, $bys:literal, $($acc:literal $by:literal),*) => {
        asm!(
            ".fpu neon",
            concat!("vldmia {from}, {{", $accs, "}}"),
            concat!("vldmia {multiplier}, {{", $bys, "}}"),
            // Smallest and largest step, what rounds, the zero point twice.
            "vldmia {constants}, {{d0, d1}}",
            "vdup.32 q3, d1[1]",
            "vdup.32 q2, d1[0]",
            "vdup.32 q1, d0[1]",
            "vdup.32 q0, d0[0]",
            $(concat!("vcvt.f32.s32 ", $acc, ", ", $acc),)*
            $(concat!("vmul.f32 ", $acc, ", ", $acc, ", ", $by),)*
            $(concat!("vmax.f32 ", $acc, ", ", $acc, ", q0"),)*
            $(concat!("vmin.f32 ", $acc, ", ", $acc, ", q1"),)*
            $(concat!("vadd.f32 ", $acc, ", ", $acc, ", q2"),)*
            "vmovn.i32 d16, q8",
            "vmovn.i32 d17, q9",
            "vmovn.i32 d18, q10",
            "vmovn.i32 d19, q11",
            "vadd.i16 q8, q8, q3",
            "vadd.i16 q9, q9, q3",
            "vmovn.i16 d16, q8",
            "vmovn.i16 d17, q9",
            "vst1.8 {{d16, d17}}, [{to}]",
            from = in(reg) $from,
            multiplier = in(reg) $multiplier,
            constants = in(reg) $constants,
            to = in(reg) $to,
            clobber_abi("C"),
            options(nostack),
        )
    };
}

/// Puts the sums of the pixels whose taps begin at `pixels` at `to`; the second may be the first.
///
/// # Safety
/// As [`Dot::sums`] with `NV` vectors.
#[inline(always)]
unsafe fn sums_of_two<const NV: usize>(operands: Operands, pixels: [*const u8; 2], to: [*mut [Bits; NV]; 2]) {
    // SAFETY: the caller's; the assembly stores `NV` vectors for each pixel.
    unsafe {
        match NV {
            1 => sums_of_two!(operands, pixels, to, "d16-d17", "d24-d25", add_group!("q8" "q12")),
            2 => sums_of_two!(operands, pixels, to, "d16-d19", "d24-d27", add_group!("q8" "q12" "q9" "q13")),
            3 => sums_of_two!(
                operands,
                pixels,
                to,
                "d16-d21",
                "d24-d29",
                add_group!("q8" "q12" "q9" "q13"),
                add_group!("q10" "q14")
            ),
            4 => sums_of_two!(
                operands,
                pixels,
                to,
                "d16-d23",
                "d24-d31",
                add_group!("q8" "q12" "q9" "q13"),
                add_group!("q10" "q14" "q11" "q15")
            ),
            _ => unreachable!("a panel of {NV} vectors"),
        }
    }
}

/// 1.5 · 2²³: see [`elementwise`](crate::kernels::elementwise). 32-bit NEON has no rounding conversion.
const MAGIC: f32 = 12_582_912.0;

impl Dot for Neon {
    const LANES: usize = 4;
    const HALVES: bool = true;
    const FLIP: u8 = 0;
    type Acc = Bits;
    type Groups = Bits;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> Bits {
        // SAFETY: the caller's.
        unsafe { from.cast::<Bits>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn groups(self, from: *const u8) -> Bits {
        // SAFETY: the caller's.
        unsafe { from.cast::<Bits>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn broadcast(self, from: *const u8) -> Bits {
        // SAFETY: the caller's.
        let [first, second] = unsafe { from.cast::<[u16; 2]>().read_unaligned() };
        [first, second].map(|half| f64::from_bits(u64::from(half) * 0x1_0001_0001_0001))
    }

    #[inline(always)]
    fn dot(self, mut acc: Bits, activations: Bits, weights: Bits) -> Bits {
        // SAFETY: `self` proves the CPU; the vectors have 16 bytes.
        unsafe {
            asm!(
                ".fpu neon",
                "vldmia {a}, {{d0, d1}}",
                "vldmia {w}, {{d2, d3}}",
                "vldmia {acc}, {{d4, d5}}",
                "vmull.s8 q3, d0, d2",
                "vmlal.s8 q3, d1, d3",
                "vpadal.s16 q2, q3",
                "vstmia {acc}, {{d4, d5}}",
                a = in(reg) &activations,
                w = in(reg) &weights,
                acc = in(reg) &mut acc,
                clobber_abi("C"),
                options(nostack),
            );
        }
        acc
    }

    #[inline(always)]
    unsafe fn sums<const MR: usize, const NV: usize>(self, operands: Operands) -> [[Bits; NV]; MR] {
        let mut sums = [[[0.0; 2]; NV]; MR];
        let to = sums.as_mut_ptr();
        for pixel in (0..MR).step_by(2) {
            // A pixel without a partner is its own.
            let both = [pixel, (pixel + 1).min(MR - 1)];
            // SAFETY: the caller's.
            unsafe {
                let pixels = both.map(|pixel| operands.taps.add(pixel * operands.step));
                sums_of_two(operands, pixels, both.map(|pixel| to.add(pixel)));
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn depthwise_sums<const P: usize, const NV: usize>(self, of: Columns) -> [[Bits; NV]; P] {
        let mut sums = [[[0.0; 2]; NV]; P];
        for (pixel, to) in sums.iter_mut().enumerate() {
            let to = to.as_mut_ptr();
            // SAFETY: the caller's; the assembly stores `NV` vectors.
            unsafe {
                let taps = of.taps.add(pixel * of.step);
                match NV {
                    1 => depthwise_sums!(of, taps, to, "d16-d17", 1, add_vectors!("q8")),
                    2 => depthwise_sums!(of, taps, to, "d16-d19", 2, add_vectors!("q8" "q9")),
                    3 => depthwise_sums!(
                        of,
                        taps,
                        to,
                        "d16-d21",
                        3,
                        add_vectors!("q8" "q9"),
                        add_vectors!("q10")
                    ),
                    4 => depthwise_sums!(
                        of,
                        taps,
                        to,
                        "d16-d23",
                        4,
                        add_vectors!("q8" "q9"),
                        add_vectors!("q10" "q11")
                    ),
                    _ => unreachable!("a panel of {NV} vectors"),
                }
            }
        }
        sums
    }

    #[inline(always)]
    fn interleave(self, rows: [&[u8; 16]; 4], to: &mut [u8; 64]) {
        // SAFETY: `self` proves the CPU; the arrays have the lengths of the loads and stores.
        unsafe {
            asm!(
                ".fpu neon",
                "vld1.8 {{d0, d1}}, [{a}]",
                "vld1.8 {{d2, d3}}, [{b}]",
                "vld1.8 {{d4, d5}}, [{c}]",
                "vld1.8 {{d6, d7}}, [{d}]",
                "vzip.8 q0, q1",
                "vzip.8 q2, q3",
                "vswp d1, d4",
                "vswp d3, d6",
                "vst1.8 {{d0, d1}}, [r12]!",
                "vst1.8 {{d4, d5}}, [r12]!",
                "vst1.8 {{d2, d3}}, [r12]!",
                "vst1.8 {{d6, d7}}, [r12]",
                a = in(reg) rows[0],
                b = in(reg) rows[1],
                c = in(reg) rows[2],
                d = in(reg) rows[3],
                inout("r12") to.as_mut_ptr() => _,
                clobber_abi("C"),
                options(nostack),
            );
        }
    }

    #[inline(always)]
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [Bits; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    ) {
        let zero = i32::from(range.zero_point);
        let step = |code: i8| ((i32::from(code) - zero) as f32).to_bits();
        let zeros = (zero as u32 & 0xffff) * 0x1_0001;
        let constants = [step(range.lo), step(range.hi), MAGIC.to_bits(), zeros];
        let (from, constants) = (acc.as_ptr(), constants.as_ptr());
        let mut rest = [0; 16];
        let codes = if count == 16 { to } else { rest.as_mut_ptr() };
        // SAFETY: the caller's; 16 codes have room at `codes`, and `count` of them at `to`.
        unsafe {
            match NV {
                1 => codes!(from, multiplier, constants, codes, "d16-d17", "d24-d25", "q8" "q12"),
                2 => codes!(from, multiplier, constants, codes, "d16-d19", "d24-d27", "q8" "q12", "q9" "q13"),
                3 => codes!(
                    from, multiplier, constants, codes, "d16-d21", "d24-d29",
                    "q8" "q12", "q9" "q13", "q10" "q14"
                ),
                4 => codes!(
                    from, multiplier, constants, codes, "d16-d23", "d24-d31",
                    "q8" "q12", "q9" "q13", "q10" "q14", "q11" "q15"
                ),
                _ => unreachable!("a panel of {NV} vectors"),
            }
            if count < 16 {
                to.copy_from_nonoverlapping(rest.as_ptr(), count);
            }
        }
    }

    /// One by one: 32-bit NEON takes the smallest numbers for zeros.
    #[inline(always)]
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [Bits; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    ) {
        for i in 0..count {
            // SAFETY: the caller's; `i` is below `count`.
            unsafe { to.add(i).write(*acc.as_ptr().cast::<i32>().add(i) as f32 * *multiplier.add(i)) };
        }
    }
}

impl Shuffle for Neon {
    const BYTES: usize = 16;
    type Block = Bits;

    #[inline(always)]
    fn zero(self) -> Bits {
        [0.0; 2]
    }

    #[inline(always)]
    unsafe fn pick(self, mut to: Bits, from: *const i8, indices: *const u8) -> Bits {
        // SAFETY: the caller's. The instruction leaves a place alone whose index is outside of the vector.
        unsafe {
            asm!(
                ".fpu neon",
                "vld1.8 {{d0, d1}}, [{from}]",
                "vld1.8 {{d2, d3}}, [{indices}]",
                "vldmia {to}, {{d4, d5}}",
                "vtbx.8 d4, {{d0, d1}}, d2",
                "vtbx.8 d5, {{d0, d1}}, d3",
                "vstmia {to}, {{d4, d5}}",
                from = in(reg) from,
                indices = in(reg) indices,
                to = in(reg) &mut to,
                clobber_abi("C"),
                options(nostack),
            );
        }
        to
    }

    #[inline(always)]
    unsafe fn store(self, block: Bits, to: *mut i8, count: usize) {
        // SAFETY: the caller's.
        unsafe {
            match count {
                16 => to.cast::<Bits>().write_unaligned(block),
                _ => to.copy_from_nonoverlapping(block.as_ptr().cast(), count),
            }
        }
    }
}
