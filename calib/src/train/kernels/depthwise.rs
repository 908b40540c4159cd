//! Depthwise convolution: one filter per channel.

use super::lanes::{LANES, total, vectorized};
use super::window::Layout;
use super::{Extent, Kernel};
use ocellus::graph::WindowAttrs;
use rayon::prelude::*;

/// Numbers that are computed side by side.
const BLOCK: usize = 64;

/// Depthwise convolution without dilation and bias; inputs: `x [C,N,H,W]`, weights `[C, kh·kw]`.
#[derive(Debug)]
pub struct Depthwise {
    layout: Layout,
    channels: usize,
}

/// Memory that a thread uses again for each channel.
#[derive(Default)]
struct Scratch {
    packed: Vec<f32>,
    spread: Vec<f32>,
    made: Vec<f32>,
}

impl Depthwise {
    /// A convolution of tensors of extents `input`.
    pub fn new(input: Extent, window: &WindowAttrs) -> Self {
        Depthwise { layout: Layout::new(input, window), channels: input.channels }
    }

    fn taps(&self) -> usize {
        self.layout.taps.len()
    }
}

/// `out[i] = Σ factor · source[i]` over pairs of factors and sources.
#[inline(always)]
fn weighted_sum<'a>(sources: impl Iterator<Item = (f32, &'a [f32])> + Clone, out: &mut [f32]) {
    let whole = out.len() / BLOCK * BLOCK;
    let (blocks, rest) = out.split_at_mut(whole);
    for (at, out) in blocks.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
        let mut sum = [0.0; BLOCK];
        for (factor, source) in sources.clone() {
            let source: &[f32; BLOCK] = source[at * BLOCK..].first_chunk().expect("as long as the output");
            for i in 0..BLOCK {
                sum[i] += factor * source[i];
            }
        }
        *out = sum;
    }
    for (i, out) in rest.iter_mut().enumerate() {
        *out = sources.clone().map(|(factor, source)| factor * source[whole + i]).sum();
    }
}

#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    a_rest.iter().zip(b_rest).enumerate().for_each(|(i, (a, b))| lanes[i] += a * b);
    total(lanes)
}

impl Kernel for Depthwise {
    fn output(&self) -> Extent {
        Extent { channels: self.channels, ..self.layout.output() }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let layout = &self.layout;
        let (before, after) = (inputs[0].len() / self.channels, self.output().channel());
        let mut out = vec![0.0; self.output().elements()];
        let channels = out.par_chunks_mut(after).zip(inputs[0].par_chunks(before));
        let weights = inputs[1].par_chunks(self.taps());
        channels.zip(weights).for_each_init(Scratch::default, |scratch, ((out, x), weights)| {
            vectorized(|| {
                layout.pack(x, 0.0, &mut scratch.packed);
                scratch.made.resize(layout.positions(), 0.0);
                let packed = &scratch.packed;
                let seen = weights.iter().enumerate().map(|(tap, &w)| (w, layout.seen(packed, tap)));
                weighted_sum(seen, &mut scratch.made);
                layout.gather(&scratch.made, out);
            });
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let layout = &self.layout;
        let (before, after) = (inputs[0].len() / self.channels, self.output().channel());
        let mut dx = vec![0.0; if wanted[0] { inputs[0].len() } else { 0 }];
        let mut dweights = vec![0.0; inputs[1].len()];
        if wanted[0] {
            let channels = dx.par_chunks_mut(before).zip(grad.par_chunks(after));
            let weights = inputs[1].par_chunks(self.taps());
            channels.zip(weights).for_each_init(Scratch::default, |scratch, ((dx, grad), weights)| {
                vectorized(|| {
                    layout.spread(grad, layout.reach, &mut scratch.spread);
                    scratch.made.resize(layout.phases() * layout.phase(), 0.0);
                    for phase in 0..layout.phases() {
                        let begin = phase * layout.phase();
                        let spread = &scratch.spread;
                        // What a tap saw at a distance gets the gradient from that distance before.
                        let from = layout.taps.iter().zip(weights).filter_map(|(&(of, distance), &w)| {
                            (of == phase).then(|| (w, &spread[layout.reach - distance..]))
                        });
                        weighted_sum(from, &mut scratch.made[begin..begin + layout.positions()]);
                    }
                    layout.unpack(&scratch.made, dx);
                });
            });
        }
        if wanted[1] {
            let channels = dweights.par_chunks_mut(self.taps()).zip(grad.par_chunks(after));
            let x = inputs[0].par_chunks(before);
            channels.zip(x).for_each_init(Scratch::default, |scratch, ((dweights, grad), x)| {
                vectorized(|| {
                    layout.pack(x, 0.0, &mut scratch.packed);
                    layout.spread(grad, 0, &mut scratch.spread);
                    for (tap, dweight) in dweights.iter_mut().enumerate() {
                        *dweight = dot(&scratch.spread, layout.seen(&scratch.packed, tap));
                    }
                });
            });
        }
        vec![wanted[0].then_some(dx), wanted[1].then_some(dweights)]
    }
}
