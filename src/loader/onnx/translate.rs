//! The table of operators.

use super::call::{Call, Known, unsupported};
use super::import::Importer;
use super::{dims, fold, ops_conv, ops_math, ops_pool, ops_resize, ops_shape, ops_unary, qdq};
use crate::error::Result;
use crate::graph::{PoolKind, ReduceKind};

/// What a node makes: one entry per output, except outputs that this operator leaves out.
pub fn node(cx: &mut Importer<'_>, call: &Call) -> Result<Vec<Known>> {
    let quantization = matches!(call.op(), "QuantizeLinear" | "DequantizeLinear");
    match call.node.domain {
        "" | "ai.onnx" => {}
        "com.microsoft" if quantization => {}
        domain => return Err(unknown(call, &format!("{domain}."))),
    }
    if quantization {
        let translate = if call.op() == "QuantizeLinear" { qdq::quantize } else { qdq::dequantize };
        return Ok(vec![translate(cx, call)?]);
    }
    if let Some(constants) = fold::evaluate(cx, call)? {
        return Ok(constants.into_iter().map(Known::Constant).collect());
    }
    if call.op() == "Split" {
        return ops_shape::split(cx, call);
    }
    let result = one(cx, call)?;
    if call.node.outputs.len() > 1 && call.op() == "MaxPool" {
        return Err(unsupported("MaxPool that also gives the indices"));
    }
    Ok(vec![result])
}

/// Operators with one result.
fn one(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    if let Some(function) = ops_unary::unary(call)? {
        return ops_unary::push(cx, call, function);
    }
    if let Some(kind) = ops_math::binary_kind(call.op()) {
        return ops_math::arithmetic(cx, call, kind);
    }
    match call.op() {
        "Conv" => ops_conv::conv(cx, call),
        "ConvTranspose" => ops_conv::conv_transpose(cx, call),
        "Gemm" => ops_conv::gemm(cx, call),
        "MatMul" => ops_conv::matmul(cx, call),
        "BatchNormalization" => ops_conv::batch_norm(cx, call),
        "PRelu" => ops_conv::prelu(cx, call),
        "MaxPool" => ops_pool::pool(cx, call, PoolKind::Max),
        "AveragePool" => ops_pool::pool(cx, call, PoolKind::Avg),
        "GlobalMaxPool" => ops_pool::global(cx, call, PoolKind::Max),
        "GlobalAveragePool" => ops_pool::global(cx, call, PoolKind::Avg),
        "Resize" | "Upsample" => ops_resize::resize(cx, call),
        "ReduceMean" => ops_math::reduce(cx, call, ReduceKind::Mean),
        "ReduceSum" => ops_math::reduce(cx, call, ReduceKind::Sum),
        "ReduceMax" => ops_math::reduce(cx, call, ReduceKind::Max),
        "ReduceMin" => ops_math::reduce(cx, call, ReduceKind::Min),
        "Softmax" => ops_math::softmax(cx, call),
        "Shape" | "Size" => shape(cx, call),
        "Reshape" => ops_shape::reshape(cx, call, dims::reshape),
        "Flatten" => ops_shape::reshape(cx, call, dims::flatten),
        "Squeeze" => ops_shape::reshape(cx, call, dims::squeeze),
        "Unsqueeze" => ops_shape::reshape(cx, call, dims::unsqueeze),
        "Transpose" => ops_shape::transpose(cx, call),
        "Slice" => ops_shape::slice(cx, call),
        "Gather" => ops_shape::gather(cx, call),
        "Concat" => ops_shape::concat(cx, call),
        "Expand" | "Tile" => ops_shape::repeat(cx, call),
        "Pad" => ops_shape::pad(cx, call),
        "DepthToSpace" | "SpaceToDepth" => ops_shape::block(cx, call),
        "Identity" | "Dropout" => ops_shape::alias(cx, call),
        "Cast" => ops_unary::cast(cx, call),
        _ => Err(unknown(call, "")),
    }
}

fn shape(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let (x, _) = cx.data(call, 0)?;
    fold::shape(call, cx.graph.shape(x).dims()).map(Known::Constant)
}

fn unknown(call: &Call, domain: &str) -> crate::Error {
    let op = call.op();
    if op.starts_with("QLinear") || op.ends_with("Integer") || op == "DynamicQuantizeLinear" {
        return unsupported(format!(
            "the operator {domain}{op} is not supported; quantize to QDQ format \
             (QuantizeLinear and DequantizeLinear around float operators)"
        ));
    }
    unsupported(format!("the operator {domain}{op} is not supported"))
}
