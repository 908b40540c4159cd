//! Depthwise convolution: one filter per channel.

use super::buffers::buffer;
use super::lanes::{self, vectorized};
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
    pub(in crate::train) window: WindowAttrs,
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
        Depthwise { layout: Layout::new(input, window), channels: input.channels, window: window.clone() }
    }

    fn taps(&self) -> usize {
        self.layout.taps.len()
    }
}

vectorized! {
    /// `out[i] = Σ factor · source[i]` over pairs of factors and sources.
    fn weighted_sum<'a>(_simd; sources: &'a [(f32, &'a [f32])], out: &'a mut [f32]) -> () {
        let whole = out.len() / BLOCK * BLOCK;
        let (blocks, rest) = out.split_at_mut(whole);
        for (at, out) in blocks.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let mut sum = [0.0; BLOCK];
            for (factor, source) in sources {
                let source: &[f32; BLOCK] = source[at * BLOCK..].first_chunk().expect("as long as the output");
                for i in 0..BLOCK {
                    sum[i] += factor * source[i];
                }
            }
            *out = sum;
        }
        for (i, out) in rest.iter_mut().enumerate() {
            *out = 0.0;
            for (factor, source) in sources {
                *out += factor * source[whole + i];
            }
        }
    }

    fn dot<'a>(simd; a: &'a [f32], b: &'a [f32]) -> f32 {
        lanes::dot(simd, a, b)
    }
}

impl Kernel for Depthwise {
    fn output(&self) -> Extent {
        Extent { channels: self.channels, ..self.layout.output() }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let layout = &self.layout;
        let (before, after) = (inputs[0].len() / self.channels, self.output().channel());
        let mut out = buffer(self.output().elements());
        let channels = out.par_chunks_mut(after).zip(inputs[0].par_chunks(before));
        let weights = inputs[1].par_chunks(self.taps());
        channels.zip(weights).for_each_init(Scratch::default, |scratch, ((out, x), weights)| {
            layout.pack(x, 0.0, &mut scratch.packed);
            scratch.made.resize(layout.positions(), 0.0);
            let seen = weights.iter().enumerate();
            let seen: Vec<_> = seen.map(|(tap, &w)| (w, layout.seen(&scratch.packed, tap))).collect();
            weighted_sum(&seen, &mut scratch.made);
            layout.gather(&scratch.made, out);
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let layout = &self.layout;
        let (before, after) = (inputs[0].len() / self.channels, self.output().channel());
        let mut dx = buffer(if wanted[0] { inputs[0].len() } else { 0 });
        let mut dweights = vec![0.0; inputs[1].len()];
        if wanted[0] {
            let channels = dx.par_chunks_mut(before).zip(grad.par_chunks(after));
            let weights = inputs[1].par_chunks(self.taps());
            channels.zip(weights).for_each_init(Scratch::default, |scratch, ((dx, grad), weights)| {
                layout.spread(grad, layout.reach, &mut scratch.spread);
                scratch.made.resize(layout.phases() * layout.phase(), 0.0);
                for phase in 0..layout.phases() {
                    let begin = phase * layout.phase();
                    // What a tap saw at a distance gets the gradient from that distance before.
                    let taps = layout.taps.iter().zip(weights).filter(|((of, _), _)| *of == phase);
                    let from: Vec<(f32, &[f32])> = taps
                        .map(|(&(_, distance), &w)| (w, &scratch.spread[layout.reach - distance..]))
                        .collect();
                    weighted_sum(&from, &mut scratch.made[begin..begin + layout.positions()]);
                }
                layout.unpack(&scratch.made, dx);
            });
        }
        if wanted[1] {
            let channels = dweights.par_chunks_mut(self.taps()).zip(grad.par_chunks(after));
            let x = inputs[0].par_chunks(before);
            channels.zip(x).for_each_init(Scratch::default, |scratch, ((dweights, grad), x)| {
                layout.pack(x, 0.0, &mut scratch.packed);
                layout.spread(grad, 0, &mut scratch.spread);
                for (tap, dweight) in dweights.iter_mut().enumerate() {
                    *dweight = dot(&scratch.spread, layout.seen(&scratch.packed, tap));
                }
            });
        }
        vec![wanted[0].then_some(dx), wanted[1].then_some(dweights)]
    }
}
