//! Where pictures go in the square that is made of them.

use super::boxes::{Moved, extent, kept};
use super::rotate::Turn;
use super::{Augment, FILL, Scene, resize};
use crate::dataset::training::Labelled;
use crate::error::Result;
use crate::random::Random;
use ocellus::image::Frame;

/// How far a mosaic's point lies from the middle at most, in sides and before scaling.
const MOSAIC_REACH: f64 = 0.5;

/// A geometry: one picture about a point, or four that have a corner there.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    size: usize,
    mosaic: bool,
    /// Of the longer side of a picture to `size`.
    scale: f64,
    /// The point, from the middle, in pixels.
    point: [f64; 2],
    turn: Turn,
}

/// Pixels so far, and boxes that may still reach out of them.
pub(super) struct Unfinished {
    frame: Frame,
    boxes: Vec<Moved>,
}

impl Layout {
    pub(super) fn draw(size: usize, mosaic: bool, augment: &Augment, random: &mut Random) -> Self {
        let scale = 1.0 + random.around(augment.scale);
        let reach = if mosaic { MOSAIC_REACH } else { 0.0 };
        let point = [(); 2].map(|()| {
            let inside = random.around(reach) * scale;
            (inside + random.around(augment.translate)) * size as f64
        });
        let turn = Turn::new(size, random.around(augment.degrees).to_radians());
        Layout { size, mosaic, scale, point, turn }
    }

    pub(super) fn empty(&self) -> Unfinished {
        let side = self.turn.canvas();
        let frame = Frame { width: side, height: side, rgb: vec![FILL; side * side * 3] };
        Unfinished { frame, boxes: Vec::new() }
    }

    /// Adds a picture: the only one, or number `tile` of a mosaic (above left of the point, above right, below left,
    /// below right).
    pub(super) fn add(&self, to: &mut Unfinished, scene: &Scene, tile: usize) -> Result<()> {
        let before = [scene.frame.width, scene.frame.height];
        let fit = self.scale * self.size as f64 / before[0].max(before[1]) as f64;
        let after = before.map(|extent| ((extent as f64 * fit).round() as usize).max(1));
        let middle = (self.turn.canvas() / 2) as f64;
        let start: [i64; 2] = std::array::from_fn(|axis| {
            let before_point = match (self.mosaic, tile >> axis & 1) {
                (false, _) => after[axis] / 2,
                (true, 0) => after[axis],
                (true, _) => 0,
            };
            (middle + self.point[axis]).round() as i64 - before_point as i64
        });
        paste(&mut to.frame, &resize::resized(&scene.frame, after)?, start);
        let place = |labelled: &Labelled| {
            let along =
                |axis: usize, x: f32| x * after[axis] as f32 / before[axis] as f32 + start[axis] as f32;
            let corners = std::array::from_fn(|i| along(i % 2, labelled.corners[i]));
            let [width, height] = extent(corners);
            Moved { labelled: Labelled { corners, ..*labelled }, whole_area: width * height }
        };
        to.boxes.extend(scene.boxes.iter().map(place));
        Ok(())
    }

    /// Rotates where that is asked for, and cuts the boxes to the square.
    pub(super) fn finish(&self, made: Unfinished) -> Scene {
        let Unfinished { frame, mut boxes } = made;
        for moved in &mut boxes {
            moved.labelled.corners = self.turn.bounds(moved.labelled.corners);
        }
        Scene { boxes: kept(&boxes, self.size as f32), frame: self.turn.run(frame) }
    }
}

/// Copies what of `picture` lies inside `onto` when its first pixel goes to `[left, top]`.
fn paste(onto: &mut Frame, picture: &Frame, [left, top]: [i64; 2]) {
    let span = |start: i64, extent: usize, limit: usize| {
        let clamped = |x: i64| x.clamp(0, limit as i64);
        (clamped(start) as usize, clamped(start + extent as i64) as usize)
    };
    let (x0, x1) = span(left, picture.width, onto.width);
    let (y0, y1) = span(top, picture.height, onto.height);
    if x0 >= x1 {
        return;
    }
    for y in y0..y1 {
        let from = ((y as i64 - top) as usize * picture.width + (x0 as i64 - left) as usize) * 3;
        let to = (y * onto.width + x0) * 3;
        let bytes = (x1 - x0) * 3;
        onto.rgb[to..to + bytes].copy_from_slice(&picture.rgb[from..from + bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one value with a box over all of it.
    fn plain(width: usize, height: usize, value: u8, class: u32) -> Scene {
        let corners = [0.0, 0.0, width as f32, height as f32];
        let frame = Frame { width, height, rgb: vec![value; width * height * 3] };
        Scene { frame, boxes: vec![Labelled { class: Some(class), corners }] }
    }

    fn layout(mosaic: bool, scale: f64, point: [f64; 2]) -> Layout {
        Layout { size: 100, mosaic, scale, point, turn: Turn::new(100, 0.0) }
    }

    fn made(layout: &Layout, scenes: &[Scene]) -> Scene {
        let mut unfinished = layout.empty();
        for (tile, scene) in scenes.iter().enumerate() {
            layout.add(&mut unfinished, scene, tile).unwrap();
        }
        layout.finish(unfinished)
    }

    fn at(scene: &Scene, x: usize, y: usize) -> u8 {
        scene.frame.rgb[(y * scene.frame.width + x) * 3]
    }

    /// By hand: 40 × 20 pixels become 50 × 25 at half of 100, about the point 50 + 10, 50 − 20.
    #[test]
    fn a_single_picture_ends_where_it_must() {
        let scene = made(&layout(false, 0.5, [10.0, -20.0]), &[plain(40, 20, 7, 3)]);
        assert_eq!(scene.boxes, [Labelled { class: Some(3), corners: [35.0, 18.0, 85.0, 43.0] }]);
        assert_eq!(
            [at(&scene, 35, 18), at(&scene, 84, 42), at(&scene, 34, 18), at(&scene, 84, 43)],
            [7, 7, 114, 114]
        );
    }

    /// By hand: the point is 60, 40; each picture of 100 × 100 becomes 80 × 80.
    #[test]
    fn a_mosaic_meets_at_its_point() {
        let tiles = [1, 2, 3, 4].map(|i| plain(10, 10, i as u8, i));
        let scene = made(&layout(true, 0.8, [10.0, -10.0]), &tiles);
        let corners: Vec<_> = scene.boxes.iter().map(|b| (b.class, b.corners)).collect();
        let expected = [
            (Some(1), [0.0, 0.0, 60.0, 40.0]),
            (Some(2), [60.0, 0.0, 100.0, 40.0]),
            (Some(3), [0.0, 40.0, 60.0, 100.0]),
            (Some(4), [60.0, 40.0, 100.0, 100.0]),
        ];
        assert_eq!(corners, expected);
        assert_eq!(
            [at(&scene, 59, 39), at(&scene, 60, 39), at(&scene, 59, 40), at(&scene, 60, 40)],
            [1, 2, 3, 4]
        );
    }

    /// Wherever a box of one value goes, its pixels go: no pixel outside it has the value, all inside have.
    #[test]
    fn boxes_stay_on_their_pixels() {
        let mut random = Random::new(&[3]);
        let augment = Augment { translate: 0.3, ..Augment::default() };
        for _ in 0..50 {
            let layout = Layout::draw(64, random.chance(0.5), &augment, &mut random);
            let count = if layout.mosaic { 4 } else { 1 };
            let tiles: Vec<_> = (1..=count).map(|i| plain(30, 20 + i, i as u8 * 20, i as u32)).collect();
            let scene = made(&layout, &tiles);
            for Labelled { class, corners } in &scene.boxes {
                let [left, top, right, bottom] = corners.map(|x| x as usize);
                assert_eq!(corners.map(f32::fract), [0.0; 4], "plain pictures begin and end with a pixel");
                for (x, y) in (0..64 * 64).map(|i| (i % 64, i / 64)) {
                    let inside = (left..right).contains(&x) && (top..bottom).contains(&y);
                    assert_eq!(at(&scene, x, y) as u32 == class.unwrap() * 20, inside, "{x} {y} {corners:?}");
                }
            }
        }
    }
}
