//! Polygons and lines in a picture, in coordinates from 0 to 1.

use crate::limits::ZONE_POINTS_MAX;

/// A point: x to the right, y downwards, the picture is from 0 to 1.
pub type Point = [f32; 2];

/// An area within straight edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon(Vec<Point>);

impl Polygon {
    /// # Errors
    /// In words: too few or too many points, or a point outside the picture.
    pub fn new(points: &[Point]) -> Result<Self, String> {
        if !(3..=ZONE_POINTS_MAX).contains(&points.len()) {
            return Err(format!("{} points; a zone has 3 to {ZONE_POINTS_MAX}", points.len()));
        }
        points.iter().try_for_each(|&point| check(point))?;
        let area = edges(points).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>().abs() / 2.0;
        if area < AREA_MIN {
            return Err("the points enclose no area".into());
        }
        Ok(Polygon(points.to_vec()))
    }

    /// Whether the point lies inside. Where edges cross each other, what is enclosed twice is outside.
    pub fn contains(&self, [x, y]: Point) -> bool {
        let crosses = |a: Point, b: Point| {
            (a[1] > y) != (b[1] > y) && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
        };
        edges(&self.0).filter(|&(a, b)| crosses(a, b)).count() % 2 == 1
    }
}

impl From<Polygon> for Vec<Point> {
    fn from(polygon: Polygon) -> Self {
        polygon.0
    }
}

impl From<Line> for [Point; 2] {
    fn from(line: Line) -> Self {
        line.0
    }
}

/// Least area of a zone, in pictures.
const AREA_MIN: f32 = 1e-6;
/// Least length of a line, in pictures.
const LENGTH_MIN: f32 = 1e-3;

fn edges(points: &[Point]) -> impl Iterator<Item = (Point, Point)> {
    let next = points.iter().cycle().skip(1);
    points.iter().copied().zip(next.copied())
}

fn check(point: Point) -> Result<(), String> {
    match point.iter().all(|x| (0.0..=1.0).contains(x)) {
        true => Ok(()),
        false => Err(format!(
            "the point {point:?} is outside the picture, which is from 0 to 1 in both directions"
        )),
    }
}

/// A side of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On the left hand of who goes from the first point to the second.
    Left,
    /// On the right hand.
    Right,
}

/// A line between two points, to be crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line([Point; 2]);

impl Line {
    /// # Errors
    /// In words: the line is no line, or a point outside the picture.
    pub fn new(points: [Point; 2]) -> Result<Self, String> {
        points.iter().try_for_each(|&point| check(point))?;
        let line = Line(points);
        if line.length() < LENGTH_MIN {
            return Err("the two points are the same".into());
        }
        Ok(line)
    }

    fn length(&self) -> f32 {
        let [a, b] = self.0;
        (b[0] - a[0]).hypot(b[1] - a[1])
    }

    /// Distance from the straight line through both points, positive on the right.
    fn distance(&self, p: Point) -> f32 {
        let [a, b] = self.0;
        // With y downwards, the turn from the line to the point is clockwise where this is positive.
        ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])) / self.length()
    }

    /// The side on which a point lies, if it is farther away than `margin`.
    pub fn side(&self, point: Point, margin: f32) -> Option<Side> {
        match self.distance(point) {
            d if d > margin => Some(Side::Right),
            d if d < -margin => Some(Side::Left),
            _ => None,
        }
    }

    /// Whether the way between two points on different sides leads between the line's ends.
    pub fn is_between(&self, from: Point, to: Point) -> bool {
        let (d, e) = (self.distance(from), self.distance(to));
        if d == e {
            return false;
        }
        let share = d / (d - e);
        let [a, b] = self.0;
        let at = |i: usize| from[i] + share * (to[i] - from[i]) - a[i];
        let along = (at(0) * (b[0] - a[0]) + at(1) * (b[1] - a[1])) / self.length();
        (0.0..=self.length()).contains(&along)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_inside_or_not() {
        // An L: the upper right quarter is cut out.
        let corner = [[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]];
        let corner = Polygon::new(&corner).unwrap();
        for (point, inside) in [
            ([0.25, 0.25], true),
            ([0.75, 0.25], false),
            ([0.75, 0.75], true),
            ([0.4, 0.9], true),
            ([1.5, 0.7], false),
            ([f32::NAN, 0.5], false),
        ] {
            assert_eq!(corner.contains(point), inside, "{point:?}");
        }
    }

    #[test]
    fn shapes_without_extent_or_outside_are_refused() {
        let refused = |points: &[Point], why: &str| {
            assert!(Polygon::new(points).unwrap_err().contains(why));
        };
        refused(&[[0.0, 0.0], [1.0, 0.0]], "2 points");
        refused(&[[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]], "no area");
        refused(&[[0.0, 0.0], [1.2, 0.0], [1.0, 1.0]], "outside");
        refused(&[[0.0, 0.0], [f32::NAN, 0.0], [1.0, 1.0]], "outside");
        refused(&vec![[0.0; 2]; ZONE_POINTS_MAX + 1], "points");
        assert!(Line::new([[0.5, 0.5], [0.5, 0.5]]).is_err());
        assert!(Line::new([[0.5, 0.5], [0.5, -0.1]]).is_err());
    }

    /// A line from the bottom to the top in the middle: its right is the picture's right.
    #[test]
    fn a_line_has_sides_and_ends() {
        let line = Line::new([[0.5, 0.75], [0.5, 0.25]]).unwrap();
        assert_eq!(line.side([0.9, 0.1], 0.01), Some(Side::Right));
        assert_eq!(line.side([0.1, 0.9], 0.01), Some(Side::Left));
        assert_eq!(line.side([0.505, 0.5], 0.01), None);
        assert!(line.is_between([0.1, 0.5], [0.9, 0.5]));
        assert!(line.is_between([0.1, 0.9], [0.9, 0.3]));
        assert!(!line.is_between([0.1, 0.9], [0.9, 0.9]));
        assert!(!line.is_between([0.1, 0.1], [0.9, 0.3]) && line.is_between([0.1, 0.1], [0.9, 0.5]));
        // Level, from left to right: its right is below.
        let level = Line::new([[0.0, 0.5], [1.0, 0.5]]).unwrap();
        assert_eq!(level.side([0.5, 0.9], 0.0), Some(Side::Right));
    }
}
