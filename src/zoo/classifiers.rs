//! Classifiers of benchncnn, from their papers and as its files have them; 1000 classes each.

use super::blocks::{Inverted, classifier, inverted_residual, separable, shuffle_stage, squeeze_excite};
use super::builder::{Act, Builder, Conv, HARD_SWISH, RELU, RELU6, SIGMOID, SILU};
use crate::error::Result;
use crate::graph::ValueId;

const CLASSES: usize = 1000;

/// SqueezeNet 1.1 (Iandola et al., 2016).
pub(super) fn squeezenet(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let fire = |b: &mut Builder, x, squeeze: usize| -> Result<ValueId> {
        let squeezed = b.pointwise(x, squeeze, RELU)?;
        let narrow = b.pointwise(squeezed, 4 * squeeze, RELU)?;
        let wide = b.conv(squeezed, 4 * squeeze, 3, 1, RELU)?;
        b.concat(&[narrow, wide])
    };
    let mut x = b.conv_with(x, Conv { out: 64, kernel: 3, stride: 2, pad: 0, groups: 1 }, RELU)?;
    for stage in [&[16, 16][..], &[32, 32], &[48, 48, 64, 64]] {
        x = b.max_pool_ceil(x, 3, 2)?;
        for &squeeze in stage {
            x = fire(b, x, squeeze)?;
        }
    }
    let x = b.pointwise(x, CLASSES, RELU)?;
    let means = b.global_average(x)?;
    let scores = b.reshape(means, &[1, CLASSES])?;
    Ok(vec![b.softmax(scores, 1)?])
}

/// MobileNet 1.0 (Howard et al., 2017).
pub(super) fn mobilenet(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let mut x = b.conv(x, 32, 3, 2, RELU)?;
    let first = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    let last = [(1024, 2), (1024, 1)];
    for (out, stride) in first.into_iter().chain([(512, 1); 5]).chain(last) {
        x = separable(b, x, (out, 3, stride), [RELU; 2])?;
    }
    classifier(b, x, CLASSES)
}

/// Stages of inverted residual blocks: expansion, output channels, how often, stride, kernel.
type Stages = [(usize, usize, usize, usize, usize)];

fn inverted_stages(b: &mut Builder, mut x: ValueId, stages: &Stages, act: Act) -> Result<ValueId> {
    for &(expansion, out, times, first_stride, kernel) in stages {
        for i in 0..times {
            let stride = if i == 0 { first_stride } else { 1 };
            let hidden = expansion * b.channels(x);
            let block = Inverted { hidden, out, kernel, stride, squeeze: None, act };
            x = inverted_residual(b, x, block)?;
        }
    }
    Ok(x)
}

/// MobileNetV2 1.0 (Sandler et al., 2018).
pub(super) fn mobilenet_v2(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let x = b.conv(x, 32, 3, 2, RELU6)?;
    let stages = [
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 32, 3, 2, 3),
        (6, 64, 4, 2, 3),
        (6, 96, 3, 1, 3),
        (6, 160, 3, 2, 3),
        (6, 320, 1, 1, 3),
    ];
    let x = inverted_stages(b, x, &stages, RELU6)?;
    let x = b.pointwise(x, 1280, RELU6)?;
    classifier(b, x, CLASSES)
}

/// MnasNet-B1 (Tan et al., 2018).
pub(super) fn mnasnet(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let x = b.conv(x, 32, 3, 2, RELU)?;
    let stages = [
        (1, 16, 1, 1, 3),
        (3, 24, 3, 2, 3),
        (3, 40, 3, 2, 5),
        (6, 80, 3, 2, 5),
        (6, 96, 2, 1, 3),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ];
    let x = inverted_stages(b, x, &stages, RELU)?;
    let x = b.pointwise(x, 1280, RELU)?;
    classifier(b, x, CLASSES)
}

/// MobileNetV3-Large (Howard et al., 2019).
pub(super) fn mobilenet_v3(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    // Kernel, hidden and output channels, squeeze and excitation, stride, activation.
    let blocks = [
        (3, 16, 16, false, 1, RELU),
        (3, 64, 24, false, 2, RELU),
        (3, 72, 24, false, 1, RELU),
        (5, 72, 40, true, 2, RELU),
        (5, 120, 40, true, 1, RELU),
        (5, 120, 40, true, 1, RELU),
        (3, 240, 80, false, 2, HARD_SWISH),
        (3, 200, 80, false, 1, HARD_SWISH),
        (3, 184, 80, false, 1, HARD_SWISH),
        (3, 184, 80, false, 1, HARD_SWISH),
        (3, 480, 112, true, 1, HARD_SWISH),
        (3, 672, 112, true, 1, HARD_SWISH),
        (5, 672, 160, true, 1, HARD_SWISH),
        (5, 672, 160, true, 2, HARD_SWISH),
        (5, 960, 160, true, 1, HARD_SWISH),
    ];
    let mut x = b.conv(x, 16, 3, 2, HARD_SWISH)?;
    for (kernel, hidden, out, gated, stride, act) in blocks {
        let squeeze = gated.then_some(hidden / 4);
        x = inverted_residual(b, x, Inverted { hidden, out, kernel, stride, squeeze, act })?;
    }
    let x = b.pointwise(x, 960, HARD_SWISH)?;
    let means = b.global_average(x)?;
    let flat = b.reshape(means, &[1, 960])?;
    let wide = b.linear(flat, 1280, HARD_SWISH)?;
    let scores = b.linear(wide, CLASSES, None)?;
    Ok(vec![b.softmax(scores, 1)?])
}

/// EfficientNet-B0 (Tan and Le, 2019).
pub(super) fn efficientnet_b0(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let stages = [
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ];
    let mut x = b.conv(x, 32, 3, 2, SILU)?;
    for (expansion, out, times, first_stride, kernel) in stages {
        for i in 0..times {
            let stride = if i == 0 { first_stride } else { 1 };
            x = efficient_block(b, x, (expansion, out), (kernel, stride))?;
        }
    }
    let x = b.pointwise(x, 1280, SILU)?;
    classifier(b, x, CLASSES)
}

/// An inverted residual block whose squeeze is a quarter of the block's input.
fn efficient_block(
    b: &mut Builder,
    x: ValueId,
    (expansion, out): (usize, usize),
    (kernel, stride): (usize, usize),
) -> Result<ValueId> {
    let channels = b.channels(x);
    let y = if expansion == 1 { x } else { b.pointwise(x, expansion * channels, SILU)? };
    let y = b.depthwise(y, kernel, stride, SILU)?;
    let y = squeeze_excite(b, y, channels / 4, [SILU, SIGMOID], None)?;
    let y = b.pointwise(y, out, None)?;
    if stride == 1 && out == channels { b.add(y, x, None) } else { Ok(y) }
}

/// ShuffleNetV2 1.0× (Ma et al., 2018).
pub(super) fn shufflenet_v2(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let x = b.conv(x, 24, 3, 2, RELU)?;
    let mut x = b.max_pool(x, 3, 2, 1)?;
    for (out, units) in [(116, 3), (232, 7), (464, 3)] {
        x = shuffle_stage(b, x, out, units, RELU)?;
    }
    let x = b.pointwise(x, 1024, RELU)?;
    classifier(b, x, CLASSES)
}

fn resnet_stem(b: &mut Builder, x: ValueId) -> Result<ValueId> {
    let x = b.conv(x, 64, 7, 2, RELU)?;
    b.max_pool(x, 3, 2, 1)
}

/// The input where the block keeps its shape, a 1×1 convolution of it elsewhere.
fn shortcut(b: &mut Builder, x: ValueId, out: usize, stride: usize) -> Result<ValueId> {
    if stride == 1 && b.channels(x) == out { Ok(x) } else { b.conv(x, out, 1, stride, None) }
}

/// ResNet-18 (He et al., 2015).
pub(super) fn resnet18(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let mut x = resnet_stem(b, x)?;
    for (out, first_stride) in [(64, 1), (128, 2), (256, 2), (512, 2)] {
        for stride in [first_stride, 1] {
            let beside = shortcut(b, x, out, stride)?;
            let y = b.conv(x, out, 3, stride, RELU)?;
            let y = b.conv(y, out, 3, 1, None)?;
            x = b.add(y, beside, RELU)?;
        }
    }
    classifier(b, x, CLASSES)
}

/// ResNet-50 (He et al., 2015), with the stride in the first 1×1 convolution of a stage.
pub(super) fn resnet50(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let mut x = resnet_stem(b, x)?;
    for (width, blocks, first_stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
        for i in 0..blocks {
            let stride = if i == 0 { first_stride } else { 1 };
            let beside = shortcut(b, x, 4 * width, stride)?;
            let y = b.conv(x, width, 1, stride, RELU)?;
            let y = b.conv(y, width, 3, 1, RELU)?;
            let y = b.pointwise(y, 4 * width, None)?;
            x = b.add(y, beside, RELU)?;
        }
    }
    classifier(b, x, CLASSES)
}
