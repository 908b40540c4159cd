//! Padding with a constant.

use super::{Nest, Strided, StridedCopy};

/// Puts cells of one value around a tensor.
#[derive(Clone, Debug)]
pub struct Pad {
    whole: Nest<1>,
    copy: StridedCopy,
}

impl Pad {
    /// `before` and `after` are the new cells per physical dimension of a row-major tensor of extents
    /// `dims`; pitches are the distances between rows of the last dimension.
    ///
    /// # Panics
    /// `before` or `after` is not as long as `dims`.
    pub fn new(
        dims: &[usize],
        before: &[usize],
        after: &[usize],
        src_pitch: usize,
        dst_pitch: usize,
    ) -> Self {
        assert!(before.len() == dims.len() && after.len() == dims.len());
        let out_dims: Vec<usize> = (0..dims.len()).map(|i| before[i] + dims[i] + after[i]).collect();
        let dst = Strided::row_major(&out_dims, dst_pitch);
        let middle = dst.sliced(before, &vec![1; dims.len()], dims);
        Pad {
            whole: Nest::new(&out_dims, [&dst.strides]),
            copy: StridedCopy::new(&Strided::row_major(dims, src_pitch), &middle),
        }
    }

    /// Pads; `value` is the content of the new cells (for codes, the code of the wanted real value).
    ///
    /// # Panics
    /// A buffer is shorter than its tensor.
    pub fn run<T: Copy>(&self, src: &[T], value: T, dst: &mut [T]) {
        // The last dimension is always a loop of stride 1, except where it was dropped as an extent of 1.
        let (n, [stride]) = (self.whole.row_len(), self.whole.row_strides());
        self.whole.for_each_row(|[at]| {
            if stride == 1 {
                dst[at..at + n].fill(value);
            } else {
                dst[at..].iter_mut().step_by(stride).take(n).for_each(|cell| *cell = value);
            }
        });
        self.copy.run(src, dst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_go_around_and_the_pitch_gap_stays() {
        let mut out = [9i8; 12];
        Pad::new(&[1, 2, 2], &[0, 1, 0], &[0, 0, 1], 2, 4).run(&[1, 2, 3, 4], 0, &mut out);
        assert_eq!(out, [0, 0, 0, 9, 1, 2, 0, 9, 3, 4, 0, 9]);
    }

    #[test]
    fn one_channel_with_a_pitch() {
        let mut out = [9i8; 8];
        Pad::new(&[1, 1, 2, 1], &[0, 0, 1, 0], &[0, 0, 1, 0], 2, 2).run(&[1, 9, 2, 9], 0, &mut out);
        assert_eq!(out, [0, 9, 1, 9, 2, 9, 0, 9]);
    }
}
