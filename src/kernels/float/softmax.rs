//! Softmax.

use super::unary::exp;
use crate::kernels::moves::{Nest, Strided};

/// Softmax along one axis.
#[derive(Clone, Debug)]
pub struct SoftmaxF32 {
    /// Everything but the axis.
    others: Nest<2>,
    extent: usize,
    strides: [usize; 2],
    offset: [usize; 2],
}

impl SoftmaxF32 {
    /// Along `axis` of tensors that lie as `src` and `dst` say.
    ///
    /// # Panics
    /// The dimensions differ, or have no such axis.
    pub fn new(src: &Strided, dst: &Strided, axis: usize) -> Self {
        assert_eq!(src.dims, dst.dims);
        let mut others = src.dims.clone();
        let extent = std::mem::replace(&mut others[axis], 1);
        SoftmaxF32 {
            others: Nest::new(&others, [&src.strides, &dst.strides]),
            extent,
            strides: [src.strides[axis], dst.strides[axis]],
            offset: [src.offset, dst.offset],
        }
    }

    /// Computes all elements.
    ///
    /// # Panics
    /// A buffer is shorter than its tensor.
    pub fn run(&self, src: &[f32], dst: &mut [f32]) {
        if self.extent == 0 {
            return;
        }
        let [src_step, dst_step] = self.others.row_strides();
        self.others.for_each_row(|[s, d]| {
            for i in 0..self.others.row_len() {
                let src = &src[self.offset[0] + s + i * src_step..];
                let dst = &mut dst[self.offset[1] + d + i * dst_step..];
                match self.strides {
                    [1, 1] => softmax(&src[..self.extent], &mut dst[..self.extent]),
                    strides => softmax_strided(src, dst, self.extent, strides),
                }
            }
        });
    }
}

fn softmax(src: &[f32], dst: &mut [f32]) {
    // The largest exponent becomes 0, so that nothing overflows.
    let max = src.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    src.iter().zip(dst.iter_mut()).for_each(|(x, y)| *y = exp(x - max));
    let sum: f32 = dst.iter().sum();
    dst.iter_mut().for_each(|y| *y /= sum);
}

fn softmax_strided(src: &[f32], dst: &mut [f32], extent: usize, [src_stride, dst_stride]: [usize; 2]) {
    let max = (0..extent).map(|i| src[i * src_stride]).fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for i in 0..extent {
        let y = exp(src[i * src_stride] - max);
        dst[i * dst_stride] = y;
        sum += y;
    }
    (0..extent).for_each(|i| dst[i * dst_stride] /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, steps};

    // Softmax of onnxruntime on x[2,3,2] = steps(12, 7, 11) / 4, one line per axis.
    #[test]
    #[rustfmt::skip]
    fn every_axis_equals_onnxruntime() {
        let x: Vec<f32> = steps(12, 7, 11).iter().map(|v| v / 4.0).collect();
        let expected = [
            [0.09534947, 0.6224594, 0.6224594, 0.6224594, 0.6224594, 0.6224594, 0.9046505, 0.3775407, 0.3775407, 0.3775407, 0.3775407, 0.3775407],
            [0.1316016, 0.2938148, 0.2786007, 0.6220059, 0.5897977, 0.08417934, 0.7033139, 0.2938148, 0.09518319, 0.6220059, 0.2015028, 0.08417934],
            [0.1480472, 0.8519527, 0.1480472, 0.8519527, 0.7310586, 0.2689414, 0.7310586, 0.2689414, 0.1480472, 0.8519527, 0.7310586, 0.2689414],
        ];
        let place = Strided::row_major(&[2, 3, 2], 2);
        for (axis, expected) in expected.iter().enumerate() {
            let mut out = [0.0; 12];
            SoftmaxF32::new(&place, &place, axis).run(&x, &mut out);
            assert_close(&out, expected, 3e-7);
        }
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let place = Strided::row_major(&[3], 3);
        let mut out = [0.0; 3];
        SoftmaxF32::new(&place, &place, 0).run(&[1e30, 1e30, -1e30], &mut out);
        assert_eq!(out, [0.5, 0.5, 0.0]);
    }
}
