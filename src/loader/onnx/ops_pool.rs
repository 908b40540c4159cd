//! Pooling.

use super::call::{Call, Known, unsupported};
use super::import::Importer;
use super::ops_conv::image;
use super::window::{ceil_tail, window};
use crate::error::{Error, Result};
use crate::graph::{Op, PoolKind};

/// `MaxPool` and `AveragePool`.
pub fn pool(cx: &mut Importer<'_>, call: &Call, kind: PoolKind) -> Result<Known> {
    call.require("storage_order", 0)?;
    let (x, grid) = match kind {
        PoolKind::Max => cx.data(call, 0)?,
        PoolKind::Avg => (cx.value(call, 0)?, None),
    };
    let [_, _, h, w] = image(cx, call, x)?;
    if !call.node.has("kernel_shape") {
        return Err(Error::bad_model("kernel_shape is missing"));
    }
    let mut window = window(call, [h, w], None)?;
    let mut tail = [0; 2];
    if call.int("ceil_mode", 0)? != 0 {
        tail = ceil_tail(&window, [h, w]);
        window.pad[2] += tail[0];
        window.pad[3] += tail[1];
    }
    let count_include_pad = call.int("count_include_pad", 0)? != 0;
    let op = Op::Pool { kind, window, count_include_pad, tail };
    Ok(Known::data(cx.push(call, op, vec![x])?, grid))
}

/// `GlobalAveragePool` and `GlobalMaxPool`.
pub fn global(cx: &mut Importer<'_>, call: &Call, kind: PoolKind) -> Result<Known> {
    let x = cx.value(call, 0)?;
    if cx.graph.shape(x).rank() != 4 {
        return Err(unsupported(format!("{} of shape {}", call.op(), cx.graph.shape(x))));
    }
    cx.push(call, Op::AdaptivePool { kind, output: [1, 1] }, vec![x]).map(Known::Real)
}
