//! `calib dataset` and `calib anchors`: what they write and print, and how they end.

use crate::temp_dir::TempDir;
use calib::dataset::{Dataset, Source};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn calib(dir: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).current_dir(dir.path("")).args(arguments).output().unwrap()
}

/// Standard output of a run that must succeed.
fn printed(dir: &TempDir, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = calib(dir, arguments);
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Status and standard error of a run that must fail.
fn refused(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = calib(dir, arguments);
    assert!(!status.success(), "{arguments:?}");
    (status.code(), String::from_utf8(stderr).unwrap())
}

/// COCO annotations of five pictures, in two folders, two of the same name, with a crowd on one.
fn coco(dir: &TempDir) {
    for name in ["a/1.png", "a/2.png", "b/1.png", "b/3.png", "b/4.png"] {
        dir.picture(&format!("pictures/{name}"), 200, 100);
    }
    dir.write(
        "all.json",
        r#"{"images": [{"id": 1, "file_name": "a/1.png"}, {"id": 2, "file_name": "a/2.png"},
              {"id": 5, "file_name": "b/1.png"}, {"id": 6, "file_name": "b/3.png"}, {"id": 7, "file_name": "b/4.png"}],
            "annotations": [
              {"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 20, 30, 40]},
              {"id": 2, "image_id": 1, "category_id": 8, "bbox": [0, 0, 200, 100]},
              {"id": 3, "image_id": 1, "category_id": 3, "bbox": [50.25, 7, 16, 9.5]},
              {"id": 4, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 1}],
            "categories": [{"id": 3, "name": "driver's car"}, {"id": 8, "name": "bus & tram"}]}"#,
    );
}

const DATA: [&str; 3] = ["all.json", "--images", "pictures"];

fn with<'a>(before: &[&'a str], after: &[&'a str]) -> Vec<&'a str> {
    [before, &DATA, after].concat()
}

/// Each box as its picture's name (folders joined), class, crowd and corners, sorted.
fn boxes(annotations: &Path, images: Option<&Path>) -> Vec<(String, String, bool, [f64; 4])> {
    let source = Source { annotations, images, names: None, limit: None };
    let set = Dataset::open(source).unwrap();
    let name = |path: &Path| {
        let text = path.with_extension("").display().to_string();
        let inside =
            ["pictures/", "images/", "JPEGImages/"].iter().find_map(|f| text.split_once(f)).unwrap().1;
        inside.replace('/', "_")
    };
    let one = |a: &calib::dataset::Annotation| {
        let path = &set.images[a.image as usize].path;
        let category = set.categories[a.category as usize].name.clone();
        (name(path), category, a.crowd, a.bbox)
    };
    let mut boxes: Vec<_> = set.annotations.iter().map(one).collect();
    boxes.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    boxes
}

#[test]
fn a_set_survives_the_way_through_all_formats() {
    let dir = TempDir::new("convert");
    coco(&dir);
    let original = boxes(&dir.path("all.json"), Some(&dir.path("pictures")));
    assert_eq!(original.len(), 4);
    let text = printed(&dir, &with(&["dataset", "convert"], &["--to", "voc", "-o", "voc"]));
    assert_eq!(text, "voc: 5 pictures, 4 boxes\n");
    assert_eq!(boxes(&dir.path("voc"), None), original);
    let text = printed(&dir, &["dataset", "convert", "voc", "--to", "coco", "-o", "again.json"]);
    assert_eq!(text, "again.json: 5 pictures, 4 boxes\nfile names are relative to voc/JPEGImages\n");
    assert_eq!(boxes(&dir.path("again.json"), Some(&dir.path("voc/JPEGImages"))), original);
    let text = printed(&dir, &["dataset", "convert", "voc", "--to", "yolo", "-o", "yolo"]);
    assert_eq!(text, "yolo: 5 pictures, 3 boxes\n1 crowd regions left out: the format has none\n");
    let yolo = boxes(&dir.path("yolo"), None);
    let objects: Vec<_> = original.into_iter().filter(|(.., crowd, _)| !crowd).collect();
    assert_eq!(yolo.len(), objects.len());
    for (is, expected) in yolo.iter().zip(&objects) {
        assert_eq!((&is.0, &is.1), (&expected.0, &expected.1));
        assert!(is.3.iter().zip(expected.3).all(|(a, b)| (a - b).abs() < 1e-4), "{is:?} {expected:?}");
    }
    let entries =
        std::fs::read_dir(dir.path("")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert_eq!(entries.filter(|name| name.contains("tmp")).count(), 0);
}

#[test]
fn what_cannot_be_written_is_refused_before_the_work() {
    let dir = TempDir::new("refused");
    coco(&dir);
    dir.write("there/file", "");
    for (to, output, expected) in [
        ("yolo", "there", "--output: there exists already; name another"),
        ("coco", "no/all.json", "--output: there is no folder no"),
        ("cityscapes", "new", "Cityscapes' polygons cannot be made of boxes; write coco, yolo or voc"),
    ] {
        let (status, said) = refused(&dir, &with(&["dataset", "convert"], &["--to", to, "-o", output]));
        assert!(status == Some(2) && said.contains(expected), "{said}");
    }
    let (status, said) = refused(&dir, &with(&["dataset", "split"], &["-o", "new", "--share", "1"]));
    assert!(status == Some(2) && said.contains("--share 1: must be above 0 and below 1"), "{said}");
    let (status, said) = refused(&dir, &with(&["dataset", "preview"], &["-o", "sheet.gif"]));
    assert!(status == Some(2) && said.contains("the sheet is written as .jpg or .png"), "{said}");
}

#[test]
fn a_split_keeps_folders_together() {
    let dir = TempDir::new("split");
    coco(&dir);
    let end = ["--share", "0.4", "--together", "folder", "--to", "yolo", "-o", "parts"];
    let text = printed(&dir, &with(&["dataset", "split"], &end));
    assert_eq!(text.lines().last(), Some("1 crowd regions left out: the format has none"));
    let names = |part: &str| {
        let folder = std::fs::read_dir(dir.path(format!("parts/{part}/images"))).unwrap();
        let mut names: Vec<_> = folder.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("val"), ["a_1.png", "a_2.png"]);
    assert_eq!(names("train"), ["b_1.png", "b_3.png", "b_4.png"]);
    assert_eq!(boxes(&dir.path("parts/val"), None).len(), 2);

    // COCO annotations leave the pictures where they are.
    printed(&dir, &with(&["dataset", "split"], &["--share", "0.4", "-o", "json", "--seed", "3"]));
    let [train, val] = ["json/train.json", "json/val.json"].map(|name| {
        let source = Source {
            annotations: &dir.path(name),
            images: Some(&dir.path("pictures")),
            names: None,
            limit: None,
        };
        let set = Dataset::open(source).unwrap();
        set.check_pictures_exist().unwrap();
        set.images.len()
    });
    assert_eq!([train, val], [3, 2]);
}

#[test]
fn stats_count_and_list_faults() {
    let dir = TempDir::new("stats");
    coco(&dir);
    let text = printed(&dir, &with(&["dataset", "stats"], &["--size", "200", "--svg", "counts.svg"]));
    assert!(
        text.starts_with("all.json: 5 pictures (3 without objects), 3 boxes, 1 ignored regions\n"),
        "{text}"
    );
    let svg = std::fs::read_to_string(dir.path("counts.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("bus &amp; tram"));
    let json: Value = serde_json::from_str(&printed(
        &dir,
        &with(&["dataset", "stats"], &["--size", "200", "--format", "json"]),
    ))
    .unwrap();
    // By hand: 12.3, 34.6 and 141 pixels.
    assert_eq!(json["sets"][0]["classes"][0]["by_size"], serde_json::json!([0, 1, 0, 1, 0, 0, 0]));
    assert_eq!(json["sets"][0]["classes"][1]["by_size"], serde_json::json!([0, 0, 0, 0, 0, 1, 0]));
    assert_eq!(json["faults"], serde_json::json!([]));

    std::fs::remove_file(dir.path("pictures/b/1.png")).unwrap();
    let (status, said) = refused(&dir, &with(&["dataset", "stats"], &[]));
    assert_eq!(status, Some(1));
    assert!(said.contains("1 faults in the data") && said.contains("pictures/b/1.png: "), "{said}");
    let text = printed(&dir, &with(&["dataset", "stats"], &["--skip-bad"]));
    assert!(text.contains(": 4 pictures"), "{text}");
}

#[test]
fn sheets_show_pictures_as_they_are_and_as_training_changes_them() {
    let dir = TempDir::new("sheet");
    coco(&dir);
    for (file, more) in [("sheet.png", "--skip-bad"), ("sheet.jpg", "--augmented")] {
        let end = ["-o", file, "--count", "4", "--columns", "2", "--size", "64", more];
        printed(&dir, &with(&["dataset", "preview"], &end));
        let sheet = image::open(dir.path(file)).unwrap().to_rgb8();
        assert_eq!(sheet.dimensions(), (2 * 64 + 3 * 4, 2 * 64 + 3 * 4));
        assert!(
            sheet.pixels().any(|pixel| pixel[0] > 180 && pixel[2] < 90),
            "a box of the first class is red"
        );
    }
    let (status, said) = refused(&dir, &with(&["dataset", "preview"], &["-o", "x.png", "--class", "boat"]));
    assert!(
        status == Some(2) && said.contains("--class boat: the classes are driver's car, bus & tram"),
        "{said}"
    );
}

#[test]
fn anchors_are_printed_as_the_runtime_reads_them() {
    let dir = TempDir::new("anchors");
    coco(&dir);
    let end = ["--count", "3", "--size", "100", "--format", "json"];
    let json: Value = serde_json::from_str(&printed(&dir, &with(&["anchors"], &end))).unwrap();
    // By hand, at half size: 15 × 20, 100 × 50 and 8 × 4.75.
    assert_eq!((&json["boxes"], &json["fit"]["recall"]), (&Value::from(3), &Value::from(1.0)));
    assert_eq!(json["text"], "8,5/15,20/100,50");
    json["text"].as_str().unwrap().parse::<ocellus::detect::Anchors>().unwrap();
    let (status, said) = refused(&dir, &with(&["anchors"], &["--count", "9"]));
    assert!(status == Some(1) && said.contains("too few for 9 anchors"), "{said}");
    let (status, said) = refused(&dir, &with(&["anchors"], &["--scales", "2"]));
    assert!(status == Some(2) && said.contains("--scales 2: must divide --count 9"), "{said}");
}
