//! Pictures as a mirror shows them.

use super::Scene;

/// Exchanges left and right.
pub(super) fn mirror(scene: &mut Scene) {
    let (pixels, _) = scene.frame.rgb.as_chunks_mut::<3>();
    for row in pixels.chunks_exact_mut(scene.frame.width) {
        row.reverse();
    }
    let width = scene.frame.width as f32;
    for labelled in &mut scene.boxes {
        let [left, top, right, bottom] = labelled.corners;
        labelled.corners = [width - right, top, width - left, bottom];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::training::Labelled;
    use ocellus::image::Frame;

    #[test]
    fn left_and_right_change_places() {
        let rgb = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19];
        let boxes = vec![Labelled { class: None, corners: [0.0, 1.0, 1.0, 2.0] }];
        let mut scene = Scene { frame: Frame::new(3, 2, rgb).unwrap(), boxes };
        let before = scene.clone();
        mirror(&mut scene);
        assert_eq!(scene.frame.rgb, [7, 8, 9, 4, 5, 6, 1, 2, 3, 17, 18, 19, 14, 15, 16, 11, 12, 13]);
        assert_eq!(scene.boxes[0].corners, [2.0, 1.0, 3.0, 2.0]);
        mirror(&mut scene);
        assert_eq!(scene, before);
    }
}
