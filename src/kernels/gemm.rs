//! The int8 matrix product under every dense convolution, written once for all instruction sets.
//!
//! A *tile* is `MR` output pixels; a *panel* is up to four vectors of output channels. For each tile the
//! taps of its pixels are laid out as `MR` rows of `groups` groups of four input codes; for each panel the
//! micro-kernel broadcasts one group of a pixel and multiplies it with the same group of every output
//! channel. An instruction set supplies [`Dot`], and a door that calls [`conv`] with its tile.

use super::arch::LookUp;
use super::{CodeRange, Plane, PlaneMut, Window};
use crate::limits::{ARENA_ALIGN, CHANNEL_GROUP};
use std::ops::Range;

/// A vector of `i32` accumulators with the int8 dot product of one instruction set.
///
/// A value is the proof that the CPU has the instructions. Methods are `#[inline(always)]`: they become
/// vector code inside a function that enables the instruction set, and only there.
pub(crate) trait Dot: Copy {
    /// Accumulators of a vector.
    const LANES: usize;
    /// What activations are xored with: 0x80 (that is, + 128) where the instruction takes them unsigned.
    const FLIP: u8;
    /// `LANES` accumulators.
    type Acc: Copy;
    /// `LANES` groups of four bytes.
    type Groups: Copy;

    /// # Safety
    /// `LANES` values at `from` are readable.
    unsafe fn load(self, from: *const i32) -> Self::Acc;

    /// # Safety
    /// `4 · LANES` bytes at `from` are readable.
    unsafe fn groups(self, from: *const u8) -> Self::Groups;

    /// The same group in every lane.
    ///
    /// # Safety
    /// Four bytes at `from` are readable.
    unsafe fn broadcast(self, from: *const u8) -> Self::Groups;

    /// Adds to each lane the sum of its four products; exact for flipped activations and weights −127..=127.
    fn dot(self, acc: Self::Acc, activations: Self::Groups, weights: Self::Groups) -> Self::Acc;

    /// Requantizes and stores the first `count` lanes of the vectors.
    ///
    /// # Safety
    /// `NV · LANES` multipliers are readable, `count <= NV · LANES` codes at `to` are writable.
    unsafe fn store_codes<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        range: CodeRange,
        to: *mut i8,
        count: usize,
    );

    /// Scales and stores the first `count` lanes of the vectors.
    ///
    /// # Safety
    /// `NV · LANES` multipliers are readable, `count <= NV · LANES` numbers at `to` are writable.
    unsafe fn store_reals<const NV: usize>(
        self,
        acc: [Self::Acc; NV],
        multiplier: *const f32,
        to: *mut f32,
        count: usize,
    );
}

/// Bytes that start at a cache line, so that no vector of weights straddles two.
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    storage: Box<[u8]>,
    start: usize,
}

impl AlignedBytes {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        let storage = vec![0; len + ARENA_ALIGN].into_boxed_slice();
        let start = storage.as_ptr().align_offset(ARENA_ALIGN).min(ARENA_ALIGN);
        AlignedBytes { storage, start }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.storage[self.start..][..self.storage.len() - ARENA_ALIGN]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        let len = self.storage.len() - ARENA_ALIGN;
        &mut self.storage[self.start..][..len]
    }
}

/// Some output channels, as many vectors as the micro-kernel keeps in registers.
#[derive(Clone, Copy, Debug)]
struct Panel {
    vectors: usize,
    /// First output channel.
    channel: usize,
}

/// Weights in the order in which the micro-kernel reads them, with the parameters of each output channel.
///
/// Panel by panel, group by group: `vectors · lanes` groups of four weights. Output channels are padded to
/// whole vectors, input channels to whole groups, with zeros.
#[derive(Debug)]
pub(crate) struct Packed {
    groups: usize,
    channels: usize,
    panels: Vec<Panel>,
    weights: AlignedBytes,
    bias: Vec<i32>,
    multiplier: Vec<f32>,
}

/// A matrix to pack: `weight(channel, k)` for `k` below `4 · groups`.
pub(crate) struct Matrix<'a, W: Fn(usize, usize) -> i8> {
    pub(crate) groups: usize,
    pub(crate) weight: W,
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: &'a [f32],
    /// Value of zero in the activations as the dot product sees them: flipped where it wants that.
    pub(crate) zero_point: i32,
}

impl Packed {
    /// Packs for vectors of `lanes`; the zero point is folded into the bias.
    pub(crate) fn new<W: Fn(usize, usize) -> i8>(
        lanes: usize,
        widest: usize,
        matrix: &Matrix<'_, W>,
    ) -> Self {
        let (groups, channels) = (matrix.groups, matrix.bias.len());
        let vectors = channels.div_ceil(lanes);
        let mut packed = Packed {
            groups,
            channels,
            panels: panels(vectors, widest, lanes),
            weights: AlignedBytes::zeroed(vectors * lanes * groups * CHANNEL_GROUP),
            bias: vec![0; vectors * lanes],
            multiplier: vec![0.0; vectors * lanes],
        };
        packed.multiplier[..channels].copy_from_slice(matrix.multiplier);
        for channel in 0..channels {
            let sum = (0..groups * CHANNEL_GROUP).map(|k| i32::from((matrix.weight)(channel, k)));
            let sum = sum.fold(0i32, i32::wrapping_add);
            packed.bias[channel] = matrix.bias[channel].wrapping_sub(matrix.zero_point.wrapping_mul(sum));
        }
        let weights = packed.weights.as_mut_slice();
        for panel in &packed.panels {
            let width = panel.vectors * lanes;
            let rows = &mut weights[panel.channel * groups * CHANNEL_GROUP..];
            for (at, cell) in rows[..width * groups * CHANNEL_GROUP].iter_mut().enumerate() {
                let (lane, group) = (at / CHANNEL_GROUP % width, at / CHANNEL_GROUP / width);
                if panel.channel + lane < channels {
                    let k = group * CHANNEL_GROUP + at % CHANNEL_GROUP;
                    *cell = (matrix.weight)(panel.channel + lane, k) as u8;
                }
            }
        }
        packed
    }

    /// Vectors of the widest panel.
    pub(crate) fn widest(&self) -> usize {
        self.panels.iter().map(|panel| panel.vectors).max().unwrap_or(1)
    }

    /// Bytes of packed weights and parameters.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.as_slice().len() + self.bias.len() * 8
    }

    /// Bytes of a pixel's taps.
    pub(crate) fn row_bytes(&self) -> usize {
        self.groups * CHANNEL_GROUP
    }
}

/// As few panels as `widest` allows, all of nearly the same width.
fn panels(vectors: usize, widest: usize, lanes: usize) -> Vec<Panel> {
    let count = vectors.div_ceil(widest).max(1);
    let mut first = 0;
    let panel = |i: usize| {
        let vectors = vectors / count + usize::from(i < vectors % count);
        first += vectors;
        Panel { vectors, channel: (first - vectors) * lanes }
    };
    (0..count).map(panel).collect()
}

/// Where the results of a convolution go.
pub(crate) enum Output<'a> {
    Codes { dst: PlaneMut<'a, i8>, range: CodeRange, table: Option<(LookUp, &'a [i8; 256])> },
    Reals(PlaneMut<'a, f32>),
}

/// One convolution of some output rows.
pub(crate) struct Job<'a> {
    pub(crate) window: &'a Window,
    pub(crate) packed: &'a Packed,
    pub(crate) src: Plane<'a, i8>,
    /// Groups of input channels.
    pub(crate) channel_groups: usize,
    pub(crate) zero_point: i8,
    pub(crate) rows: Range<usize>,
    pub(crate) output: Output<'a>,
    /// At least `MR` rows of taps.
    pub(crate) scratch: &'a mut [u8],
}

impl Job<'_> {
    /// What the micro-kernel reads and writes without a bounds check: proves that it is there.
    fn check(&self, tile_pixels: usize, lanes: usize) {
        let (window, packed) = (self.window, self.packed);
        assert!(self.rows.end <= window.output[0]);
        let channels = self.channel_groups * CHANNEL_GROUP;
        assert_eq!(packed.row_bytes(), window.kernel[0] * window.kernel[1] * channels);
        assert!(self.scratch.len() >= tile_pixels * packed.row_bytes());
        let padded: usize = packed.panels.iter().map(|panel| panel.vectors * lanes).sum();
        assert!(packed.bias.len() == padded && packed.multiplier.len() == padded);
        assert!(packed.channels <= padded && packed.weights.as_slice().len() == padded * packed.row_bytes());
        let (len, pitch) = match &self.output {
            Output::Codes { dst, .. } => (dst.data.len(), dst.pitch),
            Output::Reals(dst) => (dst.data.len(), dst.pitch),
        };
        let pixels = self.rows.len() * window.output[1];
        assert!(pixels == 0 || len >= (pixels - 1) * pitch + packed.channels, "destination too small");
    }
}

/// Runs a job in tiles of `MR` pixels and panels of at most `NV` vectors.
///
/// # Safety
/// The caller's instruction set is that of `dot`, and `packed` was made for it.
#[inline(always)]
pub(crate) unsafe fn conv<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>) {
    job.check(MR, D::LANES);
    let pixels = job.window.pixels(&job.rows);
    let mut place = Place { y: job.rows.start, x: 0 };
    for first in pixels.clone().step_by(MR) {
        let count = MR.min(pixels.end - first);
        for row in job.scratch.chunks_exact_mut(job.packed.row_bytes()).take(count) {
            lay_out_taps(job.window, (job.src, job.channel_groups), (job.zero_point, D::FLIP), place, row);
            place.advance(job.window);
        }
        let tile = Tile { first: first - pixels.start, count };
        // SAFETY: `check` has compared every length with what the tile reads and writes.
        unsafe {
            match count {
                1 => multiply::<D, 1, NV>(dot, job, tile),
                _ => multiply::<D, MR, NV>(dot, job, tile),
            }
        }
        if let Output::Codes { dst, table: Some((look_up, table)), .. } = &mut job.output {
            let data = &mut dst.data[tile.first * dst.pitch..];
            // SAFETY: it belongs to the caller's instruction set.
            unsafe { look_up(table, job.packed.channels, PlaneMut { data, pitch: dst.pitch }, count) };
        }
    }
}

/// An output pixel.
#[derive(Clone, Copy)]
struct Place {
    y: usize,
    x: usize,
}

impl Place {
    #[inline(always)]
    fn advance(&mut self, window: &Window) {
        self.x += 1;
        if self.x == window.output[1] {
            *self = Place { y: self.y + 1, x: 0 };
        }
    }
}

/// Output pixels of a tile, counted from the first one of the job.
#[derive(Clone, Copy)]
struct Tile {
    first: usize,
    count: usize,
}

/// Copies the taps of one output pixel side by side; those in the padding are the zero point.
#[inline(always)]
fn lay_out_taps(
    window: &Window,
    (src, groups): (Plane<'_, i8>, usize),
    (zero_point, flip): (i8, u8),
    at: Place,
    to: &mut [u8],
) {
    let run = groups * CHANNEL_GROUP;
    if window.is_pointwise() {
        let from = (at.y * window.output[1] + at.x) * src.pitch;
        return copy_flipped(&src.data[from..][..run], flip, to);
    }
    let [height, width] = window.input;
    let [kernel_rows, kernel_columns] = window.kernel;
    let y = (at.y * window.stride[0]).wrapping_sub(window.pad[0]);
    let x = (at.x * window.stride[1]).wrapping_sub(window.pad[1]);
    let inside = x < width && x + (kernel_columns - 1) * window.dilation[1] < width;
    let gapless = inside && window.dilation[1] == 1 && src.pitch == run;
    for (ky, to) in to.chunks_exact_mut(run * kernel_columns).enumerate().take(kernel_rows) {
        let row = y.wrapping_add(ky * window.dilation[0]);
        if row >= height {
            to.fill(zero_point as u8 ^ flip);
        } else if gapless {
            let from = (row * width + x) * run;
            copy_flipped(&src.data[from..][..to.len()], flip, to);
        } else {
            for (kx, to) in to.chunks_exact_mut(run).enumerate() {
                let column = x.wrapping_add(kx * window.dilation[1]);
                match column < width {
                    true => copy_flipped(&src.data[(row * width + column) * src.pitch..][..run], flip, to),
                    false => to.fill(zero_point as u8 ^ flip),
                }
            }
        }
    }
}

/// Copies whole groups of codes, xored with `flip`.
#[inline(always)]
fn copy_flipped(from: &[i8], flip: u8, to: &mut [u8]) {
    let mask = u32::from_ne_bytes([flip; CHANNEL_GROUP]);
    for (to, from) in to.as_chunks_mut::<CHANNEL_GROUP>().0.iter_mut().zip(from.as_chunks().0) {
        *to = (u32::from_ne_bytes(from.map(|code| code as u8)) ^ mask).to_ne_bytes();
    }
}

/// All panels of a tile whose taps lie in the scratch.
///
/// # Safety
/// As [`conv`], after [`Job::check`].
#[inline(always)]
unsafe fn multiply<D: Dot, const MR: usize, const NV: usize>(dot: D, job: &mut Job<'_>, tile: Tile) {
    let packed = job.packed;
    for panel in &packed.panels {
        // SAFETY: the caller's. Panels are balanced: none is narrower than half of the widest, and the
        // conditions keep the compiler from generating what cannot occur.
        unsafe {
            match panel.vectors {
                1 if NV <= 2 => panel_of::<D, MR, 1>(dot, job, panel, tile),
                2 if NV == 2 || NV == 3 => panel_of::<D, MR, 2>(dot, job, panel, tile),
                3 if NV >= 3 => panel_of::<D, MR, 3>(dot, job, panel, tile),
                4 if NV == 4 => panel_of::<D, MR, 4>(dot, job, panel, tile),
                vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
            }
        }
    }
}

/// One panel of `NV` vectors.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn panel_of<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    job: &mut Job<'_>,
    panel: &Panel,
    tile: Tile,
) {
    // SAFETY: the caller's.
    unsafe {
        let acc = accumulate::<D, MR, NV>(dot, job, panel);
        finish(dot, acc, job.packed, &mut job.output, panel, tile);
    }
}

/// The micro-kernel: `bias + Σ activation · weight` of `MR` pixels and `NV` vectors of output channels.
///
/// # Safety
/// As [`multiply`]; the panel has `NV` vectors.
#[inline(always)]
unsafe fn accumulate<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    job: &Job<'_>,
    panel: &Panel,
) -> [[D::Acc; NV]; MR] {
    let (packed, row_bytes) = (job.packed, job.packed.row_bytes());
    let vector_bytes = D::LANES * CHANNEL_GROUP;
    // SAFETY: scratch holds `MR` rows, the packed weights `NV` vectors for each group of the panel, and the
    // bias `NV` vectors from the panel's first channel on.
    unsafe {
        let activations = job.scratch.as_ptr();
        let mut weights = packed.weights.as_slice().as_ptr().add(panel.channel * row_bytes);
        let bias = packed.bias.as_ptr().add(panel.channel);
        let mut first = [dot.load(bias); NV];
        for (v, acc) in first.iter_mut().enumerate() {
            *acc = dot.load(bias.add(v * D::LANES));
        }
        let mut acc = [first; MR];
        for group in 0..packed.groups {
            let mut w = [dot.groups(weights); NV];
            for (v, w) in w.iter_mut().enumerate() {
                *w = dot.groups(weights.add(v * vector_bytes));
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let a = dot.broadcast(activations.add(r * row_bytes + group * CHANNEL_GROUP));
                for (acc, w) in acc.iter_mut().zip(w) {
                    *acc = dot.dot(*acc, a, w);
                }
            }
            weights = weights.add(NV * vector_bytes);
        }
        acc
    }
}

/// Requantizes or scales the accumulators of a tile and stores those of real pixels and channels.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn finish<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    acc: [[D::Acc; NV]; MR],
    packed: &Packed,
    output: &mut Output<'_>,
    panel: &Panel,
    tile: Tile,
) {
    let channels = (packed.channels - panel.channel).min(NV * D::LANES);
    // SAFETY: multipliers are padded to whole vectors; the destination has `tile.count` pixels from
    // `tile.first` on, each with the channels that are left.
    unsafe {
        let multiplier = packed.multiplier.as_ptr().add(panel.channel);
        match output {
            Output::Codes { dst, range, .. } => {
                let to = dst.data.as_mut_ptr().add(tile.first * dst.pitch + panel.channel);
                for (r, acc) in acc.into_iter().enumerate() {
                    if r < tile.count {
                        dot.store_codes(acc, multiplier, *range, to.add(r * dst.pitch), channels);
                    }
                }
            }
            Output::Reals(dst) => {
                let to = dst.data.as_mut_ptr().add(tile.first * dst.pitch + panel.channel);
                for (r, acc) in acc.into_iter().enumerate() {
                    if r < tile.count {
                        dot.store_reals(acc, multiplier, to.add(r * dst.pitch), channels);
                    }
                }
            }
        }
    }
}
