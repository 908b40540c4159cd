//! Zero padding of rows and columns becomes the padding of the convolution or average that follows.

use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, PoolKind};

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        match padded(&links, node) {
            Some((pad, op)) => {
                let mut inputs =
                    node.inputs.iter().map(|&id| rewriter.get(id)).collect::<Result<Vec<_>>>()?;
                inputs[0] = rewriter.get(pad.inputs[0])?;
                rewriter.replace(node, op, inputs)?;
            }
            None => rewriter.copy(node)?,
        }
    }
    rewriter.finish()
}

fn padded<'a>(links: &Links<'a>, node: &Node) -> Option<(&'a Node, Op)> {
    let pad = links.producer(*node.inputs.first()?)?;
    let Op::Pad { before, after, value: 0.0 } = &pad.op else { return None };
    let [0, 0, top, left] = before[..] else { return None };
    let [0, 0, bottom, right] = after[..] else { return None };
    let mut op = node.op.clone();
    let window = match &mut op {
        Op::Conv { window, .. } => window,
        Op::Pool { kind: PoolKind::Avg, window, count_include_pad, .. } if window.pad == [0; 4] => {
            let reach = |a: usize| window.dilation[a] * (window.kernel[a] - 1) + 1;
            let inside = top.max(bottom) < reach(0) && left.max(right) < reach(1);
            *count_include_pad = true;
            inside.then_some(window)?
        }
        _ => return None,
    };
    for (side, more) in window.pad.iter_mut().zip([top, left, bottom, right]) {
        *side += more;
    }
    Some((pad, op))
}
