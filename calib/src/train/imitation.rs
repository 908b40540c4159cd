//! Feature maps of a teacher as an aim for those of a student.
//!
//! *Imitation* (Wang et al., "Distilling Object Detectors with Fine-grained Feature Imitation", 2019): where anchors lie well
//! on objects, the student's map, sent through a 1×1 convolution of its own, is to be the teacher's. *Channel-wise*
//! (Shu et al., "Channel-wise Knowledge Distillation for Dense Prediction", 2021): each channel is to look to the same
//! places as the teacher's.

use super::executor::Map;
use super::loss::Anchors;
use crate::loader::Batch;
use serde::{Deserialize, Serialize};

/// Ψ: which part of the best overlap of a picture is enough.
pub const PSI: f32 = 0.5;
/// Softens what channels look to.
const TEMPERATURE: f64 = 4.0;

/// How maps are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Squares of differences where objects are.
    #[default]
    Imitation,
    /// Divergence of what each channel looks to.
    Channelwise,
}

/// Which cells of a `rows × columns` map of one picture are imitated: those of which an anchor overlaps an object by more
/// than `psi` times the best overlap in the picture (algorithm 1 of the imitation's thesis). `boxes` are middles and extents
/// in parts of the square, anchors in pixels.
pub fn mask(
    boxes: &[[f32; 4]],
    [rows, columns]: [usize; 2],
    anchors: &Anchors,
    size: usize,
    psi: f32,
) -> Vec<bool> {
    let size = size as f32;
    let corners = |x: f32, y: f32, w: f32, h: f32| [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0];
    let boxes: Vec<[f32; 4]> =
        boxes.iter().map(|&[x, y, w, h]| corners(x * size, y * size, w * size, h * size)).collect();
    let best_of_cell = |cell: usize| {
        let x = ((cell % columns) as f32 + 0.5) * size / columns as f32;
        let y = ((cell / columns) as f32 + 0.5) * size / rows as f32;
        let overlaps = anchors.iter().flat_map(|&[w, h]| {
            let anchor = corners(x, y, w, h);
            boxes.iter().map(move |bbox| iou(anchor, *bbox))
        });
        overlaps.fold(0.0, f32::max)
    };
    let overlaps: Vec<f32> = (0..rows * columns).map(best_of_cell).collect();
    let best = overlaps.iter().copied().fold(0.0, f32::max);
    overlaps.iter().map(|&overlap| overlap > psi * best).collect()
}

fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let shared = side(0) * side(1);
    shared / (area(a) + area(b) - shared).max(f32::MIN_POSITIVE)
}

/// The loss of a student's map beside the teacher's, both `[C,N,H,W]`, and its gradient times the number of pictures.
pub fn compare(
    kind: Kind,
    student: &Map,
    teacher: &[f32],
    batch: &Batch,
    anchors: &Anchors,
) -> (f64, Vec<f32>) {
    match kind {
        Kind::Imitation => {
            let grid = [student.extent.rows, student.extent.columns];
            imitation(student, teacher, &masks(grid, batch, anchors))
        }
        Kind::Channelwise => channelwise(student, teacher),
    }
}

/// The masks of a batch for maps of these rows and columns, `[N,H,W]`.
pub fn masks(grid: [usize; 2], batch: &Batch, anchors: &Anchors) -> Vec<bool> {
    let of_picture = |image: usize| {
        let own = batch.targets.iter().filter(|target| target.region.image as usize == image);
        let boxes: Vec<[f32; 4]> = own.map(|target| target.region.bbox).collect();
        mask(&boxes, grid, anchors, batch.size, PSI)
    };
    (0..batch.len()).flat_map(of_picture).collect()
}

/// Equation 1: half the mean, over the masked cells, of the sum over channels of squared differences.
fn imitation(student: &Map, teacher: &[f32], masked: &[bool]) -> (f64, Vec<f32>) {
    let count = masked.iter().filter(|masked| **masked).count();
    let scale = student.extent.images as f32 / count.max(1) as f32;
    let mut sum = 0.0;
    let cells = student.values.iter().zip(teacher).zip(masked.iter().cycle());
    let gradient = cells.map(|((s, t), masked)| match masked {
        true => {
            sum += f64::from(s - t).powi(2);
            (s - t) * scale
        }
        false => 0.0,
    });
    let gradient = gradient.collect();
    (sum / (2.0 * count.max(1) as f64), gradient)
}

/// `T²` times the mean, over channels of pictures, of the divergence of the student's distribution over places from the
/// teacher's.
fn channelwise(student: &Map, teacher: &[f32]) -> (f64, Vec<f32>) {
    let plane = student.extent.plane();
    let count = (student.values.len() / plane.max(1)).max(1) as f64;
    let mut sum = 0.0;
    let mut gradient = Vec::with_capacity(student.values.len());
    for (student_plane, teacher_plane) in student.values.chunks(plane).zip(teacher.chunks(plane)) {
        let (own, aim) = (looks(student_plane), looks(teacher_plane));
        for ((log_own, own), (log_aim, aim)) in own.zip(aim) {
            sum += aim * (log_aim - log_own);
            gradient.push((TEMPERATURE * (own - aim) * student.extent.images as f64 / count) as f32);
        }
    }
    (TEMPERATURE * TEMPERATURE * sum / count, gradient)
}

/// Softmax of a plane, softened: logarithms and values.
fn looks(plane: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    let most = f64::from(plane.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let above = move |x: &f32| (f64::from(*x) - most) / TEMPERATURE;
    let total = plane.iter().map(|x| above(x).exp()).sum::<f64>().ln();
    plane.iter().map(move |x| {
        let log = above(x) - total;
        (log, log.exp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::{Region, Target};
    use crate::train::kernels::Extent;

    /// A 4×4 map of a picture of 64 pixels, one anchor of 16×16: an object that fills the cell of row 1 and column 1 and half
    /// of the next one, 16..40 × 16..32. Overlaps by hand: its own cell 256/384 = .667; the next (32..48) 128/(384 + 256 −
    /// 128) = .25; all others touch it nowhere. So Ψ = .5 of .667 keeps the cell alone, and Ψ = .3 both.
    #[test]
    fn masks_are_those_of_algorithm_1() {
        let bbox = [28.0 / 64.0, 24.0 / 64.0, 24.0 / 64.0, 16.0 / 64.0];
        let masked = |psi: f32| -> Vec<usize> {
            let mask = mask(&[bbox], [4, 4], &vec![[16.0, 16.0]], 64, psi);
            (0..16).filter(|&cell| mask[cell]).collect()
        };
        assert_eq!(masked(0.5), [5]);
        assert_eq!(masked(0.3), [5, 6]);
        // A second object lies badly: 8×4 pixels in the anchor 48..64 × 0..16 are .125 of it. The best of the picture decides.
        let small = [60.0 / 64.0, 4.0 / 64.0, 8.0 / 64.0, 4.0 / 64.0];
        let mask = mask(&[bbox, small], [4, 4], &vec![[16.0, 16.0]], 64, 0.5);
        assert_eq!((0..16).filter(|&cell| mask[cell]).collect::<Vec<_>>(), [5]);
        assert_eq!(super::mask(&[], [2, 2], &vec![[16.0, 16.0]], 64, 0.5), [false; 4]);
    }

    fn map(factor: f32) -> Map {
        let extent = Extent { channels: 3, images: 2, rows: 4, columns: 4 };
        let values = (0..extent.elements()).map(|i| (factor * i as f32).sin()).collect();
        Map { extent, values }
    }

    /// Two channels, one masked cell: ((1 − 3)² + (2 − 5)²) / 2 = 6.5; gradients −2 and −3.
    #[test]
    fn imitation_is_equation_1() {
        let extent = Extent { channels: 2, images: 1, rows: 1, columns: 2 };
        let student = Map { extent, values: vec![1.0, 9.0, 2.0, 9.0] };
        let (loss, gradient) = imitation(&student, &[3.0, 0.0, 5.0, 0.0], &[true, false]);
        assert_eq!(loss, 6.5);
        assert_eq!(gradient, [-2.0, 0.0, -3.0, 0.0]);
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let target = |image, bbox| Target { region: Region { image, bbox }, class: 0 };
        let targets = vec![target(0, [0.4, 0.4, 0.3, 0.3]), target(1, [0.7, 0.2, 0.2, 0.4])];
        let (ignored, known, pictures) = (Vec::new(), vec![true; 2], vec![0, 1]);
        let batch = Batch { images: Vec::new(), size: 64, targets, ignored, known, pictures };
        let anchors = vec![[16.0, 16.0], [24.0, 12.0]];
        let teacher = map(0.23).values;
        for kind in [Kind::Imitation, Kind::Channelwise] {
            let loss = |student: &Map| compare(kind, student, &teacher, &batch, &anchors);
            let (value, gradient) = loss(&map(0.37));
            assert!(value > 0.0 && gradient.iter().any(|g| *g != 0.0));
            assert!(loss(&Map { values: teacher.clone(), ..map(0.0) }).0.abs() < 1e-12);
            for (at, exact) in gradient.iter().enumerate() {
                let moved = |by: f32| {
                    let mut student = map(0.37);
                    student.values[at] += by;
                    2.0 * loss(&student).0
                };
                let difference = (moved(1e-2) - moved(-1e-2)) / f64::from(2e-2f32);
                assert!((difference - f64::from(*exact)).abs() < 1e-4, "{kind:?} {at}: {difference}");
            }
        }
    }
}
