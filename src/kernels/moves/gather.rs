//! Picking indices along an axis.

use super::{Strided, StridedCopy};

/// Picks `indices` along one physical axis; on the last axis of an image it permutes channels.
#[derive(Clone, Debug)]
pub struct Gather {
    /// Per index its distance in the source, in elements.
    from: Vec<usize>,
    dst_stride: usize,
    dst_offset: usize,
    /// Everything but the axis.
    slab: Slab,
}

/// How the elements at one index of the axis are copied.
#[derive(Clone, Debug)]
enum Slab {
    /// Each index by itself: the axis is an outer one and a slab holds long runs.
    Runs(StridedCopy),
    /// The axis is the last: rows are permuted one after the other. `[rows, source pitch, target pitch]`.
    Rows([usize; 3]),
}

impl Gather {
    /// Picks `indices` along `axis` of a row-major tensor of extents `dims` whose rows are `src_pitch`
    /// elements apart; rows of the result are `dst_pitch` apart.
    ///
    /// # Panics
    /// `axis` or an index does not exist.
    pub fn new(dims: &[usize], axis: usize, indices: &[usize], src_pitch: usize, dst_pitch: usize) -> Self {
        assert!(indices.iter().all(|&i| i < dims[axis]));
        let mut out_dims = dims.to_vec();
        out_dims[axis] = indices.len();
        let src = Strided::row_major(dims, src_pitch);
        let dst = Strided::row_major(&out_dims, dst_pitch);
        let slab = if axis + 1 == dims.len() {
            Slab::Rows([dims[..axis].iter().product(), src_pitch, dst_pitch])
        } else {
            let one = |s: &Strided| if s.dims[axis] > 0 { s.narrowed(axis, 0, 1) } else { s.clone() };
            let (src, dst) = (one(&src), one(&dst));
            if src.dims == dst.dims {
                Slab::Runs(StridedCopy::new(&src, &dst))
            } else {
                // No indices, or an empty axis: nothing is ever copied.
                Slab::Rows([0, 0, 0])
            }
        };
        let from = indices.iter().map(|&i| i * src.strides[axis]).collect();
        Gather { from, dst_stride: dst.strides[axis], dst_offset: dst.offset, slab }
    }

    /// Copies.
    ///
    /// # Panics
    /// A buffer is shorter than its tensor.
    pub fn run<T: Copy>(&self, src: &[T], dst: &mut [T]) {
        let dst = &mut dst[self.dst_offset..];
        match &self.slab {
            Slab::Runs(copy) => {
                for (i, &from) in self.from.iter().enumerate() {
                    copy.run(&src[from..], &mut dst[i * self.dst_stride..]);
                }
            }
            &Slab::Rows([rows, src_pitch, dst_pitch]) => {
                for row in 0..rows {
                    let src = &src[row * src_pitch..];
                    let dst = &mut dst[row * dst_pitch..][..self.from.len()];
                    for (to, &from) in dst.iter_mut().zip(&self.from) {
                        *to = src[from];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_shuffle_is_a_gather_on_the_last_axis() {
        // Two groups of two channels, two pixels with pitch 5.
        let shuffle = Gather::new(&[1, 1, 2, 4], 3, &[0, 2, 1, 3], 5, 4);
        let mut out = [0i8; 8];
        shuffle.run(&[1, 2, 3, 4, 9, 5, 6, 7, 8, 9], &mut out);
        assert_eq!(out, [1, 3, 2, 4, 5, 7, 6, 8]);
    }

    #[test]
    fn an_outer_axis_moves_whole_slabs() {
        // np.arange(12).reshape(2, 3, 2)[:, [2, 0, 2]]
        let mut out = [0f32; 12];
        let src: Vec<f32> = (0..12).map(|i| i as f32).collect();
        Gather::new(&[2, 3, 2], 1, &[2, 0, 2], 2, 2).run(&src, &mut out);
        assert_eq!(out, [4., 5., 0., 1., 4., 5., 10., 11., 6., 7., 10., 11.]);
    }

    #[test]
    fn no_indices_give_an_empty_tensor() {
        for axis in 0..2 {
            Gather::new(&[2, 3], axis, &[], 3, 3).run(&[1i8; 6], &mut [0; 6]);
        }
    }
}
