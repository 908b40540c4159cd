//! Reductions.

use crate::graph::ReduceKind;
use crate::kernels::moves::{Nest, Strided};

/// Mean, sum, maximum or minimum over some axes.
#[derive(Clone, Debug)]
pub struct ReduceF32 {
    kind: ReduceKind,
    /// Loops over the output.
    kept: Nest<2>,
    /// Loops over what becomes one number.
    reduced: Nest<1>,
    count: usize,
    offset: [usize; 2],
}

impl ReduceF32 {
    /// Over `axes` of a tensor that lies as `src` says. `dst` has the same dimensions, but 1 at each of
    /// `axes`.
    ///
    /// # Panics
    /// The dimensions do not fit each other.
    pub fn new(kind: ReduceKind, src: &Strided, axes: &[usize], dst: &Strided) -> Self {
        let select = |reduced: bool| -> Vec<usize> {
            let extent = |(axis, &d)| if axes.contains(&axis) == reduced { d } else { 1 };
            src.dims.iter().enumerate().map(extent).collect()
        };
        let (kept, reduced) = (select(false), select(true));
        assert_eq!(kept, dst.dims);
        ReduceF32 {
            kind,
            kept: Nest::new(&kept, [&src.strides, &dst.strides]),
            count: reduced.iter().product(),
            reduced: Nest::new(&reduced, [&src.strides]),
            offset: [src.offset, dst.offset],
        }
    }

    /// Computes all elements.
    ///
    /// # Panics
    /// A buffer is shorter than its tensor.
    pub fn run(&self, src: &[f32], dst: &mut [f32]) {
        match self.kind {
            ReduceKind::Sum => self.run_with(src, dst, 0.0, |a, b| a + b, |sum| sum),
            ReduceKind::Max => self.run_with(src, dst, f32::NEG_INFINITY, f32::max, |max| max),
            ReduceKind::Min => self.run_with(src, dst, f32::INFINITY, f32::min, |min| min),
            ReduceKind::Mean => {
                let count = self.count as f32;
                self.run_with(src, dst, 0.0, |a, b| a + b, |sum| sum / count);
            }
        }
    }

    /// `combine` is associative and commutative up to rounding; `identity` is its neutral element.
    fn run_with(
        &self,
        src: &[f32],
        dst: &mut [f32],
        identity: f32,
        combine: impl Fn(f32, f32) -> f32 + Copy,
        finish: impl Fn(f32) -> f32,
    ) {
        let n = self.kept.row_len();
        let [src_step, dst_step] = self.kept.row_strides();
        self.kept.for_each_row(|[s, d]| {
            let start = self.offset[0] + s;
            let d = self.offset[1] + d;
            if [src_step, dst_step] == [1, 1] && n > 1 {
                let row = &mut dst[d..d + n];
                row.fill(identity);
                self.combine_rows(src, start, row, combine);
                row.iter_mut().for_each(|y| *y = finish(*y));
            } else {
                for i in 0..n {
                    let folded = self.fold(src, start + i * src_step, identity, combine);
                    dst[d + i * dst_step] = finish(folded);
                }
            }
        });
    }

    /// Combines whole rows of kept elements: the kept dimension is the innermost in memory.
    fn combine_rows(&self, src: &[f32], start: usize, row: &mut [f32], combine: impl Fn(f32, f32) -> f32) {
        let [step] = self.reduced.row_strides();
        self.reduced.for_each_row(|[r]| {
            for i in 0..self.reduced.row_len() {
                let from = &src[start + r + i * step..][..row.len()];
                row.iter_mut().zip(from).for_each(|(y, &x)| *y = combine(*y, x));
            }
        });
    }

    /// One output element.
    fn fold(
        &self,
        src: &[f32],
        start: usize,
        identity: f32,
        combine: impl Fn(f32, f32) -> f32 + Copy,
    ) -> f32 {
        /// Independent partial results: vector lanes, and shorter chains of rounding.
        const LANES: usize = 16;
        let mut lanes = [identity; LANES];
        let n = self.reduced.row_len();
        let [step] = self.reduced.row_strides();
        self.reduced.for_each_row(|[r]| {
            let from = &src[start + r..];
            if step == 1 {
                let (blocks, rest) = from[..n].as_chunks::<LANES>();
                for block in blocks {
                    lanes.iter_mut().zip(block).for_each(|(y, &x)| *y = combine(*y, x));
                }
                lanes.iter_mut().zip(rest).for_each(|(y, &x)| *y = combine(*y, x));
            } else {
                (0..n).for_each(|i| lanes[i % LANES] = combine(lanes[i % LANES], from[i * step]));
            }
        });
        lanes.into_iter().fold(identity, combine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, noise, steps};

    fn reduced(kind: ReduceKind, dims: &[usize], axes: &[usize], pitch: usize, x: &[f32]) -> Vec<f32> {
        let out_dims: Vec<usize> =
            dims.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
        let dst = Strided::row_major(&out_dims, *out_dims.last().unwrap());
        let mut out = vec![f32::NAN; out_dims.iter().product()];
        ReduceF32::new(kind, &Strided::row_major(dims, pitch), axes, &dst).run(x, &mut out);
        out
    }

    // ReduceMean, ReduceSum, ReduceMax, ReduceMin of onnxruntime on x[2,3,2] = steps(12, 7, 11) / 4.
    #[test]
    fn any_axes_equal_onnxruntime() {
        use ReduceKind::*;
        let x: Vec<f32> = steps(12, 7, 11).iter().map(|v| v / 4.0).collect();
        let cases: [(ReduceKind, &[usize], &[f32]); 10] = [
            (Mean, &[0], &[-0.125, 0.25, -0.75, 1.0, 0.0, -1.0]),
            (Mean, &[1], &[-0.5, 0.33333334, -0.083333336, -0.16666667]),
            (Mean, &[2], &[-0.375, 0.375, -0.25, 0.5, -0.125, -0.75]),
            (Mean, &[0, 2], &[0.0625, 0.125, -0.5]),
            (Mean, &[0, 1, 2], &[-0.10416667]),
            (Sum, &[1, 2], &[-0.5, -0.75]),
            (Sum, &[0, 2], &[0.25, 0.5, -2.0]),
            (Max, &[1], &[0.25, 1.25, 1.0, 0.75]),
            (Max, &[0, 1, 2], &[1.25]),
            (Min, &[0, 2], &[-1.25, -1.0, -1.25]),
        ];
        for (kind, axes, expected) in cases {
            assert_close(&reduced(kind, &[2, 3, 2], axes, 2, &x), expected, 1e-6);
        }
    }

    #[test]
    fn long_rows_with_a_pitch_equal_the_plain_sum() {
        let (dims, pitch) = ([2, 5, 37], 40);
        let x = noise(2 * 5 * pitch, 5);
        let sum = |keep: &dyn Fn(usize, usize, usize) -> bool| -> f32 {
            let all = (0..2 * 5 * 37).map(|i| [i / 185, i / 37 % 5, i % 37]);
            all.filter(|&[n, r, c]| keep(n, r, c)).map(|[n, r, c]| x[(n * 5 + r) * pitch + c]).sum()
        };
        let rows = reduced(ReduceKind::Sum, &dims, &[2], pitch, &x);
        let expected: Vec<f32> = (0..10).map(|i| sum(&|n, r, _| [n, r] == [i / 5, i % 5])).collect();
        assert_close(&rows, &expected, 1e-5);
        let columns = reduced(ReduceKind::Sum, &dims, &[0, 1], pitch, &x);
        let expected: Vec<f32> = (0..37).map(|i| sum(&|_, _, c| c == i)).collect();
        assert_close(&columns, &expected, 1e-5);
    }
}
