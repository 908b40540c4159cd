//! How far the average precision would move with other pictures: percentile bootstrap over the pictures.
//!
//! A resample draws as many pictures as there are, with replacement, and keeps all boxes of each. Matching
//! happens within a picture, so every picture is matched once; a resample only repeats its outcomes in the
//! order of their scores. An interval holds the middle 95 % of the resamples. It says nothing about pictures
//! of another kind, and with a handful of pictures it is itself uncertain.

use super::coco_map::{each_category, match_category, mean};
use super::curve::{RECALL_LEVELS, precision_sum};
use super::matching::{AREA_RANGES, Outcome, THRESHOLDS, sort_by_score};
use super::{ScoredBox, Truth};
use crate::random::next_random;
use std::array::from_fn;

/// The outer shares of the resamples between which an interval lies.
const TAILS: [f64; 2] = [0.025, 0.975];
/// All ten thresholds.
const EVERY: u16 = (1 << THRESHOLDS) - 1;

/// 95 % intervals, lower bound first, 0 to 1 (of differences −1 to 1).
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Intervals {
    /// Of the average precision over IoU 0.50 to 0.95.
    pub map: [f64; 2],
    /// Of the average precision at IoU 0.50.
    pub map50: [f64; 2],
    /// Of objects up to 32² pixels; `None` where no picture has one.
    pub ap_small: Option<[f64; 2]>,
    /// Of objects from 32² to 96² pixels.
    pub ap_medium: Option<[f64; 2]>,
    /// Of objects from 96² pixels.
    pub ap_large: Option<[f64; 2]>,
}

/// mAP, mAP at 0.50, then small, medium and large objects; `None` where a resample has no truth that counts.
type Measures = [Option<f64>; 5];

/// Intervals of what [`evaluate`](super::evaluate) says of `boxes`; `None` without pictures, resamples or
/// truths that count.
///
/// The pictures have the ranks below `images`; one without boxes counts as a picture, too. The same `seed`
/// gives the same intervals on every machine. 1000 `samples` settle the second digit of a bound.
pub fn intervals(
    categories: usize,
    truths: &[Truth],
    boxes: &[ScoredBox],
    images: usize,
    samples: usize,
    seed: u64,
) -> Option<Intervals> {
    let model = Model::new(categories, truths, boxes);
    of_resamples(images, samples, seed, |times| model.measure(times))
}

/// Intervals of how much better `second` is than `first` on the same pictures.
///
/// Each resample draws the same pictures for both, so what makes a picture hard for both models cancels out:
/// much narrower than the difference of two [`intervals`]. An interval without 0 is a difference that the
/// choice of pictures does not explain.
pub fn difference(
    categories: usize,
    truths: &[Truth],
    [first, second]: [&[ScoredBox]; 2],
    images: usize,
    samples: usize,
    seed: u64,
) -> Option<Intervals> {
    let [first, second] = [first, second].map(|boxes| Model::new(categories, truths, boxes));
    of_resamples(images, samples, seed, |times| {
        let (first, second) = (first.measure(times), second.measure(times));
        from_fn(|i| Some(second[i]? - first[i]?))
    })
}

/// What one model found, ready for resamples.
struct Model {
    /// Per category and area range.
    categories: Vec<[Ranked; AREA_RANGES.len()]>,
}

/// Outcomes of one category in one area range.
#[derive(Default)]
struct Ranked {
    /// By falling score, each with the rank of its picture; without those that count at no threshold.
    outcomes: Vec<(u32, Outcome)>,
    /// Pictures with truths that count, and how many.
    positives: Vec<(u32, usize)>,
}

impl Model {
    fn new(categories: usize, truths: &[Truth], boxes: &[ScoredBox]) -> Self {
        let categories = each_category(categories, truths, boxes, |truths, boxes| {
            let matched = match_category(truths, boxes);
            from_fn(|area| {
                let mut ranked = Ranked::default();
                let mut own = matched.outcomes[area].iter();
                for picture in &matched.pictures {
                    let counts = |o: &&Outcome| o.ignored & EVERY != EVERY;
                    let outcomes = own.by_ref().take(picture.outcomes).filter(counts);
                    ranked.outcomes.extend(outcomes.map(|&outcome| (picture.image, outcome)));
                    if picture.positives[area] > 0 {
                        ranked.positives.push((picture.image, picture.positives[area]));
                    }
                }
                sort_by_score(&mut ranked.outcomes, |(_, o)| o.score);
                ranked
            })
        });
        Model { categories }
    }

    /// The measures where picture `i` occurs `times[i]` times.
    fn measure(&self, times: &[usize]) -> Measures {
        let mut drawn = Vec::new();
        let [all, small, medium, large] = from_fn(|area| {
            let sums =
                self.categories.iter().filter_map(|category| category[area].resample(times, &mut drawn));
            sums.collect::<Vec<[f64; THRESHOLDS]>>()
        });
        let over_all = |sums: &[[f64; THRESHOLDS]]| {
            mean(sums.iter().map(|s| s.iter().sum::<f64>()), THRESHOLDS * RECALL_LEVELS)
        };
        let map50 = mean(all.iter().map(|s| s[0]), RECALL_LEVELS);
        [over_all(&all), map50, over_all(&small), over_all(&medium), over_all(&large)]
    }
}

impl Ranked {
    /// Sums of precisions per threshold; `None` where no truth was drawn. `drawn` is room to work in.
    fn resample(&self, times: &[usize], drawn: &mut Vec<Outcome>) -> Option<[f64; THRESHOLDS]> {
        let times = |image: u32| times.get(image as usize).copied().unwrap_or(0);
        let positives: usize = self.positives.iter().map(|&(image, count)| count * times(image)).sum();
        if positives == 0 {
            return None;
        }
        drawn.clear();
        for &(image, outcome) in &self.outcomes {
            drawn.extend(std::iter::repeat_n(outcome, times(image)));
        }
        precision_sum(drawn, positives)
    }
}

fn of_resamples(
    images: usize,
    samples: usize,
    seed: u64,
    measure: impl Fn(&[usize]) -> Measures,
) -> Option<Intervals> {
    let mut state = seed;
    let mut times = vec![0; images];
    let mut seen: [Vec<f64>; 5] = Default::default();
    for _ in 0..samples {
        times.fill(0);
        for _ in 0..images {
            // The upper half of the product is evenly spread below `images`.
            let drawn = (u128::from(next_random(&mut state)) * images as u128) >> 64;
            times[drawn as usize] += 1;
        }
        for (list, value) in seen.iter_mut().zip(measure(&times)) {
            list.extend(value);
        }
    }
    let [map, map50, ap_small, ap_medium, ap_large] = seen.map(middle);
    Some(Intervals { map: map?, map50: map50?, ap_small, ap_medium, ap_large })
}

/// The quantiles at [`TAILS`], interpolated between neighbours.
fn middle(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(TAILS.map(|share| {
        let place = share * last as f64;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    }))
}

#[cfg(test)]
mod tests {
    use super::super::evaluate;
    use super::*;

    fn truth(image: u32, category: u32, bbox: [f64; 4]) -> Truth {
        Truth { image, category, bbox, area: bbox[2] * bbox[3], crowd: false, creditable: true }
    }

    /// Objects in `images` pictures, and what a detector of the given skill (0 to 1) finds.
    fn scene(images: u32, categories: u32, each: u32, skill: f64) -> (Vec<Truth>, Vec<ScoredBox>) {
        let (mut truths, mut boxes, mut state) = (Vec::new(), Vec::new(), 1);
        let mut random = || next_random(&mut state) as f64 / 2f64.powi(64);
        for image in 0..images {
            for i in 0..each {
                let category = (random() * f64::from(categories)) as u32;
                let side = 10.0 + 120.0 * random();
                let bbox = [f64::from(i) * 150.0, 0.0, side, side];
                truths.push(truth(image, category, bbox));
                let found = random() < skill;
                let left = if found { bbox[0] + 0.2 * side * random() } else { bbox[0] + 1e5 };
                let score = if found { 0.3 + 0.7 * random() } else { 0.8 * random() };
                boxes.push(ScoredBox { image, category, bbox: [left, 0.0, side, side], score });
            }
        }
        (truths, boxes)
    }

    /// By hand: two pictures with an object each, one found, one missed. Of the four equally likely draws one
    /// finds both (AP 1), two find one (51 of 101 recall levels) and one none (AP 0): among 400 resamples more
    /// than a fortieth is each of the extremes.
    #[test]
    fn two_pictures_are_anything_from_nothing_to_all() {
        let truths = [0, 1].map(|image| truth(image, 0, [0.0, 0.0, 20.0, 20.0]));
        let found = |image| ScoredBox { image, category: 0, bbox: [0.0, 0.0, 20.0, 20.0], score: 0.9 };
        let result = intervals(1, &truths, &[found(0)], 2, 400, 7).unwrap();
        assert!(result.map[0] == 0.0 && (result.map[1] - 1.0).abs() < 1e-9, "{result:?}");
        assert_eq!((result.map, result.map), (result.map50, result.ap_small.unwrap()));
        assert_eq!((result.ap_medium, result.ap_large), (None, None));
        // Both found: no draw is worse.
        let sure = intervals(1, &truths, &[found(0), found(1)], 2, 50, 7).unwrap();
        assert!((sure.map[0] - 1.0).abs() < 1e-9);
        assert_eq!(intervals(1, &[], &[found(0)], 2, 50, 7), None);
        assert_eq!(intervals(1, &truths, &[], 0, 50, 7), None);
    }

    #[test]
    fn every_picture_once_is_the_evaluation_itself() {
        let (truths, boxes) = scene(30, 4, 6, 0.7);
        let summary = evaluate(4, &truths, &boxes).summary;
        let expected = [summary.map, summary.map50, summary.ap_small, summary.ap_medium, summary.ap_large];
        assert_eq!(Model::new(4, &truths, &boxes).measure(&[1; 30]), expected);
    }

    /// A resample is an evaluation of a data set in which pictures occur repeatedly.
    #[test]
    fn a_resample_is_the_evaluation_of_repeated_pictures() {
        let (truths, boxes) = scene(5, 2, 6, 0.7);
        let (times, places) = ([0, 3, 1, 0, 1], [1, 1, 1, 2, 4]);
        let (mut more_truths, mut more_boxes) = (Vec::new(), Vec::new());
        for (image, from) in (0..).zip(places) {
            more_truths
                .extend(truths.iter().filter(|t| t.image == from).map(|t| Truth { image, ..t.clone() }));
            more_boxes
                .extend(boxes.iter().filter(|b| b.image == from).map(|b| ScoredBox { image, ..b.clone() }));
        }
        let summary = evaluate(2, &more_truths, &more_boxes).summary;
        let expected = [summary.map, summary.map50, summary.ap_small, summary.ap_medium, summary.ap_large];
        assert_eq!(Model::new(2, &truths, &boxes).measure(&times), expected);
    }

    #[test]
    fn intervals_hold_the_estimate_and_depend_on_the_seed_alone() {
        let (truths, boxes) = scene(60, 3, 8, 0.7);
        let summary = evaluate(3, &truths, &boxes).summary;
        let result = intervals(3, &truths, &boxes, 60, 300, 1).unwrap();
        let holds = |[low, high]: [f64; 2], value: Option<f64>| low < value.unwrap() && value.unwrap() < high;
        assert!(holds(result.map, summary.map) && holds(result.map50, summary.map50), "{result:?}");
        assert!(holds(result.ap_large.unwrap(), summary.ap_large));
        assert_eq!(intervals(3, &truths, &boxes, 60, 300, 1), Some(result));
        assert_ne!(intervals(3, &truths, &boxes, 60, 300, 2), Some(result));
    }

    #[test]
    fn the_difference_of_two_models_is_narrower_than_either() {
        let (truths, boxes) = scene(60, 3, 8, 0.7);
        let same = difference(3, &truths, [&boxes, &boxes], 60, 50, 1).unwrap();
        assert_eq!((same.map, same.ap_small), ([0.0; 2], Some([0.0; 2])));
        // A model that finds a little less, in every seventh box.
        let worse: Vec<ScoredBox> = boxes
            .iter()
            .enumerate()
            .map(|(i, b)| ScoredBox { score: if i % 7 == 0 { b.score * 0.2 } else { b.score }, ..b.clone() })
            .collect();
        let lost = difference(3, &truths, [&boxes, &worse], 60, 300, 1).unwrap();
        let alone = intervals(3, &truths, &boxes, 60, 300, 1).unwrap();
        assert!(lost.map[0] < lost.map[1] && lost.map[1] < 0.0, "{lost:?}");
        assert!(lost.map[1] - lost.map[0] < alone.map[1] - alone.map[0], "{lost:?} {alone:?}");
    }

    #[test]
    #[ignore = "takes seconds; prints how many"]
    fn speed_of_a_whole_validation() {
        let (truths, boxes) = scene(170, 80, 200, 0.5);
        let start = std::time::Instant::now();
        difference(80, &truths, [&boxes, &boxes], 170, 200, 1).unwrap();
        println!("{} boxes twice, 200 resamples: {:?}", boxes.len(), start.elapsed());
    }
}
