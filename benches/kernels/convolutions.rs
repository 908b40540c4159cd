//! Dense and depthwise convolutions.

use crate::operands::{Tensor, noise, weights};
use criterion::{BenchmarkId, Criterion, Throughput};
use ocellus::kernels::conv::ConvI8;
use ocellus::kernels::isa::Isa;
use ocellus::kernels::{Epilogue, Filter, PlaneMut, Requant, Requantization, Window, reference};

/// A convolution of a square image, padded so that stride 1 keeps its size.
struct Layer {
    kernel: usize,
    stride: usize,
    inputs: usize,
    /// 0: depthwise.
    outputs: usize,
    side: usize,
}

/// ShuffleNetV2's and YOLOv5-Lite's pointwise products, the first layer of all detectors, bottlenecks of
/// YOLOv5s and ResNet, depthwise kernels of YOLOv5-Lite, MobileNet, Yolo-FastestV2 and EfficientNet.
const LAYERS: [Layer; 12] = [
    dense(1, 1, 58, 58, 40),
    dense(1, 1, 116, 116, 20),
    dense(1, 1, 232, 232, 10),
    dense(1, 1, 512, 255, 20),
    dense(3, 2, 3, 32, 320),
    dense(3, 1, 64, 64, 56),
    dense(3, 1, 128, 128, 20),
    dense(3, 2, 64, 128, 40),
    depthwise(3, 1, 58, 40),
    depthwise(3, 1, 116, 20),
    depthwise(3, 2, 116, 40),
    depthwise(5, 1, 72, 22),
];

const fn dense(kernel: usize, stride: usize, inputs: usize, outputs: usize, side: usize) -> Layer {
    Layer { kernel, stride, inputs, outputs, side }
}

const fn depthwise(kernel: usize, stride: usize, channels: usize, side: usize) -> Layer {
    Layer { kernel, stride, inputs: channels, outputs: 0, side }
}

impl Layer {
    fn is_depthwise(&self) -> bool {
        self.outputs == 0
    }

    fn name(&self) -> String {
        let Layer { kernel, stride, inputs, outputs, side } = self;
        match self.is_depthwise() {
            true => format!("depthwise {kernel}x{kernel}s{stride} {inputs} at {side}x{side}"),
            false => format!("conv {kernel}x{kernel}s{stride} {inputs}->{outputs} at {side}x{side}"),
        }
    }

    fn window(&self) -> Window {
        let output = self.side.div_ceil(self.stride);
        Window {
            input: [self.side; 2],
            output: [output; 2],
            kernel: [self.kernel; 2],
            stride: [self.stride; 2],
            dilation: [1; 2],
            pad: [self.kernel / 2; 2],
        }
    }
}

/// All layers, to codes; the head's also to real numbers.
pub fn all(criterion: &mut Criterion) {
    for layer in &LAYERS {
        codes(criterion, layer);
    }
    reals(criterion, &LAYERS[3]);
}

/// Runs `bench` with the filter and multipliers of a layer, whose codes then fill their range.
fn with_filter(layer: &Layer, bench: impl FnOnce(&Filter<'_>, Vec<f32>, u64)) {
    let outputs = if layer.is_depthwise() { layer.inputs } else { layer.outputs };
    let depth = layer.kernel * layer.kernel * if layer.is_depthwise() { 1 } else { layer.inputs };
    let weights = weights(1, depth * outputs);
    let bias: Vec<i32> = (0..outputs as i32).map(|i| i * 37 - 1000).collect();
    let filter = Filter {
        in_channels: layer.inputs,
        out_channels: outputs,
        zero_point: -5,
        weights: &weights,
        bias: &bias,
    };
    // Weights and codes have a standard deviation of 73 each.
    let multiplier = |i: usize| (0.8 + 0.01 * (i % 40) as f32) / (73.0 * (depth as f32).sqrt());
    let pixels = layer.window().output.iter().product::<usize>();
    bench(&filter, (0..outputs).map(multiplier).collect(), (pixels * outputs * depth) as u64);
}

fn convolution(isa: Isa, layer: &Layer, filter: &Filter<'_>, epilogue: Epilogue) -> ConvI8 {
    match layer.is_depthwise() {
        true => ConvI8::depthwise(isa, layer.window(), filter, epilogue),
        false => ConvI8::new(isa, layer.window(), filter, epilogue),
    }
}

fn codes(criterion: &mut Criterion, layer: &Layer) {
    with_filter(layer, |filter, multiplier, macs| {
        let window = &layer.window();
        let method = Requantization::Float;
        let requant = Requant { method, multiplier, zero_point: -20, lo: -20, hi: 127, table: None };
        let (rows, pixels) = (0..window.output[0], window.output.iter().product());
        let src = Tensor::new(layer.side * layer.side, layer.inputs).filled(noise(2));
        let mut expected = Tensor::new(pixels, filter.out_channels);
        let dst = expected.plane_mut();
        match layer.is_depthwise() {
            true => reference::depthwise_codes((window, filter, &requant), src.plane(), dst, rows.clone()),
            false => reference::conv_codes((window, filter, &requant), src.plane(), dst, rows.clone()),
        }
        let mut group = criterion.benchmark_group(layer.name());
        group.throughput(Throughput::Elements(macs));
        for isa in Isa::available() {
            let conv = convolution(isa, layer, filter, Epilogue::Codes(requant.clone()));
            let mut scratch = Tensor::<u8>::with_pitch(1, conv.scratch_bytes());
            let mut result = Tensor::new(pixels, filter.out_channels);
            let mut run = |dst: PlaneMut<'_, i8>| {
                conv.run_codes(&[src.plane()], dst, rows.clone(), scratch.as_mut_slice());
            };
            run(result.plane_mut());
            assert!(result.as_slice() == expected.as_slice(), "{}, {isa}: other codes", layer.name());
            let id = BenchmarkId::new(isa.to_string(), conv.kernel());
            group.bench_function(id, |b| b.iter(|| run(result.plane_mut())));
        }
        group.finish();
    });
}

fn reals(criterion: &mut Criterion, layer: &Layer) {
    with_filter(layer, |filter, multiplier, macs| {
        let window = &layer.window();
        let (rows, pixels) = (0..window.output[0], window.output.iter().product());
        let src = Tensor::new(layer.side * layer.side, layer.inputs).filled(noise(2));
        let mut expected = Tensor::<f32>::new(pixels, filter.out_channels);
        reference::conv_reals((window, filter, &multiplier), src.plane(), expected.plane_mut(), rows.clone());
        let mut group = criterion.benchmark_group(format!("{} to reals", layer.name()));
        group.throughput(Throughput::Elements(macs));
        for isa in Isa::available() {
            let conv = convolution(isa, layer, filter, Epilogue::Reals(multiplier.clone()));
            let mut scratch = Tensor::<u8>::with_pitch(1, conv.scratch_bytes());
            let mut result = Tensor::<f32>::new(pixels, filter.out_channels);
            let mut run = |dst: PlaneMut<'_, f32>| {
                conv.run_reals(&[src.plane()], dst, rows.clone(), scratch.as_mut_slice());
            };
            run(result.plane_mut());
            assert!(result.as_slice() == expected.as_slice(), "{}, {isa}: other numbers", layer.name());
            let id = BenchmarkId::new(isa.to_string(), conv.kernel());
            group.bench_function(id, |b| b.iter(|| run(result.plane_mut())));
        }
        group.finish();
    });
}
