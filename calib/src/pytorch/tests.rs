//! Files of `calib/tests/reference/checkpoints.py`, and what PyTorch computed with them.

use super::*;
use ocellus::engine::{Engine, EngineOptions, Input, Precision};
use std::path::PathBuf;

const SIDE: usize = 64;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(format!("{name}.pt"))
}

/// The maps that a graph makes of the script's picture, each `[C, H, W]`.
fn maps(graph: &Graph) -> Vec<Vec<f32>> {
    let options = EngineOptions { precision: Precision::Fp32, ..EngineOptions::default() };
    let mut engine = Engine::new(graph, &options).unwrap();
    let Input::Reals(plane) = engine.input() else { panic!("the network is of floats") };
    for (pixel, numbers) in plane.data.chunks_mut(plane.pitch).enumerate() {
        for (c, number) in numbers[..3].iter_mut().enumerate() {
            *number = ((c * SIDE * SIDE + pixel) * 37 % 256) as f32 / 255.0;
        }
    }
    engine.run();
    let planar = |i: usize| {
        let output = engine.output(i);
        let (plane, channels) = (output.plane, output.shape[1]);
        let of = |c: usize| plane.data.chunks(plane.pitch).map(move |pixel| pixel[c]);
        (0..channels).flat_map(of).collect()
    };
    (0..engine.outputs()).map(planar).collect()
}

fn expected(path: &Path, level: usize) -> Vec<f32> {
    let tensors = pytorch_reader::PytorchReader::new(path).unwrap().into_tensors();
    let bytes = tensors[&format!("expected.{level}")].read().unwrap();
    bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

#[test]
fn networks_compute_what_pytorch_computes() {
    for name in ["v5lite-e", "v5lite-s", "v5lite-c", "v5lite-g", "yolov5"] {
        let checkpoint = Checkpoint::open(&file(name)).unwrap();
        assert_eq!(checkpoint.classes, 2, "{name}");
        assert!(checkpoint.network.name.starts_with(name), "{name}: {}", checkpoint.network.name);
        let graph = checkpoint.graph([SIDE; 2]).unwrap();
        for (level, own) in maps(&graph).iter().enumerate() {
            let theirs = expected(&file(name), level);
            assert_eq!(own.len(), theirs.len(), "{name}: map {level}");
            let largest = own.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-4, "{name}: map {level} differs by {largest}");
        }
    }
}

#[test]
fn a_model_has_the_anchors_of_the_file() {
    let model = load(&file("v5lite-e"), &LoadOptions::default()).unwrap();
    let entry =
        ("anchors".to_owned(), "10,13,16,30,33,23/30,61,62,45,59,119/116,90,156,198,373,326".to_owned());
    assert_eq!(model.metadata, [entry]);
    assert_eq!(model.graph.shape(model.graph.inputs[0]).dims(), [1, 3, 320, 320]);
}

#[test]
fn what_is_no_checkpoint_is_refused_with_a_reason() {
    let folder = std::env::temp_dir().join(format!("calib-checkpoints-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let refused = |name: &str, bytes: &[u8], why: &str| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path, &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why), "{error}");
    };
    refused("noise.pt", b"no pickle", "no checkpoint of PyTorch");
    refused("empty.pt", b"", "no checkpoint of PyTorch");
    refused("noise.safetensors", b"12345678{", "no safetensors");
    refused("none.safetensors", b"\x02\0\0\0\0\0\0\0{}", "none is called");
    // A byte of every tenth is another one: an error or a model, but no panic.
    let whole = std::fs::read(file("v5lite-e")).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut broken = whole.clone();
        broken[at] ^= 0x55;
        std::fs::write(folder.join("broken.pt"), &broken).unwrap();
        let _ = load(&folder.join("broken.pt"), &LoadOptions { size: Some([SIDE; 2]) });
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
