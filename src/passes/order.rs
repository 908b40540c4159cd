//! Orders the channels of tensors by who reads them.
//!
//! After a shuffle and a slice, every other channel of a tensor goes one way and the rest another. If the
//! kernel that makes the tensor stores those of one way side by side, each reader finds its channels in a few
//! runs and little or nothing has to be moved ([`channels`](super::channels)). The order of a convolution's
//! outputs is free: its weights are stored accordingly. So is the order of an operator that works channel by
//! channel, where its operand has to be collected anyway. A channel gather behind it restores the old order
//! for readers; it only says where to find what, and costs nothing.

use super::channels::{origins, regroups};
use super::grids::Grids;
use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::tensor::{Data, Tensor};

/// The same graph with reordered convolutions, and the grids of its values.
///
/// # Errors
/// None but those of the graph's builder.
pub fn order_channels(graph: &Graph, grids: &Grids) -> Result<(Graph, Grids)> {
    let orders = orders(graph, grids);
    let mut rewriter = Rewriter::new(graph)?;
    let mut ordered = Vec::new();
    for node in &graph.nodes {
        match &orders[node.output.index()] {
            Some(order) => reordered(graph, &mut rewriter, (node, order), &mut ordered)?,
            None => rewriter.copy(node)?,
        }
    }
    let (graph, new_ids) = rewriter.finish_whole()?;
    let grids = grids.moved(&graph, new_ids.into_iter().chain(ordered));
    Ok((graph, grids))
}

/// For each value that gains by it: the old channel at each new position.
fn orders(graph: &Graph, grids: &Grids) -> Vec<Option<Vec<usize>>> {
    let origins = origins(graph);
    // Readers of each channel, as the indices of the reading nodes; a value that anything but a convolution
    // reads directly has to keep its order.
    let mut readers: Vec<Vec<Vec<usize>>> =
        graph.values().iter().map(|v| vec![Vec::new(); v.shape.nchw().map_or(0, |[_, c, ..]| c)]).collect();
    let mut fixed = vec![false; graph.values().len()];
    graph.outputs.iter().for_each(|id| fixed[id.index()] = true);
    for (at, node) in graph.nodes.iter().enumerate() {
        if regroups(graph, &node.op, node.output) {
            continue;
        }
        for &id in &node.inputs {
            fixed[id.index()] |= !dense(&node.op);
            for origin in &origins[id.index()] {
                readers[origin.root.index()][origin.channel].push(at);
            }
        }
    }
    let mut orders = vec![None; graph.values().len()];
    for node in graph.nodes.iter().filter(|node| !fixed[node.output.index()] && is_free(graph, grids, node)) {
        let readers = &readers[node.output.index()];
        // Channels with the same readers stay as they lie in the operand, so that they are collected in runs.
        let lies = |channel: usize| match dense(&node.op) {
            true => None,
            false => Some(origins[node.inputs[0].index()][channel]),
        };
        let mut order: Vec<usize> = (0..readers.len()).collect();
        order.sort_by(|&a, &b| readers[a].cmp(&readers[b]).then_with(|| lies(a).cmp(&lies(b))));
        if !order.is_sorted() {
            orders[node.output.index()] = Some(order);
        }
    }
    orders
}

fn dense(op: &Op) -> bool {
    matches!(op, Op::Conv { groups: 1, .. })
}

/// Whether the kernel of `node` can store its channels in any order at no cost.
fn is_free(graph: &Graph, grids: &Grids, node: &Node) -> bool {
    // Codes from codes, or reals from reals.
    let alike =
        node.inputs.first().is_some_and(|&x| grids.of(x).is_some() == grids.of(node.output).is_some());
    let Some([1, channels, ..]) = graph.shape(node.output).nchw() else { return false };
    let by_channel = match &node.op {
        Op::Conv { groups, .. } => *groups == channels && graph.shape(node.inputs[0])[1] == channels,
        Op::Unary(_) | Op::Pool { .. } => true,
        _ => false,
    };
    let collected = || {
        let producer = graph.nodes.iter().find(|n| n.output == node.inputs[0]);
        producer.is_some_and(|n| regroups(graph, &n.op, n.output))
    };
    alike && (dense(&node.op) || (by_channel && collected()))
}

/// Puts in the place of `node` the same operator with its channels in `order`, and the gather that restores
/// the old order for readers. `made` takes pairs of an old value and a new one on its grid.
fn reordered(
    graph: &Graph,
    rewriter: &mut Rewriter,
    (node, order): (&Node, &[usize]),
    made: &mut Vec<(ValueId, ValueId)>,
) -> Result<()> {
    let mut inputs = vec![rewriter.get(node.inputs[0])?];
    if !dense(&node.op) {
        let pick = Op::Gather { axis: 1, indices: order.to_vec() };
        inputs = vec![rewriter.new.push(format!("{}.order", node.name), pick, inputs, "")?];
        made.push((node.inputs[0], inputs[0]));
    }
    for &id in &node.inputs[1..] {
        let tensor = graph.constant(id).expect("inference checked that weights and bias are constant");
        inputs.push(rewriter.new.push_constant(graph.value(id).name.clone(), picked(tensor, order))?);
    }
    let ordered = rewriter.new.push(node.name.clone(), node.op.clone(), inputs, "")?;
    let mut indices = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| indices[old] = new);
    made.push((node.output, ordered));
    rewriter.replace(node, Op::Gather { axis: 1, indices }, vec![ordered])
}

/// Rows of axis 0 in `order`.
fn picked(tensor: &Tensor, order: &[usize]) -> Tensor {
    let row: usize = tensor.shape().dims()[1..].iter().product();
    let data = match tensor.data() {
        Data::Q8 { codes, scales } => Data::Q8 {
            codes: order.iter().flat_map(|&o| &codes[o * row..(o + 1) * row]).copied().collect(),
            scales: order.iter().map(|&o| scales[o]).collect(),
        },
        _ => {
            let values = tensor.to_f32();
            Data::F32(order.iter().flat_map(|&o| &values[o * row..(o + 1) * row]).copied().collect())
        }
    };
    Tensor::new(tensor.shape().clone(), data).expect("the same number of elements")
}
