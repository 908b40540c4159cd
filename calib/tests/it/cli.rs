//! The program: what it prints, and how it ends.

use crate::temp_dir::TempDir;
use crate::tiny::{model, picture};
use std::process::{Command, Output};

fn calib(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).args(arguments).output().unwrap()
}

/// One picture with two cars, of which the detections hold one, and a category without objects.
fn scene(dir: &TempDir) -> [String; 2] {
    let annotations = dir.write(
        "val.json",
        r#"{"images": [{"id": 1, "file_name": "1.jpg"}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "area": 2500, "iscrowd": 0},
              {"id": 2, "image_id": 1, "category_id": 1, "bbox": [200, 0, 50, 50], "area": 2500, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}]}"#,
    );
    let found = r#"[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 50, 50], "score": 0.9}]"#;
    [annotations, dir.write("found.json", found)].map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn text_report_is_worded_like_coco() {
    let dir = TempDir::new("text");
    let [annotations, found] = scene(&dir);
    let output = calib(&["eval", "--from-detections", &found, "--annotations", &annotations]);
    assert!(output.status.success());
    // The twelve lines are what pycocotools 2.0.11 prints for these two files.
    let expected = r"
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.505
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 0.505
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.505
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.500
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 0.500
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.500
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = -1.000

 class     AP   AP50  instances
 car    0.505  0.505          2
 bus        -      -          0

 images: 1
";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected[1..]);
}

#[test]
fn json_report_has_null_for_what_does_not_exist() {
    let dir = TempDir::new("json");
    let [annotations, found] = scene(&dir);
    let arguments = ["eval", "--from-detections", &found, "--annotations", &annotations, "--format", "json"];
    let report: serde_json::Value = serde_json::from_slice(&calib(&arguments).stdout).unwrap();
    assert!((report["map"].as_f64().unwrap() - 51.0 / 101.0).abs() < 1e-12);
    assert_eq!(report["ar_100"], 0.5);
    assert_eq!(report["images"], 1);
    assert_eq!(report["detections"], found.as_str());
    for missing in ["ap_small", "ar_large", "model", "precision", "size"] {
        assert!(report.get(missing).is_some_and(|v| v.is_null()), "{missing}");
    }
    assert_eq!(report["per_class"][0]["name"], "car");
    assert_eq!(
        report["per_class"][1],
        serde_json::json!({"name": "bus", "ap": null, "ap50": null, "instances": 0})
    );
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let dir = TempDir::new("eval-threads");
    dir.write("data.yaml", "names: [class 0]");
    for (name, red) in [("a", 255), ("b", 40), ("c", 102), ("d", 180), ("e", 12)] {
        picture(&dir, &format!("{name}.png"), red);
        dir.write(&format!("{name}.txt"), "0 0.5 0.5 0.5 0.5\n");
    }
    dir.write("broken.png", "no picture");
    let (model, data) = (model(&dir, "m", 0.1), dir.path(""));
    let measured = |flags: &[&str]| {
        let file = dir.path("found.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_calib"));
        command.args(["eval", "--model", &model, "--format", "json"]).args(flags);
        let output = command.arg("--annotations").arg(&data).arg("--detections").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["images_per_second"].take().as_f64().unwrap() > 0.0);
        (std::fs::read(file).unwrap(), report)
    };
    let alone = measured(&["--threads", "1"]);
    assert_eq!((&alone.1["images"], alone.1["skipped"].as_array().unwrap().len()), (&5.into(), 1));
    assert!(alone.0.len() > 200, "several boxes");
    for flags in [&["--threads", "3"][..], &["--threads", "100"], &[]] {
        assert!(measured(flags) == alone, "{flags:?}");
    }
}

#[test]
fn failures_are_one_line_and_an_exit_status() {
    let dir = TempDir::new("failures");
    let [annotations, found] = scene(&dir);
    let score = ["eval", "--from-detections", &found, "--annotations"];
    let broken = dir.write("broken.json", "{");
    let broken = broken.to_str().unwrap();
    let cases: [(&[&str], i32, &str); 4] = [
        (&[&annotations, "--iou", "7"], 2, "--iou 7: must be 0 to 1"),
        (&[&annotations, "--class-map", "tram=bus"], 2, "the data set has no class `tram`; it has car, bus"),
        (&["/nonexistent"], 1, "/nonexistent: No such file"),
        (&[broken], 1, "not COCO annotations"),
    ];
    for (more, status, expected) in cases {
        let output = calib(&[&score[..], more].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("calib: error: ") && said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1);
        assert!(output.stdout.is_empty());
    }
    assert_eq!(
        calib(&["eval", "--annotations", &annotations]).status.code(),
        Some(2),
        "neither model nor file"
    );
}
