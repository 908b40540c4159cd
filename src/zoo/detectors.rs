//! Other small detectors of benchncnn, as its files have them; YOLO heads end before the box decoding.

use super::blocks::{Inverted, inverted_residual, separable, shuffle_down, shuffle_stage, shuffle_unit};
use super::builder::{Act, Builder, LEAKY, RELU, SIGMOID};
use crate::error::Result;
use crate::graph::ValueId;

/// ShuffleNetV2 1.0× with a feature pyramid of sums and a head per scale.
pub(super) fn nanodet_m(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let x = b.conv(x, 24, 3, 2, LEAKY)?;
    let x = b.max_pool(x, 3, 2, 1)?;
    let p3 = shuffle_stage(b, x, 116, 3, LEAKY)?;
    let p4 = shuffle_stage(b, p3, 232, 7, LEAKY)?;
    let p5 = shuffle_stage(b, p4, 464, 3, LEAKY)?;
    let lateral = |b: &mut Builder, p| b.pointwise(p, 96, None);
    let resized_plus = |b: &mut Builder, from, factor, to| {
        let resized = b.bilinear(from, factor)?;
        b.add(to, resized, None)
    };
    let (l3, l4, l5) = (lateral(b, p3)?, lateral(b, p4)?, lateral(b, p5)?);
    let u4 = resized_plus(b, l5, 2.0, l4)?;
    let o3 = resized_plus(b, u4, 2.0, l3)?;
    let o4 = resized_plus(b, o3, 0.5, u4)?;
    let o5 = resized_plus(b, o4, 0.5, l5)?;
    let mut outputs = Vec::new();
    for map in [o3, o4, o5] {
        let x = separable(b, map, (96, 3, 1), [LEAKY; 2])?;
        let x = separable(b, x, (96, 3, 1), [LEAKY; 2])?;
        // 80 classes, and four distances as distributions over 8 bins.
        let head = b.pointwise(x, 80 + 32, None)?;
        let classes = b.slice(head, 0, 80)?;
        let classes = b.unary(classes, SIGMOID)?;
        let distances = b.slice(head, 80, 32)?;
        for part in [classes, distances] {
            let [h, w] = b.rows_columns(part);
            let channels = b.channels(part);
            let rows = b.reshape(part, &[1, channels, h * w])?;
            outputs.push(b.transpose(rows, &[0, 2, 1])?);
        }
    }
    Ok(outputs)
}

/// The narrow ShuffleNetV2 of FastestDet and Yolo-FastestV2, which shuffles before its units.
fn narrow_shuffle_backbone(b: &mut Builder, x: ValueId) -> Result<[ValueId; 3]> {
    let x = b.conv(x, 24, 3, 2, RELU)?;
    let mut x = b.max_pool(x, 3, 2, 1)?;
    let mut maps = Vec::new();
    for (out, units) in [(48, 3), (96, 7), (192, 3)] {
        x = shuffle_down(b, x, out, RELU)?;
        for _ in 0..units {
            let shuffled = b.shuffle(x, out / 2)?;
            x = shuffle_unit(b, shuffled, RELU)?;
        }
        maps.push(x);
    }
    Ok([maps[0], maps[1], maps[2]])
}

fn class_probabilities(b: &mut Builder, x: ValueId) -> Result<ValueId> {
    let scores = b.pointwise(x, 80, None)?;
    b.softmax(scores, 1)
}

pub(super) fn fastest_det(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let [p3, p4, p5] = narrow_shuffle_backbone(b, x)?;
    let up = b.upsample(p5)?;
    let down = b.average_pool(p3, 3, 2, 1)?;
    let x = b.concat(&[down, p4, up])?;
    let x = b.pointwise(x, 96, RELU)?;
    let mut towers = Vec::new();
    for height in 1..=3 {
        let mut tower = x;
        for _ in 0..height {
            tower = b.depthwise(tower, 5, 1, RELU)?;
        }
        towers.push(tower);
    }
    let joined = b.concat(&towers)?;
    let joined = b.pointwise(joined, 96, None)?;
    let x = b.add(x, joined, RELU)?;
    let x = b.pointwise(x, 96, RELU)?;
    let mut branches = [x; 3];
    for branch in &mut branches {
        *branch = b.depthwise(x, 5, 1, RELU)?;
    }
    let object = b.pointwise(branches[0], 1, SIGMOID)?;
    let bbox = b.pointwise(branches[1], 4, None)?;
    let classes = class_probabilities(b, branches[2])?;
    Ok(vec![b.concat(&[object, bbox, classes])?])
}

/// Two separable 5×5 convolutions; only the depthwise ones are activated.
fn double_separable(b: &mut Builder, x: ValueId, act: Act) -> Result<ValueId> {
    let channels = b.channels(x);
    let x = separable(b, x, (channels, 5, 1), [act, None])?;
    separable(b, x, (channels, 5, 1), [act, None])
}

pub(super) fn yolo_fastest_v2(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let [_, p4, p5] = narrow_shuffle_backbone(b, x)?;
    let up = b.upsample(p5)?;
    let joined = b.concat(&[up, p4])?;
    let mut outputs = Vec::new();
    for map in [joined, p5] {
        let x = b.pointwise(map, 72, RELU)?;
        let for_class = double_separable(b, x, RELU)?;
        let for_box = double_separable(b, x, RELU)?;
        let boxes = b.pointwise(for_box, 12, SIGMOID)?;
        let objects = b.pointwise(for_class, 3, SIGMOID)?;
        let classes = class_probabilities(b, for_class)?;
        let head = b.concat(&[boxes, objects, classes])?;
        outputs.push(b.transpose(head, &[0, 2, 3, 1])?);
    }
    Ok(outputs)
}

pub(super) fn yolo_fastest(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let mut x = b.conv(x, 8, 3, 2, LEAKY)?;
    x = b.pointwise(x, 8, LEAKY)?;
    x = separable(b, x, (4, 3, 1), [LEAKY, None])?;
    // Hidden and output channels, stride, how often.
    let run = |b: &mut Builder, mut x, blocks: &[(usize, usize, usize, usize)]| -> Result<ValueId> {
        for &(hidden, out, stride, times) in blocks {
            for _ in 0..times {
                let block = Inverted { hidden, out, kernel: 3, stride, squeeze: None, act: LEAKY };
                x = inverted_residual(b, x, block)?;
            }
        }
        Ok(x)
    };
    x = run(b, x, &[(8, 4, 1, 1), (24, 8, 2, 1), (32, 8, 1, 2), (32, 8, 2, 1), (48, 8, 1, 2)])?;
    x = run(b, x, &[(48, 16, 1, 1), (96, 16, 1, 4)])?;
    let p4 = run(b, x, &[(96, 24, 2, 1), (136, 24, 1, 4)])?;
    x = run(b, p4, &[(136, 48, 2, 1), (224, 48, 1, 5)])?;
    let mut parts = Vec::new();
    for kernel in [9, 5, 3] {
        parts.push(b.max_pool(x, kernel, 1, kernel / 2)?);
    }
    parts.push(x);
    let joined = b.concat(&parts)?;
    let p5 = b.pointwise(joined, 96, LEAKY)?;
    let up = b.upsample(p5)?;
    let fine = b.concat(&[up, p4])?;
    let mut outputs = Vec::new();
    for map in [p5, fine] {
        let map = double_separable(b, map, LEAKY)?;
        outputs.push(b.pointwise(map, 255, None)?);
    }
    Ok(outputs)
}

/// A stage of CSPDarknet's tiny form: half of the channels go through two 3×3 convolutions. Gives what
/// follows the stage, and the map that a head may read.
fn tiny_csp(b: &mut Builder, x: ValueId, channels: usize) -> Result<[ValueId; 2]> {
    let whole = b.conv(x, channels, 3, 1, LEAKY)?;
    let [_, half] = b.halves(whole)?;
    let first = b.conv(half, channels / 2, 3, 1, LEAKY)?;
    let second = b.conv(first, channels / 2, 3, 1, LEAKY)?;
    let both = b.concat(&[second, first])?;
    let map = b.pointwise(both, channels, LEAKY)?;
    let joined = b.concat(&[whole, map])?;
    Ok([b.max_pool(joined, 2, 2, 0)?, map])
}

pub(super) fn yolov4_tiny(b: &mut Builder, x: ValueId) -> Result<Vec<ValueId>> {
    let x = b.conv(x, 32, 3, 2, LEAKY)?;
    let x = b.conv(x, 64, 3, 2, LEAKY)?;
    let [x, _] = tiny_csp(b, x, 64)?;
    let [x, _] = tiny_csp(b, x, 128)?;
    let [x, p4] = tiny_csp(b, x, 256)?;
    let x = b.conv(x, 512, 3, 1, LEAKY)?;
    let p5 = b.pointwise(x, 256, LEAKY)?;
    let coarse = b.conv(p5, 512, 3, 1, LEAKY)?;
    let coarse = b.pointwise(coarse, 255, None)?;
    let x = b.pointwise(p5, 128, LEAKY)?;
    let up = b.upsample(x)?;
    let fine = b.concat(&[up, p4])?;
    let fine = b.conv(fine, 256, 3, 1, LEAKY)?;
    let fine = b.pointwise(fine, 255, None)?;
    Ok(vec![coarse, fine])
}
