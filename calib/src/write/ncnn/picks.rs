//! Which slices and gathers of one value belong together: parts of it, or of it shuffled.
//!
//! Simplifying turns "shuffle, then halves" into gathers such as `0, 2, 4, ..` and `1, 3, 5, ..` of one value.
//! Each is a range of the channels in the order that ShuffleChannel makes.

use super::links::Links;
use ocellus::graph::{Graph, Node, Op, ValueId};
use std::collections::HashMap;
use std::ops::Range;

/// A range along one axis of a value, perhaps of a shuffled one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    /// The value.
    pub(super) source: ValueId,
    /// Axis of the value.
    pub(super) axis: usize,
    /// Groups of the shuffle before; 1 is none.
    pub(super) group: usize,
    /// What is taken.
    pub(super) range: Range<usize>,
    /// What there is.
    pub(super) extent: usize,
}

impl Pick {
    /// Whether nothing is left out.
    pub(super) fn is_whole(&self) -> bool {
        self.range == (0..self.extent)
    }
}

/// Value, axis and shuffle of picks that may share layers.
type Key = (ValueId, usize, usize);

/// The picks among a graph's nodes.
#[derive(Debug)]
pub(super) struct Picks {
    picks: HashMap<usize, Pick>,
    /// Nodes that take parts, in order.
    parts: HashMap<Key, Vec<usize>>,
}

impl Picks {
    pub(super) fn of(graph: &Graph, links: &Links) -> Self {
        let mut candidates: Vec<(usize, Vec<Pick>)> = Vec::new();
        for (at, node) in graph.nodes.iter().enumerate().filter(|(at, _)| links.live[*at]) {
            candidates.push((at, candidates_of(graph, node)));
        }
        let mut votes: HashMap<Key, usize> = HashMap::new();
        for pick in candidates.iter().flat_map(|(_, picks)| picks) {
            *votes.entry(key(pick)).or_default() += 1;
        }
        let mut picks = Picks { picks: HashMap::new(), parts: HashMap::new() };
        for (at, candidates) in candidates {
            // The shuffle that serves most gathers; of equals the first.
            let best = candidates.into_iter().rev().max_by_key(|pick| votes[&key(pick)]);
            if let Some(pick) = best {
                if !pick.is_whole() {
                    picks.parts.entry(key(&pick)).or_default().push(at);
                }
                picks.picks.insert(at, pick);
            }
        }
        picks
    }

    /// The pick that a node is.
    pub(super) fn get(&self, at: usize) -> Option<&Pick> {
        self.picks.get(&at)
    }

    /// The nodes, `at` among them, whose ranges follow one another through the whole axis.
    pub(super) fn tiles(&self, at: usize) -> Option<Vec<usize>> {
        let pick = self.picks.get(&at)?;
        let mut nodes = self.parts.get(&key(pick))?.clone();
        nodes.sort_by_key(|node| self.picks[node].range.start);
        let mut end = 0;
        for node in &nodes {
            let range = &self.picks[node].range;
            if range.start != end {
                return None;
            }
            end = range.end;
        }
        (end == pick.extent).then_some(nodes)
    }
}

fn key(pick: &Pick) -> Key {
    (pick.source, pick.axis, pick.group)
}

/// All ways to see a node as a pick; a plain range is preferred to any shuffle.
fn candidates_of(graph: &Graph, node: &Node) -> Vec<Pick> {
    let (axis, indices) = match &node.op {
        Op::Gather { axis, indices } => (*axis, indices.clone()),
        Op::Slice { .. } => match cut_axes(graph, node)[..] {
            [axis] => (axis, sliced(node, axis)),
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let source = node.inputs[0];
    let shape = graph.shape(source);
    let extent = shape[axis];
    let pick = |group: usize| {
        let start = run_start(&indices, extent, group)?;
        Some(Pick { source, axis, group, range: start..start + indices.len(), extent })
    };
    if let Some(plain) = pick(1) {
        return vec![plain];
    }
    let shuffles = axis == 1 && shape.nchw().is_some_and(|[n, ..]| n == 1);
    let groups = if shuffles { 2..extent } else { 0..0 };
    groups.filter(|&group| extent.is_multiple_of(group)).filter_map(pick).collect()
}

/// Axes of which a slice leaves something out.
pub(super) fn cut_axes(graph: &Graph, node: &Node) -> Vec<usize> {
    let dims = |id: ValueId| graph.shape(id).dims();
    let (from, to) = (dims(node.inputs[0]), dims(node.output));
    (0..from.len()).filter(|&axis| from[axis] != to[axis]).collect()
}

/// The indices that a slice takes of an axis.
fn sliced(node: &Node, axis: usize) -> Vec<usize> {
    match &node.op {
        Op::Slice { start, step, count } => (0..count[axis]).map(|i| start[axis] + i * step[axis]).collect(),
        _ => Vec::new(),
    }
}

/// Where `indices` begin among the channels shuffled in `group` groups, if they follow one another there:
/// channel `out` of those is channel `out % group · extent/group + out / group`.
fn run_start(indices: &[usize], extent: usize, group: usize) -> Option<usize> {
    let per_group = extent / group;
    let &first = indices.first()?;
    let start = first % per_group * group + first / per_group;
    let follows = |(i, &index): (usize, &usize)| {
        let out = start + i;
        out < extent && index == out % group * per_group + out / group
    };
    indices.iter().enumerate().all(follows).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_shuffles_are_found() {
        assert_eq!(run_start(&[3, 4, 5], 8, 1), Some(3));
        assert_eq!(run_start(&[0, 4, 1, 5], 8, 2), Some(0));
        assert_eq!(run_start(&[2, 6, 3, 7], 8, 2), Some(4));
        assert_eq!(run_start(&[1, 3, 5, 7], 8, 4), Some(4));
        assert_eq!(run_start(&[1, 3, 5, 7], 8, 2), None);
        assert_eq!(run_start(&[7, 0], 8, 2), None);
        assert_eq!(run_start(&[], 8, 1), None);
    }
}
