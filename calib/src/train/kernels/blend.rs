//! Sums of two tensors, means of channels, and factors per channel.

use super::{Extent, Kernel};
use rayon::prelude::*;

/// Sum of two tensors of the same extents.
#[derive(Debug)]
pub struct Sum {
    /// Their extents.
    pub input: Extent,
}

impl Kernel for Sum {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        inputs[0].iter().zip(inputs[1]).map(|(a, b)| a + b).collect()
    }

    fn backward(&self, _: &[&[f32]], grad: &[f32], wanted: &[bool]) -> Vec<Option<Vec<f32>>> {
        wanted.iter().map(|wanted| wanted.then(|| grad.to_vec())).collect()
    }
}

/// Mean of each channel of each image, `[C,N,1,1]`.
#[derive(Debug)]
pub struct Mean {
    /// Extents of the input.
    pub input: Extent,
}

impl Kernel for Mean {
    fn output(&self) -> Extent {
        Extent { rows: 1, columns: 1, ..self.input }
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let plane = self.input.plane();
        inputs[0].par_chunks(plane).map(|plane| plane.iter().sum::<f32>() / plane.len() as f32).collect()
    }

    fn backward(&self, _: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let plane = self.input.plane();
        vec![Some(grad.iter().flat_map(|g| std::iter::repeat_n(g / plane as f32, plane)).collect())]
    }
}

/// `x [C,N,H,W]` times a factor for each channel of each image, `[C,N,1,1]`.
#[derive(Debug)]
pub struct Gate {
    /// Extents of `x`.
    pub input: Extent,
}

impl Kernel for Gate {
    fn output(&self) -> Extent {
        self.input
    }

    fn forward(&self, inputs: &[&[f32]]) -> Vec<f32> {
        let mut out = inputs[0].to_vec();
        out.par_chunks_mut(self.input.plane())
            .zip(inputs[1])
            .for_each(|(plane, factor)| plane.iter_mut().for_each(|x| *x *= factor));
        out
    }

    fn backward(&self, inputs: &[&[f32]], grad: &[f32], _: &[bool]) -> Vec<Option<Vec<f32>>> {
        let plane = self.input.plane();
        let factors = inputs[0].par_chunks(plane).zip(grad.par_chunks(plane));
        let factors = factors.map(|(x, grad)| x.iter().zip(grad).map(|(x, g)| x * g).sum()).collect();
        let mut dx = grad.to_vec();
        dx.par_chunks_mut(plane)
            .zip(inputs[1])
            .for_each(|(dx, factor)| dx.iter_mut().for_each(|dx| *dx *= factor));
        vec![Some(dx), Some(factors)]
    }
}
