//! Models made byte by byte, and the shared ones where they are present.

mod files;
mod hostile;
mod operators;
mod quantized;
mod writer;

use super::parse;
use crate::Error;
use crate::graph::{Graph, Op};
use crate::loader::LoadOptions;

/// The graph of a model that loads.
fn graph(bytes: &[u8]) -> Graph {
    parse(bytes, &LoadOptions::default()).unwrap().graph
}

/// The error of a model that does not.
fn refusal(bytes: &[u8]) -> Error {
    parse(bytes, &LoadOptions::default()).unwrap_err()
}

/// Shape of the first output.
fn output(graph: &Graph) -> &[usize] {
    graph.shape(graph.outputs[0]).dims()
}

fn ops(graph: &Graph) -> Vec<&Op> {
    graph.nodes.iter().map(|node| &node.op).collect()
}
