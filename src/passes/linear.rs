//! A fully connected layer over the last axis of an image works on columns, which lie apart in memory: it is
//! given the same numbers as a matrix.

use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    for node in &graph.nodes {
        let x = node.inputs.first().copied();
        let image = matches!(node.op, Op::Linear { .. }) && x.is_some_and(|x| graph.shape(x).rank() == 4);
        let (true, Some(x)) = (image, x) else {
            rewriter.copy(node)?;
            continue;
        };
        let dims = graph.shape(x).dims();
        let mut inputs = node.inputs.iter().map(|&id| rewriter.get(id)).collect::<Result<Vec<_>>>()?;
        let rows = Op::Reshape { shape: vec![dims[..3].iter().product(), dims[3]] };
        inputs[0] = rewriter.new.push(format!("{}.rows", node.name), rows, vec![inputs[0]], "")?;
        let product = rewriter.new.push(node.name.clone(), node.op.clone(), inputs, "")?;
        let shape = graph.shape(node.output).dims().to_vec();
        rewriter.replace(node, Op::Reshape { shape }, vec![product])?;
    }
    rewriter.finish()
}
