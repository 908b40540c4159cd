//! Written files through the project's own reader: the same network comes back.

use super::*;
use ocellus::engine::{Engine, EngineOptions, Precision};
use ocellus::graph::*;
use ocellus::loader::{self, LoadOptions};
use ocellus::passes::simplify;
use ocellus::tensor::{Data, Quant, Shape, Tensor};
use std::path::Path;
use std::sync::LazyLock;

static NO_INT8: LazyLock<HashMap<String, NcnnInt8>> = LazyLock::new(HashMap::new);

fn write(graph: &Graph) -> Result<NcnnFiles> {
    ncnn(graph, &NcnnOptions { int8: &NO_INT8, half: false, other_size: None })
}

fn read(files: &NcnnFiles, size: Option<[usize; 2]>) -> Graph {
    let model = loader::ncnn::parse(files.param.as_bytes(), &files.bin, &LoadOptions { size });
    model.unwrap_or_else(|e| panic!("{e}\n{}", files.param)).graph
}

/// Elements of each output by its name, images as rows of channels, with its shape.
fn run(graph: &Graph) -> HashMap<String, (Shape, Vec<f32>)> {
    let options = EngineOptions { precision: Precision::Fp32, raw_heads: false, ..EngineOptions::default() };
    let mut engine = Engine::new(graph, &options).unwrap();
    let elements = graph.shape(graph.inputs[0]).elements();
    let pixels: Vec<f32> = (0..elements).map(|i| (i as f32 * 0.7).sin() * 0.5 + 0.4).collect();
    engine.fill_reals(&pixels);
    engine.run();
    let elements = |i: usize| {
        let output = engine.output(i);
        let numbers: Vec<f32> = match output.shape.nchw() {
            Some([_, c, ..]) => {
                output.plane.data.chunks(output.plane.pitch).flat_map(|p| &p[..c]).copied().collect()
            }
            None => output.plane.data[..output.shape.elements()].to_vec(),
        };
        (output.name.to_owned(), (output.shape.clone(), numbers))
    };
    (0..engine.outputs()).map(elements).collect()
}

/// That two graphs compute the same, but for rounding.
fn assert_same(a: &Graph, b: &Graph, what: &str) {
    let (a, b) = (run(a), run(b));
    assert_eq!(a.len(), b.len(), "{what}");
    for (name, (shape, a)) in &a {
        let Some((other, b)) = b.get(name) else { panic!("{what}: no output {name}") };
        assert_eq!(shape, other, "{what}");
        let most = a.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
        let off = a.iter().zip(b).fold(0f32, |off, (x, y)| off.max((x - y).abs()));
        assert!(off <= 1e-5 * most, "{what}: {name} is off by {off} of {most}");
    }
}

fn count(files: &NcnnFiles, kind: &str) -> usize {
    files.param.lines().filter(|line| line.split_whitespace().next() == Some(kind)).count()
}

/// Parameters of the layer of this name.
fn params<'a>(files: &'a NcnnFiles, name: &str) -> Vec<&'a str> {
    let line = files.param.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    let words = line.unwrap_or_else(|| panic!("no {name} in\n{}", files.param)).split_whitespace();
    words.filter(|word| word.contains('=')).collect()
}

/// A graph of one operator after another over an image `[1, 6, 4, 5]`.
struct Chain {
    graph: Graph,
    at: ValueId,
}

impl Chain {
    fn new() -> Self {
        let mut graph = Graph::new();
        let at = graph.push_input("in", Shape::new([1, 6, 4, 5]).unwrap()).unwrap();
        Chain { graph, at }
    }

    fn constant(&mut self, dims: &[usize]) -> ValueId {
        let shape = Shape::new(dims).unwrap();
        let data = (0..shape.elements()).map(|i| ((i * 7 % 11) as f32 - 4.5) / 8.0).collect();
        self.graph.push_constant("c", Tensor::new(shape, Data::F32(data)).unwrap()).unwrap()
    }

    fn then(mut self, op: Op, constants: &[&[usize]]) -> Self {
        let mut inputs = vec![self.at];
        for dims in constants {
            inputs.push(self.constant(dims));
        }
        self.at = self.graph.push("node", op, inputs, "out").unwrap();
        self
    }

    fn end(mut self) -> Graph {
        self.graph.outputs = vec![self.at];
        self.graph
    }
}

fn window(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 4]) -> WindowAttrs {
    WindowAttrs { kernel, stride, dilation: [1, 1], pad }
}

#[test]
fn every_built_in_network_comes_back() {
    for network in &ocellus::zoo::NETWORKS {
        let graph = simplify(&network.graph([64, 96]).unwrap()).unwrap();
        let files = write(&graph).unwrap();
        assert_same(&graph, &read(&files, None), network.name);
        assert_eq!(files, write(&graph).unwrap(), "{}", network.name);
    }
}

#[test]
fn every_function_comes_back() {
    let functions = [
        Unary::Relu,
        Unary::LeakyRelu { slope: 0.1 },
        Unary::Clip { lo: -0.2, hi: 0.7 },
        Unary::Clip { lo: 0.3, hi: f32::INFINITY },
        Unary::Sigmoid,
        Unary::Silu,
        Unary::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 },
        Unary::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Unary::Mish,
        Unary::Tanh,
        Unary::Elu { alpha: 1.5 },
        Unary::Gelu,
        Unary::Affine { scale: 1.0, shift: 0.5 },
        Unary::Affine { scale: -1.0, shift: 0.5 },
        Unary::Affine { scale: 3.0, shift: 0.0 },
        Unary::Affine { scale: 3.0, shift: 0.5 },
        Unary::Pow { exponent: 2.0 },
        Unary::Pow { exponent: 4.0 },
        Unary::Reciprocal { numerator: 1.0 },
        Unary::Reciprocal { numerator: 0.5 },
        Unary::Abs,
        Unary::Exp,
        Unary::Erf,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Softplus,
        Unary::Sin,
        Unary::Cos,
    ];
    for function in functions {
        let graph = Chain::new().then(Op::Unary(function), &[]).end();
        assert_same(&graph, &read(&write(&graph).unwrap(), None), &format!("{function:?}"));
        let conv = Op::Conv { window: window([1, 1], [1, 1], [0; 4]), groups: 1, activation: Some(function) };
        let graph = Chain::new().then(conv, &[&[3, 6, 1, 1], &[3]]).end();
        assert_same(&graph, &read(&write(&graph).unwrap(), None), &format!("convolution, {function:?}"));
    }
    for function in [Unary::Log, Unary::Sqrt, Unary::Pow { exponent: 1.5 }] {
        let graph = Chain::new().then(Op::Unary(Unary::Exp), &[]).then(Op::Unary(function), &[]).end();
        assert_same(&graph, &read(&write(&graph).unwrap(), None), &format!("{function:?}"));
    }
}

fn reshape(shape: &[usize]) -> Op {
    Op::Reshape { shape: shape.to_vec() }
}

fn pool(kind: PoolKind, window: WindowAttrs, count_include_pad: bool, tail: [usize; 2]) -> Op {
    Op::Pool { kind, window, count_include_pad, tail }
}

fn conv(window: WindowAttrs, groups: usize, activation: Option<Unary>) -> Op {
    Op::Conv { window, groups, activation }
}

/// Operators one behind the other with the shapes of their constant operands, and a layer that they become.
type Case = (Vec<(Op, &'static [&'static [usize]])>, &'static str);

fn windows_and_products() -> Vec<Case> {
    use {PoolKind::*, ResizeCoords::*, ResizeMode::*};
    let odd = window([3, 2], [2, 1], [1, 0, 2, 1]);
    let dilated = WindowAttrs { dilation: [1, 2], ..window([2, 3], [1, 1], [0, 2, 1, 3]) };
    let resize = |output, scale, mode, coords| Op::Resize { output, scale, mode, coords };
    let transposed = |groups| Op::ConvTranspose {
        window: window([3, 2], [2, 3], [1, 0, 0, 1]),
        output_pad: [1, 0],
        groups,
        activation: Some(Unary::Relu),
    };
    vec![
        (vec![(conv(odd.clone(), 1, None), &[&[4, 6, 3, 2]])], "Convolution"),
        (vec![(conv(dilated, 3, None), &[&[9, 2, 2, 3], &[9]])], "ConvolutionDepthWise"),
        (vec![(transposed(1), &[&[6, 4, 3, 2], &[4]])], "Deconvolution"),
        (vec![(transposed(2), &[&[6, 2, 3, 2]])], "DeconvolutionDepthWise"),
        (
            vec![(reshape(&[1, 120]), &[]), (Op::Linear { activation: None }, &[&[7, 120], &[7]])],
            "InnerProduct",
        ),
        (vec![(Op::Linear { activation: Some(Unary::Silu) }, &[&[7, 5]])], "InnerProduct"),
        (
            vec![
                (reshape(&[24, 5]), &[]),
                (Op::Linear { activation: None }, &[&[7, 5]]),
                (reshape(&[1, 168]), &[]),
            ],
            "InnerProduct",
        ),
        (vec![(pool(Max, window([3, 3], [2, 2], [1; 4]), false, [0, 0]), &[])], "Pooling"),
        (vec![(pool(Max, window([2, 2], [2, 2], [0, 0, 0, 1]), false, [0, 1]), &[])], "Pooling"),
        (vec![(pool(Max, window([2, 2], [2, 2], [0, 1, 0, 0]), false, [0, 0]), &[])], "Pooling"),
        (vec![(pool(Avg, window([3, 3], [2, 2], [1; 4]), true, [0, 0]), &[])], "Pooling"),
        (vec![(pool(Avg, window([3, 3], [2, 2], [1, 1, 2, 1]), false, [1, 0]), &[])], "Pooling"),
        (vec![(pool(Avg, window([2, 2], [2, 2], [0, 0, 0, 1]), true, [0, 1]), &[])], "Pooling"),
        (vec![(Op::AdaptivePool { kind: Avg, output: [3, 2] }, &[])], "Pooling"),
        (vec![(resize([8, 10], [2.0, 2.0], Nearest, Asymmetric), &[])], "Interp"),
        (vec![(resize([8, 10], [2.0, 2.0], Nearest, HalfPixel), &[])], "Interp"),
        (vec![(resize([6, 8], [1.7, 1.7], Linear, HalfPixel), &[])], "Interp"),
        (vec![(resize([7, 9], [1.75, 1.8], Linear, AlignCorners), &[])], "Interp"),
    ]
}

fn arithmetic() -> Vec<Case> {
    let binary = |kind| Op::Binary { kind, activation: Some(Unary::Sigmoid) };
    let reduce = |kind, axes: &[usize]| Op::Reduce { kind, axes: axes.to_vec() };
    vec![
        (vec![(reduce(ReduceKind::Mean, &[2, 3]), &[])], "Pooling"),
        (vec![(reduce(ReduceKind::Mean, &[2, 3]), &[]), (reshape(&[1, 6]), &[])], "Pooling"),
        (vec![(reduce(ReduceKind::Sum, &[1]), &[])], "Reduction"),
        (vec![(reduce(ReduceKind::Min, &[1, 3]), &[])], "Reduction"),
        (vec![(reshape(&[24, 5]), &[]), (reduce(ReduceKind::Max, &[0]), &[])], "Reduction"),
        (vec![(Op::PRelu, &[&[6]])], "PReLU"),
        (vec![(Op::ChannelAffine, &[&[6], &[6]])], "Scale"),
        (vec![(binary(Binary::Sub), &[&[6, 1, 1]])], "MemoryData"),
        (vec![(binary(Binary::Mul), &[&[5]])], "MemoryData"),
        (vec![(binary(Binary::Max), &[&[1, 1, 4, 5]])], "MemoryData"),
        (vec![(binary(Binary::Div), &[&[1]])], "BinaryOp"),
        (vec![(binary(Binary::Add), &[&[1, 1, 1, 1]])], "BinaryOp"),
        (vec![(Op::Softmax { axis: 1 }, &[])], "Softmax"),
        (vec![(Op::Softmax { axis: 3 }, &[])], "Softmax"),
    ]
}

fn movers() -> Vec<Case> {
    let slice = |start: [usize; 4], step: [usize; 4], count: [usize; 4]| Op::Slice {
        start: start.to_vec(),
        step: step.to_vec(),
        count: count.to_vec(),
    };
    let gather = |axis, indices: &[usize]| Op::Gather { axis, indices: indices.to_vec() };
    vec![
        (vec![(slice([0, 1, 0, 0], [1; 4], [1, 3, 4, 5]), &[])], "Crop"),
        (vec![(slice([0, 1, 2, 1], [1; 4], [1, 3, 2, 4]), &[])], "Crop"),
        (vec![(slice([0, 0, 1, 0], [1, 1, 2, 2], [1, 6, 2, 3]), &[])], "Pooling"),
        (vec![(slice([0, 1, 0, 0], [1, 2, 1, 1], [1, 3, 4, 5]), &[])], "ShuffleChannel"),
        (vec![(slice([0; 4], [1, 1, 1, 2], [1, 5, 4, 2]), &[])], "Pooling"),
        (vec![(slice([0; 4], [1; 4], [1, 6, 4, 5]), &[])], "Reshape"),
        (vec![(gather(1, &[0, 3, 1, 4, 2, 5]), &[])], "ShuffleChannel"),
        (vec![(gather(1, &[5, 4, 0, 1, 1]), &[])], "Concat"),
        (vec![(gather(3, &[1, 2, 3]), &[])], "Crop"),
        (vec![(gather(2, &[3, 0]), &[])], "Concat"),
        (vec![(Op::Transpose { perm: vec![0, 3, 1, 2] }, &[])], "Permute"),
        (vec![(Op::Transpose { perm: vec![2, 0, 3, 1] }, &[]), (reshape(&[1, 120]), &[])], "Permute"),
        (
            vec![(reshape(&[1, 2, 3, 4, 5]), &[]), (Op::Transpose { perm: vec![0, 3, 1, 4, 2] }, &[])],
            "Permute",
        ),
        (vec![(Op::Transpose { perm: vec![1, 0, 2, 3] }, &[]), (reshape(&[1, 120]), &[])], "Reshape"),
        (vec![(Op::Pad { before: vec![0, 1, 2, 0], after: vec![0, 0, 1, 3], value: 0.5 }, &[])], "Padding"),
    ]
}

#[test]
fn every_operator_comes_back() {
    for (steps, kind) in [windows_and_products(), arithmetic(), movers()].concat() {
        let what = format!("{steps:?}");
        let chain = steps.into_iter().fold(Chain::new(), |chain, (op, constants)| chain.then(op, constants));
        let graph = chain.end();
        let files = write(&graph).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(count(&files, kind) > 0, "{what}: no {kind} in\n{}", files.param);
        assert_same(&graph, &read(&files, None), &what);
    }
    let mut graph = Graph::new();
    let picture = graph.push_input("in", Shape::new([1, 3, 4, 6]).unwrap()).unwrap();
    let focus = graph.push("focus", Op::Focus, vec![picture], "out").unwrap();
    graph.outputs = vec![focus];
    assert_same(&graph, &read(&write(&graph).unwrap(), None), "Focus");
}

/// One value of lower rank, on either side; ncnn would line it up at the other end.
#[test]
fn operands_are_lined_up_as_in_numpy() {
    for (kind, first) in [(Binary::Sub, true), (Binary::Div, false)] {
        let mut chain = Chain::new().then(reduce_mean(), &[]).then(reshape(&[1, 6]), &[]);
        let vector = chain.at;
        let image = chain.graph.inputs[0];
        let wide = chain.graph.push("t", Op::Transpose { perm: vec![0, 2, 3, 1] }, vec![image], "t").unwrap();
        let operands = if first { vec![wide, vector] } else { vec![vector, wide] };
        let op = Op::Binary { kind, activation: None };
        chain.at = chain.graph.push("b", op, operands, "b").unwrap();
        let graph = chain.end();
        assert_same(&graph, &read(&write(&graph).unwrap(), None), "vector");
    }
}

fn reduce_mean() -> Op {
    Op::Reduce { kind: ReduceKind::Mean, axes: vec![2, 3] }
}

/// Channels 0, 3, 1 | 4, 2, 5 of the shuffle 0 3 1 4 2 5.
#[test]
fn halves_of_a_shuffle_share_it() {
    let mut chain = Chain::new();
    let image = chain.at;
    let halves = [vec![0, 3, 1], vec![4, 2, 5]];
    for (name, indices) in ["low", "high"].iter().zip(halves) {
        let half = chain.graph.push(*name, Op::Gather { axis: 1, indices }, vec![image], *name).unwrap();
        chain.graph.outputs.push(half);
    }
    let files = write(&chain.graph).unwrap();
    let kinds: Vec<&str> =
        files.param.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(kinds, ["Input", "ShuffleChannel", "Slice"]);
    assert_eq!(params(&files, "low_shuffle"), ["0=2"]);
    assert_eq!(params(&files, "low"), ["-23300=2,3,3"]);
    assert_same(&chain.graph, &read(&files, None), "halves");
    // Even and odd channels: the inverse shuffle. The whole shuffle beside a part of it has no Slice.
    for (indices, shuffle, crops) in
        [([vec![0, 2, 4], vec![1, 3, 5]], "0=2 1=1", 0), ([vec![0, 3, 1, 4, 2, 5], vec![0, 3, 1]], "0=2", 1)]
    {
        let mut chain = Chain::new();
        let image = chain.at;
        for (i, indices) in indices.into_iter().enumerate() {
            let gather = Op::Gather { axis: 1, indices };
            let part = chain.graph.push(format!("p{i}"), gather, vec![image], format!("p{i}")).unwrap();
            chain.graph.outputs.push(part);
        }
        let files = write(&chain.graph).unwrap();
        assert!(files.param.contains(shuffle) && count(&files, "ShuffleChannel") == 1, "{}", files.param);
        assert_eq!(count(&files, "Crop"), crops, "{}", files.param);
        assert_same(&chain.graph, &read(&files, None), shuffle);
    }
}

/// Convolution `name` over `from`, and codes for it with one weight scale.
fn add_conv(
    graph: &mut Graph,
    int8: &mut HashMap<String, NcnnInt8>,
    (name, from, groups, activation): (&str, ValueId, usize, Option<Unary>),
    input_scale: f32,
) -> ValueId {
    let channels = graph.shape(from)[1];
    let shape = Shape::new([channels, channels / groups, 1, 1]).unwrap();
    let codes: Vec<i8> = (0..shape.elements()).map(|i| (i * 37 % 255) as i8).map(|c| c.max(-127)).collect();
    let data = Data::F32(codes.iter().map(|&c| f32::from(c) / 64.0).collect());
    let weights = graph.push_constant("w", Tensor::new(shape, data).unwrap()).unwrap();
    let scales = if groups == 1 { channels } else { groups };
    let bias = Some(vec![0.25; channels]);
    let layer = NcnnInt8 { weight_scales: vec![64.0; scales], codes, input_scale, bias };
    int8.insert(name.into(), layer);
    let op = conv(window([1, 1], [1, 1], [0; 4]), groups, activation);
    graph.push(name, op, vec![from, weights], name).unwrap()
}

/// `a` → `b` → `c` and `d`, `c` → Swish → `e`, `d` → `f` (another scale) and `g`; `e` and the last are outputs.
#[test]
fn codes_stay_codes_between_int8_convolutions() {
    let mut chain = Chain::new();
    let (g, int8) = (&mut chain.graph, &mut HashMap::new());
    let relu = Some(Unary::Relu);
    let a = add_conv(g, int8, ("a", chain.at, 1, relu), 64.0);
    let b = add_conv(g, int8, ("b", a, 6, None), 8.0);
    let c = add_conv(g, int8, ("c", b, 1, Some(Unary::Silu)), 4.0);
    let d = add_conv(g, int8, ("d", b, 2, None), 4.0);
    let e = add_conv(g, int8, ("e", c, 1, None), 16.0);
    let f = add_conv(g, int8, ("f", d, 1, None), 2.0);
    let h = add_conv(g, int8, ("h", d, 1, None), 3.0);
    g.outputs = vec![e, f, h];
    let files = ncnn(g, &NcnnOptions { int8, half: false, other_size: None }).unwrap();
    let terms = ["a", "b", "c", "d", "e", "f", "h"].map(|name| {
        params(&files, name)
            .into_iter()
            .find_map(|param| param.strip_prefix("8=").map(str::to_owned))
            .unwrap()
    });
    assert_eq!(terms, ["102", "101", "2", "1", "2", "2", "2"]);
    let read = read(&files, None);
    for node in read.nodes.iter().filter(|node| node.op.name() == "Conv") {
        let expected = &int8[&node.name];
        let Data::Q8 { codes, scales } = read.constant(node.inputs[1]).unwrap().data() else { panic!() };
        assert_eq!((codes, &scales[..]), (&expected.codes, &[1.0 / 64.0; 6][..]), "{}", node.name);
        assert_eq!(read.constant(node.inputs[2]).unwrap().to_f32(), [0.25; 6]);
        let grid = read.nodes.iter().find(|n| n.output == node.inputs[0]).unwrap();
        let quant = Quant { scale: 1.0 / expected.input_scale, zero_point: 0 };
        assert_eq!(grid.op, Op::FakeQuant(quant), "{}", node.name);
    }
    // An output stays float, and so does what a float layer reads.
    let g = &mut chain.graph;
    g.outputs.push(a);
    let files = ncnn(g, &NcnnOptions { int8, half: true, other_size: None }).unwrap();
    assert!(params(&files, "a").contains(&"8=2"));
    int8.remove("d");
    let files = ncnn(g, &NcnnOptions { int8, half: true, other_size: None }).unwrap();
    assert!(params(&files, "b").contains(&"8=1"));
    assert!(params(&files, "d").iter().all(|param| !param.starts_with("8=")));
    int8.get_mut("a").unwrap().codes.pop();
    let error = ncnn(g, &NcnnOptions { int8, half: true, other_size: None }).unwrap_err().to_string();
    assert!(error.contains("layer a") && error.contains("35"), "{error}");
}

#[test]
fn half_weights_are_near() {
    let graph = Chain::new().then(conv(window([3, 3], [1, 1], [1; 4]), 1, None), &[&[4, 6, 3, 3]]).end();
    let options = NcnnOptions { int8: &NO_INT8, half: true, other_size: None };
    let files = ncnn(&graph, &options).unwrap();
    assert_eq!(files.bin.len(), 4 + 2 * 4 * 6 * 9);
    assert_same(&graph, &read(&files, None), "these weights are exact in half precision");
}

#[test]
fn hostile_names_become_words() {
    let mut g = Graph::new();
    let x = g.push_input("the picture", Shape::new([1, 2, 3, 3]).unwrap()).unwrap();
    let relu = || Op::Unary(Unary::Relu);
    let a = g.push("", relu(), vec![x], "").unwrap();
    let b = g.push("\n7767517\n1 1", relu(), vec![x], "the_picture").unwrap();
    let c = g.push("splitncnn_0", Op::Concat { axis: 1 }, vec![a, b, x], "the picture_splitncnn_0").unwrap();
    let d = g.push("splitncnn_0", relu(), vec![c], "\u{2029}é".repeat(100)).unwrap();
    g.outputs = vec![a, b, d];
    let files = write(&g).unwrap();
    let loaded = read(&files, None);
    let names = |graph: &Graph, ids: &[ValueId]| {
        ids.iter().map(|&id| graph.value(id).name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&loaded, &loaded.inputs), ["the_picture"]);
    let outputs = names(&loaded, &loaded.outputs);
    assert_eq!(outputs[..2], ["_", "the_picture_2"]);
    assert!(outputs[2].len() <= 255 && outputs[2].starts_with("_é_é"));
    let mut layers: Vec<&str> =
        files.param.lines().skip(2).filter_map(|l| l.split_whitespace().nth(1)).collect();
    layers.sort_unstable();
    layers.dedup();
    assert_eq!(layers.len(), files.param.lines().count() - 2, "{}", files.param);
}

#[test]
fn another_size_leaves_dimensions_open() {
    let network = ocellus::zoo::find("nanodet_m").unwrap();
    let [graph, other, third] =
        [[64, 64], [96, 128], [160, 96]].map(|size| simplify(&network.graph(size).unwrap()).unwrap());
    let options = NcnnOptions { int8: &NO_INT8, half: false, other_size: Some(&other) };
    let files = ncnn(&graph, &options).unwrap();
    for (size, graph) in [([64, 64], &graph), ([96, 128], &other), ([160, 96], &third)] {
        assert_same(graph, &read(&files, Some(size)), "another size");
    }
    assert_same(&graph, &read(&files, None), "the graph's own size is what it is where nobody asks for one");
    // Windows that end within the picture at one size and at its edge at the other.
    let pooled = |size: usize, tail: usize| {
        let mut g = Graph::new();
        let x = g.push_input("x", Shape::new([1, 2, size, size]).unwrap()).unwrap();
        let op = pool(PoolKind::Max, window([3, 3], [2, 2], [0, 0, tail, tail]), false, [tail, tail]);
        let y = g.push("pool", op, vec![x], "y").unwrap();
        g.outputs = vec![y];
        g
    };
    let (graph, other) = (pooled(9, 0), pooled(8, 1));
    let files = ncnn(&graph, &NcnnOptions { other_size: Some(&other), ..options }).unwrap();
    assert_same(&other, &read(&files, Some([8, 8])), "completed windows");
    let fixed = Chain::new().then(Op::Binary { kind: Binary::Add, activation: None }, &[&[4, 5]]).end();
    let error = ncnn(&fixed, &NcnnOptions { other_size: Some(&graph), ..options }).unwrap_err().to_string();
    assert!(error.contains("other nodes"), "{error}");
}

#[test]
fn what_ncnn_lacks_is_refused_by_name() {
    let shuffled: Vec<usize> = (0..6).flat_map(|i| [i, 5 - i]).collect();
    let many: Vec<usize> = shuffled.iter().cycle().take(200).copied().collect();
    let cases = [
        (
            Op::FakeQuant(Quant { scale: 0.1, zero_point: 0 }),
            "FakeQuant node: it cannot be written for ncnn: it has an int8 grid",
        ),
        (Op::Gather { axis: 1, indices: many }, "separate pieces"),
        (
            reshape(&[1, 2, 3, 2, 2, 5]),
            "Reshape node: it cannot be written for ncnn: a value has the shape [1,2,3,2,2,5]",
        ),
        (Op::Unary(Unary::LeakyRelu { slope: f32::NAN }), "NaN"),
        (
            Op::Slice { start: vec![0; 4], step: vec![1, 2, 1, 2], count: vec![1, 3, 4, 2] },
            "neither rows nor columns",
        ),
        (Op::Unary(Unary::Pow { exponent: 3.0 }), "the power 3"),
        (
            Op::Unary(Unary::Affine { scale: f32::INFINITY, shift: 1.0 }),
            "node: it cannot be written for ncnn: its parameter inf",
        ),
    ];
    for (op, what) in cases {
        let graph = Chain::new().then(op, &[]).end();
        let error = write(&graph).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains("node"), "{error}");
    }
}

/// The shared test models, if this checkout has them beside it: no more layers than in the authors' files.
#[test]
fn shared_models_come_back() {
    for (name, layers) in [("e.param", 150), ("s.param", 206), ("FastestDet.param", 130)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/models").join(name);
        if !path.exists() {
            println!("skipped: {} is absent", path.display());
            continue;
        }
        let graph = loader::load(&path, &LoadOptions { size: Some([64, 96]) }).unwrap().graph;
        let simple = simplify(&graph).unwrap();
        let files = write(&simple).unwrap();
        assert!(files.param.lines().count() - 2 <= layers, "{name}");
        assert_same(&graph, &read(&files, None), name);
        assert_same(&graph, &read(&write(&graph).unwrap(), None), name);
    }
}
