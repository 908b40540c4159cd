//! Int8 kernels for nodes: weights to codes, scales to multipliers, functions to tables.

use super::epilogue::{Tail, table as activation_table, tail};
use super::lower::{Collected, Planner};
use super::step::{Part, Work};
use super::{Loc, real};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, Node, Op, PoolKind, Unary, ValueId, WindowAttrs};
use crate::kernels::conv::{ConvI8, RUNS_MAX};
use crate::kernels::isa::Isa;
use crate::kernels::{
    Add, Average, CodeRange, Epilogue, Filter, Mul, Plane, Requant, Window, elementwise, pool,
};
use crate::tensor::{DType, Data, Quant};

/// Appends the int8 step of a node.
pub(super) fn lower(p: &mut Planner, at: usize, node: &Node) -> Result<()> {
    match &node.op {
        Op::Conv { window, groups, activation } => conv(p, at, node, window, *groups, *activation),
        Op::Linear { activation } => linear(p, at, node, *activation),
        Op::Unary(unary) => {
            let (from, to) = (grid(p, node.inputs[0])?, grid(p, node.output)?);
            let mut codes = activation_table(*unary, from, to);
            let (result, fused) = p.result(at);
            if let Some(next) = fused {
                let next = activation_table(next, to, grid(p, result)?);
                codes.iter_mut().for_each(|code| *code = next[usize::from(*code as u8 ^ 0x80)]);
            }
            let x = p.read(node.inputs[0], DType::I8)?;
            let out = p.place(result, DType::I8);
            let work = table(p.options.isa, codes, &out);
            p.push_pointwise(node.name.clone(), "Unary", result, vec![x], out, work);
            Ok(())
        }
        Op::Pool { kind, window, count_include_pad, tail } => {
            pooling(p, node, *kind, window, (*count_include_pad, *tail))
        }
        Op::Reduce { .. } => {
            let [_, _, h, w] = p.graph.shape(node.inputs[0]).nchw().expect("the caller checked the rank");
            let whole = WindowAttrs { kernel: [h, w], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
            pooling(p, node, PoolKind::Avg, &whole, (false, [0; 2]))
        }
        Op::Binary { kind, activation } => binary(p, at, node, *kind, *activation),
        _ => Err(Error::unsupported("no int8 kernel")),
    }
}

fn grid(p: &Planner, id: ValueId) -> Result<Quant> {
    p.grids.of(id).ok_or_else(|| Error::bad_model(format!("value {:?} has no grid", p.graph.value(id).name)))
}

/// Whether a kernel that combines two tensors pixel by pixel fits: equal shapes, or one pixel for all.
pub(super) fn pixelwise(graph: &Graph, node: &Node) -> bool {
    let [a, b] = [0, 1].map(|i| graph.shape(node.inputs[i]));
    let out = graph.shape(node.output);
    let one_pixel =
        |s: &crate::tensor::Shape| s.nchw().is_some_and(|[n, c, h, w]| [n, h, w] == [1; 3] && c == out[1]);
    (a == out && (b == out || one_pixel(b))) || (b == out && one_pixel(a))
}

/// Weights, bias and epilogue of a convolution in int8.
struct Quantized {
    codes: Vec<i8>,
    bias: Vec<i32>,
    epilogue: Epilogue,
    /// Output channels.
    channels: usize,
}

fn quantized(p: &Planner, at: usize, node: &Node, activation: Option<Unary>) -> Result<Quantized> {
    let weights = p.graph.constant(node.inputs[1]).expect("inference checked that weights are constant");
    let Data::Q8 { codes, scales } = weights.data() else {
        return Err(Error::bad_model("its weights are real"));
    };
    let input = grid(p, node.inputs[0])?;
    let unit = |s: f32| f64::from(input.scale) * f64::from(s);
    let bias = match node.inputs.get(2).and_then(|&id| p.graph.constant(id)) {
        Some(bias) => bias
            .to_f32()
            .iter()
            .zip(scales)
            .map(|(b, &s)| (f64::from(*b) / unit(s)).round_ties_even() as i32)
            .collect(),
        None => vec![0; scales.len()],
    };
    let (result, fused) = p.result(at);
    let multiplier = |out: f64| -> Result<Vec<f32>> {
        let all: Vec<f32> = scales.iter().map(|&s| (unit(s) / out) as f32).collect();
        match all.iter().all(|m| m.is_finite()) {
            true => Ok(all),
            false => Err(Error::bad_model("its scales give an infinite multiplier")),
        }
    };
    let epilogue = match p.grids.of(result) {
        None => Epilogue::Reals(multiplier(1.0)?),
        Some(out) => {
            let before = fused.and(p.grids.of(node.output));
            let Tail { grid, range, table } = tail(fused.or(activation), before, out);
            let CodeRange { zero_point, lo, hi } = range;
            Epilogue::Codes(Requant {
                method: p.options.requantization,
                multiplier: multiplier(f64::from(grid.scale))?,
                zero_point,
                lo,
                hi,
                table,
            })
        }
    };
    Ok(Quantized { codes: codes.clone(), bias, epilogue, channels: scales.len() })
}

impl Quantized {
    /// The part for output channels `range`; `row` weights per channel.
    fn part(&self, range: std::ops::Range<usize>, row: usize) -> Quantized {
        let epilogue = match &self.epilogue {
            Epilogue::Reals(m) => Epilogue::Reals(m[range.clone()].to_vec()),
            Epilogue::Codes(r) => {
                Epilogue::Codes(Requant { multiplier: r.multiplier[range.clone()].to_vec(), ..r.clone() })
            }
        };
        Quantized {
            codes: self.codes[range.start * row..range.end * row].to_vec(),
            bias: self.bias[range.clone()].to_vec(),
            epilogue,
            channels: range.len(),
        }
    }
}

/// `[O][I][taps]` → `[O][taps][I]`.
pub(super) fn channels_last(codes: &[i8], inputs: usize, taps: usize) -> Vec<i8> {
    if taps == 1 {
        return codes.to_vec();
    }
    let mut to = Vec::with_capacity(codes.len());
    for row in codes.chunks_exact(inputs * taps) {
        (0..taps).for_each(|tap| to.extend(row[tap..].iter().step_by(taps)));
    }
    to
}

pub(super) fn window_of(x: &Loc, out: &Loc, attrs: &WindowAttrs) -> Window {
    Window {
        input: x.rows_columns(),
        output: out.rows_columns(),
        kernel: attrs.kernel,
        stride: attrs.stride,
        dilation: attrs.dilation,
        pad: [attrs.pad[0], attrs.pad[1]],
    }
}

fn conv(
    p: &mut Planner,
    at: usize,
    node: &Node,
    attrs: &WindowAttrs,
    groups: usize,
    activation: Option<Unary>,
) -> Result<()> {
    let layer = quantized(p, at, node, activation)?;
    let zero_point = grid(p, node.inputs[0])?.zero_point;
    let taps = attrs.kernel[0] * attrs.kernel[1];
    if let Some(collected) = p.collection(at) {
        return collecting_conv(p, at, node, attrs, (layer, activation, &collected));
    }
    let (x, out, after) = places(p, at, node, &layer, activation)?;
    let window = window_of(&x, &out, attrs);
    let inputs = x.channels() / groups;
    if groups == x.channels() && groups == layer.channels {
        let weights: Vec<i8> =
            (0..taps * groups).map(|i| layer.codes[i % groups * taps + i / groups]).collect();
        let filter = Filter {
            in_channels: groups,
            out_channels: groups,
            zero_point,
            weights: &weights,
            bias: &layer.bias,
        };
        let kernel = ConvI8::depthwise(p.options.isa, window.clone(), &filter, layer.epilogue);
        let macs = out.pixels() as u64 * (taps * groups) as u64;
        let work = conv_work(kernel, window.output[1], macs, out.dtype);
        p.push(node.name.clone(), "Depthwise", p.result(at).0, vec![x], out.clone(), work);
    } else {
        // A grouped convolution is one dense convolution per group, on ranges of the channels.
        let outputs = layer.channels / groups;
        for g in 0..groups {
            let part = layer.part(g * outputs..(g + 1) * outputs, inputs * taps);
            let weights = channels_last(&part.codes, inputs, taps);
            let filter = Filter {
                in_channels: inputs,
                out_channels: outputs,
                zero_point,
                weights: &weights,
                bias: &part.bias,
            };
            let kernel = ConvI8::new(p.options.isa, window.clone(), &filter, part.epilogue);
            let macs = out.pixels() as u64 * (outputs * inputs * taps) as u64;
            let work = conv_work(kernel, window.output[1], macs, out.dtype);
            let (read, write) =
                (x.channels_from(g * inputs, inputs), out.channels_from(g * outputs, outputs));
            push_conv(p, at, node, (vec![read], write), &window, work);
        }
    }
    activate(p, node, out, after)
}

/// A dense convolution whose input channels lie in several tensors.
fn collecting_conv(
    p: &mut Planner,
    at: usize,
    node: &Node,
    attrs: &WindowAttrs,
    (layer, activation, collected): (Quantized, Option<Unary>, &Collected),
) -> Result<()> {
    let reads =
        collected.runs.iter().map(|run| Ok(p.read(run.root, DType::I8)?.channels_from(run.first, run.count)));
    let reads = reads.collect::<Result<Vec<Loc>>>()?;
    let (out, after) = result_place(p, at, node, &layer, activation);
    let window = window_of(&reads[0], &out, attrs);
    let (taps, inputs) = (attrs.kernel[0] * attrs.kernel[1], collected.order.len());
    let weights = channels_last(&layer.codes, inputs, taps);
    let ordered: Vec<i8> =
        weights.chunks(inputs).flat_map(|tap| collected.order.iter().map(|&c| tap[c])).collect();
    let filter = Filter {
        in_channels: inputs,
        out_channels: layer.channels,
        zero_point: grid(p, node.inputs[0])?.zero_point,
        weights: &ordered,
        bias: &layer.bias,
    };
    let runs: Vec<usize> = collected.runs.iter().map(|run| run.count).collect();
    let kernel = ConvI8::collecting(p.options.isa, window.clone(), &filter, &runs, layer.epilogue);
    let macs = (out.pixels() * layer.channels * inputs * taps) as u64;
    let work = conv_work(kernel, window.output[1], macs, out.dtype);
    push_conv(p, at, node, (reads, out.clone()), &window, work);
    activate(p, node, out, after)
}

fn push_conv(
    p: &mut Planner,
    at: usize,
    node: &Node,
    (reads, write): (Vec<Loc>, Loc),
    window: &Window,
    work: Work,
) {
    let (name, result) = (node.name.clone(), p.result(at).0);
    match window.is_pointwise() {
        true => p.push_pointwise(name, "Conv", result, reads, write, work),
        false => p.push(name, "Conv", result, reads, write, work),
    }
}

fn linear(p: &mut Planner, at: usize, node: &Node, activation: Option<Unary>) -> Result<()> {
    let layer = quantized(p, at, node, activation)?;
    let (x, out, after) = places(p, at, node, &layer, activation)?;
    let point = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
    let window = window_of(&x, &out, &point);
    let filter = Filter {
        in_channels: x.channels(),
        out_channels: layer.channels,
        zero_point: grid(p, node.inputs[0])?.zero_point,
        weights: &layer.codes,
        bias: &layer.bias,
    };
    let kernel = ConvI8::new(p.options.isa, window.clone(), &filter, layer.epilogue);
    let macs = (out.pixels() * x.channels() * layer.channels) as u64;
    let work = conv_work(kernel, window.output[1], macs, out.dtype);
    p.push(node.name.clone(), "Linear", p.result(at).0, vec![x], out.clone(), work);
    activate(p, node, out, after)
}

/// Operand, result, and the activation that has to follow in float: a layer that leaves int8 has no codes to
/// look up.
fn places(
    p: &mut Planner,
    at: usize,
    node: &Node,
    layer: &Quantized,
    activation: Option<Unary>,
) -> Result<(Loc, Loc, Option<Unary>)> {
    let x = p.read(node.inputs[0], DType::I8)?;
    let (out, after) = result_place(p, at, node, layer, activation);
    Ok((x, out, after))
}

fn result_place(
    p: &mut Planner,
    at: usize,
    node: &Node,
    layer: &Quantized,
    activation: Option<Unary>,
) -> (Loc, Option<Unary>) {
    match (&layer.epilogue, activation) {
        (Epilogue::Codes(_), _) => (p.place(p.result(at).0, DType::I8), None),
        (Epilogue::Reals(_), None) => (p.place(node.output, DType::F32), None),
        (Epilogue::Reals(_), Some(_)) => {
            let dims = super::physical_dims(p.graph.shape(node.output));
            (p.new_buffer(dims, DType::F32), activation)
        }
    }
}

fn activate(p: &mut Planner, node: &Node, before: Loc, after: Option<Unary>) -> Result<()> {
    let Some(unary) = after else { return Ok(()) };
    let out = p.place(node.output, DType::F32);
    let work = real::unary(p.options.isa, unary, &out);
    p.push_pointwise(format!("{}.activation", node.name), "Unary", node.output, vec![before], out, work);
    Ok(())
}

fn conv_work(conv: ConvI8, width: usize, macs: u64, out: DType) -> Work {
    Work {
        kernel: conv.kernel().to_owned(),
        weights_bytes: conv.weights_bytes(),
        scratch_bytes: conv.scratch_bytes(),
        macs,
        unit: width,
        run: match out {
            DType::I8 => Box::new(move |part: &mut Part| {
                let (src, rows) = (sources(part), part.rows());
                let (dst, scratch) = part.output();
                conv.run_codes(&src[..conv.sources()], dst, rows, scratch);
            }),
            DType::F32 => Box::new(move |part: &mut Part| {
                let (src, rows) = (sources(part), part.rows());
                let (dst, scratch) = part.output();
                conv.run_reals(&src[..conv.sources()], dst, rows, scratch);
            }),
        },
    }
}

/// All operands of a part, without allocating.
fn sources<'a>(part: &Part<'a>) -> [Plane<'a, i8>; RUNS_MAX] {
    let mut planes = [Plane { data: &[][..], pitch: 0 }; RUNS_MAX];
    for (i, plane) in planes.iter_mut().enumerate().take(part.inputs()) {
        *plane = part.input(i);
    }
    planes
}

fn pooling(
    p: &mut Planner,
    node: &Node,
    kind: PoolKind,
    attrs: &WindowAttrs,
    (count_include_pad, tail): (bool, [usize; 2]),
) -> Result<()> {
    let (from, to) = (grid(p, node.inputs[0])?, grid(p, node.output)?);
    let x = p.read(node.inputs[0], DType::I8)?;
    let out = p.place(node.output, DType::I8);
    let window = window_of(&x, &out, attrs);
    let (channels, width, isa) = (x.channels(), window.output[1], p.options.isa);
    let average = Average {
        count_include_pad,
        tail,
        zero_point: from.zero_point,
        ratio: (f64::from(from.scale) / f64::from(to.scale)) as f32,
        range: CodeRange { zero_point: to.zero_point, lo: i8::MIN, hi: i8::MAX },
    };
    let run: super::step::Run = match kind {
        PoolKind::Max => Box::new(move |part| {
            let (src, rows) = (part.input(0), part.rows());
            pool::max_pool(isa, &window, channels, src, part.output::<_, u8>().0, rows);
        }),
        PoolKind::Avg => Box::new(move |part| {
            let (src, rows) = (part.input(0), part.rows());
            pool::average_pool(isa, (&window, &average), channels, src, part.output::<_, u8>().0, rows);
        }),
    };
    let work =
        Work { kernel: format!("{isa}-pool"), weights_bytes: 0, scratch_bytes: 0, macs: 0, unit: width, run };
    p.push(node.name.clone(), node.op.name(), node.output, vec![x], out, work);
    Ok(())
}

fn binary(p: &mut Planner, at: usize, node: &Node, kind: Binary, activation: Option<Unary>) -> Result<()> {
    let (result, fused) = p.result(at);
    let before = fused.and(p.grids.of(node.output));
    let Tail { grid: on, range, table } = tail(fused.or(activation), before, grid(p, result)?);
    let grids = [grid(p, node.inputs[0])?, grid(p, node.inputs[1])?];
    let operands = [p.read(node.inputs[0], DType::I8)?, p.read(node.inputs[1], DType::I8)?];
    let out = p.place(result, DType::I8);
    let zero_points = grids.map(|g| g.zero_point);
    let ratio = |scale: f64| (scale / f64::from(on.scale)) as f32;
    let (channels, isa) = (out.channels(), p.options.isa);
    // A tensor of one pixel meets every pixel of the other.
    let single = operands.clone().map(|loc| loc.pixels() == 1 && out.pixels() != 1);
    let run: super::step::Run = if kind == Binary::Mul {
        let multiplier = ratio(f64::from(grids[0].scale) * f64::from(grids[1].scale));
        let mul = Mul { zero_points, multiplier, range, table };
        Box::new(move |part| {
            let planes = [0, 1].map(|i| operand(part, i, single[i]));
            let pixels = part.pixels();
            elementwise::mul(isa, &mul, channels, planes, part.output::<_, u8>().0, pixels);
        })
    } else {
        let sign = if kind == Binary::Sub { -1.0 } else { 1.0 };
        let multipliers = [ratio(f64::from(grids[0].scale)), sign * ratio(f64::from(grids[1].scale))];
        let add = Add { zero_points, multipliers, range, table };
        Box::new(move |part| {
            let planes = [0, 1].map(|i| operand(part, i, single[i]));
            let pixels = part.pixels();
            elementwise::add(isa, &add, channels, planes, part.output::<_, u8>().0, pixels);
        })
    };
    let work =
        Work { kernel: format!("{isa}-binary"), weights_bytes: 0, scratch_bytes: 0, macs: 0, unit: 1, run };
    p.push_pointwise(node.name.clone(), &format!("{kind:?}"), result, operands.to_vec(), out, work);
    Ok(())
}

/// Operand `i` of a part; one pixel for all has pitch 0.
fn operand<'a>(part: &Part<'a>, i: usize, single: bool) -> Plane<'a, i8> {
    let plane = part.input(i);
    Plane { pitch: if single { 0 } else { plane.pitch }, ..plane }
}

/// A table over all codes.
pub(super) fn table(isa: Isa, table: Box<[i8; 256]>, out: &Loc) -> Work {
    let channels = out.channels();
    elementwise_work(format!("{isa}-table"), move |part| {
        let (src, pixels) = (part.input(0), part.pixels());
        elementwise::table(isa, &table, channels, src, part.output::<_, u8>().0, pixels);
    })
}

/// Float to int8.
pub(super) fn quantize(isa: Isa, quant: Quant, out: &Loc) -> Work {
    let channels = out.channels();
    elementwise_work(format!("{isa}-quantize"), move |part| {
        let (src, pixels) = (part.input(0), part.pixels());
        elementwise::quantize(isa, quant, channels, src, part.output::<_, u8>().0, pixels);
    })
}

/// Int8 to float.
pub(super) fn dequantize(isa: Isa, quant: Quant, out: &Loc) -> Work {
    let channels = out.channels();
    elementwise_work(format!("{isa}-dequantize"), move |part| {
        let (src, pixels) = (part.input(0), part.pixels());
        elementwise::dequantize(isa, quant, channels, src, part.output::<_, u8>().0, pixels);
    })
}

fn elementwise_work(kernel: String, run: impl Fn(&mut Part) + Send + Sync + 'static) -> Work {
    Work {
        kernel: kernel.to_owned(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: 1,
        run: Box::new(run),
    }
}
