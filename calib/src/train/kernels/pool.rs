//! Maximum pooling.

use super::buffers::buffer;
use super::lanes::vectorized;
use super::window::Layout;
use super::{Extent, Kernel};
use ocellus::graph::WindowAttrs;
use rayon::prelude::*;

/// Maximum of each window; input: `x [C,N,H,W]`. Of equal maxima the first gets the gradient.
#[derive(Debug)]
pub struct MaxPool {
    input: Extent,
    /// Of one channel of one image: that stays in the cache from tap to tap.
    layout: Layout,
    pub(in crate::train) window: WindowAttrs,
}

impl MaxPool {
    /// A pooling of tensors of extents `input`.
    pub fn new(input: Extent, window: &WindowAttrs) -> Self {
        let one = Extent { images: 1, ..input };
        MaxPool { input, layout: Layout::new(one, window), window: window.clone() }
    }

    /// The maximum at each position.
    fn maxima(&self, packed: &[f32], made: &mut Vec<f32>) {
        made.clear();
        made.extend_from_slice(self.layout.seen(packed, 0));
        for tap in 1..self.layout.taps.len() {
            larger(self.layout.seen(packed, tap), made);
        }
    }
}

vectorized! {
    /// The larger of two numbers each.
    fn larger<'a>(_simd; seen: &'a [f32], most: &'a mut [f32]) -> () {
        for (most, x) in most.iter_mut().zip(seen) {
            *most = if *x > *most { *x } else { *most };
        }
    }

    /// Gives gradients to where a tap saw the maximum, and takes them away.
    fn give<'a>(_simd; seen: &'a [f32], most: &'a [f32], grad: &'a mut [f32], to: &'a mut [f32]) -> () {
        for (((to, x), most), grad) in to.iter_mut().zip(seen).zip(most).zip(grad) {
            let given = if x == most { *grad } else { 0.0 };
            *to += given;
            *grad -= given;
        }
    }
}

impl Kernel for MaxPool {
    fn output(&self) -> Extent {
        let Extent { channels, images, .. } = self.input;
        Extent { channels, images, ..self.layout.output() }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let (before, after) = (self.input.plane(), self.output().plane());
        let mut out = buffer(self.output().elements());
        let planes = out.par_chunks_mut(after).zip(inputs[0].par_chunks(before));
        planes.for_each_init(Default::default, |(packed, made): &mut (Vec<f32>, Vec<f32>), (out, x)| {
            self.layout.pack(x, f32::NEG_INFINITY, packed);
            self.maxima(packed, made);
            self.layout.gather(made, out);
        });
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let layout = &self.layout;
        let (before, after) = (self.input.plane(), self.output().plane());
        let mut dx = buffer(inputs[0].len());
        let planes = dx.par_chunks_mut(before).zip(grad.par_chunks(after).zip(inputs[0].par_chunks(before)));
        planes.for_each_init(<[Vec<f32>; 4]>::default, |[packed, made, spread, back], (dx, (grad, x))| {
            layout.pack(x, f32::NEG_INFINITY, packed);
            self.maxima(packed, made);
            layout.spread(grad, 0, spread);
            back.clear();
            back.resize(packed.len(), 0.0);
            for (tap, &(phase, distance)) in layout.taps.iter().enumerate() {
                let begin = phase * layout.phase() + distance;
                let to = &mut back[begin..begin + layout.positions()];
                give(layout.seen(packed, tap), made, spread, to);
            }
            layout.unpack(back, dx);
        });
        vec![Some(dx)]
    }
}
