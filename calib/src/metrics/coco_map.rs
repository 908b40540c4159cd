//! COCO's mean average precision: the twelve numbers of `COCOeval` for boxes, and the same per class.
//!
//! Semantics are those of `pycocotools.cocoeval` 2.0 with its default parameters (IoU thresholds 0.50 to
//! 0.95, 101 recall levels, four area ranges, the best 1, 10 and 100 detections per picture and category),
//! in `f64` like there. Categories and pictures are visited in ascending order of id and every sort is
//! stable, so ties fall as they do there.

use super::curve::{Curve, RECALL_LEVELS, recall};
use super::matching::{AREA_RANGES, Outcome, Picture, THRESHOLDS, sort_by_score};
use super::{ScoredBox, Truth};

/// The twelve numbers, 0 to 1; `None` where no truth counts (`COCOeval` says −1).
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// Average precision over IoU 0.50 to 0.95.
    pub map: Option<f64>,
    /// Average precision at IoU 0.50.
    pub map50: Option<f64>,
    /// Average precision at IoU 0.75.
    pub map75: Option<f64>,
    /// Average precision of objects up to 32² pixels.
    pub ap_small: Option<f64>,
    /// Average precision of objects from 32² to 96² pixels.
    pub ap_medium: Option<f64>,
    /// Average precision of objects from 96² pixels.
    pub ap_large: Option<f64>,
    /// Average recall with 1 detection per picture and category.
    pub ar_1: Option<f64>,
    /// Average recall with 10 detections per picture and category.
    pub ar_10: Option<f64>,
    /// Average recall with 100 detections per picture and category.
    pub ar_100: Option<f64>,
    /// Average recall of objects up to 32² pixels.
    pub ar_small: Option<f64>,
    /// Average recall of objects from 32² to 96² pixels.
    pub ar_medium: Option<f64>,
    /// Average recall of objects from 96² pixels.
    pub ar_large: Option<f64>,
}

/// Result for one category.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct ClassAp {
    /// Average precision over IoU 0.50 to 0.95; `None` without instances.
    pub ap: Option<f64>,
    /// Average precision at IoU 0.50; `None` without instances.
    pub ap50: Option<f64>,
    /// Truths that count: all but crowds.
    pub instances: usize,
}

/// Result of [`evaluate`].
#[derive(Clone, Debug, PartialEq)]
pub struct CocoMap {
    /// The twelve numbers.
    pub summary: Summary,
    /// One entry per category, in the order of their ranks.
    pub classes: Vec<ClassAp>,
}

/// What one category adds to the means.
#[derive(Default)]
struct CategoryResult {
    /// One per area range; `None` without truths that count.
    curves: [Option<Curve>; AREA_RANGES.len()],
    /// Recall with the best 1 and 10 detections, objects of all sizes.
    recall_1_10: Option<[[f64; THRESHOLDS]; 2]>,
    instances: usize,
}

/// Scores `detections` against `truths`; both name one of `categories` categories by its rank, in any order.
///
/// Takes `O(n log n)` in the number of boxes, beyond the overlaps within each picture and category. Boxes of
/// categories from `categories` on are left out.
pub fn evaluate(categories: usize, truths: &[Truth], detections: &[ScoredBox]) -> CocoMap {
    let results = each_category(categories, truths, detections, |truths, detections| {
        accumulate(match_category(truths, detections))
    });
    CocoMap { summary: summarize(&results), classes: results.iter().map(class_ap).collect() }
}

/// Calls `work` for each category in turn with its truths and its detections, both sorted by image.
pub(super) fn each_category<R>(
    categories: usize,
    truths: &[Truth],
    detections: &[ScoredBox],
    mut work: impl FnMut(&[&Truth], &mut [&ScoredBox]) -> R,
) -> Vec<R> {
    let mut truths: Vec<&Truth> = truths.iter().collect();
    let mut detections: Vec<&ScoredBox> = detections.iter().collect();
    truths.sort_by_key(|g| (g.category, g.image));
    detections.sort_by_key(|d| (d.category, d.image));
    let (mut truths, mut detections) = (truths.as_slice(), detections.as_mut_slice());
    (0..categories as u32)
        .map(|category| {
            let (own_truths, rest) = truths.split_at(truths.partition_point(|g| g.category <= category));
            truths = rest;
            let own = detections.partition_point(|d| d.category <= category);
            let (own_detections, rest) = std::mem::take(&mut detections).split_at_mut(own);
            detections = rest;
            work(own_truths, own_detections)
        })
        .collect()
}

/// What became of the detections of one category, picture by picture.
#[derive(Default)]
pub(super) struct Matched {
    /// Per area range: one outcome per detection that is looked at, in the order of `pictures`.
    pub(super) outcomes: [Vec<Outcome>; AREA_RANGES.len()],
    /// Pictures with truths or detections, by ascending rank.
    pub(super) pictures: Vec<MatchedPicture>,
}

/// The share of one picture in [`Matched`].
pub(super) struct MatchedPicture {
    /// Rank of the picture.
    pub(super) image: u32,
    /// How many of the outcomes are its own, the same in every area range.
    pub(super) outcomes: usize,
    /// Per area range: truths that count.
    pub(super) positives: [usize; AREA_RANGES.len()],
}

/// Matches the boxes of one category; both lists are sorted by image.
pub(super) fn match_category(mut truths: &[&Truth], mut detections: &mut [&ScoredBox]) -> Matched {
    let mut matched = Matched::default();
    let next_image = |truths: &[&Truth], detections: &[&ScoredBox]| {
        truths.first().map(|g| g.image).into_iter().chain(detections.first().map(|d| d.image)).min()
    };
    while let Some(image) = next_image(truths, detections) {
        let (here, rest) = truths.split_at(truths.partition_point(|g| g.image <= image));
        truths = rest;
        let split = detections.partition_point(|d| d.image <= image);
        let (found, rest) = std::mem::take(&mut detections).split_at_mut(split);
        detections = rest;
        let (picture, before) = (Picture::new(here, found), matched.outcomes[0].len());
        let positives =
            std::array::from_fn(|area| picture.match_in(AREA_RANGES[area], &mut matched.outcomes[area]));
        let outcomes = matched.outcomes[0].len() - before;
        matched.pictures.push(MatchedPicture { image, outcomes, positives });
    }
    matched
}

/// From the outcomes of one category over all pictures to its numbers.
fn accumulate(matched: Matched) -> CategoryResult {
    let Matched { mut outcomes, pictures } = matched;
    let positives: [usize; AREA_RANGES.len()] =
        std::array::from_fn(|area| pictures.iter().map(|p| p.positives[area]).sum());
    for list in &mut outcomes {
        sort_by_score(list, |o| o.score);
    }
    let best = |count: u8| {
        let kept: Vec<Outcome> = outcomes[0].iter().filter(|o| o.rank < count).copied().collect();
        recall(&kept, positives[0])
    };
    CategoryResult {
        curves: std::array::from_fn(|area| Curve::new(&outcomes[area], positives[area])),
        recall_1_10: (positives[0] > 0).then(|| [best(1), best(10)]),
        instances: positives[0],
    }
}

fn summarize(results: &[CategoryResult]) -> Summary {
    let curves = |area: usize| results.iter().filter_map(move |r| r.curves[area].as_ref());
    let ap = |area: usize| {
        mean(curves(area).map(|c| c.precision_sum.iter().sum::<f64>()), THRESHOLDS * RECALL_LEVELS)
    };
    let ap_at = |threshold: usize| mean(curves(0).map(|c| c.precision_sum[threshold]), RECALL_LEVELS);
    let ar = |area: usize| mean(curves(area).map(|c| c.recall.iter().sum()), THRESHOLDS);
    let ar_best =
        |i: usize| mean(results.iter().filter_map(|r| r.recall_1_10).map(|r| r[i].iter().sum()), THRESHOLDS);
    Summary {
        map: ap(0),
        map50: ap_at(0),
        map75: ap_at(5),
        ap_small: ap(1),
        ap_medium: ap(2),
        ap_large: ap(3),
        ar_1: ar_best(0),
        ar_10: ar_best(1),
        ar_100: ar(0),
        ar_small: ar(1),
        ar_medium: ar(2),
        ar_large: ar(3),
    }
}

fn class_ap(result: &CategoryResult) -> ClassAp {
    let curve = result.curves[0].as_ref();
    ClassAp {
        ap: curve.map(|c| c.precision_sum.iter().sum::<f64>() / (THRESHOLDS * RECALL_LEVELS) as f64),
        ap50: curve.map(|c| c.precision_sum[0] / RECALL_LEVELS as f64),
        instances: result.instances,
    }
}

/// Mean over all categories of sums of `terms` numbers each; `None` without categories.
pub(super) fn mean(sums: impl Iterator<Item = f64>, terms: usize) -> Option<f64> {
    let (sum, count) = sums.fold((0.0, 0), |(sum, count), s| (sum + s, count + terms));
    (count > 0).then(|| sum / count as f64)
}
