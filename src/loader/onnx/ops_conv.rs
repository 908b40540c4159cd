//! Operators with weights: convolutions, matrix products, batch normalization.

use super::call::{Call, Known, unsupported};
use super::import::Importer;
use super::strided;
use super::tensor::Constant;
use super::window::{pair, reach, window};
use crate::error::{Error, Result};
use crate::graph::{Op, Unary, ValueId, WindowAttrs};
use crate::limits::WINDOW_MAX;
use crate::tensor::{Data, Shape, Tensor};
use std::sync::Arc;

/// Height and width of an image operand.
pub fn image(cx: &Importer<'_>, call: &Call, id: ValueId) -> Result<[usize; 4]> {
    let shape = cx.graph.shape(id);
    shape
        .nchw()
        .filter(|dims| !dims.contains(&0))
        .ok_or_else(|| unsupported(format!("{} of shape {shape}; an image [N,C,H,W] is expected", call.op())))
}

/// Weights of operand `i`: real or int8 with one scale per output channel.
fn weights(cx: &Importer<'_>, call: &Call, i: usize) -> Result<Arc<Tensor>> {
    let Constant::Tensor(_, tensor) = call.constant(i)? else {
        return Err(unsupported("int8 weights that no DequantizeLinear gives a scale"));
    };
    match tensor.data() {
        Data::F32(values) => {
            // A tensor that is in the graph already has been looked at.
            if !cx.is_pushed(tensor) && !values.iter().all(|x| x.is_finite()) {
                return Err(Error::bad_model(format!("operand {i} holds NaN or infinity")));
            }
        }
        Data::Q8 { .. } => {}
        Data::I64(_) => return Err(Error::bad_model("weights that are integers")),
    }
    Ok(tensor.clone())
}

/// Optional bias: operand `i` flattened to `channels` reals.
fn bias(cx: &mut Importer<'_>, call: &Call, i: usize, channels: usize) -> Result<Option<ValueId>> {
    let Some(constant) = call.optional_constant(i)? else { return Ok(None) };
    let tensor = cx.reals(constant)?;
    if tensor.shape().dims() != [channels] {
        return Err(Error::bad_model(format!("a bias of shape {} for {channels} channels", tensor.shape())));
    }
    cx.push_constant(call.node.inputs[i], tensor).map(Some)
}

fn kernel_of(call: &Call, shape: &Shape) -> Result<[usize; 4]> {
    shape.nchw().ok_or_else(|| {
        unsupported(format!("{} with weights of shape {shape}; only two-dimensional windows", call.op()))
    })
}

fn groups(call: &Call) -> Result<usize> {
    let groups = call.int("group", 1)?;
    let positive = usize::try_from(groups).ok().filter(|&g| g > 0);
    positive.ok_or_else(|| Error::bad_model(format!("{groups} groups")))
}

/// `Conv`.
pub fn conv(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let x = cx.value(call, 0)?;
    let w = weights(cx, call, 1)?;
    let [o, _, rows, columns] = kernel_of(call, w.shape())?;
    let [_, _, h, width] = image(cx, call, x)?;
    let window = window(call, [h, width], Some([rows, columns]))?;
    let mut operands = vec![x, cx.push_weights(call.node.inputs[1], w)?];
    operands.extend(bias(cx, call, 2, o)?);
    let op = Op::Conv { window, groups: groups(call)?, activation: None };
    cx.push(call, op, operands).map(Known::Real)
}

/// `ConvTranspose`.
pub fn conv_transpose(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let x = cx.value(call, 0)?;
    let w = weights(cx, call, 1)?;
    let [_, per_group, rows, columns] = kernel_of(call, w.shape())?;
    let [_, _, h, width] = image(cx, call, x)?;
    let groups = groups(call)?;
    let output_pad = pair(call, "output_padding", [0; 2])?;
    let mut window = window(call, [h, width], Some([rows, columns]))?;
    if let Some(pad) = pad_for_output(call, &window, [h, width], output_pad)? {
        window.pad = pad;
    }
    // Int8 weights have their scales along axis 0, which here is the input.
    let w = cx.reals(&Constant::Tensor(super::tensor::Kind::Real, w))?;
    let mut operands = vec![x, cx.push_constant(call.node.inputs[1], w)?];
    operands.extend(bias(cx, call, 2, per_group.saturating_mul(groups))?);
    let op = Op::ConvTranspose { window, output_pad, groups, activation: None };
    cx.push(call, op, operands).map(Known::Real)
}

/// Padding of a transposed convolution whose output size is given, outright or by `auto_pad`.
fn pad_for_output(
    call: &Call,
    window: &WindowAttrs,
    input: [usize; 2],
    output_pad: [usize; 2],
) -> Result<Option<[usize; 4]>> {
    let auto = call.node.text("auto_pad")?.unwrap_or("NOTSET");
    let same = auto.starts_with("SAME");
    let stated = call.node.ints("output_shape")?;
    let output = match stated.as_deref() {
        Some(&[h, w]) | Some(&[_, _, h, w]) => [h, w].map(|d| usize::try_from(d).unwrap_or(0)),
        Some(list) => return Err(Error::bad_model(format!("output_shape {list:?}"))),
        None if same => [0, 1].map(|axis| input[axis].saturating_mul(window.stride[axis])),
        None => return Ok(None),
    };
    let mut pad = [0; 4];
    for axis in 0..2 {
        let full = window.stride[axis].saturating_mul(input[axis] - 1);
        let full = full.saturating_add(output_pad[axis] + reach(window, axis));
        let total = full.checked_sub(output[axis]).filter(|&t| t <= 2 * WINDOW_MAX);
        let total =
            total.ok_or_else(|| unsupported(format!("an output of {output:?} for an input {input:?}")))?;
        let before = if auto == "SAME_UPPER" { total / 2 } else { total.div_ceil(2) };
        (pad[axis], pad[axis + 2]) = (before, total - before);
    }
    Ok(Some(pad))
}

/// Rows and columns swapped. Int8 weights stay int8 if one scale holds for all of them.
fn transposed(cx: &mut Importer<'_>, w: &Tensor) -> Result<Arc<Tensor>> {
    let &[rows, columns] = w.shape().dims() else {
        return Err(unsupported(format!("a matrix of shape {}", w.shape())));
    };
    cx.budget.spend(w.shape().elements() * 8)?;
    let cells = strided::indices(vec![columns, rows], 0, vec![1, columns as isize]);
    let data = match w.data() {
        Data::Q8 { codes, scales } if scales.windows(2).all(|pair| pair[0] == pair[1]) => Data::Q8 {
            codes: cells.map(|i| codes[i]).collect(),
            scales: vec![scales.first().copied().unwrap_or(1.0); columns],
        },
        _ => {
            let values = w.to_f32();
            Data::F32(cells.map(|i| values[i]).collect())
        }
    };
    Ok(Arc::new(Tensor::new(Shape::new([columns, rows])?, data).expect("as many elements as before")))
}

/// `Gemm`: `alpha · A · B + beta · C` with constant `B`.
pub fn gemm(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    call.require("transA", 0)?;
    let x = cx.value(call, 0)?;
    let mut w = weights(cx, call, 1)?;
    if call.int("transB", 0)? == 0 {
        w = transposed(cx, &w)?;
    }
    w = scaled(cx, &w, call.float("alpha", 1.0)?)?;
    let mut operands = vec![x, cx.push_weights(call.node.inputs[1], w.clone())?];
    if let Some(known) = call.optional(2) {
        let constant = known.constant().ok_or_else(|| unsupported("Gemm with a computed bias"))?;
        let outputs = w.shape().dims().first().copied().unwrap_or(0);
        let row = bias_row(cx, constant, call.float("beta", 1.0)?, outputs)?;
        operands.push(cx.push_constant(call.node.inputs[2], row)?);
    }
    cx.push(call, Op::Linear { activation: None }, operands).map(Known::Real)
}

/// Weights times a factor.
fn scaled(cx: &mut Importer<'_>, w: &Arc<Tensor>, factor: f32) -> Result<Arc<Tensor>> {
    if factor == 1.0 {
        return Ok(w.clone());
    }
    if !factor.is_finite() {
        return Err(Error::bad_model(format!("a factor of {factor}")));
    }
    cx.budget.spend(w.shape().elements() * 4)?;
    let values = w.to_f32().into_iter().map(|x| x * factor).collect();
    Ok(Arc::new(Tensor::new(w.shape().clone(), Data::F32(values)).expect("same shape")))
}

/// `C` of `Gemm` as one row of `outputs` reals.
fn bias_row(cx: &mut Importer<'_>, constant: &Constant, beta: f32, outputs: usize) -> Result<Arc<Tensor>> {
    let c = cx.reals(constant)?;
    let dims = c.shape().dims();
    let row = match dims {
        [.., last] if *last == outputs || *last == 1 => dims[..dims.len() - 1].iter().all(|&d| d == 1),
        dims => dims.is_empty(),
    };
    if !row {
        return Err(unsupported(format!("Gemm that adds {}", c.shape())));
    }
    let values = c.to_f32();
    let row: Vec<f32> = values.iter().cycle().take(outputs).map(|v| v * beta).collect();
    cx.budget.spend(outputs * 4)?;
    let row = Tensor::new(Shape::new([outputs])?, Data::F32(row));
    row.map(Arc::new).ok_or_else(|| Error::bad_model("an empty bias"))
}

/// `MatMul` with a constant second operand.
pub fn matmul(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    if call.input(1)?.constant().is_none() {
        return Err(unsupported("MatMul of two computed tensors"));
    }
    let x = cx.value(call, 0)?;
    let mut w = weights(cx, call, 1)?;
    if let [1, matrix @ ..] = w.shape().dims()
        && matrix.len() == 2
        && cx.graph.shape(x).rank() >= 3
    {
        let values = cx.reals(call.constant(1)?)?.to_f32();
        cx.budget.spend(values.len() * 4)?;
        let shape = Shape::new(matrix)?;
        w = Arc::new(Tensor::new(shape, Data::F32(values)).expect("same elements"));
    }
    let w = transposed(cx, &w)?;
    let w = cx.push_weights(call.node.inputs[1], w)?;
    cx.push(call, Op::Linear { activation: None }, vec![x, w]).map(Known::Real)
}

/// `BatchNormalization` in inference form: one scale and one shift per channel.
pub fn batch_norm(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    call.require("training_mode", 0)?;
    call.require("spatial", 1)?;
    let x = cx.value(call, 0)?;
    let epsilon = f64::from(call.float("epsilon", 1e-5)?);
    let channels = cx.graph.shape(x).dims().get(1).copied().unwrap_or(0);
    let mut parameters = Vec::new();
    for i in 1..5 {
        let tensor = cx.reals(call.constant(i)?)?;
        if tensor.shape().dims() != [channels] {
            let what = format!("operand {i} has shape {} for {channels} channels", tensor.shape());
            return Err(Error::bad_model(what));
        }
        parameters.push(tensor.to_f32());
    }
    cx.budget.spend(channels * 24)?;
    let at = |i: usize, c: usize| f64::from(parameters[i][c]);
    let factor = |c: usize| at(0, c) / (at(3, c) + epsilon).sqrt();
    let scale: Vec<f32> = (0..channels).map(|c| factor(c) as f32).collect();
    let shift: Vec<f32> = (0..channels).map(|c| (at(1, c) - at(2, c) * factor(c)) as f32).collect();
    if !scale.iter().chain(&shift).all(|v| v.is_finite()) {
        return Err(Error::bad_model("the statistics give a scale or shift that is not finite"));
    }
    let mut operands = vec![x];
    for (name, values) in [("scale", scale), ("shift", shift)] {
        let tensor = Tensor::new(Shape::new([channels])?, Data::F32(values)).expect("one per channel");
        operands.push(cx.push_constant(&format!("{}/{name}", call.output()), Arc::new(tensor))?);
    }
    cx.push(call, Op::ChannelAffine, operands).map(Known::Real)
}

/// `PRelu`: one slope per channel, or one for all.
pub fn prelu(cx: &mut Importer<'_>, call: &Call) -> Result<Known> {
    let x = cx.value(call, 0)?;
    let slope = cx.reals(call.constant(1)?)?;
    let shape = cx.graph.shape(x).clone();
    if slope.shape().elements() == 1 && slope.shape().rank() <= shape.rank() {
        let slope = slope.to_f32()[0];
        return cx.push(call, Op::Unary(Unary::LeakyRelu { slope }), vec![x]).map(Known::Real);
    }
    // Broadcast against [N,C,..], everything but the channels must be 1.
    let dims = slope.shape().dims();
    let axis_one = (dims.len() + 1).checked_sub(shape.rank());
    let per_channel = axis_one.is_some_and(|axis| {
        dims.len() <= shape.rank()
            && (0..dims.len()).all(|i| if i == axis { dims[i] == shape[1] } else { dims[i] == 1 })
    });
    if !per_channel {
        return Err(unsupported(format!("PRelu with slopes of shape {} for {shape}", slope.shape())));
    }
    cx.budget.spend(slope.bytes())?;
    let slopes = Tensor::new(Shape::new([shape[1]])?, Data::F32(slope.to_f32())).expect("one per channel");
    let slopes = cx.push_constant(call.node.inputs[1], Arc::new(slopes))?;
    cx.push(call, Op::PRelu, vec![x, slopes]).map(Known::Real)
}
