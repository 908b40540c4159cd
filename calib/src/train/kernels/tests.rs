//! Every kernel's gradients beside finite differences of its results, and its results beside plain loops.

use super::*;
use crate::random::Random;
use ocellus::graph::{Unary, WindowAttrs};
use std::sync::OnceLock;

fn numbers(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.around(1.0) as f32).collect()
}

/// Compares gradients with differences of `Σ weight · result`, at some elements of each input.
fn check_gradients(make: impl Fn() -> Box<dyn Kernel>, inputs: &[usize], tolerance: f64) {
    let mut random = Random::new(&[11]);
    let values: Vec<Vec<f32>> = inputs.iter().map(|&count| numbers(&mut random, count)).collect();
    let kernel = make();
    let slices = |values: &[Vec<f32>]| -> Vec<Vec<f32>> { values.to_vec() };
    let run = |values: &[Vec<f32>]| {
        let borrowed: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
        make().forward(&borrowed)
    };
    let weights = numbers(&mut random, kernel.output().elements());
    let borrowed: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    assert_eq!(kernel.forward(&borrowed).len(), weights.len());
    let gradients = kernel.backward(&borrowed, &weights, &vec![true; inputs.len()]);
    let step = 1e-2f32;
    for (input, gradient) in gradients.iter().enumerate() {
        let gradient = gradient.as_ref().expect("it is wanted");
        assert_eq!(gradient.len(), values[input].len());
        for _ in 0..12 {
            let at = random.below(gradient.len());
            let moved = |by: f32| {
                let mut values = slices(&values);
                values[input][at] += by;
                run(&values).iter().zip(&weights).map(|(y, w)| f64::from(*y) * f64::from(*w)).sum::<f64>()
            };
            let difference = (moved(step) - moved(-step)) / f64::from(2.0 * step);
            let exact = f64::from(gradient[at]);
            let allowed = tolerance * (1.0 + exact.abs());
            assert!((difference - exact).abs() < allowed, "{kernel:?} {input}[{at}]: {difference} {exact}");
        }
    }
}

fn extent(channels: usize, images: usize, rows: usize, columns: usize) -> Extent {
    Extent { channels, images, rows, columns }
}

fn window(kernel: usize, stride: usize, pad: [usize; 4]) -> WindowAttrs {
    WindowAttrs { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad }
}

/// A convolution by its definition.
fn plain_conv(
    x: &[f32],
    weights: &[f32],
    input: Extent,
    output: Extent,
    w: &WindowAttrs,
    groups: usize,
) -> Vec<f32> {
    let per_group = input.channels / groups;
    let mut out = Vec::new();
    for o in 0..output.channels {
        for n in 0..input.images {
            for (r, c) in (0..output.rows).flat_map(|r| (0..output.columns).map(move |c| (r, c))) {
                let mut sum = 0.0;
                for k in 0..per_group {
                    let channel = o / (output.channels / groups) * per_group + k;
                    for (i, j) in (0..w.kernel[0]).flat_map(|i| (0..w.kernel[1]).map(move |j| (i, j))) {
                        let y = (r * w.stride[0] + i * w.dilation[0]).checked_sub(w.pad[0]);
                        let x_at = (c * w.stride[1] + j * w.dilation[1]).checked_sub(w.pad[1]);
                        let (Some(y), Some(x_at)) = (y, x_at) else { continue };
                        if y < input.rows && x_at < input.columns {
                            let pixel =
                                ((channel * input.images + n) * input.rows + y) * input.columns + x_at;
                            sum +=
                                x[pixel] * weights[((o * per_group + k) * w.kernel[0] + i) * w.kernel[1] + j];
                        }
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

fn assert_close(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() < 1e-4, "{at}: {a} {b}");
    }
}

#[test]
fn convolutions_follow_their_definition() {
    let mut random = Random::new(&[3]);
    for (kernel, stride, pad) in
        [(3, 1, [1; 4]), (3, 2, [1; 4]), (5, 2, [2; 4]), (2, 2, [0; 4]), (3, 2, [0, 1, 1, 0]), (6, 2, [2; 4])]
    {
        let w = window(kernel, stride, pad);
        let input = extent(6, 3, 9, 14);
        let depthwise = Depthwise::new(input, &w);
        let output = depthwise.output();
        let x = numbers(&mut random, input.elements());
        let weights = numbers(&mut random, 6 * kernel * kernel);
        let expected = plain_conv(&x, &weights, input, output, &w, 6);
        assert_close(&depthwise.forward(&[&x, &weights]), &expected);
        let output = Extent { channels: 5, ..output };
        let weights = numbers(&mut random, 5 * 6 * kernel * kernel);
        let expected = plain_conv(&x, &weights, input, output, &w, 1);
        assert_close(&Dense::new(input, output, w.clone()).forward(&[&x, &weights]), &expected);
    }
    let input = extent(7, 2, 3, 5);
    let (x, weights) = (numbers(&mut random, input.elements()), numbers(&mut random, 4 * 7));
    let pointwise = Pointwise { input, out: 4 };
    let expected = plain_conv(&x, &weights, input, pointwise.output(), &window(1, 1, [0; 4]), 1);
    assert_close(&pointwise.forward(&[&x, &weights]), &expected);
}

#[test]
fn gradients_of_convolutions() {
    let input = extent(5, 3, 7, 10);
    for (kernel, stride, pad) in [(3, 1, [1; 4]), (3, 2, [1; 4]), (5, 2, [2; 4])] {
        let w = window(kernel, stride, pad);
        let make = || -> Box<dyn Kernel> { Box::new(Depthwise::new(input, &w)) };
        check_gradients(make, &[input.elements(), 5 * kernel * kernel], 2e-3);
        let output = Extent { channels: 4, ..make().output() };
        let make = || -> Box<dyn Kernel> { Box::new(Dense::new(input, output, w.clone())) };
        check_gradients(make, &[input.elements(), 4 * 5 * kernel * kernel], 2e-3);
    }
    check_gradients(|| Box::new(Pointwise { input, out: 6 }), &[input.elements(), 30], 2e-3);
}

#[test]
fn gradients_of_norms_and_activations() {
    let input = extent(3, 2, 5, 9);
    for activation in [
        None,
        Some(Unary::Silu),
        Some(Unary::Sigmoid),
        Some(Unary::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 }),
        Some(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 }),
    ] {
        let norm = || -> Box<dyn Kernel> {
            Box::new(NormAct { input, epsilon: 1e-3, activation, statistics: OnceLock::new() })
        };
        check_gradients(norm, &[input.elements(), 3, 3], 5e-3);
        check_gradients(|| Box::new(BiasAct { input, activation }), &[input.elements(), 3], 5e-3);
        check_gradients(|| Box::new(BiasAct { input, activation }), &[input.elements()], 5e-3);
    }
}

/// Functions with a corner: away from it a difference is the slope.
#[test]
fn slopes_beside_corners() {
    let input = extent(1, 1, 1, 40);
    let x: Vec<f32> = (0..40).map(|i| (i as f32 - 19.5) / 4.0).collect();
    for activation in
        [Unary::Relu, Unary::LeakyRelu { slope: 0.1 }, Unary::Clip { lo: 0.0, hi: 3.0 }].map(Some)
    {
        let kernel = BiasAct { input, activation };
        let up: Vec<f32> = x.iter().map(|x| x + 0.01).collect();
        let (low, high) = (kernel.forward(&[&x]), kernel.forward(&[&up]));
        let slopes = kernel.backward(&[&x], &[1.0; 40], &[true]).remove(0).unwrap();
        for (slope, (low, high)) in slopes.iter().zip(low.iter().zip(&high)) {
            assert!((slope - (high - low) / 0.01).abs() < 1e-3, "{activation:?}: {slope}");
        }
    }
}

#[test]
fn norms_make_mean_zero_and_variance_one() {
    let input = extent(4, 3, 6, 5);
    let x = numbers(&mut Random::new(&[5]), input.elements());
    let norm = NormAct { input, epsilon: 0.0, activation: None, statistics: OnceLock::new() };
    let out = norm.forward(&[&x, &[1.0; 4], &[0.0; 4]]);
    for channel in out.chunks(input.channel()) {
        let mean = channel.iter().sum::<f32>() / channel.len() as f32;
        let square = channel.iter().map(|x| x * x).sum::<f32>() / channel.len() as f32;
        assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-4, "{mean} {square}");
    }
}

#[test]
fn gradients_of_what_moves_and_blends() {
    let input = extent(4, 2, 6, 8);
    let n = input.elements();
    let two = || -> Box<dyn Kernel> {
        let inputs = vec![input, Extent { channels: 2, ..input }];
        // One channel goes twice, one nowhere.
        Box::new(Pick { inputs, from: vec![(0, 3), (1, 0), (0, 0), (0, 3), (1, 1), (0, 2)] })
    };
    check_gradients(two, &[n, n / 2], 2e-3);
    check_gradients(|| Box::new(Upsample { input, factor: [2, 3] }), &[n], 2e-3);
    check_gradients(|| Box::new(Sum { input }), &[n, n], 2e-3);
    check_gradients(|| Box::new(Mean { input }), &[n], 2e-3);
    check_gradients(|| Box::new(Gate { input }), &[n, 8], 2e-3);
}

#[test]
fn maxima_and_who_gets_their_gradient() {
    let input = extent(1, 1, 3, 4);
    let x = [1.0, 5.0, 2.0, 0.0, -1.0, 3.0, 3.0, 9.0, 4.0, 4.0, 4.0, 4.0];
    let pool = MaxPool::new(input, &window(3, 2, [1; 4]));
    assert_eq!(pool.forward(&[&x]), [5.0, 9.0, 4.0, 9.0]);
    let gradient = pool.backward(&[&x], &[1.0, 2.0, 4.0, 8.0], &[true]).remove(0).unwrap();
    assert_eq!(gradient, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0, 4.0, 0.0, 0.0, 0.0]);
}
