//! Chains of reshape, transpose, slice and gather that amount to picking channels become one channel gather,
//! or nothing where they pick all channels in order. ShuffleNet's channel shuffle is such a chain.
//!
//! The chain is followed symbolically: each dimension of the current tensor is a list of *atoms*, runs of
//! equally spaced elements of the tensor at the chain's root.

use super::rewrite::Rewriter;
use crate::error::Result;
use crate::graph::{Graph, Node, Op, ValueId};

/// `size` elements of the root, `stride` apart.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Atom {
    size: usize,
    stride: usize,
}

/// A tensor as a regular selection of a root's elements. A dimension's atoms nest, outermost first.
#[derive(Clone, Debug)]
struct View {
    root: ValueId,
    offset: usize,
    dims: Vec<Vec<Atom>>,
}

pub(super) fn run(graph: &Graph) -> Result<Graph> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut views: Vec<Option<View>> = vec![None; graph.values().len()];
    // For values that are channel gathers: their source and indices, so that gathers of gathers compose.
    let mut picks: Vec<Option<(ValueId, Vec<usize>)>> = vec![None; graph.values().len()];
    for node in &graph.nodes {
        let view = step(graph, node, &views);
        let mut pick =
            view.as_ref().and_then(|view| channels(graph, view, node.output)).or_else(|| gathered(node));
        if let Some((root, indices)) = &mut pick
            && let Some((deeper, map)) = &picks[root.index()]
        {
            indices.iter_mut().for_each(|i| *i = map[*i]);
            *root = *deeper;
        }
        match pick.clone() {
            None => rewriter.copy(node)?,
            Some((root, indices)) => {
                let operand = rewriter.get(root)?;
                let all =
                    indices.len() == graph.shape(root)[1] && indices.iter().copied().eq(0..indices.len());
                if all {
                    rewriter.alias(node.output, operand);
                } else {
                    rewriter.replace(node, Op::Gather { axis: 1, indices }, vec![operand])?;
                }
            }
        }
        views[node.output.index()] = view;
        picks[node.output.index()] = pick;
    }
    rewriter.finish()
}

/// A channel gather of an image that the file spells as such.
fn gathered(node: &Node) -> Option<(ValueId, Vec<usize>)> {
    match &node.op {
        Op::Gather { axis: 1, indices } => Some((node.inputs[0], indices.clone())),
        _ => None,
    }
}

/// The view that `node` makes of its operand's view.
fn step(graph: &Graph, node: &Node, views: &[Option<View>]) -> Option<View> {
    let operand = *node.inputs.first()?;
    let before = || views[operand.index()].clone().unwrap_or_else(|| whole(graph, operand));
    match &node.op {
        Op::Reshape { shape } => reshape(before(), shape),
        Op::Transpose { perm } => {
            let view = before();
            Some(View { dims: perm.iter().map(|&p| view.dims[p].clone()).collect(), ..view })
        }
        Op::Slice { start, step, count } => slice(before(), start, step, count),
        _ => None,
    }
}

fn whole(graph: &Graph, root: ValueId) -> View {
    let mut stride = 1;
    let mut dims: Vec<Vec<Atom>> = Vec::new();
    for &size in graph.shape(root).dims().iter().rev() {
        dims.push(vec![Atom { size, stride }]);
        stride *= size.max(1);
    }
    dims.reverse();
    View { root, offset: 0, dims }
}

/// Deals the atoms out to the new dimensions, splitting an atom where a dimension ends inside it.
fn reshape(view: View, shape: &[usize]) -> Option<View> {
    if shape.contains(&0) {
        return None;
    }
    let mut atoms: Vec<Atom> = view.dims.into_iter().flatten().filter(|a| a.size != 1).rev().collect();
    let mut dims = Vec::with_capacity(shape.len());
    for &extent in shape {
        let mut missing = extent;
        let mut dim = Vec::new();
        while missing > 1 {
            let atom = atoms.pop()?;
            if missing % atom.size == 0 {
                missing /= atom.size;
                dim.push(atom);
            } else if atom.size % missing == 0 {
                let inner = atom.size / missing;
                atoms.push(Atom { size: inner, stride: atom.stride });
                dim.push(Atom { size: missing, stride: atom.stride * inner });
                missing = 1;
            } else {
                return None;
            }
        }
        dims.push(dim);
    }
    atoms.is_empty().then_some(View { dims, ..view })
}

fn slice(mut view: View, start: &[usize], step: &[usize], count: &[usize]) -> Option<View> {
    for (axis, dim) in view.dims.iter_mut().enumerate() {
        let extent: usize = dim.iter().map(|a| a.size).product();
        if count[axis] == extent {
            continue;
        }
        // Only whole repetitions of the inner atoms can be cut off the outermost one.
        let inner: usize = dim.iter().skip(1).map(|a| a.size).product();
        let whole_blocks =
            count[axis] > 0 && start[axis].is_multiple_of(inner) && count[axis].is_multiple_of(inner);
        let regular = step[axis] == 1 || dim.len() == 1;
        if !whole_blocks || !regular {
            return None;
        }
        let outer = dim.first_mut()?;
        view.offset += start[axis] / inner * outer.stride;
        *outer = Atom { size: count[axis] / inner, stride: outer.stride * step[axis] };
    }
    Some(view)
}

/// The root's channels that make up image `output`, if the view keeps rows and columns.
fn channels(graph: &Graph, view: &View, output: ValueId) -> Option<(ValueId, Vec<usize>)> {
    let ([1, c, h, w], [1, _, root_h, root_w]) =
        (graph.shape(output).nchw()?, graph.shape(view.root).nchw()?)
    else {
        return None;
    };
    let is = |dim: &[Atom], size: usize, stride: usize| {
        let atoms: Vec<Atom> = dim.iter().copied().filter(|a| a.size != 1).collect();
        if size == 1 { atoms.is_empty() } else { atoms == [Atom { size, stride }] }
    };
    let area = h * w;
    if [h, w] != [root_h, root_w] || !is(&view.dims[2], h, w) || !is(&view.dims[3], w, 1) {
        return None;
    }
    let mut offsets = vec![view.offset];
    for atom in &view.dims[1] {
        offsets = offsets.iter().flat_map(|o| (0..atom.size).map(move |i| o + i * atom.stride)).collect();
    }
    let whole_channels = offsets.len() == c && offsets.iter().all(|o| o.is_multiple_of(area));
    whole_channels.then(|| (view.root, offsets.iter().map(|o| o / area).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    fn push(g: &mut Graph, op: Op, x: ValueId) -> ValueId {
        g.push("n", op, vec![x], "v").unwrap()
    }

    fn half(first: usize, channels: usize) -> Op {
        Op::Slice { start: vec![0, first, 0, 0], step: vec![1; 4], count: vec![1, channels, 5, 3] }
    }

    /// Channel shuffle in two groups sends channel `g·C/2 + i` to `2i + g` (ShuffleNet, section 3.1).
    #[test]
    fn shuffle_and_slice_become_a_gather() {
        let mut g = Graph::new();
        let x = g.push_input("x", Shape::new([1, 8, 5, 3]).unwrap()).unwrap();
        let y = push(&mut g, Op::Reshape { shape: vec![1, 2, 4, 5, 3] }, x);
        let y = push(&mut g, Op::Transpose { perm: vec![0, 2, 1, 3, 4] }, y);
        let y = push(&mut g, Op::Reshape { shape: vec![1, 8, 5, 3] }, y);
        let low = push(&mut g, half(0, 4), y);
        let high = push(&mut g, half(4, 4), y);
        g.outputs = vec![y, low, high];
        let g = run(&g).unwrap();
        let indices: Vec<Vec<usize>> = g
            .outputs
            .iter()
            .map(|out| match &g.nodes.iter().find(|n| n.output == *out).unwrap().op {
                Op::Gather { axis: 1, indices } => indices.clone(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(indices, [vec![0, 4, 1, 5, 2, 6, 3, 7], vec![0, 4, 1, 5], vec![2, 6, 3, 7]]);
        assert_eq!(g.nodes.len(), 3);
    }

    /// FastestDet moves the batch axis about: `[C/2, 2, HW]` → `[2, C/2, HW]` → `[2, 1, C/2, H, W]`.
    #[test]
    fn shuffle_through_the_batch_axis() {
        let mut g = Graph::new();
        let x = g.push_input("x", Shape::new([1, 6, 2, 2]).unwrap()).unwrap();
        let y = push(&mut g, Op::Reshape { shape: vec![3, 2, 4] }, x);
        let y = push(&mut g, Op::Transpose { perm: vec![1, 0, 2] }, y);
        let y = push(&mut g, Op::Reshape { shape: vec![2, 1, 3, 2, 2] }, y);
        let odd = Op::Slice { start: vec![1, 0, 0, 0, 0], step: vec![1; 5], count: vec![1, 1, 3, 2, 2] };
        let y = push(&mut g, odd, y);
        let y = push(&mut g, Op::Reshape { shape: vec![1, 3, 2, 2] }, y);
        g.outputs = vec![y];
        let g = run(&g).unwrap();
        assert_eq!(g.nodes.len(), 1);
        assert_eq!(g.nodes[0].op, Op::Gather { axis: 1, indices: vec![1, 3, 5] });
    }
}
