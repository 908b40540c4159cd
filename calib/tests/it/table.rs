//! From a model and pictures to a calibration table.

use crate::temp_dir::TempDir;
use calib::table::Table;
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn calib_table(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).arg("table").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Three layers on 4 by 4 pixels: pointwise with ReLU, depthwise pointwise, inner product.
pub fn model(dir: &TempDir) -> String {
    let param = "7767517\n4 4\n\
        Input data 0 1 data 0=4 1=4 2=3\n\
        Convolution first 1 1 data a 0=2 1=1 5=1 6=6 9=1\n\
        ConvolutionDepthWise second 1 1 a b 0=2 1=1 6=2 7=2\n\
        InnerProduct third 1 1 b c 0=1 2=32\n";
    // Each layer's weights have the tag 0 (f32) in front; the bias of the first follows its weights.
    let mut bin = vec![0.0, 1.0, 0.5, -2.0, 0.0, 0.0, 0.0, 0.25, 0.5, 0.0, -0.5, 4.0, 0.0];
    bin.extend([0.125; 32]);
    let bytes: Vec<u8> = bin.iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
    std::fs::write(dir.path("m.bin"), bytes).unwrap();
    dir.write("m.param", param).to_str().unwrap().to_owned()
}

/// A picture of one colour, of the model's size: nothing is resized.
pub fn plain(dir: &TempDir, name: &str, colour: [u8; 3]) -> String {
    let path = dir.write(name, "");
    RgbImage::from_pixel(4, 4, Rgb(colour)).save(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

fn assert_near(found: &[f32], expected: &[f32]) {
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * b.abs();
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(near),
        "{found:?}, expected {expected:?}"
    );
}

/// By hand. The pictures are (1, 0, 0.2) and (0.2, 0.4, 0.8) at each pixel. The first layer makes
/// (1 − 0.4 + 0.25, 0.5) = (0.85, 0.5) and (0.2 + 0.2 − 1.6 + 0.25 → 0, 0.5); the second (−0.425, 2) and
/// (0, 2). So the inputs reach 1, 0.85 and 2.
#[test]
fn scales_are_those_computed_by_hand() {
    let dir = TempDir::new("table-by-hand");
    let (model, table) = (model(&dir), dir.path("t.table"));
    plain(&dir, "pictures/a.png", [255, 0, 51]);
    plain(&dir, "pictures/b.png", [51, 102, 204]);
    dir.write("pictures/broken.png", "no picture");
    let (pictures, table) = (dir.path("pictures"), table.to_str().unwrap().to_owned());
    let arguments = [&model, pictures.to_str().unwrap(), "-o", &table];
    let output = calib_table(&[&arguments[..], &["--method", "minmax"]].concat());
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    for expected in [
        "broken.png: ",
        "warning: 2 pictures are few",
        "warning: layer first: 1 of 2 channels have no weights but zero, the first is 1",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    let written = std::fs::read_to_string(&table).unwrap();
    assert!(written.starts_with("first_param_0 63.500000 1.000000 \nsecond_param_0 "), "{written}");
    let read = Table::read(Path::new(&table)).unwrap().entries;
    assert_near(&read[1].weights, &[254.0, 31.75]);
    assert_near(&read[2].weights, &[1016.0]);
    let inputs: Vec<f32> = read.iter().map(|entry| entry.input.unwrap()).collect();
    assert_near(&inputs, &[127.0, 127.0 / 0.85, 63.5]);

    // Of the input's 80 numbers other than zero 64 are up to 0.8, in bin 1638 of 2048; 16 of all 96 are above.
    let percentile = ["--method", "percentile", "--percentile", "80", "--format", "json"];
    let output = calib_table(&[&arguments[..], &percentile].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| report["layers"][0][key].as_f64().unwrap();
    assert!((number("threshold") - 1639.0 / 2048.0).abs() < 1e-6, "{report}");
    assert!((number("clipped") - 16.0 / 96.0).abs() < 1e-6, "{report}");
    assert!((number("absmax") - 1.0).abs() < 1e-6 && number("scale") > 158.0, "{report}");
    assert_eq!((&report["images"], report["skipped"].as_array().unwrap().len()), (&2.into(), 1));
}

/// By hand: rows 1 and 2 of the input are (1, 0, 0.2), the rest is margin, 114/255. Half of the numbers other
/// than zero are 0.2, in bin 409; the margin's would lift that to 0.447.
#[test]
fn the_margin_of_the_letterbox_does_not_count() {
    let dir = TempDir::new("table-margin");
    let (model, flat, table) = (model(&dir), dir.write("flat.png", ""), dir.path("t.table"));
    RgbImage::from_pixel(4, 2, Rgb([255, 0, 51])).save(&flat).unwrap();
    let [flat, table] = [&flat, &table].map(|path| path.to_str().unwrap());
    let half = ["--method", "percentile", "--percentile", "50", "--format", "json"];
    let output = calib_table(&[&[&model, flat, "-o", table][..], &half].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let threshold = report["layers"][0]["threshold"].as_f64().unwrap();
    assert!((threshold - 410.0 / 2048.0).abs() < 1e-6, "{report}");
    assert!(text(&output.stderr).contains("layer first: 33.3 % of its input"), "{}", text(&output.stderr));
}

/// EQ begins with KL's scales and goes at most to a half or to twice of them.
#[test]
fn eq_stays_near_kl() {
    let dir = TempDir::new("table-eq");
    let (model, table) = (model(&dir), dir.path("t.table"));
    let pictures = [[255, 0, 51], [51, 102, 204], [7, 240, 99]];
    for (i, colour) in pictures.into_iter().enumerate() {
        plain(&dir, &format!("pictures/{i}.png"), colour);
    }
    let [pictures, to] = [&dir.path("pictures"), &table].map(|path| path.to_str().unwrap().to_owned());
    let entries = |method: &str| {
        let output = calib_table(&[&model, &pictures, "-o", &to, "--method", method]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        Table::read(&table).unwrap().entries
    };
    let (kl, eq) = (entries("kl"), entries("eq"));
    let near = |(a, b): (&f32, &f32)| (0.499..=2.001).contains(&(a / b));
    for (kl, eq) in kl.iter().zip(&eq) {
        assert!(near((&eq.input.unwrap(), &kl.input.unwrap())), "{eq:?}");
        assert!(eq.weights.iter().zip(&kl.weights).all(near), "{eq:?}");
    }
    assert_ne!(kl, eq);
    assert_eq!(kl[0].weights[1], eq[0].weights[1], "a channel without weights");
}

/// ncnn2table writes `inf` there, which its engine takes as a scale.
#[test]
fn a_layer_that_sees_only_zeros_stays_in_float() {
    let dir = TempDir::new("table-black");
    let (model, black) = (model(&dir), plain(&dir, "black.png", [0; 3]));
    let table = dir.path("t.table");
    let output = calib_table(&[&model, &black, "-o", table.to_str().unwrap()]);
    let said = text(&output.stderr);
    assert!(output.status.success() && said.contains("layer first stays in float"), "{said}");
    let read = Table::read(&table).unwrap().entries;
    assert_eq!(read[0].input, None);
    assert!(read[1].input.is_some_and(f32::is_finite));
}

#[test]
fn failures_leave_no_table() {
    let dir = TempDir::new("table-failures");
    let (model, good) = (model(&dir), plain(&dir, "good.png", [9; 3]));
    let broken = dir.write("broken/b.png", "no picture");
    let broken = broken.parent().unwrap().to_str().unwrap();
    std::fs::create_dir(dir.path("empty")).unwrap();
    let [empty, table] = ["empty", "t.table"].map(|name| dir.path(name).to_str().unwrap().to_owned());
    let cases: [(&[&str], i32, &str); 7] = [
        (&[&model, &empty], 1, "no .jpg, .png or .bmp picture"),
        (&[&model, "/nonexistent.png"], 1, "/nonexistent.png: No such file"),
        (&[&model, broken], 1, "no picture can be read"),
        (&[&good, &good], 2, "not a model file"),
        (&[&model, &good, "--percentile", "0"], 2, "--percentile 0"),
        (&[&model, &good, "--limit", "0"], 2, "--limit 0"),
        (&[&model, &good, "--fit", "crop"], 2, "crop"),
    ];
    for (arguments, status, expected) in cases {
        let output = calib_table(&[arguments, &["-o", &table]].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.starts_with("calib: error: ") && said.contains(expected), "{said}");
        assert!(!Path::new(&table).exists());
    }
}

/// Files beside the repository; `None`, with a message, where they are absent.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

/// KL only clips: no threshold is beyond the largest magnitude by more than half a bin. Most are at least half
/// of it; those of long tails (a tenth, after some ReLUs) are not. The picture is a whole one: with the
/// letterbox's margin counted its threshold would be 0.448, just above the margin's 114/255.
#[test]
fn kl_clips_the_tails_of_a_real_model() {
    let (Some(pictures), Some(model)) = (shared("data/coco/val_dev"), shared("models/e.param")) else {
        return;
    };
    let dir = TempDir::new("table-real");
    let table = |method: &str| {
        let path = dir.path(method);
        let [model, pictures, to] = [&model, &pictures, &path].map(|path| path.to_str().unwrap());
        let arguments = [model, pictures, "-o", to, "--method", method, "--limit", "8", "--size", "320"];
        let output = calib_table(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        Table::read(&path).unwrap().entries
    };
    let (kl, minmax) = (table("kl"), table("minmax"));
    assert_eq!(kl.len(), 66, "convolutions of the file");
    let mut ratios = Vec::new();
    for (kl, minmax) in kl.iter().zip(&minmax) {
        let ratio = kl.input.unwrap() / minmax.input.unwrap();
        assert_eq!((&kl.name, &kl.weights), (&minmax.name, &minmax.weights));
        assert!((0.999..=16.0).contains(&ratio), "{}: {ratio}", kl.name);
        ratios.push(ratio);
    }
    assert!(ratios[0] < 1.1, "the picture is clipped: {}", ratios[0]);
    assert!(ratios.iter().filter(|ratio| **ratio <= 2.0).count() > 40, "{ratios:?}");
    if let Some(quantized) = shared("models/i8e.param") {
        let [model, pictures] = [&quantized, &pictures].map(|path| path.to_str().unwrap());
        let output = calib_table(&[model, pictures, "-o", dir.path("no").to_str().unwrap(), "--limit", "1"]);
        assert!(text(&output.stderr).contains("quantized already"), "{}", text(&output.stderr));
    }
}

/// 66 convolutions, counted with Python's onnx package.
#[test]
fn onnx_models_have_tables_too() {
    let (Some(pictures), Some(model)) = (shared("data/coco/val_dev"), shared("models/v5lite-e-320.onnx"))
    else {
        return;
    };
    let dir = TempDir::new("table-onnx");
    let [model, pictures, to] =
        [&model, &pictures, &dir.path("t")].map(|path| path.to_str().unwrap().to_owned());
    let output = calib_table(&[&model, &pictures, "-o", &to, "--limit", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let entries = Table::read(Path::new(&to)).unwrap().entries;
    assert_eq!(entries.len(), 66);
    assert!(entries.iter().all(|entry| entry.input.is_some()));
}
