//! YOLOv5-Lite (v5Lite-{e,s,c,g}.yaml of YOLOv5-Lite 1.4) and YOLOv5 6.0, to the three raw maps of their heads.
//!
//! Numbers of channels and of repeated blocks are those of the files; [`Builder::wide`] and [`Builder::deep`] scale them.

use super::blocks::{separable, shuffle_stage, squeeze_excite};
use super::builder::{Builder, Conv, HARD_SWISH, RELU, SILU};
use crate::error::Result;
use crate::graph::ValueId;

/// Three anchors per cell of a map, each with a box, an objectness and the classes.
fn heads(b: &mut Builder, maps: [ValueId; 3]) -> Result<Vec<ValueId>> {
    let channels = 3 * (5 + b.classes());
    maps.into_iter().map(|map| b.pointwise(map, channels, None)).collect()
}

/// Cross-stage partial block with `repeats` bottlenecks.
fn c3(b: &mut Builder, x: ValueId, out: usize, repeats: usize, shortcut: bool) -> Result<ValueId> {
    let half = out / 2;
    let mut deep = b.pointwise(x, half, SILU)?;
    for _ in 0..repeats {
        let y = b.pointwise(deep, half, SILU)?;
        let y = b.conv(y, half, 3, 1, SILU)?;
        deep = if shortcut { b.add(deep, y, None)? } else { y };
    }
    let beside = b.pointwise(x, half, SILU)?;
    let joined = b.concat(&[deep, beside])?;
    b.pointwise(joined, out, SILU)
}

/// Spatial pyramid pooling; three windows of 5 in a row see what 5, 9 and 13 beside each other see.
fn sppf(b: &mut Builder, x: ValueId, out: usize) -> Result<ValueId> {
    let half = b.channels(x) / 2;
    let x = b.pointwise(x, half, SILU)?;
    let once = b.max_pool(x, 5, 1, 2)?;
    let twice = b.max_pool(once, 5, 1, 2)?;
    let thrice = b.max_pool(twice, 5, 1, 2)?;
    let joined = b.concat(&[x, once, twice, thrice])?;
    b.pointwise(joined, out, SILU)
}

/// Spatial pyramid pooling with windows beside each other.
fn spp(b: &mut Builder, x: ValueId, out: usize) -> Result<ValueId> {
    let half = b.channels(x) / 2;
    let x = b.pointwise(x, half, SILU)?;
    let mut parts = vec![x];
    for kernel in [5, 9, 13] {
        parts.push(b.max_pool(x, kernel, 1, kernel / 2)?);
    }
    let joined = b.concat(&parts)?;
    b.pointwise(joined, out, SILU)
}

fn upsampled_with(b: &mut Builder, x: ValueId, other: ValueId) -> Result<ValueId> {
    let up = b.upsample(x)?;
    b.concat(&[up, other])
}

/// ShuffleNetV2 up to strides 8, 16 and 32; `last` units in the deepest stage.
fn shuffle_backbone(b: &mut Builder, x: ValueId, last: usize) -> Result<[ValueId; 3]> {
    let x = b.conv(x, b.wide(32), 3, 2, RELU)?;
    let x = b.max_pool(x, 3, 2, 1)?;
    let p3 = shuffle_stage(b, x, b.wide(116), b.deep(3), RELU)?;
    let p4 = shuffle_stage(b, p3, b.wide(232), b.deep(7), RELU)?;
    let p5 = shuffle_stage(b, p4, b.wide(464), b.deep(last), RELU)?;
    Ok([p3, p4, p5])
}

pub(super) fn v5lite_e(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let width = b.wide(96);
    let block = |b: &mut Builder, x, stride| separable(b, x, (width, 3, stride), [RELU; 2]);
    let [p3, p4, p5] = shuffle_backbone(b, x, 1)?;
    let h5 = b.pointwise(p5, width, SILU)?;
    let x = upsampled_with(b, h5, p4)?;
    let x = block(b, x, 1)?;
    let h4 = b.pointwise(x, width, SILU)?;
    let x = upsampled_with(b, h4, p3)?;
    let o3 = block(b, x, 1)?;
    let x = block(b, o3, 2)?;
    let x = b.add(x, h4, None)?;
    let o4 = block(b, x, 1)?;
    let x = block(b, o4, 2)?;
    let x = b.add(x, h5, None)?;
    let o5 = block(b, x, 1)?;
    heads(b, [o3, o4, o5])
}

/// Way up and way down of a path aggregation network whose blocks are C3.
struct Neck {
    /// Channels of the 1×1 convolutions before the two upsamplings.
    lateral: [usize; 2],
    /// Channels of the C3 blocks: strides 16 (up), 8, 16, 32.
    blocks: [usize; 4],
    repeats: usize,
    /// From stride 8 to 16 and from 16 to 32: a 3×3 convolution, or PP-LCNet's block.
    down: fn(&mut Builder, ValueId, usize) -> Result<ValueId>,
}

fn neck(b: &mut Builder, [p3, p4, p5]: [ValueId; 3], neck: &Neck) -> Result<Vec<ValueId>> {
    let [up4, c3_8, c3_16, c3_32] = neck.blocks.map(|channels| b.wide(channels));
    let [lateral5, lateral4] = neck.lateral.map(|channels| b.wide(channels));
    let repeats = b.deep(neck.repeats);
    let h5 = b.pointwise(p5, lateral5, SILU)?;
    let x = upsampled_with(b, h5, p4)?;
    let x = c3(b, x, up4, repeats, false)?;
    let h4 = b.pointwise(x, lateral4, SILU)?;
    let x = upsampled_with(b, h4, p3)?;
    let o3 = c3(b, x, c3_8, repeats, false)?;
    let x = (neck.down)(b, o3, lateral4)?;
    let x = b.concat(&[x, h4])?;
    let o4 = c3(b, x, c3_16, repeats, false)?;
    let x = (neck.down)(b, o4, lateral5)?;
    let x = b.concat(&[x, h5])?;
    let o5 = c3(b, x, c3_32, repeats, false)?;
    heads(b, [o3, o4, o5])
}

fn down_conv(b: &mut Builder, x: ValueId, out: usize) -> Result<ValueId> {
    b.conv(x, out, 3, 2, SILU)
}

pub(super) fn v5lite_s(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let maps = shuffle_backbone(b, x, 3)?;
    neck(b, maps, &Neck { lateral: [128, 64], blocks: [128, 64, 128, 256], repeats: 1, down: down_conv })
}

/// PP-LCNet's block.
fn lc_block(
    b: &mut Builder,
    x: ValueId,
    (out, kernel, stride): (usize, usize, usize),
    gated: bool,
) -> Result<ValueId> {
    let mut x = b.depthwise(x, kernel, stride, HARD_SWISH)?;
    if gated {
        let squeezed = b.channels(x) / 4;
        x = squeeze_excite(b, x, squeezed, [RELU, SILU], None)?;
    }
    b.pointwise(x, out, HARD_SWISH)
}

fn down_lc(b: &mut Builder, x: ValueId, out: usize) -> Result<ValueId> {
    lc_block(b, x, (out, 5, 2), true)
}

pub(super) fn v5lite_c(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let mut x = b.conv(x, b.wide(32), 3, 2, HARD_SWISH)?;
    let mut stage = |b: &mut Builder, blocks: &[(usize, usize, usize)], gated| -> Result<ValueId> {
        for &(out, kernel, stride) in blocks {
            x = lc_block(b, x, (b.wide(out), kernel, stride), gated)?;
        }
        Ok(x)
    };
    stage(b, &[(64, 3, 2), (64, 3, 1)], false)?;
    let p3 = stage(b, &[(128, 3, 2), (128, 3, 1), (128, 3, 1), (128, 3, 1)], false)?;
    stage(b, &[(256, 3, 2)], false)?;
    let p4 = stage(b, &[(256, 5, 1); 5], false)?;
    let x = stage(b, &[(512, 5, 2), (512, 5, 1), (512, 5, 1), (512, 5, 1)], true)?;
    let p5 = b.pointwise(x, b.wide(512), HARD_SWISH)?;
    let shape = Neck { lateral: [256, 128], blocks: [256, 128, 256, 512], repeats: 1, down: down_lc };
    neck(b, [p3, p4, p5], &shape)
}

/// What YOLOv5 6.0 begins with. The Focus of earlier versions, every 2×2 pixels as one of 12 channels, and a 3×3
/// convolution compute the same.
fn stem(b: &mut Builder, x: ValueId, out: usize) -> Result<ValueId> {
    b.conv_with(x, Conv { out, kernel: 6, stride: 2, pad: 2, groups: 1 }, SILU)
}

/// RepVGG blocks as they are deployed, one 3×3 convolution each, and without Focus.
pub(super) fn v5lite_g(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let [c1, c2, c3_width, c4, c5] = [32, 64, 128, 256, 512].map(|channels| b.wide(channels));
    let x = stem(b, x, c1)?;
    let x = b.conv(x, c2, 3, 2, SILU)?;
    let x = c3(b, x, c2, 1, true)?;
    let x = b.conv(x, c3_width, 3, 2, SILU)?;
    let p3 = c3(b, x, c3_width, b.deep(3), true)?;
    let x = b.conv(p3, c4, 3, 2, SILU)?;
    let p4 = c3(b, x, c4, b.deep(3), true)?;
    let x = b.conv(p4, c5, 3, 2, SILU)?;
    let x = spp(b, x, c5)?;
    let p5 = c3(b, x, c5, 1, false)?;
    let shape = Neck { lateral: [128, 128], blocks: [128; 4], repeats: 3, down: down_conv };
    neck(b, [p3, p4, p5], &shape)
}

/// YOLOv5 6.0: n, s, m, l and x by their multiples.
pub(super) fn yolov5(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let [c1, c2, c3_width, c4, c5] = [64, 128, 256, 512, 1024].map(|channels| b.wide(channels));
    let x = stem(b, x, c1)?;
    let x = b.conv(x, c2, 3, 2, SILU)?;
    let x = c3(b, x, c2, b.deep(3), true)?;
    let x = b.conv(x, c3_width, 3, 2, SILU)?;
    let p3 = c3(b, x, c3_width, b.deep(6), true)?;
    let x = b.conv(p3, c4, 3, 2, SILU)?;
    let p4 = c3(b, x, c4, b.deep(9), true)?;
    let x = b.conv(p4, c5, 3, 2, SILU)?;
    let x = c3(b, x, c5, b.deep(3), true)?;
    let p5 = sppf(b, x, c5)?;
    let shape = Neck { lateral: [512, 256], blocks: [512, 256, 512, 1024], repeats: 3, down: down_conv };
    neck(b, [p3, p4, p5], &shape)
}
