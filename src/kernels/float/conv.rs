//! Convolution.

use super::depthwise::Depthwise;
use super::gemm::{self, Block, PackedWeights, Row, Segment};
use super::lanes::{self, Kernels};
use super::unary::{map_rows, only_clamps};
use crate::graph::Unary;
use crate::kernels::collect::Channels;
use crate::kernels::isa::Isa;
use crate::kernels::{Plane, PlaneMut, Window};
use std::ops::Range;

/// Convolution of one NHWC image, with bias and activation.
#[derive(Clone, Debug)]
pub struct ConvF32 {
    isa: Isa,
    kernels: Kernels,
    window: Window,
    out_channels: usize,
    body: Body,
    /// Bounds of the result, where the activation is no more than that.
    clamp: Option<[f32; 2]>,
    /// The activation, where it is more.
    function: Option<Unary>,
}

#[derive(Clone, Debug)]
enum Body {
    /// One matrix product per group.
    Gemm {
        groups: Vec<Group>,
        /// Output channels of a group.
        group_out: usize,
    },
    Depthwise(Depthwise),
}

/// A matrix product, and where its rows are read.
#[derive(Clone, Debug)]
struct Group {
    weights: PackedWeights,
    /// The same segments for each tap.
    taps: Vec<Segment>,
    /// One segment per kernel row, where pixels have no gaps and taps lie side by side.
    rows: Option<Vec<Segment>>,
}

impl ConvF32 {
    /// `weights` are `[out_channels][kernel rows][kernel columns][in_channels / groups]`, `bias` has one
    /// number per output channel. Padding cells are zero.
    ///
    /// # Panics
    /// This CPU lacks `isa`, `groups` does not divide both numbers of channels, or `weights` or `bias` has another
    /// length.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        isa: Isa,
        window: Window,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        weights: &[f32],
        bias: Option<&[f32]>,
        activation: Option<Unary>,
    ) -> Self {
        assert!(groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups));
        let kernels = lanes::kernels(isa);
        let (group_in, group_out) = (in_channels / groups, out_channels / groups);
        let depth = window.kernel[0] * window.kernel[1] * group_in;
        assert!(weights.len() == out_channels * depth && bias.is_none_or(|b| b.len() == out_channels));
        let clamp = activation.and_then(only_clamps);
        let function = activation.filter(|_| clamp.is_none());
        let body = if group_in == 1 && group_out == 1 {
            let zeros = vec![0.0; out_channels];
            Body::Depthwise(Depthwise::new(kernels, window.clone(), weights, bias.unwrap_or(&zeros), clamp))
        } else {
            let group = |g: usize| {
                let outputs = g * group_out..(g + 1) * group_out;
                let part = &weights[outputs.start * depth..outputs.end * depth];
                let bias = bias.map(|bias| &bias[outputs]);
                Group {
                    weights: PackedWeights::new(kernels, [group_out, depth], part, bias),
                    taps: taps(&window, &[Channels { source: 0, first: g * group_in, count: group_in }]),
                    rows: (groups == 1 && window.dilation[1] == 1).then(|| kernel_rows(&window, group_in)),
                }
            };
            Body::Gemm { groups: (0..groups).map(group).collect(), group_out }
        };
        ConvF32 { isa, kernels, window, out_channels, body, clamp, function }
    }

    /// Lets the convolution read its input channels from several images: those of `runs`, one after the other.
    ///
    /// # Panics
    /// It has groups, or the runs have another number of channels.
    #[must_use]
    pub fn collecting(mut self, runs: &[Channels]) -> Self {
        let channels: usize = runs.iter().map(|run| run.count).sum();
        match &mut self.body {
            Body::Gemm { groups, .. } if groups.len() == 1 => {
                let taps_count = self.window.kernel[0] * self.window.kernel[1];
                assert_eq!(groups[0].weights.inputs(), taps_count * channels);
                groups[0].taps = taps(&self.window, runs);
                groups[0].rows = None;
            }
            _ => panic!("a convolution with groups reads one image"),
        }
        self
    }

    /// Name of the kernel.
    pub fn kernel_name(&self) -> String {
        let body = if matches!(self.body, Body::Depthwise(_)) { "depthwise" } else { "gemm" };
        format!("{}-f32-{body}", self.kernels.name)
    }

    /// Memory of the weights.
    pub fn weights_bytes(&self) -> usize {
        match &self.body {
            Body::Gemm { groups, .. } => groups.iter().map(|group| group.weights.bytes()).sum(),
            Body::Depthwise(depthwise) => depthwise.bytes(),
        }
    }

    /// Numbers that [`ConvF32::run`] needs as scratch.
    pub fn scratch_len(&self) -> usize {
        match &self.body {
            Body::Gemm { groups, .. } if !self.window.is_pointwise() => groups
                .first()
                .map_or(0, |group| gemm::block_rows(group.weights.inputs()) * group.weights.inputs()),
            _ => 0,
        }
    }

    /// Computes the output rows `rows`. `src` are the whole image, or all that the channels are collected from;
    /// `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// An image is missing, a buffer is shorter than its image, or `scratch` than [`ConvF32::scratch_len`].
    pub fn run(&self, src: &[Plane<f32>], dst: PlaneMut<f32>, rows: Range<usize>, scratch: &mut [f32]) {
        match &self.body {
            Body::Depthwise(depthwise) => {
                for (i, row) in rows.enumerate() {
                    let first = i * self.window.output[1] * dst.pitch;
                    let mut row_of = PlaneMut { data: &mut dst.data[first..], pitch: dst.pitch };
                    depthwise.run(src[0], PlaneMut { data: &mut *row_of.data, ..row_of }, row);
                    self.activate(&mut row_of, self.window.output[1]);
                }
            }
            Body::Gemm { groups, group_out } => self.multiply((groups, *group_out), src, dst, rows, scratch),
        }
    }

    fn multiply(
        &self,
        (groups, group_out): (&[Group], usize),
        src: &[Plane<f32>],
        dst: PlaneMut<f32>,
        rows: Range<usize>,
        scratch: &mut [f32],
    ) {
        let width = self.window.output[1];
        let (first, end) = (rows.start * width, rows.end * width);
        let step = groups.first().map_or(1, |group| gemm::block_rows(group.weights.inputs()));
        let mut places = [Row::Image(0); gemm::BLOCK_ROWS];
        for start in (first..end).step_by(step) {
            let pixels = start..end.min(start + step);
            let places = &mut places[..pixels.len()];
            let mut tile = PlaneMut { data: &mut dst.data[(start - first) * dst.pitch..], pitch: dst.pitch };
            for (g, group) in groups.iter().enumerate() {
                self.place(group, src, pixels.clone(), places, scratch);
                let segments = match &group.rows {
                    Some(rows) if src[0].pitch * self.window.kernel[1] == rows[0].len => rows,
                    _ => &group.taps,
                };
                let block = Block {
                    sources: src,
                    segments,
                    patches: scratch,
                    rows: places,
                    weights: &group.weights,
                    clamp: self.clamp,
                };
                let to = PlaneMut { data: &mut tile.data[g * group_out..], pitch: tile.pitch };
                // SAFETY: `lanes::kernels` gave the kernel only because the CPU has its instruction set.
                unsafe { (self.kernels.gemm)(&block, to) };
            }
            self.activate(&mut tile, pixels.len());
        }
    }

    /// Says where the rows of `pixels` are; those that reach into the padding are laid out in `patches`.
    fn place(
        &self,
        group: &Group,
        src: &[Plane<f32>],
        pixels: Range<usize>,
        places: &mut [Row],
        patches: &mut [f32],
    ) {
        if self.window.is_pointwise() {
            return places.iter_mut().zip(pixels).for_each(|(place, pixel)| *place = Row::Image(pixel));
        }
        let (w, depth) = (&self.window, group.weights.inputs());
        let mut at = [pixels.start / w.output[1], pixels.start % w.output[1]];
        for (i, place) in places.iter_mut().enumerate() {
            let [y, x] = [0, 1].map(|axis| (at[axis] * w.stride[axis]).wrapping_sub(w.pad[axis]));
            // Above or left of the image the difference wraps to a huge number.
            let inside = |axis: usize, first: usize| {
                let reach = (w.kernel[axis] - 1) * w.dilation[axis];
                first < w.input[axis] && first + reach < w.input[axis]
            };
            *place = if inside(0, y) && inside(1, x) {
                Row::Image(y * w.input[1] + x)
            } else {
                patch(w, src, &group.taps, [y, x], &mut patches[i * depth..][..depth]);
                Row::Patch(i)
            };
            at[1] += 1;
            if at[1] == w.output[1] {
                at = [at[0] + 1, 0];
            }
        }
    }

    /// Applies the activation that is more than bounds to `pixels` pixels.
    fn activate(&self, dst: &mut PlaneMut<f32>, pixels: usize) {
        if let Some(f) = self.function {
            map_rows(self.isa, f, dst.data, dst.pitch, pixels, self.out_channels);
        }
    }
}

/// For each tap, a segment per run of channels.
fn taps(window: &Window, runs: &[Channels]) -> Vec<Segment> {
    let [rows, columns] = window.kernel;
    let mut taps = Vec::with_capacity(rows * columns * runs.len());
    let mut first = 0;
    for tap in 0..rows * columns {
        let [ky, kx] = [tap / columns, tap % columns];
        let pixel = ky * window.dilation[0] * window.input[1] + kx * window.dilation[1];
        for run in runs {
            let len = run.count;
            taps.push(Segment { source: run.source, pixel, channel: run.first, first, len });
            first += len;
        }
    }
    taps
}

/// A segment per kernel row, of all its taps.
fn kernel_rows(window: &Window, channels: usize) -> Vec<Segment> {
    let len = window.kernel[1] * channels;
    let row = |ky: usize| Segment {
        source: 0,
        pixel: ky * window.dilation[0] * window.input[1],
        channel: 0,
        first: ky * len,
        len,
    };
    (0..window.kernel[0]).map(row).collect()
}

/// Copies what the window sees, with its first tap at cell `[y, x]`, which may lie above or left of the image:
/// `[kernel row][kernel column][channel]`. Padding cells are zero.
fn patch(window: &Window, src: &[Plane<f32>], taps: &[Segment], [y, x]: [usize; 2], out: &mut [f32]) {
    let [rows, columns] = window.input;
    let runs = taps.len() / (window.kernel[0] * window.kernel[1]);
    for (tap, segments) in taps.chunks(runs.max(1)).enumerate() {
        let y = y.wrapping_add(tap / window.kernel[1] * window.dilation[0]);
        let x = x.wrapping_add(tap % window.kernel[1] * window.dilation[1]);
        for segment in segments {
            let out = &mut out[segment.first..][..segment.len];
            if y < rows && x < columns {
                let src = &src[segment.source];
                let from = (y * columns + x) * src.pitch + segment.channel;
                out.copy_from_slice(&src.data[from..][..segment.len]);
            } else {
                out.fill(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests;
