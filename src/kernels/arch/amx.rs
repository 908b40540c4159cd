//! AMX: sixteen pixels times sixteen output channels times sixteen groups of four in one instruction.
//!
//! Sums leave the tiles through memory. While those of one tile are requantized, with AVX-512, the tiles already
//! multiply the next one.

use super::avx512vnni::{self, Avx512Vnni};
use super::{Feed, Kernels, Tile};
use crate::kernels::dot::Dot;
use crate::kernels::gemm::{self, Multiply};
use crate::kernels::isa::Isa;
use crate::kernels::job::{Job, Pixels, finish};
use crate::kernels::lines::{Lines, Shape};
use crate::kernels::packed::Panel;
use crate::limits::CHANNEL_GROUP;
use std::arch::asm;

/// Rows of a tile: pixels of the taps and sums, groups of the weights.
const ROWS: usize = 16;
/// Bytes of a row.
const ROW_BYTES: usize = 64;

const SHAPE: Shape = Shape { pixels: ROWS, groups: ROWS, widen: false };

/// The door to panels of at most `$vectors` vectors.
macro_rules! tile {
    ($name:literal, $vectors:literal) => {{
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn door(job: &mut Job<'_>) {
            // SAFETY: who runs this has the instruction set.
            unsafe { gemm::run(Tiles::<$vectors>::new(), job) }
        }
        Tile { name: $name, shape: SHAPE, conv: door }
    }};
}

/// `None` where the CPU or the system lacks the instruction set.
pub(super) fn kernels() -> Option<Kernels> {
    let vectors = avx512vnni::kernels()?;
    Isa::Amx.is_available().then_some(Kernels {
        dense: Feed { halves: false, flip: 0 },
        tiles: &[
            tile!("amx-gemm-16x16", 1),
            tile!("amx-gemm-16x32", 2),
            tile!("amx-gemm-16x48", 3),
            tile!("amx-gemm-16x64", 4),
        ],
        ..vectors
    })
}

/// The shapes of the eight tiles, as the CPU loads them: four of sums, one of taps, three of weights, so that no
/// product waits for the weights of the next.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Shapes {
    /// For chunks of `groups`.
    fn new(groups: usize) -> Self {
        let (whole, taps) = (ROW_BYTES as u16, (groups * CHANNEL_GROUP) as u16);
        let (rows, groups) = (ROWS as u8, groups as u8);
        let none = [0; 14];
        let mut shapes =
            Shapes { palette: 1, start_row: 0, reserved: none, row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].copy_from_slice(&[whole, whole, whole, whole, taps, whole, whole, whole]);
        shapes.rows[..8].copy_from_slice(&[rows, rows, rows, rows, rows, groups, groups, groups]);
        shapes
    }
}

/// Sums of a tile: `[pixel][vector][channel]`.
#[repr(align(64))]
struct Sums([i32; ROWS * 4 * ROWS]);

/// Proof of the instruction set, and the sums that wait to be requantized.
struct Tiles<const NV: usize> {
    sums: Sums,
    /// What they are of.
    waiting: Option<(Panel, Pixels)>,
}

/// One instruction on tile `$v` of the sums.
macro_rules! on_sum {
    ($v:expr, $before:literal, $after:literal, $($operands:tt)*) => {
        match $v {
            0 => asm!(concat!($before, "tmm0", $after), $($operands)*),
            1 => asm!(concat!($before, "tmm1", $after), $($operands)*),
            2 => asm!(concat!($before, "tmm2", $after), $($operands)*),
            _ => asm!(concat!($before, "tmm3", $after), $($operands)*),
        }
    };
}

impl<const NV: usize> Tiles<NV> {
    fn new() -> Self {
        Tiles { sums: Sums([0; ROWS * 4 * ROWS]), waiting: None }
    }

    /// Multiplies a tile with a panel of `V` vectors, then requantizes the tile before it.
    ///
    /// # Safety
    /// As [`Multiply::tile`]; the panel has `V` vectors.
    #[inline(always)]
    unsafe fn panel<const V: usize>(
        &mut self,
        job: &mut Job<'_>,
        panel: &Panel,
        tile: Pixels,
        (lines, at): (&Lines, usize),
    ) {
        let packed = job.packed;
        // SAFETY: the lines have `ROWS` pixels from pixel `at` on, the packed weights `V` vectors for each group
        // of the panel, the bias `V` vectors from the panel's first channel on, a buffer four vectors of sums
        // for each pixel. The compiler uses no tile.
        unsafe {
            let bias = packed.bias.as_ptr().add(panel.channel);
            for v in 0..V {
                // A stride of zero: the same bias for every pixel.
                on_sum!(v, "tileloadd ", ", [{bias} + {stride}]",
                    bias = in(reg) bias.add(v * ROWS), stride = in(reg) 0usize, options(nostack));
            }
            let mut weights = packed.weights.as_slice().as_ptr().add(panel.channel * packed.row_bytes());
            let (chunk, chunks) = lines.chunks();
            for line in 0..lines.count {
                let taps = job.scratch.as_ptr().add(line * lines.bytes + at * lines.step);
                for i in 0..chunks {
                    add_chunk::<V>((taps.add(i * chunk * CHANNEL_GROUP), lines.step), weights);
                    weights = weights.wrapping_add(chunk * V * ROW_BYTES);
                }
            }
            // The sums of the tile before are read before new ones overwrite them.
            self.finish(job);
            let sums = self.sums.0.as_mut_ptr();
            for v in 0..V {
                on_sum!(v, "tilestored [{sums} + {stride}], ", "",
                    sums = in(reg) sums.add(v * ROWS), stride = in(reg) V * ROW_BYTES, options(nostack));
            }
        }
        self.waiting = Some((*panel, tile));
    }

    /// Requantizes the sums that wait.
    ///
    /// # Safety
    /// As [`Multiply::tile`].
    #[inline(always)]
    unsafe fn finish(&mut self, job: &mut Job<'_>) {
        let Some((panel, tile)) = self.waiting.take() else { return };
        // SAFETY: the caller's.
        unsafe {
            match panel.vectors {
                1 => self.finish_vectors::<1>(job, &panel, tile),
                2 if NV >= 2 => self.finish_vectors::<2>(job, &panel, tile),
                3 if NV >= 3 => self.finish_vectors::<3>(job, &panel, tile),
                _ => self.finish_vectors::<4>(job, &panel, tile),
            }
        }
    }

    /// [`Tiles::finish`] for panels of `V` vectors.
    ///
    /// # Safety
    /// As [`Multiply::tile`]; the panel has `V` vectors.
    #[inline(always)]
    unsafe fn finish_vectors<const V: usize>(&self, job: &mut Job<'_>, panel: &Panel, tile: Pixels) {
        for row in 0..tile.count {
            let pixel = Pixels { first: tile.first + row, count: 1 };
            // SAFETY: the caller's; there are `V` vectors of sums for each of the tile's pixels.
            unsafe {
                let sums = self.sums.0.as_ptr().add(row * V * ROWS);
                let mut acc = [Avx512Vnni.load(sums); V];
                for (v, acc) in acc.iter_mut().enumerate() {
                    *acc = Avx512Vnni.load(sums.add(v * ROWS));
                }
                finish::<_, 1, V>(Avx512Vnni, [acc], job.packed, &mut job.output, panel, pixel);
            }
        }
    }
}

/// Adds the products of a chunk of each pixel with `V` vectors of weights.
///
/// # Safety
/// `ROWS` pixels with as many groups as the shapes say are readable at `taps`, a pixel every so many bytes, and as
/// many rows of `V` vectors at `weights`.
#[inline(always)]
unsafe fn add_chunk<const V: usize>(taps: (*const u8, usize), weights: *const u8) {
    let stride = V * ROW_BYTES;
    // SAFETY: the caller's.
    unsafe {
        asm!("tileloadd tmm4, [{taps} + {stride}]", taps = in(reg) taps.0, stride = in(reg) taps.1, options(nostack));
        asm!("tileloadd tmm5, [{weights} + {stride}]", weights = in(reg) weights, stride = in(reg) stride, options(nostack));
        if V > 1 {
            asm!("tileloadd tmm6, [{weights} + {stride} + 64]", weights = in(reg) weights, stride = in(reg) stride, options(nostack));
        }
        if V > 2 {
            asm!("tileloadd tmm7, [{weights} + {stride} + 128]", weights = in(reg) weights, stride = in(reg) stride, options(nostack));
        }
        asm!("tdpbssd tmm0, tmm4, tmm5", options(nostack, nomem));
        if V > 3 {
            asm!("tileloadd tmm5, [{weights} + {stride} + 192]", weights = in(reg) weights, stride = in(reg) stride, options(nostack));
        }
        if V > 1 {
            asm!("tdpbssd tmm1, tmm4, tmm6", options(nostack, nomem));
        }
        if V > 2 {
            asm!("tdpbssd tmm2, tmm4, tmm7", options(nostack, nomem));
        }
        if V > 3 {
            asm!("tdpbssd tmm3, tmm4, tmm5", options(nostack, nomem));
        }
    }
}

impl<const NV: usize> Multiply for Tiles<NV> {
    const LANES: usize = ROWS;
    const FLIP: u8 = 0;
    const SHAPE: Shape = SHAPE;

    #[inline(always)]
    unsafe fn start(&mut self, lines: &Lines) {
        let shapes = Shapes::new(lines.chunks().0);
        // SAFETY: the CPU and the system have tiles; the shapes are 64 bytes.
        unsafe { asm!("ldtilecfg [{shapes}]", shapes = in(reg) &shapes, options(nostack)) };
    }

    #[inline(always)]
    unsafe fn tile(&mut self, job: &mut Job<'_>, tile: Pixels, at: (&Lines, usize)) {
        let packed = job.packed;
        for panel in &packed.panels {
            // SAFETY: the caller's.
            unsafe {
                match panel.vectors {
                    1 => self.panel::<1>(job, panel, tile, at),
                    2 if NV >= 2 => self.panel::<2>(job, panel, tile, at),
                    3 if NV >= 3 => self.panel::<3>(job, panel, tile, at),
                    4 if NV >= 4 => self.panel::<4>(job, panel, tile, at),
                    vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn flush(&mut self, job: &mut Job<'_>) {
        // SAFETY: the caller's.
        unsafe { self.finish(job) };
    }
}

impl<const NV: usize> Drop for Tiles<NV> {
    fn drop(&mut self) {
        // SAFETY: the tiles were loaded by this thread; what they hold is not needed any more, and the system
        // then need not save it.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
