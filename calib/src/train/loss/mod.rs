//! YOLOv5's loss, with its gradient: boxes by complete IoU, objectness that is to equal it, classes by cross entropy.
//!
//! Data sets differ in what they label. Where a picture's set does not label a class, nothing is learned of that class
//! from its boxes; and a cell without a box counts as empty only as far as the network does not see one of the
//! unlabelled classes there. Where there is a teacher, its [`Hints`] say what is in such cells.

mod assign;
mod dual;
mod hints;
mod overlap;
#[cfg(test)]
mod tests;

use super::executor::Map;
use crate::loader::{Batch, Region};
use assign::{Match, Truth, matches};
use dual::Dual;
use hints::hinted;
pub use hints::{Hint, Hints};
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
    /// A teacher's hints, in parts of a label.
    pub hints: f64,
}

impl Gains {
    /// YOLOv5's for pictures of `size` pixels.
    pub fn of(size: usize, classes: usize) -> Self {
        let area = (size as f64 / 640.0).powi(2);
        Gains { boxes: 0.05, objectness: area, classes: 0.5 * classes as f64 / 80.0, hints: 1.0 }
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
    /// Feature maps beside a teacher's.
    pub features: f64,
}

impl Losses {
    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.boxes + self.objectness + self.classes + self.features
    }

    /// Each divided by `n`.
    pub fn over(&self, n: f64) -> Self {
        Losses {
            boxes: self.boxes / n,
            objectness: self.objectness / n,
            classes: self.classes / n,
            features: self.features / n,
        }
    }
}

impl AddAssign for Losses {
    fn add_assign(&mut self, other: Self) {
        self.boxes += other.boxes;
        self.objectness += other.objectness;
        self.classes += other.classes;
        self.features += other.features;
    }
}

/// The loss of a batch, and the gradients of `losses.sum() · pictures` by the maps.
///
/// `maps` are the raw outputs `[anchors · (5 + classes), N, h, w]`, one for each element of `anchors`, and of `hints` if
/// there is a teacher.
pub fn loss(
    maps: &[Map],
    batch: &Batch,
    hints: Option<&Hints>,
    anchors: &[Anchors],
    gains: Gains,
) -> (Losses, Vec<Vec<f32>>) {
    let mut losses = Losses::default();
    let mut gradients = Vec::with_capacity(maps.len());
    for (level, (map, anchors)) in maps.iter().zip(anchors).enumerate() {
        let mut head = Head::new(map, anchors, batch);
        let objectness = gains.objectness * BALANCE.get(level).unwrap_or(&BALANCE[2]);
        losses +=
            head.add(anchors, hints.map(|hints| hints[level].as_slice()), Gains { objectness, ..gains });
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

    fn add(&mut self, anchors: &Anchors, hints: Option<&[Hint]>, gains: Gains) -> Losses {
        let extent = self.map.extent;
        let stride =
            [self.batch.size as f32 / extent.columns as f32, self.batch.size as f32 / extent.rows as f32];
        // How well each cell's anchor finds its box, the best where it has several; and how much that counts.
        let mut wanted = vec![None; extent.images * anchors.len() * extent.plane()];
        let mut matches = matches(&self.batch.targets, extent, anchors, stride);
        let place = |m: &Match| {
            (m.image * anchors.len() + m.anchor) * extent.plane() + m.row * extent.columns + m.column
        };
        matches.iter().for_each(|m| wanted[place(m)] = Some((0.0, 1.0)));
        let hinted = hinted(hints.unwrap_or_default(), extent, anchors, stride, gains.hints);
        matches.extend(hinted.filter(|m| wanted[place(m)].is_none()));
        let boxes = self.add_boxes(&matches, gains.boxes, |m, iou| {
            let wanted: &mut Option<(f64, f64)> = &mut wanted[place(m)];
            *wanted = match m.truth {
                Truth::Label(_) => wanted.map(|(best, weight)| (best.max(iou), weight)),
                Truth::Hint { score, .. } => Some((score, gains.hints)),
            };
        });
        let classes = self.add_classes(&matches, gains.classes);
        let objectness = self.add_objectness(&wanted, gains.objectness, anchors.len(), hints.is_some());
        Losses { boxes, objectness, classes, features: 0.0 }
    }

    fn scale(&self, gain: f64, count: f64) -> f64 {
        gain * self.map.extent.images as f64 / count
    }

    /// Tells `found` how well each match's box is found.
    fn add_boxes(&mut self, matches: &[Match], gain: f64, mut found: impl FnMut(&Match, f64)) -> f64 {
        let extent = self.map.extent;
        let count: f64 = matches.iter().map(|m| m.weight).sum();
        let scale = self.scale(gain, count);
        let mut sum = 0.0;
        for m in matches {
            let cell = m.row * extent.columns + m.column;
            let logits = std::array::from_fn(|k| self.logit(self.at(m.image, m.anchor, cell, k)));
            let iou = complete_iou(decoded(logits, m.sides), m.bbox);
            sum += m.weight * (1.0 - iou.value);
            for k in 0..4 {
                let at = self.at(m.image, m.anchor, cell, k);
                self.gradient[at] -= (iou.slopes[k] * m.weight * scale) as f32;
            }
            found(m, iou.value);
        }
        if count > 0.0 { gain * sum / count } else { 0.0 }
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
        // A teacher knows all classes.
        let known = |head: &Self, m: &Match| -> Vec<usize> {
            let hint = matches!(m.truth, Truth::Hint { .. });
            (0..head.classes).filter(|&class| hint || head.known(m.image, class)).collect()
        };
        let count: f64 = matches.iter().map(|m| m.weight * known(self, m).len() as f64).sum();
        if count <= 0.0 {
            return 0.0;
        }
        let scale = self.scale(gain, count);
        let mut sum = 0.0;
        for m in matches {
            let cell = m.row * self.map.extent.columns + m.column;
            for class in known(self, m) {
                let at = self.at(m.image, m.anchor, cell, BOX + class);
                let (entropy, slope) = cross_entropy(self.logit(at), m.truth.class(class));
                sum += m.weight * entropy;
                self.gradient[at] += (slope * m.weight * scale) as f32;
            }
        }
        gain * sum / count
    }

    fn add_objectness(
        &mut self,
        wanted: &[Option<(f64, f64)>],
        gain: f64,
        anchors: usize,
        has_teacher: bool,
    ) -> f64 {
        let extent = self.map.extent;
        let scale = self.scale(gain, wanted.len() as f64);
        let mut sum = 0.0;
        let places = (0..extent.images).flat_map(|image| (0..anchors).map(move |anchor| (image, anchor)));
        for ((image, anchor), wanted) in places.zip(wanted.chunks(extent.plane())) {
            // A teacher has said where it sees what is not labelled.
            let unknown: Vec<usize> =
                (0..self.classes).filter(|&class| !has_teacher && !self.known(image, class)).collect();
            let ignored: Vec<&Region> =
                self.batch.ignored.iter().filter(|region| region.image as usize == image).collect();
            for (cell, wanted) in wanted.iter().enumerate() {
                let weight = match wanted {
                    Some((_, weight)) => *weight,
                    None if ignored.iter().any(|region| self.inside(cell, region)) => continue,
                    None => self.emptiness(image, anchor, cell, &unknown),
                };
                let at = self.at(image, anchor, cell, 4);
                let (entropy, slope) = cross_entropy(self.logit(at), wanted.map_or(0.0, |(aim, _)| aim));
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
