//! Matrix products: the safe door to the crate `gemm`.

use gemm::Parallelism;
use rayon::prelude::*;

/// A matrix in a slice: element `(r, c)` is `values[r · row_step + c · column_step]`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// `rows` rows of `columns` numbers; row `r` begins at `r · row_step`.
    pub fn new(values: &'a [f32], rows: usize, columns: usize, row_step: usize) -> Self {
        assert!(rows > 0 && columns > 0 && columns <= row_step);
        assert!((rows - 1) * row_step + columns <= values.len());
        Matrix { values, rows, columns, row_step, column_step: 1 }
    }

    /// Rows and columns exchanged.
    pub fn transposed(self) -> Self {
        let Matrix { values, rows, columns, row_step, column_step } = self;
        Matrix { values, rows: columns, columns: rows, row_step: column_step, column_step: row_step }
    }

    /// The rows from `first` on, at most `count`.
    fn part(self, first: usize, count: usize) -> Self {
        let rows = count.min(self.rows - first);
        Matrix { values: &self.values[first * self.row_step..], rows, ..self }
    }
}

/// Where a product goes: rows of `columns` numbers, `row_step` apart, the first at `offset`.
pub(super) struct Target<'a> {
    pub values: &'a mut [f32],
    pub row_step: usize,
    pub offset: usize,
    /// Whether it is added to what is there.
    pub add: bool,
}

/// `a · b`, the rows shared among threads. How they are shared does not change the numbers.
pub(super) fn product(a: Matrix, b: Matrix, target: Target) {
    let Target { values, row_step, offset, add } = target;
    let each = a.rows.div_ceil(rayon::current_num_threads()).next_multiple_of(4);
    values.par_chunks_mut(each * row_step).enumerate().take(a.rows.div_ceil(each)).for_each(|(i, chunk)| {
        multiply(a.part(i * each, each), b, &mut chunk[offset..], row_step, add);
    });
}

fn multiply(a: Matrix, b: Matrix, out: &mut [f32], row_step: usize, add: bool) {
    assert_eq!(a.columns, b.rows);
    assert!(b.columns <= row_step && (a.rows - 1) * row_step + b.columns <= out.len());
    let step = |n: usize| n as isize;
    // SAFETY: the furthest element of each matrix lies in its slice: of `a` and `b` by the assertions in
    // `Matrix::new` (`part` and `transposed` keep them), of `out` by the one above; `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            step(row_step),
            add,
            a.values.as_ptr(),
            step(a.column_step),
            step(a.row_step),
            b.values.as_ptr(),
            step(b.column_step),
            step(b.row_step),
            1.0f32,
            1.0f32,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
