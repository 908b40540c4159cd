//! Channels in another order, from one tensor or several: concat, slice, shuffle.

use super::buffers::buffer;
use super::{Extent, Kernel};
use rayon::prelude::*;

/// Channel `c` of the result is channel `from[c].1` of input `from[c].0`. Inputs differ in their channels only.
#[derive(Debug)]
pub struct Pick {
    /// Extents of each input.
    pub inputs: Vec<Extent>,
    /// Where each channel comes from.
    pub from: Vec<(usize, usize)>,
}

impl Kernel for Pick {
    fn output(&self) -> Extent {
        Extent { channels: self.from.len(), ..self.inputs[0] }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let each = self.inputs[0].channel();
        let mut out = buffer(self.from.len() * each);
        out.par_chunks_mut(each).zip(&self.from).for_each(|(out, &(input, channel))| {
            out.copy_from_slice(&inputs[input][channel * each..][..each]);
        });
        out
    }

    fn backward(&self, _: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        let each = self.inputs[0].channel();
        let gradient = |(input, extent): (usize, &Extent)| {
            let mut dx = buffer(extent.elements());
            // Readers of each channel; mostly one.
            let mut readers = vec![Vec::new(); extent.channels];
            for (to, &(_, channel)) in self.from.iter().enumerate().filter(|(_, from)| from.0 == input) {
                readers[channel].push(to);
            }
            dx.par_chunks_mut(each).zip(readers).for_each(|(dx, readers)| {
                let mut grads = readers.iter().map(|reader| &grad[reader * each..][..each]);
                match grads.next() {
                    Some(grad) => dx.copy_from_slice(grad),
                    None => dx.fill(0.0),
                }
                for grad in grads {
                    dx.iter_mut().zip(grad).for_each(|(dx, grad)| *dx += grad);
                }
            });
            dx
        };
        let inputs = self.inputs.iter().enumerate();
        inputs.map(|input| wanted[input.0].then(|| gradient(input))).collect()
    }
}
