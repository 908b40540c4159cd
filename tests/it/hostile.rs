//! Broken and hostile models: a typed error that names the file, fast and in little memory; never a panic.

use crate::onnx_bytes::{Message, floats, ints, model, node, small};
use crate::program::ocellus_confined;
use crate::temp_dir::TempDir;
use ocellus::Error;
use ocellus::engine::{Engine, EngineOptions};
use ocellus::graph::Graph;
use ocellus::loader::{LoadOptions, load, ncnn, onnx};
use std::path::Path;

/// A convolution 3 → 4 and a ReLU on 8×8 pixels, for ncnn.
const PARAM: &str = "7767517\n3 3\n\
    Input images 0 1 images 0=8 1=8 2=3\n\
    Convolution conv 1 1 images c 0=4 1=3 4=1 5=1 6=108\n\
    ReLU relu 1 1 c y\n";

/// Its weights: tag 0, 108 floats, 4 floats.
fn bin() -> Vec<u8> {
    let reals = [0.25f32; 112].into_iter().flat_map(f32::to_le_bytes);
    0u32.to_le_bytes().into_iter().chain(reals).collect()
}

/// A `.param` file of these layers.
fn param(layers: &[&str]) -> String {
    let input = "Input images 0 1 images 0=8 1=8 2=3";
    format!("7767517\n{} {}\n{input}\n{}\n", layers.len() + 1, layers.len() + 1, layers.join("\n"))
}

#[test]
fn the_sound_models_load() {
    let dir = TempDir::new("sound");
    let onnx = dir.write("m.onnx", small());
    let ncnn = dir.write("n.param", PARAM);
    dir.write("n.bin", bin());
    for path in [onnx, ncnn] {
        let graph = load(&path, &LoadOptions::default()).unwrap().graph;
        assert_eq!(graph.shape(graph.outputs[0]).dims(), [1, 4, 8, 8], "{}", path.display());
    }
}

#[test]
fn every_truncation_is_an_error() {
    let options = LoadOptions::default();
    let whole = small();
    for length in 0..whole.len() {
        assert!(onnx::parse(&whole[..length], &options).is_err(), "ONNX, {length} bytes");
    }
    let whole = bin();
    for length in 0..whole.len() {
        assert!(ncnn::parse(PARAM.as_bytes(), &whole[..length], &options).is_err(), "bin, {length} bytes");
    }
    // The last line is complete without its last characters; anything shorter is not.
    for length in 0..PARAM.len() - 3 {
        assert!(ncnn::parse(&PARAM.as_bytes()[..length], &whole, &options).is_err(), "param, {length} bytes");
    }
}

/// A flipped bit may leave a sound model; then it runs. Otherwise it is an error.
#[test]
fn every_flipped_bit_is_an_error_or_a_sound_model() {
    let options = LoadOptions::default();
    for_each_flip(&small(), |bytes| {
        if let Ok(model) = onnx::parse(bytes, &options) {
            run(&model.graph)
        }
    });
    for_each_flip(PARAM.as_bytes(), |bytes| {
        if let Ok(model) = ncnn::parse(bytes, &bin(), &options) {
            run(&model.graph);
        }
    });
    let tag = &bin()[..4];
    for_each_flip(tag, |bytes| {
        let bin = [bytes, &bin()[4..]].concat();
        let _ = ncnn::parse(PARAM.as_bytes(), &bin, &options);
    });
}

fn for_each_flip(bytes: &[u8], mut check: impl FnMut(&[u8])) {
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

/// Plans a graph and runs it, unless a flip has made its tensors large.
fn run(graph: &Graph) {
    if graph.values().iter().any(|value| value.shape.elements() > 1 << 16) {
        return;
    }
    if let Ok(mut engine) = Engine::new(graph, &EngineOptions::default()) {
        engine.run();
    }
}

/// One `Conv` whose weights claim these dimensions and hold one float.
fn weights_of(dims: &[i64]) -> Vec<u8> {
    let nodes = [node("Conv", &["images", "w"], "y", &[])];
    model(&nodes, &[floats("w", dims, &[1.0])], &[1, 3, 8, 8], &["y"])
}

fn hostile_onnx() -> Vec<(&'static str, Vec<u8>)> {
    let relu = |x: &str, y: &str| node("Relu", &[x], y, &[]);
    let cycle = [relu("b", "a"), relu("a", "b")];
    let whole = small();
    let mut nested = Message::default();
    for _ in 0..5000 {
        nested = Message::default().bytes(7, nested);
    }
    let pool = |name, values: &[i64]| node("MaxPool", &["images"], "y", &[ints(name, values)]);
    let pooled = |nodes: &[Message]| model(nodes, &[], &[1, 3, 8, 8], &["y"]);
    vec![
        ("negative dimensions", weights_of(&[4, -3, 1, 1])),
        ("an overflowing product", weights_of(&[1 << 32, 1 << 32, 1, 1])),
        ("4e18 elements", weights_of(&[2_000_000_000, 2_000_000_000, 1, 1])),
        ("more dimensions than any tensor", weights_of(&[1; 1000])),
        ("an input of 4e18 elements", model(&[relu("images", "y")], &[], &[1, 3, 1 << 31, 1 << 31], &["y"])),
        ("a cycle", model(&cycle, &[], &[1, 3, 8, 8], &["b"])),
        ("an operand that nobody makes", model(&[relu("ghost", "y")], &[], &[1, 3, 8, 8], &["y"])),
        ("an output that nobody makes", model(&[relu("images", "y")], &[], &[1, 3, 8, 8], &["ghost"])),
        ("an unknown operator", model(&[node("Einsum", &["images"], "y", &[])], &[], &[1, 3, 8, 8], &["y"])),
        ("a huge window", pooled(&[pool("kernel_shape", &[i64::MAX, i64::MAX])])),
        ("a negative window", pooled(&[pool("kernel_shape", &[-2, -2])])),
        ("deeply nested messages", nested.as_ref().to_vec()),
        ("a length beyond the file", [&whole[..], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x07]].concat()),
        ("half a file", whole[..whole.len() / 2].to_vec()),
        ("no bytes", Vec::new()),
        ("zeros", vec![0; 4096]),
    ]
}

fn hostile_ncnn() -> Vec<(&'static str, String, Vec<u8>)> {
    let conv = |text: &str| param(&[&format!("Convolution conv 1 1 images y {text}")]);
    let wrong_tag = [&0x1234_5678u32.to_le_bytes()[..], &bin()[4..]].concat();
    vec![
        ("a negative number of channels", conv("0=-4 1=3 6=108"), bin()),
        ("an overflowing product", conv("0=2147483647 1=2147483647 6=2147483647"), bin()),
        ("4e18 elements", param(&["MemoryData m 0 1 y 0=2000000000 1=2000000000"]), bin()),
        ("a negative input", PARAM.replace("0=8", "0=-8"), bin()),
        ("a huge input", PARAM.replace("0=8 1=8", "0=2147483647 1=2147483647"), bin()),
        ("a stride of zero", conv("0=4 1=3 3=0 6=108"), bin()),
        ("a cycle", param(&["ReLU r 1 1 b a", "ReLU s 1 1 a b"]), bin()),
        ("more layers than lines", PARAM.replace("3 3", "2000000000 3"), bin()),
        ("a negative count", PARAM.replace("3 3", "-3 3"), bin()),
        ("an unknown layer", param(&["LSTM l 1 1 images y 0=4"]), bin()),
        ("a wrong tag", PARAM.into(), wrong_tag),
        ("half the weights", PARAM.into(), bin()[..bin().len() / 2].to_vec()),
        ("no weights", PARAM.into(), Vec::new()),
        ("an empty list of layers", String::new(), bin()),
        ("bytes that are no text", "\u{7f}ELF\0\0\0".into(), bin()),
        ("an array of 2e9 numbers", param(&["Reshape r 1 1 images y -23300=2000000000,1"]), bin()),
    ]
}

/// The library's error is typed and names the file; the program says it in one line and fails.
fn assert_refused(what: &str, path: &Path) {
    let name = path.file_name().unwrap().to_str().unwrap();
    let error = load(path, &LoadOptions::default()).map(|_| ()).expect_err(what);
    let typed = matches!(&error, Error::BadModel { .. } | Error::Unsupported { .. } | Error::Io { .. });
    let stem = name.split('.').next().unwrap();
    assert!(typed && error.to_string().contains(stem), "{what}: {error:?}");
    let ran = ocellus_confined(&[&"inspect", &path]);
    assert_eq!(ran.status, Some(1), "{what}: {}", ran.err);
    assert!(ran.err.starts_with("error: ") && ran.err.contains(stem), "{what}: {}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{what}: {}", ran.err);
    assert!(ran.out.is_empty());
}

#[test]
fn hostile_onnx_files_are_refused() {
    let dir = TempDir::new("hostile-onnx");
    for (what, bytes) in hostile_onnx() {
        assert_refused(what, &dir.write("model.onnx", bytes));
    }
}

#[test]
fn hostile_ncnn_files_are_refused() {
    let dir = TempDir::new("hostile-ncnn");
    for (what, param, bin) in hostile_ncnn() {
        dir.write("model.bin", bin);
        assert_refused(what, &dir.write("model.param", param));
    }
}

#[test]
fn files_that_are_not_there_are_named() {
    let dir = TempDir::new("absent");
    assert_refused("a missing model", &dir.path("none.onnx"));
    assert_refused("a missing .bin", &dir.write("lonely.param", PARAM));
    std::fs::create_dir(dir.path("folder.onnx")).unwrap();
    assert_refused("a folder", &dir.path("folder.onnx"));
    std::fs::create_dir(dir.path("folder.param")).unwrap();
    assert_refused("a folder", &dir.path("folder.param"));
}

#[test]
fn an_unknown_suffix_is_wrong_usage() {
    let dir = TempDir::new("suffix");
    let path = dir.write("model.weights", "");
    let error = load(&path, &LoadOptions::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Usage(_)));
    let ran = ocellus_confined(&[&"inspect", &path]);
    assert_eq!(ran.status, Some(2), "{}", ran.err);
    assert!(ran.err.contains("model.weights") && ran.err.contains(".onnx"), "{}", ran.err);
}
