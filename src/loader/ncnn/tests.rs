//! Whole models, written inline, and the shared ones where they are present.
//!
//! Shapes and indices that are not plain arithmetic were taken from the ncnn wheel 1.0.20261020 (PyPI), run
//! on the same layer lines with distinct input elements.

use super::*;
use crate::graph::{Graph, Op, PoolKind, Unary, ValueId};
use crate::tensor::{Data, Quant};
use std::fs;

/// A network over a blob `in` of `[6, 7, 9]` elements.
fn param(layers: &[&str]) -> Vec<u8> {
    let lines = ["Input in 0 1 in 0=9 1=7 2=6"].iter().chain(layers);
    let text = lines.fold(format!("7767517\n{} 99\n", layers.len() + 1), |text, line| text + line + "\n");
    text.into_bytes()
}

fn load(layers: &[&str], bin: &[u8]) -> Result<Graph> {
    parse(&param(layers), bin, &LoadOptions::default()).map(|model| model.graph)
}

fn error(layers: &[&str], bin: &[u8]) -> String {
    load(layers, bin).unwrap_err().to_string()
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn tagged_floats(values: &[f32]) -> Vec<u8> {
    [vec![0; 4], floats(values)].concat()
}

fn codes(values: &[i8]) -> Vec<u8> {
    let mut bytes = 0x000D_4B38_u32.to_le_bytes().to_vec();
    bytes.extend(values.iter().map(|&code| code as u8));
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn output_dims(graph: &Graph) -> Vec<usize> {
    graph.shape(graph.outputs[0]).dims().to_vec()
}

fn op_names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

fn weights_of(graph: &Graph, node: usize) -> &Data {
    graph.constant(graph.nodes[node].inputs[1]).unwrap().data()
}

#[test]
fn shapes_are_those_of_ncnn() {
    let cases: [(&str, &[usize]); 30] = [
        ("Crop c 1 1 in out 0=1 3=2 4=-233 5=-233", &[6, 7, 2]),
        ("Crop c 1 1 in out 3=-233 4=-233 5=-233 6=1 7=2 8=3", &[3, 5, 8]),
        ("Crop c 1 1 in out -23309=1,1 -23310=1,-1 -23311=1,1", &[6, 5, 9]),
        ("Crop c 1 1 in out -23309=1,-2 -23310=1,-233 -23311=1,-1", &[6, 7, 2]),
        ("Crop c 1 1 in out 9=1,2,3 10=3,4,5", &[2, 2, 2]),
        ("Reshape r 1 1 in out 0=-1 1=3 2=2", &[2, 3, 63]),
        ("Reshape r 1 1 in out 0=0 1=-1", &[42, 9]),
        ("Reshape r 1 1 in out 0=3 1=3 11=7 2=-1", &[6, 7, 3, 3]),
        ("Flatten f 1 1 in out", &[378]),
        ("Permute p 1 1 in out 0=1", &[6, 9, 7]),
        ("Permute p 1 1 in out 0=2", &[7, 6, 9]),
        ("Permute p 1 1 in out 0=3", &[7, 9, 6]),
        ("Permute p 1 1 in out 0=4", &[9, 6, 7]),
        ("Permute p 1 1 in out 0=5", &[9, 7, 6]),
        ("ExpandDims e 1 1 in out -23303=1,-2", &[6, 7, 1, 9]),
        ("Squeeze s 1 1 in out -23303=1,-2", &[6, 7, 9]),
        ("Padding p 1 1 in out 0=1 1=2 2=3 5=1.5 7=2 8=1", &[9, 10, 12]),
        ("Pooling p 1 1 in out 1=3 2=2", &[6, 3, 4]),
        ("Pooling p 1 1 in out 1=2 2=2", &[6, 4, 5]),
        ("Pooling p 1 1 in out 1=2 2=2 5=1", &[6, 3, 4]),
        ("Pooling p 1 1 in out 1=3 2=2 5=2", &[6, 4, 5]),
        ("Pooling p 1 1 in out 0=1 4=1", &[6]),
        ("Pooling p 1 1 in out 7=1 8=4 18=-233", &[6, 7, 4]),
        ("Interp i 1 1 in out 0=1 1=2.0 2=2.0", &[6, 14, 18]),
        ("Interp i 1 1 in out 0=2 1=0.5 2=1.5", &[6, 3, 13]),
        ("Interp i 1 1 in out 0=2 3=5 4=20", &[6, 5, 20]),
        ("Reduction r 1 1 in out 0=3", &[1]),
        ("Reduction r 1 1 in out 0=3 1=0 -23303=2,1,2 5=1", &[6]),
        ("Reduction r 1 1 in out 0=4 1=0 -23303=1,-1 4=1 5=1", &[6, 7, 1]),
        ("Softmax s 1 1 in out 0=2 1=1", &[6, 7, 9]),
    ];
    for (line, dims) in cases {
        let graph = load(&[line], &[]).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(output_dims(&graph)[1..], *dims, "{line}");
        assert_eq!(graph.value(graph.outputs[0]).name, "out", "{line}");
    }
}

/// As ncnn pads a volume: parameters 7 and 8 are the depth's; channels stay what they are.
#[test]
fn a_volume_is_padded_in_depth_not_in_channels() {
    let volume = "Reshape r 1 1 in v 0=3 1=3 11=7 2=-1";
    let graph = load(&[volume, "Padding p 1 1 v out 0=1 1=2 2=3 3=4 5=1.5 7=2 8=1"], &[]).unwrap();
    assert_eq!(output_dims(&graph)[1..], [6, 10, 6, 10]);
    let Op::Pad { before, after, value } = &graph.nodes.last().unwrap().op else { panic!("no padding") };
    assert_eq!((&before[..], &after[..], *value), (&[0, 0, 2, 1, 3][..], &[0, 0, 1, 2, 4][..], 1.5));
}

#[test]
fn slices_share_or_cut() {
    let parts = |params: &str| {
        let graph = load(&[&format!("Slice s 1 3 in a b c {params}")], &[]).unwrap();
        graph.outputs.iter().map(|&part| graph.shape(part)[1]).collect::<Vec<_>>()
    };
    assert_eq!(parts("-23300=3,-233,-233,-233"), [2, 2, 2]);
    assert_eq!(parts("-23300=3,1,-233,-233"), [1, 2, 3]);
    assert_eq!(parts("-23302=2,1,-1"), [1, 4, 1]);
    let error = error(&["Slice s 1 2 in a b -23300=2,4,-4"], &[]);
    assert!(error.contains("4..0 of an axis of 6"), "{error}");
}

/// The formula of ncnn's ShuffleChannel: destination `group·j + i` is source `channels/group·i + j`.
#[test]
fn channel_shuffle_is_a_gather() {
    let indices = |params: &str| {
        let graph = load(&[&format!("ShuffleChannel s 1 1 in out {params}")], &[]).unwrap();
        match &graph.nodes[0].op {
            Op::Gather { axis: 1, indices } => indices.clone(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(indices("0=2"), [0, 3, 1, 4, 2, 5]);
    assert_eq!(indices("0=2 1=1"), [0, 2, 4, 1, 3, 5]);
    assert!(error(&["ShuffleChannel s 1 1 in out 0=4"], &[]).contains("4 groups do not divide 6 channels"));
}

/// Window starts at 0, 2, 4 (6) of 7 rows and 0, 2, 4, 6 (8) of 9 columns.
#[test]
fn pooling_padding_is_explicit() {
    let pool = |params: &str| match load(&[&format!("Pooling p 1 1 in out {params}")], &[]).unwrap().nodes[0]
        .op
        .clone()
    {
        Op::Pool { kind, window, count_include_pad, tail: [0, 0] } => (kind, window.pad, count_include_pad),
        other => panic!("{other:?}"),
    };
    assert_eq!(pool("1=2 2=2"), (PoolKind::Max, [0, 0, 1, 1], false));
    assert_eq!(pool("1=3 2=2 3=1 5=1"), (PoolKind::Max, [1; 4], false));
    assert_eq!(pool("0=1 1=4 2=2 5=2"), (PoolKind::Avg, [1, 1, 2, 2], true));
    assert_eq!(pool("0=1 1=4 2=2 5=3"), (PoolKind::Avg, [2, 2, 1, 1], true));
    assert_eq!(pool("0=1 1=3 2=2 3=1 14=0 6=1"), (PoolKind::Avg, [1, 1, 1, 1], true));
}

#[test]
fn binary_operands_of_fewer_dimensions_are_expanded_as_in_ncnn() {
    let operand = |memory: &str, elements: usize| {
        let layers = [memory, "BinaryOp b 2 1 in m out 0=1"];
        let graph = load(&layers, &floats(&vec![1.0; elements])).unwrap();
        graph.shape(graph.nodes[0].inputs[1]).dims()[1..].to_vec()
    };
    assert_eq!(operand("MemoryData m 0 1 m 0=6", 6), [6, 1, 1]);
    assert_eq!(operand("MemoryData m 0 1 m 0=9", 9), [1, 1, 9]);
    assert_eq!(operand("MemoryData m 0 1 m 0=7 1=6", 42), [6, 7, 1]);
    assert_eq!(operand("MemoryData m 0 1 m 0=9 1=7 2=1", 63), [1, 7, 9]);
    let swapped = load(&["Split s 1 2 in a b", "BinaryOp b 2 1 a b out 0=7"], &[]).unwrap();
    assert_eq!(swapped.nodes[0].op.name(), "Binary");
    let scalar = load(&["BinaryOp b 1 1 in out 0=7 1=1 2=1.5"], &[]).unwrap();
    assert_eq!(scalar.nodes[0].op, Op::Unary(Unary::Affine { scale: -1.0, shift: 1.5 }));
    assert!(error(&["BinaryOp b 1 1 in out 0=3 1=1 2=0.0"], &[]).contains("division by zero"));
    assert!(error(&["BinaryOp b 1 1 in out 0=0 1=1 2=2"], &[]).contains("decimal point"));
}

/// Two rows of input channels, one output: `[out][in]` in the file, `[in][out]` in the graph.
#[test]
fn deconvolution_weights_change_places() {
    let line = "DeconvolutionDepthWise d 1 1 in out 0=4 1=1 6=12 7=2";
    let file: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let graph = load(&[line], &tagged_floats(&file)).unwrap();
    let weights = graph.constant(graph.nodes[0].inputs[1]).unwrap();
    assert_eq!(weights.shape().dims(), [6, 2, 1, 1]);
    let expected = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0];
    assert_eq!(*weights.data(), Data::F32(expected.to_vec()));
}

#[test]
fn int8_layers_get_grids_and_keep_their_codes() {
    let layers = [
        "Split s 1 2 in a b",
        "Convolution c 1 1 a x 0=2 1=1 5=1 6=12 8=102 9=1",
        "Convolution d 1 1 b y 0=2 1=1 6=12 8=2",
        "ConvolutionDepthWise e 1 1 x z 0=2 1=1 6=2 7=2 8=2",
    ];
    let weights: Vec<i8> = (-6..6).collect();
    let c = [codes(&weights), floats(&[0.5, 1.5]), floats(&[64.0, 32.0, 8.0, 4.0])].concat();
    let d = [codes(&weights), floats(&[16.0, 0.0, 8.0])].concat();
    let e = [codes(&[100, -128]), floats(&[2.0, 4.0])].concat();
    let graph = load(&layers, &[c, d, e].concat()).unwrap();
    // Both convolutions of the input share its grid; the depthwise one finds its input on the right grid.
    assert_eq!(op_names(&graph), ["FakeQuant", "Conv", "FakeQuant", "Conv", "Conv"]);
    assert_eq!(graph.nodes[0].op, Op::FakeQuant(Quant { scale: 0.125, zero_point: 0 }));
    assert_eq!(graph.nodes[2].op, Op::FakeQuant(Quant { scale: 0.25, zero_point: 0 }));
    assert_eq!(graph.nodes[1].inputs[0], graph.nodes[3].inputs[0]);
    assert_eq!(graph.nodes[4].inputs[0], graph.nodes[2].output);
    assert_eq!(
        *weights_of(&graph, 1),
        Data::Q8 { codes: weights.clone(), scales: vec![1.0 / 64.0, 1.0 / 32.0] }
    );
    // A channel with scale 0 has no weights; a depthwise layer may have one scale for all channels.
    let halved = [&weights[..6], &[0; 6]].concat();
    assert_eq!(*weights_of(&graph, 3), Data::Q8 { codes: halved, scales: vec![1.0 / 16.0, 1.0] });
    assert_eq!(*weights_of(&graph, 4), Data::Q8 { codes: vec![100, -127], scales: vec![0.5, 0.5] });
    let names: Vec<&str> = graph.outputs.iter().map(|&out| graph.value(out).name.as_str()).collect();
    assert_eq!(names, ["y", "z"]);
}

/// ncnn rounds halves away from zero and saturates at ±127.
#[test]
fn float_weights_of_an_int8_layer_are_quantized() {
    let weights = [0.5, -0.5, 1.49, 200.0, -200.0, 0.0];
    let bin = [tagged_floats(&weights), floats(&[1.0, 2.0])].concat();
    let graph = load(&["Convolution c 1 1 in out 0=1 1=1 6=6 8=2"], &bin).unwrap();
    assert_eq!(*weights_of(&graph, 1), Data::Q8 { codes: vec![1, -1, 1, 127, -127, 0], scales: vec![1.0] });
}

#[test]
fn unusable_input_scales_fall_back_to_float() {
    for bottom in [0.0, f32::INFINITY, f32::NAN, -1.0, 1e-45] {
        let bin = [codes(&[2, 4, 6, 8, 10, 12]), floats(&[f32::INFINITY, bottom])].concat();
        let graph = load(&["Convolution c 1 1 in out 0=1 1=1 6=6 8=2"], &bin).unwrap();
        assert_eq!(*weights_of(&graph, 0), Data::F32(vec![0.0; 6]), "{bottom}");
        let bin = [codes(&[2, 4, 6, 8, 10, 12]), floats(&[2.0, bottom])].concat();
        let graph = load(&["Convolution c 1 1 in out 0=1 1=1 6=6 8=2"], &bin).unwrap();
        assert_eq!(*weights_of(&graph, 0), Data::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), "{bottom}");
    }
}

#[test]
fn quantize_marks_codes_for_the_layers_behind_it() {
    let layers = ["Quantize q 1 1 in a 0=1", "Dequantize d 1 1 a out 0=1 1=6"];
    let bin = floats(&[[8.0, 0.125].as_slice(), &[1.0; 6]].concat());
    assert_eq!(op_names(&load(&layers, &bin).unwrap()), ["FakeQuant", "ChannelAffine"]);
    let per_channel = error(&["Quantize q 1 1 in out 0=6"], &floats(&[8.0; 6]));
    assert!(per_channel.contains("6 scales, one per channel"), "{per_channel}");
    let real = error(&["Dequantize d 1 1 in out"], &floats(&[8.0]));
    assert!(real.contains("not int8"), "{real}");
}

#[test]
fn outputs_are_unread_blobs_in_file_order_under_their_names() {
    let graph = load(&["ReLU r 1 1 in a", "Split s 1 3 a b c d", "Sigmoid t 1 1 c e", "Noop n 1 1 d f"], &[])
        .unwrap();
    let names: Vec<&str> = graph.outputs.iter().map(|&out| graph.value(out).name.as_str()).collect();
    assert_eq!(names, ["b", "e", "f"]);
    let loop_of_names = error(&["ReLU r 1 1 b a", "ReLU s 1 1 a b"], &[]);
    assert!(loop_of_names.contains("\"b\" is not made by an earlier layer"), "{loop_of_names}");
}

#[test]
fn the_input_takes_its_size_from_the_caller_the_file_or_the_default() {
    let dims = |input: &str, size: Option<[usize; 2]>| {
        let text = format!("7767517\n2 2\nInput in 0 1 in {input}\nReLU r 1 1 in out\n");
        let options = LoadOptions { size };
        output_dims(&parse(text.as_bytes(), &[], &options).unwrap().graph)
    };
    assert_eq!(dims("", None), [1, 3, 320, 320]);
    assert_eq!(dims("-23330=4,3,64,32,1", None), [1, 1, 32, 64]);
    assert_eq!(dims("0=640 1=480 2=3 -23330=4,3,64,32,1", None), [1, 3, 480, 640]);
    assert_eq!(dims("0=640 1=480 2=3", Some([96, 128])), [1, 3, 96, 128]);
}

fn ints(values: &[i32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The binary form of the text beside it, written by hand from the format's description.
#[test]
fn binary_params_say_the_same_as_text() {
    let text = "7767517\n3 3\nInput in 0 1 in 0=9 1=7 2=6\n\
                Convolution c 1 1 in a 0=2 1=1 6=12 9=3 -23310=2,-1.0,6.0\nReLU r 1 1 a out 0=0.1\n";
    let f = |value: f32| value.to_bits() as i32;
    let binary = [
        ints(&[7767517, 3, 3]),
        ints(&[16, 0, 1, 0, 0, 9, 1, 7, 2, 6, -233]),
        ints(&[6, 1, 1, 0, 1, 0, 2, 1, 1, 6, 12, 9, 3, -23310, 2, f(-1.0), f(6.0), -233]),
        ints(&[26, 1, 1, 1, 2, 0, f(0.1), -233]),
    ]
    .concat();
    let bin = tagged_floats(&[0.5; 12]);
    let [text, binary] = [text.as_bytes(), &binary].map(|param| {
        let graph = parse(param, &bin, &LoadOptions::default()).unwrap().graph;
        graph.nodes.into_iter().map(|node| node.op).collect::<Vec<_>>()
    });
    assert_eq!(text, binary);
    let error = parse(&ints(&[7767517, 1, 1, 300]), &[], &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains(".param, byte 12") && error.contains("type number 300"), "{error}");
    for cut in 0..ints(&[7767517, 1, 1, 16, 0, 1, 0, -233]).len() {
        assert!(
            parse(&ints(&[7767517, 1, 1, 16, 0, 1, 0, -233])[..cut], &[], &LoadOptions::default()).is_err()
        );
    }
}

#[test]
fn broken_layers_are_refused_with_line_and_layer() {
    let conv = |params: &str| format!("Convolution c 1 1 in out {params}");
    let cases = [
        (conv("0=2 1=3 6=108"), "Convolution c: 4 bytes expected"),
        (conv("0=2 1=3 6=107"), "107 weights"),
        (conv("0=2000000000 1=3 6=108"), "parameter 0 is 2000000000"),
        (conv("0=268435456 1=4096 11=4096 6=2147483647"), "do not fit the shape"),
        (conv("0=2 1=-3 6=108"), "parameter 1 is -3"),
        (conv("0=2 1=3 6=108 4=-7"), "outside 0..=4096"),
        (conv("0=2 1=3 6=108 19=1"), "dynamic weights"),
        (conv("0=2 1=3 6=108 18=1.0"), "padding with a value"),
        (conv("0=2 1=3 6=108 9=7"), "activation 7"),
        (conv("0=2 1=3 6=108 8=3"), "bytes expected"),
        (conv("0=2 1=3 1=3"), "given twice"),
        (conv("0=2 32=1"), "outside 0..32"),
        (conv("-2147483648=0"), "outside 0..32"),
        (conv("0=2 -23310=70000,1"), "1 elements where \"70000\" are declared"),
        (conv("0=abc"), "expected an integer"),
        (conv("0=1e999"), "is not a number"),
        ("Convolution c 1 1".into(), "input blob is missing"),
        ("Convolution c 1 99999999999 in out".into(), "99999999999 outputs"),
        ("Convolution c 2000 1 in out".into(), "the limit is 1024"),
        ("ReLU r 1 1 nowhere out".into(), "not made by an earlier layer"),
        ("ReLU r 1 1 out out".into(), "not made by an earlier layer"),
        ("ReLU r 1 1 in in".into(), "made by two layers"),
        ("ReLU r 1 1 in out 7=3".into(), "parameter 7 is not known"),
        ("ReLU r 2 1 in in out".into(), "2 inputs and 1 outputs"),
        ("LSTM l 1 1 in out 0=4".into(), "ncnn itself"),
        ("Interp i 1 1 in out 0=3".into(), "bicubic"),
        ("Softmax s 1 1 in out 0=1".into(), "the old way"),
        ("Input j 0 1 j".into(), "a second network input"),
    ];
    for (line, what) in cases {
        let error = error(&[&line], &[]);
        assert!(error.contains(what), "{line}: {error}");
        let kind_and_name = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        assert!(error.contains(&kind_and_name), "{line}: {error}");
        assert!(error.contains(".param:4") || error.starts_with(".bin, byte"), "{line}: {error}");
    }
}

#[test]
fn broken_files_are_refused() {
    let cases: [(&[u8], &str); 9] = [
        (b"", "before its magic number"),
        (b"\x08\x01\x12", "must begin with 7767517"),
        (b"7767517", "before its layer and blob counts"),
        (b"7767517\n99999999 1\n", "99999999 layers"),
        (b"7767517\n-1 1\n", "layer count is \"-1\""),
        (b"7767517\n2 2\nInput in 0 1 in\n", "before layer 1 of 2"),
        (b"7767517\n1 0\nInput in 0 1 in\n", "the layers make 1 blobs, 0 are declared"),
        (b"7767517\n1 1\nNoop n 0 0\n", "no Input layer"),
        (b"7767517\n1 1\n\xff\xfe\n", "not text"),
    ];
    for (param, what) in cases {
        let error = parse(param, &[], &LoadOptions::default()).unwrap_err().to_string();
        assert!(error.starts_with(".param") && error.contains(what), "{error}");
    }
    let long = [b"7767517\n".as_slice(), &vec![b' '; crate::limits::PARAM_LINE_BYTES_MAX + 1]].concat();
    assert!(parse(&long, &[], &LoadOptions::default()).unwrap_err().to_string().contains("longer than"));
}

/// A file of a few bytes may name huge tensors; what would be allocated for them is bounded.
#[test]
fn small_files_cannot_ask_for_much_memory() {
    let shuffle = |i: usize| format!("ShuffleChannel s{i} 1 1 b{i} b{} 0=2", i + 1);
    let layers: Vec<String> = (0..9).map(shuffle).collect();
    let text = format!("7767517\n10 11\nInput in 0 1 b0 0=1 1=1 2=67108864\n{}\n", layers.join("\n"));
    let error = parse(text.as_bytes(), &[], &LoadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("values computed from the file"), "{error}");
}

#[test]
fn load_finds_both_files_or_says_which_is_missing() {
    let folder = std::env::temp_dir().join(format!("ocellus-ncnn-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let options = LoadOptions::default();
    for name in ["x.param", "x.param.bin"] {
        let path = folder.join(name);
        fs::write(&path, param(&["ReLU r 1 1 in out"])).unwrap();
        let error = crate::loader::load(&path, &options).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("x.bin"), "{error}");
        fs::write(folder.join("x.bin"), []).unwrap();
        assert!(crate::loader::load(&path, &options).is_ok());
        fs::remove_file(folder.join("x.bin")).unwrap();
    }
    assert!(
        crate::loader::load(&folder.join("x.tflite"), &options).unwrap_err().to_string().contains(".param")
    );
    fs::remove_dir_all(&folder).unwrap();
}

/// The fuzzer starts from valid models, or it would explore nothing but the first error.
#[test]
fn fuzzer_seeds_are_models() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/ncnn");
    let mut count = 0;
    for seed in fs::read_dir(&seeds).unwrap() {
        let path = seed.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let (length, rest) = bytes.split_first_chunk::<2>().unwrap();
        let (param, bin) = rest.split_at(u16::from_le_bytes(*length).into());
        parse(param, bin, &LoadOptions::default()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        count += 1;
    }
    assert!(count >= 8);
}

/// The shared test models, if this checkout has them beside it.
fn shared(name: &str, size: Option<[usize; 2]>) -> Option<Graph> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    let options = LoadOptions { size };
    Some(crate::loader::load(&path, &options).unwrap().graph)
}

fn named_shapes(graph: &Graph) -> Vec<String> {
    let show = |&id: &ValueId| format!("{} {}", graph.value(id).name, graph.shape(id));
    graph.outputs.iter().map(show).collect()
}

/// Counts of layers from the `.param` files, output shapes from ncnn.
#[test]
fn shared_models_load() {
    let heads = |cells: [usize; 3]| {
        let names = ["output", "1111", "2222"];
        names.iter().zip(cells).map(|(name, cells)| format!("{name} [1,3,{cells},85]")).collect::<Vec<_>>()
    };
    let convolutions = |graph: &Graph| graph.nodes.iter().filter(|node| node.op.name() == "Conv").count();
    for (name, count) in [("e.param", 66), ("s.param", 82), ("i8e.param", 78)] {
        let Some(graph) = shared(name, None) else { continue };
        assert_eq!((convolutions(&graph), named_shapes(&graph)), (count, heads([1600, 400, 100])), "{name}");
        let Some(graph) = shared(name, Some([256, 416])) else { continue };
        assert_eq!(named_shapes(&graph), heads([1664, 416, 104]), "{name}");
    }
    if let Some(graph) = shared("FastestDet.param", Some([352, 352])) {
        assert_eq!((convolutions(&graph), named_shapes(&graph)), (70, vec!["758 [1,85,22,22]".to_owned()]));
    }
}

/// First codes, weight scales and input scale of the first layer, read from the file by offset.
#[test]
fn the_shared_int8_model_keeps_its_codes() {
    let Some(graph) = shared("i8e.param", None) else { return };
    assert_eq!((graph.nodes[0].op.name(), graph.nodes[1].name.as_str()), ("FakeQuant", "Conv_0"));
    let Op::FakeQuant(quant) = graph.nodes[0].op else { panic!() };
    let Data::Q8 { codes, scales } = weights_of(&graph, 1) else { panic!() };
    assert_eq!(quant.scale, 1.0 / 49.851_387);
    assert_eq!(codes[..8], [-67, -13, 70, -87, 3, 77, -75, 25]);
    assert_eq!(scales[..3], [36.799_095, 40.039_41, 78.673_93].map(|scale: f32| 1.0 / scale));
}
