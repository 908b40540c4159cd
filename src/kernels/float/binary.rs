//! Element-wise functions of two variables.

use super::unary;
use crate::graph::{Binary, Unary};
use crate::kernels::moves::{Nest, Strided};

/// `activation(f(a, b))`, where `a` and `b` are broadcast to the output.
#[derive(Clone, Debug)]
pub struct BinaryF32 {
    kind: Binary,
    activation: Option<Unary>,
    nest: Nest<3>,
    offset: [usize; 3],
}

impl BinaryF32 {
    /// The operands and the output lie as `a`, `b` and `dst` say. Missing leading dimensions and extents of
    /// 1 of `a` and `b` are repeated.
    ///
    /// # Panics
    /// An operand does not broadcast to the dimensions of `dst`.
    pub fn new(kind: Binary, activation: Option<Unary>, a: &Strided, b: &Strided, dst: &Strided) -> Self {
        let (a, b) = (a.broadcast(&dst.dims), b.broadcast(&dst.dims));
        let nest = Nest::new(&dst.dims, [&a.strides, &b.strides, &dst.strides]);
        BinaryF32 { kind, activation, nest, offset: [a.offset, b.offset, dst.offset] }
    }

    /// Computes all elements.
    ///
    /// # Panics
    /// A buffer is shorter than its tensor.
    pub fn run(&self, a: &[f32], b: &[f32], dst: &mut [f32]) {
        match self.kind {
            Binary::Add => self.run_with(a, b, dst, |x, y| x + y),
            Binary::Sub => self.run_with(a, b, dst, |x, y| x - y),
            Binary::Mul => self.run_with(a, b, dst, |x, y| x * y),
            Binary::Div => self.run_with(a, b, dst, |x, y| x / y),
            Binary::Max => self.run_with(a, b, dst, f32::max),
            Binary::Min => self.run_with(a, b, dst, f32::min),
            Binary::Pow => self.run_with(a, b, dst, unary::pow),
        }
    }

    fn run_with(&self, a: &[f32], b: &[f32], dst: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        let n = self.nest.row_len();
        if n == 0 {
            return;
        }
        let [oa, ob, od] = self.offset;
        let (a, b, dst) = (&a[oa..], &b[ob..], &mut dst[od..]);
        let [sa, sb, sd] = self.nest.row_strides();
        self.nest.for_each_row(|[pa, pb, pd]| {
            if sd != 1 {
                // A single channel with a pitch.
                for i in 0..n {
                    let y = f(a[pa + i * sa], b[pb + i * sb]);
                    dst[pd + i * sd] = self.activation.map_or(y, |g| unary::apply(g, y));
                }
                return;
            }
            let row = &mut dst[pd..pd + n];
            match [sa, sb] {
                [1, 1] => zip(row, &a[pa..pa + n], &b[pb..pb + n], &f),
                [1, 0] => zip(row, &a[pa..pa + n], std::iter::repeat(&b[pb]), &f),
                [0, 1] => zip(row, std::iter::repeat(&a[pa]), &b[pb..pb + n], &f),
                _ => row.iter_mut().enumerate().for_each(|(i, y)| *y = f(a[pa + i * sa], b[pb + i * sb])),
            }
            if let Some(g) = self.activation {
                unary::map_in_place(g, row);
            }
        });
    }
}

#[inline(always)]
fn zip<'a>(
    row: &mut [f32],
    a: impl IntoIterator<Item = &'a f32>,
    b: impl IntoIterator<Item = &'a f32>,
    f: impl Fn(f32, f32) -> f32,
) {
    row.iter_mut().zip(a).zip(b).for_each(|((y, &a), &b)| *y = f(a, b));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::noise;

    /// Element of a row-major tensor at `index` of the broadcast shape.
    fn at(dims: &[usize], data: &[f32], index: &[usize]) -> f32 {
        let own = &index[index.len() - dims.len()..];
        data[dims.iter().zip(own).fold(0, |flat, (&d, &i)| flat * d + if d == 1 { 0 } else { i })]
    }

    #[test]
    fn every_broadcast_equals_the_plain_loop() {
        let out_dims = [2, 3, 4];
        let shapes: [&[usize]; 8] =
            [&[2, 3, 4], &[4], &[], &[1], &[3, 1], &[2, 1, 4], &[2, 1, 1], &[1, 3, 1]];
        for a_dims in shapes {
            for b_dims in shapes {
                let place = |dims: &[usize]| Strided::row_major(dims, dims.last().copied().unwrap_or(1));
                let (a, b) = (noise(24, 1), noise(24, 2));
                let dst = Strided::row_major(&out_dims, 5);
                let sub = BinaryF32::new(Binary::Sub, Some(Unary::Abs), &place(a_dims), &place(b_dims), &dst);
                let mut out = [7.0; 30];
                sub.run(&a, &b, &mut out);
                for (i, &got) in out.iter().enumerate() {
                    let index = [i / 15, i / 5 % 3, i % 5];
                    let expected = || (at(a_dims, &a, &index) - at(b_dims, &b, &index)).abs();
                    let gap = index[2] == 4;
                    assert_eq!(got, if gap { 7.0 } else { expected() }, "{a_dims:?} {b_dims:?} {index:?}");
                }
            }
        }
    }

    #[test]
    fn every_function_once() {
        let place = Strided::row_major(&[2], 2);
        for (kind, expected) in [
            (Binary::Add, [5.0, 0.5]),
            (Binary::Sub, [1.0, -4.5]),
            (Binary::Mul, [6.0, -5.0]),
            (Binary::Div, [1.5, -0.8]),
            (Binary::Max, [3.0, 2.5]),
            (Binary::Min, [2.0, -2.0]),
            (Binary::Pow, [9.0, f32::NAN]),
        ] {
            let mut out = [0.0; 2];
            BinaryF32::new(kind, None, &place, &place, &place).run(&[3.0, -2.0], &[2.0, 2.5], &mut out);
            let same = |x: f32, y: f32| x == y || x.is_nan() && y.is_nan();
            assert!(same(out[0], expected[0]) && same(out[1], expected[1]), "{kind:?}: {out:?}");
        }
    }

    #[test]
    fn one_channel_with_a_pitch() {
        let place = Strided::row_major(&[1, 1, 2, 1], 4);
        let mut out = [7.0; 5];
        let add = BinaryF32::new(Binary::Add, Some(Unary::Relu), &place, &place, &place);
        add.run(&[1.0, 9.0, 9.0, 9.0, -2.0], &[1.0, 9.0, 9.0, 9.0, 1.0], &mut out);
        assert_eq!(out, [2.0, 7.0, 7.0, 7.0, 0.0]);
    }
}
