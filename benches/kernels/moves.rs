//! Kernels that only move codes: maximum pooling, channels of several tensors side by side, upsampling.

use crate::elements::compare;
use crate::operands::{Tensor, noise};
use criterion::Criterion;
use ocellus::kernels::collect::{Channels, Collect};
use ocellus::kernels::isa::Isa;
use ocellus::kernels::{Window, pool, reference};

/// All of them.
pub fn all(criterion: &mut Criterion) {
    // Behind the first layer of ShuffleNetV2 and YOLOv5-Lite, and in the pyramid of YOLOv5.
    max_pool(criterion, 32, 160, (3, 2));
    max_pool(criterion, 256, 20, (5, 1));
    shuffle(criterion);
    concat(criterion);
}

fn max_pool(criterion: &mut Criterion, channels: usize, side: usize, (kernel, stride): (usize, usize)) {
    let output = side.div_ceil(stride);
    let window = Window {
        input: [side; 2],
        output: [output; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad: [kernel / 2; 2],
    };
    let src = Tensor::new(side * side, channels).filled(noise(1));
    compare(
        criterion,
        &format!("max-pool {kernel}x{kernel}s{stride}"),
        (output * output, channels),
        |dst, _| reference::max_pool(&window, channels, src.plane(), dst, 0..output),
        |isa, dst, _| pool::max_pool(isa, &window, channels, src.plane(), dst, 0..output),
    );
}

/// The channels `runs` of tensors of so many channels each.
fn collect(criterion: &mut Criterion, name: &str, side: usize, sources: &[usize], runs: &[Channels]) {
    let tensors: Vec<Tensor<i8>> = sources
        .iter()
        .zip(1..)
        .map(|(&channels, seed)| Tensor::new(side * side, channels).filled(noise(seed)))
        .collect();
    let planes: Vec<_> = tensors.iter().map(Tensor::plane).collect();
    let kernels: Vec<(Isa, Collect)> =
        Isa::available().into_iter().map(|isa| (isa, Collect::new(isa, runs, None))).collect();
    let channels = runs.iter().map(|run| run.count).sum();
    compare(
        criterion,
        name,
        (side * side, channels),
        |dst, pixels| reference::collect((runs, None), &planes, dst, pixels),
        |isa, dst, pixels| {
            let (_, kernel) =
                kernels.iter().find(|(of, _)| *of == isa).expect("there is one for each instruction set");
            kernel.run(&planes, dst, pixels);
        },
    );
}

/// ShuffleNetV2's exchange: channels of two tensors alternate.
fn shuffle(criterion: &mut Criterion) {
    let channel = |i: usize| Channels { source: i % 2, first: i / 2, count: 1 };
    let runs: Vec<Channels> = (0..116).map(channel).collect();
    collect(criterion, "shuffle", 20, &[58, 58], &runs);
}

/// A concat in front of a neck's convolution.
fn concat(criterion: &mut Criterion) {
    let run = |(source, count)| Channels { source, first: 0, count };
    let runs: Vec<Channels> = [96, 58, 58].into_iter().enumerate().map(run).collect();
    collect(criterion, "concat", 40, &[96, 58, 58], &runs);
}
