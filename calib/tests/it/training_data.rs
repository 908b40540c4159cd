//! Descriptions of training data: what is right is joined, what is broken is named before training starts.

use crate::temp_dir::TempDir;
use calib::dataset::description::Description;
use calib::dataset::training::Labelled;
use std::path::Path;

/// What the description says is wrong, without the folder's name.
fn faults(dir: &TempDir, parts: &str) -> Vec<String> {
    let file = dir.write("data.toml", &format!("classes = [\"person\", \"vehicle\"]\n{parts}"));
    let checked = Description::open(&file, None).unwrap().read_train().unwrap();
    let base = dir.path("").display().to_string();
    checked.findings().iter().map(|fault| fault.to_string().replace(&base, "")).collect()
}

const YOLO: &str = "[[train]]\nannotations = \"yolo\"\nmap = { car = \"vehicle\" }\n";
const COCO: &str =
    "[[train]]\nannotations = \"coco.json\"\nmap = { car = \"vehicle\" }\nignore = [\"train\"]\n";
const VOC: &str = "[[train]]\nannotations = \"voc\"\nmap = { car = \"vehicle\" }\n";
const CITY: &str = "[[train]]\nannotations = \"gtFine\"\nimages = \"leftImg8bit\"\nmap = { car = \"vehicle\" }\n\
                    ignore = [\"rider\"]\nlabelled = [\"vehicle\"]\nrepeat = 3\n";

fn write_yolo(dir: &TempDir, rows: &str) {
    dir.write("yolo/data.yaml", "names: [car, tree]");
    dir.picture("yolo/images/1.png", 100, 50);
    dir.write("yolo/labels/1.txt", rows);
}

fn write_coco(dir: &TempDir, annotations: &str) {
    dir.picture("1.png", 100, 50);
    let images = r#"[{"id": 7, "file_name": "1.png"}]"#;
    let categories = r#"[{"id": 3, "name": "car"}, {"id": 1, "name": "Person"}, {"id": 9, "name": "train"}]"#;
    let text =
        format!(r#"{{"images": {images}, "annotations": [{annotations}], "categories": {categories}}}"#);
    dir.write("coco.json", &text);
}

fn write_voc(dir: &TempDir, corners: [i32; 4]) {
    let [a, b, c, d] = corners;
    dir.picture("voc/JPEGImages/1.png", 100, 50);
    dir.write(
        "voc/Annotations/1.xml",
        &format!(
            "<annotation>\n<object>\n<name>car</name>\n<bndbox><xmin>{a}</xmin><ymin>{b}</ymin>\
             <xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object></annotation>"
        ),
    );
}

fn write_city(dir: &TempDir, polygon: &str) {
    dir.picture("leftImg8bit/bonn/bonn_1_2_leftImg8bit.png", 100, 50);
    let objects = format!(
        r#"{{"label": "car", "polygon": {polygon}}}, {{"label": "rider", "polygon": [[0, 0], [9, 9]]}}"#
    );
    dir.write("gtFine/bonn/bonn_1_2_gtFine_polygons.json", &format!(r#"{{"objects": [{objects}]}}"#));
}

#[test]
fn four_formats_become_one_set() {
    let dir = TempDir::new("four");
    write_yolo(&dir, "0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.1 0.1\n");
    write_coco(
        &dir,
        r#"{"id": 1, "image_id": 7, "category_id": 3, "bbox": [40, 15, 20, 20]},
           {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "iscrowd": 1},
           {"id": 3, "image_id": 7, "category_id": 9, "bbox": [1, 2, 3, 4]},
           {"id": 4, "image_id": 7, "category_id": 1, "bbox": [5, 5, 5, 5]}"#,
    );
    write_voc(&dir, [41, 16, 60, 35]);
    write_city(&dir, "[[40, 20], [60, 15], [50, 35]]");
    let text = format!("classes = [\"person\", \"vehicle\"]\n{YOLO}{COCO}{VOC}{CITY}");
    let description = Description::open(&dir.write("data.toml", &text), None).unwrap();
    let set = description.read_train().unwrap().accept(false).unwrap();

    let boxes: Vec<&[Labelled]> = set.pictures.iter().map(|picture| picture.boxes.as_slice()).collect();
    let vehicle = Labelled { class: Some(1), corners: [40.0, 15.0, 60.0, 35.0] };
    let person = Labelled { class: Some(0), corners: [5.0, 5.0, 10.0, 10.0] };
    let ignored = |corners| Labelled { class: None, corners };
    let coco = [vehicle, ignored([0.0, 0.0, 10.0, 10.0]), ignored([1.0, 2.0, 4.0, 6.0]), person];
    let city = [vehicle, ignored([0.0, 0.0, 9.0, 9.0])];
    assert_eq!(boxes, [&[vehicle][..], &coco, &[vehicle], &city]);
    assert!(set.pictures.iter().all(|picture| picture.size == [100, 50]));
    let origins: Vec<_> = set.origins.iter().map(|o| (o.name.as_str(), o.known.clone(), o.repeat)).collect();
    let (one, both) = (vec![false, true], vec![true, true]);
    // Cityscapes names persons, but the description says that not all are labelled.
    let expected =
        [("yolo", one.clone(), 1), ("coco.json", both, 1), ("voc", one.clone(), 1), ("gtFine", one, 3)];
    assert_eq!(origins, expected);
    assert!(description.read_val().unwrap_err().to_string().ends_with("no [[val]] names a data set"));
}

#[test]
fn pictures_without_labels_know_no_class() {
    let dir = TempDir::new("unknown");
    write_yolo(&dir, "");
    dir.picture("frames/a.png", 10, 10);
    dir.picture("frames/b.png", 20, 10);
    let part = "[[train]]\nannotations = \"frames\"\nunlabelled = \"unknown\"\n";
    let text = format!("classes = [\"person\", \"vehicle\"]\n{YOLO}{part}");
    let description = Description::open(&dir.write("data.toml", &text), None).unwrap();
    let set = description.read_train().unwrap().accept(false).unwrap();
    assert_eq!(set.origins[1].known, [false, false]);
    let frames: Vec<_> = set.pictures.iter().filter(|picture| picture.origin == 1).collect();
    assert_eq!((frames.len(), frames[1].size), (2, [20, 10]));
}

#[test]
fn a_missing_label_or_picture_is_named() {
    let dir = TempDir::new("missing");
    write_yolo(&dir, "");
    dir.picture("yolo/images/2.png", 10, 10);
    dir.write("yolo/labels/3.txt", "");
    let no_label = "yolo/images/2.png: no label file; if such pictures show no objects, say unlabelled = \"background\" \
         (without a description --background)";
    let no_picture =
        "yolo/labels/3.txt: no picture for this label file: check where the pictures are (images)";
    assert_eq!(faults(&dir, YOLO), [no_picture, no_label]);
    assert_eq!(faults(&dir, &format!("{YOLO}unlabelled = \"background\"\n")), [no_picture]);
    write_coco(&dir, "");
    std::fs::remove_file(dir.path("1.png")).unwrap();
    assert_eq!(faults(&dir, COCO), ["1.png: No such file or directory (os error 2)"]);
    write_city(&dir, "[[1, 1], [3, 3]]");
    std::fs::remove_dir_all(dir.path("leftImg8bit")).unwrap();
    let said = faults(&dir, CITY);
    assert!(
        said[0].starts_with("gtFine/bonn/bonn_1_2_gtFine_polygons.json: no picture for this label file"),
        "{said:?}"
    );
}

#[test]
fn a_box_outside_or_without_area_is_named() {
    let dir = TempDir::new("outside");
    write_yolo(&dir, "0 0.5 0.5 0.2 0.2\n\n0 0.9 0.5 0.4 0.2\n0 0.5 0.5 0 0.2\n");
    assert_eq!(
        faults(&dir, YOLO),
        [
            "yolo/labels/1.txt:3: box [70, 20, 110, 30] reaches out of the picture of 100x50",
            "yolo/labels/1.txt:4: box [50, 20, 50, 30] has no area"
        ]
    );
    write_coco(&dir, r#"{"id": 5, "image_id": 7, "category_id": 3, "bbox": [90, 10, 20, 5]}"#);
    let outside = "coco.json: annotation 5: box [90, 10, 110, 15] reaches out of the picture of 100x50";
    assert_eq!(faults(&dir, COCO), [outside]);
    write_voc(&dir, [41, 16, 60, 95]);
    let outside = "voc/Annotations/1.xml:2: box [40, 15, 60, 95] reaches out of the picture of 100x50";
    assert_eq!(faults(&dir, VOC), [outside]);
    write_city(&dir, "[[40, 20], [60, -15]]");
    let outside = "gtFine/bonn/bonn_1_2_gtFine_polygons.json: objects[0]: \
                   box [40, -15, 60, 20] reaches out of the picture of 100x50";
    assert_eq!(faults(&dir, CITY), [outside]);
}

#[test]
fn a_class_out_of_range_is_named() {
    let dir = TempDir::new("range");
    write_yolo(&dir, "2 0.5 0.5 0.2 0.2\n");
    assert_eq!(faults(&dir, YOLO), ["yolo/labels/1.txt:1: class 2, but the names list ends at 1"]);
    write_coco(&dir, r#"{"id": 5, "image_id": 7, "category_id": 4, "bbox": [0, 0, 2, 2]}"#);
    assert_eq!(faults(&dir, COCO), ["coco.json: annotation 5: category 4 is not listed"]);
    write_voc(&dir, [1, 1, 5, 5]);
    let named = format!("{VOC}names = [\"bus\", \"Car\"]\n");
    assert_eq!(faults(&dir, &named), ["voc/Annotations/1.xml:2: class `car` is not among the given names"]);
}

#[test]
fn a_picture_without_pixels_is_named() {
    let dir = TempDir::new("pixels");
    write_yolo(&dir, "");
    dir.write("yolo/images/1.png", "");
    assert_eq!(faults(&dir, YOLO).len(), 1);
    // A bitmap's header, of 0 × 8 pixels.
    let mut header = *b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\0\0\0\0\x08\0\0\0\x01\0\x18\0";
    header[18] = 0;
    let mut picture = header.to_vec();
    picture.resize(54, 0);
    std::fs::remove_file(dir.path("yolo/images/1.png")).unwrap();
    std::fs::write(dir.path("yolo/images/1.bmp"), picture).unwrap();
    let said = faults(&dir, YOLO);
    assert!(said.len() == 1 && said[0].starts_with("yolo/images/1.bmp: "), "{said:?}");
}

#[test]
fn what_is_no_number_is_named() {
    let dir = TempDir::new("number");
    write_yolo(&dir, "0 0.5 NaN 0.2 0.2\n0 inf 0.5 0.2 0.2\n");
    assert_eq!(
        faults(&dir, YOLO),
        [
            "yolo/labels/1.txt:1: NaN is outside 0..1: coordinates are fractions of the picture",
            "yolo/labels/1.txt:2: inf is outside 0..1: coordinates are fractions of the picture"
        ]
    );
    // In JSON it is no number at all, so the file cannot be read.
    write_coco(&dir, "\n{\"id\": 5, \"image_id\": 7, \"category_id\": 3, \"bbox\": [0, NaN, 2, 2]}");
    let file = dir.write("data.toml", &format!("classes = [\"vehicle\"]\n{COCO}"));
    let error = Description::open(&file, None).unwrap().read_train().unwrap_err().to_string();
    assert!(error.contains("coco.json: not COCO annotations") && error.contains("at line 2"), "{error}");
}

#[test]
fn faults_end_it_unless_they_are_to_be_left_out() {
    let dir = TempDir::new("skip");
    write_yolo(&dir, "0 0.5 0.5 0.2 0.2\n0 0.9 0.5 0.4 0.2\n");
    dir.picture("yolo/images/2.png", 10, 10);
    let file = dir.write("data.toml", &format!("classes = [\"vehicle\"]\n{YOLO}"));
    let read = || Description::open(&file, None).unwrap().read_train().unwrap();
    let error = read().accept(false).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "2 faults in the data; correct them, or leave out what is faulty with --skip-bad:");
    assert_eq!(lines.len(), 3);
    let set = read().accept(true).unwrap();
    assert_eq!((set.pictures.len(), set.pictures[0].boxes.len()), (1, 1));
    // Labels that cannot be read do not say that there is nothing in their picture.
    dir.picture("yolo/images/3.png", 10, 10);
    std::fs::write(dir.path("yolo/labels/3.txt"), b"\xff").unwrap();
    assert_eq!(read().accept(true).unwrap().pictures.len(), 1);
}

#[test]
fn classes_must_exist() {
    let dir = TempDir::new("classes");
    write_yolo(&dir, "");
    let part = "classes = [\"vehicle\"]\n[[train]]\nannotations = \"yolo\"\n";
    for (more, expected) in [
        ("map = { bus = \"vehicle\" }", "yolo: the data set has no class `bus`; it has car, tree"),
        ("map = { car = \"person\" }", "yolo: `classes` has no `person`; it has vehicle"),
        ("", "yolo: none of its classes (car, tree) is one of the model's; join them with `map`"),
        (
            "map = { car = \"vehicle\" }\nignore = [\"Car\"]",
            "yolo: class `Car` is both in `map` and in `ignore`",
        ),
        (
            "map = { car = \"vehicle\" }\nlabelled = [\"person\"]",
            "yolo: `classes` has no `person`; it has vehicle",
        ),
    ] {
        let file = dir.write("data.toml", &format!("{part}{more}"));
        let error = Description::open(&file, None).unwrap().read_train().unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn the_default_models_data_are_without_faults() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = repository.join("../shared/data");
    if !data.is_dir() {
        println!("skipped: no data sets at {}", data.display());
        return;
    }
    let file = repository.join("models/train/default-data.toml");
    let description = Description::open(&file, Some(&data)).unwrap();
    let train = description.read_train().unwrap().accept(false).unwrap();
    let val = description.read_val().unwrap().accept(false).unwrap();
    // The numbers of pictures that the data's own README states.
    assert_eq!([train.pictures.len(), val.pictures.len()], [369 + 439 + 316, 170 + 125 + 49]);
    assert_eq!(train.origins.iter().map(|o| o.known[0]).collect::<Vec<_>>(), [true, false, false]);
}

/// The seeds of the fuzz target, cut at every place and with every bit flipped: whatever comes of it, nothing panics.
#[test]
fn no_damage_to_a_label_file_makes_a_reader_panic() {
    use calib::dataset::{Findings, cityscapes, parse_names, voc, yolo};
    let read = |kind: u8, bytes: &[u8]| {
        let (path, mut findings) = (Path::new("damaged"), Findings::gathering());
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        match kind {
            b'0' => drop(yolo::parse(path, text, 2, [640, 480], &mut findings)),
            b'1' => drop(voc::parse(path, text, &mut findings)),
            b'2' => {
                drop(cityscapes::parse(path, text, &cityscapes::CLASSES.map(str::to_owned), &mut findings))
            }
            b'3' => drop(parse_names(path, text)),
            _ => drop(Description::parse(path, text, path)),
        }
    };
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/labels");
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(seeds).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let (&kind, text) = bytes.split_first().unwrap();
        kinds.push(kind);
        for at in 0..text.len() {
            read(kind, &text[..at]);
            for bit in 0..8 {
                let mut damaged = text.to_vec();
                damaged[at] ^= 1 << bit;
                read(kind, &damaged);
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, *b"01234");
}
