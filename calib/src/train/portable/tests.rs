//! Both ways to compute: the same numbers and the same gradients.
//!
//! Both on the CPU, which needs no GPU. A GPU itself is tested by the variable `CALIB_DEVICE`:
//! `CALIB_DEVICE=wgpu cargo test --release -p ocellus-calib --features wgpu --lib portable`

use super::*;
use crate::random::Random;
use crate::train::device::{Device, DeviceName, numbers};
use crate::train::executor::Pass;
use crate::train::source::Architecture;
use clap::ValueEnum;
use std::sync::OnceLock;

/// The device that is compared with the kernels.
fn device() -> Device {
    match std::env::var("CALIB_DEVICE") {
        Ok(name) => DeviceName::from_str(&name, true).unwrap().open().unwrap(),
        Err(_) => Device::portable(),
    }
}

fn random_numbers(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| random.around(1.0) as f32).collect()
}

fn length(numbers: impl Iterator<Item = f32>) -> f64 {
    numbers.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// Fails where two lists differ by more than `tolerance`, in parts of the length of one.
fn assert_close(what: &str, ours: &[f32], others: &[f32], tolerance: f64) {
    assert_close_or_small(what, (ours, others), tolerance, 1e-3);
}

/// The same; what is far shorter than `small` may be anything as short.
fn assert_close_or_small(what: &str, (ours, others): (&[f32], &[f32]), tolerance: f64, small: f64) {
    assert_eq!(ours.len(), others.len(), "{what}");
    let size = length(ours.iter().copied());
    let error = length(ours.iter().zip(others).map(|(a, b)| a - b));
    assert!(error <= tolerance * (size + small), "{what}: {error} of {size}");
}

/// Compares the results of a kernel's two ways, and the gradients of its inputs, which have these dimensions.
fn compare(kernel: &dyn Portable, inputs: &[[usize; 4]]) {
    let mut random = Random::new(&[17]);
    let device = device();
    let values = inputs.iter().map(|dims| random_numbers(&mut random, dims.iter().product()));
    let values: Vec<Vec<f32>> = values.collect();
    let weights = random_numbers(&mut random, kernel.output().elements());
    let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let expected = kernel.forward(&slices);
    let gradients = kernel.backward(&slices, &weights, &vec![true; inputs.len()]);

    let tensor = |values: &[f32], dims: [usize; 4]| {
        Tensor::<4>::from_data(TensorData::new(values.to_vec(), dims), device.tensors())
    };
    let leaves = values.iter().zip(inputs).map(|(values, dims)| tensor(values, *dims).require_grad());
    let leaves: Vec<Tensor<4>> = leaves.collect();
    let result = kernel.tensors(&leaves.iter().collect::<Vec<_>>());
    assert_eq!(result.dims(), dims(kernel.output()), "{kernel:?}");
    assert_close(&format!("{kernel:?}"), &expected, &numbers([result.clone()])[0], 1e-5);
    let grads = (result * tensor(&weights, dims(kernel.output()))).sum().backward();
    for (input, (leaf, expected)) in leaves.iter().zip(gradients).enumerate() {
        let gradient = numbers(leaf.grad(&grads)).remove(0);
        assert_close(&format!("{kernel:?}, gradient {input}"), &expected.unwrap(), &gradient, 1e-4);
    }
}

const INPUT: Extent = Extent { channels: 6, images: 3, rows: 9, columns: 14 };

fn parameter(count: usize) -> [usize; 4] {
    [count, 1, 1, 1]
}

#[test]
fn convolutions_and_pools_are_those_of_the_kernels() {
    let x = dims(INPUT);
    for (kernel, stride, pad) in
        [(3, 1, [1; 4]), (3, 2, [1; 4]), (5, 2, [2; 4]), (2, 2, [0; 4]), (3, 2, [0, 1, 1, 0]), (6, 2, [2; 4])]
    {
        let window = WindowAttrs { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad };
        let depthwise = Depthwise::new(INPUT, &window);
        let output = Extent { channels: 5, ..depthwise.output() };
        compare(&depthwise, &[x, parameter(6 * kernel * kernel)]);
        compare(&Dense::new(INPUT, output, window.clone()), &[x, parameter(5 * 6 * kernel * kernel)]);
        compare(&MaxPool::new(INPUT, &window), &[x]);
    }
    compare(&Pointwise { input: INPUT, out: 4 }, &[x, parameter(4 * 6)]);
}

#[test]
fn norms_and_activations_are_those_of_the_kernels() {
    let x = dims(INPUT);
    for activation in [
        None,
        Some(Unary::Relu),
        Some(Unary::LeakyRelu { slope: 0.1 }),
        Some(Unary::Clip { lo: 0.0, hi: 0.5 }),
        Some(Unary::Sigmoid),
        Some(Unary::Silu),
        Some(Unary::HardSigmoid { alpha: 0.5, beta: 0.4 }),
        Some(Unary::HardSwish { alpha: 0.5, beta: 0.4 }),
    ] {
        let norm = NormAct { input: INPUT, epsilon: 1e-3, activation, statistics: OnceLock::new() };
        compare(&norm, &[x, parameter(6), parameter(6)]);
        compare(&BiasAct { input: INPUT, activation }, &[x, parameter(6)]);
        compare(&BiasAct { input: INPUT, activation }, &[x]);
    }
}

/// At a corner a function has several slopes; zeros behind zero biases stand there.
#[test]
fn corners_have_the_slopes_of_the_kernels() {
    let x = [0.0, 1.0, -1.0, 3.0];
    for activation in
        [Unary::Relu, Unary::LeakyRelu { slope: 0.1 }, Unary::Clip { lo: 0.0, hi: 3.0 }].map(Some)
    {
        let input = Extent { channels: 1, images: 1, rows: 1, columns: 4 };
        let slopes = BiasAct { input, activation }.backward(&[&x], &[1.0; 4], &[true]).remove(0).unwrap();
        let leaf = Tensor::<4>::from_data(TensorData::new(x.to_vec(), [1, 1, 1, 4]), device().tensors());
        let leaf = leaf.require_grad();
        let grads = activated(leaf.clone(), activation).sum().backward();
        assert_eq!(numbers(leaf.grad(&grads)), [slopes], "{activation:?}");
    }
}

#[test]
fn what_moves_and_blends_is_that_of_the_kernels() {
    let x = dims(INPUT);
    let half = Extent { channels: 2, ..INPUT };
    // One channel goes twice, one nowhere.
    let from = vec![(0, 3), (1, 0), (0, 0), (0, 3), (1, 1), (0, 2)];
    compare(&Pick { inputs: vec![INPUT, half], from }, &[x, dims(half)]);
    let all = (0..6).map(|c| (0, c)).chain([(1, 0), (1, 1)]).collect();
    compare(&Pick { inputs: vec![INPUT, half], from: all }, &[x, dims(half)]);
    compare(&Upsample { input: INPUT, factor: [2, 3] }, &[x]);
    compare(&Sum { input: INPUT }, &[x, x]);
    compare(&Mean { input: INPUT }, &[x]);
    compare(&Gate { input: INPUT }, &[x, [6, 3, 1, 1]]);
}

#[test]
fn codes_and_how_scales_learn_are_those_of_the_kernels() {
    let x = dims(INPUT);
    let each = (1..=6).map(|i| 0.01 * i as f32).collect();
    for (scales, bounds) in [(vec![0.037], [-20.0, 30.0]), (each, [-20.0, 20.0])] {
        let factors = parameter(scales.len());
        let codes = Codes { input: INPUT, scales, bounds };
        compare(&codes, &[x]);
        compare(&codes, &[x, factors]);
    }
}

/// A whole step of networks of both families: maps, statistics and gradients of all parameters.
#[test]
fn networks_learn_the_same_either_way() {
    const SIZE: usize = 64;
    let mut random = Random::new(&[23]);
    // At a corner of an activation rounding decides on which side a number is, and one of the few thousands in the smallest
    // maps is some hundredths of a gradient: v5lite-s's weights moved by 2e-7 move it as far. yolov5n has no such corners.
    for (name, tolerance) in [("v5lite-e", 0.1), ("v5lite-s", 0.1), ("yolov5n", 1e-3)] {
        let architecture = Architecture { name: name.into(), multiples: [None; 2], classes: 2, seed: 3 };
        let (network, weights) = architecture.network(SIZE).unwrap();
        let pictures: Vec<u8> = (0..2 * 3 * SIZE * SIZE).map(|_| random.below(256) as u8).collect();
        let [ours, other] =
            [Device::cpu(), device()].map(|device| Pass::new(&network, &weights, &pictures, &device));
        let [our_maps, other_maps] = [&ours, &other].map(Pass::maps);
        for (a, b) in our_maps.iter().zip(&other_maps) {
            assert_eq!(a.extent, b.extent);
            assert_close(name, &a.values, &b.values, 1e-4);
        }
        let statistics = [&ours, &other].map(Pass::statistics);
        assert_eq!(statistics[0].len(), statistics[1].len());
        for ((a, count), (b, others)) in statistics[0].iter().zip(&statistics[1]) {
            assert_eq!(count, others);
            // Means may be zero but for what rounding leaves of the deviations.
            let [a, b] = [a, b].map(|of| [of.mean.as_slice(), &of.variance].concat());
            assert_close(name, &a, &b, 1e-4);
        }
        let gradients = our_maps.iter().map(|map| random_numbers(&mut random, map.values.len()));
        let gradients: Vec<Vec<f32>> = gradients.collect();
        let [ours, others] = [ours, other].map(|pass| pass.backward(gradients.clone()));
        assert_eq!(ours.len(), others.len());
        // What a normalization takes away again has a gradient of zero, but for rounding.
        let small = 1e-4 * length(ours.iter().flatten().copied());
        for (at, (a, b)) in ours.iter().zip(&others).enumerate() {
            let what = format!("{name}, gradient of parameter {at}");
            assert_close_or_small(&what, (a, b), tolerance, small);
        }
    }
}
