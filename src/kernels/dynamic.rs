//! Convolutions of real numbers with int8 weights: the input is quantized anew in each run, on the grid that its
//! own smallest and largest number give. This is what ONNX calls dynamic quantization.
//!
//! Three steps: [`range`] finds the bounds of some rows, [`grid`] makes one grid of them, on which
//! [`quantize`](super::elementwise::quantize) puts the tensor, and [`ConvDynamic`] computes with the codes and
//! goes back to real numbers. No result depends on the instruction set or on how the rows are split.

use super::arch::per_isa;
use super::conv::ConvI8;
use super::float::unary::map_rows;
use super::isa::Isa;
use super::{Epilogue, Filter, Plane, PlaneMut, Window, gapless};
use crate::graph::Unary;
use crate::tensor::Quant;
use std::ops::Range;

per_isa! {
    /// Smallest and largest number of the rows `rows`, each of `width` pixels of `channels`, written for each of
    /// them: two numbers per row of `dst`. NaN is neither.
    range(
        width: usize,
        channels: usize,
        src: Plane<'_, f32>,
        dst: PlaneMut<'_, f32>,
        rows: Range<usize>,
    ) = range_body
}

/// Numbers that are compared at once.
const LANES: usize = 32;

#[inline(always)]
fn widen([lo, hi]: &mut [[f32; LANES]; 2], block: &[f32; LANES]) {
    for (i, &x) in block.iter().enumerate() {
        // Not `min` and `max`: this is one vector instruction each.
        lo[i] = if x < lo[i] { x } else { lo[i] };
        hi[i] = if x > hi[i] { x } else { hi[i] };
    }
}

#[inline(always)]
fn range_body(
    width: usize,
    channels: usize,
    src: Plane<'_, f32>,
    dst: PlaneMut<'_, f32>,
    rows: Range<usize>,
) {
    let (len, runs) = gapless(channels, width * rows.len(), &[src.pitch]);
    let mut bounds = [[f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]];
    for run in 0..runs {
        let numbers = &src.data[(rows.start * width + run) * src.pitch..][..len];
        let (blocks, rest) = numbers.as_chunks::<LANES>();
        blocks.iter().for_each(|block| widen(&mut bounds, block));
        match numbers.last_chunk::<LANES>() {
            // A number may be seen twice: the last block overlaps its neighbour.
            Some(last) => widen(&mut bounds, last),
            None => rest.iter().for_each(|&x| widen(&mut bounds, &[x; LANES])),
        }
    }
    let [lo, hi] = bounds;
    let lo = lo.into_iter().fold(f32::INFINITY, f32::min);
    let hi = hi.into_iter().fold(f32::NEG_INFINITY, f32::max);
    for at in 0..rows.len() {
        dst.data[at * dst.pitch..][..2].copy_from_slice(&[lo, hi]);
    }
}

/// The grid of a tensor with these [`range`]s. One that holds only zeros may have any, and so may one
/// with infinities, whose codes then mean as little.
pub fn grid(ranges: &[f32]) -> Quant {
    let (mut lo, mut hi) = (0f32, 0f32);
    for row in ranges.chunks_exact(2) {
        (lo, hi) = (lo.min(row[0]), hi.max(row[1]));
    }
    Quant::from_range(lo, hi).unwrap_or(Quant { scale: 1.0, zero_point: 0 })
}

/// Numbers of the result that are computed before they are finished: 64 KiB.
const CACHED: usize = 1 << 14;

/// Weights of a convolution from real numbers to real numbers.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Channels of the input; of a depthwise convolution those of the output.
    pub in_channels: usize,
    /// Whether every channel has a kernel of its own.
    pub depthwise: bool,
    /// As in [`Filter`].
    pub codes: &'a [i8],
    /// Real number of the weight 1, per output channel.
    pub scales: &'a [f32],
    /// Real number that is added, per output channel.
    pub bias: Option<&'a [f32]>,
}

/// A convolution of an input that is quantized in each run, ready to run.
#[derive(Debug)]
pub struct ConvDynamic {
    conv: ConvI8,
    /// Per output channel: what the input code 1 in all cells would give.
    sums: Vec<f32>,
    bias: Vec<f32>,
    activation: Option<Unary>,
}

impl ConvDynamic {
    /// Packs the weights for `isa`.
    ///
    /// # Panics
    /// As [`ConvI8::new`], or the lengths do not fit each other.
    pub fn new(isa: Isa, window: Window, weights: &Weights<'_>, activation: Option<Unary>) -> Self {
        let &Weights { in_channels, depthwise, codes, scales, bias } = weights;
        let channels = scales.len();
        let row = codes.len() / channels.max(1);
        // First weight of a channel and the way to its next one.
        let (first, step) = if depthwise { (1, channels) } else { (row, 1) };
        let sum =
            |channel: usize| -> i32 { (0..row).map(|k| i32::from(codes[channel * first + k * step])).sum() };
        let zeros = vec![0; channels];
        // The code of zero is known only in a run: `ConvDynamic::run` brings it in.
        let filter =
            Filter { in_channels, out_channels: channels, zero_point: 0, weights: codes, bias: &zeros };
        let epilogue = Epilogue::Reals(scales.to_vec());
        let conv = match depthwise {
            true => ConvI8::depthwise(isa, window, &filter, epilogue),
            false => ConvI8::new(isa, window, &filter, epilogue),
        };
        let bias = bias.map_or_else(|| vec![0.0; channels], <[f32]>::to_vec);
        assert_eq!(bias.len(), channels);
        let sums = (0..channels).map(|channel| sum(channel) as f32 * scales[channel]).collect();
        ConvDynamic { conv, sums, bias, activation }
    }

    /// Name of the int8 kernel.
    pub fn kernel(&self) -> &'static str {
        self.conv.kernel()
    }

    /// Memory of the packed weights and the parameters of the output channels.
    pub fn weights_bytes(&self) -> usize {
        self.conv.weights_bytes() + (self.sums.len() + self.bias.len()) * 4
    }

    /// Scratch memory that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        self.conv.scratch_bytes()
    }

    /// Computes the output rows `rows` from the codes of the whole input on `grid`; `dst` starts at the first of
    /// the rows.
    ///
    /// # Panics
    /// A slice is too short.
    pub fn run(
        &self,
        isa: Isa,
        (src, grid): (Plane<'_, i8>, Quant),
        dst: PlaneMut<'_, f32>,
        rows: Range<usize>,
        scratch: &mut [u8],
    ) {
        let PlaneMut { data, pitch } = dst;
        let row = self.conv.pixels(&(0..1)) * pitch;
        // Sums become numbers while the cache still has them.
        let together = (CACHED / row.max(1)).max(1);
        for first in rows.clone().step_by(together) {
            let rows_now = first..rows.end.min(first + together);
            let data = &mut data[(first - rows.start) * row..];
            let sums = PlaneMut { data: &mut data[..], pitch };
            self.conv.run_reals_padded(grid.zero_point, src, sums, rows_now.clone(), scratch);
            self.finish(isa, grid, PlaneMut { data, pitch }, self.conv.pixels(&rows_now));
        }
    }

    /// From sums over codes to the numbers that they stand for.
    fn finish(&self, isa: Isa, grid: Quant, dst: PlaneMut<'_, f32>, pixels: usize) {
        let PlaneMut { data, pitch } = dst;
        let (clamp, function) = match self.activation {
            None => ((f32::NEG_INFINITY, f32::INFINITY), None),
            Some(Unary::Relu) => ((0.0, f32::INFINITY), None),
            Some(Unary::Clip { lo, hi }) => ((lo, hi), None),
            other => ((f32::NEG_INFINITY, f32::INFINITY), other),
        };
        let parameters = (&self.sums[..], &self.bias[..]);
        rescale(isa, grid, clamp, parameters, PlaneMut { data: &mut data[..], pitch }, pixels);
        if let Some(f) = function {
            map_rows(isa, f, data, pitch, pixels, self.bias.len());
        }
    }
}

mod doors {
    //! Of this module only.
    use super::*;

    per_isa! {
        /// From sums over codes, with weights that are real numbers, to the numbers that they stand for.
        /// `parameters` are sums and bias.
        rescale(
            grid: Quant,
            clamp: (f32, f32),
            parameters: (&[f32], &[f32]),
            dst: PlaneMut<'_, f32>,
            pixels: usize,
        ) = rescale_body
    }
}
use doors::rescale;

/// Channels that are brought to real numbers at once.
const BLOCK: usize = 16;

#[inline(always)]
fn rescale_body(
    grid: Quant,
    clamp: (f32, f32),
    (sums, bias): (&[f32], &[f32]),
    dst: PlaneMut<'_, f32>,
    pixels: usize,
) {
    let zero = f32::from(grid.zero_point) * grid.scale;
    for ((first, sums), bias) in (0..).step_by(BLOCK).zip(sums.chunks(BLOCK)).zip(bias.chunks(BLOCK)) {
        let mut shifts = [0.0; BLOCK];
        for ((shift, sum), bias) in shifts.iter_mut().zip(sums).zip(bias) {
            *shift = bias - zero * sum;
        }
        for pixel in 0..pixels {
            let cells = &mut dst.data[pixel * dst.pitch + first..][..sums.len()];
            match cells.first_chunk_mut::<BLOCK>() {
                // A loop of known length.
                Some(cells) => scale_and_shift(cells, grid.scale, &shifts, clamp),
                None => scale_and_shift(cells, grid.scale, &shifts, clamp),
            }
        }
    }
}

#[inline(always)]
fn scale_and_shift(cells: &mut [f32], scale: f32, shifts: &[f32; BLOCK], (lo, hi): (f32, f32)) {
    for (y, shift) in cells.iter_mut().zip(shifts) {
        let real = *y * scale + shift;
        // Not `max` and `min`: this is one vector instruction each.
        let real = if real > lo { real } else { lo };
        *y = if real < hi { real } else { hi };
    }
}

#[cfg(test)]
mod tests;
