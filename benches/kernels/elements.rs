//! Kernels that treat every element alike: sum, product, table, quantize, dequantize.

use crate::operands::{Tensor, noise, table};
use criterion::{BenchmarkId, Criterion, Throughput};
use ocellus::kernels::isa::Isa;
use ocellus::kernels::{Add, CodeRange, Mul, PlaneMut, elementwise, reference};
use ocellus::tensor::Quant;
use std::ops::Range;

/// A tensor of YOLOv5-Lite s: 20×20 pixels of 116 channels.
const PIXELS: usize = 400;
const CHANNELS: usize = 116;
const RANGE: CodeRange = CodeRange { zero_point: -12, lo: -128, hi: 127 };

/// All of them.
pub fn all(criterion: &mut Criterion) {
    binary(criterion);
    tables(criterion);
    conversions(criterion);
    picture(criterion);
}

/// Compares each instruction set's result with the reference's, then times it.
pub fn compare<T: Copy + Default + PartialEq>(
    criterion: &mut Criterion,
    name: &str,
    (pixels, channels): (usize, usize),
    reference: impl Fn(PlaneMut<'_, T>, Range<usize>),
    kernel: impl Fn(Isa, PlaneMut<'_, T>, Range<usize>),
) {
    let mut expected = Tensor::new(pixels, channels);
    reference(expected.plane_mut(), 0..pixels);
    let mut group = criterion.benchmark_group(format!("{name}, {pixels} pixels of {channels}"));
    group.throughput(Throughput::Elements((pixels * channels) as u64));
    for isa in Isa::available() {
        let mut result = Tensor::new(pixels, channels);
        kernel(isa, result.plane_mut(), 0..pixels);
        assert!(result.as_slice() == expected.as_slice(), "{name}, {isa}: other results");
        let id = BenchmarkId::new(isa.to_string(), name);
        group.bench_function(id, |b| b.iter(|| kernel(isa, result.plane_mut(), 0..pixels)));
    }
    group.finish();
}

fn binary(criterion: &mut Criterion) {
    let [a, b] = [3, 4].map(|seed| Tensor::new(PIXELS, CHANNELS).filled(noise(seed)));
    let add = Add { zero_points: [-3, 9], multipliers: [0.6, 0.4], range: RANGE, table: None };
    compare(
        criterion,
        "add",
        (PIXELS, CHANNELS),
        |dst, pixels| reference::add(&add, CHANNELS, [a.plane(), b.plane()], dst, pixels),
        |isa, dst, pixels| elementwise::add(isa, &add, CHANNELS, [a.plane(), b.plane()], dst, pixels),
    );
    let mul = Mul { zero_points: [-3, 9], multiplier: 0.01, range: RANGE, table: None };
    compare(
        criterion,
        "mul",
        (PIXELS, CHANNELS),
        |dst, pixels| reference::mul(&mul, CHANNELS, [a.plane(), b.plane()], dst, pixels),
        |isa, dst, pixels| elementwise::mul(isa, &mul, CHANNELS, [a.plane(), b.plane()], dst, pixels),
    );
}

fn tables(criterion: &mut Criterion) {
    let src = Tensor::new(PIXELS, CHANNELS).filled(noise(5));
    let table = table();
    compare(
        criterion,
        "table",
        (PIXELS, CHANNELS),
        |dst, pixels| reference::table(&table, CHANNELS, src.plane(), dst, pixels),
        |isa, dst, pixels| elementwise::table(isa, &table, CHANNELS, src.plane(), dst, pixels),
    );
}

fn conversions(criterion: &mut Criterion) {
    let quant = Quant::from_range(-3.0, 4.0).expect("a range of numbers");
    let mut code = noise(6);
    let reals = Tensor::new(PIXELS, CHANNELS).filled(|| f32::from(code()) / 31.0);
    compare(
        criterion,
        "quantize",
        (PIXELS, CHANNELS),
        |dst, pixels| reference::quantize(quant, CHANNELS, reals.plane(), dst, pixels),
        |isa, dst, pixels| elementwise::quantize(isa, quant, CHANNELS, reals.plane(), dst, pixels),
    );
    let codes = Tensor::new(PIXELS, CHANNELS).filled(noise(7));
    compare(
        criterion,
        "dequantize",
        (PIXELS, CHANNELS),
        |dst, pixels| reference::dequantize(quant, CHANNELS, codes.plane(), dst, pixels),
        |isa, dst, pixels| elementwise::dequantize(isa, quant, CHANNELS, codes.plane(), dst, pixels),
    );
}

/// The picture of a float program: three channels without a gap, to pixels of four bytes.
fn picture(criterion: &mut Criterion) {
    const SIDE: usize = 320;
    let quant = Quant::from_range(0.0, 1.0).expect("a range of numbers");
    let mut code = noise(8);
    let reals = Tensor::with_pitch(SIDE * SIDE, 3).filled(|| f32::from(code() as u8) / 255.0);
    // Nobody reads the fourth byte, so both leave there what they like.
    let blank = |dst: PlaneMut<'_, i8>| dst.data.iter_mut().skip(3).step_by(4).for_each(|byte| *byte = 0);
    let mut expected = Tensor::new(SIDE * SIDE, 3);
    reference::quantize(quant, 3, reals.plane(), expected.plane_mut(), 0..SIDE * SIDE);
    blank(expected.plane_mut());
    let mut group = criterion.benchmark_group(format!("quantize a picture of {SIDE}x{SIDE}"));
    group.throughput(Throughput::Elements((3 * SIDE * SIDE) as u64));
    for isa in Isa::available() {
        let mut result = Tensor::new(SIDE * SIDE, 3);
        let run = |dst: PlaneMut<'_, i8>| {
            elementwise::quantize(isa, quant, 3, reals.plane(), dst, 0..SIDE * SIDE);
        };
        run(result.plane_mut());
        blank(result.plane_mut());
        assert!(result.as_slice() == expected.as_slice(), "quantize a picture, {isa}: other codes");
        group.bench_function(isa.to_string(), |b| b.iter(|| run(result.plane_mut())));
    }
    group.finish();
}
