//! Nearest-neighbour resize.

use crate::graph::ResizeCoords;
use crate::kernels::{Plane, PlaneMut};
use std::ops::Range;

/// Resizes height and width of one NHWC image by copying pixels.
#[derive(Clone, Debug)]
pub struct NearestResize {
    channels: usize,
    input_width: usize,
    /// Source row per output row.
    rows: Vec<usize>,
    /// Source column per output column.
    columns: Vec<usize>,
}

impl NearestResize {
    /// `input` and `output` are rows and columns, `scale` is output ÷ input per axis as the model gives it.
    ///
    /// [`ResizeCoords::Asymmetric`] rounds down, the other modes round to the nearest with halves down.
    pub fn new(
        channels: usize,
        input: [usize; 2],
        output: [usize; 2],
        scale: [f32; 2],
        coords: ResizeCoords,
    ) -> Self {
        let axis =
            |a: usize| (0..output[a]).map(|i| nearest(coords, i, input[a], output[a], scale[a])).collect();
        NearestResize { channels, input_width: input[1], rows: axis(0), columns: axis(1) }
    }

    /// Writes the output rows `rows`; `dst` starts at the first of them.
    ///
    /// # Panics
    /// A buffer is shorter than its image, or the input is empty and the output is not.
    pub fn run<T: Copy>(&self, src: Plane<T>, dst: PlaneMut<T>, rows: Range<usize>) {
        let mut pixel = 0;
        for &y in &self.rows[rows] {
            let line = &src.data[y * self.input_width * src.pitch..];
            for &x in &self.columns {
                let from = &line[x * src.pitch..][..self.channels];
                dst.data[pixel * dst.pitch..][..self.channels].copy_from_slice(from);
                pixel += 1;
            }
        }
    }
}

/// Input coordinate of output index `i`, as ONNX defines it (single precision, like ONNX Runtime).
pub(crate) fn source_coordinate(
    coords: ResizeCoords,
    i: usize,
    input: usize,
    output: usize,
    scale: f32,
) -> f32 {
    match coords {
        ResizeCoords::Asymmetric => i as f32 / scale,
        ResizeCoords::HalfPixel => (i as f32 + 0.5) / scale - 0.5,
        ResizeCoords::AlignCorners if output <= 1 => 0.0,
        ResizeCoords::AlignCorners => i as f32 * (input as f32 - 1.0) / (output as f32 - 1.0),
    }
}

fn nearest(coords: ResizeCoords, i: usize, input: usize, output: usize, scale: f32) -> usize {
    let at = source_coordinate(coords, i, input, output, scale);
    let rounded = match coords {
        ResizeCoords::Asymmetric => at.floor(),
        ResizeCoords::HalfPixel | ResizeCoords::AlignCorners => (at - 0.5).ceil(),
    };
    // The cast saturates, so whatever the scale, the index stays inside.
    (rounded as usize).min(input.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(coords: ResizeCoords, input: usize, output: usize) -> Vec<usize> {
        let scale = output as f32 / input as f32;
        (0..output).map(|i| nearest(coords, i, input, output, scale)).collect()
    }

    #[test]
    fn doubling_repeats_every_pixel() {
        let up = NearestResize::new(2, [1, 2], [2, 4], [2.0; 2], ResizeCoords::Asymmetric);
        let mut out = [0i8; 16];
        let src = Plane { data: &[1, 2, 9, 3, 4, 9], pitch: 3 };
        up.run(src, PlaneMut { data: &mut out, pitch: 2 }, 0..2);
        assert_eq!(out, [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
    }

    // Resize of [0, 1, 2, ...] with mode nearest (nearest_mode floor for asymmetric, else
    // round_prefer_floor) in onnxruntime.
    #[test]
    fn indices_equal_those_of_onnxruntime() {
        use ResizeCoords::*;
        let cases: [(ResizeCoords, usize, &[usize]); 9] = [
            (Asymmetric, 5, &[0, 1, 3]),
            (Asymmetric, 3, &[0, 0, 0, 1, 1, 2, 2]),
            (Asymmetric, 4, &[0, 0, 1, 2, 2, 3]),
            (HalfPixel, 5, &[0, 2, 4]),
            (HalfPixel, 3, &[0, 0, 1, 1, 1, 2, 2]),
            (HalfPixel, 7, &[3]),
            (AlignCorners, 3, &[0, 0, 1, 1, 1, 2, 2]),
            (AlignCorners, 4, &[0, 1, 1, 2, 2, 3]),
            (AlignCorners, 7, &[0]),
        ];
        for (coords, input, expected) in cases {
            assert_eq!(indices(coords, input, expected.len()), expected, "{coords:?} from {input}");
        }
    }

    #[test]
    fn a_hostile_scale_stays_inside() {
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-38] {
            for coords in [ResizeCoords::Asymmetric, ResizeCoords::HalfPixel] {
                assert!((0..9).all(|i| nearest(coords, i, 4, 9, scale) < 4));
            }
        }
    }
}
