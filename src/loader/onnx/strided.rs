//! Walking over the cells of a tensor in another order than the one they lie in.

/// Flat source index of every cell of a result with extents `dims`, in row-major order: `offset` plus the
/// sum of coordinate · stride. The caller sees to it that every index is inside the source.
pub fn indices(dims: Vec<usize>, offset: usize, strides: Vec<isize>) -> impl Iterator<Item = usize> {
    debug_assert_eq!(dims.len(), strides.len());
    let cells = 0..dims.iter().product::<usize>();
    let mut coordinates = vec![0; dims.len()];
    let mut index = offset as isize;
    cells.map(move |_| {
        let found = index as usize;
        for axis in (0..dims.len()).rev() {
            coordinates[axis] += 1;
            index += strides[axis];
            if coordinates[axis] < dims[axis] {
                break;
            }
            index -= strides[axis] * dims[axis] as isize;
            coordinates[axis] = 0;
        }
        found
    })
}

/// Distance between neighbours along each axis of a row-major tensor.
pub fn row_major(dims: &[usize]) -> Vec<isize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis] as isize;
    }
    strides
}

/// Strides that repeat a tensor along new leading axes and axes of extent 1, up to rank `rank`.
pub fn broadcast(dims: &[usize], rank: usize) -> Vec<isize> {
    let own = row_major(dims).into_iter().zip(dims).map(|(stride, &d)| if d == 1 { 0 } else { stride });
    std::iter::repeat_n(0, rank - dims.len()).chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transpose_reverse_and_broadcast() {
        // Rows 0 1 2 / 3 4 5.
        let strides = row_major(&[2, 3]);
        assert_eq!(strides, [3, 1]);
        assert!(indices(vec![3, 2], 0, vec![1, 3]).eq([0, 3, 1, 4, 2, 5]));
        assert!(indices(vec![2, 3], 2, vec![3, -1]).eq([2, 1, 0, 5, 4, 3]));
        assert!(indices(vec![2, 3], 0, broadcast(&[3], 2)).eq([0, 1, 2, 0, 1, 2]));
        assert!(indices(vec![2, 3], 0, broadcast(&[2, 1], 2)).eq([0, 0, 0, 1, 1, 1]));
        assert!(indices(vec![], 0, vec![]).eq([0]));
        assert_eq!(indices(vec![3, 0], 0, vec![1, 1]).count(), 0);
    }
}
