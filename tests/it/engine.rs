//! Exactness: whatever the memory layout, the number of threads and the instruction set, the same bytes.

use crate::network::{fill_input, network};
use crate::program::ocellus;
use crate::shared::shared;
use ocellus::engine::{Batch, Engine, EngineOptions, Output, Precision};
use ocellus::graph::{Graph, Op, Unary, WindowAttrs};
use ocellus::kernels::Requantization;
use ocellus::kernels::isa::Isa;
use ocellus::loader::{LoadOptions, load};
use ocellus::tensor::{Data, Quant, Shape, Tensor};
use ocellus::zoo;
use serde_json::Value;

/// The elements of an output, without what lies between pixels.
fn elements(output: Output<'_>) -> Vec<f32> {
    let channels = output.shape.nchw().map_or(1, |[_, c, _, _]| c);
    let pixels = output.plane.data.chunks(output.plane.pitch.max(1));
    pixels.flat_map(|pixel| &pixel[..channels]).copied().collect()
}

/// All outputs for some images, one after the other: each finds what those before it have left in the arena.
fn one_by_one(engine: &mut Engine, images: usize) -> Vec<Vec<f32>> {
    let size = engine.input_size();
    let mut outputs = Vec::new();
    for image in 0..images {
        fill_input(engine.input(), size, image as u64);
        engine.run();
        outputs.extend((0..engine.outputs()).map(|i| elements(engine.output(i))));
    }
    outputs
}

/// The same of one run; the run before it saw the images in another order.
fn at_once(batch: &mut Batch) -> Vec<Vec<f32>> {
    let (size, images) = (batch.input_size(), batch.images());
    for turn in [1, 0] {
        for image in 0..images {
            fill_input(batch.input(image), size, ((image + turn) % images) as u64);
        }
        batch.run();
    }
    let of = |image: usize| (0..batch.outputs()).map(move |i| (image, i));
    (0..images).flat_map(of).map(|(image, i)| elements(batch.output(image, i))).collect()
}

fn outputs(graph: &Graph, options: &EngineOptions) -> Vec<Vec<f32>> {
    one_by_one(&mut Engine::new(graph, options).unwrap(), 1)
}

fn bits(outputs: &[Vec<f32>]) -> Vec<Vec<u32>> {
    outputs.iter().map(|output| output.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Ways to run a network: instruction set, threads, and whether tensors share memory.
fn ways() -> Vec<(Isa, usize, bool)> {
    let with = |isa| [(1, true), (2, true), (3, false)].map(|(threads, reuse)| (isa, threads, reuse));
    Isa::available().into_iter().flat_map(with).collect()
}

/// Compares the plainest engine with other ways to run the same graph, image by image and as a batch.
fn assert_exact(name: &str, graph: &Graph, images: usize, ways: &[(Isa, usize, bool)]) {
    let plain = EngineOptions { isa: Isa::Scalar, reuse: false, ..EngineOptions::default() };
    let expected = bits(&one_by_one(&mut Engine::new(graph, &plain).unwrap(), images));
    assert!(expected.iter().flatten().any(|&word| word != 0));
    assert_ne!(expected[0], expected[expected.len() / images], "{name}: two images alike");
    for &(isa, threads, reuse) in ways {
        let options = EngineOptions { isa, threads, reuse, ..plain };
        let mut engine = Engine::new(graph, &options).unwrap();
        let case = format!("{name}, {isa}, {threads} threads, reuse {reuse}");
        assert!(bits(&one_by_one(&mut engine, images)) == expected, "{case}: other bytes than scalar");
        let mut batch = engine.with_batch(images).unwrap();
        assert!(bits(&at_once(&mut batch)) == expected, "{case}, batch: other bytes than scalar");
    }
}

#[test]
fn a_made_network_gives_the_same_bytes_everywhere() {
    assert_exact("made", &network(), 3, &ways());
}

#[test]
fn a_real_network_gives_the_same_bytes_everywhere() {
    let Some(path) = shared("models/i8e.param") else { return };
    let graph = load(&path, &LoadOptions { size: Some([128, 160]) }).unwrap().graph;
    assert_exact("real", &graph, 3, &ways());
}

/// The architectures of the built-in set are those that users bring; each must keep the promise. Each takes
/// another third of the ways, all instruction sets and all numbers of threads among them; the scalar kernels, slow
/// and the measure of all, only where there are no others.
#[test]
fn every_built_in_network_gives_the_same_bytes_everywhere() {
    let mut ways = ways();
    if Isa::detect() != Isa::Scalar {
        ways.retain(|(isa, ..)| *isa != Isa::Scalar);
    }
    for (at, network) in zoo::NETWORKS.iter().enumerate() {
        let graph = zoo::quantized(&network.graph([64; 2]).unwrap(), 3).unwrap();
        let turn = |(i, way): (usize, &_)| ((i / 3 + i + at) % 3 == 0).then_some(*way);
        let ways: Vec<_> = ways.iter().enumerate().filter_map(turn).collect();
        assert_exact(network.name, &graph, 2, &ways);
    }
}

/// Requantized in integers alone, a code is a step off here and there: on every instruction set the same ones.
fn assert_close_in_integers(name: &str, graph: &Graph) {
    let float = outputs(graph, &EngineOptions::default());
    let fixed = |isa, threads| {
        let requantization = Requantization::Fixed;
        outputs(graph, &EngineOptions { isa, threads, requantization, ..EngineOptions::default() })
    };
    let expected = fixed(Isa::Scalar, 1);
    for isa in Isa::available() {
        assert!(bits(&fixed(isa, 2)) == bits(&expected), "{name}, {isa}: other bytes than scalar");
    }
    let pairs = || float.iter().flatten().zip(expected.iter().flatten());
    let signal: f32 = pairs().map(|(a, _)| a * a).sum();
    let noise: f32 = pairs().map(|(a, b)| (a - b) * (a - b)).sum();
    assert!(noise > 0.0 && noise < signal * 3e-3, "{name}: {noise} of {signal}");
}

#[test]
fn a_made_network_is_close_in_integers_alone() {
    assert_close_in_integers("made", &network());
}

#[test]
fn a_real_network_is_close_in_integers_alone() {
    let Some(path) = shared("models/i8e.param") else { return };
    let graph = load(&path, &LoadOptions { size: Some([128, 160]) }).unwrap().graph;
    assert_close_in_integers("real", &graph);
}

/// Fewer images than threads, and more.
#[test]
fn a_batch_may_have_any_size() {
    let options = EngineOptions { threads: 2, ..EngineOptions::default() };
    for images in [1, 3, 5] {
        let mut batch = Engine::new(network(), &options).unwrap().with_batch(images).unwrap();
        let size = batch.input_size();
        (0..images).for_each(|image| fill_input(batch.input(image), size, 0));
        batch.run();
        let first = elements(batch.output(0, 0));
        assert!((1..images).all(|image| elements(batch.output(image, 0)) == first), "{images} images");
    }
    for (images, words) in [(0, "1 to 1024"), (1025, "1 to 1024")] {
        let refused = Engine::new(network(), &options).unwrap().with_batch(images);
        assert!(refused.err().unwrap().to_string().contains(words));
    }
}

/// A float network promises the same bytes on one machine: no sum depends on how the rows are shared.
#[test]
fn float_does_not_depend_on_the_number_of_threads() {
    let graph = network();
    let run = |threads, reuse| {
        let options =
            EngineOptions { precision: Precision::Fp32, threads, reuse, ..EngineOptions::default() };
        bits(&one_by_one(&mut Engine::new(&graph, &options).unwrap(), 3))
    };
    let expected = run(1, false);
    for threads in [1, 2, 3] {
        assert!(run(threads, true) == expected, "{threads} threads");
    }
    let options = EngineOptions { precision: Precision::Fp32, threads: 2, ..EngineOptions::default() };
    let mut batch = Engine::new(&graph, &options).unwrap().with_batch(3).unwrap();
    assert!(bits(&at_once(&mut batch)) == expected, "a batch");
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
    let engine = Engine::new(network(), &EngineOptions::default()).unwrap();
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
        Engine::new(network(), &options).unwrap().plan().layout.bytes
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

/// Whoever keeps a layer's weights real keeps the layer in float, whatever grid its operand is on: the result is
/// exactly that of the operand's codes.
#[test]
fn a_layer_with_real_weights_runs_in_float() {
    let mut graph = Graph::new();
    let x = graph.push_input("x", Shape::new([1, 1, 1, 1]).unwrap()).unwrap();
    let x = graph.push("grid", Op::FakeQuant(Quant::new(0.25, 0).unwrap()), vec![x], "codes").unwrap();
    let weights = Tensor::new(Shape::new([1; 4]).unwrap(), Data::F32(vec![1.0 / 3.0])).unwrap();
    let weights = graph.push_constant("weights", weights).unwrap();
    let window = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
    let conv = Op::Conv { window, groups: 1, activation: None };
    graph.outputs = vec![graph.push("conv", conv, vec![x, weights], "y").unwrap()];
    let mut engine = Engine::new(&graph, &EngineOptions::default()).unwrap();
    assert_eq!(engine.plan().precision(), "fp32");
    engine.fill_reals(&[0.8]);
    engine.run();
    assert_eq!(engine.output(0).plane.data[0], 0.75 / 3.0);
}

/// What a file states no grid for is real: the second operand of the concat reaches further than the grid of the
/// first, which it must not be given.
#[test]
fn a_real_operand_of_a_concat_keeps_its_numbers() {
    let mut graph = Graph::new();
    let x = graph.push_input("x", Shape::new([1, 1, 1, 1]).unwrap()).unwrap();
    let scaled = |graph: &mut Graph, name: &str, scale: f32| {
        let op = Op::Unary(Unary::Affine { scale, shift: 0.0 });
        graph.push(name, op, vec![x], name).unwrap()
    };
    let near = scaled(&mut graph, "near", 1.0);
    let near =
        graph.push("grid", Op::FakeQuant(Quant::new(0.25, 0).unwrap()), vec![near], "near.codes").unwrap();
    let far = scaled(&mut graph, "far", 1000.0);
    graph.outputs = vec![graph.push("both", Op::Concat { axis: 1 }, vec![near, far], "both").unwrap()];
    let mut engine = Engine::new(&graph, &EngineOptions::default()).unwrap();
    engine.fill_reals(&[0.8]);
    engine.run();
    assert_eq!(elements(engine.output(0)), [0.75, 800.0]);
}
