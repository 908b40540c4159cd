//! Folds per-channel scale and shift (BatchNorm, Scale, arithmetic with a `[C,1,1]` constant) into the
//! convolution or fully connected layer before it.

use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Binary, Graph, Node, Op, Unary, ValueId};
use crate::tensor::{Data, Shape, Tensor};

/// Per-channel `scale · x + shift`.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let mut graph = canonical(graph)?;
    // Each round folds the affine node nearest to its layer; chains such as conv → scale → bias take two.
    loop {
        let (folded, any) = fold_once(&graph)?;
        graph = folded;
        if !any {
            return Ok(graph);
        }
    }
}

/// Arithmetic with a per-channel constant becomes [`Op::ChannelAffine`].
fn canonical(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        let Some((x, affine)) = per_channel(graph, node) else {
            rewriter.copy(node)?;
            continue;
        };
        let x = rewriter.get(x)?;
        let scale = constant(&mut rewriter.new, &node.name, "scale", affine.scale)?;
        let shift = constant(&mut rewriter.new, &node.name, "shift", affine.shift)?;
        rewriter.replace(node, Op::ChannelAffine, vec![x, scale, shift])?;
    }
    rewriter.finish()
}

fn constant(graph: &mut Graph, node: &str, what: &str, values: Vec<f32>) -> Result<ValueId> {
    let shape = Shape::new([values.len()])?;
    let tensor = Tensor::new(shape, Data::F32(values)).expect("one extent, as many elements");
    graph.push_constant(format!("{node}.{what}"), tensor)
}

fn per_channel(graph: &Graph, node: &Node) -> Option<(ValueId, Affine)> {
    let Op::Binary { kind, activation: None } = node.op else { return None };
    let (x, c, swapped) = match (graph.constant(node.inputs[0]), graph.constant(node.inputs[1])) {
        (None, Some(c)) => (node.inputs[0], c, false),
        (Some(c), None) => (node.inputs[1], c, true),
        _ => return None,
    };
    let shape = graph.shape(x);
    let [n, channels, _, _] = shape.nchw()?;
    let extents: Vec<usize> = [1, channels, 1, 1].into();
    let dims = c.shape().dims();
    let aligned = dims.len() >= 3 && extents.ends_with(dims) && shape == graph.shape(node.output);
    let Data::F32(v) = c.data() else { return None };
    if !aligned || n != 1 {
        return None;
    }
    let zeros = || vec![0.0; channels];
    let affine = match (kind, swapped) {
        (Binary::Add, _) => Affine { scale: vec![1.0; channels], shift: v.clone() },
        (Binary::Mul, _) => Affine { scale: v.clone(), shift: zeros() },
        (Binary::Sub, false) => Affine { scale: vec![1.0; channels], shift: v.iter().map(|x| -x).collect() },
        (Binary::Sub, true) => Affine { scale: vec![-1.0; channels], shift: v.clone() },
        (Binary::Div, false) => Affine { scale: v.iter().map(|x| 1.0 / x).collect(), shift: zeros() },
        _ => return None,
    };
    Some((x, affine))
}

fn fold_once(graph: &Graph) -> Result<(Graph, bool)> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    let mut any = false;
    for node in &graph.nodes {
        match foldable(graph, &links, node) {
            Some((layer, affine)) => {
                fold(graph, &mut rewriter, node, layer, &affine)?;
                any = true;
            }
            None => rewriter.copy(node)?,
        }
    }
    Ok((rewriter.finish()?, any))
}

/// The layer before an affine node whose result only that node reads.
fn foldable<'a>(graph: &Graph, links: &Links<'a>, node: &Node) -> Option<(&'a Node, Affine)> {
    let layer = links.sole(*node.inputs.first()?)?;
    let out_axis = match layer.op {
        Op::Conv { activation: None, .. } | Op::Linear { activation: None } => 0,
        Op::ConvTranspose { activation: None, groups: 1, .. } => 1,
        _ => return None,
    };
    let channels = graph.shape(layer.inputs[1])[out_axis];
    let values = |at: usize| graph.constant(node.inputs[at]).map(|t| t.to_f32());
    let affine = match node.op {
        Op::ChannelAffine => Affine { scale: values(1)?, shift: values(2)? },
        Op::Unary(Unary::Affine { scale, shift }) => {
            Affine { scale: vec![scale; channels], shift: vec![shift; channels] }
        }
        _ => return None,
    };
    (affine.scale.len() == channels).then_some((layer, affine))
}

fn fold(graph: &Graph, rewriter: &mut Rewriter, node: &Node, layer: &Node, affine: &Affine) -> Result<()> {
    let x = rewriter.get(layer.inputs[0])?;
    let weights = graph.constant(layer.inputs[1]).expect("inference checked that weights are constant");
    let transposed = matches!(layer.op, Op::ConvTranspose { .. });
    let weights = scaled(weights, &affine.scale, transposed);
    let weights = rewriter.new.push_constant(graph.value(layer.inputs[1]).name.clone(), weights)?;
    let old = layer.inputs.get(2).and_then(|&id| graph.constant(id)).map(|t| t.to_f32());
    let old = old.unwrap_or_else(|| vec![0.0; affine.shift.len()]);
    let bias = old.iter().zip(&affine.scale).zip(&affine.shift).map(|((b, s), t)| b * s + t).collect();
    let bias = constant(&mut rewriter.new, &layer.name, "bias", bias)?;
    rewriter.replace(node, layer.op.clone(), vec![x, weights, bias])
}

/// Weights with output channel `i` multiplied by `scale[i]`; int8 codes stay, their scales take it.
fn scaled(weights: &Tensor, scale: &[f32], transposed: bool) -> Tensor {
    let shape = weights.shape().clone();
    let data = match weights.data() {
        Data::Q8 { codes, scales } => {
            let per_channel = codes.len() / scale.len();
            let sign = |i: usize| if scale[i / per_channel] < 0.0 { -1 } else { 1 };
            Data::Q8 {
                codes: codes.iter().enumerate().map(|(i, c)| c * sign(i)).collect(),
                scales: scales.iter().zip(scale).map(|(a, b)| a * b.abs()).collect(),
            }
        }
        _ => {
            let inner: usize = shape.dims()[if transposed { 2 } else { 1 }..].iter().product();
            let factor = |i: usize| scale[i / inner % scale.len()];
            Data::F32(weights.to_f32().iter().enumerate().map(|(i, w)| w * factor(i)).collect())
        }
    };
    Tensor::new(shape, data).expect("the number of elements did not change")
}
