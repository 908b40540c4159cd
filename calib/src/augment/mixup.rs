//! Two pictures on top of each other.

use super::Scene;
use crate::random::Random;

/// Both parameters of the beta distribution that the share of the first picture has: YOLOv5's.
const BETA: usize = 32;

/// A share about one half.
pub(super) fn share(random: &mut Random) -> f32 {
    // Of 2n − 1 even numbers the one in the middle has the beta distribution of n and n.
    let mut even = [(); 2 * BETA - 1].map(|()| random.unit());
    *even.select_nth_unstable_by(BETA - 1, f64::total_cmp).1 as f32
}

/// Lets `other`, a scene of the same size, shine through; all boxes stay.
pub(super) fn mix(scene: &mut Scene, other: Scene, share: f32) {
    for (pixel, through) in scene.frame.rgb.iter_mut().zip(&other.frame.rgb) {
        *pixel = (f32::from(*pixel) * share + f32::from(*through) * (1.0 - share)).round() as u8;
    }
    scene.boxes.extend(other.boxes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::training::Labelled;
    use ocellus::image::Frame;

    #[test]
    fn pixels_are_weighted_and_boxes_joined() {
        let scene = |value: u8, class: u32| Scene {
            frame: Frame::new(1, 1, vec![value; 3]).unwrap(),
            boxes: vec![Labelled { class: Some(class), corners: [0.0, 0.0, 1.0, 1.0] }],
        };
        let mut mixed = scene(200, 0);
        mix(&mut mixed, scene(40, 1), 0.25);
        assert_eq!(mixed.frame.rgb, [80; 3]);
        assert_eq!(mixed.boxes.iter().map(|b| b.class).collect::<Vec<_>>(), [Some(0), Some(1)]);
    }

    /// The beta distribution of a and a has mean 1/2 and variance 1 / (4 (2a + 1)).
    #[test]
    fn the_share_has_the_spread_of_its_distribution() {
        let mut random = Random::new(&[1]);
        let drawn: Vec<f64> = (0..4000).map(|_| f64::from(share(&mut random))).collect();
        let mean = drawn.iter().sum::<f64>() / 4000.0;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.004, "{mean}");
        assert!((variance * 4.0 * 65.0 - 1.0).abs() < 0.1, "{variance}");
    }
}
