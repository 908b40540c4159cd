//! The tool of all passes: copy a graph node by node, replacing some on the way.

use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};

/// A new graph in the making beside the old one.
pub(super) struct Rewriter<'a> {
    old: &'a Graph,
    pub new: Graph,
    map: Vec<Option<ValueId>>,
}

impl<'a> Rewriter<'a> {
    pub fn new(old: &'a Graph) -> Result<Self> {
        let mut new = Graph::with_style(old.grid_style);
        let mut map = vec![None; old.values().len()];
        for &id in &old.inputs {
            let value = old.value(id);
            map[id.index()] = Some(new.push_input(value.name.clone(), value.shape.clone())?);
        }
        Ok(Rewriter { old, new, map })
    }

    /// The new id of an old value; constants come along when they are first asked for.
    pub fn get(&mut self, id: ValueId) -> Result<ValueId> {
        if let Some(new) = self.map[id.index()] {
            return Ok(new);
        }
        let value = self.old.value(id);
        let tensor =
            value.constant.clone().expect("nodes are in topological order, so only constants are missing");
        let new = self.new.push_constant(value.name.clone(), tensor)?;
        self.map[id.index()] = Some(new);
        Ok(new)
    }

    /// Lets `old` stand for an existing new value.
    pub fn alias(&mut self, old: ValueId, new: ValueId) {
        self.map[old.index()] = Some(new);
    }

    /// Copies a node as it is.
    pub fn copy(&mut self, node: &Node) -> Result<()> {
        let inputs = node.inputs.iter().map(|&id| self.get(id)).collect::<Result<Vec<_>>>()?;
        self.replace(node, node.op.clone(), inputs)
    }

    /// Puts `op` on new values in the place of `node`.
    pub fn replace(&mut self, node: &Node, op: Op, inputs: Vec<ValueId>) -> Result<()> {
        let name = self.old.value(node.output).name.clone();
        let output = self.new.push(node.name.clone(), op, inputs, name)?;
        self.alias(node.output, output);
        Ok(())
    }

    /// The new graph, with what nothing needs any more left out.
    pub fn finish(mut self) -> Result<Graph> {
        let outputs = self.old.outputs.clone();
        self.new.outputs = outputs.into_iter().map(|id| self.get(id)).collect::<Result<_>>()?;
        live(&self.new)
    }
}

impl Rewriter<'_> {
    /// The new graph with everything that was put into it, and the new id of each old value that has one.
    pub fn finish_whole(mut self) -> Result<(Graph, Vec<(ValueId, ValueId)>)> {
        let outputs = self.old.outputs.clone();
        self.new.outputs = outputs.into_iter().map(|id| self.get(id)).collect::<Result<_>>()?;
        let ids = self.old.value_ids().filter_map(|old| Some((old, self.map[old.index()]?))).collect();
        Ok((self.new, ids))
    }
}

/// The graph without nodes that no output needs.
pub(super) fn live(graph: &Graph) -> Result<Graph> {
    let mut needed = vec![false; graph.values().len()];
    for id in &graph.outputs {
        needed[id.index()] = true;
    }
    let mut keep = vec![false; graph.nodes.len()];
    for (node, keep) in graph.nodes.iter().zip(&mut keep).rev() {
        if needed[node.output.index()] {
            *keep = true;
            node.inputs.iter().for_each(|id| needed[id.index()] = true);
        }
    }
    let mut rewriter = Rewriter::new(graph)?;
    for (node, _) in graph.nodes.iter().zip(keep).filter(|(_, keep)| *keep) {
        rewriter.copy(node)?;
    }
    let outputs = graph.outputs.clone();
    rewriter.new.outputs = outputs.into_iter().map(|id| rewriter.get(id)).collect::<Result<_>>()?;
    Ok(rewriter.new)
}

/// Who makes and who reads each value.
pub(super) struct Links<'a> {
    graph: &'a Graph,
    producer: Vec<Option<usize>>,
    uses: Vec<u32>,
}

impl<'a> Links<'a> {
    pub fn of(graph: &'a Graph) -> Self {
        let mut producer = vec![None; graph.values().len()];
        let mut uses = vec![0; graph.values().len()];
        for (at, node) in graph.nodes.iter().enumerate() {
            producer[node.output.index()] = Some(at);
            node.inputs.iter().for_each(|id| uses[id.index()] += 1);
        }
        graph.outputs.iter().for_each(|id| uses[id.index()] += 1);
        Links { graph, producer, uses }
    }

    /// The node that makes `id`; `None` for inputs and constants.
    pub fn producer(&self, id: ValueId) -> Option<&'a Node> {
        self.producer[id.index()].map(|at| &self.graph.nodes[at])
    }

    /// The node that makes `id`, if `id` has just one reader.
    pub fn sole(&self, id: ValueId) -> Option<&'a Node> {
        self.producer(id).filter(|_| self.uses[id.index()] == 1)
    }

    /// The value before any FakeQuant nodes.
    pub fn real(&self, mut id: ValueId) -> ValueId {
        while let Some(Node { op: Op::FakeQuant(_), inputs, .. }) = self.producer(id) {
            id = inputs[0];
        }
        id
    }
}
