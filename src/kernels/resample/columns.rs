//! Means along the columns of RGB rows.

use super::kernel::{BLOCK_BYTES, GROUP, Kernel, Packed, ROWS, kernel};
use super::{Axis, mean};
use crate::kernels::isa::Isa;

/// Joins columns of RGB8 rows, [`ROWS`] rows at a time.
#[derive(Clone, Debug)]
pub struct Columns {
    axis: Axis,
    /// Byte of a row where the window of an output pixel begins; whole groups of pixels.
    offsets: Vec<u32>,
    packed: Packed,
    /// `None` on the scalar instruction set.
    kernel: Option<Kernel>,
}

impl Columns {
    /// Joins columns as `axis` says, by the kernel of `isa`.
    ///
    /// # Panics
    /// This CPU lacks `isa`, or the axis has no samples.
    pub fn new(isa: Isa, axis: Axis) -> Self {
        assert!(axis.len() > 0 && axis.widest() > 0, "an axis without samples");
        // What completes the last group repeats the last pixel.
        let pixels = (0..axis.len().next_multiple_of(GROUP)).map(|i| i.min(axis.len() - 1));
        let offsets = pixels.clone().map(|i| axis.window(i).0 as u32 * 3).collect();
        let kernel = kernel(isa);
        let packed = kernel.map_or_else(Packed::default, |kernel| Packed::new(kernel, &axis, pixels));
        Columns { axis, offsets, packed, kernel }
    }

    /// Output pixels of a row.
    pub fn width(&self) -> usize {
        self.axis.len()
    }

    /// Least bytes of an output row; what lies behind its pixels is arbitrary.
    pub fn row_bytes(&self) -> usize {
        self.offsets.len() * 3 + 4
    }

    /// Joins the columns of the rows of `rgb` that begin at `rows`, which may be the same.
    ///
    /// # Panics
    /// A row does not lie in `rgb`, or an output is shorter than [`Columns::row_bytes`].
    pub fn join(&self, rgb: &[u8], rows: [usize; ROWS], mut out: [&mut [u8]; ROWS]) {
        assert!(out.iter().all(|out| out.len() >= self.row_bytes()));
        let rows = rows.map(|row| &rgb[row..]);
        let mut done = 0;
        if let Some(kernel) = self.kernel {
            let groups = self.groups_within(rows.iter().map(|row| row.len()).min().unwrap_or(0));
            let to = out.each_mut().map(|out| out.as_mut_ptr());
            // SAFETY: `kernel` has asked the CPU; all rows and outputs have just been measured.
            unsafe {
                (kernel.columns)(&self.packed, &self.offsets[..groups * GROUP], rows.map(<[u8]>::as_ptr), to);
            }
            done = groups * GROUP;
        }
        for (row, out) in rows.into_iter().zip(out) {
            self.join_pixels(done, row, out);
        }
    }

    /// Groups of output pixels for which the kernel reads the first `bytes` bytes of a row at most.
    fn groups_within(&self, bytes: usize) -> usize {
        let (groups, _) = self.offsets.as_chunks::<GROUP>();
        let window = 12 * (self.packed.blocks - 1) + BLOCK_BYTES;
        let fits = |group: &[u32; GROUP]| group[GROUP - 1] as usize + window <= bytes;
        // All of them, but for the last rows of a picture.
        if groups.last().is_some_and(fits) { groups.len() } else { groups.partition_point(fits) }
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
