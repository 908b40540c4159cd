//! Shape inference and operand checks: the only door through which an operator enters a graph.

use super::{Op, Value, WindowAttrs};
use crate::error::{Error, Result};
use crate::limits::WINDOW_MAX;
use crate::tensor::{Data, Shape};

/// Shape of an operator's output, or why the operands do not fit it.
pub fn infer(op: &Op, operands: &[&Value]) -> Result<Shape> {
    let args = Operands { op: op.name(), values: operands };
    match op {
        Op::Conv { window, groups, .. } => conv(&args, window, *groups),
        Op::ConvTranspose { window, output_pad, groups, .. } => {
            conv_transpose(&args, window, *output_pad, *groups)
        }
        Op::Linear { .. } => linear(&args),
        Op::Pool { window, tail, .. } => pool(&args, window, *tail),
        Op::AdaptivePool { output, .. } => {
            let [n, c, _, _] = args.exactly(1)?.image(0)?;
            args.shape([n, c, output[0], output[1]])
        }
        Op::Unary(_) | Op::FakeQuant(_) => Ok(args.exactly(1)?.values[0].shape.clone()),
        Op::PRelu => channel_parameters(&args, 1),
        Op::ChannelAffine => channel_parameters(&args, 2),
        Op::Binary { .. } => broadcast(args.exactly(2)?),
        Op::Concat { axis } => concat(&args, *axis),
        Op::Slice { start, step, count } => slice(&args, start, step, count),
        Op::Gather { axis, indices } => gather(&args, *axis, indices),
        Op::Transpose { perm } => transpose(&args, perm),
        Op::Reshape { shape } => reshape(&args, shape),
        Op::Resize { output, scale, .. } => {
            let [n, c, _, _] = args.exactly(1)?.image(0)?;
            args.check(scale.iter().all(|s| s.is_finite() && *s > 0.0), || {
                "its scale is not positive".into()
            })?;
            args.check(output[0] > 0 && output[1] > 0, || "its output is empty".into())?;
            args.shape([n, c, output[0], output[1]])
        }
        Op::Pad { before, after, .. } => pad(&args, before, after),
        Op::Softmax { axis } => {
            let shape = &args.exactly(1)?.values[0].shape;
            args.axis(shape, *axis)?;
            Ok(shape.clone())
        }
        Op::Reduce { axes, .. } => reduce(&args, axes),
        Op::Focus => {
            let [n, c, h, w] = args.exactly(1)?.image(0)?;
            args.check(h % 2 == 0 && w % 2 == 0, || format!("its input {h}×{w} has an odd side"))?;
            args.shape([n, c * 4, h / 2, w / 2])
        }
    }
}

/// The operands of one operator, with checks whose errors name it.
struct Operands<'a> {
    op: &'static str,
    values: &'a [&'a Value],
}

impl Operands<'_> {
    fn fail<T>(&self, what: impl std::fmt::Display) -> Result<T> {
        Err(Error::bad_model(format!("{}: {what}", self.op)))
    }

    fn check(&self, ok: bool, what: impl FnOnce() -> String) -> Result<()> {
        if ok { Ok(()) } else { self.fail(what()) }
    }

    fn exactly(&self, n: usize) -> Result<&Self> {
        self.check(self.values.len() == n, || format!("takes {n} operands, has {}", self.values.len()))?;
        Ok(self)
    }

    /// Between `required` and `required + optional` operands.
    fn arity(&self, required: usize, optional: usize) -> Result<()> {
        let n = self.values.len();
        self.check((required..=required + optional).contains(&n), || {
            format!("takes {required} to {} operands, has {n}", required + optional)
        })
    }

    /// `[N,C,H,W]` of operand `i`, none of them zero.
    fn image(&self, i: usize) -> Result<[usize; 4]> {
        let shape = &self.values[i].shape;
        match shape.nchw() {
            Some(dims) if dims.iter().all(|&d| d > 0) => Ok(dims),
            _ => self.fail(format!("needs an image [N,C,H,W], operand {i} is {shape}")),
        }
    }

    fn axis(&self, shape: &Shape, axis: usize) -> Result<()> {
        self.check(axis < shape.rank(), || format!("axis {axis} is outside rank {}", shape.rank()))
    }

    fn shape(&self, dims: impl Into<Vec<usize>>) -> Result<Shape> {
        Shape::new(dims).or_else(|e| self.fail(e))
    }

    /// A constant operand of exactly `dims`; `real` refuses integer and quantized data.
    fn parameter(&self, i: usize, what: &str, dims: &[usize], real: bool) -> Result<()> {
        let value = self.values[i];
        let Some(tensor) = &value.constant else {
            return self.fail(format!("its {what} {:?} is not a constant", value.name));
        };
        self.check(value.shape.dims() == dims, || {
            format!("its {what} is {}, expected {:?}", value.shape, dims)
        })?;
        let kind_ok = match tensor.data() {
            Data::F32(_) => true,
            Data::I64(_) => false,
            Data::Q8 { .. } => !real,
        };
        self.check(kind_ok, || format!("its {what} has the wrong element type"))
    }

    fn bias(&self, i: usize, channels: usize) -> Result<()> {
        if self.values.len() > i { self.parameter(i, "bias", &[channels], true) } else { Ok(()) }
    }
}

fn check_window(args: &Operands, w: &WindowAttrs) -> Result<()> {
    let in_bounds = |v: &[usize], min: usize| v.iter().all(|&x| (min..=WINDOW_MAX).contains(&x));
    args.check(
        in_bounds(&w.kernel, 1)
            && in_bounds(&w.stride, 1)
            && in_bounds(&w.dilation, 1)
            && in_bounds(&w.pad, 0),
        || format!("kernel, stride, dilation or padding is outside 1..={WINDOW_MAX}: {w:?}"),
    )
}

/// Output extent of a window along one axis; 0 = rows, 1 = columns.
fn window_extent(args: &Operands, w: &WindowAttrs, axis: usize, input: usize) -> Result<usize> {
    let reach = w.dilation[axis] * (w.kernel[axis] - 1) + 1;
    let padded = input + w.pad[axis] + w.pad[axis + 2];
    args.check(padded >= reach, || {
        format!("its window of {reach} does not fit the padded input of {padded}")
    })?;
    Ok((padded - reach) / w.stride[axis] + 1)
}

fn conv(args: &Operands, window: &WindowAttrs, groups: usize) -> Result<Shape> {
    args.arity(2, 1)?;
    check_window(args, window)?;
    let [n, c, h, w] = args.image(0)?;
    let [o, _, _, _] = args.image(1)?;
    args.check(groups > 0 && c % groups == 0 && o % groups == 0, || {
        format!("{groups} groups do not divide {c} input and {o} output channels")
    })?;
    args.parameter(1, "weights", &[o, c / groups, window.kernel[0], window.kernel[1]], false)?;
    args.bias(2, o)?;
    args.shape([n, o, window_extent(args, window, 0, h)?, window_extent(args, window, 1, w)?])
}

fn conv_transpose(args: &Operands, w: &WindowAttrs, extra: [usize; 2], groups: usize) -> Result<Shape> {
    args.arity(2, 1)?;
    check_window(args, w)?;
    let [n, c, h, width] = args.image(0)?;
    let [_, per_group, _, _] = args.image(1)?;
    args.check(groups > 0 && c % groups == 0, || format!("{groups} groups do not divide {c} channels"))?;
    args.parameter(1, "weights", &[c, per_group, w.kernel[0], w.kernel[1]], true)?;
    let o = per_group * groups;
    args.bias(2, o)?;
    args.check(extra.iter().all(|&e| e <= WINDOW_MAX), || format!("output padding above {WINDOW_MAX}"))?;
    let extent = |axis: usize, input: usize| {
        let full = (input - 1) * w.stride[axis] + w.dilation[axis] * (w.kernel[axis] - 1) + 1 + extra[axis];
        let pad = w.pad[axis] + w.pad[axis + 2];
        if full > pad { Ok(full - pad) } else { args.fail("its padding removes the whole output") }
    };
    args.shape([n, o, extent(0, h)?, extent(1, width)?])
}

fn linear(args: &Operands) -> Result<Shape> {
    args.arity(2, 1)?;
    let (x, w) = (&args.values[0].shape, &args.values[1].shape);
    args.check(x.rank() >= 1 && w.rank() == 2, || format!("needs [..,K] and [O,K], has {x} and {w}"))?;
    let k = x[x.rank() - 1];
    args.parameter(1, "weights", &[w[0], k], false)?;
    args.bias(2, w[0])?;
    let mut dims = x.dims().to_vec();
    dims[x.rank() - 1] = w[0];
    args.shape(dims)
}

fn pool(args: &Operands, window: &WindowAttrs, tail: [usize; 2]) -> Result<Shape> {
    check_window(args, window)?;
    let [n, c, h, w] = args.exactly(1)?.image(0)?;
    args.check(tail[0] <= window.pad[2] && tail[1] <= window.pad[3], || {
        "its tail exceeds its padding".into()
    })?;
    // A window that lies wholly in padding would have nothing to take a maximum of.
    let cells_seen = (0..2).all(|a| {
        let reach = window.dilation[a] * (window.kernel[a] - 1) + 1;
        window.pad[a] < reach && window.pad[a + 2] < reach
    });
    args.check(cells_seen, || format!("its padding {:?} reaches past its window", window.pad))?;
    args.shape([n, c, window_extent(args, window, 0, h)?, window_extent(args, window, 1, w)?])
}

fn channel_parameters(args: &Operands, parameters: usize) -> Result<Shape> {
    let shape = &args.exactly(1 + parameters)?.values[0].shape;
    args.check(shape.rank() >= 2, || format!("needs channels on axis 1, operand is {shape}"))?;
    for i in 1..=parameters {
        args.parameter(i, "parameter", &[shape[1]], true)?;
    }
    Ok(shape.clone())
}

fn broadcast(args: &Operands) -> Result<Shape> {
    let (a, b) = (args.values[0].shape.dims(), args.values[1].shape.dims());
    let rank = a.len().max(b.len());
    let from_end = |dims: &[usize], i: usize| dims.len().checked_sub(i + 1).map_or(1, |at| dims[at]);
    let mut dims = vec![0; rank];
    for i in 0..rank {
        dims[rank - 1 - i] = match (from_end(a, i), from_end(b, i)) {
            (x, y) if x == y => x,
            (1, x) | (x, 1) => x,
            _ => return args.fail(format!("{a:?} and {b:?} do not broadcast")),
        };
    }
    args.shape(dims)
}

fn concat(args: &Operands, axis: usize) -> Result<Shape> {
    args.check(!args.values.is_empty(), || "has no operands".into())?;
    let first = &args.values[0].shape;
    args.axis(first, axis)?;
    let mut dims = first.dims().to_vec();
    for value in &args.values[1..] {
        let other = value.shape.dims();
        let fits = other.len() == dims.len() && (0..dims.len()).all(|i| i == axis || other[i] == dims[i]);
        args.check(fits, || format!("{first} and {} do not join along axis {axis}", value.shape))?;
        dims[axis] += other[axis];
    }
    args.shape(dims)
}

fn slice(args: &Operands, start: &[usize], step: &[usize], count: &[usize]) -> Result<Shape> {
    let shape = &args.exactly(1)?.values[0].shape;
    let rank = shape.rank();
    args.check([start.len(), step.len(), count.len()] == [rank; 3], || format!("does not fit rank {rank}"))?;
    for i in 0..rank {
        let last = count[i]
            .checked_sub(1)
            .and_then(|n| n.checked_mul(step[i]))
            .and_then(|n| n.checked_add(start[i]));
        let inside = count[i] == 0 || last.is_some_and(|last| last < shape[i]);
        args.check(inside && step[i] > 0, || {
            format!("{} elements from {} by {} leave dimension {i} of {shape}", count[i], start[i], step[i])
        })?;
    }
    args.shape(count)
}

fn gather(args: &Operands, axis: usize, indices: &[usize]) -> Result<Shape> {
    let shape = &args.exactly(1)?.values[0].shape;
    args.axis(shape, axis)?;
    if let Some(i) = indices.iter().find(|&&i| i >= shape[axis]) {
        return args.fail(format!("index {i} is outside dimension {axis} of {shape}"));
    }
    let mut dims = shape.dims().to_vec();
    dims[axis] = indices.len();
    args.shape(dims)
}

fn transpose(args: &Operands, perm: &[usize]) -> Result<Shape> {
    let shape = &args.exactly(1)?.values[0].shape;
    let mut seen = perm.to_vec();
    seen.sort_unstable();
    args.check(seen.iter().copied().eq(0..shape.rank()), || {
        format!("{perm:?} is no permutation of the {} axes of {shape}", shape.rank())
    })?;
    args.shape(perm.iter().map(|&p| shape[p]).collect::<Vec<_>>())
}

fn reshape(args: &Operands, dims: &[usize]) -> Result<Shape> {
    let from = &args.exactly(1)?.values[0].shape;
    let to = args.shape(dims)?;
    args.check(from.elements() == to.elements(), || {
        format!(
            "{from} has {} elements, {to} has {}; a model exported for one input size cannot take another",
            from.elements(),
            to.elements()
        )
    })?;
    Ok(to)
}

fn pad(args: &Operands, before: &[usize], after: &[usize]) -> Result<Shape> {
    let shape = &args.exactly(1)?.values[0].shape;
    let rank = shape.rank();
    args.check(before.len() == rank && after.len() == rank, || format!("does not fit rank {rank}"))?;
    args.check(before.iter().chain(after).all(|&p| p <= WINDOW_MAX), || {
        format!("padding above {WINDOW_MAX}")
    })?;
    args.shape((0..rank).map(|i| before[i] + shape[i] + after[i]).collect::<Vec<_>>())
}

fn reduce(args: &Operands, axes: &[usize]) -> Result<Shape> {
    let shape = &args.exactly(1)?.values[0].shape;
    let mut dims = shape.dims().to_vec();
    for &axis in axes {
        args.axis(shape, axis)?;
        args.check(dims[axis] > 0, || format!("nothing to reduce in {shape}"))?;
        dims[axis] = 1;
    }
    args.shape(dims)
}

#[cfg(test)]
mod tests {
    use super::super::{Binary, Graph};
    use super::*;
    use crate::tensor::Tensor;

    fn graph(dims: &[usize]) -> (Graph, crate::graph::ValueId) {
        let mut g = Graph::new();
        let x = g.push_input("x", Shape::new(dims).unwrap()).unwrap();
        (g, x)
    }

    fn weights(g: &mut Graph, dims: &[usize]) -> crate::graph::ValueId {
        let shape = Shape::new(dims).unwrap();
        let data = Data::F32(vec![0.0; shape.elements()]);
        g.push_constant("w", Tensor::new(shape, data).unwrap()).unwrap()
    }

    fn window(kernel: usize, stride: usize, pad: usize) -> WindowAttrs {
        WindowAttrs { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 4] }
    }

    #[test]
    fn convolution_halves_and_refuses_misfits() {
        let (mut g, x) = graph(&[1, 3, 320, 320]);
        let w = weights(&mut g, &[32, 3, 3, 3]);
        let op = |groups| Op::Conv { window: window(3, 2, 1), groups, activation: None };
        let y = g.push("conv", op(1), vec![x, w], "y").unwrap();
        assert_eq!(g.shape(y).dims(), [1, 32, 160, 160]);
        let e = g.push("bad", op(2), vec![x, w], "z").unwrap_err().to_string();
        assert!(e.contains("bad") && e.contains("2 groups"), "{e}");
        assert!(g.push("bad", op(1), vec![x, x], "z").is_err(), "weights must be constant");
        assert!(g.push("bad", op(1), vec![x], "z").is_err(), "weights must be there");
    }

    #[test]
    fn broadcasting_follows_numpy() {
        let (mut g, x) = graph(&[1, 8, 4, 4]);
        let s = weights(&mut g, &[8, 1, 1]);
        let bad = weights(&mut g, &[3, 1, 1]);
        let op = || Op::Binary { kind: Binary::Mul, activation: None };
        let y = g.push("mul", op(), vec![x, s], "y").unwrap();
        assert_eq!(g.shape(y).dims(), [1, 8, 4, 4]);
        assert!(g.push("mul", op(), vec![x, bad], "y").is_err());
    }

    #[test]
    fn hostile_attributes_are_refused() {
        let (mut g, x) = graph(&[1, 8, 4, 4]);
        let huge = Op::Pad { before: vec![usize::MAX; 4], after: vec![0; 4], value: 0.0 };
        let outside = Op::Slice { start: vec![0, 7, 0, 0], step: vec![1; 4], count: vec![1, 2, 4, 4] };
        let wraps = Op::Slice { start: vec![1; 4], step: vec![usize::MAX; 4], count: vec![3; 4] };
        let twice = Op::Transpose { perm: vec![0, 1, 1, 3] };
        let grows = Op::Reshape { shape: vec![usize::MAX / 2] };
        for op in [huge, outside, wraps, twice, grows] {
            assert!(g.push("bad", op.clone(), vec![x], "y").is_err(), "{op:?}");
        }
    }
}
