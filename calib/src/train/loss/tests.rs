//! The loss beside numbers that `tests/reference/yolo_loss.py` computes, and its gradients beside differences.

use super::*;
use crate::loader::Target;
use crate::train::kernels::Extent;

const SIZE: usize = 64;

fn anchors() -> Vec<Anchors> {
    vec![
        vec![[4.0, 5.0], [8.0, 14.0], [16.0, 11.0]],
        vec![[12.0, 24.0], [24.0, 16.0], [23.0, 46.0]],
        vec![[44.0, 36.0], [48.0, 60.0], [62.0, 50.0]],
    ]
}

/// The logits of the reference, whose order is image, anchor, row, column, number.
fn maps() -> Vec<Map> {
    let map = |level: usize| {
        let cells = SIZE / [8, 16, 32][level];
        let extent = Extent { channels: 21, images: 2, rows: cells, columns: cells };
        let value = |at: usize| {
            let (channel, rest) = (at / extent.channel(), at % extent.channel());
            let (image, cell) = (rest / extent.plane(), rest % extent.plane());
            let (anchor, k) = (channel / 7, channel % 7);
            let index = ((image * 3 + anchor) * extent.plane() + cell) * 7 + k;
            (1.5 * (0.37 * index as f64 + level as f64).sin()) as f32
        };
        Map { extent, values: (0..extent.elements()).map(value).collect() }
    };
    (0..3).map(map).collect()
}

fn batch() -> Batch {
    let target = |image, class, bbox| Target { region: Region { image, bbox }, class };
    Batch {
        images: Vec::new(),
        size: SIZE,
        targets: vec![
            target(0, 0, [0.31, 0.42, 0.20, 0.35]),
            target(0, 1, [0.70, 0.55, 0.45, 0.30]),
            target(0, 1, [0.72, 0.53, 0.40, 0.33]),
            target(1, 0, [0.05, 0.97, 0.08, 0.06]),
            target(1, 1, [0.50, 0.50, 0.90, 0.80]),
        ],
        ignored: Vec::new(),
        known: vec![true; 4],
        pictures: vec![0, 1],
    }
}

#[test]
fn losses_are_those_of_yolov5() {
    let (losses, _) = loss(&maps(), &batch(), None, &anchors(), Gains::of(SIZE, 2));
    for (ours, theirs) in
        [(losses.boxes, 0.145356154), (losses.objectness, 0.044194227), (losses.classes, 0.030375108)]
    {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

/// The loss times the number of pictures, with one logit moved.
fn moved(level: usize, at: usize, by: f32, batch: &Batch, hints: Option<&Hints>, gains: Gains) -> f64 {
    let mut maps = maps();
    maps[level].values[at] += by;
    2.0 * loss(&maps, batch, hints, &anchors(), gains).0.sum()
}

/// Map, place in the reference's order, and gradient of the loss of boxes; the reference takes differences.
#[rustfmt::skip]
const BOX_GRADIENTS: [(usize, usize, f64); 28] = [
    (0, 1736, 7.504397e-04),
    (0, 1737, 2.507086e-04),
    (0, 1738, -4.469536e-04),
    (0, 1739, -1.838909e-04),
    (0, 1099, -2.342863e-04),
    (0, 1100, -3.613100e-04),
    (0, 1101, -8.871791e-05),
    (0, 1102, -1.552759e-04),
    (1, 182, -1.297385e-03),
    (1, 183, 3.264575e-05),
    (1, 184, -1.088427e-03),
    (1, 185, 5.239255e-04),
    (1, 490, 4.854387e-04),
    (1, 491, -1.637618e-05),
    (1, 492, -1.967132e-04),
    (1, 493, -5.765616e-04),
    (1, 287, 1.841542e-05),
    (1, 288, 3.775298e-05),
    (1, 289, 3.390643e-05),
    (1, 290, -3.705411e-06),
    (2, 161, -4.519390e-05),
    (2, 162, -1.171256e-05),
    (2, 163, -1.738094e-03),
    (2, 164, -1.390781e-03),
    (2, 14, -4.953266e-05),
    (2, 15, 3.702306e-04),
    (2, 16, -1.416163e-04),
    (2, 17, -8.845569e-05),
];

#[test]
fn gradients_of_boxes_are_those_of_yolov5() {
    let gains = Gains { objectness: 0.0, classes: 0.0, ..Gains::of(SIZE, 2) };
    let (_, gradients) = loss(&maps(), &batch(), None, &anchors(), gains);
    for (level, at, expected) in BOX_GRADIENTS {
        let extent = maps()[level].extent;
        let (k, place) = (at % 7, at / 7);
        let (image, anchor, cell) =
            (place / extent.plane() / 3, place / extent.plane() % 3, place % extent.plane());
        let ours = gradients[level][((anchor * 7 + k) * extent.images + image) * extent.plane() + cell];
        assert!((f64::from(ours) - expected).abs() < 1e-7 + 1e-4 * expected.abs(), "{ours} {expected}");
    }
}

/// Boxes have their own tests: as the aim of objectness their fit is a constant, which a difference does not see.
#[test]
fn gradients_are_those_of_differences() {
    let gains = Gains::of(SIZE, 2);
    for mut batch in [batch(), Batch { known: vec![true, false, true, true], ..batch() }] {
        batch.ignored.push(Region { image: 1, bbox: [0.2, 0.2, 0.3, 0.3] });
        let complete = batch.known.iter().all(|known| *known);
        let (_, gradients) = loss(&maps(), &batch, None, &anchors(), gains);
        for (level, map) in maps().iter().enumerate() {
            for at in (0..map.values.len()).step_by(if level == 0 { 5 } else { 1 }) {
                let number = at / map.extent.channel() % 7;
                // How empty a cell counts depends on the classes seen there, but nothing is to be learned from that.
                if number < 4 || number >= BOX && !complete {
                    continue;
                }
                let high = moved(level, at, 1e-2, &batch, None, gains);
                let difference = (high - moved(level, at, -1e-2, &batch, None, gains)) / f64::from(2e-2f32);
                let exact = f64::from(gradients[level][at]);
                assert!(
                    (difference - exact).abs() < 2e-6 + 1e-3 * exact.abs(),
                    "{level} {at}: {difference} {exact}"
                );
            }
        }
    }
}

#[test]
fn decoded_boxes_and_their_slopes() {
    let middle = decoded([0.0; 4], [3.0, 5.0]).map(|number| number.value);
    assert_eq!(middle, [0.5, 0.5, 3.0, 5.0]);
    let logits = [0.7, -1.1, 0.4, -0.3];
    for k in 0..4 {
        let moved = |by: f64| {
            let mut logits = logits;
            logits[k] += by;
            decoded(logits, [3.0, 5.0])[k].value
        };
        let difference = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        assert!((difference - decoded(logits, [3.0, 5.0])[k].slopes[k]).abs() < 1e-7);
    }
}

/// What is not labelled teaches nothing: neither that a class is absent, nor that a cell is empty.
#[test]
fn unlabelled_classes_are_left_alone() {
    let labelled = Batch { known: vec![true, false, true, true], ..batch() };
    let (_, gradients) = loss(&maps(), &labelled, None, &anchors(), Gains::of(SIZE, 2));
    let (_, complete) = loss(&maps(), &batch(), None, &anchors(), Gains::of(SIZE, 2));
    let extent = maps()[0].extent;
    for (channel, image) in (0..21).flat_map(|channel| [(channel, 0), (channel, 1)]) {
        let part = |gradients: &[Vec<f32>]| -> f32 {
            let begin = (channel * 2 + image) * extent.plane();
            gradients[0][begin..begin + extent.plane()].iter().map(|g| g.abs()).sum()
        };
        let (ours, all) = (part(&gradients), part(&complete));
        match (channel % 7, image) {
            (6, 0) => assert_eq!(ours, 0.0, "the second class of the first picture is unknown"),
            (4, 0) => assert!(ours < all, "{channel}: cells may hold what is not labelled: {ours} {all}"),
            (4, 1) => assert_eq!(ours, all),
            _ => {}
        }
    }
}

/// Hints in every second cell of the coarsest map, one of them where a label is.
fn hints() -> Hints {
    let hint = |i: usize| Hint {
        image: i % 2,
        anchor: i % 3,
        at: [i / 2 % 2, i % 2],
        bbox: [3.0 + i as f32, 5.0, 40.0 + i as f32, 60.0 - i as f32],
        score: 0.1 + 0.15 * i as f64,
        classes: vec![1.0, 0.2 * i as f64],
    };
    vec![Vec::new(), Vec::new(), (0..5).map(hint).collect()]
}

#[test]
fn gradients_of_hints_are_those_of_differences() {
    let gains = Gains { hints: 0.7, ..Gains::of(SIZE, 2) };
    let (batch, hints) = (Batch { targets: Vec::new(), ..batch() }, hints());
    let (losses, gradients) = loss(&maps(), &batch, Some(&hints), &anchors(), gains);
    assert!(losses.boxes > 0.0 && losses.classes > 0.0);
    for (at, exact) in gradients[2].iter().enumerate() {
        // Boxes are those of labels, below.
        if at / maps()[2].extent.channel() % 7 < 4 {
            continue;
        }
        let high = moved(2, at, 1e-3, &batch, Some(&hints), gains);
        let difference = (high - moved(2, at, -1e-3, &batch, Some(&hints), gains)) / f64::from(2e-3f32);
        let exact = f64::from(*exact);
        assert!((difference - exact).abs() < 5e-6 + 1e-3 * exact.abs(), "{at}: {difference} {exact}");
    }
}

/// Labels as a teacher would say them that is sure of each.
fn said(batch: &Batch, anchors: &Anchors) -> Vec<Hint> {
    let hint = |m: &Match| {
        let [x, y, w, h] = m.bbox;
        let (x, y) = (x + m.column as f64, y + m.row as f64);
        Hint {
            image: m.image,
            anchor: m.anchor,
            at: [m.row, m.column],
            bbox: [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0].map(|side| (32.0 * side) as f32),
            score: 1.0,
            classes: vec![m.truth.class(0), m.truth.class(1)],
        }
    };
    assign::matches(&batch.targets, maps()[2].extent, anchors, [32.0; 2]).iter().map(hint).collect()
}

#[test]
fn a_sure_hint_teaches_what_a_label_does() {
    let (mut batch, anchors) = (batch(), anchors());
    let gains = Gains { objectness: 0.0, ..Gains::of(SIZE, 2) };
    // The coarsest map alone.
    let (maps, anchors) = (maps()[2..].to_vec(), anchors[2..].to_vec());
    let hints = vec![said(&batch, &anchors[0])];
    let (labelled, by_labels) = loss(&maps, &batch, None, &anchors, gains);
    batch.targets.clear();
    let (hinted, by_hints) = loss(&maps, &batch, Some(&hints), &anchors, gains);
    assert!(labelled.boxes > 0.0 && (labelled.boxes - hinted.boxes).abs() < 1e-6, "{labelled:?} {hinted:?}");
    assert!((labelled.classes - hinted.classes).abs() < 1e-6, "{labelled:?} {hinted:?}");
    for (ours, theirs) in by_hints[0].iter().zip(&by_labels[0]) {
        assert!((ours - theirs).abs() < 1e-6, "{ours} {theirs}");
    }
}

/// Where a label asks for something, a teacher is not heard.
#[test]
fn labels_come_before_hints() {
    let (batch, gains) = (batch(), Gains::of(SIZE, 2));
    let anchors = anchors();
    let hints = vec![Vec::new(), Vec::new(), said(&batch, &anchors[2])];
    assert!(!hints[2].is_empty());
    let without = loss(&maps(), &batch, None, &anchors, gains);
    assert_eq!(loss(&maps(), &batch, Some(&hints), &anchors, gains), without);
}
