//! The best of several models.

use crate::temp_dir::TempDir;
use crate::tiny::{model, picture};
use serde_json::Value;
use std::process::{Command, Output};

fn select(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).arg("select").args(arguments).output().unwrap()
}

/// Two pictures with the object that the tiny model finds; of the second it is darker.
fn data(dir: &TempDir) -> String {
    picture(dir, "1.png", 255);
    picture(dir, "2.png", 102);
    let annotations = r#"{"images": [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}],
        "annotations": [
          {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0},
          {"id": 2, "image_id": 2, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "class 0"}]}"#;
    dir.write("val.json", annotations).to_str().unwrap().to_owned()
}

#[test]
fn the_best_within_the_bounds_wins() {
    let dir = TempDir::new("select");
    let annotations = data(&dir);
    // The dim one does not see the second picture's object.
    let (dim, good, bad) = (model(&dir, "dim", 0.45), model(&dir, "good", 0.1), dir.path("bad.onnx"));
    std::fs::write(&bad, "no model").unwrap();
    let fat = model(&dir, "fat", 0.1);
    let padded = std::fs::read_to_string(&fat).unwrap() + &" ".repeat(1000);
    std::fs::write(&fat, padded).unwrap();
    let bad = bad.to_str().unwrap();
    let all = [&dim, &fat, bad, &good, "--annotations", &annotations];

    let output = select(&all);
    let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    assert_eq!(text.lines().last(), Some(good.as_str()), "of equals the smaller one: {text}");
    assert!(said.contains("left out: model ") && said.contains("bad.onnx"), "{said}");
    assert!(text.contains("broken models, left out: 1"), "{text}");

    let output = select(
        &[&[&*fat, &dim, "--annotations", &annotations][..], &["--max-bytes", "900", "--format", "json"]]
            .concat(),
    );
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["best"], dim.as_str(), "{made}");
    assert_eq!((&made["models"][0]["model"], &made["images"]), (&fat.as_str().into(), &2.into()));
    assert!(made["models"][0]["breaks"][0].as_str().unwrap().ends_with(" bytes, at most 900"), "{made}");
    assert!((made["models"][0]["map50"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{made}");
    // One of two objects: recall up to 0.5, that is 51 of 101 points.
    assert!((made["models"][1]["map50"].as_f64().unwrap() - 51.0 / 101.0).abs() < 1e-9, "{made}");
    assert!(made["models"][1]["ms"].as_f64().unwrap() > 0.0);

    // Pictures that are prepared as all but black show nothing.
    let black = ["--norm", "1e-9", "--format", "json"];
    let output = select(&[&[&*good, "--annotations", &annotations][..], &black].concat());
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["models"][0]["map50"], 0.0, "{made}");
}

#[test]
fn failures_are_named() {
    let dir = TempDir::new("select-failures");
    let (annotations, good, bad) = (data(&dir), model(&dir, "good", 0.1), dir.write("bad.onnx", "no model"));
    let bad = bad.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 4] = [
        (&[&good, "--max-bytes", "10"], 1, "none of 1 models is within the bounds"),
        (&[&good, "--max-ms", "1e-9"], 1, "none of 1 models is within the bounds"),
        (&[bad, "/nonexistent.param"], 1, "no model can be evaluated; the first: "),
        (&[&good, "--max-ms", "0"], 2, "--max-ms 0: must be above 0"),
    ];
    for (arguments, status, expected) in cases {
        let output = select(&[arguments, &["--annotations", &annotations]].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains("calib: error: ") && said.contains(expected), "{said}");
    }
}

/// Pictures of many reds, for calibration.
fn reds(dir: &TempDir) -> String {
    for i in 0..4u8 {
        let path = dir.write(&format!("reds/{i}.png"), "");
        let colour = |x: u32, y: u32| image::Rgb([(x * 8 + y) as u8, i * 40, y as u8]);
        image::RgbImage::from_fn(32, 32, colour).save(&path).unwrap();
    }
    dir.path("reds").to_str().unwrap().to_owned()
}

#[test]
fn the_best_becomes_int8() {
    let dir = TempDir::new("select-quantize");
    let (annotations, reds) = (data(&dir), reds(&dir));
    let (dim, good) = (model(&dir, "dim", 0.45), model(&dir, "good", 0.1));
    let to = dir.path("best.onnx").to_str().unwrap().to_owned();
    let all = [&*dim, &good, "--annotations", &annotations, "--quantize", &to, "--calibration", &reds];
    let output = select(&all);
    let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && said.contains("warning: 4 pictures are few"), "{said}");
    let last: Vec<&str> = text.lines().rev().take(3).collect();
    assert_eq!((last[0], last[2]), (&*to, &*good), "{text}");
    assert!(last[1].starts_with(" in int8: mAP "), "{text}");
    // What was written is that model in int8, and finds what it finds.
    let output = select(&[&[&*to], &all[2..4], &["--format", "json"]].concat());
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["models"][0]["precision"], "int8", "{made}");
    assert!((made["models"][0]["map50"].as_f64().unwrap() - 1.0).abs() < 1e-9, "{made}");

    // No winner, nothing written.
    let twin = dir.path("no.param").to_str().unwrap().to_owned();
    let output =
        select(&[&all[..4], &["--quantize", &twin, "--calibration", &reds, "--max-bytes", "9"]].concat());
    assert_eq!((output.status.code(), dir.path("no.param").exists()), (Some(1), false));
    // An int8 winner is shown, and cannot be quantized again.
    let output = select(&[&[&*to], &all[2..4], &["--quantize", &twin, "--calibration", &reds]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("quantized already"), "{said}");
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(&format!("{to}\n")));
    for (flags, expected) in [
        (&["--quantize", "x.txt", "--calibration", &reds][..], "use .onnx or .param"),
        (&["--quantize", &twin], "--calibration"),
        (&["--quantize", &twin, "--calibration", &reds, "--calibration-limit", "0"], "--calibration-limit 0"),
    ] {
        let output = select(&[&all[..4], flags].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
    }
}
