//! YOLOv5's Focus and the convolution after it → one convolution of twice the kernel and stride. Exact: the
//! same products in another order of storage.

use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId, WindowAttrs};
use crate::tensor::{Data, Tensor};

/// Row and column phase of each quarter of [`Op::Focus`]'s channels.
const PHASES: [[usize; 2]; 4] = [[0, 0], [1, 0], [0, 1], [1, 1]];

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    expand(&fold(&recognise(graph)?)?)
}

/// Four strided slices and their Concat → [`Op::Focus`] (and a channel order, where it is not YOLOv5's).
fn recognise(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        let Some((x, phases)) = phases(graph, &links, node) else {
            rewriter.copy(node)?;
            continue;
        };
        let operand = rewriter.get(x)?;
        if phases == PHASES {
            rewriter.replace(node, Op::Focus, vec![operand])?;
            continue;
        }
        let channels = graph.shape(x)[1];
        let focus = rewriter.new.push(format!("{}.focus", node.name), Op::Focus, vec![operand], "")?;
        let quarter = |phase: &[usize; 2]| PHASES.iter().position(|p| p == phase).unwrap_or(0) * channels;
        let indices = phases.iter().flat_map(|p| (0..channels).map(move |c| quarter(p) + c)).collect();
        rewriter.replace(node, Op::Gather { axis: 1, indices }, vec![focus])?;
    }
    rewriter.finish()
}

/// The sliced value and the phase of each operand, if `node` joins four different phases of one image.
fn phases(graph: &Graph, links: &Links, node: &Node) -> Option<(ValueId, [[usize; 2]; 4])> {
    let Op::Concat { axis: 1 } = node.op else { return None };
    let parts: Vec<_> = node.inputs.iter().map(|&id| phase(graph, links, id)).collect::<Option<_>>()?;
    let parts: [(ValueId, [usize; 2]); 4] = parts.try_into().ok()?;
    let x = parts[0].0;
    let phases = parts.map(|(_, phase)| phase);
    let complete = PHASES.iter().all(|p| phases.contains(p));
    (complete && parts.iter().all(|(of, _)| *of == x)).then_some((x, phases))
}

/// The value that `id` is a phase of: slices with step 2 in rows and columns, in one node or two.
fn phase(graph: &Graph, links: &Links, id: ValueId) -> Option<(ValueId, [usize; 2])> {
    let mut at = id;
    let (mut start, mut step) = ([0; 4], [1; 4]);
    while let Some(Node { op: Op::Slice { start: s, step: t, .. }, inputs, .. }) =
        links.producer(links.real(at))
    {
        for axis in 0..4.min(s.len()) {
            start[axis] = s[axis] + t[axis] * start[axis];
            step[axis] *= t[axis];
        }
        // A grid before the first slice stays: it is the picture's.
        at = inputs[0];
    }
    let [n, c, h, w] = graph.shape(at).nchw()?;
    let halves = graph.shape(id).dims() == [n, c, h / 2, w / 2] && h % 2 == 0 && w % 2 == 0;
    (halves && step == [1, 1, 2, 2] && start[..2] == [0, 0]).then_some((at, [start[2], start[3]]))
}

/// Focus → convolution becomes one convolution.
fn fold(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        let Some((x, op, weights)) = folded(graph, &links, node) else {
            rewriter.copy(node)?;
            continue;
        };
        // A grid between the two holds for the picture as well: Focus only moves pixels.
        let mut operand = rewriter.get(x)?;
        if let Some(Node { op: grid @ Op::FakeQuant(_), name, .. }) = links.producer(node.inputs[0]) {
            operand = rewriter.new.push(name.clone(), grid.clone(), vec![operand], "")?;
        }
        let name = graph.value(node.inputs[1]).name.clone();
        let mut inputs = vec![operand, rewriter.new.push_constant(name, weights)?];
        if let Some(&bias) = node.inputs.get(2) {
            inputs.push(rewriter.get(bias)?);
        }
        rewriter.replace(node, op, inputs)?;
    }
    rewriter.finish()
}

/// A Focus that no convolution took in becomes slices and a Concat again.
fn expand(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        if node.op != Op::Focus {
            rewriter.copy(node)?;
            continue;
        }
        let x = rewriter.get(node.inputs[0])?;
        let [n, c, h, w] = graph.shape(node.inputs[0]).nchw().expect("inference admits only images");
        let mut parts = Vec::with_capacity(PHASES.len());
        for [row, column] in PHASES {
            let slice = Op::Slice {
                start: vec![0, 0, row, column],
                step: vec![1, 1, 2, 2],
                count: vec![n, c, h / 2, w / 2],
            };
            parts.push(rewriter.new.push(format!("{}.{row}{column}", node.name), slice, vec![x], "")?);
        }
        rewriter.replace(node, Op::Concat { axis: 1 }, parts)?;
    }
    rewriter.finish()
}

fn folded(graph: &Graph, links: &Links, node: &Node) -> Option<(ValueId, Op, Tensor)> {
    let Op::Conv { window, groups: 1, activation } = &node.op else { return None };
    let Node { op: Op::Focus, inputs, .. } = links.producer(links.real(node.inputs[0]))? else { return None };
    let doubled = WindowAttrs {
        kernel: window.kernel.map(|k| 2 * k),
        stride: window.stride.map(|s| 2 * s),
        dilation: [1; 2],
        pad: window.pad.map(|p| 2 * p),
    };
    let weights = interleaved(graph.constant(node.inputs[1])?)?;
    let op = Op::Conv { window: doubled, groups: 1, activation: *activation };
    (window.dilation == [1; 2]).then_some((inputs[0], op, weights))
}

/// `[O, 4C, kh, kw]` → `[O, C, 2kh, 2kw]`.
fn interleaved(weights: &Tensor) -> Option<Tensor> {
    let [o, c4, kh, kw] = weights.shape().nchw()?;
    let c = c4 / 4;
    let mut source = vec![0; o * c4 * kh * kw];
    for (at, source) in source.iter_mut().enumerate() {
        let (x, y) = (at % (2 * kw), at / (2 * kw) % (2 * kh));
        let (channel, out) = (at / (4 * kw * kh) % c, at / (4 * kw * kh * c));
        let phase = PHASES.iter().position(|p| *p == [y % 2, x % 2])?;
        *source = ((out * c4 + phase * c + channel) * kh + y / 2) * kw + x / 2;
    }
    let data = match weights.data() {
        Data::Q8 { codes, scales } => {
            Data::Q8 { codes: source.iter().map(|&i| codes[i]).collect(), scales: scales.clone() }
        }
        _ => {
            let values = weights.to_f32();
            Data::F32(source.iter().map(|&i| values[i]).collect())
        }
    };
    Tensor::new(crate::tensor::Shape::new([o, c, 2 * kh, 2 * kw]).ok()?, data)
}
