//! Int8 layers that hand codes to each other instead of real numbers.

use super::bin;
use super::layer::{INT8_TERM, Network, Step, Value};

/// Added to parameter 8 of a layer whose output is int8; the scale of that output follows its weights.
const REQUANTIZED: i64 = 100;

/// Lets each int8 convolution make codes where only int8 convolutions of one input scale read them. ncnn
/// passes codes through a Split, and through no other layer.
pub(super) fn run(network: &mut Network) {
    let tops = tops(network);
    for (layer, top) in network.layers.iter_mut().zip(tops) {
        if let Some(scale) = top {
            requantize(&mut layer.step, scale);
        }
    }
}

/// Scale of each layer's output, where that is to be int8.
fn tops(network: &Network) -> Vec<Option<f32>> {
    // What all readers of a blob agree on: nothing yet, one scale, or that it stays float.
    let mut scales: Vec<Option<Option<f32>>> = vec![None; network.blobs.len()];
    for layer in &network.layers {
        let scale = layer.step.int8.filter(|_| layer.step.is_conv());
        for &blob in &layer.inputs {
            let agreed = scales[blob].is_none_or(|other| other == scale);
            scales[blob] = Some(scale.filter(|_| agreed));
        }
    }
    network.outputs.iter().for_each(|&(blob, _)| scales[blob] = Some(None));
    let top =
        |step: &Step, blob: usize| scales[blob].flatten().filter(|_| step.is_conv() && step.int8.is_some());
    network
        .layers
        .iter()
        .map(|layer| layer.outputs.first().and_then(|&blob| top(&layer.step, blob)))
        .collect()
}

fn requantize(step: &mut Step, scale: f32) {
    for (id, value) in &mut step.params.0 {
        if let (&mut INT8_TERM, Value::Int(term)) = (id, value) {
            *term += REQUANTIZED;
        }
    }
    step.weights.extend(bin::reals(&[scale]));
}
