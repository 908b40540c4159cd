//! Where the channels of an image come from, through everything that only regroups channels.
//!
//! A ShuffleNet stage passes half of its channels on through shuffle, slice and Concat again and again. Seen
//! from a convolution that reads such a mixture, its input is a list of channels of a few *roots*: tensors
//! that some kernel has really computed.

use crate::graph::{Graph, Op, ValueId};

/// Channel `channel` of the value `root`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The value that holds it.
    pub root: ValueId,
    /// Its position there.
    pub channel: usize,
}

/// Neighbouring channels of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The value that holds them.
    pub root: ValueId,
    /// Position of the first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// Whether an operator only regroups channels of single images.
pub fn regroups(graph: &Graph, op: &Op, output: ValueId) -> bool {
    let channels = matches!(op, Op::Concat { axis: 1 } | Op::Gather { axis: 1, .. });
    channels && graph.shape(output).nchw().is_some_and(|[n, ..]| n == 1)
}

/// The origin of every channel of every image of batch 1; empty for other values.
pub fn origins(graph: &Graph) -> Vec<Vec<Origin>> {
    let own = |id: ValueId| match graph.shape(id).nchw() {
        Some([1, c, ..]) => (0..c).map(|channel| Origin { root: id, channel }).collect(),
        _ => Vec::new(),
    };
    let mut origins: Vec<Vec<Origin>> = vec![Vec::new(); graph.values().len()];
    for &id in &graph.inputs {
        origins[id.index()] = own(id);
    }
    for node in &graph.nodes {
        let of = |i: usize| &origins[node.inputs[i].index()];
        let made = match &node.op {
            op if !regroups(graph, op, node.output) => own(node.output),
            Op::Gather { indices, .. } => indices.iter().map(|&i| of(0)[i]).collect(),
            _ => {
                // A constant operand has no channels of its own here.
                let parts: Vec<Origin> = (0..node.inputs.len()).flat_map(|i| of(i).iter().copied()).collect();
                if parts.len() == graph.shape(node.output)[1] { parts } else { own(node.output) }
            }
        };
        let known = made.len() == graph.shape(node.output).nchw().map_or(0, |[_, c, ..]| c);
        origins[node.output.index()] = if known { made } else { own(node.output) };
    }
    origins
}

/// The channels in an order that keeps neighbours together, and the runs that this order makes: entry `i` of
/// the order is the logical channel that the `i`-th channel of the runs holds.
pub fn runs(origins: &[Origin]) -> (Vec<usize>, Vec<Run>) {
    let mut order: Vec<usize> = (0..origins.len()).collect();
    order.sort_by_key(|&i| origins[i]);
    let runs = in_order(order.iter().map(|&i| origins[i]));
    (order, runs)
}

/// The runs that channels make in the order given.
pub fn in_order(origins: impl Iterator<Item = Origin>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Origin { root, channel } in origins {
        match runs.last_mut() {
            Some(run) if run.root == root && run.first + run.count == channel => run.count += 1,
            _ => runs.push(Run { root, first: channel, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    #[test]
    fn a_shuffled_half_is_two_runs() {
        let mut g = Graph::new();
        let a = g.push_input("a", Shape::new([1, 4, 2, 2]).unwrap()).unwrap();
        let b = g.push_input("b", Shape::new([1, 4, 2, 2]).unwrap()).unwrap();
        let joint = g.push("c", Op::Concat { axis: 1 }, vec![a, b], "c").unwrap();
        let half = Op::Gather { axis: 1, indices: vec![0, 4, 1, 5] };
        let half = g.push("s", half, vec![joint], "s").unwrap();
        let (order, runs) = runs(&origins(&g)[half.index()]);
        assert_eq!(order, [0, 2, 1, 3]);
        assert_eq!(runs, [Run { root: a, first: 0, count: 2 }, Run { root: b, first: 0, count: 2 }]);
    }
}
