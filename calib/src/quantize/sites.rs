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
    for node in graph.nodes.iter().filter(|node| moves_only(&node.op)) {
        for input in &node.inputs {
            let (a, b) = (root(&roots, input.index()), root(&roots, node.output.index()));
            roots[a.max(b)] = a.min(b);
        }
    }
    let moved: HashSet<ValueId> =
        graph.nodes.iter().filter(|node| moves_only(&node.op)).map(|node| node.output).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus::graph::WindowAttrs;
    use ocellus::tensor::{Data, Shape, Tensor};

    fn conv(graph: &mut Graph, name: &str, x: ValueId, outputs: usize) -> ValueId {
        let inputs = graph.shape(x)[1];
        let shape = Shape::new([outputs, inputs, 1, 1]).unwrap();
        let weights = Tensor::new(shape, Data::F32(vec![0.5; outputs * inputs])).unwrap();
        let weights = graph.push_constant(format!("{name}.w"), weights).unwrap();
        let window = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
        let op = Op::Conv { window, groups: 1, activation: None };
        graph.push(name, op, vec![x, weights], name).unwrap()
    }

    /// Input → stem → (left, right) → both → last, the result; and the values by these names.
    fn forked() -> (Graph, [ValueId; 6]) {
        let mut graph = Graph::new();
        let input = graph.push_input("input", Shape::new([1, 3, 4, 4]).unwrap()).unwrap();
        let stem = conv(&mut graph, "stem", input, 4);
        let left = conv(&mut graph, "left", stem, 2);
        let right = conv(&mut graph, "right", stem, 2);
        let both = graph.push("both", Op::Concat { axis: 1 }, vec![left, right], "both").unwrap();
        let last = conv(&mut graph, "last", both, 2);
        graph.outputs = vec![last];
        (graph, [input, stem, left, right, both, last])
    }

    fn group(computed: &[ValueId], members: &[ValueId]) -> Group {
        Group { computed: computed.to_vec(), members: members.to_vec() }
    }

    #[test]
    fn what_a_concat_joins_shares_a_grid() {
        let (graph, [input, stem, left, right, both, _]) = forked();
        let expected = [
            group(&[input], &[input]),
            group(&[stem], &[stem]),
            // The result stays real: nothing reads it.
            group(&[left, right], &[left, right, both]),
        ];
        assert_eq!(groups(&graph, &HashSet::new()), expected);
    }

    #[test]
    fn what_float_layers_alone_read_stays_real() {
        let (graph, [input, stem, left, right, both, _]) = forked();
        let place = |name: &str| graph.nodes.iter().position(|node| node.name == name).unwrap();
        let float = |names: &[&str]| groups(&graph, &names.iter().map(|name| place(name)).collect());
        assert_eq!(float(&["last"]), [group(&[input], &[input]), group(&[stem], &[stem])]);
        // Another layer still reads what the stem makes.
        let shared = group(&[left, right], &[left, right, both]);
        assert_eq!(float(&["left"]), [group(&[input], &[input]), group(&[stem], &[stem]), shared.clone()]);
        assert_eq!(float(&["left", "right"]), [group(&[input], &[input]), shared.clone()]);
        assert_eq!(float(&["stem", "left", "right"]), [shared]);
        assert_eq!(float(&["stem", "left", "right", "last"]), []);
    }
}
