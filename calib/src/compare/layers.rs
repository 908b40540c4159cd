//! Which values two models have in common.

use super::Side;
use ocellus::graph::{Graph, Op, ValueId};
use std::collections::{HashMap, HashSet};

/// A value that both models compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Common {
    /// Its name in the first model.
    pub name: String,
    /// Its logical shape.
    pub shape: Vec<usize>,
    /// In the first model as it runs.
    pub a: ValueId,
    /// In the second model as it runs.
    pub b: ValueId,
    /// Whether it is an output of the first model.
    pub output: bool,
}

/// Values of one name and shape in both models, in the order of the first; outputs that have no common name are
/// paired by shape and come last.
///
/// A part of a concatenation that nothing else reads is left out: it shows in the whole. To observe it would make
/// the runtime keep it on a grid of its own, and the model would compute other numbers than it does unobserved.
pub fn common(a: &Side, b: &Side) -> Vec<Common> {
    let of_b = by_name(b);
    let (parts_a, parts_b) = (parts(a.plain()), parts(b.plain()));
    let mut taken = HashSet::new();
    let mut found = Vec::new();
    for id in layers(a.plain()).filter(|id| !parts_a.contains(id)) {
        let (name, shape) = (&a.plain().value(id).name, a.plain().shape(id).dims());
        let shared = a.names(name).filter_map(|name| Some((name, of_b.get(name).copied().flatten()?)));
        // The shortest is the file's own: loaders and quantizers append to it.
        let shared = shared.min_by_key(|(name, _)| name.len());
        let fits = |other: ValueId| !parts_b.contains(&other) && b.plain().shape(other).dims() == shape;
        let Some((label, partner)) = shared.filter(|(_, other)| fits(*other)) else { continue };
        let (Some(in_a), Some(in_b)) = (a.id(name), b.id(&b.plain().value(partner).name)) else { continue };
        // A file may move what has the name; its shape then tells most often.
        let same = a.runs().shape(in_a).dims() == shape && b.runs().shape(in_b).dims() == shape;
        if same && taken.insert(in_b) {
            let output = a.plain().outputs.contains(&id);
            found.push(Common { name: label.to_owned(), shape: shape.to_vec(), a: in_a, b: in_b, output });
        }
    }
    pair_outputs(a, b, &mut found);
    found
}

/// Pairs outputs that names did not pair: each with the first free one of its shape.
fn pair_outputs(a: &Side, b: &Side, found: &mut Vec<Common>) {
    let outputs: HashSet<ValueId> = found.iter().filter(|one| one.output).map(|one| one.a).collect();
    let partners: HashSet<ValueId> = found.iter().filter(|one| one.output).map(|one| one.b).collect();
    let mut free: Vec<ValueId> = b.outputs().iter().copied().filter(|id| !partners.contains(id)).collect();
    for &id in a.outputs().iter().filter(|id| !outputs.contains(id)) {
        let shape = a.runs().shape(id).dims();
        let Some(at) = free.iter().position(|&other| b.runs().shape(other).dims() == shape) else { continue };
        let other = free.remove(at);
        // What one model only has inside may be in the list already.
        found.retain(|one| one.a != id && one.b != other);
        let name = a.runs().value(id).name.clone();
        found.push(Common { name, shape: shape.to_vec(), a: id, b: other, output: true });
    }
}

/// Inputs and results of nodes, in order.
fn layers(graph: &Graph) -> impl Iterator<Item = ValueId> {
    graph.inputs.iter().copied().chain(graph.nodes.iter().map(|node| node.output))
}

/// Values of a model by each of their names; `None` where a name is not unique.
fn by_name(side: &Side) -> HashMap<&str, Option<ValueId>> {
    let mut values = HashMap::new();
    for id in layers(side.plain()) {
        for name in side.names(&side.plain().value(id).name) {
            values.entry(name).and_modify(|known| *known = None).or_insert(Some(id));
        }
    }
    values
}

/// Operands of concatenations that have no other reader.
fn parts(graph: &Graph) -> HashSet<ValueId> {
    let mut readers: HashMap<ValueId, usize> = HashMap::new();
    for id in graph.nodes.iter().flat_map(|node| &node.inputs).chain(&graph.outputs) {
        *readers.entry(*id).or_default() += 1;
    }
    let joins = graph.nodes.iter().filter(|node| matches!(node.op, Op::Concat { .. }));
    joins.flat_map(|node| &node.inputs).copied().filter(|id| readers.get(id) == Some(&1)).collect()
}
