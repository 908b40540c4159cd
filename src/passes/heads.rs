//! Detection heads as their convolutions give them: `[1, na·(5+nc), h, w]`, without the reshape and transpose
//! to `[1, na, h, w, 5+nc]` that exports append. Decoding reads either; the raw map costs no pass over the
//! network's largest tensors.

use super::rewrite::{Links, live};
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};

/// Moves every output of the exported head form back to the map it was made from.
pub fn raw_heads(graph: &Graph) -> Result<Graph> {
    let links = Links::of(graph);
    let mut raw = graph.clone();
    for output in &mut raw.outputs {
        if let Some(map) = map_behind(graph, &links, *output) {
            *output = map;
        }
    }
    live(&raw)
}

fn map_behind(graph: &Graph, links: &Links, output: ValueId) -> Option<ValueId> {
    let Node { op: Op::Transpose { perm }, inputs, .. } = links.producer(output)? else { return None };
    let Node { op: Op::Reshape { shape }, inputs, .. } = links.producer(inputs[0])? else { return None };
    let [1, c, h, w] = graph.shape(inputs[0]).nchw()? else { return None };
    let head = match (shape.as_slice(), perm.as_slice()) {
        ([1, na, per, rows, columns], [0, 1, 3, 4, 2]) => na * per == c && [*rows, *columns] == [h, w],
        ([1, na, per, cells], [0, 1, 3, 2]) => na * per == c && *cells == h * w,
        _ => false,
    };
    // One anchor would make the map indistinguishable from other heads.
    (head && shape[1] > 1).then_some(inputs[0])
}
