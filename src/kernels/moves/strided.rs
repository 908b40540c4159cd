//! Where the elements of a tensor lie, and copies between two such places.

use super::Nest;

/// Placement of a tensor in a buffer: the element at `index` is at `offset + Σ index[i] · strides[i]`.
///
/// Dimensions are physical (images NHWC), outermost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strided {
    /// Extents.
    pub dims: Vec<usize>,
    /// Distance between neighbours per dimension, in elements; 0 repeats.
    pub strides: Vec<usize>,
    /// Position of the first element.
    pub offset: usize,
}

impl Strided {
    /// Row-major; rows of the last dimension start `pitch` elements apart.
    pub fn row_major(dims: &[usize], pitch: usize) -> Self {
        let mut strides = vec![1; dims.len()];
        let mut distance = pitch;
        for axis in (0..dims.len().saturating_sub(1)).rev() {
            strides[axis] = distance;
            distance *= dims[axis];
        }
        Strided { dims: dims.to_vec(), strides, offset: 0 }
    }

    /// Dimension `i` of the result is dimension `perm[i]` of this one.
    ///
    /// # Panics
    /// `perm` names a dimension that does not exist.
    #[must_use]
    pub fn transposed(&self, perm: &[usize]) -> Self {
        Strided {
            dims: perm.iter().map(|&p| self.dims[p]).collect(),
            strides: perm.iter().map(|&p| self.strides[p]).collect(),
            offset: self.offset,
        }
    }

    /// The same elements, in the same row-major order, seen with extents `dims`; `None` where no strides say that.
    #[must_use]
    pub fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        let elements: usize = self.dims.iter().product();
        if elements == 0 || dims.iter().product::<usize>() != elements {
            return None;
        }
        // Old dimensions from the last on, merged as long as they follow each other, are cut into new ones.
        let mut old =
            self.dims.iter().zip(&self.strides).rev().filter(|&(&extent, _)| extent != 1).peekable();
        let (mut left, mut stride) = (1, 1);
        let mut strides = vec![0; dims.len()];
        for (axis, &extent) in dims.iter().enumerate().rev() {
            if left == 1
                && extent != 1
                && let Some((&first, &distance)) = old.next()
            {
                (left, stride) = (first, distance);
            }
            while left % extent != 0 {
                let (&more, _) = old.next_if(|&(_, &distance)| distance == left * stride)?;
                left *= more;
            }
            strides[axis] = stride;
            (left, stride) = (left / extent, stride * extent);
        }
        Some(Strided { dims: dims.to_vec(), strides, offset: self.offset })
    }

    /// Per dimension, `count` elements from `start` on, `step` apart.
    ///
    /// # Panics
    /// The lists are not as long as the rank, or reach beyond a dimension.
    #[must_use]
    pub fn sliced(&self, start: &[usize], step: &[usize], count: &[usize]) -> Self {
        assert!([start.len(), step.len(), count.len()] == [self.dims.len(); 3]);
        let mut slice = self.clone();
        for axis in (0..self.dims.len()).filter(|&axis| count[axis] > 0) {
            assert!(start[axis] + (count[axis] - 1) * step[axis] < self.dims[axis]);
            slice.offset += start[axis] * self.strides[axis];
            slice.strides[axis] *= step[axis];
        }
        slice.dims = count.to_vec();
        slice
    }

    /// The part `start..start + count` of one dimension: the place of one input of a concatenation in its
    /// output.
    ///
    /// # Panics
    /// The part reaches beyond the dimension.
    #[must_use]
    pub fn narrowed(&self, axis: usize, start: usize, count: usize) -> Self {
        assert!(start + count <= self.dims[axis]);
        let mut part = self.clone();
        part.dims[axis] = count;
        part.offset += start * self.strides[axis];
        part
    }

    /// The same elements seen with extents `dims`, as NumPy broadcasts: dimensions are matched from the
    /// last, missing ones and extents of 1 repeat.
    ///
    /// # Panics
    /// `dims` has fewer dimensions, or an extent differs and is not 1.
    #[must_use]
    pub fn broadcast(&self, dims: &[usize]) -> Self {
        let missing = dims.len() - self.dims.len();
        let stride = |axis: usize| match axis.checked_sub(missing) {
            None => 0,
            Some(own) if self.dims[own] == dims[axis] => self.strides[own],
            Some(own) => {
                assert!(self.dims[own] == 1, "{:?} does not broadcast to {dims:?}", self.dims);
                0
            }
        };
        let strides = (0..dims.len()).map(stride).collect();
        Strided { dims: dims.to_vec(), strides, offset: self.offset }
    }
}

/// Copies a tensor from one placement to another: transpose, slice, one input of a concatenation, packing
/// and unpacking of pitched pixels, and any mix of these.
#[derive(Clone, Debug)]
pub struct StridedCopy {
    nest: Nest<2>,
    offset: [usize; 2],
}

impl StridedCopy {
    /// From `src` to `dst`, which have the same dimensions. The places of `dst` should not repeat.
    ///
    /// # Panics
    /// The dimensions differ.
    pub fn new(src: &Strided, dst: &Strided) -> Self {
        assert!(src.dims == dst.dims, "copy of {:?} to {:?}", src.dims, dst.dims);
        let nest = Nest::new(&src.dims, [&src.strides, &dst.strides]);
        StridedCopy { nest, offset: [src.offset, dst.offset] }
    }

    /// Copies. Elements of `dst` between the places of the tensor keep their values.
    ///
    /// # Panics
    /// A buffer is shorter than its placement reaches.
    pub fn run<T: Copy>(&self, src: &[T], dst: &mut [T]) {
        let n = self.nest.row_len();
        if n == 0 {
            return;
        }
        let (src, dst) = (&src[self.offset[0]..], &mut dst[self.offset[1]..]);
        match self.nest.row_strides() {
            [1, 1] => self.nest.for_each_row(|[s, d]| dst[d..d + n].copy_from_slice(&src[s..s + n])),
            [0, 1] => self.nest.for_each_row(|[s, d]| dst[d..d + n].fill(src[s])),
            [stride, 1] => self.nest.for_each_row(|[s, d]| {
                for (to, &from) in dst[d..d + n].iter_mut().zip(src[s..].iter().step_by(stride)) {
                    *to = from;
                }
            }),
            [src_stride, dst_stride] => self.nest.for_each_row(|[s, d]| {
                for i in 0..n {
                    dst[d + i * dst_stride] = src[s + i * src_stride];
                }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(src: &Strided, data: &[i8]) -> Vec<i8> {
        let pitch = *src.dims.last().unwrap();
        let mut dst = vec![-1; src.dims.iter().product()];
        StridedCopy::new(src, &Strided::row_major(&src.dims, pitch)).run(data, &mut dst);
        dst
    }

    fn count_up(n: usize) -> Vec<i8> {
        (0..n as i8).collect()
    }

    #[test]
    fn pixels_with_a_pitch_become_planes_and_pixels_again() {
        // One 1 × 2 image of 3 channels, pitch 4: 9s are padding.
        let nhwc = Strided::row_major(&[1, 1, 2, 3], 4);
        let planes = copied(&nhwc.transposed(&[0, 3, 1, 2]), &[1, 2, 3, 9, 4, 5, 6, 9]);
        assert_eq!(planes, [1, 4, 2, 5, 3, 6]);
        let mut back = [7i8; 8];
        let nchw = Strided::row_major(&[1, 3, 1, 2], 2);
        StridedCopy::new(&nchw.transposed(&[0, 2, 3, 1]), &nhwc).run(&planes, &mut back);
        assert_eq!(back, [1, 2, 3, 7, 4, 5, 6, 7]);
    }

    #[test]
    fn every_transpose_of_rank_four_is_undone_by_its_inverse() {
        let dims = [2, 3, 4, 5];
        let data = count_up(120);
        for code in 0..256usize {
            let perm: Vec<usize> = (0..4).map(|i| code >> (2 * i) & 3).collect();
            let Some(inverse) = (0..4).map(|i| perm.iter().position(|&p| p == i)).collect::<Option<Vec<_>>>()
            else {
                continue;
            };
            let there = Strided::row_major(&dims, 5).transposed(&perm);
            let turned = copied(&there, &data);
            let back = Strided::row_major(&there.dims, there.dims[3]).transposed(&inverse);
            assert_eq!(copied(&back, &turned), data, "{perm:?}");
        }
    }

    #[test]
    fn a_reshape_is_a_view_where_strides_can_say_it() {
        // The head of a detector: 6 channels of 2 × 2 pixels, pitch 8, are 3 anchors of 2 numbers.
        let head = Strided::row_major(&[1, 2, 2, 6], 8).transposed(&[0, 3, 1, 2]);
        let view = head.reshaped(&[1, 3, 2, 2, 2]).unwrap();
        assert_eq!(view.strides[1..], [2, 1, 16, 8]);
        assert_eq!(head.reshaped(&[1, 3, 2, 4]).unwrap().strides[1..], [2, 1, 8]);
        // Rows and columns follow each other, channels and rows do not.
        assert_eq!(head.reshaped(&[6, 4]).unwrap().strides, [1, 8]);
        assert_eq!(head.reshaped(&[3, 8]), None);
        assert_eq!(head.reshaped(&[25]), None);
        let dense = Strided::row_major(&[4, 6], 6);
        assert_eq!(dense.reshaped(&[3, 1, 8]).unwrap().strides[..], [8, 8, 1]);
        assert_eq!(dense.reshaped(&[24]).unwrap().strides, [1]);
    }

    #[test]
    fn slices_follow_numpy() {
        // np.arange(24).reshape(2, 3, 4)[:, 1:3, ::2]
        let slice = Strided::row_major(&[2, 3, 4], 4).sliced(&[0, 1, 0], &[1, 1, 2], &[2, 2, 2]);
        assert_eq!(copied(&slice, &count_up(24)), [4, 6, 8, 10, 16, 18, 20, 22]);
    }

    #[test]
    fn parts_of_a_concatenation_land_side_by_side() {
        let dst = Strided::row_major(&[2, 5], 6);
        let mut joined = [0i8; 12];
        StridedCopy::new(&Strided::row_major(&[2, 2], 2), &dst.narrowed(1, 0, 2))
            .run(&[1, 2, 3, 4], &mut joined);
        StridedCopy::new(&Strided::row_major(&[2, 3], 3), &dst.narrowed(1, 2, 3))
            .run(&[5, 6, 7, 8, 9, 10], &mut joined);
        assert_eq!(joined, [1, 2, 5, 6, 7, 0, 3, 4, 8, 9, 10, 0]);
    }

    #[test]
    fn broadcast_repeats_rows_and_scalars() {
        let row = Strided::row_major(&[3], 3).broadcast(&[2, 3]);
        assert_eq!(copied(&row, &[1, 2, 3]), [1, 2, 3, 1, 2, 3]);
        let column = Strided::row_major(&[2, 1], 1).broadcast(&[2, 3]);
        assert_eq!(copied(&column, &[1, 2]), [1, 1, 1, 2, 2, 2]);
    }

    // YOLOv5's Focus on a 4 × 4 image of one channel: even rows and columns, odd rows, odd columns, both.
    #[test]
    fn focus_is_four_slices_into_four_parts() {
        let image = Strided::row_major(&[1, 4, 4, 1], 1);
        let dst = Strided::row_major(&[1, 2, 2, 4], 4);
        let mut out = [0i8; 16];
        for (part, [y, x]) in [[0, 0], [1, 0], [0, 1], [1, 1]].into_iter().enumerate() {
            let phase = image.sliced(&[0, y, x, 0], &[1, 2, 2, 1], &[1, 2, 2, 1]);
            StridedCopy::new(&phase, &dst.narrowed(3, part, 1)).run(&count_up(16), &mut out);
        }
        assert_eq!(out, [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]);
    }

    #[test]
    fn nothing_is_copied_where_a_dimension_is_empty() {
        let empty = Strided::row_major(&[2, 0, 3], 3);
        StridedCopy::new(&empty, &empty).run::<i8>(&[], &mut []);
    }
}
