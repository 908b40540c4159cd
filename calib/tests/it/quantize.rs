//! From a float model and pictures to int8 models.

use crate::temp_dir::TempDir;
use crate::tiny::shared;
use calib::quantize::artifact::{ncnn_files, onnx_files};
use calib::quantize::{Activations, Calibration, Choices, Rounding, Scheme};
use calib::runtime::activations::Observer;
use calib::runtime::network::{Network, NetworkOptions, size_of};
use calib::table::Method;
use image::{Rgb, RgbImage};
use ocellus::engine::EngineOptions;
use ocellus::engines::open_model;
use ocellus::graph::{Graph, Op};
use ocellus::image::Preprocess;
use ocellus::loader::{LoadOptions, Model, load};
use ocellus::tensor::{Data, Quant};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LAYERS: [&str; 4] = ["stem", "depth", "point", "head"];

fn calib_quantize(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_calib")).arg("quantize").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Its summary.
fn quantized(arguments: &[&str]) -> serde_json::Value {
    let output = calib_quantize(&[arguments, &["--format", "json"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Numbers from −1 to 1 that look random.
struct Numbers(u32);

impl Iterator for Numbers {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0)
    }
}

/// The numbers of `model`'s four layers.
fn numbers() -> Vec<f32> {
    numbers_of(&[(216, 0.4, 8), (72, 0.7, 8), (64, 0.6, 8), (32, 0.6, 4)])
}

/// Layers of so many weights, their reach, so many biases, as a .bin file holds them: a tag, weights, biases.
fn numbers_of(layers: &[(usize, f32, usize)]) -> Vec<f32> {
    let mut random = Numbers(7);
    let mut numbers = Vec::new();
    for &(weights, reach, biases) in layers {
        numbers.push(0.0);
        numbers.extend(random.by_ref().take(weights).map(|x| x * reach));
        numbers.extend(random.by_ref().take(biases).map(|x| 0.1 * x));
    }
    numbers
}

/// Convolution with ReLU, depthwise, pointwise with ReLU, pointwise; on 16 by 16 pixels.
fn model_of(dir: &TempDir, name: &str, numbers: &[f32]) -> String {
    let param = "7767517\n5 5\n\
        Input data 0 1 data 0=16 1=16 2=3\n\
        Convolution stem 1 1 data a 0=8 1=3 3=2 4=1 5=1 6=216 9=1\n\
        ConvolutionDepthWise depth 1 1 a b 0=8 1=3 4=1 5=1 6=72 7=8\n\
        Convolution point 1 1 b c 0=8 1=1 5=1 6=64 9=1\n\
        Convolution head 1 1 c d 0=4 1=1 5=1 6=32\n";
    files_of(dir, name, param, numbers)
}

fn files_of(dir: &TempDir, name: &str, param: &str, numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(dir.path(format!("{name}.bin")), bytes).unwrap();
    dir.write(&format!("{name}.param"), param).to_str().unwrap().to_owned()
}

/// A network for any size, of two scales that meet.
fn free_model(dir: &TempDir) -> String {
    let param = "7767517\n7 8\n\
        Input data 0 1 data\n\
        Convolution stem 1 1 data a 0=8 1=3 3=2 4=1 5=1 6=216 9=1\n\
        Split split 1 2 a b c\n\
        Convolution down 1 1 b d 0=8 1=1 3=2 5=1 6=64\n\
        Interp up 1 1 d e 0=1 1=2.0 2=2.0\n\
        Concat both 2 1 c e f 0=0\n\
        Convolution head 1 1 f out 0=4 1=1 5=1 6=64\n";
    files_of(dir, "free", param, &numbers_of(&[(216, 0.4, 8), (64, 0.6, 8), (64, 0.6, 4)]))
}

/// Pictures of noise, in a folder of their own.
fn noise(dir: &TempDir, count: u32) -> String {
    for i in 0..count {
        let mut random = Numbers(1000 + i);
        let path = dir.write(&format!("noise/{i}.png"), "");
        let mut byte = || (127.5 * (1.0 + random.next().unwrap())) as u8;
        RgbImage::from_fn(16, 16, |_, _| Rgb([byte(), byte(), byte()])).save(&path).unwrap();
    }
    dir.path("noise").to_str().unwrap().to_owned()
}

/// The folder that results are to be written to.
fn out(dir: &TempDir) -> PathBuf {
    let out = dir.path("out");
    std::fs::create_dir_all(&out).unwrap();
    out
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn opened(file: &str) -> Model {
    load(Path::new(file), &LoadOptions::default()).unwrap()
}

fn precision(model: &Model) -> &'static str {
    open_model(model, &EngineOptions::default(), &[]).unwrap().backend.precision()
}

/// Signal to noise, in decibels, of the outputs of `changed` beside those of the float model.
fn output_db(float: &str, changed: &Model, folder: &str) -> f64 {
    let options = NetworkOptions { model: float.into(), ..NetworkOptions::default() };
    let network = Network::open(&options).unwrap();
    let of = |graph: &Graph| Observer::new(graph, &network.preprocess, &graph.outputs).unwrap();
    let (mut a, mut b) = (of(network.graph()), of(&changed.graph));
    assert_eq!(a.tensors(), b.tensors());
    let (mut signal, mut noise) = (0.0, 0.0);
    for name in names(Path::new(folder)) {
        let picture = Path::new(folder).join(name);
        a.look(&picture).unwrap();
        b.look(&picture).unwrap();
        for i in 0..a.tensors() {
            let pairs = a.numbers(i).flatten().zip(b.numbers(i).flatten());
            for (x, y) in pairs.map(|(x, y)| (f64::from(*x), f64::from(*y))) {
                signal += x * x;
                noise += (x - y) * (x - y);
            }
        }
    }
    assert!(signal > 0.0);
    10.0 * (signal / noise).log10()
}

/// Weights of the layer `name`, as the file has them.
fn weights<'a>(graph: &'a Graph, name: &str) -> &'a Data {
    let layer = graph.nodes.iter().find(|n| n.name == name && matches!(n.op, Op::Conv { .. })).unwrap();
    graph.constant(layer.inputs[1]).unwrap().data()
}

fn codes<'a>(graph: &'a Graph, name: &str) -> (&'a [i8], &'a [f32]) {
    match weights(graph, name) {
        Data::Q8 { codes, scales } => (codes, scales),
        _ => panic!("{name} is float"),
    }
}

fn grids(graph: &Graph) -> Vec<Quant> {
    let grid = |op: &Op| if let Op::FakeQuant(grid) = op { Some(*grid) } else { None };
    graph.nodes.iter().filter_map(|node| grid(&node.op)).collect()
}

#[test]
fn both_formats_load_again_and_are_close_to_float() {
    let dir = TempDir::new("quantize-both");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 6));
    let folder = out(&dir);
    let [onnx, param] = ["8.onnx", "8.param"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    let summary = quantized(&[&model, &pictures, "-o", &onnx, "--also", &param]);
    assert_eq!(names(&folder), ["8.bin", "8.onnx", "8.param"]);
    let made = opened(&onnx);
    assert_eq!(precision(&made), "int8");
    for file in [&onnx, &param] {
        let db = output_db(&model, &opened(file), &pictures);
        assert!(db > 20.0, "{file}: {db} dB");
    }
    for name in LAYERS {
        assert_eq!(codes(&made.graph, name).0.len(), codes(&opened(&param).graph, name).0.len(), "{name}");
    }

    assert_eq!((&summary["model"], &summary["images"]), (&model.as_str().into(), &6.into()));
    let files = summary["files"].as_array().unwrap();
    let listed: Vec<&str> = files.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(listed, [&onnx, &param, folder.join("8.bin").to_str().unwrap()]);
    for file in files {
        let size = std::fs::metadata(file["path"].as_str().unwrap()).unwrap().len();
        assert_eq!(file["bytes"].as_u64(), Some(size), "{file}");
    }
    assert_eq!(summary["int8_macs"].as_f64(), Some(1.0));
    assert!(summary["outputs_db"].as_f64().unwrap() > 20.0, "{summary}");
    assert_eq!(summary["images_hash"].as_str().unwrap().len(), 16);
    assert_eq!(summary["grids"].as_array().unwrap().len(), 4, "one for the input of each layer");
    for grid in summary["grids"].as_array().unwrap() {
        for key in ["name", "tensors", "method", "range", "scale", "zero_point", "clipped", "sqnr_db"] {
            assert!(grid.get(key).is_some(), "{key}: {grid}");
        }
    }
    for key in ["skipped", "restored", "layers"] {
        assert_eq!(summary[key], serde_json::json!([]), "{key}");
    }
    assert!(summary["accuracy"].is_null());
    assert!(summary["warnings"][0].as_str().unwrap().contains("6 pictures are few"), "{summary}");
}

#[test]
fn broken_pictures_are_left_out_and_named() {
    let dir = TempDir::new("quantize-skipped");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 3));
    dir.write("noise/bad.jpg", "\u{ff}no picture");
    let whole = std::fs::read(dir.path("noise/0.png")).unwrap();
    std::fs::write(dir.path("noise/cut.png"), &whole[..whole.len() / 2]).unwrap();
    let onnx = out(&dir).join("8.onnx").to_str().unwrap().to_owned();
    let output = calib_quantize(&[&model, &pictures, "-o", &onnx, "--format", "json"]);
    assert!(output.status.success(), "{}", said(&output));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["images"], summary["skipped"].as_array().unwrap().len()), (&3.into(), 2));
    for (i, name) in ["bad.jpg", "cut.png"].into_iter().enumerate() {
        let skipped = &summary["skipped"][i];
        assert!(skipped["file"].as_str().unwrap().ends_with(name), "{summary}");
        assert!(!skipped["reason"].as_str().unwrap().is_empty(), "{summary}");
        assert!(said(&output).contains(name), "{}", said(&output));
    }
    assert!(Path::new(&onnx).exists());
}

#[test]
fn failures_are_clear_and_leave_nothing() {
    let dir = TempDir::new("quantize-failures");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 2));
    let mut broken = numbers();
    // The first weight of the second layer: behind a tag, the first layer and a tag.
    broken[1 + 216 + 8 + 1] = f32::NAN;
    let nan = model_of(&dir, "nan", &broken);
    let short = model_of(&dir, "short", &numbers()[..100]);
    dir.picture("black/a.png", 16, 16);
    dir.picture("black/b.png", 16, 16);
    dir.write("unreadable/a.png", "no picture");
    std::fs::create_dir(dir.path("empty")).unwrap();
    dir.write("file", "");
    let folder = out(&dir);
    let [empty, black, unreadable, lost, inside, onnx, text] =
        ["empty", "black", "unreadable", "no/8.onnx", "file/8.onnx", "out/8.onnx", "out/8.txt"]
            .map(|name| dir.path(name).to_str().unwrap().to_owned());
    let cases: [(&[&str], i32, &str); 14] = [
        (&[&model, &empty, "-o", &onnx], 1, "no .jpg, .png or .bmp picture"),
        (&[&model, "/nonexistent", "-o", &onnx], 1, "/nonexistent: No such file"),
        (&[&model, &unreadable, "-o", &onnx], 1, "no picture can be read"),
        (&[&model, &black, "-o", &onnx], 2, "all black, or of one colour"),
        (&[&nan, &pictures, "-o", &onnx], 1, "depth"),
        (&[&nan, &pictures, "-o", &onnx], 1, "NaN"),
        (&[&short, &pictures, "-o", &onnx], 1, "short"),
        (&[&model, &pictures, "-o", &lost], 2, "--output: there is no folder"),
        (&[&model, &pictures, "-o", &inside], 2, "--output: there is no folder"),
        (&[&model, &pictures, "-o", &onnx, "--also", &lost], 2, "--also: there is no folder"),
        (&[&model, &pictures, "-o", &text], 2, "use .onnx or .param"),
        (&[&model, &pictures, "-o", &onnx, "--also", &onnx], 2, "would be written twice"),
        (&[&model, &pictures, "-o", &onnx, "--keep-float", "tail"], 2, "stem, depth, point, head"),
        (&[&model, &pictures, "-o", &onnx, "--weight-bits", "9"], 2, "--weight-bits 9"),
    ];
    for (arguments, status, expected) in cases {
        let output = calib_quantize(arguments);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains("calib: error: ") && said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(names(&folder), [""; 0], "{arguments:?}");
    }
    let again = calib_quantize(&[&onnx, &pictures, "-o", &onnx]);
    assert!(!again.status.success() && names(&folder).is_empty(), "{}", said(&again));
}

/// A limit on the size of files stands for a full disk: writing fails half way.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_what_was_there() {
    let dir = TempDir::new("quantize-full");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 2));
    let folder = out(&dir);
    let onnx = folder.join("8.onnx");
    std::fs::write(&onnx, "before").unwrap();
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_calib"), "quantize"])
        .args([&model, &pictures, "-o", onnx.to_str().unwrap()])
        .output()
        .unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("calib: error: ") && said.contains("8.onnx: "), "{said}");
    assert_eq!(
        (names(&folder), std::fs::read(&onnx).unwrap()),
        (vec!["8.onnx".to_owned()], b"before".to_vec())
    );
}

/// The outputs for a picture of the network in `files` at `side`.
fn results(files: &Path, side: usize, picture: &Path) -> Vec<Vec<f32>> {
    let model = load(files, &LoadOptions { size: Some([side; 2]) }).unwrap();
    let preprocess = Preprocess::from_metadata(&model.metadata).unwrap();
    let mut observer = Observer::new(&model.graph, &preprocess, &model.graph.outputs).unwrap();
    observer.look(picture).unwrap();
    (0..observer.tensors()).map(|i| observer.numbers(i).flatten().copied().collect()).collect()
}

/// Calibrates `model` at the first of `sides` on `pictures`. Files for any size must be at both `sides` what files for these alone are.
fn check_sizes(dir: &TempDir, model: &str, pictures: &[PathBuf], sides: [usize; 2]) {
    let open = |side| {
        let options = NetworkOptions { model: model.into(), side: Some(side), ..NetworkOptions::default() };
        Network::open(&options).unwrap()
    };
    let calibration = Calibration::new(&open(sides[0]), pictures, true, 2, || ()).unwrap();
    let network = &calibration.network;
    let resized = |side| calibration.at_size_of(open(side).graph()).unwrap();
    let there = resized(sides[1]);
    let [free, fixed] = ["free", "fixed"].map(|name| out(dir).join(name));
    for (suffix, activations) in [("onnx", Activations::Affine), ("param", Activations::Signed)] {
        let scheme = Scheme { activations, ..Scheme::default() };
        let (method, rounding) = (Some(Method::MinMax), Rounding::Nearest);
        let choices = Choices { scheme, method, rounding, ..Choices::default() };
        let recipe = calibration.recipe(&choices, &HashSet::new());
        let write = |network: &Network, other: Option<&Graph>, path: &Path| {
            let files = match suffix {
                "onnx" => onnx_files(network, other, &recipe, path),
                _ => ncnn_files(network, other, &recipe, path),
            };
            files.unwrap().iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
        };
        let (free, fixed) = (free.with_extension(suffix), fixed.with_extension(suffix));
        write(network, Some(&there), &free);
        for side in sides {
            let model = Model { graph: resized(side), metadata: network.model.metadata.clone() };
            write(&Network { model, ..network.clone() }, None, &fixed);
            let expected = results(&fixed, side, &pictures[0]);
            assert!(expected.iter().flatten().any(|&x| x != 0.0));
            assert!(results(&free, side, &pictures[0]) == expected, "{suffix} at {side}");
        }
    }
}

#[test]
fn a_model_for_any_size_stays_one() {
    let dir = TempDir::new("quantize-sizes");
    let (model, pictures) = (free_model(&dir), noise(&dir, 3));
    let folder = out(&dir);
    let [onnx, param] = ["8.onnx", "8.param"].map(|name| folder.join(name).to_str().unwrap().to_owned());
    let summary = quantized(&[&model, &pictures, "--size", "32", "-o", &onnx, "--also", &param]);
    assert_eq!((&summary["size"], summary["fixed_because"].as_str()), (&vec![32, 32].into(), None));
    for file in [&onnx, &param] {
        assert_eq!(size_of(&opened(file).graph), [32, 32], "{file}: the size of its calibration");
        for side in [32, 48, 96] {
            let model = load(Path::new(file), &LoadOptions { size: Some([side; 2]) }).unwrap();
            assert_eq!(
                model.graph.shape(model.graph.outputs[0]).dims(),
                [1, 4, side / 2, side / 2],
                "{file}"
            );
            assert_eq!(precision(&model), "int8", "{file} at {side}");
        }
    }
    let pictures: Vec<PathBuf> = (0..3).map(|i| dir.path(format!("noise/{i}.png"))).collect();
    check_sizes(&dir, &model, &pictures, [32, 48]);

    // Its inner product takes all of 4 by 4 pixels.
    let fixed = crate::table::model(&dir);
    let summary = quantized(&[&fixed, dir.path("noise").to_str().unwrap(), "-o", &onnx]);
    assert!(summary["fixed_because"].as_str().unwrap().contains("made for this one"), "{summary}");
    assert_eq!(size_of(&opened(&onnx).graph), [4, 4]);
}

/// Shuffles, concats and heads of a real detector, at the size of its calibration and at a larger one.
#[test]
fn a_real_model_for_any_size_stays_one() {
    let (Some(model), Some(picture)) = (shared("models/e.param"), shared("data/images/bus.jpg")) else {
        return;
    };
    let dir = TempDir::new("quantize-real-sizes");
    check_sizes(&dir, model.to_str().unwrap(), &[picture], [320, 416]);
}

#[test]
fn layers_kept_in_float_have_float_weights() {
    let dir = TempDir::new("quantize-keep");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 4));
    let [onnx, param] = ["8.onnx", "8.param"].map(|name| out(&dir).join(name).to_str().unwrap().to_owned());
    let keep = ["--keep-float", "point", "--keep-float", "stem"];
    let summary =
        quantized(&[&[model.as_str(), &pictures, "-o", &onnx, "--also", &param][..], &keep].concat());
    for file in [&onnx, &param] {
        let graph = opened(file).graph;
        for name in LAYERS {
            let float = !matches!(weights(&graph, name), Data::Q8 { .. });
            assert_eq!(float, keep.contains(&name), "{file}: {name}");
        }
        assert!(output_db(&model, &opened(file), &pictures) > 20.0);
    }
    // By hand: 8 · 8 positions of each; of 216 + 72 + 64 + 32 weights 72 + 32 are int8.
    assert!((summary["int8_macs"].as_f64().unwrap() - 104.0 / 384.0).abs() < 1e-9, "{summary}");
}

#[test]
fn flags_change_the_file_as_they_say() {
    let dir = TempDir::new("quantize-flags");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 4));
    let made = |flags: &[&str]| {
        let onnx = out(&dir).join("8.onnx").to_str().unwrap().to_owned();
        quantized(&[&[model.as_str(), &pictures, "-o", &onnx][..], flags].concat());
        opened(&onnx).graph
    };
    let most = |graph: &Graph, name: &str| codes(graph, name).0.iter().map(|c| c.unsigned_abs()).max();
    let several = |scales: &[f32]| scales.iter().any(|s| s.to_bits() != scales[0].to_bits());
    let plain = made(&[]);
    assert!(grids(&plain).iter().any(|grid| grid.zero_point != 0));
    for name in LAYERS {
        assert!(several(codes(&plain, name).1), "{name}");
        assert_eq!(most(&plain, name), Some(127), "{name}");
    }
    let symmetric = made(&["--symmetric"]);
    // The picture and what follows a ReLU are never negative.
    let mut zeros: Vec<i8> = grids(&symmetric).iter().map(|grid| grid.zero_point).collect();
    zeros.sort_unstable();
    zeros.dedup();
    assert_eq!(zeros, [-128, 0]);
    let whole = made(&["--per-tensor"]);
    for name in LAYERS {
        assert!(!several(codes(&whole, name).1), "{name}: {:?}", codes(&whole, name).1);
    }
    let few = made(&["--weight-bits", "6"]);
    for name in LAYERS {
        assert_eq!(most(&few, name), Some(31), "{name}");
    }
    // Each of these changes the codes of some layer or the biases.
    for flag in [
        &["--rounding", "nearest"][..],
        &["--no-equalization"],
        &["--method", "percentile", "--percentile", "90"],
    ] {
        let other = made(flag);
        let same = LAYERS.iter().all(|name| codes(&other, name) == codes(&plain, name))
            && grids(&other) == grids(&plain);
        assert!(!same, "{flag:?}");
    }
}

#[test]
fn the_same_command_writes_the_same_bytes() {
    let dir = TempDir::new("quantize-same");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 7));
    let made = |flags: &[&str]| {
        let [onnx, param] =
            ["8.onnx", "8.param"].map(|name| out(&dir).join(name).to_str().unwrap().to_owned());
        quantized(&[&[model.as_str(), &pictures, "-o", &onnx, "--also", &param][..], flags].concat());
        ["8.onnx", "8.param", "8.bin"].map(|name| std::fs::read(dir.path("out").join(name)).unwrap())
    };
    let first = made(&[]);
    for flags in [&[][..], &["--threads", "1"], &["--threads", "3"]] {
        assert!(made(flags) == first, "{flags:?}");
    }
}

#[test]
fn a_real_model_stays_close_to_float() {
    let (Some(pictures), Some(model)) = (shared("data/coco/val_dev"), shared("models/v5lite-e-320.onnx"))
    else {
        return;
    };
    let dir = TempDir::new("quantize-real");
    let onnx = out(&dir).join("8.onnx").to_str().unwrap().to_owned();
    let [model, pictures] = [&model, &pictures].map(|path| path.to_str().unwrap());
    let summary = quantized(&[model, pictures, "-o", &onnx, "--limit", "12"]);
    assert!(summary["outputs_db"].as_f64().unwrap() > 15.0, "{summary}");
    assert_eq!(summary["images"], 12);
    assert!(summary["int8_macs"].as_f64().unwrap() > 0.99, "{summary}");
    let made = opened(&onnx);
    assert_eq!(precision(&made), "int8", "also behind nested concats");
}

/// The lines of a table of the model, made by `calib table` with `flags`.
fn table_of(dir: &TempDir, model: &str, pictures: &str, flags: &[&str]) -> Vec<String> {
    let to = dir.path("made.table");
    let arguments = ["table", model, pictures, "--method", "minmax", "-o", to.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_calib")).args(arguments).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    std::fs::read_to_string(to).unwrap().lines().map(str::to_owned).collect()
}

fn grid<'a>(summary: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    summary["grids"].as_array().unwrap().iter().find(|grid| grid["name"] == name).unwrap()
}

/// `b`, which the layer `point` reads, is to reach to 12.7; the table has no scale for the input of `head`.
#[test]
fn ranges_of_a_table_replace_measured_ones() {
    let dir = TempDir::new("quantize-table");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 4));
    let mut lines = table_of(&dir, &model, &pictures, &[]);
    let line = |name: &str, lines: &[String]| lines.iter().position(|line| line.starts_with(name)).unwrap();
    let at = line("point ", &lines);
    lines[at] = "point 10.000000 ".to_owned();
    let at = line("head ", &lines);
    lines[at].insert(0, '#');
    let at = line("stem_param_0", &lines);
    lines[at] = lines[at].replace("stem_param_0", "gone_param_0");
    let at = line("stem ", &lines);
    lines.remove(at);
    let table = dir.write("t.table", &lines.join("\n")).to_str().unwrap().to_owned();
    let to = out(&dir).join("m.param").to_str().unwrap().to_owned();
    let base = [&*model, &pictures, "-o", &to];
    let made = quantized(&[&base[..], &["--symmetric", "--table", &table]].concat());
    let scale = |name: &str| grid(&made, name)["scale"].as_f64().unwrap();
    assert!((scale("b") - 0.1).abs() < 1e-7, "{made}");
    assert_eq!(grid(&made, "b")["method"], "table");
    let depth: f64 = lines[line("depth ", &lines)]["depth ".len()..].trim().parse().unwrap();
    // Never negative after ReLU: all 256 codes serve one side.
    assert!((scale("a") * depth * 255.0 / 127.0 - 1.0).abs() < 1e-4, "{made}");
    assert!(made["int8_macs"].as_f64().unwrap() < 1.0);
    let warnings = made["warnings"].to_string();
    assert!(warnings.contains("stay in float: head\"") && warnings.contains("names: gone\""), "{warnings}");
    assert!(!warnings.contains("preprocessing") && !warnings.contains("6-bit"), "{warnings}");
    let made = quantized(&[&base[..], &["--table", &table]].concat());
    let range = grid(&made, "a")["range"].as_array().unwrap().clone();
    assert!(range[0].as_f64().unwrap().abs() < 1e-6, "{made}");
    assert!((range[1].as_f64().unwrap() * depth / 127.0 - 1.0).abs() < 0.01, "{made}");
}

#[test]
fn tables_that_do_not_fit_are_noticed() {
    let dir = TempDir::new("quantize-tables");
    let (model, pictures) = (model_of(&dir, "m", &numbers()), noise(&dir, 4));
    let to = out(&dir).join("m.onnx").to_str().unwrap().to_owned();
    let with = |lines: &[String]| {
        let table = dir.write("t.table", &lines.join("\n")).to_str().unwrap().to_owned();
        let output = calib_quantize(&[&model, &pictures, "-o", &to, "--table", &table]);
        (output.status.code(), said(&output))
    };
    // Pixels without the division by 255, with a mean, and as the model has them.
    for (flags, doubtful) in [(&["--norm", "1"][..], true), (&["--mean", "114"], true), (&[], false)] {
        let (status, said) = with(&table_of(&dir, &model, &pictures, flags));
        assert_eq!((status, said.contains("made with other preprocessing")), (Some(0), doubtful), "{said}");
    }
    // As ncnn2table has it for dense 3 by 3 convolutions.
    let mut lines = table_of(&dir, &model, &pictures, &[]);
    let scales = lines[0].split(' ').skip(1).filter_map(|word| word.parse::<f32>().ok());
    let coarse: Vec<String> = scales.map(|scale| (scale * 31.0 / 127.0).to_string()).collect();
    lines[0] = format!("stem_param_0 {}", coarse.join(" "));
    assert!(with(&lines).1.contains("weights get 8 bits: layers stem\n"), "{}", with(&lines).1);
    lines[0] = "stem_param_0 1.0 2.0".to_owned();
    let (status, said) = with(&lines);
    assert!(status == Some(1) && said.contains("layer stem has 2 weight scales, the model's 8"), "{said}");
    let (status, said) = with(&["other_param_0 1.0".to_owned(), "other 2.0".to_owned()]);
    assert!(
        status == Some(1) && said.contains("names no layer of the model: it has other, the model stem"),
        "{said}"
    );
}
