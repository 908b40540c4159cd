//! Orders the output channels of convolutions by who reads them.
//!
//! After a shuffle and a slice, every other channel of a tensor goes one way and the rest another. If the
//! convolution that makes the tensor stores those of one way side by side, each reader finds its channels in
//! a few runs and nothing has to be moved ([`channels`](super::channels)). The order of a convolution's
//! outputs is free: its weights are stored accordingly, and a channel gather behind it says so.

use super::channels::{origins, regroups};
use super::grids::Grids;
use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::tensor::{Data, Tensor};

/// The same graph with reordered int8 convolutions, and the grids of its values.
///
/// # Errors
/// None but those of the graph's builder.
pub fn order_channels(graph: &Graph, grids: &Grids) -> Result<(Graph, Grids)> {
    let orders = orders(graph, grids);
    let mut rewriter = Rewriter::new(graph)?;
    let mut ordered = Vec::new();
    for node in &graph.nodes {
        match &orders[node.output.index()] {
            Some(order) => ordered.push((reordered(graph, &mut rewriter, node, order)?, node.output)),
            None => rewriter.copy(node)?,
        }
    }
    let (graph, new_ids) = rewriter.finish_whole()?;
    let pairs = new_ids.into_iter().chain(ordered.into_iter().map(|(new, old)| (old, new)));
    let grids = grids.moved(&graph, pairs);
    Ok((graph, grids))
}

/// For each convolution output that gains by it: the old channel at each new position.
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
            fixed[id.index()] |= !matches!(node.op, Op::Conv { groups: 1, .. });
            for origin in &origins[id.index()] {
                readers[origin.root.index()][origin.channel].push(at);
            }
        }
    }
    let free = |node: &Node| {
        let int8 = grids.of(node.inputs[0]).is_some() && grids.of(node.output).is_some();
        int8 && matches!(node.op, Op::Conv { groups: 1, .. }) && !fixed[node.output.index()]
    };
    let mut orders = vec![None; graph.values().len()];
    for node in graph.nodes.iter().filter(|node| free(node)) {
        let readers = &readers[node.output.index()];
        let mut order: Vec<usize> = (0..readers.len()).collect();
        order.sort_by(|&a, &b| readers[a].cmp(&readers[b]));
        if !order.is_sorted() {
            orders[node.output.index()] = Some(order);
        }
    }
    orders
}

/// Puts in the place of `node` the same convolution with its outputs in `order`, and the gather that restores
/// the old order for readers.
fn reordered(graph: &Graph, rewriter: &mut Rewriter, node: &Node, order: &[usize]) -> Result<ValueId> {
    let mut inputs = vec![rewriter.get(node.inputs[0])?];
    for &id in &node.inputs[1..] {
        let tensor = graph.constant(id).expect("inference checked that weights and bias are constant");
        inputs.push(rewriter.new.push_constant(graph.value(id).name.clone(), picked(tensor, order))?);
    }
    let ordered = rewriter.new.push(node.name.clone(), node.op.clone(), inputs, "")?;
    let mut indices = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| indices[old] = new);
    rewriter.replace(node, Op::Gather { axis: 1, indices }, vec![ordered])?;
    Ok(ordered)
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
