//! Fuses a function into the layer before it.

use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Unary};

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        match fusable(&links, node) {
            Some((layer, op)) => {
                let inputs = layer.inputs.iter().map(|&id| rewriter.get(id)).collect::<Result<_>>()?;
                rewriter.replace(node, op, inputs)?;
            }
            None => rewriter.copy(node)?,
        }
    }
    rewriter.finish()
}

fn fusable<'a>(links: &Links<'a>, node: &Node) -> Option<(&'a Node, Op)> {
    let Op::Unary(unary) = node.op else { return None };
    let layer = links.sole(node.inputs[0])?;
    let mut op = layer.op.clone();
    let slot: &mut Option<Unary> = match &mut op {
        Op::Conv { activation, .. }
        | Op::ConvTranspose { activation, .. }
        | Op::Linear { activation }
        | Op::Binary { activation, .. } => activation,
        _ => return None,
    };
    slot.is_none().then(|| *slot = Some(unary))?;
    Some((layer, op))
}
