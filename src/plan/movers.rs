//! Operators that only move elements, for either element type.

use super::epilogue::table as activation_table;
use super::lower::Planner;
use super::step::{Part, Work};
use super::{Loc, physical_axis};
use crate::error::{Error, Result};
use crate::graph::{Node, Op, ResizeMode};
use crate::kernels::Plane;
use crate::kernels::collect::{Channels, Collect, SOURCES_MAX};
use crate::kernels::isa::Isa;
use crate::kernels::moves::{self, NearestResize, Strided, StridedCopy};
use crate::memory::Element;
use crate::passes::channels::Run;
use crate::tensor::DType;

/// Whether `op` is lowered here.
pub(super) fn is_mover(op: &Op) -> bool {
    match op {
        Op::Concat { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Pad { .. } => true,
        Op::Resize { mode, .. } => *mode == ResizeMode::Nearest,
        _ => false,
    }
}

/// Appends the steps of a mover.
pub(super) fn lower(p: &mut Planner, node: &Node, dtype: DType) -> Result<()> {
    if let Op::Concat { axis } = node.op {
        return concat(p, node, axis, dtype);
    }
    if let (Op::Transpose { perm }, Some((x, view))) = (&node.op, p.views[node.inputs[0].index()].clone()) {
        let out = p.place(node.output, dtype);
        let work = strided(&view.transposed(perm), &logical(&out), dtype);
        p.push(node.name.clone(), node.op.name(), node.output, vec![x], out, work);
        return Ok(());
    }
    let x = p.read(node.inputs[0], dtype)?;
    if let Op::Reshape { .. } = node.op {
        return reshape(p, node, x);
    }
    let rank = p.graph.shape(node.inputs[0]).rank();
    let out = p.place(node.output, dtype);
    let work = match &node.op {
        Op::Slice { start, step, count } => {
            strided(&logical(&x).sliced(start, step, count), &logical(&out), dtype)
        }
        Op::Transpose { perm } => strided(&logical(&x).transposed(perm), &logical(&out), dtype),
        Op::Gather { axis, indices } => {
            let gather = moves::Gather::new(&x.dims, physical_axis(rank, *axis), indices, x.pitch, out.pitch);
            match dtype {
                DType::I8 => whole("gather", move |src: &[i8], dst| gather.run(src, dst)),
                DType::F32 => whole("gather", move |src: &[f32], dst| gather.run(src, dst)),
            }
        }
        Op::Pad { before, after, value } => pad(p, node, (&x, &out), (before, after), *value),
        Op::Resize { output, scale, coords, .. } => {
            let [_, h, w, channels] = x.dims[..] else { unreachable!("inference admits only images") };
            let resize = NearestResize::new(channels, [h, w], *output, *scale, *coords);
            match dtype {
                DType::I8 => nearest::<i8>(resize, output[1]),
                DType::F32 => nearest::<f32>(resize, output[1]),
            }
        }
        _ => unreachable!("`is_mover` lists the operators"),
    };
    p.push(node.name.clone(), node.op.name(), node.output, vec![x], out, work);
    Ok(())
}

/// Appends the steps of a channel mover, and of the table behind it, if node `at` is joined with one: its channels,
/// copied from where they were made. One step draws from a limited number of tensors.
pub(super) fn collect(p: &mut Planner, at: usize, node: &Node, runs: &[Run]) -> Result<()> {
    let (result, unary) = p.result(at);
    let dtype = if p.runs_in_int8(node) { DType::I8 } else { DType::F32 };
    let grid_of = |id| p.grids.of(id).ok_or_else(|| Error::bad_model("a collected tensor has no grid"));
    let table = match unary {
        Some(unary) => Some(activation_table(unary, grid_of(node.output)?, grid_of(result)?)),
        None => None,
    };
    let out = p.place(result, dtype);
    let (mut from, mut first) = (0, 0);
    while from < runs.len() {
        let (mut roots, mut count, mut channels) = (Vec::new(), 0, Vec::new());
        for run in &runs[from..] {
            let known = roots.iter().position(|&root| root == run.root);
            if known.is_none() && roots.len() == SOURCES_MAX {
                break;
            }
            let source = known.unwrap_or(roots.len());
            if known.is_none() {
                roots.push(run.root);
            }
            channels.push(Channels { source, first: run.first, count: run.count });
            count += run.count;
        }
        let reads = roots.into_iter().map(|root| p.read(root, dtype)).collect::<Result<Vec<Loc>>>()?;
        let write = out.channels_from(first, count);
        let isa = p.options.isa;
        let work = match dtype {
            DType::I8 => collecting(Collect::new(isa, &channels, table.clone()), isa),
            DType::F32 => copying(isa, channels.clone()),
        };
        p.push_pointwise(node.name.clone(), "Collect", result, reads, write, work);
        (from, first) = (from + channels.len(), first + count);
    }
    Ok(())
}

/// Copies runs of float channels.
fn copying(isa: Isa, runs: Vec<Channels>) -> Work {
    Work {
        kernel: "collect".to_owned(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: 1,
        run: Box::new(move |part: &mut Part| {
            let mut planes = [Plane { data: &[][..], pitch: 0 }; SOURCES_MAX];
            for (i, plane) in planes.iter_mut().enumerate().take(part.inputs()) {
                *plane = part.input(i);
            }
            let pixels = part.pixels();
            moves::collect(isa, &runs, &planes, part.output::<f32, u8>().0, pixels);
        }),
    }
}

fn collecting(collect: Collect, isa: Isa) -> Work {
    Work {
        kernel: format!("{isa}-collect"),
        weights_bytes: collect.bytes(),
        scratch_bytes: 0,
        macs: 0,
        unit: 1,
        run: Box::new(move |part: &mut Part| {
            let mut planes = [Plane { data: &[][..], pitch: 0 }; SOURCES_MAX];
            for (i, plane) in planes.iter_mut().enumerate().take(part.inputs()) {
                *plane = part.input(i);
            }
            let pixels = part.pixels();
            collect.run(&planes, part.output::<i8, u8>().0, pixels);
        }),
    }
}

fn concat(p: &mut Planner, node: &Node, axis: usize, dtype: DType) -> Result<()> {
    let out = p.place(node.output, dtype);
    let mut start = 0;
    for &id in &node.inputs {
        let extent = p.graph.shape(id)[axis];
        let x = p.read(id, dtype)?;
        let name = format!("{}.{}", node.name, p.graph.value(id).name);
        let work = strided(&logical(&x), &logical(&out).narrowed(axis, start, extent), dtype);
        p.push(name, "Concat", node.output, vec![x], out.clone(), work);
        start += extent;
    }
    Ok(())
}

/// Row-major order is that of the logical shape: only images have to be rearranged.
fn reshape(p: &mut Planner, node: &Node, x: Loc) -> Result<()> {
    let dtype = x.dtype;
    let (from, to) = (p.graph.shape(node.inputs[0]).clone(), p.graph.shape(node.output).clone());
    if from.rank() != 4 && to.rank() != 4 {
        let dims = to.dims().to_vec();
        let pitch = dims.last().copied().unwrap_or(1);
        p.alias(node.output, Loc { dims, pitch, ..x });
        return Ok(());
    }
    if let Some(view) = logical(&x).reshaped(to.dims())
        && only_transposed(p, node, dtype)
    {
        p.views[node.output.index()] = Some((x, view));
        return Ok(());
    }
    let row_major = |dims: &[usize]| Strided::row_major(dims, dims.last().copied().unwrap_or(1));
    let name = node.name.clone();
    if from.rank() == 4 && to.rank() == 4 {
        let flat = p.new_buffer(vec![from.elements()], dtype);
        let work = strided(&logical(&x), &row_major(from.dims()), dtype);
        p.push(format!("{name}.flat"), "Reshape", node.output, vec![x], flat.clone(), work);
        let out = p.place(node.output, dtype);
        let work = strided(&row_major(to.dims()), &logical(&out), dtype);
        p.push(name, "Reshape", node.output, vec![flat], out, work);
        return Ok(());
    }
    let out = p.place(node.output, dtype);
    let work = match from.rank() {
        4 => strided(&logical(&x), &row_major(from.dims()), dtype),
        _ => strided(&row_major(to.dims()), &logical(&out), dtype),
    };
    p.push(name, "Reshape", node.output, vec![x], out, work);
    Ok(())
}

/// Whether nothing but transposes of the same element type reads the result of `node`.
fn only_transposed(p: &Planner, node: &Node, dtype: DType) -> bool {
    p.readers[node.output.index()].iter().all(|&at| {
        let transposes = |next: &Node| {
            matches!(next.op, Op::Transpose { .. }) && p.runs_in_int8(next) == (dtype == DType::I8)
        };
        p.graph.nodes.get(at).is_some_and(transposes)
    })
}

/// Placement of a tensor with its dimensions in logical order.
pub(super) fn logical(loc: &Loc) -> Strided {
    let placed = Strided { dims: loc.dims.clone(), strides: loc.strides(), offset: 0 };
    if loc.dims.len() == 4 { placed.transposed(&[0, 3, 1, 2]) } else { placed }
}

/// Copies along the destination's order in memory, so that writes are sequential.
fn strided(from: &Strided, to: &Strided, dtype: DType) -> Work {
    let mut order: Vec<usize> = (0..to.dims.len()).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(to.strides[axis]));
    let copy = StridedCopy::new(&from.transposed(&order), &to.transposed(&order));
    match dtype {
        DType::I8 => whole("copy", move |src: &[i8], dst| copy.run(src, dst)),
        DType::F32 => whole("copy", move |src: &[f32], dst| copy.run(src, dst)),
    }
}

fn pad(
    p: &Planner,
    node: &Node,
    (x, out): (&Loc, &Loc),
    (before, after): (&[usize], &[usize]),
    value: f32,
) -> Work {
    let physical = |cells: &[usize]| match cells {
        [n, c, h, w] => vec![*n, *h, *w, *c],
        other => other.to_vec(),
    };
    let pad = moves::Pad::new(&x.dims, &physical(before), &physical(after), x.pitch, out.pitch);
    match out.dtype {
        DType::I8 => {
            let code = p.grids.of(node.output).map_or(0, |q| q.quantize(value));
            whole("pad", move |src: &[i8], dst| pad.run(src, code, dst))
        }
        DType::F32 => whole("pad", move |src: &[f32], dst| pad.run(src, value, dst)),
    }
}

fn nearest<T: Element>(resize: NearestResize, width: usize) -> Work {
    Work {
        kernel: "nearest".into(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: width,
        run: Box::new(move |part: &mut Part| {
            let (src, rows) = (part.input::<T>(0), part.rows());
            let (dst, _) = part.output::<T, u8>();
            resize.run(src, dst, rows);
        }),
    }
}

/// A kernel over whole tensors.
pub(super) fn whole<T: Element>(kernel: &str, run: impl Fn(&[T], &mut [T]) + Send + Sync + 'static) -> Work {
    Work {
        kernel: kernel.to_owned(),
        weights_bytes: 0,
        scratch_bytes: 0,
        macs: 0,
        unit: 0,
        run: Box::new(move |part: &mut Part| {
            let src = part.input::<T>(0);
            let (dst, _) = part.output::<T, u8>();
            run(src.data, dst.data);
        }),
    }
}
