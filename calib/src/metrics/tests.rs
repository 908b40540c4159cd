//! The golden numbers are those that pycocotools 2.0.11 computed from the boxes listed here.

use super::*;
use proptest::prelude::*;

/// Annotation id, image, category, box, area, crowd.
type TruthRow = (u32, u32, u32, [i32; 4], i32, u8);
/// Image, category, box, ten times the score.
type BoxRow = (u32, u32, [i32; 4], i32);

/// A scene and COCO's numbers for it.
struct Golden {
    truths: &'static [TruthRow],
    boxes: &'static [BoxRow],
    /// The twelve numbers; -1 where there is nothing to measure.
    summary: [f64; 12],
    /// Average precision per category.
    ap: &'static [f64],
}

/// Three pictures, three categories: equal scores, crowds, areas that are not width times height.
#[rustfmt::skip]
const THREE_CATEGORIES: Golden = Golden {
    truths: &[
        (1, 2, 1, [100, 108, 8, 8], 0, 0), (2, 0, 0, [132, 36, 120, 100], 12000, 0),
        (3, 0, 1, [136, 144, 32, 32], 1024, 0), (4, 0, 1, [20, 124, 120, 100], 11936, 0),
        (5, 0, 2, [48, 52, 120, 100], 12000, 0), (6, 1, 1, [156, 68, 32, 32], 1024, 1),
        (7, 2, 2, [88, 80, 96, 96], 9152, 0), (8, 1, 2, [112, 96, 120, 100], 12000, 0),
        (9, 0, 2, [32, 132, 40, 60], 2400, 0), (10, 1, 0, [16, 4, 96, 96], 9152, 0),
        (11, 1, 2, [80, 152, 20, 24], 480, 0), (12, 1, 1, [128, 100, 8, 8], 64, 1),
        (13, 0, 2, [76, 60, 32, 32], 960, 0), (14, 2, 2, [12, 28, 20, 24], 480, 0),
    ],
    boxes: &[
        (0, 2, [76, 60, 32, 32], 7), (1, 1, [160, 68, 32, 32], 1),
        (2, 0, [104, 24, 96, 96], 8), (0, 1, [136, 148, 32, 28], 8),
        (1, 0, [16, 4, 96, 92], 7), (2, 2, [88, 80, 96, 96], 3),
        (1, 2, [112, 98, 120, 96], 6), (0, 2, [76, 61, 32, 28], 6),
        (0, 2, [32, 132, 40, 60], 1), (1, 0, [20, 4, 96, 96], 6),
        (0, 2, [48, 52, 120, 100], 2), (1, 2, [64, 60, 96, 96], 6),
        (2, 2, [88, 82, 96, 92], 6), (1, 2, [112, 100, 120, 96], 2),
        (1, 2, [116, 96, 120, 100], 4), (0, 1, [20, 124, 120, 100], 4),
        (1, 1, [128, 100, 8, 8], 4), (0, 0, [32, 0, 120, 100], 5),
    ],
    summary: [
        0.4281628162816282, 0.46116611661166124, 0.46116611661166124, 0.3702970297029702,
        0.6, 0.5676567656765676, 0.39841269841269844, 0.6047619047619047,
        0.6047619047619047, 0.3666666666666666, 0.9333333333333333, 0.6666666666666666,
    ],
    ap: &[0.2524752475247525, 0.5643564356435643, 0.46765676567656767],
};

/// One category, matched crowds, and an annotation with id 0 whose match COCO counts as a miss.
#[rustfmt::skip]
const ID_ZERO: Golden = Golden {
    truths: &[
        (0, 0, 0, [20, 124, 20, 24], 416, 0), (1, 0, 0, [96, 112, 96, 96], 9216, 0),
        (2, 1, 0, [20, 64, 40, 60], 2400, 0), (3, 0, 0, [8, 84, 96, 96], 9152, 0),
        (4, 1, 0, [148, 156, 120, 100], 12000, 0), (5, 1, 0, [56, 20, 8, 8], 64, 1),
        (6, 0, 0, [104, 156, 40, 60], 2336, 0),
    ],
    boxes: &[
        (1, 0, [56, 20, 8, 8], 4), (1, 0, [56, 20, 8, 8], 7),
        (0, 0, [8, 88, 96, 92], 8), (1, 0, [56, 24, 8, 4], 9),
        (0, 0, [20, 124, 20, 24], 3), (1, 0, [76, 156, 40, 60], 6),
        (1, 0, [56, 20, 8, 8], 6), (1, 0, [136, 152, 20, 24], 5),
        (1, 0, [152, 156, 120, 100], 1), (0, 0, [140, 48, 40, 60], 2),
        (0, 0, [104, 156, 40, 56], 2), (0, 0, [156, 32, 96, 96], 2),
    ],
    summary: [
        0.2819306930693069, 0.2945544554455445, 0.2945544554455445, 0.0,
        0.3688118811881188, 0.22722772277227724, 0.16666666666666669, 0.4666666666666667,
        0.4666666666666667, 0.0, 0.475, 0.45,
    ],
    ap: &[0.2819306930693069],
};

fn truth(&(id, image, category, bbox, area, crowd): &TruthRow) -> Truth {
    let (bbox, area) = (bbox.map(f64::from), f64::from(area));
    Truth { image, category, bbox, area, crowd: crowd != 0, creditable: id != 0 }
}

fn scored(&(image, category, bbox, score): &BoxRow) -> ScoredBox {
    ScoredBox { image, category, bbox: bbox.map(f64::from), score: f64::from(score) / 10.0 }
}

/// The twelve numbers in COCO's order, -1 where there is none.
fn twelve(s: &Summary) -> [f64; 12] {
    [
        s.map,
        s.map50,
        s.map75,
        s.ap_small,
        s.ap_medium,
        s.ap_large,
        s.ar_1,
        s.ar_10,
        s.ar_100,
        s.ar_small,
        s.ar_medium,
        s.ar_large,
    ]
    .map(|v| v.unwrap_or(-1.0))
}

fn assert_close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
    assert!(got.iter().zip(expected).all(near), "{got:?}\n{expected:?}");
}

fn check(golden: &Golden) {
    let truths: Vec<Truth> = golden.truths.iter().map(truth).collect();
    let boxes: Vec<ScoredBox> = golden.boxes.iter().map(scored).collect();
    let result = evaluate(golden.ap.len(), &truths, &boxes);
    assert_close(&twelve(&result.summary), &golden.summary);
    let ap: Vec<f64> = result.classes.iter().map(|c| c.ap.unwrap_or(-1.0)).collect();
    assert_close(&ap, golden.ap);
}

#[test]
fn agrees_with_coco_on_ties_and_crowds() {
    check(&THREE_CATEGORIES);
}

#[test]
fn agrees_with_coco_on_annotation_id_zero() {
    check(&ID_ZERO);
}

#[test]
fn half_found_is_half_of_the_recall_levels() {
    // By hand: two objects, the first found exactly, then a miss. Precision is 1 up to recall 0.5, the levels
    // 0.00 to 0.50, and 0 beyond: 51 of 101. The objects are of medium size; of others there are none.
    let truths = [(1, 0, 0, [0, 0, 50, 50], 2500, 0), (2, 0, 0, [200, 0, 50, 50], 2500, 0)];
    let boxes = [(0, 0, [0, 0, 50, 50], 9), (0, 0, [400, 0, 50, 50], 8)];
    let result = evaluate(2, &truths.map(|t| truth(&t)), &boxes.map(|b| scored(&b)));
    let (ap, recall) = (51.0 / 101.0, 0.5);
    let expected = [ap, ap, ap, -1.0, ap, -1.0, recall, recall, recall, -1.0, recall, -1.0];
    assert_close(&twelve(&result.summary), &expected);
    assert_eq!(result.classes[0].instances, 2);
    assert_eq!(result.classes[1], ClassAp::default(), "a category without objects has no AP");
}

#[test]
fn nothing_to_find_is_not_zero() {
    assert_eq!(evaluate(1, &[], &[]).summary, Summary::default());
    let found = [scored(&(0, 0, [0, 0, 9, 9], 5))];
    assert_eq!(evaluate(1, &[], &found).summary, Summary::default());
    let crowd = [truth(&(1, 0, 0, [0, 0, 9, 9], 81, 1))];
    assert_eq!(evaluate(1, &crowd, &found).summary, Summary::default());
    let missed = [truth(&(1, 0, 0, [0, 0, 9, 9], 81, 0))];
    assert_eq!(evaluate(1, &missed, &[]).summary.map, Some(0.0));
}

#[test]
fn only_a_hundred_boxes_per_picture_and_category_count() {
    let truths = [truth(&(1, 0, 0, [0, 0, 9, 9], 81, 0))];
    let mut boxes = vec![scored(&(0, 0, [100, 0, 9, 9], 9)); 99];
    boxes.push(scored(&(0, 0, [0, 0, 9, 9], 1)));
    assert_eq!(evaluate(1, &truths, &boxes).summary.ar_100, Some(1.0));
    boxes.insert(0, boxes[0].clone());
    assert_eq!(evaluate(1, &truths, &boxes).summary.ar_100, Some(0.0));
}

proptest! {
    #[test]
    fn the_truth_itself_scores_one(objects in proptest::collection::vec((0..5u32, 0..3u32, 0..40i32), 1..40)) {
        // Objects on a grid, apart from each other.
        let place = |i: usize, side: i32| [i as i32 * 100, 0, 8 + side, 8 + side];
        let truths: Vec<Truth> = objects.iter().enumerate()
            .map(|(i, &(image, category, side))| truth(&(1, image, category, place(i, side), 64, 0)))
            .collect();
        let boxes: Vec<ScoredBox> = objects.iter().enumerate()
            .map(|(i, &(image, category, side))| scored(&(image, category, place(i, side), i as i32)))
            .collect();
        let result = evaluate(3, &truths, &boxes);
        // (n / (n + eps) is 1 or the number below.)
        prop_assert!((result.summary.map.unwrap() - 1.0).abs() < 1e-12);
        prop_assert_eq!(result.summary.ar_100, Some(1.0));
    }

    #[test]
    fn the_order_of_boxes_with_different_scores_is_irrelevant(
        objects in proptest::collection::vec((0..3u32, 0..2u32, [0..60i32, 0..60, 1..60, 1..60]), 1..30),
        shift in 0..30usize,
    ) {
        let truths: Vec<Truth> = objects.iter().step_by(2).map(|&(i, c, b)| truth(&(1, i, c, b, 900, 0))).collect();
        let mut boxes: Vec<ScoredBox> = objects.iter().zip(0..).map(|(&(i, c, b), s)| scored(&(i, c, b, s))).collect();
        let before = evaluate(2, &truths, &boxes);
        let middle = shift % boxes.len();
        boxes.rotate_left(middle);
        prop_assert_eq!(evaluate(2, &truths, &boxes), before);
    }
}
