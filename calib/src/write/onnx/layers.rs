//! Layers with weights, and pooling.

use super::functions::activated;
use super::moves::reshape;
use super::proto::AttributeProto;
use super::writer::Writer;
use super::{quantization, unsupported};
use crate::error::Result;
use ocellus::graph::{Node, Op, PoolKind, Unary, WindowAttrs};
use ocellus::tensor::Data;

fn window_attributes(window: &WindowAttrs) -> Vec<AttributeProto> {
    vec![
        AttributeProto::ints("kernel_shape", &window.kernel),
        AttributeProto::ints("strides", &window.stride),
        AttributeProto::ints("dilations", &window.dilation),
        AttributeProto::ints("pads", &window.pad),
    ]
}

/// A convolution, plain or transposed.
pub fn conv(w: &mut Writer, node: &Node) -> Result<()> {
    let (name, window, groups, activation) = match &node.op {
        Op::Conv { window, groups, activation } => ("Conv", window, groups, activation),
        Op::ConvTranspose { window, groups, activation, .. } => ("ConvTranspose", window, groups, activation),
        _ => return Err(unsupported("no convolution")),
    };
    let mut attributes = window_attributes(window);
    attributes.push(AttributeProto::int("group", *groups as i64));
    if let Op::ConvTranspose { output_pad, .. } = &node.op {
        attributes.push(AttributeProto::ints("output_padding", output_pad));
    }
    let x = w.operand(node.inputs[0]);
    layer(w, node, &x, (name, attributes), *activation, w.target());
    Ok(())
}

/// An operator on `x` and the node's weights and bias.
fn layer(
    w: &mut Writer,
    node: &Node,
    x: &str,
    (op, attributes): (&str, Vec<AttributeProto>),
    activation: Option<Unary>,
    out: String,
) {
    let weights = w.operand(node.inputs[1]);
    let bias = quantization::bias(w, node);
    let operands: Vec<&str> = [Some(x), Some(&weights), bias.as_deref()].into_iter().flatten().collect();
    activated(w, activation, (op, &operands, attributes), out);
}

/// A fully connected layer.
pub fn linear(w: &mut Writer, node: &Node, activation: Option<Unary>) -> Result<()> {
    let x = w.operand(node.inputs[0]);
    let from = w.extents(node.inputs[0]);
    let int8 = w.graph.constant(node.inputs[1]).is_some_and(|t| matches!(t.data(), Data::Q8 { .. }));
    let gemm = ("Gemm", vec![AttributeProto::int("transB", 1)]);
    match from.as_slice() {
        [_, _] => layer(w, node, &x, gemm, activation, w.target()),
        [before @ .., inner] if int8 => {
            // Only Gemm reads weights whose scales lie along axis 0.
            let count = before.iter().fold((1, 1), |n, d| (n.0 * d.0, n.1 * d.1));
            let (rows, product) = (w.beside("rows"), w.beside("product"));
            reshape(w, &x, &from, &[count, *inner], rows.clone())?;
            layer(w, node, &rows, gemm, activation, product.clone());
            let outputs = w.graph.shape(node.inputs[1])[0];
            let (to, out) = (w.extents(node.output), w.target());
            reshape(w, &product, &[count, (outputs, outputs)], &to, out)?;
        }
        _ => matmul(w, node, &x, activation)?,
    }
    Ok(())
}

fn matmul(w: &mut Writer, node: &Node, x: &str, activation: Option<Unary>) -> Result<()> {
    let shape = w.graph.shape(node.inputs[1]);
    let (outputs, inner) = (shape[0], shape[1]);
    let values = w.constant(node.inputs[1])?;
    let turned: Vec<f32> = (0..outputs * inner).map(|i| values[i % outputs * inner + i / outputs]).collect();
    let weights = w.beside("weights");
    w.reals(&weights, &[inner, outputs], &turned);
    let out = w.target();
    match node.inputs.get(2) {
        None => activated(w, activation, ("MatMul", &[x, &weights], vec![]), out),
        Some(&bias) => {
            let product = w.part("MatMul", &[x, &weights], vec![]);
            let bias = w.operand(bias);
            activated(w, activation, ("Add", &[&product, &bias], vec![]), out);
        }
    }
    Ok(())
}

/// `MaxPool` and `AveragePool`. Padding that only completes the last window becomes ONNX's ceil mode.
pub fn pool(w: &mut Writer, node: &Node) -> Result<()> {
    let Op::Pool { kind, window, count_include_pad, tail } = &node.op else {
        return Err(unsupported("no pooling"));
    };
    let average = *kind == PoolKind::Avg;
    if average && window.dilation != [1; 2] {
        return Err(unsupported("operator set 13 has no average pooling with dilation"));
    }
    let ceil = has_tail(&node.op) || w.twin().is_some_and(|other| has_tail(&other.op));
    let mut x = w.operand(node.inputs[0]);
    let shape = w.graph.shape(node.inputs[0]);
    let mut input = [shape[2], shape[3]];
    let mut window = window.clone();
    window.pad[2] -= tail[0];
    window.pad[3] -= tail[1];
    let mut include_pad = *count_include_pad && average;
    if ceil && include_pad {
        // Runtimes disagree on whether the tail counts too. Cells of the operand count in all of them.
        let [top, left, bottom, right] = std::mem::take(&mut window.pad);
        x = padded(w, &x, [top, left, bottom, right]);
        input = [input[0] + top + bottom, input[1] + left + right];
        include_pad = false;
    }
    let ceil = ceil && ceil_tail(&window, input) == *tail;
    if !ceil {
        window.pad[2] += tail[0];
        window.pad[3] += tail[1];
    }
    let mut attributes = window_attributes(&window);
    if ceil {
        attributes.push(AttributeProto::int("ceil_mode", 1));
    }
    if average {
        attributes.retain(|attribute| attribute.name != "dilations");
        attributes.push(AttributeProto::int("count_include_pad", i64::from(include_pad)));
    }
    w.emit_target(if average { "AveragePool" } else { "MaxPool" }, &[&x], attributes);
    Ok(())
}

fn has_tail(op: &Op) -> bool {
    matches!(op, Op::Pool { tail, .. } if *tail != [0; 2])
}

/// An image with zeros around it.
fn padded(w: &mut Writer, x: &str, [top, left, bottom, right]: [usize; 4]) -> String {
    if [top, left, bottom, right] == [0; 4] {
        return x.to_owned();
    }
    let pads = w.indices("pads", &[0, 0, top, left, 0, 0, bottom, right]);
    w.part("Pad", &[x, &pads], vec![])
}

/// What ONNX's ceil mode adds at the bottom and right: as much as the last window needs that starts in the
/// image or before it.
fn ceil_tail(window: &WindowAttrs, input: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| {
        let (stride, reach) = (window.stride[axis], window.dilation[axis] * (window.kernel[axis] - 1) + 1);
        let padded = input[axis] + window.pad[axis] + window.pad[axis + 2];
        let Some(room) = padded.checked_sub(reach) else { return 0 };
        let mut last = room.div_ceil(stride) * stride;
        if last >= input[axis] + window.pad[axis] {
            last -= stride;
        }
        (last + reach).saturating_sub(padded)
    })
}

/// Pooling of the whole image.
pub fn adaptive_pool(w: &mut Writer, node: &Node, kind: PoolKind, output: [usize; 2]) -> Result<()> {
    if output != [1, 1] {
        let [rows, columns] = output;
        return Err(unsupported(format!("ONNX has no adaptive pooling to {columns}x{rows}, only to 1x1")));
    }
    let x = w.operand(node.inputs[0]);
    let op = if kind == PoolKind::Avg { "GlobalAveragePool" } else { "GlobalMaxPool" };
    w.emit_target(op, &[&x], vec![]);
    Ok(())
}
