//! `x · sigmoid(x)` → SiLU, `x · hard_sigmoid(x)` → HardSwish, `clip(x + 3, 0, 6) / 6` → HardSigmoid.
//!
//! A grid that a QDQ file puts between the sigmoid and the product goes: one table of the whole function
//! is more accurate than two roundings.

use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Binary, Graph, Node, Op, Unary, ValueId};

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let graph = &composed(graph)?;
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        match gated(&links, node) {
            Some((x, unary)) => {
                let x = rewriter.get(x)?;
                rewriter.replace(node, Op::Unary(unary), vec![x])?;
            }
            None => rewriter.copy(node)?,
        }
    }
    rewriter.finish()
}

/// Replaces clips between two affine functions by HardSigmoid.
fn composed(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        match hard_sigmoid(&links, node) {
            Some((x, unary)) => {
                let x = rewriter.get(x)?;
                rewriter.replace(node, Op::Unary(unary), vec![x])?;
            }
            None => rewriter.copy(node)?,
        }
    }
    rewriter.finish()
}

fn unary_behind(links: &Links, id: ValueId) -> Option<(ValueId, Unary)> {
    match links.producer(id)? {
        Node { op: Op::Unary(unary), inputs, .. } => Some((inputs[0], *unary)),
        _ => None,
    }
}

/// `scale · clip(a·x + b, lo, hi)` with `scale·lo = 0` and `scale·hi = 1`.
fn hard_sigmoid(links: &Links, node: &Node) -> Option<(ValueId, Unary)> {
    let Op::Unary(Unary::Affine { scale, shift: 0.0 }) = node.op else { return None };
    let (clipped, Unary::Clip { lo: 0.0, hi }) = unary_behind(links, node.inputs[0])? else { return None };
    let (x, Unary::Affine { scale: a, shift: b }) = unary_behind(links, clipped)? else { return None };
    ((scale * hi - 1.0).abs() < 1e-6).then_some((x, Unary::HardSigmoid { alpha: a * scale, beta: b * scale }))
}

fn gated(links: &Links, node: &Node) -> Option<(ValueId, Unary)> {
    let Op::Binary { kind: Binary::Mul, activation: None } = node.op else { return None };
    let of = |x: ValueId, gate: ValueId| {
        let (gated, unary) = unary_behind(links, links.real(gate))?;
        let function = match unary {
            Unary::Sigmoid => Unary::Silu,
            Unary::HardSigmoid { alpha, beta } => Unary::HardSwish { alpha, beta },
            _ => return None,
        };
        (gated == x).then_some((x, function))
    };
    of(node.inputs[0], node.inputs[1]).or_else(|| of(node.inputs[1], node.inputs[0]))
}
