//! Files that are broken, or made to break the reader.

use super::writer::{Node, Writer, codes, floats, ints, model, node, raw, value};
use super::{graph, refusal};
use crate::Error;
use crate::loader::{LoadOptions, onnx::parse};
use std::time::{Duration, Instant};

const X: [i64; 4] = [1, 2, 8, 8];

/// A model with a bit of everything.
fn sample() -> Vec<u8> {
    let nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("MaxPool", "q", "p").ints("kernel_shape", &[3, 3]).ints("pads", &[1; 4]).int("ceil_mode", 1),
        node("DequantizeLinear", "p s z", "d"),
        node("DequantizeLinear", "w t", "wd").int("axis", 0),
        node("Conv", "d wd b", "c").text("auto_pad", "SAME_UPPER").ints("strides", &[2, 2]),
        node("Resize", "c - k", "r").text("coordinate_transformation_mode", "asymmetric"),
        node("Shape", "r", "sh"),
        node("Slice", "sh a0 a2", "nc"),
        node("Concat", "nc minus", "to").int("axis", 0),
        node("Reshape", "r to", "f"),
        node("Split", "f", "l m").int("axis", 1),
        node("Clip", "l lo", "lc"),
        node("Concat", "m lc", "y").int("axis", -1),
    ];
    let tensors = [
        floats("s", &[], &[0.5]),
        raw("z", 2, &[], &[100]),
        codes("w", &[2, 2, 1, 1], &[1, 2, 3, 4]),
        floats("t", &[2], &[0.5, 0.25]),
        floats("b", &[2], &[1.0, 2.0]),
        floats("k", &[4], &[1.0, 1.0, 2.0, 2.0]),
        ints("a0", &[0]),
        ints("a2", &[2]),
        Writer::default().ints(1, &[1]).int(2, 7).ints(7, &[-1]).bytes(8, "minus"),
        floats("lo", &[], &[0.0]),
    ];
    model(13, &X, &nodes, &tensors, "y")
}

#[test]
fn the_sample_loads() {
    assert_eq!(super::output(&graph(&sample())), [1, 1, 128]);
}

#[test]
fn truncated_anywhere_is_an_error_or_a_smaller_model() {
    let bytes = sample();
    for length in 0..bytes.len() {
        // Cut at a field's end, a file may still be a model (without metadata); never a panic.
        let result = parse(&bytes[..length], &LoadOptions::default());
        assert!(result.is_err() || length > bytes.len() - 40, "{length}");
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut bytes = sample();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let _ = parse(&bytes, &LoadOptions::default());
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn hostile_tensors_are_refused_before_they_are_allocated() {
    let with =
        |tensor: Writer| refusal(&model(13, &X, &[node("Conv", "x w", "y")], &[tensor], "y")).to_string();
    let huge = with(raw("w", 1, &[1 << 31, 1 << 31], &[0; 8]));
    assert!(huge.contains("initializer w") && huge.contains("dimension"), "{huge}");
    assert!(with(raw("w", 1, &[1 << 27], &[])).contains("claims 134217728 elements"));
    assert!(with(raw("w", 1, &[-2], &[0; 8])).contains("dimension -2"));
    assert!(with(raw("w", 1, &[1 << 20, 1 << 20], &[0; 8])).contains("elements"));
    assert!(with(raw("w", 1, &[1; 9], &[0; 4])).contains("more than 8 elements"));
    assert!(with(raw("w", 1, &[2, 2, 1, 1], &[0; 15])).contains("needs 16 bytes, 15 are there"));
    assert!(
        with(Writer::default().int(1, 2).int(2, 1).bytes(4, [0; 4]).bytes(8, "w"))
            .contains("has 1 of its 2 elements")
    );
    assert!(with(floats("w", &[1, 2, 1, 1], &[1.0, f32::NAN])).contains("NaN"));
    assert!(with(raw("w", 1, &[1, 2, 1, 1], &[]).int(14, 1)).contains("external data"));
    assert!(with(raw("w", 5, &[1, 2, 1, 1], &[0; 4])).contains("int16"));
}

#[test]
fn broken_graphs_are_refused_with_the_node() {
    let with = |nodes: &[Node]| refusal(&model(13, &X, nodes, &[], "y")).to_string();
    let cycle = with(&[node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]);
    assert!(cycle.contains("cyclic or unsorted") && cycle.contains("Add a"), "{cycle}");
    assert!(with(&[node("Relu", "nowhere", "y")]).contains("nothing makes the operand \"nowhere\""));
    assert!(with(&[]).contains("output y"));
    assert!(with(&[node("Relu", "x", "y"), node("Relu", "x", "y")]).contains("made twice"));
    assert!(with(&[node("Relu", "x", "x"), node("Relu", "x", "y")]).contains("network's input"));
    assert!(with(&[node("Relu", "", "y")]).contains("operand 0 is missing"));
    assert!(with(&[node("Conv", "x", "y")]).contains("operand 1 is missing"));
    assert!(with(&[node("Add", "x x x", "y")]).contains("3 operands"));
    assert!(with(&[node("If", "x", "y")]).contains("--engine tract"));
    let zero = node("MaxPool", "x", "y").ints("kernel_shape", &[0, 1]);
    assert!(with(&[zero]).contains("MaxPool y"));
    assert!(with(&[node("Concat", "x x", "y").int("axis", i64::MIN)]).contains("axis"));
    let split = node("Split", "x", "y z").ints("split", &[i64::MAX, i64::MAX]).int("axis", 1);
    assert!(with(&[split]).contains("Split y"));
}

#[test]
fn inputs_that_no_engine_here_can_feed_are_refused() {
    let with = |dims: &[i64]| refusal(&model(13, dims, &[node("Relu", "x", "y")], &[], "y")).to_string();
    assert!(with(&[4, 3, 32, 32]).contains("the batch is fixed to 4"));
    assert!(with(&[1, 32, 32, 3]).contains("channels-first"));
    assert!(with(&[1, 3, 32]).contains("rank 3"));
    assert!(with(&[1, 3, 1 << 40, 32]).contains("dimension"));
    let old = refusal(&model(6, &X, &[node("Relu", "x", "y")], &[], "y")).to_string();
    assert!(old.contains("operator set 6"), "{old}");
    let two = Writer::default().bytes(11, value("a", &X)).bytes(11, value("b", &X));
    let file = Writer::default().bytes(7, two).bytes(8, Writer::default().int(2, 13));
    assert!(refusal(&file.0).to_string().contains("one input"));
}

#[test]
fn initializers_may_be_listed_as_inputs() {
    let graph = Writer::default()
        .bytes(11, value("x", &X))
        .bytes(11, value("s", &[]))
        .bytes(5, floats("s", &[], &[2.0]))
        .bytes(1, Writer::default().bytes(1, "x").bytes(1, "s").bytes(2, "y").bytes(4, "Mul"))
        .bytes(12, value("y", &[]));
    let file = Writer::default().bytes(7, graph).bytes(8, Writer::default().int(2, 8));
    assert_eq!(super::graph(&file.0).nodes.len(), 1);
}

/// A few hundred bytes that ask for gigabytes, each way once.
#[test]
fn small_files_cannot_ask_for_much_memory_or_time() {
    let start = Instant::now();
    let bomb = |nodes: &[Node], tensors: &[Writer]| {
        let error = refusal(&model(13, &X, nodes, tensors, "y"));
        assert!(matches!(error, Error::BadModel { .. }), "{error}");
    };
    let big = ints("n", &[1 << 21]);
    // Each copy is within the limits; all together are not.
    let mut nodes = vec![node("ConstantOfShape", "n", "c0")];
    nodes.extend((0..20).map(|i| node("Neg", &format!("c{i}"), &format!("c{}", i + 1))));
    nodes.push(node("Add", "x c20", "y"));
    bomb(&nodes, std::slice::from_ref(&big));
    let expand = [node("ConstantOfShape", "n", "c"), node("Tile", "c r", "t"), node("Add", "x t", "y")];
    bomb(&expand, &[ints("n", &[1 << 14]), ints("r", &[1 << 14])]);
    // Found by fuzzing: ten seconds of an unoptimised build went into one repetition.
    bomb(
        &[node("Tile", "c r", "t"), node("Add", "x t", "y")],
        &[floats("c", &[1, 3, 1, 4], &[1.0; 12]), ints("r", &[5, 29_800, 8, 2])],
    );
    let scalar = |name: &str, v: i64| raw(name, 7, &[], &v.to_le_bytes());
    let range = [node("Range", "a b c", "r"), node("Add", "x r", "y")];
    bomb(&range, &[scalar("a", i64::MIN), scalar("b", i64::MAX), scalar("c", 1)]);
    bomb(&range, &[scalar("a", 0), scalar("b", 9), scalar("c", 0)]);
    let pad = [node("Pad", "x p", "y")];
    bomb(&pad, &[ints("p", &[0, 0, 1 << 40, 0, 0, 0, 0, 0])]);
    let resize = [node("Resize", "x - - n", "y").text("mode", "linear")];
    bomb(&resize, &[ints("n", &[1, 2, 1 << 27, 8])]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
