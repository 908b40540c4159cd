//! Makes every change of grid an operator of its own.
//!
//! Where a tensor that is only moved has one grid and its result another (a Concat of tensors whose grids are
//! not tied), an identity between the two grids is put in between; in int8 it is a table. After this pass an
//! operator that moves elements moves codes.

use super::grids::Grids;
use super::regrid::moves_only;
use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Op, Unary};

const IDENTITY: Op = Op::Unary(Unary::Affine { scale: 1.0, shift: 0.0 });

/// The same graph with identities where grids change, and the grids of its values.
///
/// # Errors
/// None but those of the graph's builder.
pub fn requantize_movers(graph: &Graph, grids: &Grids) -> Result<(Graph, Grids)> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut inserted = Vec::new();
    for node in &graph.nodes {
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
