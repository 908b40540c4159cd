//! Exactness: whatever the memory layout, the number of threads and the instruction set, the same bytes.

use crate::network::{fill, network};
use crate::program::ocellus;
use crate::shared::shared;
use ocellus::engine::{Engine, EngineOptions, Precision};
use ocellus::graph::Graph;
use ocellus::kernels::isa::Isa;
use ocellus::loader::{LoadOptions, load};
use serde_json::Value;

/// All outputs of one run on noise, in order, without what lies between pixels.
fn outputs(graph: &Graph, options: &EngineOptions) -> Vec<Vec<f32>> {
    let mut engine = Engine::new(graph, options).unwrap();
    // Twice: the second run finds what the first has left in the arena.
    for _ in 0..2 {
        fill(&mut engine);
        engine.run();
    }
    let elements = |i: usize| {
        let output = engine.output(i);
        let channels = output.shape.nchw().map_or(1, |[_, c, _, _]| c);
        let pixels = output.plane.data.chunks(output.plane.pitch.max(1));
        pixels.flat_map(|pixel| &pixel[..channels]).copied().collect()
    };
    (0..engine.outputs()).map(elements).collect()
}

fn bits(outputs: &[Vec<f32>]) -> Vec<Vec<u32>> {
    outputs.iter().map(|output| output.iter().map(|x| x.to_bits()).collect()).collect()
}

/// The plainest engine, and every other way to run the same graph.
fn assert_exact(graph: &Graph) {
    let plain = EngineOptions { isa: Isa::Scalar, reuse: false, ..EngineOptions::default() };
    let expected = bits(&outputs(graph, &plain));
    assert!(expected.iter().flatten().any(|&word| word != 0));
    for isa in Isa::available() {
        for (threads, reuse) in [(1, true), (2, true), (3, false)] {
            let options = EngineOptions { isa, threads, reuse, ..plain };
            let same = bits(&outputs(graph, &options)) == expected;
            assert!(same, "{isa}, {threads} threads, reuse {reuse}: other bytes than scalar");
        }
    }
}

#[test]
fn a_made_network_gives_the_same_bytes_everywhere() {
    assert_exact(&network());
}

#[test]
fn a_real_network_gives_the_same_bytes_everywhere() {
    let Some(path) = shared("models/i8e.param") else { return };
    assert_exact(&load(&path, &LoadOptions { size: Some([128, 160]) }).unwrap().graph);
}

/// A float network promises the same bytes on one machine: no sum depends on how the rows are shared.
#[test]
fn float_does_not_depend_on_the_number_of_threads() {
    let graph = network();
    let run = |threads, reuse| {
        let options =
            EngineOptions { precision: Precision::Fp32, threads, reuse, ..EngineOptions::default() };
        bits(&outputs(&graph, &options))
    };
    let expected = run(1, false);
    for threads in [1, 2, 3] {
        assert!(run(threads, true) == expected, "{threads} threads");
    }
}

/// Int8 is an approximation of the float network, and the only one: 8 bits and seven layers of rounding
/// leave the direction of the outputs.
#[test]
fn int8_is_close_to_float() {
    let graph = network();
    let run = |precision| outputs(&graph, &EngineOptions { precision, ..EngineOptions::default() });
    for (i, (a, b)) in run(Precision::Int8).iter().zip(&run(Precision::Fp32)).enumerate() {
        let dot = |x: &[f32], y: &[f32]| -> f64 {
            x.iter().zip(y).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum()
        };
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine > 0.99 && a != b, "output {i}: cosine {cosine}");
    }
}

#[test]
fn a_made_network_stays_int8_to_its_heads() {
    let engine = Engine::new(&network(), &EngineOptions::default()).unwrap();
    assert_eq!(engine.plan().precision(), "int8");
    for step in &engine.plan().steps {
        let dtypes: Vec<String> = step.reads.iter().map(|loc| loc.dtype.to_string()).collect();
        assert!(dtypes.iter().all(|dtype| dtype == "i8"), "{} reads {dtypes:?}", step.name);
    }
}

#[test]
fn tensors_share_memory() {
    let bytes = |reuse| {
        let options = EngineOptions { reuse, ..EngineOptions::default() };
        Engine::new(&network(), &options).unwrap().plan().layout.bytes
    };
    assert!(bytes(true) < bytes(false), "{} of {}", bytes(true), bytes(false));
}

#[test]
fn inspect_shows_that_a_real_network_never_leaves_int8() {
    let Some(path) = shared("models/i8e.param") else { return };
    let ran = ocellus(&[&"inspect", &path, &"--size", &"320", &"--format", &"json"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["precision"], "int8");
    assert_eq!(report["inputs"][0]["dtype"], "i8");
    let steps = report["steps"].as_array().unwrap();
    let float: Vec<&Value> = steps.iter().filter(|step| step["input_dtype"] != "i8").collect();
    assert!(float.is_empty(), "{float:?}");
    let heads = steps.iter().filter(|step| step["dtype"] == "f32").count();
    assert_eq!(heads, report["outputs"].as_array().unwrap().len(), "only heads give real numbers");
}
