//! Pictures in another size, by the runtime's own resizing: a network is trained on what it will see.

use super::Scene;
use crate::dataset::training::Labelled;
use crate::error::Result;
use ocellus::image::{Fit, Frame, Letterbox, Preprocess};
use ocellus::kernels::PlaneMut;
use ocellus::kernels::isa::Isa;

/// `frame` in exactly `width` × `height` pixels.
///
/// # Errors
/// A side is zero or above the runtime's limit.
pub fn resized(frame: &Frame, [width, height]: [usize; 2]) -> Result<Frame> {
    if [frame.width, frame.height] == [width, height] {
        return Ok(frame.clone());
    }
    fitted(frame, [width, height], Fit::Stretch).map(|(frame, _)| frame)
}

/// `frame` with its longer side brought down to `side`, or as it is where it is smaller.
///
/// # Errors
/// `side` is zero or above the runtime's limit.
pub fn shrunk(frame: Frame, side: usize) -> Result<Frame> {
    let longer = frame.width.max(frame.height);
    if longer <= side {
        return Ok(frame);
    }
    let scaled = |extent: usize| ((extent * side) as f64 / longer as f64).round_ties_even().max(1.0) as usize;
    resized(&frame, [scaled(frame.width), scaled(frame.height)])
}

/// `scene` fitted into a square of side `size`, pixel by pixel as the runtime does it.
///
/// # Errors
/// A side is zero or above the runtime's limit.
pub fn letterboxed(scene: &Scene, size: usize) -> Result<Scene> {
    let (frame, letterbox) = fitted(&scene.frame, [size, size], Fit::Letterbox)?;
    let mapping = letterbox.mapping();
    let fit = |b: &Labelled| Labelled { corners: mapping.to_network(b.corners), ..*b };
    Ok(Scene { frame, boxes: scene.boxes.iter().map(fit).collect() })
}

fn fitted(frame: &Frame, [width, height]: [usize; 2], fit: Fit) -> Result<(Frame, Letterbox)> {
    let preprocess = Preprocess { fit, fill: super::FILL, ..Preprocess::default() };
    let mut letterbox =
        Letterbox::new([frame.height, frame.width], [height, width], &preprocess, Isa::of_request(None)?)?;
    let same: [u8; 256] = std::array::from_fn(|x| x as u8);
    let mut rgb = vec![0; width * height * 3];
    letterbox.run(frame, &[same; 3], PlaneMut { data: &mut rgb, pitch: 3 })?;
    Ok((Frame { width, height, rgb }, letterbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letterbox_moves_boxes_with_their_pixels() {
        // Dark, but for a light rectangle at 20..40 × 10..30 of 80 × 40.
        let light = |i: usize| (20..40).contains(&(i % 80)) && (10..30).contains(&(i / 80));
        let rgb = (0..80 * 40).flat_map(|i| [if light(i) { 250 } else { 10 }; 3]).collect();
        let boxes = vec![Labelled { class: Some(0), corners: [20.0, 10.0, 40.0, 30.0] }];
        let scene = Scene { frame: Frame::new(80, 40, rgb).unwrap(), boxes };
        let small = letterboxed(&scene, 40).unwrap();
        // Half the size, with 10 rows of margin above and below.
        assert_eq!(small.boxes[0].corners, [10.0, 15.0, 20.0, 25.0]);
        let at = |x: usize, y: usize| small.frame.rgb[(y * 40 + x) * 3];
        assert_eq!([at(15, 20), at(5, 20), at(30, 20), at(15, 9), at(15, 30)], [250, 10, 10, 114, 114]);
    }

    #[test]
    fn shrinking_keeps_the_aspect_and_never_enlarges() {
        let frame = Frame::new(60, 20, vec![7; 3600]).unwrap();
        assert_eq!(shrunk(frame.clone(), 60).unwrap(), frame);
        let small = shrunk(frame, 30).unwrap();
        assert_eq!([small.width, small.height], [30, 10]);
        assert!(small.rgb.iter().all(|&x| x == 7));
    }
}
