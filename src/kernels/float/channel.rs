//! Functions with parameters per channel, over pixels of any `[.., C]` tensor.

use super::unary::leaky;
use crate::kernels::{Plane, PlaneMut};

/// `x` if positive, `slope[c] · x` otherwise.
#[derive(Clone, Debug)]
pub struct PReluF32 {
    slope: Vec<f32>,
}

impl PReluF32 {
    /// One slope per channel.
    pub fn new(slope: &[f32]) -> Self {
        PReluF32 { slope: slope.to_vec() }
    }

    /// Computes `pixels` pixels.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, pixels: usize) {
        each_pixel(src, dst, pixels, self.slope.len(), |x, y| {
            for ((y, &x), &slope) in y.iter_mut().zip(x).zip(&self.slope) {
                *y = leaky(x, slope);
            }
        });
    }
}

/// `scale[c] · x + shift[c]`.
#[derive(Clone, Debug)]
pub struct ChannelAffineF32 {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl ChannelAffineF32 {
    /// One scale and one shift per channel.
    ///
    /// # Panics
    /// The lists differ in length.
    pub fn new(scale: &[f32], shift: &[f32]) -> Self {
        assert_eq!(scale.len(), shift.len());
        ChannelAffineF32 { scale: scale.to_vec(), shift: shift.to_vec() }
    }

    /// Computes `pixels` pixels.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    pub fn run(&self, src: Plane<f32>, dst: PlaneMut<f32>, pixels: usize) {
        each_pixel(src, dst, pixels, self.scale.len(), |x, y| {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&self.scale).zip(&self.shift) {
                *y = scale * x + shift;
            }
        });
    }
}

fn each_pixel(
    src: Plane<f32>,
    dst: PlaneMut<f32>,
    pixels: usize,
    channels: usize,
    f: impl Fn(&[f32], &mut [f32]),
) {
    for pixel in 0..pixels {
        let x = &src.data[pixel * src.pitch..][..channels];
        f(x, &mut dst.data[pixel * dst.pitch..][..channels]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worked_examples_with_a_pitch() {
        let src = Plane { data: &[-2.0, 4.0, 9.0, 6.0, -8.0], pitch: 3 };
        let mut out = [7.0; 6];
        PReluF32::new(&[0.5, 0.25]).run(src, PlaneMut { data: &mut out, pitch: 3 }, 2);
        assert_eq!(out, [-1.0, 4.0, 7.0, 6.0, -2.0, 7.0]);
        ChannelAffineF32::new(&[2.0, -1.0], &[0.0, 1.0]).run(src, PlaneMut { data: &mut out, pitch: 3 }, 2);
        assert_eq!(out, [-4.0, -3.0, 7.0, 12.0, 9.0, 7.0]);
    }
}
