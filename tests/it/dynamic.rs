//! Dynamic quantization: int8 weights, activations on grids that each run makes.

use crate::network::{fill_input, network};
use ocellus::engine::{Engine, EngineOptions, Input, Precision};
use ocellus::graph::{Graph, Op, Unary, WindowAttrs};
use ocellus::kernels::isa::Isa;
use ocellus::tensor::{Data, Quant, Shape, Tensor};

const SIDE: usize = 7;
const INPUTS: usize = 5;
const OUTPUTS: usize = 6;

/// Numbers in −1..1 without order (a multiplicative sequence modulo a prime).
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i + 1) * (7 * seed + 3) * 257 % 1009) as f32 / 504.5 - 1.0).collect()
}

fn tensor(dims: &[usize], values: Vec<f32>) -> Tensor {
    Tensor::new(Shape::new(dims).unwrap(), Data::F32(values)).unwrap()
}

/// A 3×3 convolution with float weights, padding, bias and leaky ReLU.
fn layer(weights: &[f32], bias: &[f32]) -> Graph {
    let mut graph = Graph::new();
    let x = graph.push_input("x", Shape::new([1, INPUTS, SIDE, SIDE]).unwrap()).unwrap();
    let weights = graph.push_constant("w", tensor(&[OUTPUTS, INPUTS, 3, 3], weights.to_vec())).unwrap();
    let bias = graph.push_constant("b", tensor(&[OUTPUTS], bias.to_vec())).unwrap();
    let window = WindowAttrs { kernel: [3; 2], stride: [1; 2], dilation: [1; 2], pad: [1; 4] };
    let op = Op::Conv { window, groups: 1, activation: Some(Unary::LeakyRelu { slope: 0.1 }) };
    graph.outputs = vec![graph.push("conv", op, vec![x, weights, bias], "y").unwrap()];
    graph
}

/// What dynamic quantization means, in plain double precision: both operands rounded to their grids, the rest
/// exact.
fn emulated(x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f64> {
    let (lo, hi) = x.iter().fold((0f32, 0f32), |(lo, hi), &x| (lo.min(x), hi.max(x)));
    let grid = Quant::from_range(lo, hi).unwrap();
    let x: Vec<f64> = x.iter().map(|&x| f64::from(grid.dequantize(grid.quantize(x)))).collect();
    let row = INPUTS * 9;
    let rounded: Vec<f64> = weights
        .chunks(row)
        .flat_map(|row| {
            let scale = row.iter().fold(0f32, |m, w| m.max(w.abs())) / 127.0;
            row.iter().map(move |w| f64::from((w / scale).round_ties_even()) * f64::from(scale))
        })
        .collect();
    let mut y = Vec::new();
    for pixel in 0..SIDE * SIDE {
        for output in 0..OUTPUTS {
            let mut sum = f64::from(bias[output]);
            for tap in 0..9 {
                let (row_at, column) = (pixel / SIDE + tap / 3, pixel % SIDE + tap % 3);
                if (1..=SIDE).contains(&row_at) && (1..=SIDE).contains(&column) {
                    let at = (row_at - 1) * SIDE + column - 1;
                    for input in 0..INPUTS {
                        sum += x[at * INPUTS + input] * rounded[output * row + input * 9 + tap];
                    }
                }
            }
            y.push(if sum < 0.0 { 0.1 * sum } else { sum });
        }
    }
    y
}

/// Pictures on one side of zero, around it, and of zeros: each run has a grid of its own.
#[test]
fn a_layer_is_its_emulation() {
    let (weights, bias) = (numbers(1, OUTPUTS * INPUTS * 9), numbers(2, OUTPUTS));
    let options = EngineOptions { precision: Precision::Dynamic, ..EngineOptions::default() };
    let mut engine = Engine::new(layer(&weights, &bias), &options).unwrap();
    assert_eq!(engine.plan().precision(), "dynamic");
    for (gain, shift) in [(1.0, 0.0), (0.01, 0.01), (300.0, -300.0), (2.0, 50.0)] {
        let x: Vec<f32> = numbers(3, SIDE * SIDE * INPUTS).iter().map(|x| gain * x + shift).collect();
        engine.fill_reals(&x);
        engine.run();
        let output = engine.output(0).plane;
        let largest = x.iter().fold(0f32, |m, x| m.max(x.abs()));
        for (i, exact) in emulated(&x, &weights, &bias).into_iter().enumerate() {
            let got = output.data[i / OUTPUTS * output.pitch + i % OUTPUTS];
            let near = (f64::from(got) - exact).abs() <= 1e-5 * f64::from(largest.max(1.0));
            assert!(near, "gain {gain}, shift {shift}, element {i}: {got} instead of {exact}");
        }
    }
    engine.fill_reals(&[0.0; SIDE * SIDE * INPUTS]);
    engine.run();
    let output = engine.output(0).plane;
    for (got, &bias) in output.data.iter().zip(bias.iter().cycle()) {
        assert_eq!(*got, if bias < 0.0 { 0.1 * bias } else { bias });
    }
}

/// All elements of all outputs, with the gaps of the planes.
fn outputs(precision: Precision, isa: Isa, threads: usize) -> Vec<f32> {
    let options = EngineOptions { precision, isa, threads, ..EngineOptions::default() };
    let mut engine = Engine::new(network(), &options).unwrap();
    let size = engine.input_size();
    for image in [1, 0] {
        assert!(matches!(engine.input(), Input::Reals(_)), "a network without scales takes real numbers");
        fill_input(engine.input(), size, image);
        engine.run();
    }
    (0..engine.outputs()).flat_map(|i| engine.output(i).plane.data.to_vec()).collect()
}

/// The made network without its scales.
#[test]
fn a_network_is_close_to_float_and_the_same_everywhere() {
    let float = outputs(Precision::Fp32, Isa::detect(), 1);
    let plain = outputs(Precision::Dynamic, Isa::Scalar, 1);
    let dot =
        |x: &[f32], y: &[f32]| -> f64 { x.iter().zip(y).map(|(&p, &q)| f64::from(p) * f64::from(q)).sum() };
    let cosine = dot(&float, &plain) / (dot(&float, &float) * dot(&plain, &plain)).sqrt();
    assert!(cosine > 0.999 && float != plain, "cosine {cosine}");
    let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for isa in Isa::available() {
        for threads in [1, 2, 3] {
            let same = outputs(Precision::Dynamic, isa, threads);
            assert!(bits(&same) == bits(&plain), "{isa}, {threads} threads");
        }
    }
}
