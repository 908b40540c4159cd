//! Bilinear resize. Nearest neighbour moves elements only:
//! [`NearestResize`](crate::kernels::moves::NearestResize).

use crate::graph::ResizeCoords;
use crate::kernels::moves::source_coordinate;
use crate::kernels::{Plane, PlaneMut};
use std::ops::Range;

/// Resizes height and width of one NHWC image by bilinear interpolation.
#[derive(Clone, Debug)]
pub struct BilinearF32 {
    channels: usize,
    input_width: usize,
    rows: Vec<Between>,
    columns: Vec<Between>,
}

/// A position between two neighbouring indices.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Between {
    index: [usize; 2],
    weight: [f32; 2],
}

impl BilinearF32 {
    /// `input` and `output` are rows and columns, `scale` is output ÷ input per axis as the model gives it.
    /// Positions outside the image are moved to its border.
    pub fn new(
        channels: usize,
        input: [usize; 2],
        output: [usize; 2],
        scale: [f32; 2],
        coords: ResizeCoords,
    ) -> Self {
        let axis = |a: usize| -> Vec<Between> {
            let position = |i| source_coordinate(coords, i, input[a], output[a], scale[a]);
            (0..output[a]).map(|i| Between::new(position(i), input[a])).collect()
        };
        BilinearF32 { channels, input_width: input[1], rows: axis(0), columns: axis(1) }
    }

    /// Computes the output rows `rows`. `src` is the whole image, `dst` starts at the first of the rows.
    ///
    /// # Panics
    /// A buffer is shorter than its image, or the input is empty and the output is not.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, rows: Range<usize>) {
        let n = self.channels;
        let mut pixel = 0;
        for y in &self.rows[rows] {
            for x in &self.columns {
                let corner = |row: usize, column: usize| {
                    &src.data[(row * self.input_width + column) * src.pitch..][..n]
                };
                let [top, bottom] = y.index.map(|row| x.index.map(|column| corner(row, column)));
                let [upper, lower] = y.weight.map(|wy| x.weight.map(|wx| wy * wx));
                let out = &mut dst.data[pixel * dst.pitch..][..n];
                for (c, value) in out.iter_mut().enumerate() {
                    *value = upper[0] * top[0][c]
                        + upper[1] * top[1][c]
                        + lower[0] * bottom[0][c]
                        + lower[1] * bottom[1][c];
                }
                pixel += 1;
            }
        }
    }
}

impl Between {
    fn new(position: f32, extent: usize) -> Self {
        let last = extent.saturating_sub(1);
        // `max` and `min` rather than `clamp`: they also take a NaN, of a hostile scale, to the border.
        let position = position.max(0.0).min(last as f32);
        let index = (position as usize).min(last);
        let fraction = position - index as f32;
        Between { index: [index, (index + 1).min(last)], weight: [1.0 - fraction, fraction] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, to_pixels};

    // Resize of onnxruntime, mode linear, on [[1, 2, 4], [8, -3, 5]].
    #[test]
    #[rustfmt::skip]
    fn every_coordinate_mode_equals_onnxruntime() {
        use ResizeCoords::*;
        type Case<'a> = (ResizeCoords, [usize; 2], [f32; 2], &'a [f32]);
        let cases: [Case; 8] = [
            (Asymmetric, [3, 5], [1.5, 5.0 / 3.0], &[1.0, 1.6, 2.4, 3.6, 4.0, 5.666667, 1.466666, -0.1333331, 3.466667, 4.666667, 8.0, 1.4, -1.4, 3.400001, 5.0]),
            (HalfPixel, [3, 5], [1.5, 5.0 / 3.0], &[1.0, 1.4, 2.0, 3.2, 4.0, 4.5, 2.5, -0.5, 2.500001, 4.5, 8.0, 3.6, -3.0, 1.800001, 5.0]),
            (AlignCorners, [3, 5], [1.5, 5.0 / 3.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 4.5, 2.0, -0.5, 2.0, 4.5, 8.0, 2.5, -3.0, 1.0, 5.0]),
            (Asymmetric, [1, 2], [0.5, 2.0 / 3.0], &[1.0, 3.0]),
            (HalfPixel, [1, 2], [0.5, 2.0 / 3.0], &[3.25, 3.25]),
            (AlignCorners, [1, 2], [0.5, 2.0 / 3.0], &[1.0, 4.0]),
            // The file's scale counts, not the ratio of the extents.
            (HalfPixel, [2, 4], [1.0, 1.4], &[1.0, 1.571429, 2.571429, 4.0, 8.0, 1.714286, -0.7142858, 5.0]),
            (Asymmetric, [2, 4], [1.0, 1.4], &[1.0, 1.714286, 2.857143, 4.0, 8.0, 0.1428571, 0.4285717, 5.0]),
        ];
        let src = to_pixels(&[1.0, 2.0, 4.0, 8.0, -3.0, 5.0], 1, 2);
        for (coords, output, scale, expected) in cases {
            let mut out = vec![0.0; output[0] * output[1]];
            let resize = BilinearF32::new(1, [2, 3], output, scale, coords);
            resize.run(Plane { data: &src, pitch: 2 }, PlaneMut { data: &mut out, pitch: 1 }, 0..output[0]);
            assert_close(&out, expected, 2e-6);
        }
    }

    #[test]
    fn a_hostile_scale_stays_inside() {
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-38] {
            let resize = BilinearF32::new(1, [2, 2], [3, 3], [scale; 2], ResizeCoords::HalfPixel);
            let src = Plane { data: &[1.0, 2.0, 3.0, 4.0], pitch: 1 };
            resize.run(src, PlaneMut { data: &mut [0.0; 9], pitch: 1 }, 0..3);
        }
    }
}
