//! Real detectors find in a real picture what other engines find there.
//!
//! The expected boxes are those of onnxruntime (v5lite-e-320.onnx) and ncnn (the others) with the same
//! letterbox, thresholds 0.25 and 0.45.

use crate::shared::shared;
use ocellus::image::decode;
use ocellus::{Detector, DetectorOptions};

/// A class with its score, and its box where that is known.
type Known = (&'static str, f32, Option<[f32; 4]>);

/// Float engines differ in the picture's resize by half a grey level, in sums by their order.
const SCORE_TOLERANCE: f32 = 0.03;
/// ncnn leaves int8 between layers and rounds to 255 symmetric codes; this engine stays in int8 and uses all
/// 256 codes of a one-sided tensor. Both approximate the float network, in different directions.
const INT8_SCORE_TOLERANCE: f32 = 0.09;
const BOX_TOLERANCE: f32 = 8.0;

/// The best detections of `class` in the picture are the known ones, in their order.
fn assert_finds(model: &str, size: Option<usize>, class: &str, known: &[Known]) {
    assert_finds_about(model, size, class, known, SCORE_TOLERANCE);
}

fn assert_finds_about(model: &str, size: Option<usize>, class: &str, known: &[Known], tolerance: f32) {
    let (Some(model), Some(picture)) = (shared(&format!("models/{model}")), shared("data/images/bus.jpg"))
    else {
        return;
    };
    let options = DetectorOptions { size: size.map(|n| [n; 2]), ..DetectorOptions::default() };
    let mut detector = Detector::open(&model, &options).unwrap();
    let names = detector.names().clone();
    let (found, _) = detector.detect(&decode(picture).unwrap()).unwrap();
    let all = format!("{}: {found:?}", model.display());
    let of_class: Vec<_> = found.iter().filter(|d| names.get(d.class_id) == class).collect();
    let known: Vec<&Known> = known.iter().filter(|k| k.0 == class).collect();
    assert!(of_class.len() >= known.len(), "{all}");
    for (detection, (_, score, bbox)) in of_class.iter().zip(known) {
        assert!((detection.score - score).abs() <= tolerance, "{class} {score}? {all}");
        for (side, expected) in detection.bbox.iter().zip(bbox.iter().flatten()) {
            assert!((side - expected).abs() <= BOX_TOLERANCE, "{class} {bbox:?}? {all}");
        }
    }
}

#[test]
fn yolov5_lite_e_from_onnx() {
    let known = [
        ("bus", 0.85, Some([35.0, 222.0, 794.0, 756.0])),
        ("person", 0.79, Some([58.0, 411.0, 228.0, 888.0])),
        ("person", 0.78, Some([696.0, 443.0, 810.0, 892.0])),
        ("person", 0.69, None),
    ];
    assert_finds("v5lite-e-320.onnx", None, "bus", &known);
    assert_finds("v5lite-e-320.onnx", None, "person", &known);
}

#[test]
fn yolov5_lite_e_from_ncnn() {
    let known = [("bus", 0.87, None), ("person", 0.81, None), ("person", 0.81, None), ("person", 0.72, None)];
    assert_finds("e.param", Some(320), "bus", &known);
    assert_finds("e.param", Some(320), "person", &known);
}

#[test]
fn yolov5_lite_s_from_ncnn() {
    let known = [("bus", 0.88, None), ("person", 0.88, None), ("person", 0.82, None), ("person", 0.80, None)];
    assert_finds("s.param", Some(320), "bus", &known);
    assert_finds("s.param", Some(320), "person", &known);
}

#[test]
fn int8_from_ncnn() {
    let known = [("person", 0.76, None), ("person", 0.70, None), ("person", 0.58, None)];
    assert_finds_about("i8e.param", Some(320), "person", &known, INT8_SCORE_TOLERANCE);
}

#[test]
fn fastest_det() {
    let known = [("person", 0.88, None)];
    assert_finds("FastestDet.param", Some(352), "person", &known);
    assert_finds("FastestDet.onnx", None, "person", &known);
}
