//! Real exports, where a folder with them lies beside the repository.

use super::{graph, output};
use crate::graph::Op;
use crate::loader::{LoadOptions, onnx};
use std::path::{Path, PathBuf};

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    let found = path.is_file().then_some(path);
    if found.is_none() {
        println!("skipped: {name} is not there");
    }
    found
}

/// Output shapes are those that the files declare and that onnxruntime 1.31 gives.
#[test]
fn exported_detectors_load() {
    if let Some(path) = shared("v5lite-e-320.onnx") {
        let bytes = std::fs::read(path).unwrap();
        let graph = graph(&bytes);
        assert_eq!(output(&graph), [1, 6300, 85]);
        assert_eq!(graph.value(graph.outputs[0]).name, "output");
        assert_eq!(graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv { .. })).count(), 66);
    }
    if let Some(path) = shared("FastestDet.onnx") {
        let graph = onnx::load(path, &LoadOptions::default()).unwrap().graph;
        assert_eq!(output(&graph), [1, 85, 22, 22]);
        assert_eq!(graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv { .. })).count(), 70);
    }
}

#[test]
fn another_size_than_the_exported_one_is_refused_with_the_reason() {
    let Some(path) = shared("v5lite-e-320.onnx") else { return };
    let error = onnx::load(path, &LoadOptions { size: Some([416, 416]) }).unwrap_err().to_string();
    assert!(error.contains("Reshape_13") && error.contains("exported for 320x320"), "{error}");
}

/// 800 variants of a real file, from a fixed linear congruential sequence.
#[test]
fn damaged_real_files_never_panic() {
    let Some(path) = shared("FastestDet.onnx") else { return };
    let mut bytes = std::fs::read(path).unwrap();
    let mut state = 1u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for _ in 0..800 {
        // Most of the file is weights; the nodes come first.
        let (at, bit) = (next(40_000), next(8));
        bytes[at] ^= 1 << bit;
        let _ = onnx::parse(&bytes, &LoadOptions::default());
        bytes[at] ^= 1 << bit;
    }
}
