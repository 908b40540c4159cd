//! Anchors for the boxes of a data set: clusters of their widths and heights, refined by chance.
//!
//! An anchor serves a box if neither its width nor its height is more than [`RATIO_MAX`] times the box's, or less than that
//! part of it; training gives it no box that it does not serve. As YOLOv5's autoanchor does it.

use crate::dataset::training::TrainingSet;
use crate::random::Random;
use std::fmt::Display;

/// Most that an anchor's side and a box's may differ by, as a ratio: what training allows.
pub const RATIO_MAX: f64 = 4.0;
/// Longer side of a box in pixels below which it has no say: nothing can be learned from it.
const SIDE_MIN: f64 = 2.0;
/// Rounds of k-means, and how often it starts anew: it may end at less than the best.
const ROUNDS: usize = 30;
const STARTS: usize = 5;
/// Generations of the refinement.
const GENERATIONS: usize = 1000;
/// Probability that a side of an anchor changes in a generation.
const CHANGED: f64 = 0.9;
/// Standard deviation of such a change, relative to the side.
const CHANGE: f64 = 0.1;
/// A change keeps within this and its inverse, nearly.
const CHANGE_RANGE: [f64; 2] = [0.3, 3.0];
/// Most boxes that anchors are fitted to; of more, a sample.
const BOXES_MAX: usize = 20_000;

/// Width and height in pixels of the network's input.
pub type Extent = [f64; 2];

/// How well anchors serve boxes.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Fit {
    /// Part of the boxes that some anchor serves: no training finds more.
    pub recall: f64,
    /// Mean over the boxes of how like its best anchor each is, 0 to 1; a box that none serves counts 0.
    pub fitness: f64,
    /// Anchors that serve a box, in the mean.
    pub anchors_per_box: f64,
}

/// Widths and heights of the set's boxes, after the letterbox into a square of side `size`; those of pictures that an epoch
/// repeats as often.
pub fn extents(set: &TrainingSet, size: usize) -> Vec<Extent> {
    let mut extents = Vec::new();
    for picture in &set.pictures {
        let scale = size as f64 / f64::from(picture.size[0].max(picture.size[1]));
        let of_picture = picture.boxes.iter().filter(|b| b.class.is_some()).map(|b| {
            let [left, top, right, bottom] = b.corners.map(f64::from);
            [(right - left) * scale, (bottom - top) * scale]
        });
        let large: Vec<Extent> = of_picture.filter(|[w, h]| w.max(*h) >= SIDE_MIN).collect();
        for _ in 0..set.origins[picture.origin as usize].repeat {
            extents.extend(&large);
        }
    }
    extents
}

/// Anchors as the runtime reads them: `w,h,w,h/w,h,w,h`, scales apart by a slash.
pub fn text<T: Display>(scales: &[Vec<[T; 2]>]) -> String {
    let sides = |scale: &Vec<[T; 2]>| scale.iter().flatten().map(T::to_string).collect::<Vec<_>>().join(",");
    scales.iter().map(sides).collect::<Vec<_>>().join("/")
}

/// How like two extents are: the smaller of both axes' ratios, 0 to 1.
fn likeness(a: Extent, b: Extent) -> f64 {
    let axis = |i: usize| (a[i] / b[i]).min(b[i] / a[i]);
    axis(0).min(axis(1))
}

/// How well `anchors` serve `boxes`.
pub fn fit(boxes: &[Extent], anchors: &[Extent]) -> Fit {
    let count = boxes.len().max(1) as f64;
    let (mut served, mut sum, mut anchors_for) = (0usize, 0.0, 0usize);
    for &extent in boxes {
        let mut best = 0.0f64;
        for &anchor in anchors {
            let like = likeness(extent, anchor);
            anchors_for += usize::from(like > 1.0 / RATIO_MAX);
            best = best.max(like);
        }
        if best > 1.0 / RATIO_MAX {
            (served, sum) = (served + 1, sum + best);
        }
    }
    Fit { recall: served as f64 / count, fitness: sum / count, anchors_per_box: anchors_for as f64 / count }
}

/// `count` anchors for `boxes`, the smallest area first; fewer where there are fewer boxes. They follow from `seed`.
pub fn choose(boxes: &[Extent], count: usize, seed: u64) -> Vec<Extent> {
    let mut random = Random::new(&[seed]);
    let mut sample = boxes.to_vec();
    if sample.len() > BOXES_MAX {
        random.shuffle(&mut sample);
        sample.truncate(BOXES_MAX);
    }
    let mut best = clusters(&sample, count, &mut random);
    let mut fitness = fit(&sample, &best).fitness;
    for _ in 0..GENERATIONS {
        let changed: Vec<Extent> =
            best.iter().map(|anchor| anchor.map(|side| change(side, &mut random))).collect();
        let now = fit(&sample, &changed).fitness;
        if now > fitness {
            (best, fitness) = (changed, now);
        }
    }
    best.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    best
}

fn change(side: f64, random: &mut Random) -> f64 {
    if !random.chance(CHANGED) {
        return side;
    }
    let [low, high] = CHANGE_RANGE;
    (side * (1.0 + random.unit() * random.normal() * CHANGE).clamp(low, high)).max(SIDE_MIN)
}

/// The best of several clusterings. They are made of logarithms: a ratio is what counts, whatever the size.
fn clusters(boxes: &[Extent], count: usize, random: &mut Random) -> Vec<Extent> {
    let points: Vec<Extent> = boxes.iter().map(|extent| extent.map(f64::ln)).collect();
    let all = (0..STARTS).map(|_| {
        let middles: Vec<Extent> = cluster(&points, count, random).iter().map(|m| m.map(f64::exp)).collect();
        (fit(boxes, &middles).fitness, middles)
    });
    all.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, middles)| middles).unwrap_or_default()
}

/// Middles of clusters of the points (k-means).
fn cluster(points: &[Extent], count: usize, random: &mut Random) -> Vec<Extent> {
    let mut middles = spread_out(points, count, random);
    for _ in 0..ROUNDS {
        let mut sums = vec![([0.0; 2], 0usize); middles.len()];
        for point in points {
            let (sum, members) = &mut sums[nearest(&middles, point).0];
            *sum = [sum[0] + point[0], sum[1] + point[1]];
            *members += 1;
        }
        // A middle that nobody is near stays where it is.
        for (middle, (sum, members)) in middles.iter_mut().zip(sums).filter(|(_, (_, members))| *members > 0)
        {
            *middle = sum.map(|x| x / members as f64);
        }
    }
    middles
}

/// First middles: each is drawn with a chance that grows with the square of the distance to those before (k-means++).
fn spread_out(points: &[Extent], count: usize, random: &mut Random) -> Vec<Extent> {
    let mut middles: Vec<Extent> = Vec::with_capacity(count);
    let mut distances = vec![1.0; points.len()];
    for _ in 0..count.min(points.len()) {
        let mut left = random.unit() * distances.iter().sum::<f64>();
        let drawn = distances.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        let Some(drawn) = drawn else { break };
        middles.push(points[drawn]);
        for (distance, point) in distances.iter_mut().zip(points) {
            *distance = nearest(&middles, point).1;
        }
    }
    middles
}

/// The nearest middle, and the square of its distance.
fn nearest(middles: &[Extent], point: &Extent) -> (usize, f64) {
    let square = |m: &Extent| (m[0] - point[0]).powi(2) + (m[1] - point[1]).powi(2);
    let all = middles.iter().map(square).enumerate();
    all.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((0, f64::INFINITY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::training::{Labelled, Origin, Picture};

    /// By hand, with two boxes and two anchors: the first box is like the first anchor by 1/2 and like the second by 1/8,
    /// the second by 1/5 and 1/10.
    #[test]
    fn the_fit_is_that_of_the_best_anchor() {
        let fit = fit(&[[10.0, 20.0], [2.0, 40.0]], &[[10.0, 10.0], [20.0, 160.0]]);
        assert_eq!(fit, Fit { recall: 0.5, fitness: 0.25, anchors_per_box: 0.5 });
    }

    /// Boxes about nine extents: the anchors must be these, within what the spread of the boxes leaves open.
    #[test]
    fn clusters_are_found() {
        let truth = [
            [4.0, 6.0],
            [8.0, 5.0],
            [8.0, 16.0],
            [20.0, 14.0],
            [18.0, 40.0],
            [50.0, 36.0],
            [60.0, 120.0],
            [140.0, 90.0],
            [200.0, 220.0],
        ];
        let mut random = Random::new(&[9]);
        let mut boxes = Vec::new();
        for extent in truth {
            boxes.extend((0..200).map(|_| extent.map(|side: f64| side * (1.0 + random.normal() * 0.03))));
        }
        let found = choose(&boxes, 9, 0);
        let best = fit(&boxes, &truth).fitness;
        let fit = fit(&boxes, &found);
        assert_eq!((fit.recall, found.len()), (1.0, 9));
        assert!(fit.fitness > best - 0.005, "{} of {best}: {found:?}", fit.fitness);
        for extent in truth {
            let like = found.iter().map(|&anchor| likeness(extent, anchor)).fold(0.0, f64::max);
            assert!(like > 0.95, "{extent:?} is not among {found:?}");
        }
        assert_eq!(found, choose(&boxes, 9, 0));
    }

    #[test]
    fn few_or_equal_boxes_do_no_harm() {
        assert_eq!(choose(&[], 9, 0), Vec::<Extent>::new());
        let same = choose(&[[10.0, 20.0]; 5], 3, 0);
        assert!(same.iter().all(|anchor| likeness(*anchor, [10.0, 20.0]) > 0.5), "{same:?}");
    }

    #[test]
    fn extents_are_those_of_the_letterboxed_picture() {
        let boxes = [[0.0, 0.0, 50.0, 20.0], [0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 9.0, 9.0]];
        let boxes =
            boxes.iter().zip([Some(0), Some(0), None]).map(|(&corners, class)| Labelled { class, corners });
        let set = TrainingSet {
            classes: vec!["a".to_owned()],
            origins: vec![Origin { name: String::new(), known: vec![true], repeat: 2 }],
            pictures: vec![Picture { path: "a".into(), size: [100, 200], origin: 0, boxes: boxes.collect() }],
        };
        assert_eq!(extents(&set, 100), [[25.0, 10.0]; 2]);
    }
}
