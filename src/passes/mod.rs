//! Graph to graph: each pass is one file, makes the graph simpler, and keeps what it computes.
//!
//! Passes know nothing of files, memory or CPUs. Their order matters and is written once, in [`simplify`]:
//! first the grids that say nothing new go, so that patterns show; then movers become channel gathers; then
//! composite functions become one; then everything that can be folded into a convolution is.

mod activation;
mod affine;
pub mod channels;
mod focus;
mod grids;
mod heads;
mod linear;
mod movers;
mod order;
mod pad;
mod regrid;
mod requantize;
mod rewrite;
mod swish;

pub use grids::{Grids, assign as assign_grids, without_fake_quant};
pub use heads::raw_heads;
pub use order::order_channels;
pub use regrid::moves_only;
pub use requantize::requantize_movers;

use crate::error::Result;
use crate::graph::Graph;

/// Runs all simplifying passes.
///
/// # Errors
/// Only where a pass would leave an inconsistent graph, which is a bug of the pass.
pub fn simplify(graph: &Graph) -> Result<Graph> {
    const PASSES: [fn(&Graph) -> Result<Graph>; 9] = [
        regrid::run,
        focus::run,
        movers::run,
        swish::run,
        affine::run,
        pad::run,
        activation::run,
        linear::run,
        regrid::run,
    ];
    let mut graph = rewrite::live(graph)?;
    for pass in PASSES {
        graph = pass(&graph)?;
    }
    Ok(graph)
}
