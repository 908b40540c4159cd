//! Candidate boxes and greedy non-maximum suppression.

use crate::limits::CANDIDATES_MAX;
use std::cmp::Ordering;

/// A box above the score threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// `[x1, y1, x2, y2]` in network pixels.
    pub bbox: [f32; 4],
    /// Confidence, 0..=1.
    pub score: f32,
    /// Class.
    pub class_id: u32,
    /// When it was found; decides between equal scores, so that results do not depend on a sort's whims.
    found: u32,
}

impl Candidate {
    /// Best first; equal scores in the order of discovery.
    fn rank(a: &Candidate, b: &Candidate) -> Ordering {
        b.score.total_cmp(&a.score).then(a.found.cmp(&b.found))
    }
}

/// The candidates of one picture, at most twice [`CANDIDATES_MAX`] at any time.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    list: Vec<Candidate>,
    found: u32,
}

impl Candidates {
    /// Forgets all candidates and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.found = 0;
    }

    /// Adds a candidate. One whose box is not finite is dropped: it came from a broken cell.
    pub fn push(&mut self, bbox: [f32; 4], score: f32, class_id: usize) {
        if !bbox.iter().all(|x| x.is_finite()) || score.is_nan() {
            return;
        }
        if self.list.len() >= 2 * CANDIDATES_MAX {
            self.keep_best();
        }
        let found = self.found;
        self.found = found.saturating_add(1);
        self.list.push(Candidate { bbox, score, class_id: class_id as u32, found });
    }

    fn keep_best(&mut self) {
        if self.list.len() > CANDIDATES_MAX {
            self.list.select_nth_unstable_by(CANDIDATES_MAX - 1, Candidate::rank);
            self.list.truncate(CANDIDATES_MAX);
        }
    }

    /// Greedy suppression: the best candidate stays and removes all others whose intersection over union with
    /// it is above `iou`, then the best of the rest, and so on, until `max_det` are kept. Boxes of different
    /// classes do not meet unless `agnostic`. What stays is returned, best first.
    ///
    /// Only the [`CANDIDATES_MAX`] best candidates take part.
    pub fn suppress(&mut self, iou: f32, max_det: usize, agnostic: bool) -> &[Candidate] {
        self.keep_best();
        self.list.sort_unstable_by(Candidate::rank);
        let mut kept = 0;
        for next in 0..self.list.len() {
            if kept >= max_det {
                break;
            }
            let candidate = self.list[next];
            let removed = self.list[..kept].iter().any(|best| {
                (agnostic || best.class_id == candidate.class_id)
                    && intersection_over_union(best.bbox, candidate.bbox) > iou
            });
            if !removed {
                self.list[kept] = candidate;
                kept += 1;
            }
        }
        self.list.truncate(kept);
        &self.list
    }
}

/// Common area ÷ joint area of two boxes `[x1, y1, x2, y2]`; NaN if both are empty.
fn intersection_over_union(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[x1, y1, x2, y2]: [f32; 4]| (x2 - x1) * (y2 - y1);
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let common = width * height;
    common / (area(a) + area(b) - common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates(boxes: &[([f32; 4], f32, usize)]) -> Candidates {
        let mut list = Candidates::default();
        for &(bbox, score, class_id) in boxes {
            list.push(bbox, score, class_id);
        }
        list
    }

    fn scores(kept: &[Candidate]) -> Vec<f32> {
        kept.iter().map(|c| c.score).collect()
    }

    /// Worked by hand: the 2nd box shares 80 of 120 with the 1st (IoU 2/3), the 3rd 20 of 180 (IoU 1/9).
    #[test]
    fn worked_example() {
        let boxes = [
            ([0.0, 0.0, 10.0, 10.0], 0.9, 0),
            ([2.0, 0.0, 12.0, 10.0], 0.8, 0),
            ([8.0, 0.0, 18.0, 10.0], 0.7, 0),
            ([1.0, 0.0, 11.0, 10.0], 0.6, 1),
        ];
        assert_eq!(scores(candidates(&boxes).suppress(0.5, 10, false)), [0.9, 0.7, 0.6]);
        assert_eq!(scores(candidates(&boxes).suppress(0.5, 10, true)), [0.9, 0.7]);
        assert_eq!(scores(candidates(&boxes).suppress(0.1, 10, false)), [0.9, 0.6]);
        assert_eq!(scores(candidates(&boxes).suppress(0.7, 10, false)), [0.9, 0.8, 0.7, 0.6]);
        assert_eq!(scores(candidates(&boxes).suppress(0.5, 2, false)), [0.9, 0.7]);
        assert!(candidates(&boxes).suppress(0.5, 0, false).is_empty());
    }

    #[test]
    fn equal_scores_keep_their_order_and_broken_boxes_never_enter() {
        let same = [0.0, 0.0, 4.0, 4.0];
        let mut list = candidates(&[
            ([f32::NAN, 0.0, 1.0, 1.0], 0.9, 0),
            (same, f32::NAN, 0),
            (same, 0.5, 7),
            (same, 0.5, 3),
            (same, 0.5, 5),
        ]);
        let classes: Vec<u32> = list.suppress(0.5, 10, false).iter().map(|c| c.class_id).collect();
        assert_eq!(classes, [7, 3, 5]);
    }

    #[test]
    fn a_flood_of_candidates_keeps_the_best() {
        let mut list = Candidates::default();
        let total = 2 * CANDIDATES_MAX + 10;
        for i in 0..total {
            list.push([i as f32, 0.0, i as f32 + 0.5, 1.0], i as f32 / total as f32, 0);
        }
        assert!(list.list.len() <= 2 * CANDIDATES_MAX);
        let kept = list.suppress(0.5, 3, false);
        let columns: Vec<f32> = kept.iter().map(|c| c.bbox[0]).collect();
        assert_eq!(columns, [total - 1, total - 2, total - 3].map(|x| x as f32));
    }

    /// The definition, without an order to exploit: again and again take the best that is left.
    fn naive(boxes: &[([f32; 4], f32, usize)], iou: f32) -> Vec<f32> {
        let mut left: Vec<_> = boxes.to_vec();
        let mut kept = Vec::new();
        while !left.is_empty() {
            let best = (0..left.len()).rev().max_by(|&a, &b| left[a].1.total_cmp(&left[b].1)).unwrap();
            let (bbox, score, class_id) = left.remove(best);
            kept.push(score);
            left.retain(|&(other, _, c)| c != class_id || intersection_over_union(bbox, other) <= iou);
        }
        kept
    }

    proptest! {
        #[test]
        fn equals_the_naive_definition(
            raw in prop::collection::vec((0u8..40, 0u8..40, 1u8..20, 1u8..20, 0u8..20, 0usize..3), 0..60),
            iou in 0.05f32..0.95,
        ) {
            let boxes: Vec<_> = raw
                .into_iter()
                .map(|(x, y, w, h, score, class)| {
                    let [x, y, w, h] = [x, y, w, h].map(f32::from);
                    ([x, y, x + w, y + h], f32::from(score) / 20.0, class)
                })
                .collect();
            prop_assert_eq!(scores(candidates(&boxes).suppress(iou, usize::MAX, false)), naive(&boxes, iou));
        }
    }
}
