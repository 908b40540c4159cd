//! Boxes after a change: cut to the picture, and dropped where too little is left to learn from.

use crate::dataset::training::Labelled;

/// A side must be longer than this many pixels.
const SIDE_MIN: f32 = 2.0;
/// More than this part of the area must be left.
const AREA_LEFT_MIN: f32 = 0.1;
/// The longer side may be at most this many times the shorter.
const ASPECT_MAX: f32 = 100.0;

/// A box, and how large the whole object would be at the picture's scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moved {
    pub labelled: Labelled,
    pub whole_area: f32,
}

/// Cuts the boxes to a square of this side. Keeps what YOLOv5 keeps; of regions that do not matter everything is kept
/// that has an area.
pub(super) fn kept(boxes: &[Moved], side: f32) -> Vec<Labelled> {
    let cut = |moved: &Moved| {
        let corners = moved.labelled.corners.map(|x| x.clamp(0.0, side));
        let [width, height] = extent(corners);
        let enough = match moved.labelled.class {
            Some(_) => {
                width.min(height) > SIDE_MIN
                    && width * height > AREA_LEFT_MIN * moved.whole_area
                    && width.max(height) < ASPECT_MAX * width.min(height)
            }
            None => width > 0.0 && height > 0.0,
        };
        enough.then_some(Labelled { corners, ..moved.labelled })
    };
    boxes.iter().filter_map(cut).collect()
}

/// Width and height of a box given by its corners.
pub(super) fn extent([left, top, right, bottom]: [f32; 4]) -> [f32; 2] {
    [right - left, bottom - top]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(class: Option<u32>, corners: [f32; 4]) -> Moved {
        let [width, height] = extent(corners);
        Moved { labelled: Labelled { class, corners }, whole_area: width * height }
    }

    #[test]
    fn what_is_left_of_a_box_decides() {
        let survivors = |corners| kept(&[whole(Some(1), corners)], 100.0).first().map(|b| b.corners);
        assert_eq!(survivors([10.0, 10.0, 30.0, 20.0]), Some([10.0, 10.0, 30.0, 20.0]));
        assert_eq!(survivors([-10.0, 90.0, 30.0, 120.0]), Some([0.0, 90.0, 30.0, 100.0]));
        // 10 % of 40 × 40 is 160: 4 columns are not enough, 4.5 are.
        assert_eq!(survivors([-36.0, 0.0, 4.0, 40.0]), None);
        assert_eq!(survivors([-35.5, 0.0, 4.5, 40.0]), Some([0.0, 0.0, 4.5, 40.0]));
        assert_eq!(survivors([10.0, 10.0, 12.0, 30.0]), None, "two pixels wide");
        assert_eq!(survivors([110.0, 10.0, 130.0, 30.0]), None, "outside");
        let long = whole(Some(0), [0.0, 0.0, 400.0, 4.0]);
        assert_eq!(kept(&[long], 1000.0), [], "100 times as long as wide");
    }

    #[test]
    fn regions_that_do_not_matter_are_kept_however_small() {
        let thin = whole(None, [-100.0, 10.0, 1.0, 30.0]);
        assert_eq!(kept(&[thin], 100.0)[0].corners, [0.0, 10.0, 1.0, 30.0]);
        assert_eq!(kept(&[whole(None, [-100.0, 10.0, 0.0, 30.0])], 100.0), []);
    }
}
