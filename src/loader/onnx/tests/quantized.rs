//! QDQ models.

use super::writer::{Node, Writer, codes, floats, model, node, raw};
use super::{graph, ops, refusal};
use crate::graph::Op;
use crate::tensor::{Data, Quant};

const X: [i64; 4] = [1, 2, 4, 4];

/// Quantizes `x` to `q` with scale 0.5 and the uint8 zero point 100, then runs `nodes`.
fn quantized(nodes: &[Node], tensors: &[Writer]) -> Vec<u8> {
    let nodes = [&[node("QuantizeLinear", "x s z", "q")], nodes].concat();
    let parameters = [floats("s", &[], &[0.5]), raw("z", 2, &[], &[100])];
    model(13, &X, &nodes, &[&parameters, tensors].concat(), "y")
}

fn grid() -> Op {
    Op::FakeQuant(Quant::new(0.5, -28).unwrap())
}

#[test]
fn one_quantize_with_many_dequantizes_is_one_tensor() {
    let nodes = [
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", "q s z", "b"),
        node("Add", "a b", "y"),
    ];
    let graph = graph(&quantized(&nodes, &[]));
    assert!(matches!(ops(&graph)[..], [q, Op::Binary { .. }] if *q == grid()));
    assert_eq!(graph.nodes[1].inputs[0], graph.nodes[1].inputs[1]);
}

#[test]
fn codes_move_between_quantize_and_dequantize() {
    let nodes = [
        node("MaxPool", "q", "p").ints("kernel_shape", &[2, 2]),
        node("Concat", "p p", "c").int("axis", 1),
        node("DequantizeLinear", "c s z", "y"),
    ];
    let graph = graph(&quantized(&nodes, &[]));
    assert!(matches!(ops(&graph)[..], [_, Op::Pool { .. }, Op::Concat { axis: 1 }]));
    assert_eq!(graph.value(graph.outputs[0]).name, "y");
}

#[test]
fn arithmetic_on_codes_and_changed_parameters_are_refused() {
    let error = refusal(&quantized(&[node("Relu", "q", "y")], &[])).to_string();
    assert!(error.contains("Relu y") && error.contains("dequantize"), "{error}");
    let other = [node("DequantizeLinear", "q t z", "y")];
    let error = refusal(&quantized(&other, &[floats("t", &[], &[0.25])])).to_string();
    assert!(error.contains("other parameters"), "{error}");
    let scales = [node("DequantizeLinear", "q s z", "a"), node("QuantizeLinear", "a t u", "b")];
    let nodes = [&scales[..], &[node("DequantizeLinear", "b t u", "y")]].concat();
    let per_channel = [floats("t", &[2], &[0.5, 1.0]), raw("u", 2, &[2], &[0, 0])];
    let error = refusal(&quantized(&nodes, &per_channel)).to_string();
    assert!(error.contains("2 scales instead of 1"), "{error}");
}

/// Weights of a 1×1 convolution from 2 to 2 channels, dequantized with the given parameters.
fn weights(values: [i8; 4], scales: Writer, zero: Option<Writer>, axis: i64) -> Data {
    let operands = if zero.is_some() { "w t u" } else { "w t" };
    let nodes = [
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", operands, "d").int("axis", axis),
        node("Conv", "a d", "y"),
    ];
    let tensors: Vec<_> = [codes("w", &[2, 2, 1, 1], &values), scales].into_iter().chain(zero).collect();
    let graph = graph(&quantized(&nodes, &tensors));
    graph.constant(graph.nodes[1].inputs[1]).unwrap().data().clone()
}

#[test]
fn symmetric_weights_stay_int8() {
    let q8 = |scales: &[f32]| Data::Q8 { codes: vec![1, -2, 3, 127], scales: scales.to_vec() };
    let values = [1, -2, 3, 127];
    let zero = || Some(codes("u", &[2], &[0, 0]));
    assert_eq!(weights(values, floats("t", &[2], &[0.5, 0.25]), zero(), 0), q8(&[0.5, 0.25]));
    assert_eq!(weights(values, floats("t", &[], &[0.5]), None, 1), q8(&[0.5, 0.5]));
}

/// The graph's int8 weights are symmetric, without −128, with scales along axis 0: what a file states otherwise is
/// rounded to them, each channel's largest to code 127.
#[test]
fn other_codes_are_rounded_to_symmetric_weights() {
    let two = || floats("t", &[2], &[0.5, 0.25]);
    let scale = || floats("t", &[], &[0.5]);
    let q8 = |codes: [i8; 4], largest: [f32; 2]| Data::Q8 {
        codes: codes.to_vec(),
        scales: largest.map(|most| most / 127.0).to_vec(),
    };
    assert_eq!(weights([1, -2, 3, 4], two(), None, 1), q8([127, -127, 127, 85], [0.5, 1.5]));
    assert_eq!(weights([1, -2, 3, -128], scale(), None, 0), q8([64, -127, 3, -127], [1.0, 64.0]));
    let zero = Some(codes("u", &[], &[1]));
    assert_eq!(weights([1, -2, 3, 4], scale(), zero, 0), q8([0, -127, 85, 127], [1.5, 1.5]));
}

/// A file that quantizes a tensor but not the weights that meet it leaves that layer in float.
#[test]
fn real_weights_stay_real() {
    let nodes = [node("DequantizeLinear", "q s z", "a"), node("Conv", "a w", "y")];
    let graph = graph(&quantized(&nodes, &[floats("w", &[2, 2, 1, 1], &[0.5, 0.25, 1.0, 2.0])]));
    let weights = graph.constant(graph.nodes[1].inputs[1]).unwrap();
    assert_eq!(*weights.data(), Data::F32(vec![0.5, 0.25, 1.0, 2.0]));
}

#[test]
fn a_bias_of_accumulator_codes_becomes_real() {
    let bytes: Vec<u8> = [8i32, -4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let nodes = [
        node("DequantizeLinear", "q s z", "a"),
        node("DequantizeLinear", "b t", "d").int("axis", 0),
        node("Conv", "a w d", "y"),
    ];
    let tensors =
        [raw("b", 6, &[2], &bytes), floats("t", &[2], &[0.5, 0.25]), floats("w", &[2, 2, 1, 1], &[1.0; 4])];
    let graph = graph(&quantized(&nodes, &tensors));
    assert_eq!(graph.constant(graph.nodes[1].inputs[2]).unwrap().to_f32(), [4.0, -1.0]);
}

#[test]
fn real_weights_between_quantize_and_dequantize_become_int8() {
    let nodes = [
        node("QuantizeLinear", "w t u", "wq").int("axis", 0).domain("com.microsoft"),
        node("DequantizeLinear", "wq t u", "d").int("axis", 0).domain("com.microsoft"),
        node("DequantizeLinear", "q s z", "a"),
        node("Conv", "a d", "y"),
    ];
    // 0.75 / 0.5 = 1.5 and −1.25 / 0.5 = −2.5: ties go to even.
    let w = floats("w", &[2, 2, 1, 1], &[0.75, -1.25, 1.0, 1000.0]);
    let tensors = [w, floats("t", &[2], &[0.5, 1.0]), codes("u", &[2], &[0, 0])];
    let graph = graph(&quantized(&nodes, &tensors));
    let expected = Data::Q8 { codes: vec![2, -2, 1, 127], scales: vec![0.5, 1.0] };
    assert_eq!(graph.constant(graph.nodes[1].inputs[1]).unwrap().data(), &expected);
}

#[test]
fn other_styles_of_quantization_are_named() {
    let linear = node("QLinearConv", "x s z w s z s z", "y");
    let error = refusal(&quantized(&[linear], &[codes("w", &[2, 2, 1, 1], &[1; 4])])).to_string();
    assert!(error.contains("QLinearConv") && error.contains("QDQ format"), "{error}");
    let nodes = [node("DequantizeLinear", "w s", "d"), node("Conv", "x d", "y")];
    let int4 = raw("w", 22, &[2, 2, 1, 1], &[0x21, 0x43]);
    let error = refusal(&quantized(&nodes, &[int4])).to_string();
    assert!(error.contains("int4") && error.contains("initializer w"), "{error}");
    let bare = [node("DequantizeLinear", "q s z", "a"), node("Conv", "a w", "y")];
    let error = refusal(&quantized(&bare, &[codes("w", &[2, 2, 1, 1], &[1; 4])])).to_string();
    assert!(error.contains("DequantizeLinear"), "{error}");
}
