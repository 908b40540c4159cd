//! Which boxes of two models are the same object.

use crate::eval::Detection;
use serde::Serialize;

/// COCO's sizes of objects, by the area of the box in pixels of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Below 32².
    Small,
    /// Below 96².
    Medium,
    /// The others.
    Large,
}

impl Size {
    /// Size of a box `[left, top, width, height]`.
    pub fn of(bbox: [f32; 4]) -> Self {
        match bbox[2] * bbox[3] {
            area if area < 32.0 * 32.0 => Size::Small,
            area if area < 96.0 * 96.0 => Size::Medium,
            _ => Size::Large,
        }
    }
}

/// Boxes that two models found in one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Index among the first model's boxes, among the second's, and intersection over union.
    pub both: Vec<(usize, usize, f64)>,
    /// Indices of boxes that only the first found.
    pub lost: Vec<usize>,
    /// Indices of boxes that only the second found.
    pub gained: Vec<usize>,
}

/// Pairs boxes of one class that overlap by `iou_min` at least: of all pairs the best first, each box once. With
/// `a` and `b` exchanged the same boxes are pairs.
pub fn match_boxes(a: &[Detection], b: &[Detection], iou_min: f64) -> Matching {
    let mut pairs = Vec::new();
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate().filter(|(_, y)| y.class == x.class) {
            let iou = overlap(x.bbox, y.bbox);
            if iou >= iou_min && iou > 0.0 {
                pairs.push((i, j, iou));
            }
        }
    }
    pairs.sort_by(|x, y| y.2.total_cmp(&x.2));
    let (mut lost, mut gained) = (vec![true; a.len()], vec![true; b.len()]);
    pairs.retain(|&(i, j, _)| {
        let free = lost[i] && gained[j];
        if free {
            (lost[i], gained[j]) = (false, false);
        }
        free
    });
    let places = |alone: Vec<bool>| (0..).zip(alone).filter(|(_, alone)| *alone).map(|(i, _)| i).collect();
    Matching { both: pairs, lost: places(lost), gained: places(gained) }
}

/// Intersection over union of boxes `[left, top, width, height]`.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f64 {
    let (a, b) = (a.map(f64::from), b.map(f64::from));
    let common = |i: usize| ((a[i] + a[i + 2]).min(b[i] + b[i + 2]) - a[i].max(b[i])).max(0.0);
    let both = common(0) * common(1);
    let all = a[2] * a[3] + b[2] * b[3] - both;
    if all > 0.0 { both / all } else { 0.0 }
}

/// Counts of boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Found by both models.
    pub both: u64,
    /// Found by the first model only.
    pub lost: u64,
    /// Found by the second model only.
    pub gained: u64,
    /// Mean |difference of scores| of those found by both; `None` without any.
    pub score_difference: Option<f64>,
    /// Mean intersection over union of those found by both.
    pub iou: Option<f64>,
}

/// Sums behind a [`Tally`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    both: u64,
    lost: u64,
    gained: u64,
    score_differences: f64,
    ious: f64,
}

impl Counts {
    fn tally(&self) -> Tally {
        let mean = |sum: f64| (self.both > 0).then(|| sum / self.both as f64);
        Tally {
            both: self.both,
            lost: self.lost,
            gained: self.gained,
            score_difference: mean(self.score_differences),
            iou: mean(self.ious),
        }
    }
}

/// Counts of boxes by the size of the first model's box, or of the second's where only that found it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BySize([Counts; 4]);

impl BySize {
    /// Counts a picture.
    pub fn add(&mut self, a: &[Detection], b: &[Detection], found: &Matching) {
        for &(i, j, iou) in &found.both {
            let difference = f64::from(a[i].score) - f64::from(b[j].score);
            self.count(a[i].bbox, |counts| {
                counts.both += 1;
                counts.score_differences += difference.abs();
                counts.ious += iou;
            });
        }
        found.lost.iter().for_each(|&i| self.count(a[i].bbox, |counts| counts.lost += 1));
        found.gained.iter().for_each(|&j| self.count(b[j].bbox, |counts| counts.gained += 1));
    }

    fn count(&mut self, bbox: [f32; 4], add: impl Fn(&mut Counts)) {
        add(&mut self.0[0]);
        add(&mut self.0[1 + Size::of(bbox) as usize]);
    }

    /// The counts of boxes of all sizes.
    pub fn all(&self) -> Tally {
        self.0[0].tally()
    }

    /// The counts of one size.
    pub fn of(&self, size: Size) -> Tally {
        self.0[1 + size as usize].tally()
    }
}
