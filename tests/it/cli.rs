//! The command line: exit statuses, output formats, inputs.

use crate::onnx_bytes;
use crate::program::{ocellus, ocellus_in, ocellus_with};
use crate::shared::shared;
use crate::temp_dir::TempDir;
use ocellus::image::decode;
use ocellus::kernels::isa::Isa;
use serde_json::Value;
use std::path::Path;

/// σ(4)², the score of what [`onnx_bytes::detector`] sees.
const SCORE: f64 = 0.964_351;

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

fn close(value: &Value, expected: f64, tolerance: f64) -> bool {
    value.as_f64().is_some_and(|x| (x - expected).abs() <= tolerance)
}

#[test]
fn help_shows_the_commands_and_examples() {
    let ran = ocellus(&[&"--help"]);
    assert_eq!(ran.status, Some(0));
    assert!(["detect", "inspect", "Exit status"].iter().all(|word| ran.out.contains(word)), "{}", ran.out);
    for command in ["detect", "inspect"] {
        let ran = ocellus(&[&command, &"--help"]);
        assert_eq!(ran.status, Some(0));
        assert!(ran.out.contains("Examples:"), "{}", ran.out);
    }
    assert!(ocellus(&[&"--version"]).out.starts_with("ocellus "));
}

#[test]
fn json_is_one_line_per_picture() {
    let dir = TempDir::new("json");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let picture = dir.picture("p.png", 128, 64);
    let ran = ocellus(&[&"detect", &"--model", &model, &"--format", &"json", &picture, &picture]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let lines = ran.json_lines();
    assert_eq!(lines.len(), 2);
    let line = &lines[0];
    assert_eq!(keys(line), ["detections", "height", "image", "ms", "width"]);
    assert_eq!((&line["width"], &line["height"]), (&128.into(), &64.into()));
    assert_eq!(line["image"], picture.to_str().unwrap());
    assert_eq!(keys(&line["ms"]), ["decode", "inference", "postprocess", "preprocess"]);
    let detections = line["detections"].as_array().unwrap();
    // Four cells see boxes larger than the network's input, which overlap almost wholly: one remains, and in
    // the picture it is the whole picture.
    assert_eq!(detections.len(), 1, "{line}");
    let object = &detections[0];
    assert_eq!(keys(object), ["box", "class", "class_id", "score"]);
    assert_eq!((&object["class"], &object["class_id"]), (&"class 1".into(), &1.into()));
    assert!(close(&object["score"], SCORE, 1e-5), "{object}");
    for (side, expected) in object["box"].as_array().unwrap().iter().zip([0.0, 0.0, 128.0, 64.0]) {
        assert!(close(side, expected, 1e-3), "{object}");
    }
}

#[test]
fn text_shows_class_score_and_box() {
    let dir = TempDir::new("text");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let names = dir.write("names.txt", "cat\ndog\n");
    let picture = dir.picture("p.png", 128, 64);
    let ran = ocellus(&[&"detect", &"--model", &model, &"--names", &names, &picture]);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].contains("p.png: 1 object, ") && lines[0].ends_with(" ms"), "{}", ran.out);
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>().join(" "), "dog 0.96 [0, 0, 128, 64]");
}

#[test]
fn thresholds_are_obeyed() {
    let dir = TempDir::new("thresholds");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let picture = dir.picture("p.png", 64, 64);
    let count = |option: &str, value: &str| {
        let ran = ocellus(&[&"detect", &"--model", &model, &"--format", &"json", &option, &value, &picture]);
        ran.json_lines()[0]["detections"].as_array().unwrap().len()
    };
    assert_eq!((count("--score", "0.97"), count("--score", "0.96")), (0, 1));
    assert_eq!((count("--iou", "1"), count("--max-det", "0")), (4, 0));
}

#[test]
fn a_bad_picture_is_reported_and_the_others_are_done() {
    let dir = TempDir::new("bad-picture");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let good = dir.picture("good.png", 64, 64);
    let bad = dir.write("bad.jpg", "no picture");
    let gone = dir.path("gone.jpg");
    let ran = ocellus(&[&"detect", &"--model", &model, &"--format", &"json", &bad, &gone, &good]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(ran.json_lines().len(), 1);
    assert_eq!(ran.err.lines().count(), 2, "{}", ran.err);
    assert!(ran.err.contains("bad.jpg") && ran.err.contains("gone.jpg"), "{}", ran.err);
}

#[test]
fn inputs_are_files_folders_and_patterns() {
    let dir = TempDir::new("inputs");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    for name in ["b.png", "a.jpg", "sub/c.png"] {
        dir.picture(name, 32, 32);
    }
    dir.write("notes.txt", "no picture");
    let images = |input: &dyn AsRef<std::ffi::OsStr>| -> Vec<String> {
        let ran = ocellus(&[&"detect", &"--model", &model, &"--format", &"json", input]);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        let name = |line: &Value| line["image"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        ran.json_lines().iter().map(name).collect()
    };
    assert_eq!(images(&dir.folder()), ["a.jpg", "b.png"], "a folder, by name, not what lies deeper");
    assert_eq!(images(&dir.path("*.png")), ["b.png"]);
    assert_eq!(images(&dir.path("**/*.png")), ["b.png", "c.png"]);
    let ran = ocellus(&[&"detect", &"--model", &model, &dir.path("*.bmp")]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("*.bmp: nothing matches"), "{}", ran.err);
}

#[test]
fn draw_writes_pictures_with_boxes() {
    let dir = TempDir::new("draw");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let picture = dir.picture("p.png", 120, 90);
    let out = dir.path("deep/out");
    let ran = ocellus(&[&"detect", &"--model", &model, &"--draw", &out, &picture, &picture]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let plain = decode(&picture).unwrap();
    for name in ["p.png", "p-1.png"] {
        let drawn = decode(out.join(name)).unwrap();
        assert_eq!((drawn.width, drawn.height), (120, 90));
        assert_ne!(drawn.rgb, plain.rgb, "{name}");
    }
}

/// The person of the README's picture, by eye.
const PERSON: [f64; 4] = [8.0, 62.0, 315.0, 512.0];

fn iou(a: &[f64], b: &[f64]) -> f64 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |c: &[f64]| (c[2] - c[0]) * (c[3] - c[1]);
    side(0) * side(1) / (area(a) + area(b) - side(0) * side(1))
}

#[test]
fn a_picture_is_all_that_is_needed() {
    let dir = TempDir::new("picture-alone");
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sample.jpg");
    let ran = ocellus_in(dir.folder(), &[&picture]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(
        ran.out.contains("sample.jpg: 1 object") && ran.out.contains("drawn in detected/"),
        "{}",
        ran.out
    );
    let drawn = decode(dir.path("detected/sample.jpg")).unwrap();
    assert_eq!((drawn.width, drawn.height), (512, 512));

    let ran = ocellus(&[&"detect", &"--format", &"json", &picture]);
    let line = &ran.json_lines()[0];
    let object = &line["detections"][0];
    let bbox: Vec<f64> = object["box"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(object["class"], "person");
    assert!(iou(&bbox, &PERSON) > 0.7, "{line}");

    let ran = ocellus(&[&"inspect", &"--format", &"json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["model"], &report["precision"]), (&"person-vehicle".into(), &"int8".into()));
    let ran = ocellus(&[&"detect", &"--engine", &"tract", &picture]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("runs in the native engine"), "{}", ran.err);
    let ran = ocellus(&[]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.err.contains("Commands:"), "{}", ran.err);
}

#[test]
fn packages_get_pages_and_completions() {
    let dir = TempDir::new("man");
    assert_eq!(ocellus(&[&"man", &dir.path("man")]).status, Some(0));
    for page in ["ocellus.1", "ocellus-detect.1", "ocellus-watch.1"] {
        let text = std::fs::read_to_string(dir.path("man").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let ran = ocellus(&[&"completions", &shell]);
        assert!(ran.status == Some(0) && ran.out.contains("ocellus"), "{shell}");
    }
}

#[test]
fn wrong_usage_is_status_2_with_a_remedy() {
    let dir = TempDir::new("usage");
    let model = dir.write("m.onnx", onnx_bytes::detector());
    let picture = dir.picture("p.png", 32, 32);
    let cases: [(&[&str], &[&str]); 9] = [
        (&["--isa", "sse9"], &["sse9", "scalar", "avx2", "avx512vnni"]),
        (&["--precision", "int8"], &["no int8 scales", "fp32"]),
        (&["--precision", "int4"], &["int4", "auto", "int8", "fp32"]),
        (&["--size", "7"], &["32 to 4096"]),
        (&["--size", "big"], &["big", "WIDTHxHEIGHT"]),
        (&["--threads", "0"], &["threads must be 1 to 256"]),
        (&["--score", "2"], &["score must lie between 0 and 1"]),
        (&["--pixel", "cmyk"], &["cmyk"]),
        (&["--no-such-option"], &["--no-such-option"]),
    ];
    for (options, words) in cases {
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"detect", &"--model", &model, &picture];
        arguments.extend(options.iter().map(|option| option as &dyn AsRef<std::ffi::OsStr>));
        let ran = ocellus(&arguments);
        assert_eq!(ran.status, Some(2), "{options:?}: {}", ran.err);
        assert!(words.iter().all(|word| ran.err.contains(word)), "{options:?}: {}", ran.err);
        assert!(ran.out.is_empty());
    }
    assert_eq!(ocellus(&[]).status, Some(2));
    assert_eq!(ocellus(&[&"detect", &"--model", &model]).status, Some(2), "no INPUT");
}

#[test]
fn the_environment_may_lower_the_instruction_set() {
    let bench = |variable: &str, options: &[&str]| {
        let fixed =
            "bench --model yolo-fastestv2 --size 32 --precision int8 --loops 1 --warmup 0 --format json";
        let all: Vec<&str> = fixed.split(' ').chain(options.iter().copied()).collect();
        let all: Vec<&dyn AsRef<std::ffi::OsStr>> = all.iter().map(|a| a as _).collect();
        ocellus_with(&[("OCELLUS_ISA", variable)], &all)
    };
    let used = |variable, options: &[&str]| bench(variable, options).json_lines()[0]["isa"].clone();
    let best = Isa::detect().to_string();
    assert_eq!(used("scalar", &[]), "scalar");
    assert_eq!(used("auto", &[]), best);
    assert_eq!(used("scalar", &["--isa", "auto"]), best, "the option wins");
    assert_eq!(used("sse9", &["--isa", "scalar"]), "scalar", "the option wins");
    let absent = if cfg!(target_arch = "x86_64") { "dotprod" } else { "avx2" };
    for (name, words) in [("sse9", "unknown instruction set"), (absent, "this CPU lacks"), ("", "unknown")] {
        let ran = bench(name, &[]);
        assert_eq!(ran.status, Some(2), "{name}: {}", ran.err);
        assert!(ran.err.contains("OCELLUS_ISA") && ran.err.contains(words), "{name}: {}", ran.err);
    }
}

#[test]
fn a_model_without_heads_is_refused_with_its_shapes() {
    let dir = TempDir::new("no-heads");
    let model = dir.write("m.onnx", onnx_bytes::small());
    let ran = ocellus(&[&"detect", &"--model", &model, &dir.picture("p.png", 32, 32)]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.err.contains("m.onnx") && ran.err.contains("[1, 4, 8, 8]"), "{}", ran.err);
    assert_eq!(ocellus(&[&"inspect", &model]).status, Some(0));
}

#[test]
fn inspect_has_the_documented_keys() {
    let dir = TempDir::new("inspect");
    let model = dir.write("m.onnx", onnx_bytes::small());
    let ran = ocellus(&[&"inspect", &model, &"--format", &"json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    for key in ["inputs", "outputs", "arena_bytes", "weights_bytes", "steps"] {
        assert!(!report[key].is_null(), "{key}");
    }
    let step = &report["steps"][0];
    let expected = ["name", "op", "dtype", "shape", "scale", "zero_point", "kernel", "macs", "offset"];
    assert!(expected.iter().all(|key| step.get(key).is_some()), "{step}");
    // 8·8 pixels, 4 channels, 3·3·3 taps.
    assert_eq!(step["macs"], 8 * 8 * 4 * 27);
}

#[test]
fn every_instruction_set_finds_the_same() {
    let (Some(model), Some(picture)) = (shared("models/i8e.param"), shared("data/images/bus.jpg")) else {
        return;
    };
    let detections = |isa: &str| {
        let arguments: [&dyn AsRef<std::ffi::OsStr>; 10] = [
            &"detect",
            &"--model",
            &model,
            &"--size",
            &"320",
            &"--isa",
            &isa,
            &"--format",
            &"json",
            &picture,
        ];
        let ran = ocellus(&arguments);
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran.json_lines()[0]["detections"].clone()
    };
    let scalar = detections("scalar");
    assert!(!scalar.as_array().unwrap().is_empty());
    assert_eq!(scalar, detections("auto"));
}
