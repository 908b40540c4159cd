//! Which tensors of a network are to be codes, and which of them share a grid.

use crate::runtime::network::weighted;
use ocellus::graph::{Graph, Op, ValueId};
use ocellus::passes::moves_only;
use std::collections::HashSet;

/// Tensors that share one grid: one is made of the other by moving elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Those that a kernel computes (or the network's input): their numbers are what the grid has to hold.
    pub computed: Vec<ValueId>,
    /// All of them.
    pub members: Vec<ValueId>,
}

/// The tensors that int8 layers read, and what these are made of, in groups; in the order of the graph.
///
/// `float` are the nodes (by place) whose layers stay in float. A tensor from which only results and such layers
/// are made stays real, and so leaves int8 without being rounded.
pub fn groups(graph: &Graph, float: &HashSet<usize>) -> Vec<Group> {
    let coded = coded(graph, float);
    let mut roots: Vec<usize> = (0..graph.values().len()).collect();
    let readers = |id: ValueId| graph.nodes.iter().filter(|n| n.inputs.contains(&id)).count();
    let untie = std::env::var("UNTIE").is_ok();
    for node in graph.nodes.iter().filter(|node| moves_only(&node.op)) {
        for input in &node.inputs {
            if untie && matches!(node.op, Op::Concat { .. }) && readers(*input) > 1 {
                continue;
            }
            let (a, b) = (root(&roots, input.index()), root(&roots, node.output.index()));
            roots[a.max(b)] = a.min(b);
        }
    }
    let moved: HashSet<ValueId> = graph
        .nodes
        .iter()
        .filter(|node| moves_only(&node.op) && !(untie && matches!(node.op, Op::Concat { .. })))
        .map(|node| node.output)
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    let mut of_root = vec![None; roots.len()];
    for id in graph.value_ids().filter(|id| coded[id.index()]) {
        let at = *of_root[root(&roots, id.index())].get_or_insert_with(|| {
            groups.push(Group { computed: Vec::new(), members: Vec::new() });
            groups.len() - 1
        });
        groups[at].members.push(id);
        if !moved.contains(&id) {
            groups[at].computed.push(id);
        }
    }
    groups
}

fn root(roots: &[usize], mut v: usize) -> usize {
    while roots[v] != v {
        v = roots[v];
    }
    v
}

/// Per value: whether an int8 kernel reads it.
fn coded(graph: &Graph, float: &HashSet<usize>) -> Vec<bool> {
    let int8: HashSet<usize> =
        weighted(graph).map(|layer| layer.at).filter(|at| !float.contains(at)).collect();
    let mut coded = vec![false; graph.values().len()];
    for (at, node) in graph.nodes.iter().enumerate().rev() {
        let layer = matches!(node.op, Op::Conv { .. } | Op::ConvTranspose { .. } | Op::Linear { .. });
        if if layer { int8.contains(&at) } else { coded[node.output.index()] && !float.contains(&at) } {
            let data = node.inputs.iter().filter(|&&id| graph.constant(id).is_none());
            data.for_each(|id| coded[id.index()] = true);
        }
    }
    coded
}
