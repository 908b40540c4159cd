//! Who reads what, among the nodes that some output needs.

use ocellus::graph::{Graph, ValueId};

/// Readers of each value.
#[derive(Debug)]
pub(super) struct Links {
    /// Whether an output needs the node.
    pub(super) live: Vec<bool>,
    readers: Vec<Vec<usize>>,
    is_output: Vec<bool>,
}

impl Links {
    pub(super) fn of(graph: &Graph) -> Self {
        let values = graph.values().len();
        let mut is_output = vec![false; values];
        graph.outputs.iter().for_each(|id| is_output[id.index()] = true);
        let mut needed = is_output.clone();
        let mut live = vec![false; graph.nodes.len()];
        for (node, live) in graph.nodes.iter().zip(&mut live).rev() {
            *live = needed[node.output.index()];
            if *live {
                node.inputs.iter().for_each(|id| needed[id.index()] = true);
            }
        }
        let mut readers = vec![Vec::new(); values];
        for (at, node) in graph.nodes.iter().enumerate().filter(|(at, _)| live[*at]) {
            node.inputs.iter().for_each(|id| readers[id.index()].push(at));
        }
        Links { live, readers, is_output }
    }

    /// The node that alone reads a value, if no output does.
    pub(super) fn sole_reader(&self, value: ValueId) -> Option<usize> {
        match self.readers[value.index()][..] {
            [reader] if !self.is_output[value.index()] => Some(reader),
            _ => None,
        }
    }
}
