//! Matrix product with a constant right-hand side.
//!
//! Rows of the left-hand side are pixels, columns of the result are output channels. A tile of pixels × a panel of
//! channels is summed in registers; its pixels need not lie together, nor need the numbers of one pixel: they
//! are read in segments from where they are.

use super::lanes::{Kernels, Lanes};
use crate::kernels::{Plane, PlaneMut};

/// Most rows that are computed together: a panel of weights is in the cache for all of them.
pub(super) const BLOCK_ROWS: usize = 48;

/// Rows of `inputs` numbers that are computed together: fewer, where a panel exceeds the cache anyway.
pub(super) fn block_rows(inputs: usize) -> usize {
    if inputs > 256 { BLOCK_ROWS / 2 } else { BLOCK_ROWS }
}

/// Multiplies a block of rows. Safe to call where the instruction set of its [`Kernels`] is there.
pub(super) type Run = unsafe fn(&Block<'_>, PlaneMut<'_, f32>);

/// Neighbouring numbers of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Index of the image.
    pub source: usize,
    /// Distance from the row's pixel, in pixels.
    pub pixel: usize,
    /// First channel.
    pub channel: usize,
    /// Position of the first number in the sum.
    pub first: usize,
    /// How many.
    pub len: usize,
}

/// Where the numbers of a row are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row {
    /// In the images, from this pixel on.
    Image(usize),
    /// Side by side, in the patch of this number.
    Patch(usize),
}

/// Some rows to be multiplied.
pub(super) struct Block<'a> {
    pub sources: &'a [Plane<'a, f32>],
    /// What a row consists of; together as many numbers as the weights have inputs.
    pub segments: &'a [Segment],
    /// Rows of numbers, one after the other.
    pub patches: &'a [f32],
    pub rows: &'a [Row],
    pub weights: &'a PackedWeights,
    /// Bounds of the result.
    pub clamp: Option<[f32; 2]>,
}

impl Block<'_> {
    /// The numbers of a segment of a row; they are there if the block passed [`Block::check`].
    #[inline(always)]
    fn numbers(&self, row: Row, segment: &Segment) -> *const f32 {
        match row {
            Row::Image(pixel) => {
                let src = &self.sources[segment.source];
                src.data.as_ptr().wrapping_add((pixel + segment.pixel) * src.pitch + segment.channel)
            }
            Row::Patch(patch) => {
                self.patches.as_ptr().wrapping_add(patch * self.weights.inputs + segment.first)
            }
        }
    }

    /// Compares all that a tile reads with the lengths of the slices.
    ///
    /// # Panics
    /// An image or the patches are too short, or the segments do not make up a row.
    fn check(&self) {
        let inputs = self.weights.inputs;
        let (mut pixel, mut patch) = (None, None);
        for &row in self.rows {
            match row {
                Row::Image(at) => pixel = pixel.max(Some(at)),
                Row::Patch(at) => patch = patch.max(Some(at)),
            }
        }
        let mut first = 0;
        for segment in self.segments {
            let src = &self.sources[segment.source];
            let end = |pixel: usize| {
                let at = (pixel + segment.pixel).checked_mul(src.pitch)?;
                at.checked_add(segment.channel + segment.len)
            };
            let inside = pixel.is_none_or(|pixel| end(pixel).is_some_and(|end| end <= src.data.len()));
            assert!(inside && segment.first == first, "a row reaches outside its image");
            first += segment.len;
        }
        assert!(first == inputs && patch.is_none_or(|patch| self.patches.len() >= (patch + 1) * inputs));
    }
}

/// One cache line of weights; a vector that straddled two would take twice as long to load.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Weights `[outputs][inputs]` and biases, stored as the product reads them: in panels of a few vectors of outputs,
/// `[panel][input][output of the panel]`.
#[derive(Clone, Debug)]
pub(super) struct PackedWeights {
    outputs: usize,
    inputs: usize,
    panels: Vec<Panel>,
    lines: Vec<Line>,
    /// One per output, in whole vectors.
    bias: Vec<f32>,
}

/// Some neighbouring outputs.
#[derive(Clone, Debug)]
struct Panel {
    /// The first of them.
    first: usize,
    vectors: usize,
    /// Position of its weights.
    at: usize,
}

impl PackedWeights {
    /// Packs row-major weights, and biases or zeros.
    ///
    /// # Panics
    /// A slice has another length.
    pub fn new(
        kernels: Kernels,
        [outputs, inputs]: [usize; 2],
        weights: &[f32],
        bias: Option<&[f32]>,
    ) -> Self {
        assert!(weights.len() == outputs * inputs && bias.is_none_or(|bias| bias.len() == outputs));
        let lanes = kernels.lanes;
        let vectors = outputs.div_ceil(lanes);
        let count = vectors.div_ceil(kernels.vectors);
        let (mut panels, mut first) = (Vec::with_capacity(count), 0);
        for panel in 0..count {
            let vectors = (vectors + panel) / count;
            panels.push(Panel { first, vectors, at: first * inputs });
            first += vectors * lanes;
        }
        let mut lines = vec![Line([0.0; 16]); (first * inputs).div_ceil(16)];
        for panel in &panels {
            let width = panel.vectors * lanes;
            for (lane, row) in weights.chunks(inputs.max(1)).skip(panel.first).take(width).enumerate() {
                for (input, &weight) in row.iter().enumerate() {
                    let at = panel.at + input * width + lane;
                    lines[at / 16].0[at % 16] = weight;
                }
            }
        }
        let mut padded = vec![0.0; first];
        padded[..outputs].copy_from_slice(bias.unwrap_or(&vec![0.0; outputs]));
        PackedWeights { outputs, inputs, panels, lines, bias: padded }
    }

    /// Numbers of a row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Memory of the packed weights.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.lines) + size_of_val(&*self.bias)
    }
}

/// `dst[r][o] = clamp(bias[o] + Σ row[r][i] · weights[o][i])` for all rows of a block: the body of a [`Run`] whose
/// tiles have `MR` rows and panels at most `NV` vectors.
///
/// # Safety
/// The CPU has the instruction set of `lanes`.
#[inline(always)]
pub(super) unsafe fn multiply<L: Lanes, const MR: usize, const NV: usize>(
    lanes: L,
    block: &Block<'_>,
    dst: PlaneMut<'_, f32>,
) {
    const { assert!(NV <= 3 && MR >= 4) };
    block.check();
    for panel in &block.weights.panels {
        let mut row = 0;
        while row < block.rows.len() {
            let left = block.rows.len() - row;
            let to = PlaneMut { data: &mut dst.data[row * dst.pitch + panel.first..], pitch: dst.pitch };
            // SAFETY: the caller's.
            row += unsafe {
                match panel.vectors {
                    1 => tiles::<L, MR, 1>(lanes, block, panel, row, left, to),
                    2 if NV >= 2 => tiles::<L, MR, 2>(lanes, block, panel, row, left, to),
                    3 if NV >= 3 => tiles::<L, MR, 3>(lanes, block, panel, row, left, to),
                    vectors => unreachable!("a panel of {vectors} vectors in a kernel of {NV}"),
                }
            };
        }
    }
}

/// The next tile: as high as fits into the rows that are `left`. Returns its height.
///
/// # Safety
/// As [`multiply`]; the block passed its check, the panel has `NV` vectors.
#[inline(always)]
unsafe fn tiles<L: Lanes, const MR: usize, const NV: usize>(
    lanes: L,
    block: &Block<'_>,
    panel: &Panel,
    row: usize,
    left: usize,
    to: PlaneMut<'_, f32>,
) -> usize {
    // SAFETY: the caller's.
    unsafe {
        match left {
            1 => tile::<L, 1, NV>(lanes, block, panel, row, to),
            2 | 3 => tile::<L, 2, NV>(lanes, block, panel, row, to),
            left if left < MR => tile::<L, 4, NV>(lanes, block, panel, row, to),
            _ => tile::<L, MR, NV>(lanes, block, panel, row, to),
        }
    }
}

/// One tile, from row `row` on.
///
/// # Safety
/// As [`tiles`]; the block has `MR` rows from `row` on.
#[inline(always)]
unsafe fn tile<L: Lanes, const MR: usize, const NV: usize>(
    lanes: L,
    block: &Block<'_>,
    panel: &Panel,
    row: usize,
    to: PlaneMut<'_, f32>,
) -> usize {
    let packed = block.weights;
    let mut sums = [[lanes.splat(0.0); NV]; MR];
    let bias = &packed.bias[panel.first..][..NV * L::COUNT];
    for sums in &mut sums {
        for (v, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the slice has NV vectors.
            *sum = unsafe { lanes.load(bias.as_ptr().add(v * L::COUNT)) };
        }
    }
    assert!(packed.lines.len() * 16 >= panel.at + packed.inputs * NV * L::COUNT);
    // Stays within the weights, by the assertion.
    let mut weights = packed.lines.as_ptr().cast::<f32>().wrapping_add(panel.at);
    for segment in block.segments {
        let mut numbers = [std::ptr::null(); MR];
        for (r, numbers) in numbers.iter_mut().enumerate() {
            *numbers = block.numbers(block.rows[row + r], segment);
        }
        for i in 0..segment.len {
            let mut vectors = [lanes.splat(0.0); NV];
            for (v, vector) in vectors.iter_mut().enumerate() {
                // SAFETY: the segments have as many numbers as there are inputs, each with NV vectors.
                *vector = unsafe { lanes.load(weights.add(v * L::COUNT)) };
            }
            weights = weights.wrapping_add(NV * L::COUNT);
            for r in 0..MR {
                // SAFETY: the check found the segment's numbers inside their slice.
                let x = lanes.splat(unsafe { *numbers[r].add(i) });
                for v in 0..NV {
                    sums[r][v] = lanes.mul_add(x, vectors[v], sums[r][v]);
                }
            }
        }
    }
    // SAFETY: the caller's.
    unsafe { finish(lanes, block, panel, sums, to) };
    MR
}

/// Clamps and stores the sums of a tile.
///
/// # Safety
/// The CPU has the instruction set of `lanes`.
#[inline(always)]
unsafe fn finish<L: Lanes, const MR: usize, const NV: usize>(
    lanes: L,
    block: &Block<'_>,
    panel: &Panel,
    mut sums: [[L::Vector; NV]; MR],
    to: PlaneMut<'_, f32>,
) {
    if let Some([lo, hi]) = block.clamp {
        let (lo, hi) = (lanes.splat(lo), lanes.splat(hi));
        for sum in sums.as_flattened_mut() {
            *sum = lanes.clamp(*sum, lo, hi);
        }
    }
    let outputs = (block.weights.outputs - panel.first).min(NV * L::COUNT);
    for (r, sums) in sums.into_iter().enumerate() {
        let to = &mut to.data[r * to.pitch..][..outputs];
        for (v, sum) in sums.into_iter().enumerate() {
            let left = outputs.saturating_sub(v * L::COUNT).min(L::COUNT);
            // SAFETY: that many numbers are left of the row.
            unsafe { lanes.store_first(sum, to.as_mut_ptr().wrapping_add(v * L::COUNT), left) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::kernels;
    use super::*;
    use crate::kernels::float::testing::{assert_close, noise};
    use crate::kernels::isa::Isa;
    use proptest::prelude::*;

    proptest! {
        /// Rows in two segments of two images, in patches, in any number; every instruction set.
        #[test]
        fn every_tile_equals_the_plain_product(
            (rows, outputs, inputs) in (0..20usize, 0..120usize, 0..40usize),
            (cut, gap, seed) in (0..40usize, 0..3usize, any::<u32>()),
        ) {
            let cut = cut.min(inputs);
            let pitches = [cut + 2, inputs - cut + 1];
            let x = pitches.map(|pitch| noise(rows * pitch, seed ^ pitch as u32));
            let sources: Vec<Plane<'_, f32>> =
                x.iter().zip(pitches).map(|(data, pitch)| Plane { data, pitch }).collect();
            let w = noise(outputs * inputs, seed ^ 5);
            let bias = noise(outputs, seed ^ 6);
            let row = |r: usize| [&x[0][r * pitches[0]..][..cut], &x[1][r * pitches[1] + 1..][..inputs - cut]].concat();
            let patches: Vec<f32> = (0..rows).flat_map(row).collect();
            let segments = [
                Segment { source: 0, pixel: 0, channel: 0, first: 0, len: cut },
                Segment { source: 1, pixel: 0, channel: 1, first: cut, len: inputs - cut },
            ];
            let at: Vec<Row> = (0..rows).map(|r| if r % 3 == 1 { Row::Patch(r) } else { Row::Image(r) }).collect();
            for isa in Isa::available() {
                let kernels = kernels(isa);
                let weights = PackedWeights::new(kernels, [outputs, inputs], &w, Some(&bias));
                let pitch = outputs + gap;
                let mut y = vec![9.0; rows * pitch];
                let block = Block {
                    sources: &sources, segments: &segments, patches: &patches, rows: &at,
                    weights: &weights, clamp: Some([-0.5, 2.0]),
                };
                // SAFETY: the instruction set is available.
                unsafe { (kernels.gemm)(&block, PlaneMut { data: &mut y, pitch }) };
                for (r, y) in y.chunks(pitch.max(1)).enumerate() {
                    let dot = |o: usize| -> f32 { row(r).iter().zip(&w[o * inputs..]).map(|(x, w)| x * w).sum() };
                    let expected: Vec<f32> = (0..outputs).map(|o| (bias[o] + dot(o)).clamp(-0.5, 2.0)).collect();
                    assert_close(&y[..outputs], &expected, 1e-5);
                    prop_assert!(y[outputs..].iter().all(|&gap| gap == 9.0));
                }
            }
        }
    }
}
