//! Means along the columns of RGB rows: weights packed for an instruction set, and the way to its kernel.

use super::{Axis, mean};
use crate::kernels::isa::Isa;

/// Output pixels that a kernel stores together.
pub(super) const GROUP: usize = 4;
/// Bytes that a kernel reads for four source pixels: one vector of 128 bits, of which it uses twelve.
pub(super) const BLOCK_BYTES: usize = 16;

/// Joins columns of RGB8 rows, two rows at a time.
#[derive(Clone, Debug)]
pub struct Columns {
    axis: Axis,
    packed: Packed,
    /// `None` on the scalar instruction set.
    kernel: Option<Kernel>,
}

/// The weights as the kernels take them. Every window has the same number of taps, a multiple of four; what it
/// had not before weighs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    /// Byte of a row where the window of an output pixel begins; whole groups of pixels.
    pub(super) offsets: Vec<u32>,
    /// Blocks of four taps in a window.
    pub(super) blocks: usize,
    /// `[pixel][block][words]`.
    pub(super) weights: Vec<i32>,
}

/// Joins the columns of two rows, for the first groups of output pixels.
///
/// # Safety
/// The CPU has the instruction set. From each `rows[i]` + any offset of these groups on, `blocks` blocks of
/// [`BLOCK_BYTES`], 12 bytes apart, are readable; to each `out[i]`, twelve bytes per group and four more are
/// writable.
pub(super) type Join = unsafe fn(packed: &Packed, groups: usize, rows: [*const u8; 2], out: [*mut u8; 2]);

/// A kernel with its form of the weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// Words that hold four weights, and what brings them there.
    pub(super) words: usize,
    pub(super) pack: fn([i32; 4]) -> [i32; 4],
    pub(super) join: Join,
}

fn kernel(isa: Isa) -> Option<Kernel> {
    assert!(isa.is_available(), "this CPU lacks {isa}");
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(super::x86::AVX2),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni => Some(super::x86::AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni => Some(super::x86::AVX512_VNNI),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon | Isa::Dotprod => Some(super::neon::NEON),
        _ => None,
    }
}

impl Packed {
    fn new(axis: &Axis, kernel: Kernel) -> Self {
        let blocks = axis.widest().div_ceil(4);
        let mut packed = Packed { blocks, ..Packed::default() };
        for i in 0..axis.len().next_multiple_of(GROUP) {
            // What completes the last group repeats the last pixel.
            let (first, weights) = axis.window(i.min(axis.len() - 1));
            packed.offsets.push(first as u32 * 3);
            for block in 0..blocks {
                let weight = |tap: usize| weights.get(block * 4 + tap).copied().unwrap_or(0);
                let words = (kernel.pack)(std::array::from_fn(weight));
                packed.weights.extend(&words[..kernel.words]);
            }
        }
        packed
    }

    /// Groups of output pixels for which the kernel reads the first `bytes` bytes of a row at most.
    fn groups_within(&self, bytes: usize) -> usize {
        let (groups, _) = self.offsets.as_chunks::<GROUP>();
        let reach = |group: &[u32; GROUP]| group[GROUP - 1] as usize + 12 * (self.blocks - 1) + BLOCK_BYTES;
        // All of them, but for the last rows of a picture.
        match groups.last() {
            Some(last) if reach(last) > bytes => groups.partition_point(|group| reach(group) <= bytes),
            _ => groups.len(),
        }
    }
}

impl Columns {
    /// Joins columns as `axis` says, by the kernel of `isa`.
    ///
    /// # Panics
    /// This CPU lacks `isa`, or the axis has no samples.
    pub fn new(isa: Isa, axis: Axis) -> Self {
        assert!(axis.len() > 0 && axis.widest() > 0, "an axis without samples");
        let kernel = kernel(isa);
        let packed = kernel.map_or_else(Packed::default, |kernel| Packed::new(&axis, kernel));
        Columns { axis, packed, kernel }
    }

    /// Output pixels of a row.
    pub fn width(&self) -> usize {
        self.axis.len()
    }

    /// Bytes of an output row; what lies behind its pixels is arbitrary.
    pub fn pitch(&self) -> usize {
        self.axis.len().next_multiple_of(GROUP) * 3 + 4
    }

    /// Joins the columns of the two rows of `rgb` that begin at `rows`, which may be the same.
    ///
    /// # Panics
    /// A row does not lie in `rgb`, or an output is shorter than [`Columns::pitch`].
    pub fn join(&self, rgb: &[u8], rows: [usize; 2], out: [&mut [u8]; 2]) {
        assert!(out.iter().all(|out| out.len() >= self.pitch()));
        let rows = rows.map(|row| &rgb[row..]);
        let [out0, out1] = out;
        let mut done = 0;
        if let Some(kernel) = self.kernel {
            let groups = self.packed.groups_within(rows[0].len().min(rows[1].len()));
            // SAFETY: `kernel` has asked the CPU; both rows and outputs have just been measured.
            unsafe {
                (kernel.join)(
                    &self.packed,
                    groups,
                    rows.map(<[u8]>::as_ptr),
                    [out0.as_mut_ptr(), out1.as_mut_ptr()],
                );
            }
            done = groups * GROUP;
        }
        for (row, out) in rows.into_iter().zip([out0, out1]) {
            self.join_pixels(done, row, out);
        }
    }

    /// The specification, from output pixel `first` on.
    fn join_pixels(&self, first: usize, row: &[u8], out: &mut [u8]) {
        let (pixels, _) = row.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        for (i, out) in out.iter_mut().enumerate().take(self.axis.len()).skip(first) {
            let (start, weights) = self.axis.window(i);
            let window = &pixels[start..][..weights.len()];
            *out = std::array::from_fn(|c| {
                mean(window.iter().zip(weights).map(|(pixel, &weight)| (pixel[c], weight)))
            });
        }
    }
}
