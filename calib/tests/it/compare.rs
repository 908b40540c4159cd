//! Two models on the same pictures.

use crate::temp_dir::TempDir;
use crate::tiny::{model, picture, shared};
use calib::compare::{BySize, Side, Size, common, match_boxes};
use calib::eval::Detection;
use calib::runtime::Precision;
use calib::runtime::activations::Observer;
use serde_json::Value;
use std::process::{Command, Output};

fn compare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).arg("compare").args(arguments).output().unwrap()
}

fn report(arguments: &[&str]) -> Value {
    let output = compare(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn found(class: usize, score: f32, bbox: [f32; 4]) -> Detection {
    Detection { class, score, bbox }
}

/// By hand. The pair of IoU 1 is made before that of 2/3, though the latter's box comes first and scores more; boxes
/// of another class, or with less than half in common, are no pair.
#[test]
fn the_best_pairs_are_made_first() {
    let a = [
        found(0, 0.9, [0.0, 0.0, 20.0, 10.0]),
        found(0, 0.5, [4.0, 0.0, 20.0, 10.0]),
        found(1, 0.5, [100.0, 0.0, 50.0, 50.0]),
        found(1, 0.5, [0.0, 200.0, 200.0, 100.0]),
    ];
    let b = [
        found(0, 0.75, [4.0, 0.0, 20.0, 10.0]),
        found(0, 0.5, [100.0, 0.0, 50.0, 50.0]),
        found(1, 0.25, [0.0, 200.0, 100.0, 100.0]),
        found(1, 0.25, [130.0, 0.0, 50.0, 50.0]),
    ];
    let matching = match_boxes(&a, &b, 0.5);
    assert_eq!(matching.both, [(1, 0, 1.0), (3, 2, 0.5)]);
    assert_eq!((&matching.lost[..], &matching.gained[..]), (&[0, 2][..], &[1, 3][..]));
    let back = match_boxes(&b, &a, 0.5);
    assert_eq!((back.lost, back.gained), (matching.gained.clone(), matching.lost.clone()));

    let mut sizes = BySize::default();
    sizes.add(&a, &b, &matching);
    let counts = |tally: calib::compare::Tally| [tally.both, tally.lost, tally.gained];
    assert_eq!(counts(sizes.all()), [2, 2, 2]);
    assert_eq!(counts(sizes.of(Size::Small)), [1, 1, 0]);
    assert_eq!(counts(sizes.of(Size::Medium)), [0, 1, 2]);
    assert_eq!(counts(sizes.of(Size::Large)), [1, 0, 0]);
    assert_eq!((sizes.all().score_difference, sizes.all().iou), (Some(0.25), Some(0.75)));
    assert_eq!(sizes.of(Size::Medium).iou, None);
}

/// By hand: 255/255 and 102/255 of red less 0.3 leave scores of 0.7^0.6 and 0.1^0.6 = 0.251; less 0.32 of the second
/// are 0.08^0.6 = 0.22, below the least. So the second picture's box is lost.
#[test]
fn a_dimmer_head_loses_a_box() {
    let dir = TempDir::new("compare-lost");
    let (a, b) = (model(&dir, "a", 0.3), model(&dir, "b", 0.32));
    picture(&dir, "pictures/1.png", 255);
    picture(&dir, "pictures/2.png", 102);
    dir.write("pictures/3.png", "no picture");
    let [pictures, drawn] = ["pictures", "drawn"].map(|name| dir.path(name).to_str().unwrap().to_owned());
    let made = report(&[&a, &b, &pictures, "--draw", &drawn]);
    let all = &made["detections"]["all"];
    assert_eq!([&all["both"], &all["lost"], &all["gained"]], [1, 1, 0], "{made}");
    let difference = all["score_difference"].as_f64().unwrap();
    assert!((difference - (0.7f64.powf(0.6) - 0.68f64.powf(0.6))).abs() < 1e-5, "{made}");
    assert_eq!((&made["images"], made["skipped"].as_array().unwrap().len()), (&2.into(), 1));
    assert_eq!([&made["pictures"][0]["lost"], &made["pictures"][1]["lost"]], [0, 1]);
    // Each of the head's 8 objectnesses is off by 0.02; the other 48 numbers are equal.
    let output = &made["outputs"][0];
    assert!((output["largest_difference"].as_f64().unwrap() - 0.02).abs() < 1e-6, "{made}");
    let signal = 6.0 * 0.09 + 0.49 + 0.01 + 8.0;
    let sqnr = 10.0 * (signal / (8.0 * 0.0004f64)).log10();
    assert!((output["sqnr_db"].as_f64().unwrap() - sqnr).abs() < 1e-3, "{made}, expected {sqnr}");
    assert!(output.get("at_ends").is_none());
    assert!(dir.path("drawn/01-2.jpg").exists() && made["drawn"].as_array().unwrap().len() == 1);
    let threads = report(&[&a, &b, &pictures, "--draw", &drawn, "--threads", "2"]);
    assert_eq!(threads, made);
    // In blue the pictures are black: there is nothing to lose.
    let blue = report(&[&a, &b, &pictures, "--pixel", "bgr"]);
    let all = &blue["detections"]["all"];
    assert_eq!([&all["both"], &all["lost"], &all["gained"]], [0, 0, 0], "{blue}");
    let text = String::from_utf8(compare(&[&a, &b, &pictures]).stdout).unwrap();
    assert!(text.ends_with(" images: 2; broken and left out: 1\n") && text.contains("\n map "), "{text}");
}

#[test]
fn a_model_equals_itself() {
    let dir = TempDir::new("compare-self");
    let (a, one) = (model(&dir, "a", 0.0), picture(&dir, "1.png", 200));
    let made = report(&[&a, &a, one.to_str().unwrap()]);
    let values = [&made["layers"], &made["outputs"]].map(|rows| rows.as_array().unwrap().clone()).concat();
    assert_eq!(values.len(), 2);
    for value in values {
        assert_eq!((&value["equal"], &value["sqnr_db"]), (&true.into(), &Value::Null), "{value}");
    }
    let all = &made["detections"]["all"];
    assert_eq!([&all["both"], &all["lost"], &all["gained"]], [1, 0, 0], "{made}");
    assert_eq!((&all["iou"], &all["score_difference"]), (&1.0.into(), &0.0.into()));
}

#[test]
fn failures_are_named() {
    let dir = TempDir::new("compare-failures");
    let (a, broken) = (model(&dir, "a", 0.0), dir.write("broken.png", "no picture"));
    let (broken, one) = (broken.to_str().unwrap(), picture(&dir, "1.png", 200));
    let one = one.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&[&a, "/nonexistent.param", one], 1, "/nonexistent.param"),
        (&[&a, &a, broken], 1, "no picture can be read"),
        (&[&a, &a, one, "--precision-b", "int8"], 2, "a.param: the model has no int8 scales"),
        (&[&a, &a, one, "--iou", "2"], 2, "--iou 2: must be 0 to 1"),
        (&[&a, one, one], 2, "not a model file"),
    ];
    for (arguments, status, expected) in cases {
        let output = compare(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("calib: error: ") && said.contains(expected), "{said}");
    }
}

#[test]
fn real_models() {
    let Some(pictures) = shared("data/coco/val_dev") else { return };
    let more = ["--limit", "3", "--size", "320"];
    if let Some(model) = shared("models/e.param") {
        let [model, pictures] = [&model, &pictures].map(|path| path.to_str().unwrap());
        let made = report(&[&[model, model, pictures][..], &more].concat());
        assert!(made["layers"].as_array().unwrap().len() > 50);
        assert_eq!(made["outputs"].as_array().unwrap().len(), 3);
        assert!(made["layers"].as_array().unwrap().iter().all(|row| row["equal"] == true), "{made}");
        assert_eq!(made["detections"]["all"]["lost"], 0);
    }
    if let Some(model) = shared("models/i8e.param") {
        let [model, pictures] = [&model, &pictures].map(|path| path.to_str().unwrap());
        let made = report(&[&[model, model, pictures, "--precision-a", "fp32"][..], &more].concat());
        assert_eq!((&made["a"]["precision"], &made["b"]["precision"]), (&"fp32".into(), &"int8".into()));
        let outputs = made["outputs"].as_array().unwrap();
        let good = |row: &Value| row["sqnr_db"].as_f64().is_some_and(|db| (5.0..=60.0).contains(&db));
        assert!(outputs.len() == 3 && outputs.iter().all(good), "{outputs:?}");
        assert!(made["layers"].as_array().unwrap().iter().any(|row| row["at_ends"].is_f64()));
    }
}

/// To observe layers must not change what an int8 model computes: its outputs have the same bits without.
#[test]
fn observed_models_compute_what_they_do_unobserved() {
    let (Some(pictures), Some(model)) = (shared("data/coco/val_dev"), shared("models/i8e.param")) else {
        return;
    };
    let side = Side::open(&model, Precision::Int8, Some(320), &[]).unwrap();
    let values = common(&side, &side);
    let all: Vec<_> = values.iter().map(|one| one.b).collect();
    let outputs: Vec<_> = values.iter().filter(|one| one.output).map(|one| one.b).collect();
    assert!(outputs.len() == 3 && all.len() > 50);
    let (mut whole, mut alone) = (side.observer(&all).unwrap(), side.observer(&outputs).unwrap());
    let mut picture = std::fs::read_dir(pictures).unwrap().flatten().map(|entry| entry.path());
    let picture = picture.find(|path| path.extension().is_some_and(|suffix| suffix == "jpg")).unwrap();
    whole.look(&picture).unwrap();
    alone.look(&picture).unwrap();
    for (i, id) in outputs.iter().enumerate() {
        let at = all.iter().position(|other| other == id).unwrap();
        let bits = |observer: &Observer, i| -> Vec<u32> {
            observer.numbers(i).flatten().map(|x| x.to_bits()).collect()
        };
        assert!(bits(&whole, at) == bits(&alone, i), "output {i}");
    }
}
