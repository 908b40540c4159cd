//! Which detections of one category in one picture are right: greedy matching as COCO defines it.

use super::{ScoredBox, Truth};
use std::cmp::Ordering;

/// Number of IoU thresholds: 0.50, 0.55 … 0.95.
pub(super) const THRESHOLDS: usize = 10;
/// Detections per picture and category that are looked at.
pub(super) const DETECTIONS_PER_IMAGE_MAX: usize = 100;
/// Smallest and largest area (both inclusive) of: all, small, medium, large objects, in square pixels.
pub(super) const AREA_RANGES: [[f64; 2]; 4] = [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// The ten IoU thresholds, with the rounding of numpy's `linspace(0.5, 0.95, 10)`.
pub(super) fn thresholds() -> [f64; THRESHOLDS] {
    let step = (0.95 - 0.5) / (THRESHOLDS - 1) as f64;
    std::array::from_fn(|i| if i == THRESHOLDS - 1 { 0.95 } else { i as f64 * step + 0.5 })
}

/// What became of one detection; bit `t` of the masks belongs to threshold `t`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) score: f64,
    /// Place among the detections of its picture and category, by descending score, from 0.
    pub(super) rank: u8,
    pub(super) matched: u16,
    pub(super) ignored: u16,
}

/// Sorts by descending score; equal scores keep their order.
pub(super) fn sort_by_score<T>(items: &mut [T], score: impl Fn(&T) -> f64) {
    items.sort_by(|a, b| score(b).partial_cmp(&score(a)).unwrap_or(Ordering::Equal));
}

/// The boxes of one category in one picture, with all their overlaps.
pub(super) struct Picture<'a> {
    truths: &'a [&'a Truth],
    /// Best first, at most [`DETECTIONS_PER_IMAGE_MAX`].
    detections: &'a [&'a ScoredBox],
    /// `ious[d * truths.len() + g]`
    ious: Vec<f64>,
}

impl<'a> Picture<'a> {
    /// Sorts `detections` by descending score, keeps the best and computes the overlaps.
    pub(super) fn new<'b: 'a>(truths: &'a [&'a Truth], detections: &'a mut [&'b ScoredBox]) -> Self {
        sort_by_score(detections, |d| d.score);
        let detections = &detections[..detections.len().min(DETECTIONS_PER_IMAGE_MAX)];
        let ious = detections
            .iter()
            .flat_map(|d| truths.iter().map(|g| overlap(&d.bbox, &g.bbox, g.crowd)))
            .collect();
        Picture { truths, detections, ious }
    }

    /// Matches detections with the truths whose area lies in `range`, appends one outcome per detection and
    /// returns the number of truths that count.
    pub(super) fn match_in(&self, range: [f64; 2], outcomes: &mut Vec<Outcome>) -> usize {
        let outside = |area: f64| area < range[0] || area > range[1];
        let ignored: Vec<bool> = self.truths.iter().map(|g| g.crowd || outside(g.area)).collect();
        let mut order: Vec<usize> = (0..self.truths.len()).collect();
        order.sort_by_key(|&g| ignored[g]);

        let first = outcomes.len();
        outcomes.extend(self.detections.iter().enumerate().map(|(rank, d)| Outcome {
            score: d.score,
            rank: rank as u8,
            matched: 0,
            ignored: 0,
        }));
        let mut taken = vec![false; self.truths.len()];
        for (t, threshold) in thresholds().into_iter().enumerate() {
            taken.fill(false);
            for (d, outcome) in outcomes[first..].iter_mut().enumerate() {
                let Some(g) = self.best_truth(d, threshold, &order, &ignored, &taken) else { continue };
                taken[g] = true;
                outcome.matched |= u16::from(self.truths[g].creditable) << t;
                outcome.ignored |= u16::from(ignored[g]) << t;
            }
        }
        for (outcome, d) in outcomes[first..].iter_mut().zip(self.detections) {
            if outside(d.bbox[2] * d.bbox[3]) {
                outcome.ignored |= !outcome.matched;
            }
        }
        ignored.iter().filter(|&&i| !i).count()
    }

    /// The truth that detection `d` matches: the best overlap of at least `threshold` among those still free,
    /// where any that counts comes before any that is ignored, and of equal overlaps the later one wins.
    fn best_truth(
        &self,
        d: usize,
        threshold: f64,
        order: &[usize],
        ignored: &[bool],
        taken: &[bool],
    ) -> Option<usize> {
        let ious = &self.ious[d * self.truths.len()..][..self.truths.len()];
        let mut best_iou = threshold.min(1.0 - 1e-10);
        let mut best = None;
        for &g in order {
            if taken[g] && !self.truths[g].crowd {
                continue;
            }
            // Ignored truths are last: from here on nothing can be better than a match that counts.
            if ignored[g] && best.is_some_and(|b: usize| !ignored[b]) {
                break;
            }
            if ious[g] < best_iou {
                continue;
            }
            best_iou = ious[g];
            best = Some(g);
        }
        best
    }
}

/// Intersection over union of two boxes (left, top, width, height); over the detection's own area for a crowd.
fn overlap(detection: &[f64; 4], truth: &[f64; 4], crowd: bool) -> f64 {
    let side = |axis: usize| {
        (detection[axis + 2] + detection[axis]).min(truth[axis + 2] + truth[axis])
            - detection[axis].max(truth[axis])
    };
    let (width, height) = (side(0), side(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let area = detection[2] * detection[3];
    intersection / if crowd { area } else { area + truth[2] * truth[3] - intersection }
}
