//! Pictures rotated about their middle.

use super::FILL;
use ocellus::image::Frame;

/// A rotation of a square picture, which is cut from the middle of a larger one so that its corners are not empty.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    size: usize,
    canvas: usize,
    sin: f32,
    cos: f32,
}

impl Turn {
    /// By `angle` in radians, clockwise as one sees it, to a square of side `size`.
    pub(super) fn new(size: usize, angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        let reach = if angle == 0.0 { size } else { (size as f64 * (sin.abs() + cos.abs())).ceil() as usize };
        // The same margin on both sides.
        let canvas = size + (reach - size).next_multiple_of(2);
        Turn { size, canvas, sin: sin as f32, cos: cos as f32 }
    }

    /// Side of the larger square.
    pub(super) fn canvas(&self) -> usize {
        self.canvas
    }

    /// The upright box around a rotated box.
    pub(super) fn bounds(&self, [left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
        if self.sin == 0.0 && self.cos == 1.0 {
            return [left, top, right, bottom];
        }
        let (from, to) = (self.canvas as f32 / 2.0, self.size as f32 / 2.0);
        let turned = [[left, top], [right, top], [left, bottom], [right, bottom]].map(|[x, y]| {
            let (x, y) = (x - from, y - from);
            [self.cos * x - self.sin * y + to, self.sin * x + self.cos * y + to]
        });
        let along = |axis: usize, pick: fn(f32, f32) -> f32| {
            turned.iter().map(|corner| corner[axis]).reduce(pick).unwrap_or_default()
        };
        [along(0, f32::min), along(1, f32::min), along(0, f32::max), along(1, f32::max)]
    }

    /// The rotated pixels, between the four nearest.
    pub(super) fn run(&self, canvas: Frame) -> Frame {
        if self.sin == 0.0 && self.cos == 1.0 {
            return canvas;
        }
        let mut rgb = Vec::with_capacity(self.size * self.size * 3);
        let (from, to) = (self.canvas as f32 / 2.0, self.size as f32 / 2.0);
        for row in 0..self.size {
            let y = row as f32 + 0.5 - to;
            for column in 0..self.size {
                let x = column as f32 + 0.5 - to;
                let source = [self.cos * x + self.sin * y, self.cos * y - self.sin * x];
                rgb.extend(between(&canvas, source.map(|v| v + from - 0.5)));
            }
        }
        Frame { width: self.size, height: self.size, rgb }
    }
}

/// The colour at a point, in pixels from the middle of the first.
fn between(frame: &Frame, [x, y]: [f32; 2]) -> [u8; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (right, below) = (x - left, y - top);
    let pixel = |dx: i64, dy: i64| {
        let (x, y) = (left as i64 + dx, top as i64 + dy);
        let inside = (0..frame.width as i64).contains(&x) && (0..frame.height as i64).contains(&y);
        let at = (y * frame.width as i64 + x) as usize * 3;
        if inside { [frame.rgb[at], frame.rgb[at + 1], frame.rgb[at + 2]] } else { [FILL; 3] }
    };
    let corners = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
    std::array::from_fn(|c| {
        let [a, b, c, d] = corners.map(|pixel| f32::from(pixel[c]));
        let (upper, lower) = (a + (b - a) * right, c + (d - c) * right);
        (upper + (lower - upper) * below).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

    /// A picture whose every pixel says where it is.
    fn numbered(side: usize) -> Frame {
        let rgb = (0..side * side).flat_map(|i| [(i % side) as u8, (i / side) as u8, 0]).collect();
        Frame { width: side, height: side, rgb }
    }

    #[test]
    fn quarter_and_half_turns_move_whole_pixels() {
        let pixel = |frame: &Frame, x: usize, y: usize| frame.rgb[(y * 10 + x) * 3..][..2].to_vec();
        let quarter = Turn::new(10, FRAC_PI_2);
        let turned = quarter.run(numbered(quarter.canvas()));
        // Clockwise: what was above left is above right.
        let first = (quarter.canvas() - 10) as u8 / 2;
        assert_eq!(pixel(&turned, 9, 0), [first, first]);
        assert_eq!(pixel(&turned, 7, 4), [first + 4, first + 2]);
        let half = Turn::new(10, PI);
        let turned = half.run(numbered(half.canvas()));
        let last = (half.canvas() - 10) as u8 / 2 + 9;
        assert_eq!(pixel(&turned, 0, 0), [last, last]);
    }

    #[test]
    fn boxes_turn_with_their_pixels() {
        let quarter = Turn::new(10, FRAC_PI_2);
        let margin = (quarter.canvas() - 10) as f32 / 2.0;
        // 2 wide and 1 high at 3, 4 becomes 1 wide and 2 high; its left edge becomes the upper one.
        let near = quarter.bounds([3.0, 4.0, 5.0, 5.0].map(|x: f32| x + margin));
        for (is, expected) in near.iter().zip([5.0, 3.0, 6.0, 5.0]) {
            assert!((is - expected).abs() < 1e-4, "{near:?}");
        }
        // A square on its corner: the box around it is √2 as wide.
        let eighth = Turn::new(10, FRAC_PI_4);
        let middle = eighth.canvas() as f32 / 2.0;
        let [left, top, right, bottom] = eighth.bounds([-1.0, -1.0, 1.0, 1.0].map(|x: f32| x + middle));
        let expected = 2.0 * 2f32.sqrt();
        assert!((right - left - expected).abs() < 1e-5 && (bottom - top - expected).abs() < 1e-5);
    }

    #[test]
    fn no_angle_leaves_all_as_it_is() {
        let none = Turn::new(9, 0.0);
        assert_eq!((none.canvas(), none.run(numbered(9))), (9, numbered(9)));
        // An odd side has the same margin on both sides, too.
        assert_eq!(Turn::new(9, 0.3).canvas() % 2, 1);
    }
}
