//! What operators become. Shapes and values not derived in a comment were computed with onnxruntime 1.31.

use super::writer::{floats, ints, model, node};
use super::{graph, ops, output, refusal};
use crate::graph::{Op, ResizeCoords, ResizeMode, Unary};
use crate::loader::LoadOptions;

const X: [i64; 4] = [1, 6, 8, 8];

/// A model of opset 13 with one input `[1,6,8,8]`.
fn small(nodes: &[super::writer::Node], tensors: &[super::writer::Writer]) -> Vec<u8> {
    model(13, &X, nodes, tensors, "y")
}

#[test]
fn shape_arithmetic_is_folded() {
    // PyTorch's `x.view(x.size(0), -1)` with dynamic axes.
    let nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n").int("axis", 0),
        node("Unsqueeze", "n zeros", "n1"),
        node("Concat", "n1 minus", "to").int("axis", 0),
        node("Reshape", "x to", "y"),
    ];
    let scalar = super::writer::raw("zero", 7, &[], &0i64.to_le_bytes());
    let tensors = [scalar, ints("zeros", &[0]), ints("minus", &[-1])];
    let bytes = model(13, &[-1, 3, -1, -1], &nodes, &tensors, "y");
    let small = super::parse(&bytes, &LoadOptions { size: Some([64, 32]) }).unwrap();
    assert_eq!(output(&small.graph), [1, 3 * 64 * 32]);
    assert_eq!(small.metadata, [("stride".to_string(), "32".to_string())]);
    assert_eq!(output(&graph(&bytes)), [1, 3 * 320 * 320]);
    assert!(matches!(ops(&small.graph)[..], [Op::Reshape { .. }]));
}

#[test]
fn pads_of_a_pytorch_export_are_folded() {
    // Reverses pairs of pads with a negative step: [1,2,3,4] (left, right, top, bottom).
    let nodes = [
        node("ConstantOfShape", "four", "z").tensor("value", ints("", &[0])),
        node("Concat", "p z", "c").int("axis", 0),
        node("Reshape", "c pairs", "r"),
        node("Slice", "r minus first zero minus", "v"),
        node("Transpose", "v", "t").ints("perm", &[1, 0]),
        node("Reshape", "t minus", "f"),
        node("Cast", "f", "k").int("to", 7),
        node("Pad", "x k", "y"),
    ];
    let tensors = [
        ints("four", &[4]),
        ints("p", &[1, 2, 3, 4]),
        ints("pairs", &[-1, 2]),
        ints("minus", &[-1]),
        ints("first", &[i64::MIN + 1]),
        ints("zero", &[0]),
    ];
    let graph = graph(&small(&nodes, &tensors));
    let expected = Op::Pad { before: vec![0, 0, 3, 1], after: vec![0, 0, 4, 2], value: 0.0 };
    assert_eq!(ops(&graph), [&expected]);
}

#[test]
fn anchor_grids_are_folded() {
    // Range and Expand make a row of column indices for each of the 8 rows.
    let nodes = [
        node("Range", "zero eight one", "r"),
        node("Cast", "r", "f").int("to", 1),
        node("Expand", "f to", "g"),
        node("Add", "x g", "y"),
    ];
    let scalar = |name: &str, v: i64| super::writer::raw(name, 7, &[], &v.to_le_bytes());
    let tensors = [scalar("zero", 0), scalar("eight", 8), scalar("one", 1), ints("to", &[8, 8])];
    let graph = graph(&small(&nodes, &tensors));
    let grid = graph.constant(graph.nodes[0].inputs[1]).unwrap();
    assert_eq!(grid.shape().dims(), [8, 8]);
    assert!(grid.to_f32().iter().enumerate().all(|(i, &v)| v == (i % 8) as f32));
}

#[test]
fn automatic_padding_becomes_explicit() {
    let pad = |mode: &str, stride: i64| {
        let conv = node("Conv", "x w", "y").text("auto_pad", mode).ints("strides", &[stride, stride]);
        let graph = graph(&small(&[conv], &[floats("w", &[1, 6, 4, 3], &[0.5; 72])]));
        match ops(&graph)[..] {
            [Op::Conv { window, .. }] => (window.pad, output(&graph).to_vec()),
            _ => panic!(),
        }
    };
    // 8 rows, kernel 4, stride 1: 3 cells of padding; stride 3: 3 outputs span 10 rows, 2 cells.
    assert_eq!(pad("SAME_UPPER", 1), ([1, 1, 2, 1], vec![1, 1, 8, 8]));
    assert_eq!(pad("SAME_LOWER", 1), ([2, 1, 1, 1], vec![1, 1, 8, 8]));
    assert_eq!(pad("SAME_UPPER", 3), ([1, 0, 1, 1], vec![1, 1, 3, 3]));
    assert_eq!(pad("VALID", 2), ([0; 4], vec![1, 1, 3, 3]));
}

#[test]
fn ceil_mode_becomes_a_tail() {
    let pool = |side: i64, kernel: i64, stride: i64, pad: i64| {
        let pool = node("MaxPool", "x", "y")
            .ints("kernel_shape", &[kernel; 2])
            .ints("strides", &[stride; 2])
            .ints("pads", &[pad; 4])
            .int("ceil_mode", 1);
        let graph = graph(&model(13, &[1, 2, side, side], &[pool], &[], "y"));
        match ops(&graph)[..] {
            [Op::Pool { tail, .. }] => (tail[0], output(&graph)[2]),
            _ => panic!(),
        }
    };
    assert_eq!(pool(8, 3, 2, 0), (1, 4));
    assert_eq!(pool(7, 3, 2, 0), (0, 3));
    // A fourth window would start in the padding behind the input.
    assert_eq!(pool(9, 2, 3, 1), (0, 4));
    assert_eq!(pool(7, 2, 2, 0), (1, 4));
}

#[test]
fn resize_settings_that_pick_the_same_cells_are_one() {
    let resize = |coords: &str, rounding: &str, scale: f32| {
        let resize = node("Resize", "x - s", "y")
            .text("coordinate_transformation_mode", coords)
            .text("nearest_mode", rounding);
        small(&[resize], &[floats("s", &[4], &[1.0, 1.0, scale, scale])])
    };
    let coords = |bytes: &[u8]| match ops(&graph(bytes))[..] {
        [Op::Resize { mode: ResizeMode::Nearest, coords, .. }] => *coords,
        _ => panic!(),
    };
    assert_eq!(coords(&resize("asymmetric", "floor", 2.0)), ResizeCoords::Asymmetric);
    assert_eq!(coords(&resize("half_pixel", "round_prefer_floor", 2.0)), ResizeCoords::Asymmetric);
    assert_eq!(coords(&resize("half_pixel", "round_prefer_floor", 0.25)), ResizeCoords::HalfPixel);
    assert_eq!(coords(&resize("asymmetric", "round_prefer_floor", 2.0)), ResizeCoords::Asymmetric);
    let error = refusal(&resize("asymmetric", "ceil", 2.0)).to_string();
    assert!(error.contains("asymmetric, ceil"), "{error}");
}

#[test]
fn old_softmax_spans_all_axes_from_its_axis_on() {
    let softmax = node("Softmax", "x", "y").int("axis", 1);
    let shapes = |opset| {
        let graph = graph(&model(opset, &X, std::slice::from_ref(&softmax), &[], "y"));
        graph.nodes.iter().map(|n| graph.shape(n.output).dims().to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(shapes(11), [vec![1, 384], vec![1, 384], vec![1, 6, 8, 8]]);
    assert_eq!(shapes(13), [vec![1, 6, 8, 8]]);
}

#[test]
fn arithmetic_with_a_number_is_a_function_of_one_variable() {
    let unary = |op: &str, operands: &str| {
        let graph = graph(&small(&[node(op, operands, "y")], &[floats("c", &[], &[4.0])]));
        match ops(&graph)[..] {
            [Op::Unary(unary)] => *unary,
            _ => panic!("{op}"),
        }
    };
    assert_eq!(unary("Sub", "x c"), Unary::Affine { scale: 1.0, shift: -4.0 });
    assert_eq!(unary("Sub", "c x"), Unary::Affine { scale: -1.0, shift: 4.0 });
    assert_eq!(unary("Div", "x c"), Unary::Affine { scale: 0.25, shift: 0.0 });
    assert_eq!(unary("Div", "c x"), Unary::Reciprocal { numerator: 4.0 });
    assert_eq!(unary("Pow", "x c"), Unary::Pow { exponent: 4.0 });
    assert_eq!(unary("Min", "x c"), Unary::Clip { lo: f32::MIN, hi: 4.0 });
}

#[test]
fn batch_normalization_is_a_scale_and_a_shift() {
    // scale 2 / √(3 + 1) = 1; shift 5 − 7 · 1 = −2.
    let norm = node("BatchNormalization", "x g b m v", "y").float("epsilon", 1.0);
    let tensor = |name: &str, v: f32| floats(name, &[6], &[v; 6]);
    let tensors = [tensor("g", 2.0), tensor("b", 5.0), tensor("m", 7.0), tensor("v", 3.0)];
    let graph = graph(&small(&[norm], &tensors));
    let parameter = |i: usize| graph.constant(graph.nodes[0].inputs[i]).unwrap().to_f32();
    assert_eq!((parameter(1), parameter(2)), (vec![1.0; 6], vec![-2.0; 6]));
}

#[test]
fn matrices_of_gemm_are_transposed_and_scaled() {
    let nodes = [
        node("GlobalMaxPool", "x", "p"),
        node("Flatten", "p", "f"),
        node("Gemm", "f w c", "y").float("alpha", 2.0).float("beta", 3.0),
    ];
    let w: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let graph = graph(&small(&nodes, &[floats("w", &[6, 2], &w), floats("c", &[1, 2], &[1.0, 2.0])]));
    let linear = graph.nodes.last().unwrap();
    let weights = graph.constant(linear.inputs[1]).unwrap();
    assert_eq!(weights.shape().dims(), [2, 6]);
    assert_eq!(weights.to_f32()[..7], [0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 2.0]);
    assert_eq!(graph.constant(linear.inputs[2]).unwrap().to_f32(), [3.0, 6.0]);
}

#[test]
fn parts_and_picks_become_slices_and_gathers() {
    let split = node("Split", "x", "a b c").int("axis", 2).int("num_outputs", 3);
    let parts = graph(&model(18, &X, &[split], &[], "a b c"));
    let rows: Vec<_> = parts.outputs.iter().map(|&o| parts.shape(o)[2]).collect();
    assert_eq!(rows, [3, 3, 2]);
    let scalar = super::writer::raw("i", 7, &[], &(-2i64).to_le_bytes());
    let pick = graph(&small(&[node("Gather", "x i", "y").int("axis", 1)], &[scalar]));
    let start = vec![0, 4, 0, 0];
    let slice = Op::Slice { start, step: vec![1; 4], count: vec![1, 1, 8, 8] };
    assert_eq!(ops(&pick), [&slice, &Op::Reshape { shape: vec![1, 8, 8] }]);
    let list = graph(&small(&[node("Gather", "x i", "y").int("axis", 1)], &[ints("i", &[3, -1])]));
    assert_eq!(ops(&list), [&Op::Gather { axis: 1, indices: vec![3, 5] }]);
}

#[test]
fn aliases_keep_the_name_of_the_output() {
    let graph = graph(&small(&[node("Relu", "x", "r"), node("Identity", "r", "y")], &[]));
    assert_eq!(ops(&graph), [&Op::Unary(Unary::Relu)]);
    assert_eq!(graph.value(graph.outputs[0]).name, "y");
}

#[test]
fn only_nodes_that_outputs_need_must_be_supported() {
    let strange = node("NonZero", "x", "z");
    let graph = graph(&small(&[strange.clone(), node("Relu", "x", "y")], &[]));
    assert_eq!(graph.nodes.len(), 1);
    let error = refusal(&small(&[strange, node("Relu", "z", "y")], &[])).to_string();
    assert!(error.contains("NonZero z") && error.contains("--engine tract"), "{error}");
}
