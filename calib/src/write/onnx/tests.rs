//! What is written is read again by the runtime's own loader, and must compute the same.

use super::proto::ModelProto;
use super::*;
use ocellus::engine::{Engine, EngineOptions, Input, Precision};
use ocellus::graph::{Binary, PoolKind, ResizeCoords, ResizeMode, Unary, WindowAttrs};
use ocellus::loader::{self, LoadOptions, Model};
use ocellus::passes::simplify;
use ocellus::tensor::{Data, Quant, Shape, Tensor};
use ocellus::zoo;

/// Numbers in 0..1, the same on every machine.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Numbers of every output for one random picture.
fn outputs(graph: &Graph, precision: Precision) -> Vec<Vec<f32>> {
    let options = EngineOptions { precision, raw_heads: false, ..EngineOptions::default() };
    let mut engine = Engine::new(graph, &options).unwrap();
    let channels = graph.shape(graph.inputs[0])[1];
    let mut random = Random(7);
    match engine.input() {
        Input::Codes(plane, grid) => plane.data.chunks_mut(plane.pitch).for_each(|pixel| {
            pixel[..channels].iter_mut().for_each(|code| *code = grid.quantize(random.unit()));
        }),
        Input::Reals(plane) => plane.data.iter_mut().for_each(|x| *x = random.unit()),
    }
    engine.run();
    (0..engine.outputs()).map(|i| engine.output(i).plane.data.to_vec()).collect()
}

fn read(bytes: &[u8], size: Option<[usize; 2]>) -> Model {
    loader::onnx::parse(bytes, &LoadOptions { size }).unwrap()
}

/// Written and read again.
fn again(graph: &Graph) -> Graph {
    let bytes = onnx(graph, &OnnxOptions::default()).unwrap();
    assert_eq!(bytes, onnx(graph, &OnnxOptions::default()).unwrap(), "the same graph, the same bytes");
    read(&bytes, None).graph
}

/// Largest difference, in parts of the largest number.
fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.iter().map(Vec::len).collect::<Vec<_>>(), b.iter().map(Vec::len).collect::<Vec<_>>());
    let all = || a.iter().flatten().zip(b.iter().flatten());
    let largest = all().fold(f32::MIN_POSITIVE, |most, (a, _)| most.max(a.abs()));
    all().fold(0f32, |most, (a, b)| if a == b { most } else { most.max((a - b).abs() / largest) })
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.inputs.iter().chain(&graph.outputs).map(|&id| graph.value(id).name.as_str()).collect()
}

/// Small, and odd where the network's usual size is.
fn graph_of(network: &zoo::Network) -> Graph {
    let size = if network.size.is_multiple_of(32) { 96 } else { 99 };
    network.graph([size; 2]).unwrap()
}

#[test]
fn float_networks_compute_the_same() {
    for network in &zoo::NETWORKS {
        let graph = graph_of(network);
        for graph in [simplify(&graph).unwrap(), graph] {
            let reread = again(&graph);
            assert_eq!(names(&graph), names(&reread), "{}", network.name);
            let [a, b] = [&graph, &reread].map(|graph| outputs(graph, Precision::Fp32));
            let difference = difference(&a, &b);
            println!("{}: {difference}", network.name);
            assert!(difference <= 1e-5, "{}: {difference}", network.name);
        }
    }
}

#[test]
fn int8_networks_compute_the_same_bytes() {
    for network in &zoo::NETWORKS {
        let twin = zoo::quantized(&graph_of(network), 3).unwrap();
        for graph in [simplify(&twin).unwrap(), twin] {
            let reread = again(&graph);
            let [a, b] = [&graph, &reread].map(|graph| outputs(graph, Precision::Int8));
            assert!(a == b, "{}: {}", network.name, difference(&a, &b));
        }
    }
}

const DIMS: [usize; 4] = [1, 4, 6, 8];

fn input(dims: &[usize]) -> (Graph, ValueId) {
    let mut graph = Graph::new();
    let x = graph.push_input("picture", Shape::new(dims).unwrap()).unwrap();
    (graph, x)
}

fn reals(dims: &[usize], seed: u64) -> Tensor {
    let shape = Shape::new(dims).unwrap();
    let mut random = Random(seed);
    let values = (0..shape.elements()).map(|_| random.unit() - 0.5).collect();
    Tensor::new(shape, Data::F32(values)).unwrap()
}

fn codes(dims: &[usize]) -> Tensor {
    let shape = Shape::new(dims).unwrap();
    let codes = (0..shape.elements()).map(|i| (i * 37 % 255) as i8).map(|c| c.max(-127)).collect();
    let scales = (0..dims[0]).map(|i| 0.003 + 0.001 * i as f32).collect();
    Tensor::new(shape, Data::Q8 { codes, scales }).unwrap()
}

/// One operator on numbers of both signs, and constants.
fn one(op: Op, constants: &[Tensor]) -> Graph {
    let (mut graph, x) = input(&DIMS);
    let shift = Op::Unary(Unary::Affine { scale: 4.0, shift: -2.0 });
    let mut operands = vec![graph.push("shift", shift, vec![x], "both signs").unwrap()];
    for tensor in constants {
        operands.push(graph.push_constant("constant", tensor.clone()).unwrap());
    }
    graph.outputs = vec![graph.push("one", op, operands, "result").unwrap()];
    graph
}

fn window(kernel: [usize; 2], stride: [usize; 2], pad: [usize; 4]) -> WindowAttrs {
    WindowAttrs { kernel, stride, dilation: [1; 2], pad }
}

fn check(what: &str, graph: &Graph) {
    let reread = again(graph);
    let [a, b] = [graph, &reread].map(|graph| outputs(graph, Precision::Fp32));
    let difference = difference(&a, &b);
    assert!(difference <= 1e-5, "{what}: {difference}");
    assert_eq!(names(graph), names(&reread));
}

#[test]
fn functions_of_one_variable_compute_the_same() {
    use Unary::*;
    let functions = [
        Relu,
        LeakyRelu { slope: 0.1 },
        Clip { lo: -0.5, hi: 1.5 },
        Clip { lo: f32::NEG_INFINITY, hi: 0.5 },
        Clip { lo: 0.25, hi: f32::MAX },
        Sigmoid,
        Silu,
        HardSwish { alpha: 0.2, beta: 0.4 },
        HardSigmoid { alpha: 0.2, beta: 0.4 },
        Mish,
        Tanh,
        Elu { alpha: 0.7 },
        Gelu,
        Affine { scale: 0.3, shift: 0.7 },
        Affine { scale: 1.0, shift: 0.7 },
        Affine { scale: 0.3, shift: 0.0 },
        Affine { scale: 1.0, shift: 0.0 },
        Pow { exponent: 2.0 },
        Reciprocal { numerator: 3.0 },
        Abs,
        Exp,
        Erf,
        Floor,
        Ceil,
        Round,
        Softplus,
        Sin,
        Cos,
    ];
    for function in functions {
        check(&format!("{function:?}"), &one(Op::Unary(function), &[]));
    }
    for function in [Log, Sqrt] {
        let (mut graph, x) = input(&DIMS);
        graph.outputs = vec![graph.push("f", Op::Unary(function), vec![x], "y").unwrap()];
        check(&format!("{function:?}"), &graph);
    }
}

#[test]
fn functions_of_two_variables_and_of_channels_compute_the_same() {
    use Binary::*;
    for kind in [Add, Sub, Mul, Div, Max, Min] {
        for activation in [None, Some(Unary::Silu)] {
            let op = Op::Binary { kind, activation };
            check(&format!("{kind:?}"), &one(op, &[reals(&[4, 6, 8], 3)]));
        }
    }
    let integers = Tensor::new(Shape::new([4, 1, 1]).unwrap(), Data::I64(vec![-1, 2, 3, 4])).unwrap();
    check("integers", &one(Op::Binary { kind: Mul, activation: None }, &[integers]));
    check("slopes", &one(Op::PRelu, &[reals(&[4], 3)]));
    check("affine", &one(Op::ChannelAffine, &[reals(&[4], 3), reals(&[4], 4)]));
    let ones = Tensor::new(Shape::new([4]).unwrap(), Data::F32(vec![1.0; 4])).unwrap();
    check("shift", &one(Op::ChannelAffine, &[ones, reals(&[4], 4)]));
}

#[test]
fn layers_compute_the_same() {
    let activation = Some(Unary::Relu);
    let op = Op::Conv { window: window([3, 2], [2, 1], [1, 0, 2, 1]), groups: 2, activation };
    check("conv", &one(op, &[reals(&[6, 2, 3, 2], 3), reals(&[6], 4)]));
    let window = window([3, 2], [2, 1], [1, 0, 0, 1]);
    let op = Op::ConvTranspose { window, output_pad: [1, 0], groups: 2, activation };
    check("transposed conv", &one(op, &[reals(&[4, 3, 3, 2], 3), reals(&[6], 4)]));
    for weights in [reals(&[5, 8], 3), codes(&[5, 8])] {
        for activation in [None, Some(Unary::Silu)] {
            check("linear", &one(Op::Linear { activation }, &[weights.clone(), reals(&[5], 4)]));
            check("linear, no bias", &one(Op::Linear { activation }, std::slice::from_ref(&weights)));
        }
    }
}

#[test]
fn pooling_computes_the_same() {
    let pads =
        [([1, 1, 1, 1], [0, 0]), ([1, 1, 2, 1], [1, 0]), ([0, 0, 1, 1], [1, 1]), ([1, 0, 2, 2], [2, 2])];
    for kind in [PoolKind::Max, PoolKind::Avg] {
        for count_include_pad in [false, true] {
            for (pad, tail) in pads {
                let op = Op::Pool { kind, window: window([3, 3], [2, 2], pad), count_include_pad, tail };
                check(&format!("{op:?}"), &one(op, &[]));
            }
        }
        check("global", &one(Op::AdaptivePool { kind, output: [1, 1] }, &[]));
    }
}

#[test]
fn moves_compute_the_same() {
    let slice = |start: [usize; 4], step: [usize; 4], count: [usize; 4]| Op::Slice {
        start: start.to_vec(),
        step: step.to_vec(),
        count: count.to_vec(),
    };
    let (kind, softmax) = (ReduceKind::Sum, Op::Softmax { axis: 1 });
    let pad = |value| Op::Pad { before: vec![0, 1, 2, 0], after: vec![0, 0, 1, 3], value };
    let ops = [
        slice([0, 1, 2, 1], [1, 1, 1, 3], [1, 2, 3, 2]),
        slice([0, 0, 0, 4], [1; 4], [1, 4, 6, 4]),
        slice([0; 4], [1; 4], DIMS),
        Op::Gather { axis: 1, indices: vec![2, 0, 3, 1, 1] },
        Op::Gather { axis: 1, indices: vec![0, 2, 1, 3] },
        Op::Gather { axis: 2, indices: vec![0, 2, 4, 1, 3, 5] },
        Op::Transpose { perm: vec![0, 2, 3, 1] },
        Op::Reshape { shape: vec![1, 2, 96] },
        pad(0.0),
        pad(1.5),
        softmax,
        Op::Focus,
        Op::Reduce { kind, axes: vec![1, 3] },
        Op::Reduce { kind: ReduceKind::Mean, axes: vec![2, 3] },
        Op::Reduce { kind: ReduceKind::Max, axes: vec![1] },
        Op::Reduce { kind: ReduceKind::Min, axes: vec![3] },
        Op::Reduce { kind, axes: vec![] },
        Op::Concat { axis: 1 },
    ];
    for op in ops {
        check(&format!("{op:?}"), &one(op, &[]));
    }
    use ResizeCoords::*;
    for (mode, coords, output, scale) in [
        (ResizeMode::Nearest, Asymmetric, [12, 16], [2.0, 2.0]),
        (ResizeMode::Nearest, Asymmetric, [7, 11], [7.0 / 6.0, 11.0 / 8.0]),
        (ResizeMode::Nearest, HalfPixel, [9, 5], [9.0 / 6.0, 5.0 / 8.0]),
        (ResizeMode::Linear, Asymmetric, [12, 16], [2.0, 2.0]),
        (ResizeMode::Linear, HalfPixel, [15, 5], [15.0 / 6.0, 5.0 / 8.0]),
        (ResizeMode::Linear, AlignCorners, [13, 16], [13.0 / 6.0, 2.0]),
    ] {
        check(&format!("{mode:?} {coords:?}"), &one(Op::Resize { output, scale, mode, coords }, &[]));
    }
}

/// `x` on a grid, a layer with int8 weights, its result on a grid.
fn gridded(dims: &[usize], op: Op, constants: &[Tensor]) -> Graph {
    let (mut graph, x) = input(dims);
    let grid = |lo, hi| Op::FakeQuant(Quant::from_range(lo, hi).unwrap());
    let mut operands = vec![graph.push("in", grid(0.0, 1.0), vec![x], "grid").unwrap()];
    for tensor in constants {
        operands.push(graph.push_constant("constant", tensor.clone()).unwrap());
    }
    let y = graph.push("layer", op, operands, "y").unwrap();
    graph.outputs = vec![graph.push("out", grid(-1.0, 3.0), vec![y], "result").unwrap()];
    graph
}

/// Written and decoded.
fn decoded(graph: &Graph, options: &OnnxOptions) -> GraphProto {
    ModelProto::decode(onnx(graph, options).unwrap().as_slice()).unwrap().graph.unwrap()
}

/// By hand. The scales are 0.5 and 2⁻², so the bias's unit is 0.125 and 0.3125 lies between 2 and 3: to even.
#[test]
fn biases_become_codes_of_the_accumulator() {
    let (mut graph, x) = input(&[1, 1, 2, 2]);
    let grid = Op::FakeQuant(Quant::new(0.5, 3).unwrap());
    let x = graph.push("in", grid, vec![x], "x").unwrap();
    let shape = |dims: &[usize]| Shape::new(dims).unwrap();
    let weights = Data::Q8 { codes: vec![4, -127], scales: vec![0.25, 0.25] };
    let weights = Tensor::new(shape(&[2, 1, 1, 1]), weights).unwrap();
    let bias = Tensor::new(shape(&[2]), Data::F32(vec![0.3125, -1e30])).unwrap();
    let [weights, bias] =
        [("w", weights), ("b", bias)].map(|(name, t)| graph.push_constant(name, t).unwrap());
    let op = Op::Conv { window: window([1, 1], [1, 1], [0; 4]), groups: 1, activation: None };
    graph.outputs = vec![graph.push("conv", op, vec![x, weights, bias], "y").unwrap()];
    let written = decoded(&graph, &OnnxOptions::default());
    let raw = |data_type: i32| {
        let found = written.initializer.iter().filter(|t| t.data_type == data_type);
        found.map(|t| t.raw_data.clone().unwrap()).collect::<Vec<_>>()
    };
    let bias = [2i32.to_le_bytes(), i32::MIN.to_le_bytes()].concat();
    assert_eq!(raw(proto::INT32), [bias, vec![0; 8]]);
    assert_eq!(raw(proto::INT8), [vec![4, 0x81], vec![0; 2]]);
    assert_eq!(raw(proto::UINT8), [[131]]);
    let operators: Vec<&str> = written.node.iter().map(|node| node.op_type.as_str()).collect();
    let dequantize = "DequantizeLinear";
    assert_eq!(operators, ["QuantizeLinear", dequantize, dequantize, dequantize, "Conv"]);
}

#[test]
fn int8_layers_compute_the_same_bytes() {
    let conv = |groups, activation| Op::Conv { window: window([3, 3], [1, 1], [1; 4]), groups, activation };
    let linear = Op::Linear { activation: Some(Unary::Relu) };
    let cases = [
        gridded(&DIMS, conv(1, Some(Unary::Silu)), &[codes(&[8, 4, 3, 3]), reals(&[8], 3)]),
        gridded(&DIMS, conv(4, Some(Unary::Relu)), &[codes(&[4, 1, 3, 3]), reals(&[4], 3)]),
        gridded(&DIMS, conv(1, None), &[codes(&[8, 4, 3, 3])]),
        gridded(&DIMS, linear, &[codes(&[5, 8]), reals(&[5], 3)]),
    ];
    for graph in cases {
        let [a, b] = [&graph, &again(&graph)].map(|graph| outputs(graph, Precision::Int8));
        assert_eq!(a, b, "{:?}", graph.nodes[1].op);
    }
}

/// Names that are there twice, or none, get another; metadata stays.
#[test]
fn names_are_unique_and_metadata_is_kept() {
    let (mut graph, x) = input(&DIMS);
    let relu = || Op::Unary(Unary::Silu);
    let a = graph.push("same", relu(), vec![x], "").unwrap();
    let b = graph.push("same", relu(), vec![a], "result").unwrap();
    let c = graph.push("", relu(), vec![b], "result").unwrap();
    graph.outputs = vec![c];
    let metadata = [("names", "['a']"), ("stride", "32")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let bytes = onnx(&graph, &OnnxOptions { metadata: &metadata, other_size: None }).unwrap();
    let model = read(&bytes, None);
    assert_eq!(model.metadata, metadata);
    assert_eq!(names(&model.graph), ["picture", "result"]);
    let written = decoded(&graph, &OnnxOptions::default());
    let unique = |names: Vec<&String>| {
        let set: std::collections::HashSet<_> = names.iter().collect();
        assert!(set.len() == names.len() && names.iter().all(|name| !name.is_empty()), "{names:?}");
    };
    unique(written.node.iter().map(|node| &node.name).collect());
    unique(written.node.iter().flat_map(|node| &node.output).collect());
    assert!(written.node.iter().any(|node| node.name == "same"));

    graph.outputs = vec![b, c];
    let error = onnx(&graph, &OnnxOptions::default()).unwrap_err().to_string();
    assert!(error.contains("\"result\""), "{error}");
}

#[test]
fn what_onnx_cannot_say_is_refused_by_name() {
    let dilated = WindowAttrs { dilation: [2; 2], ..window([2, 2], [1, 1], [0; 4]) };
    let average = Op::Pool { kind: PoolKind::Avg, window: dilated, count_include_pad: false, tail: [0; 2] };
    for op in [Op::AdaptivePool { kind: PoolKind::Avg, output: [2, 3] }, average] {
        let error = onnx(&one(op, &[]), &OnnxOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Runtime(ocellus::Error::Unsupported { .. })), "{error:?}");
        assert!(error.to_string().contains("Pool one"), "{error}");
    }
}

/// Files beside the repository; `None`, with a message, where they are absent.
fn shared(name: &str) -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn real_models_compute_the_same() {
    for name in ["e.param", "s.param", "v5lite-e-320.onnx", "FastestDet.onnx"] {
        let Some(path) = shared(&format!("models/{name}")) else { continue };
        let load = |size| simplify(&loader::load(&path, &LoadOptions { size }).unwrap().graph).unwrap();
        let graph = load(None);
        check(name, &graph);
        if name == "e.param" {
            let other = load(Some([256, 384]));
            let options = OnnxOptions { other_size: Some(&other), ..OnnxOptions::default() };
            let third = [192, 224];
            let reread = read(&onnx(&graph, &options).unwrap(), Some(third)).graph;
            let [a, b] = [&load(Some(third)), &reread].map(|graph| outputs(graph, Precision::Fp32));
            assert!(difference(&a, &b) <= 1e-5, "{name} at a third size");
        }
    }
}

/// A detector's head, as exports write it, with pooling and resizing on the way.
fn any_size([height, width]: [usize; 2]) -> Graph {
    let (mut graph, x) = input(&[1, 6, height, width]);
    let pool = Op::Pool {
        kind: PoolKind::Max,
        window: window([2, 2], [2, 2], [0; 4]),
        count_include_pad: false,
        tail: [0; 2],
    };
    let pooled = graph.push("pool", pool, vec![x], "pooled").unwrap();
    let (mode, coords) = (ResizeMode::Nearest, ResizeCoords::Asymmetric);
    let resize = Op::Resize { output: [height, width], scale: [2.0; 2], mode, coords };
    let resized = graph.push("resize", resize, vec![pooled], "resized").unwrap();
    let slice = Op::Slice { start: vec![0, 0, 1, 0], step: vec![1; 4], count: vec![1, 6, height - 1, width] };
    let cut = graph.push("cut", slice, vec![resized], "cut").unwrap();
    let head = Op::Reshape { shape: vec![1, 2, 3, height - 1, width] };
    let head = graph.push("head", head, vec![cut], "head").unwrap();
    let turned =
        graph.push("turn", Op::Transpose { perm: vec![0, 1, 3, 4, 2] }, vec![head], "turned").unwrap();
    let rows = Op::Reshape { shape: vec![1, 2 * (height - 1) * width, 3] };
    graph.outputs = vec![turned, graph.push("rows", rows, vec![turned], "rows").unwrap()];
    graph
}

#[test]
fn two_sizes_make_a_file_for_any() {
    let (small, large, third) = (any_size([32, 64]), any_size([64, 96]), any_size([96, 32]));
    let options = OnnxOptions { other_size: Some(&large), ..OnnxOptions::default() };
    let old = [("imgsz".to_owned(), "[640, 640]".to_owned()), ("licence".to_owned(), "MIT".to_owned())];
    let bytes = onnx(&small, &OnnxOptions { metadata: &old, ..options }).unwrap();
    let back = OnnxOptions { other_size: Some(&small), ..OnnxOptions::default() };
    assert_eq!(
        decoded(&small, &options),
        decoded(&large, &back),
        "but for the size where nobody asks for one:"
    );
    let unasked = read(&bytes, None);
    assert_eq!(unasked.graph.shape(unasked.graph.inputs[0]).dims()[2..], [32, 64]);
    assert_eq!(unasked.metadata, [old[1].clone(), ("imgsz".to_owned(), "[32, 64]".to_owned())]);
    for (size, graph) in [([32, 64], small), ([96, 32], third)] {
        let reread = read(&bytes, Some(size)).graph;
        assert_eq!(outputs(&graph, Precision::Fp32), outputs(&reread, Precision::Fp32));
        let written = decoded(&graph, &OnnxOptions { other_size: Some(&large), ..OnnxOptions::default() });
        assert_eq!(written.input[0], ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap().input[0]);
        let rows = written.node.iter().find(|node| node.name == "rows").unwrap();
        let shape = written.initializer.iter().find(|tensor| tensor.name == rows.input[1]).unwrap();
        assert_eq!(shape.raw_data, Some([1i64, -1, 3].map(i64::to_le_bytes).concat()));
    }
}

#[test]
fn a_network_for_one_size_is_not_written_for_any() {
    let sized = |size: usize| {
        let (mut graph, x) = input(&[1, 3, size, size]);
        let grid = graph.push_constant("anchors", reals(&[1, 3, size, size], 1)).unwrap();
        let op = Op::Binary { kind: Binary::Add, activation: None };
        graph.outputs = vec![graph.push("add", op, vec![x, grid], "y").unwrap()];
        graph
    };
    let (a, b) = (sized(32), sized(64));
    let error = onnx(&a, &OnnxOptions { other_size: Some(&b), ..OnnxOptions::default() }).unwrap_err();
    assert!(error.to_string().contains("\"anchors\""), "{error}");
    let error = onnx(&a, &OnnxOptions { other_size: Some(&any_size([32, 32])), ..OnnxOptions::default() });
    assert!(matches!(error, Err(Error::Usage(_))));
}
