//! Makes every change of grid an operator of its own.
//!
//! Where a tensor that is only moved has one grid and its result another (a Concat of tensors whose grids are
//! not tied), an identity between the two grids is put in between; in int8 it is a table. After this pass an
//! operator that moves elements moves codes.

use super::grids::Grids;
use super::regrid::moves_only;
use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Node, Op, Unary};

const IDENTITY: Op = Op::Unary(Unary::Affine { scale: 1.0, shift: 0.0 });

/// The same graph with identities where grids change, and the grids of its values.
///
/// # Errors
/// None but those of the graph's builder.
pub fn requantize_movers(graph: &Graph, grids: &Grids) -> Result<(Graph, Grids)> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut inserted = Vec::new();
    for node in &graph.nodes {
        if changes_grid_and_shrinks(graph, grids, node) {
            // Fewer elements to look up behind the mover.
            let x = rewriter.get(node.inputs[0])?;
            let moved = rewriter.new.push(node.name.clone(), node.op.clone(), vec![x], "")?;
            inserted.push((node.inputs[0], moved));
            rewriter.replace(node, IDENTITY, vec![moved])?;
            continue;
        }
        let mut inputs = node.inputs.iter().map(|&id| rewriter.get(id)).collect::<Result<Vec<_>>>()?;
        if moves_only(&node.op) && grids.of(node.output).is_some() {
            for (input, &old) in inputs.iter_mut().zip(&node.inputs) {
                if grids.of(old).is_some() && grids.of(old) != grids.of(node.output) {
                    let name = format!("{}.requantize", graph.value(old).name);
                    *input = rewriter.new.push(name, IDENTITY, vec![*input], "")?;
                    inserted.push((node.output, *input));
                }
            }
        }
        rewriter.replace(node, node.op.clone(), inputs)?;
    }
    let (graph, new_ids) = rewriter.finish_whole()?;
    let grids = grids.moved(&graph, new_ids.into_iter().chain(inserted));
    Ok((graph, grids))
}

/// Whether a mover of one operand leaves fewer elements, on another grid.
fn changes_grid_and_shrinks(graph: &Graph, grids: &Grids, node: &Node) -> bool {
    let [x] = node.inputs[..] else { return false };
    let (before, after) = (grids.of(x), grids.of(node.output));
    let shrinks = graph.shape(node.output).elements() < graph.shape(x).elements();
    moves_only(&node.op) && shrinks && before.is_some() && after.is_some() && before != after
}
