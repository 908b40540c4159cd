//! From a detector to a score, with a detector that knows the answers.

use crate::temp_dir::TempDir;
use calib::dataset::classes::Classes;
use calib::dataset::{Dataset, Source, read_results, write_results};
use calib::eval::{Detect, Detected, Detection, boxes_of, detect_shared, results_of, score};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

/// Says the same of every picture, but cannot read `broken.png`.
#[derive(Clone)]
struct Parrot {
    names: Vec<String>,
    found: Vec<Detection>,
}

impl Detect for Parrot {
    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn precision(&self) -> &str {
        "fp32"
    }

    fn input_side(&self) -> usize {
        320
    }

    fn detect(&mut self, path: &Path) -> ocellus::Result<Vec<Detection>> {
        if path.ends_with("broken.png") {
            return Err(ocellus::Error::BadPicture { path: path.to_owned(), what: "truncated".to_owned() });
        }
        Ok(self.found.clone())
    }
}

/// Three pictures of 100 by 100, a car in the middle of each; the last one is called broken.
fn cars(dir: &TempDir) -> Dataset {
    dir.write("data.yaml", "names: [tree, car]");
    for name in ["1", "2", "broken"] {
        dir.picture(&format!("{name}.png"), 100, 100);
        dir.write(&format!("{name}.txt"), "1 0.5 0.5 0.2 0.2\n");
    }
    Dataset::open(Source { annotations: &dir.path(""), images: None, names: None, limit: None }).unwrap()
}

fn parrot() -> Parrot {
    let found = |class, score, left| Detection { class, score, bbox: [left, 40.0, 20.0, 20.0] };
    Parrot {
        names: ["person", "vehicle"].map(str::to_owned).to_vec(),
        found: vec![found(1, 0.7, 40.123_456), found(0, 0.9, 40.0), found(1, 0.100_000_01, 0.0)],
    }
}

/// What `parrot` finds on so many threads.
fn detect(parrot: &Parrot, dataset: &Dataset, classes: &Classes, threads: usize) -> calib::Result<Detected> {
    detect_shared(dataset, classes, || Ok(Box::new(parrot.clone())), threads, || ())
}

#[test]
fn a_broken_picture_is_left_out_of_the_score() {
    let dir = TempDir::new("broken-picture");
    let dataset = cars(&dir);
    let classes =
        Classes::join(&dataset.categories, &parrot().names, &["car=vehicle".parse().unwrap()]).unwrap();
    assert_eq!(classes.unmatched, ["tree"]);
    let detected = detect(&parrot(), &dataset, &classes, 2).unwrap();
    assert_eq!(detected.boxes.len(), 4, "a person is no category of this data");
    assert_eq!(detected.broken.len(), 1);
    assert_eq!(detected.broken[0].1.file, dir.path("broken.png"));

    let left_out = HashSet::from([detected.broken[0].0]);
    let result = score(&dataset, &classes, &detected.boxes, &left_out);
    assert_eq!(result.classes[0].instances, 2);
    // IoU with the car is 0.99: right at every threshold, and both before the false boxes.
    assert!(result.summary.map.unwrap() > 0.999_999);
    let all = score(&dataset, &classes, &detected.boxes, &HashSet::new());
    assert!(all.summary.map.unwrap() < 0.7, "otherwise its car would count as missed");
}

#[test]
fn written_detections_score_the_same() {
    let dir = TempDir::new("round-trip");
    let dataset = cars(&dir);
    let map = ["car=vehicle".parse().unwrap()];
    let classes = Classes::join(&dataset.categories, &parrot().names, &map).unwrap();
    let boxes = detect(&parrot(), &dataset, &classes, 1).unwrap().boxes;
    let file = dir.path("found.json");
    write_results(&file, results_of(&dataset, &classes, &boxes)).unwrap();

    let later = Classes::of_data_alone(&dataset.categories, &map).unwrap();
    let results = read_results(&file, &dataset, false).unwrap();
    assert_eq!(results[0].category_id, 1, "an id of the data set");
    assert_eq!(results[0].bbox[0], 40.123);
    let read = boxes_of(&dataset, &later, &results);
    let values = |boxes: &[calib::metrics::ScoredBox]| -> Vec<_> {
        boxes.iter().map(|b| (b.image, b.bbox.map(f64::to_bits), b.score.to_bits())).collect()
    };
    assert_eq!(values(&read), values(&boxes));
    let leftovers = std::fs::read_dir(dir.path("")).unwrap();
    assert!(leftovers.flatten().all(|f| !f.file_name().to_string_lossy().ends_with(".tmp")));
}

#[test]
fn a_box_that_is_no_number_ends_the_evaluation() {
    let dir = TempDir::new("nan-box");
    let dataset = cars(&dir);
    let mut detector = parrot();
    detector.found[0].bbox[2] = f32::NAN;
    let classes =
        Classes::join(&dataset.categories, &detector.names, &["car=vehicle".parse().unwrap()]).unwrap();
    let error = detect(&detector, &dataset, &classes, 1).unwrap_err();
    assert!(error.to_string().contains("the model gave a box that is none"), "{error}");
}

/// The names are the model's; the data say their own, of which some are another kind of the model's.
#[test]
fn names_of_the_model_are_not_those_of_voc() {
    let dir = TempDir::new("evaluate-voc");
    dir.picture("voc/JPEGImages/1.png", 100, 50);
    let object = |name: &str| {
        format!(
            "<object><name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>\
             </bndbox></object>"
        )
    };
    let objects = object("car") + &object("tree");
    dir.write("voc/Annotations/1.xml", &format!("<annotation>{objects}</annotation>"));
    let names = dir.write("names.txt", "vehicle\n");
    let (voc, results) = (dir.path("voc"), dir.write("results.json", "[]"));
    let arguments = [
        "eval".as_ref(),
        "--annotations".as_ref(),
        voc.as_os_str(),
        "--names".as_ref(),
        names.as_os_str(),
        "--class-map".as_ref(),
        "car=vehicle".as_ref(),
        "--from-detections".as_ref(),
        results.as_os_str(),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_calib")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
