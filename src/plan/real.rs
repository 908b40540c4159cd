//! Float kernels for nodes.

use super::int8::window_of;
use super::lower::{Collected, Planner};
use super::movers::logical;
use super::step::{Part, Run, Work};
use super::{Loc, physical_axis};
use crate::error::{Error, Result};
use crate::graph::{Binary, Node, Op, PoolKind, Unary, WindowAttrs};
use crate::kernels::collect::Channels;
use crate::kernels::conv::RUNS_MAX;
use crate::kernels::float::unary::map_pixels;
use crate::kernels::float::{
    AdaptivePoolF32, BilinearF32, BinaryF32, ChannelAffineF32, ConvF32, ConvTransposeF32, LinearF32,
    PReluF32, PoolF32, ReduceF32, SoftmaxF32,
};
use crate::kernels::isa::Isa;
use crate::kernels::moves::Strided;
use crate::kernels::{Plane, PlaneMut, Window};
use crate::tensor::DType;
use std::ops::Range;

/// Appends the float step of a node.
pub(super) fn lower(p: &mut Planner, at: usize, node: &Node) -> Result<()> {
    if let Some(collected) = p.collection(at) {
        return collecting_conv(p, node, &collected);
    }
    let x = p.read(node.inputs[0], DType::F32)?;
    let mut reads = vec![x.clone()];
    if let Op::Binary { .. } = node.op {
        reads.push(p.read(node.inputs[1], DType::F32)?);
    }
    let out = p.place_real(node.output);
    let parameter = |i: usize| node.inputs.get(i).and_then(|&id| p.graph.constant(id)).map(|t| t.to_f32());
    let axis = |axis: usize| physical_axis(x.dims.len(), axis);
    let work = match &node.op {
        Op::Conv { window, groups, activation } => {
            let layer = conv_layer(p, node, &out, x.channels());
            layer.work(p.options.isa, (window_of(&x, &out, window), *groups, *activation), None)
        }
        Op::ConvTranspose { window, groups, activation, .. } => {
            let weights = parameter(1).expect("inference checked the weights");
            let kernel = ConvTransposeF32::new(
                window_of(&x, &out, window),
                x.channels(),
                out.channels(),
                *groups,
                &weights,
                parameter(2).as_deref(),
                *activation,
            );
            let per_group = out.channels() / groups;
            let macs = (x.pixels() * x.channels() * per_group * window.kernel[0] * window.kernel[1]) as u64;
            Work {
                weights_bytes: weights.len() * 4,
                macs,
                ..by_rows("conv-transpose", &out, move |s, d, r| kernel.run(s, d, r))
            }
        }
        Op::Linear { activation } => {
            let weights = parameter(1).expect("inference checked the weights");
            let bias = parameter(2);
            let shape = [out.channels(), x.channels()];
            let kernel = LinearF32::new(p.options.isa, shape, &weights, bias.as_deref(), *activation);
            let macs = (out.pixels() * weights.len()) as u64;
            Work {
                weights_bytes: weights.len() * 4,
                macs,
                ..by_pixels("gemm", move |s, d, n| kernel.run(s, d, n))
            }
        }
        Op::Unary(f) => unary(p.options.isa, *f, &out),
        Op::Pool { kind, window, count_include_pad, tail } => {
            pool(p.options.isa, (&x, &out), *kind, window, count_include_pad.then_some(*tail))
        }
        Op::AdaptivePool { kind, output } => {
            let kernel = AdaptivePoolF32::new(*kind, x.channels(), x.rows_columns(), *output);
            by_rows("adaptive-pool", &out, move |s, d, r| kernel.run(s, d, r))
        }
        Op::PRelu | Op::ChannelAffine if x.dims.len() != 4 && p.graph.shape(node.inputs[0]).rank() != 2 => {
            return Err(Error::unsupported(
                "per-channel parameters on a tensor that is no image; run it with `--engine tract`",
            ));
        }
        Op::PRelu => {
            let kernel = PReluF32::new(&parameter(1).unwrap_or_default());
            by_pixels("prelu", move |s, d, n| kernel.run(s, d, n))
        }
        Op::ChannelAffine => {
            let kernel =
                ChannelAffineF32::new(&parameter(1).unwrap_or_default(), &parameter(2).unwrap_or_default());
            by_pixels("affine", move |s, d, n| kernel.run(s, d, n))
        }
        Op::Binary { kind, activation } => binary(*kind, *activation, (&reads[0], &reads[1]), &out),
        Op::Softmax { axis: along } => {
            let kernel = SoftmaxF32::new(&placed(&x), &placed(&out), axis(*along));
            super::movers::whole("softmax", move |src: &[f32], dst| kernel.run(src, dst))
        }
        Op::Reduce { kind, axes } => {
            let axes: Vec<usize> = axes.iter().map(|&a| axis(a)).collect();
            let kernel = ReduceF32::new(*kind, &placed(&x), &axes, &placed(&out));
            super::movers::whole("reduce", move |src: &[f32], dst| kernel.run(src, dst))
        }
        Op::Resize { output, scale, coords, .. } => {
            let kernel = BilinearF32::new(x.channels(), x.rows_columns(), *output, *scale, *coords);
            by_rows("bilinear", &out, move |s, d, r| kernel.run(s, d, r))
        }
        Op::Focus => {
            return Err(Error::unsupported(
                "Focus without a convolution behind it; run it with `--engine tract`",
            ));
        }
        _ => return Err(Error::unsupported("no float kernel")),
    };
    let pointwise = match &node.op {
        Op::Conv { window, .. } => window_of(&x, &out, window).is_pointwise(),
        op => matches!(op, Op::Unary(_) | Op::PRelu | Op::ChannelAffine),
    };
    p.push_real(node.name.clone(), node.op.name(), (node.output, pointwise), reads, out, work);
    Ok(())
}

/// Placement in physical dimensions.
fn placed(loc: &Loc) -> Strided {
    Strided { dims: loc.dims.clone(), strides: loc.strides(), offset: 0 }
}

/// The numbers of a convolution.
struct ConvLayer {
    inputs: usize,
    outputs: usize,
    pixels: usize,
    /// `[output][kernel row][kernel column][input of the group]`.
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
}

fn conv_layer(p: &Planner, node: &Node, out: &Loc, inputs: usize) -> ConvLayer {
    let parameter = |i: usize| node.inputs.get(i).and_then(|&id| p.graph.constant(id)).map(|t| t.to_f32());
    let [outputs, channels, kh, kw] =
        p.graph.shape(node.inputs[1]).nchw().expect("inference checked the weights");
    let weights = parameter(1).expect("inference checked the weights");
    let (taps, row) = (kh * kw, channels * kh * kw);
    let at = |i: usize| i / row * row + (i % channels) * taps + i % row / channels;
    let weights = if taps == 1 { weights } else { (0..weights.len()).map(|i| weights[at(i)]).collect() };
    ConvLayer { inputs, outputs, pixels: out.pixels(), weights, bias: parameter(2) }
}

impl ConvLayer {
    /// The step's work; with `runs`, it collects its channels from several tensors.
    fn work(
        &self,
        isa: Isa,
        (window, groups, activation): (Window, usize, Option<Unary>),
        runs: Option<&[Channels]>,
    ) -> Work {
        let unit = window.output[1];
        let bias = self.bias.as_deref();
        let (inputs, outputs) = (self.inputs, self.outputs);
        let mut kernel = ConvF32::new(isa, window, inputs, outputs, groups, &self.weights, bias, activation);
        if let Some(runs) = runs {
            kernel = kernel.collecting(runs);
        }
        Work {
            kernel: kernel.kernel_name(),
            weights_bytes: kernel.weights_bytes(),
            scratch_bytes: kernel.scratch_len() * 4,
            macs: (self.pixels * self.weights.len()) as u64,
            unit,
            run: Box::new(move |part: &mut Part| {
                let mut src = [Plane { data: &[][..], pitch: 0 }; RUNS_MAX];
                for (i, plane) in src.iter_mut().enumerate().take(part.inputs()) {
                    *plane = part.input(i);
                }
                let (inputs, rows) = (part.inputs(), part.rows());
                let (dst, scratch) = part.output();
                kernel.run(&src[..inputs], dst, rows, scratch);
            }),
        }
    }
}

/// A convolution that reads its channels from where they were made.
fn collecting_conv(p: &mut Planner, node: &Node, collected: &Collected) -> Result<()> {
    let Op::Conv { window, activation, .. } = &node.op else { unreachable!("only convolutions collect") };
    let reads = collected
        .runs
        .iter()
        .map(|run| Ok(p.read(run.root, DType::F32)?.channels_from(run.first, run.count)))
        .collect::<Result<Vec<Loc>>>()?;
    let out = p.place_real(node.output);
    let mut layer = conv_layer(p, node, &out, collected.order.len());
    layer.weights = layer
        .weights
        .chunks(collected.order.len())
        .flat_map(|tap| collected.order.iter().map(|&channel| tap[channel]))
        .collect();
    let runs: Vec<Channels> = collected
        .runs
        .iter()
        .enumerate()
        .map(|(source, run)| Channels { source, first: 0, count: run.count })
        .collect();
    let window = window_of(&reads[0], &out, window);
    let pointwise = window.is_pointwise();
    let work = layer.work(p.options.isa, (window, 1, *activation), Some(&runs));
    p.push_real(node.name.clone(), node.op.name(), (node.output, pointwise), reads, out, work);
    Ok(())
}

/// A function of each element.
pub(super) fn unary(isa: Isa, f: Unary, out: &Loc) -> Work {
    let channels = out.channels();
    by_pixels("unary", move |src, dst, pixels| map_pixels(isa, f, src, dst, pixels, channels))
}

fn pool(
    isa: Isa,
    (x, out): (&Loc, &Loc),
    kind: PoolKind,
    attrs: &WindowAttrs,
    counted: Option<[usize; 2]>,
) -> Work {
    let counted_pad_end = counted.map(|tail| [attrs.pad[2] - tail[0], attrs.pad[3] - tail[1]]);
    let kernel = PoolF32::new(isa, kind, window_of(x, out, attrs), x.channels(), counted_pad_end);
    by_rows("pool", out, move |s, d, r| kernel.run(s, d, r))
}

fn binary(kind: Binary, activation: Option<Unary>, (a, b): (&Loc, &Loc), out: &Loc) -> Work {
    let dst = logical(out);
    let mut order: Vec<usize> = (0..dst.dims.len()).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(dst.strides[axis]));
    let along = |loc: &Loc| logical(loc).broadcast(&dst.dims).transposed(&order);
    let kernel = BinaryF32::new(kind, activation, &along(a), &along(b), &dst.transposed(&order));
    let run: Run = Box::new(move |part: &mut Part| {
        let (a, b) = (part.input(0), part.input(1));
        let (dst, _) = part.output::<f32, u8>();
        kernel.run(a.data, b.data, dst.data);
    });
    Work { kernel: "binary".into(), weights_bytes: 0, scratch_bytes: 0, macs: 0, unit: 0, run }
}

fn by_rows(
    kernel: &str,
    out: &Loc,
    run: impl Fn(Plane<'_, f32>, PlaneMut<'_, f32>, Range<usize>) + Send + Sync + 'static,
) -> Work {
    Work {
        kernel: kernel.to_owned(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: out.rows_columns()[1],
        run: Box::new(move |part: &mut Part| {
            let (src, rows) = (part.input(0), part.rows());
            run(src, part.output::<_, u8>().0, rows);
        }),
    }
}

/// `run(operand from the part's first pixel on, result, pixels)`.
fn by_pixels(
    kernel: &str,
    run: impl Fn(Plane<'_, f32>, PlaneMut<'_, f32>, usize) + Send + Sync + 'static,
) -> Work {
    Work {
        kernel: kernel.to_owned(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: 1,
        run: Box::new(move |part: &mut Part| {
            let (src, pixels): (Plane<'_, f32>, _) = (part.input(0), part.pixels());
            let src = Plane { data: &src.data[pixels.start * src.pitch..], ..src };
            run(src, part.output::<_, u8>().0, pixels.len());
        }),
    }
}
