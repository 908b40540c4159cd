//! Nests of loops over operands that are walked with strides of their own.

use crate::limits::RANK_MAX;

/// Loops over `K` operands in step; the innermost loop is left to the caller, one call per row.
///
/// Extents of 1 are dropped and neighbouring loops are merged where every operand allows it, so that the
/// innermost loop is as long as it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nest<const K: usize> {
    loops: Vec<Loop<K>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loop<const K: usize> {
    extent: usize,
    strides: [usize; K],
}

impl<const K: usize> Nest<K> {
    /// Loops of extents `dims`, outermost first; `strides[k]` are the element distances of operand `k`.
    ///
    /// # Panics
    /// More than [`RANK_MAX`] dimensions, or a list of strides of another length.
    pub fn new(dims: &[usize], strides: [&[usize]; K]) -> Self {
        assert!(dims.len() <= RANK_MAX && strides.iter().all(|s| s.len() == dims.len()));
        if dims.contains(&0) {
            return Nest { loops: vec![Loop { extent: 0, strides: [0; K] }] };
        }
        let mut loops: Vec<Loop<K>> = Vec::new();
        for (axis, &extent) in dims.iter().enumerate().filter(|&(_, &d)| d != 1) {
            let inner = Loop { extent, strides: strides.map(|s| s[axis]) };
            match loops.last_mut() {
                Some(outer) if (0..K).all(|k| outer.strides[k] == inner.strides[k] * extent) => {
                    *outer = Loop { extent: outer.extent * extent, ..inner };
                }
                _ => loops.push(inner),
            }
        }
        if loops.is_empty() {
            loops.push(Loop { extent: 1, strides: [1; K] });
        }
        Nest { loops }
    }

    fn innermost(&self) -> Loop<K> {
        self.loops[self.loops.len() - 1]
    }

    /// Extent of the innermost loop.
    pub fn row_len(&self) -> usize {
        self.innermost().extent
    }

    /// Element distances in the innermost loop.
    pub fn row_strides(&self) -> [usize; K] {
        self.innermost().strides
    }

    /// Calls `row` with the offset of each operand, once per run of the innermost loop.
    pub fn for_each_row(&self, mut row: impl FnMut([usize; K])) {
        if self.row_len() == 0 {
            return;
        }
        let outer = &self.loops[..self.loops.len() - 1];
        let mut count = [0usize; RANK_MAX];
        let mut offset = [0usize; K];
        loop {
            row(offset);
            // Like an odometer: a wheel that wraps moves the one to its left.
            let moved = outer.iter().enumerate().rev().any(|(axis, l)| {
                count[axis] += 1;
                let wraps = count[axis] == l.extent;
                if wraps {
                    count[axis] = 0;
                }
                for (at, stride) in offset.iter_mut().zip(l.strides) {
                    *at = if wraps { *at - (l.extent - 1) * stride } else { *at + stride };
                }
                !wraps
            });
            if !moved {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_loops_merge_only_where_every_operand_allows_it() {
        let contiguous = Nest::new(&[2, 1, 3, 4], [&[12, 12, 4, 1], &[12, 99, 4, 1]]);
        assert_eq!((contiguous.row_len(), contiguous.loops.len()), (24, 1));
        let pitched = Nest::new(&[2, 3, 4], [&[12, 4, 1], &[24, 8, 1]]);
        assert_eq!((pitched.row_len(), pitched.loops.len()), (4, 2));
    }

    #[test]
    fn rows_come_in_order_with_every_operand_at_its_offset() {
        let nest = Nest::new(&[2, 3, 2], [&[100, 10, 1], &[0, 5, 2]]);
        let mut rows = Vec::new();
        nest.for_each_row(|offsets| rows.push(offsets));
        assert_eq!(rows, [[0, 0], [10, 5], [20, 10], [100, 0], [110, 5], [120, 10]]);
    }

    #[test]
    fn empty_and_scalar_nests() {
        let mut rows = 0;
        let empty = Nest::new(&[3, 0, 2], [&[0, 2, 1]]);
        empty.for_each_row(|_| rows += 1);
        assert_eq!(rows, 0);
        let scalar = Nest::<1>::new(&[], [&[]]);
        scalar.for_each_row(|[at]| rows += 1 + at);
        assert_eq!((rows, scalar.row_len()), (1, 1));
    }
}
