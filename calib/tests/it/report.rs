//! The commands `calib report` and `calib sensitivity`.

use crate::temp_dir::TempDir;
use crate::{table, tiny};
use std::process::{Command, Output};

fn calib(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_page_has_everything_and_loads_nothing() {
    let dir = TempDir::new("report");
    let model = tiny::model(&dir, "m", 0.0);
    for (name, red) in [("a.png", 255), ("b.png", 200), ("c.png", 90), ("d.png", 30)] {
        tiny::picture(&dir, &format!("pictures/{name}"), red);
    }
    let annotations = dir.write(
        "val.json",
        r#"{"images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0},
              {"id": 2, "image_id": 2, "category_id": 1, "bbox": [8, 8, 16, 16], "area": 256, "iscrowd": 0}],
            "categories": [{"id": 1, "name": "thing"}]}"#,
    );
    let pictures = dir.path("pictures").to_str().unwrap().to_owned();
    let (page, annotations) = (dir.path("page.html"), annotations.to_str().unwrap().to_owned());
    let page_name = page.to_str().unwrap().to_owned();
    let classes = "thing=class 0";
    let base = ["report", &page_name, &model, &pictures];
    let more = ["--annotations", &annotations, "--annotated-images", &pictures, "--class-map", classes];
    let output = calib(&[&base[..], &more].concat());
    assert!(output.status.success(), "{}", said(&output));
    let html = std::fs::read_to_string(&page).unwrap();
    for id in ["accuracy", "latency", "layers", "ranges", "samples", "calibration", "files", "command"] {
        assert!(html.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    for text in [
        "pictures calibrate and measure",
        "m-int8.onnx",
        "--class-map &#39;thing=class 0&#39;",
        "data:image/jpeg;base64,",
    ] {
        assert!(html.contains(text), "{text}");
    }
    for text in ["http:", "https:", "<script", "<link", "NaN"] {
        assert!(!html.contains(text), "{text}");
    }
    // Without annotations there is no accuracy; pictures are those that calibrate.
    assert!(calib(&base).status.success());
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(!html.contains("<section id=\"accuracy\">") && html.contains("<section id=\"samples\">"));
    let swapped = calib(&["report", &model, &page_name, &pictures]);
    assert_eq!(swapped.status.code(), Some(2), "{}", said(&swapped));
}

#[test]
fn sensitivity_has_every_layer() {
    let dir = TempDir::new("sensitivity");
    let model = table::model(&dir);
    let pictures = [("a.png", [255, 0, 51]), ("b.png", [51, 102, 204]), ("c.png", [9, 77, 130])]
        .map(|(name, colour)| table::plain(&dir, name, colour));
    let svg = dir.path("layers.svg");
    let base: Vec<&str> =
        ["sensitivity", &model].into_iter().chain(pictures.iter().map(String::as_str)).collect();
    let more = ["--format", "json", "--svg", svg.to_str().unwrap()];
    let output = calib(&[&base[..], &more].concat());
    assert!(output.status.success(), "{}", said(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = report["layers"].as_array().unwrap().iter().map(|l| l["name"].clone()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    assert!(report["layers"][0]["macs"].as_u64() == Some(2 * 3 * 16));
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(names.iter().all(|name| svg.contains(name.as_str().unwrap())), "{svg}");
    let text = String::from_utf8(calib(&base).stdout).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
}
