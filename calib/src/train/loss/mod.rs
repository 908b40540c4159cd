//! YOLOv5's loss, with its gradient: boxes by complete IoU, objectness that is to equal it, classes by cross entropy.
//!
//! Data sets differ in what they label. Where a picture's set does not label a class, nothing is learned of that class
//! from its boxes; and a cell without a box counts as empty only as far as the network does not see one of the
//! unlabelled classes there.

mod assign;
mod dual;
mod overlap;
#[cfg(test)]
mod tests;

use super::executor::Map;
use crate::loader::{Batch, Region};
use assign::{Match, matches};
use dual::Dual;
use overlap::complete_iou;
use std::ops::AddAssign;

/// Anchors `[width, height]` of a map, in pixels.
pub type Anchors = Vec<[f32; 2]>;

/// Weights of objectness by map, from the finest: the finest has the most cells, and the smallest boxes.
const BALANCE: [f64; 3] = [4.0, 1.0, 0.4];
/// Numbers of a box with its objectness, before the classes.
pub(super) const BOX: usize = 5;

/// What the parts of the loss weigh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Boxes.
    pub boxes: f64,
    /// Objectness.
    pub objectness: f64,
    /// Classes.
    pub classes: f64,
}

impl Gains {
    /// YOLOv5's for pictures of `size` pixels.
    pub fn of(size: usize, classes: usize) -> Self {
        let area = (size as f64 / 640.0).powi(2);
        Gains { boxes: 0.05, objectness: area, classes: 0.5 * classes as f64 / 80.0 }
    }
}

/// The parts of the loss, weighed; means over the boxes, cells and classes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Boxes.
    pub boxes: f64,
    /// Objectness.
    pub objectness: f64,
    /// Classes.
    pub classes: f64,
}

impl Losses {
    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.boxes + self.objectness + self.classes
    }

    /// Each divided by `n`.
    pub fn over(&self, n: f64) -> Self {
        Losses { boxes: self.boxes / n, objectness: self.objectness / n, classes: self.classes / n }
    }
}

impl AddAssign for Losses {
    fn add_assign(&mut self, other: Self) {
        self.boxes += other.boxes;
        self.objectness += other.objectness;
        self.classes += other.classes;
    }
}

/// The loss of a batch, and the gradients of `losses.sum() · pictures` by the maps.
///
/// `maps` are the raw outputs `[anchors · (5 + classes), N, h, w]`, one for each element of `anchors`.
pub fn loss(maps: &[Map], batch: &Batch, anchors: &[Anchors], gains: Gains) -> (Losses, Vec<Vec<f32>>) {
    let mut losses = Losses::default();
    let mut gradients = Vec::with_capacity(maps.len());
    for (level, (map, anchors)) in maps.iter().zip(anchors).enumerate() {
        let mut head = Head::new(map, anchors, batch);
        let objectness = gains.objectness * BALANCE.get(level).unwrap_or(&BALANCE[2]);
        losses += head.add(anchors, Gains { objectness, ..gains });
        gradients.push(head.gradient);
    }
    (losses, gradients)
}

/// A map, with its gradient in the making.
struct Head<'a> {
    map: &'a Map,
    batch: &'a Batch,
    classes: usize,
    gradient: Vec<f32>,
}

impl<'a> Head<'a> {
    fn new(map: &'a Map, anchors: &Anchors, batch: &'a Batch) -> Self {
        let classes = map.extent.channels / anchors.len() - BOX;
        Head { map, batch, classes, gradient: vec![0.0; map.values.len()] }
    }

    /// Place of number `k` of a cell's anchor.
    fn at(&self, image: usize, anchor: usize, cell: usize, k: usize) -> usize {
        let extent = &self.map.extent;
        let channel = anchor * (BOX + self.classes) + k;
        (channel * extent.images + image) * extent.plane() + cell
    }

    fn logit(&self, at: usize) -> f64 {
        f64::from(self.map.values[at])
    }

    fn add(&mut self, anchors: &Anchors, gains: Gains) -> Losses {
        let extent = self.map.extent;
        let stride =
            [self.batch.size as f32 / extent.columns as f32, self.batch.size as f32 / extent.rows as f32];
        let matches = matches(&self.batch.targets, extent, anchors, stride);
        // How well each cell's anchor finds its box; the best where it has several.
        let mut wanted = vec![None; extent.images * anchors.len() * extent.plane()];
        let boxes = self.add_boxes(&matches, gains.boxes, &mut wanted, anchors.len());
        let classes = self.add_classes(&matches, gains.classes);
        let objectness = self.add_objectness(&wanted, gains.objectness, anchors.len());
        Losses { boxes, objectness, classes }
    }

    fn scale(&self, gain: f64, count: f64) -> f64 {
        gain * self.map.extent.images as f64 / count
    }

    fn add_boxes(&mut self, matches: &[Match], gain: f64, wanted: &mut [Option<f64>], anchors: usize) -> f64 {
        let extent = self.map.extent;
        let scale = self.scale(gain, matches.len() as f64);
        let mut sum = 0.0;
        for m in matches {
            let cell = m.row * extent.columns + m.column;
            let logits = std::array::from_fn(|k| self.logit(self.at(m.image, m.anchor, cell, k)));
            let iou = complete_iou(decoded(logits, m.sides), m.bbox);
            sum += 1.0 - iou.value;
            for k in 0..4 {
                let at = self.at(m.image, m.anchor, cell, k);
                self.gradient[at] -= (iou.slopes[k] * scale) as f32;
            }
            let best = &mut wanted[(m.image * anchors + m.anchor) * extent.plane() + cell];
            *best = Some(best.unwrap_or(0.0f64).max(iou.value));
        }
        if matches.is_empty() { 0.0 } else { gain * sum / matches.len() as f64 }
    }

    /// Whether a picture's data set labels a class.
    fn known(&self, image: usize, class: usize) -> bool {
        self.batch.known[image * self.classes + class]
    }

    /// Nothing is to be learned where there is but one class.
    fn add_classes(&mut self, matches: &[Match], gain: f64) -> f64 {
        if self.classes < 2 {
            return 0.0;
        }
        let counted = |m: &Match| (0..self.classes).filter(|&class| self.known(m.image, class)).count();
        let count: usize = matches.iter().map(counted).sum();
        if count == 0 {
            return 0.0;
        }
        let scale = self.scale(gain, count as f64);
        let mut sum = 0.0;
        for m in matches {
            let cell = m.row * self.map.extent.columns + m.column;
            for class in (0..self.classes).filter(|&class| self.known(m.image, class)).collect::<Vec<_>>() {
                let at = self.at(m.image, m.anchor, cell, BOX + class);
                let truth = f64::from(u8::from(self.batch.targets[m.target].class as usize == class));
                let (entropy, slope) = cross_entropy(self.logit(at), truth);
                sum += entropy;
                self.gradient[at] += (slope * scale) as f32;
            }
        }
        gain * sum / count as f64
    }

    fn add_objectness(&mut self, wanted: &[Option<f64>], gain: f64, anchors: usize) -> f64 {
        let extent = self.map.extent;
        let scale = self.scale(gain, wanted.len() as f64);
        let mut sum = 0.0;
        let places = (0..extent.images).flat_map(|image| (0..anchors).map(move |anchor| (image, anchor)));
        for ((image, anchor), wanted) in places.zip(wanted.chunks(extent.plane())) {
            let unknown: Vec<usize> = (0..self.classes).filter(|&class| !self.known(image, class)).collect();
            let ignored: Vec<&Region> =
                self.batch.ignored.iter().filter(|region| region.image as usize == image).collect();
            for (cell, wanted) in wanted.iter().enumerate() {
                let weight = match wanted {
                    Some(_) => 1.0,
                    None if ignored.iter().any(|region| self.inside(cell, region)) => continue,
                    None => self.emptiness(image, anchor, cell, &unknown),
                };
                let at = self.at(image, anchor, cell, 4);
                let (entropy, slope) = cross_entropy(self.logit(at), wanted.unwrap_or(0.0));
                sum += weight * entropy;
                self.gradient[at] += (weight * slope * scale) as f32;
            }
        }
        gain * sum / wanted.len() as f64
    }

    /// How much a cell without a box counts as empty: 1 where all classes are labelled.
    fn emptiness(&self, image: usize, anchor: usize, cell: usize, unknown: &[usize]) -> f64 {
        let seen =
            unknown.iter().map(|&class| sigmoid(self.logit(self.at(image, anchor, cell, BOX + class))));
        1.0 - seen.fold(0.0, f64::max)
    }

    /// Whether the middle of a cell lies in a region.
    fn inside(&self, cell: usize, region: &Region) -> bool {
        let extent = &self.map.extent;
        let [x, y, width, height] = region.bbox;
        let column = ((cell % extent.columns) as f32 + 0.5) / extent.columns as f32;
        let row = ((cell / extent.columns) as f32 + 0.5) / extent.rows as f32;
        (column - x).abs() < width / 2.0 && (row - y).abs() < height / 2.0
    }
}

/// The box that four logits say, in cells from the cell's corner: the middle up to half a cell outside, the sides up
/// to four times the anchor's.
fn decoded(logits: [f64; 4], sides: [f64; 2]) -> [Dual; 4] {
    let [x, y, w, h] = std::array::from_fn(|k| Dual::variable(logits[k], k).sigmoid().scaled(2.0));
    let shift = Dual::constant(0.5);
    [x - shift, y - shift, w.squared().scaled(sides[0]), h.squared().scaled(sides[1])]
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Binary cross entropy of a logit with a truth of 0..=1, and its slope.
fn cross_entropy(logit: f64, truth: f64) -> (f64, f64) {
    let entropy = logit.max(0.0) - logit * truth + (-logit.abs()).exp().ln_1p();
    (entropy, sigmoid(logit) - truth)
}
