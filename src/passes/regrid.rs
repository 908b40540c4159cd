//! Drops a FakeQuant whose operand is on the same grid already: QDQ files repeat the grid behind every
//! operator that only moves elements.

use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Op, PoolKind, ResizeMode};
use crate::tensor::Quant;

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut grid: Vec<Option<Quant>> = vec![None; graph.values().len()];
    for node in &graph.nodes {
        let carried = moves_only(&node.op).then(|| grid[node.inputs[0].index()]).flatten();
        let same = node.inputs.iter().all(|id| grid[id.index()] == carried);
        grid[node.output.index()] = carried.filter(|_| same);
        match node.op {
            Op::FakeQuant(quant) if grid[node.inputs[0].index()] == Some(quant) => {
                let operand = rewriter.get(node.inputs[0])?;
                rewriter.alias(node.output, operand);
                grid[node.output.index()] = Some(quant);
            }
            Op::FakeQuant(quant) => {
                rewriter.copy(node)?;
                grid[node.output.index()] = Some(quant);
            }
            _ => rewriter.copy(node)?,
        }
    }
    rewriter.finish()
}

/// Whether every element of the result is an element of the operands.
pub fn moves_only(op: &Op) -> bool {
    match op {
        Op::Concat { .. }
        | Op::Slice { .. }
        | Op::Gather { .. }
        | Op::Transpose { .. }
        | Op::Reshape { .. }
        | Op::Focus => true,
        Op::Resize { mode, .. } => *mode == ResizeMode::Nearest,
        Op::Pool { kind, .. } | Op::AdaptivePool { kind, .. } => *kind == PoolKind::Max,
        // Zero is on every grid.
        Op::Pad { value, .. } => *value == 0.0,
        _ => false,
    }
}
