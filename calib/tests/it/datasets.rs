//! Reading data sets: what is right comes through, what is broken is named.

use crate::temp_dir::TempDir;
use calib::dataset::{Annotation, Dataset, Place, Source, read_results};
use std::path::Path;

fn open(annotations: &Path) -> calib::Result<Dataset> {
    Dataset::open(Source { annotations, images: None, names: None, limit: None })
}

/// The message of an error without the folder, which differs from run to run.
fn message<T>(result: calib::Result<T>) -> String {
    let text = result.err().expect("an error").to_string();
    let Some(start) = text.find("calib-") else { return text };
    let inside = text[start..].find('/').map_or(0, |i| start + i + 1);
    text[inside..].to_owned()
}

const CATEGORIES: &str = r#""categories": [{"id": 3, "name": "car", "supercategory": "vehicle"}]"#;

#[test]
fn coco_is_sorted_by_id_and_unlisted_images_are_left_out() {
    let dir = TempDir::new("coco");
    let file = dir.write(
        "val.json",
        r#"{"info": {}, "licenses": [[1]],
            "images": [{"id": 9, "file_name": "b/9.jpg", "width": 5}, {"id": -2, "file_name": "a.jpg"}],
            "annotations": [
              {"id": 1, "image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4.5], "segmentation": [[[]]]},
              {"id": 2, "image_id": 9, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 5, "iscrowd": 1},
              {"id": 3, "image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 7, "name": "bus"}, {"id": 3, "name": "car"}]}"#,
    );
    let dataset = open(&file).unwrap();
    let images: Vec<_> = dataset.images.iter().map(|i| (i.id, i.path.clone())).collect();
    assert_eq!(images, [(-2, dir.path("a.jpg")), (9, dir.path("b/9.jpg"))]);
    assert_eq!(dataset.categories.iter().map(|c| c.id).collect::<Vec<_>>(), [3, 7]);
    let bus = Annotation {
        id: 1,
        image: 1,
        category: 1,
        bbox: [1.0, 2.0, 3.0, 4.5],
        area: 13.5,
        crowd: false,
        place: Place::Annotation(1),
    };
    let car = Annotation {
        id: 2,
        image: 1,
        category: 0,
        bbox: [1.0, 2.0, 3.0, 4.0],
        area: 5.0,
        crowd: true,
        place: Place::Annotation(2),
    };
    assert_eq!(dataset.annotations, [bus, car]);

    assert_eq!(
        message(dataset.check_pictures_exist()),
        "a.jpg: no such picture; 2 of 2 are missing: check --images"
    );
    let one = Source { annotations: &file, images: None, names: None, limit: Some(1) };
    let one = Dataset::open(one).unwrap();
    assert_eq!((one.images.len(), one.annotations.len()), (1, 0));
}

#[test]
fn broken_coco_files_are_named() {
    let dir = TempDir::new("coco-broken");
    let annotation = |fields: &str| format!(r#"{{"id": 1, "image_id": 1, "category_id": 3, {fields}}}"#);
    let image = r#"{"id": 1, "file_name": "1.jpg"}"#;
    let cases = [
        (image.to_owned(), annotation(r#""bbox": [0, 0, -1, 2]"#), "has a negative width or height"),
        (image.to_owned(), annotation(r#""bbox": [0, 1e300, 1, 2]"#), "is not a number of pixels"),
        (image.to_owned(), annotation(r#""bbox": [0, 1e999, 1, 2]"#), "number out of range at line 1"),
        (image.to_owned(), annotation(r#""bbox": [0, NaN, 1, 2]"#), "expected value at line 1"),
        (image.to_owned(), annotation(r#""bbox": []"#), "invalid length 0, expected an array of length 4"),
        (image.to_owned(), annotation(r#""x": 1"#), "missing field `bbox` at line 1"),
        (image.to_owned(), annotation(r#""bbox": [0, 0, 1, 2], "area": -1"#), "area -1 is negative"),
        (
            image.to_owned(),
            [annotation(r#""bbox": [0, 0, 1, 2]"#), annotation(r#""bbox": [0, 0, 1, 2]"#)].join(","),
            "annotation id 1 appears twice",
        ),
        (format!("{image},{image}"), String::new(), "image id 1 appears twice"),
        (image.replace("1.jpg", "../1.jpg"), String::new(), "must be a path inside the image folder"),
        (String::new(), String::new(), "the data set has no images"),
    ];
    for (images, annotations, expected) in cases {
        let text = format!(r#"{{"images": [{images}], "annotations": [{annotations}], {CATEGORIES}}}"#);
        let said = message(open(&dir.write("broken.json", &text)));
        assert!(said.starts_with("broken.json: ") && said.contains(expected), "{said}\nnot {expected}");
        assert!(!said.contains('\n'));
    }
}

#[test]
fn deep_and_huge_files_neither_crash_nor_fill_memory() {
    let dir = TempDir::new("coco-hostile");
    let deep = "[".repeat(1_000_000);
    let ignored = dir.write("deep.json", &format!(r#"{{"info": {deep}"#));
    assert!(message(open(&ignored)).contains("EOF while parsing"));
    let read = dir.write("deeper.json", &format!(r#"{{"images": {deep}"#));
    assert!(message(open(&read)).contains("invalid type: sequence"));
    let huge = dir.path("huge.json");
    let size = calib::limits::JSON_FILE_BYTES_MAX + 1;
    // The file has holes only, so it takes no room on the disk.
    std::fs::File::create(&huge).unwrap().set_len(size).unwrap();
    assert!(message(open(&huge)).contains("larger than the limit"));
}

#[test]
fn yolo_folders_in_both_layouts() {
    let dir = TempDir::new("yolo");
    dir.write("set/data.yaml", "names:\n  0: bus\n  1: car\n");
    dir.picture("set/val/images/b.c.png", 200, 100);
    dir.picture("set/val/images/a.bmp", 40, 40);
    dir.write("set/val/labels/b.c.txt", "1 0.5 0.5 0.25 0.5\n\n0 0 0 0.1 0.1\n");
    let apart = open(&dir.path("set/val")).unwrap();
    assert_eq!(apart.images[0].path, dir.path("set/val/images/a.bmp"));
    let car = Annotation {
        id: 1,
        image: 1,
        category: 1,
        bbox: [75.0, 25.0, 50.0, 50.0],
        area: 2500.0,
        crowd: false,
        place: Place::Line(1),
    };
    assert_eq!(apart.annotations[0], car);
    assert_eq!(apart.annotations.len(), 2);

    // Side by side: the same boxes, and the texts that labelling tools leave are no labels.
    dir.picture("set/flat/b.c.png", 200, 100);
    dir.picture("set/flat/a.bmp", 40, 40);
    dir.write("set/flat/b.c.txt", "1 0.5 0.5 0.25 0.5\n0 0 0 0.1 0.1\n");
    dir.write("set/flat/classes.txt", "bus\ncar\n");
    dir.write("set/flat/README.txt", "hello");
    let flat = open(&dir.path("set/flat")).unwrap().annotations;
    assert_eq!(
        flat.iter().map(|a| a.bbox).collect::<Vec<_>>(),
        apart.annotations.iter().map(|a| a.bbox).collect::<Vec<_>>()
    );
}

#[test]
fn broken_yolo_folders_are_named() {
    let dir = TempDir::new("yolo-broken");
    dir.picture("set/1.png", 10, 10);
    dir.write("set/1.txt", "0 .5 .5 .5 .5\n3 .5 .5 .5 .5\n");
    assert!(message(open(&dir.path("set"))).contains("give them with --names FILE"));
    dir.write("set/data.yaml", "names: [car]");
    assert_eq!(message(open(&dir.path("set"))), "set/1.txt:2: class 3, but the names list ends at 0");
    dir.write("set/1.txt", "0 .5 .5 .5 .5\n");
    dir.write("set/2.txt", "0 .5 .5 .5 .5\n");
    let said = message(open(&dir.path("set")));
    assert_eq!(said, "set/2.txt: no picture for this label file: check where the pictures are (images)");
    // A broken picture does not end the evaluation: it is left out and named.
    dir.write("set/2.png", "no picture");
    let dataset = open(&dir.path("set")).unwrap();
    assert_eq!((dataset.images.len(), dataset.annotations.len()), (1, 1));
    assert_eq!(dataset.skipped[0].file, dir.path("set/2.png"));
}

#[test]
fn broken_detection_files_are_named() {
    let dir = TempDir::new("results");
    let text =
        format!(r#"{{"images": [{{"id": 1, "file_name": "1.jpg"}}], "annotations": [], {CATEGORIES}}}"#);
    let dataset = open(&dir.write("val.json", &text)).unwrap();
    for (result, expected) in [
        (r#"{"image_id": 2, "category_id": 3, "bbox": [0,0,1,1], "score": 1}"#, "image id 2 is not in"),
        (r#"{"image_id": 1, "category_id": 3, "bbox": [0,0,1,-1], "score": 1}"#, "negative width or height"),
        (r#"{"image_id": 1, "category_id": 3, "bbox": [0,0,1], "score": 1}"#, "invalid length 3"),
        (r#"{"image_id": 1, "category_id": 3, "bbox": [0,0,1,1]}"#, "missing field `score`"),
    ] {
        let file = dir.write("found.json", &format!("[{result}]"));
        let said = message(read_results(&file, &dataset, false));
        assert!(said.starts_with("found.json: ") && said.contains(expected), "{said}\nnot {expected}");
    }
}

#[test]
fn real_data_sets_are_read_whole() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !data.is_dir() {
        println!("skipped: no data sets at {}", data.display());
        return;
    }
    // Counted with Python.
    for (folder, images, boxes, classes) in [
        ("vehicles_street/val", 125, 227, 5),
        ("vehicles_topview/val", 49, 840, 1),
        ("coco/val_dev.json", 170, 1410, 80),
    ] {
        let path = data.join(folder);
        let images_folder = path.with_extension("");
        let images_folder = (path != images_folder).then_some(images_folder.as_path());
        let source = Source { annotations: &path, images: images_folder, names: None, limit: None };
        let dataset = Dataset::open(source).unwrap();
        dataset.check_pictures_exist().unwrap();
        let counts = (dataset.images.len(), dataset.annotations.len(), dataset.categories.len());
        assert_eq!(counts, (images, boxes, classes), "{folder}");
    }
}
