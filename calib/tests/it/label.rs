//! `calib label`: what it writes, and how it ends.

use crate::temp_dir::TempDir;
use crate::tiny;
use calib::dataset::{Dataset, Source};
use std::process::{Command, Output};

/// A run in `dir` with the tiny model, of whose two classes the first is found: status, and what it printed.
fn label(dir: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let model = ["label", "--model", "tiny.param", "--names", "names.txt"];
    let mut calib = Command::new(env!("CARGO_BIN_EXE_calib"));
    let Output { status, stdout, stderr } =
        calib.current_dir(dir.path("")).args(model).args(arguments).output().unwrap();
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Pictures of which the model is sure, doubtful (a quarter's objectness scores 0.44) and sees nothing on.
fn pictures(test: &str) -> TempDir {
    let dir = TempDir::new(test);
    tiny::model(&dir, "tiny", 0.0);
    dir.write("names.txt", "car\ndog\n");
    for (name, red) in [("a-sure", 255), ("b-doubtful", 64), ("c-nothing", 0)] {
        tiny::picture(&dir, &format!("frames/{name}.png"), red);
    }
    dir
}

/// Picture, class, crowd and box of each label.
fn labels(dir: &TempDir, annotations: &str, images: Option<&str>) -> Vec<(String, String, bool, [f64; 4])> {
    let (annotations, images) = (dir.path(annotations), images.map(|images| dir.path(images)));
    let source = Source { annotations: &annotations, images: images.as_deref(), names: None, limit: None };
    let set = Dataset::open(source).unwrap();
    assert_eq!(set.images.len(), 3);
    let label = |a: &calib::dataset::Annotation| {
        let picture = set.images[a.image as usize].path.file_stem().unwrap().to_string_lossy().into_owned();
        let category = set.categories[a.category as usize].name.clone();
        (picture, category, a.crowd, a.bbox.map(f64::round))
    };
    set.annotations.iter().map(label).collect()
}

#[test]
fn pictures_get_labels_that_training_reads() {
    let dir = pictures("label");
    let expected =
        |picture: &str, crowd| (picture.to_owned(), "vehicle".to_owned(), crowd, [8.0, 8.0, 16.0, 16.0]);
    let both = [expected("a-sure", false), expected("b-doubtful", true)];
    let map = ["frames", "--map", "car=vehicle", "--classes", "vehicle"];
    let with = |more: &[&'static str]| label(&dir, &[&map, more].concat());
    let (status, said) = with(&["-o", "all.json"]);
    let text = "all.json: 3 pictures; vehicle 1\n1 doubtful boxes are neither objects nor background\n\
                file names are relative to frames\n";
    assert_eq!((status, said.as_str()), (Some(0), text));
    assert_eq!(labels(&dir, "all.json", Some("frames")), both);
    let (status, said) = with(&["-o", "voc", "--to", "voc"]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(labels(&dir, "voc", None), both);
    let (status, said) = with(&["-o", "yolo", "--to", "yolo", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &report["doubtful"], &report["unsaid"]), (Some(0), &1.into(), &1.into()));
    assert_eq!(labels(&dir, "yolo", None), both[..1]);
    // What is sure is a matter of --sure.
    let (status, said) = with(&["-o", "sure.json", "--sure", "0.4"]);
    assert!(status == Some(0) && said.starts_with("sure.json: 3 pictures; vehicle 2\nfile"), "{said}");
}

#[test]
fn what_cannot_be_labelled_is_refused() {
    let dir = pictures("label-refused");
    dir.write("there.json", "{}");
    let unknown = "the data set has no class `lorry`; it has vehicle";
    for (arguments, status, expected) in [
        (&["frames", "-o", "there.json"][..], 2, "--output: there.json exists already"),
        (&["frames", "-o", "x", "--map", "bus=vehicle"], 2, "the model has no class `bus`; it has car, dog"),
        (
            &["frames", "-o", "x", "--classes", "vehicle"],
            2,
            "the model has no class `vehicle`; name what it calls it",
        ),
        (&["frames", "-o", "x", "--classes", "vehicle", "--map", "car=lorry"], 2, unknown),
        (&["frames", "-o", "x", "--classes", "car,Car"], 2, "--classes: `Car` is empty or there twice"),
        (&["frames", "-o", "x", "--score", "0.6"], 2, "--score 0.6: is above --sure 0.5"),
        (&["frames", "-o", "x", "--to", "cityscapes"], 2, "a model gives boxes, no polygons"),
        (&["nowhere", "-o", "x"], 1, "nowhere: No such file"),
    ] {
        let (code, said) = label(&dir, arguments);
        assert!(code == Some(status) && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn broken_pictures_are_named_or_left_out() {
    let dir = pictures("label-broken");
    dir.write("frames/d-none.png", "no picture");
    let whole = std::fs::read(dir.path("frames/a-sure.png")).unwrap();
    // Its header is whole, its pixels are not.
    std::fs::write(dir.path("frames/e-half.png"), &whole[..whole.len() / 2]).unwrap();
    let (status, said) = label(&dir, &["frames", "-o", "all.json"]);
    assert!(
        status == Some(1) && said.contains("frames/d-none.png: ") && said.contains("--skip-bad"),
        "{said}"
    );
    assert!(!dir.path("all.json").exists());
    let (status, said) = label(&dir, &["frames", "-o", "all.json", "--skip-bad"]);
    assert!(status == Some(0) && said.contains("all.json: 3 pictures; car 1\n"), "{said}");
    assert!(
        said.contains("left out: frames/d-none.png") && said.contains("left out: frames/e-half.png"),
        "{said}"
    );
    assert_eq!(labels(&dir, "all.json", Some("frames")).len(), 2);
}
