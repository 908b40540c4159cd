//! How well a box fits another: complete IoU (Zheng et al.: Enhancing geometric factors in model learning and
//! inference for object detection and instance segmentation, 2021).

use super::dual::Dual;
use std::f64::consts::PI;

/// Keeps quotients finite; YOLOv5's.
const TINY: f64 = 1e-7;

/// Middle in x and y, width and height.
pub(super) type Box4<T> = [T; 4];

/// Complete IoU of a predicted box with a true one: 1 where they are equal, less than −1 at worst. The weight of the
/// term of shapes counts as a constant, as the paper has it.
pub(super) fn complete_iou(found: Box4<Dual>, truth: Box4<f64>) -> Dual {
    let Terms { iou, distance, shape } = Terms::of(found, truth);
    let weight = shape.value / (shape.value - iou.value + 1.0 + TINY);
    iou - distance - shape.scaled(weight)
}

struct Terms {
    iou: Dual,
    /// Of the middles, in parts of the diagonal of the hull; squared.
    distance: Dual,
    /// How much the ratios of width to height differ.
    shape: Dual,
}

impl Terms {
    fn of(found: Box4<Dual>, truth: Box4<f64>) -> Self {
        let c = Dual::constant;
        let ends = |middle: Dual, extent: Dual| (middle - extent.scaled(0.5), middle + extent.scaled(0.5));
        let truth = truth.map(c);
        let axis = |i: usize| {
            let (low, high) = ends(found[i], found[i + 2]);
            let (true_low, true_high) = ends(truth[i], truth[i + 2]);
            let shared = (high.min(true_high) - low.max(true_low)).max(c(0.0));
            let hull = high.max(true_high) - low.min(true_low);
            (shared, hull, (found[i] - truth[i]).squared())
        };
        let ((shared_x, hull_x, apart_x), (shared_y, hull_y, apart_y)) = (axis(0), axis(1));
        let (width, height) = (found[2], found[3] + c(TINY));
        let (true_width, true_height) = (truth[2], truth[3] + c(TINY));
        let shared = shared_x * shared_y;
        let angle = (true_width / true_height).atan() - (width / height).atan();
        Terms {
            iou: shared / (width * height + true_width * true_height - shared + c(TINY)),
            distance: (apart_x + apart_y) / (hull_x.squared() + hull_y.squared() + c(TINY)),
            shape: angle.squared().scaled(4.0 / (PI * PI)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(found: Box4<f64>, truth: Box4<f64>) -> Dual {
        complete_iou(std::array::from_fn(|i| Dual::variable(found[i], i)), truth)
    }

    #[test]
    fn worked_examples() {
        assert!((of([5.0, 5.0, 4.0, 2.0], [5.0, 5.0, 4.0, 2.0]).value - 1.0).abs() < 1e-6);
        // Two 2×2 boxes, one beside the other with a column shared: IoU 2/6, middles 1 apart, hull 3×2.
        let value = of([1.0, 1.0, 2.0, 2.0], [2.0, 1.0, 2.0, 2.0]).value;
        assert!((value - (1.0 / 3.0 - 1.0 / 13.0)).abs() < 1e-6, "{value}");
        // Far apart: only the distance is left of boxes of the same shape.
        let value = of([0.0, 0.0, 2.0, 2.0], [10.0, 0.0, 2.0, 2.0]).value;
        assert!((value + 100.0 / 148.0).abs() < 1e-6, "{value}");
    }

    /// Of each term; the weight of the last one is a constant.
    #[test]
    fn slopes_are_those_of_differences() {
        let truth = [3.9, 2.6, 5.0, 2.5];
        for found in [[3.1, 2.2, 4.0, 2.4], [4.5, 3.5, 6.0, 1.0], [9.0, 2.0, 1.0, 1.0]] {
            let terms = |found: Box4<f64>| {
                let Terms { iou, distance, shape } =
                    Terms::of(std::array::from_fn(|i| Dual::variable(found[i], i)), truth);
                [iou, distance, shape]
            };
            for i in 0..4 {
                let moved = |by: f64| {
                    let mut found = found;
                    found[i] += by;
                    terms(found)
                };
                let (low, high, exact) = (moved(-1e-6), moved(1e-6), terms(found));
                for t in 0..3 {
                    let difference = (high[t].value - low[t].value) / 2e-6;
                    assert!((difference - exact[t].slopes[i]).abs() < 1e-6, "{found:?} {i} {t}");
                }
            }
        }
    }
}
