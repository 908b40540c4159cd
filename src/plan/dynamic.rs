//! Float convolutions and linear layers in int8, on grids that each run makes of the operand itself.

use super::int8::{channels_last, window_of};
use super::lower::Planner;
use super::step::{Part, Step, Work};
use super::{Loc, Run};
use crate::error::Result;
use crate::graph::{Node, Op, ValueId, WindowAttrs};
use crate::kernels::dynamic::{ConvDynamic, Weights, grid, range};
use crate::kernels::elementwise;
use crate::tensor::{DType, Data, Quant};

/// Whether `node` is lowered here.
pub(super) fn fits(p: &Planner, node: &Node) -> bool {
    let depthwise = |groups| {
        let [x, y] = [node.inputs[0], node.output].map(|id| p.graph.shape(id)[1]);
        groups == x && groups == y
    };
    p.options.dynamic
        && match node.op {
            Op::Conv { groups, .. } => groups == 1 || depthwise(groups),
            Op::Linear { .. } => true,
            _ => false,
        }
}

/// Whether a step multiplies codes whose grid the run has made: they come with their ranges.
pub(super) fn is_dynamic(step: &Step) -> bool {
    let of = |dtype| step.reads.iter().any(|loc| loc.dtype == dtype);
    step.work.macs > 0 && of(DType::I8) && of(DType::F32)
}

/// Appends the steps of a node: the operand's ranges and codes, unless they are there, and the layer.
pub(super) fn lower(p: &mut Planner, node: &Node) -> Result<()> {
    let isa = p.options.isa;
    let [codes, ranges] = quantized(p, node.inputs[0])?;
    let out = p.place_real(node.output);
    let point = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
    let (attrs, depthwise, activation) = match &node.op {
        Op::Conv { window, groups, activation } => (window, *groups > 1, *activation),
        Op::Linear { activation } => (&point, false, *activation),
        _ => unreachable!("`fits` lists the operators"),
    };
    let weights = p.graph.constant(node.inputs[1]).expect("inference checked that weights are constant");
    let bias = node.inputs.get(2).and_then(|&id| p.graph.constant(id)).map(|t| t.to_f32());
    let weights = weights.to_q8();
    let Data::Q8 { codes: weight_codes, scales } = weights.data() else { unreachable!("just made") };
    let (taps, outputs) = (attrs.kernel[0] * attrs.kernel[1], scales.len());
    let ordered: Vec<i8> = match depthwise {
        true => (0..taps * outputs).map(|i| weight_codes[i % outputs * taps + i / outputs]).collect(),
        false => channels_last(weight_codes, codes.channels(), taps),
    };
    let weights =
        Weights { in_channels: codes.channels(), depthwise, codes: &ordered, scales, bias: bias.as_deref() };
    let kernel = ConvDynamic::new(isa, window_of(&codes, &out, attrs), &weights, activation);
    let rows = ranges.pixels();
    let work = Work {
        kernel: format!("{}-dynamic", kernel.kernel()),
        weights_bytes: kernel.weights_bytes(),
        scratch_bytes: kernel.scratch_bytes(),
        macs: (out.pixels() * ordered.len()) as u64,
        unit: out.rows_columns()[1],
        run: Box::new(move |part: &mut Part| {
            let (src, rows) = ((part.input(0), grid_of(part, rows)), part.rows());
            let (dst, scratch) = part.output();
            kernel.run(isa, src, dst, rows, scratch);
        }),
    };
    // The operand was quantized by ranges of all its rows: no step before this one may still run.
    p.push_real(node.name.clone(), node.op.name(), (node.output, false), vec![codes, ranges], out, work);
    Ok(())
}

/// The codes of a float tensor and the ranges of its rows.
fn quantized(p: &mut Planner, id: ValueId) -> Result<[Loc; 2]> {
    if let Some(places) = &p.quantized[id.index()] {
        return Ok(places.clone());
    }
    let isa = p.options.isa;
    let x = p.read(id, DType::F32)?;
    let name = p.graph.value(id).name.clone();
    let ([rows, width], channels) = (x.rows_columns(), x.channels());
    let ranges = p.new_buffer(vec![rows, 2], DType::F32);
    let run: Run = Box::new(move |part| {
        let (src, rows) = (part.input(0), part.rows());
        range(isa, width, channels, src, part.output::<_, u8>().0, rows);
    });
    let work = mover(format!("{isa}-range"), run);
    p.push(format!("{name}.range"), "Range", id, vec![x.clone()], ranges.clone(), work);
    let codes = p.new_buffer(x.dims.clone(), DType::I8);
    let run: Run = Box::new(move |part| {
        let (src, quant, pixels) = (part.input(0), grid_of(part, rows), part.pixels());
        elementwise::quantize(isa, quant, channels, src, part.output::<_, u8>().0, pixels);
    });
    let work = mover(format!("{isa}-quantize-dynamic"), run);
    p.push(name, "Quantize", id, vec![x, ranges.clone()], codes.clone(), work);
    let places = [codes, ranges];
    p.quantized[id.index()] = Some(places.clone());
    Ok(places)
}

/// The grid that the ranges of `rows` rows, a step's second operand, give.
fn grid_of(part: &Part<'_>, rows: usize) -> Quant {
    grid(&part.input::<f32>(1).data[..2 * rows])
}

fn mover(kernel: String, run: Run) -> Work {
    Work { kernel, weights_bytes: 0, scratch_bytes: 0, macs: 0, unit: 1, run }
}
