//! From one model file to another.

use crate::table::{model, plain, shared};
use crate::temp_dir::TempDir;
use calib::runtime::activations::Observer;
use calib::runtime::network::{Network, NetworkOptions};
use ocellus::loader::{LoadOptions, load};
use ocellus::{Detector, DetectorOptions, image};
use std::path::Path;
use std::process::{Command, Output};

fn calib_convert(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).arg("convert").args(arguments).output().unwrap()
}

/// Its report.
fn converted(arguments: &[&str]) -> serde_json::Value {
    let output = calib_convert(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn paths<const N: usize>(dir: &TempDir, names: [&str; N]) -> [String; N] {
    names.map(|name| dir.path(name).to_str().unwrap().to_owned())
}

fn files(dir: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn entry<'a>(metadata: &'a [(String, String)], key: &str) -> Option<&'a str> {
    metadata.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// By hand: each pixel (1, 0, 0.2) becomes (0.85, 0.5), then (−0.425, 2); 16 · 1.575 · 0.125 = 3.15.
#[test]
fn there_and_back_computes_the_number_computed_by_hand() {
    let dir = TempDir::new("convert-by-hand");
    let (model, picture) = (model(&dir), plain(&dir, "a.png", [255, 0, 51]));
    let [onnx, back, half] = paths(&dir, ["m.onnx", "back.param", "half.param"]);
    let report = converted(&[&model, &onnx, "--check", &picture]);
    assert!(report["fixed_because"].as_str().unwrap().contains("made for this one"), "{report}");
    assert_eq!((&report["size"], &report["check"]["pictures"]), (&serde_json::json!([4, 4]), &1.into()));
    converted(&[&onnx, &back]);
    converted(&[&onnx, &half, "--half"]);
    assert!(
        std::fs::metadata(dir.path("half.bin")).unwrap().len()
            < std::fs::metadata(dir.path("back.bin")).unwrap().len()
    );
    for file in [&model, &onnx, &back, &half] {
        let options = NetworkOptions { model: file.into(), ..NetworkOptions::default() };
        let network = Network::open(&options).unwrap();
        let graph = network.graph();
        let mut observer = Observer::new(graph, &network.preprocess, &graph.outputs).unwrap();
        observer.look(Path::new(&picture)).unwrap();
        let found: Vec<f32> = observer.numbers(0).flatten().copied().collect();
        // The weights are short binary fractions, exact in half precision as well.
        assert!(found.len() == 1 && (found[0] - 3.15).abs() < 1e-5, "{file}: {found:?}");
        assert_eq!(observer.name(0), "c");
    }
}

#[test]
fn metadata_is_set_and_kept_and_said_where_it_cannot_be() {
    let dir = TempDir::new("convert-metadata");
    let (model, names) = (model(&dir), dir.write("names.txt", "it's\nbus\n"));
    let [first, second, back] = paths(&dir, ["1.onnx", "2.onnx", "back.param"]);
    let flags = ["--names", names.to_str().unwrap(), "--mean", "-1,2,3", "--pixel", "bgr", "--fill", "7"];
    let more =
        ["--licence", "MIT", "--origin", "a test", "--set", "note=a=b", "--anchors", "1,2,3,4/5,6,7,8"];
    converted(&[&[model.as_str(), first.as_str()][..], &flags, &more].concat());
    converted(&[&first, &second, "--set", "order=rgb", "--licence", "BSD"]);
    let [before, after] =
        [&first, &second].map(|file| load(Path::new(file), &LoadOptions::default()).unwrap().metadata);
    for (key, value) in [
        ("names", "{0: \"it's\", 1: \"bus\"}"),
        ("mean", "-1,2,3"),
        ("fill", "7"),
        ("origin", "a test"),
        ("note", "a=b"),
        ("anchors", "1,2,3,4/5,6,7,8"),
    ] {
        assert_eq!((entry(&before, key), entry(&after, key)), (Some(value), Some(value)), "{key}");
    }
    assert_eq!((entry(&before, "license"), entry(&after, "license")), (Some("MIT"), Some("BSD")));
    // Two names of one property: the old one would contradict.
    assert_eq!((entry(&after, "pixel"), entry(&after, "order")), (None, Some("rgb")));

    let report = converted(&[&first, &back]);
    let expected = serde_json::json!([
        "--names FILE  (lines: it's, bus; 2 in all)",
        "--anchors 1,2,3,4/5,6,7,8",
        "--mean -1,2,3",
        "--pixel bgr",
    ]);
    assert_eq!(report["pass_as_flags"], expected);
    assert_eq!(converted(&[&model, &first])["pass_as_flags"], serde_json::json!([]));
}

#[test]
fn failures_are_clear_and_leave_nothing() {
    let dir = TempDir::new("convert-failures");
    let model = model(&dir);
    let nan = std::fs::read(dir.path("m.bin")).map(|mut bytes| {
        bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    });
    std::fs::write(dir.path("nan.bin"), nan.unwrap()).unwrap();
    std::fs::copy(&model, dir.path("nan.param")).unwrap();
    std::fs::write(dir.path("short.bin"), [0; 20]).unwrap();
    std::fs::copy(&model, dir.path("short.param")).unwrap();
    dir.write("broken.png", "no picture");
    std::fs::create_dir(dir.path("taken.bin")).unwrap();
    let [nan, short, broken, out, lost, inside, param, taken, other] = paths(
        &dir,
        [
            "nan.param",
            "short.param",
            "broken.png",
            "out.onnx",
            "no/out.onnx",
            "m.bin/out.onnx",
            "o.param",
            "taken.param",
            "o.tflite",
        ],
    );
    let before = files(&dir);
    let cases: [(&[&str], i32, &str); 13] = [
        (&[&nan, &out], 1, "Convolution first: weight 1 of 6 is NaN"),
        (&[&short, &out], 1, "short.bin"),
        (&[&model, &out, "--check", &broken], 1, "broken.png"),
        (&[&model, &lost], 2, "OUT: there is no folder"),
        (&[&model, &inside], 2, "OUT: there is no folder"),
        (&[&model, &taken], 2, "taken.bin is a folder"),
        (&[&model, &model], 2, "is the model that is read"),
        (&[&model, &other], 2, "use .onnx or .param"),
        (&[&model, &out, "--half"], 2, "--half: of ncnn files only"),
        (&[&model, &param, "--licence", "MIT"], 2, "--licence: ncnn files hold no metadata"),
        (&[&model, &out, "--anchors", "1,2,3"], 2, "--anchors: metadata: anchors '1,2,3'"),
        (&[&model, &out, "--fit", "stretch", "--set", "resize=stretch"], 2, "resize is set twice"),
        (&[&model, &out, "--size", "1"], 2, "--size 1"),
    ];
    for (arguments, status, expected) in cases {
        let output = calib_convert(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("calib: error: ") && said.contains(expected), "{said}");
        assert!(output.stdout.is_empty());
        assert_eq!(files(&dir), before, "{said}");
    }
}

#[test]
fn preprocessing_flags_reach_eval() {
    let dir = TempDir::new("convert-eval");
    let model = model(&dir);
    dir.picture("1.png", 4, 4);
    dir.write("1.txt", "0 0.5 0.5 0.2 0.2\n");
    dir.write("data.yaml", "names: [car]");
    let annotations = dir.path("");
    for (flag, value) in [("--fit", "crop"), ("--norm", "0"), ("--mean", "-a"), ("--pixel", "yuv")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_calib"));
        command.args(["eval", "--model", &model, "--annotations"]).arg(&annotations).args([flag, value]);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(&format!("'{value}'")), "{said}");
    }
}

/// At the size that the file says, and at another one.
#[test]
fn real_models_find_the_same_boxes() {
    let Some(picture) = shared("data/images/bus.jpg") else { return };
    let dir = TempDir::new("convert-real");
    let [onnx, back] = paths(&dir, ["m.onnx", "back.param"]);
    let frame = image::decode(&picture).unwrap();
    for (name, heads) in [("e", "raw"), ("s", "keep")] {
        let Some(model) = shared(&format!("models/{name}.param")) else { continue };
        let there = converted(&[model.to_str().unwrap(), &onnx, "--heads", heads]);
        let again = converted(&[&onnx, &back, "--check", picture.to_str().unwrap()]);
        assert_eq!(
            (&there["fixed_because"], &again["fixed_because"]),
            (&None::<()>.into(), &None::<()>.into())
        );
        assert!(there["check"]["layers"].as_array().unwrap().len() > 100, "{there}");
        for side in [320, 416] {
            let boxes = |file: &Path| {
                let options = DetectorOptions { size: Some([side; 2]), ..DetectorOptions::default() };
                let mut detector = Detector::open(file, &options).unwrap();
                detector.detect(&frame).unwrap().0.to_vec()
            };
            let expected = boxes(&model);
            assert!(expected.len() >= 3, "{expected:?}");
            for file in [&onnx, &back] {
                let found = boxes(Path::new(file));
                assert_eq!(found.len(), expected.len(), "{file} at {side}");
                for (a, b) in found.iter().zip(&expected) {
                    let near = (a.score - b.score).abs() < 1e-3
                        && a.bbox.iter().zip(&b.bbox).all(|(x, y)| (x - y).abs() < 0.1);
                    assert!(a.class_id == b.class_id && near, "{file} at {side}: {a:?}, expected {b:?}");
                }
            }
        }
    }
}
