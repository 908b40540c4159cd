//! Layers that take parts: Slice, Crop, and ShuffleChannel before them.

use super::layer::{Blob, Params, Step, unsupported};
use super::picks::{Pick, cut_axes};
use super::writer::Writer;
use crate::error::Result;
use ocellus::graph::{Node, Op};
use std::ops::Range;

/// Most pieces that a gather without a pattern may fall into.
const PIECES_MAX: usize = 64;

/// Crop to ranges of axes of a blob.
fn crop(ranges: &[(usize, Range<usize>)]) -> Step {
    let params = Params::default()
        .ints(9, ranges.iter().map(|(_, range)| range.start))
        .ints(10, ranges.iter().map(|(_, range)| range.end))
        .ints(11, ranges.iter().map(|(axis, _)| *axis));
    Step::new("Crop", params)
}

impl Writer<'_> {
    /// A Slice or Gather node.
    pub(super) fn pick(&mut self, at: usize, node: &Node) -> Result<()> {
        match (self.picks.get(at).cloned(), &node.op) {
            (Some(pick), _) => self.part(at, node, &pick),
            (None, Op::Gather { axis, indices }) => self.pieces(node, *axis, indices),
            _ => self.slice(at, node),
        }
    }

    /// A range of one axis: one output of a Slice if other nodes take all the rest, else a Crop.
    fn part(&mut self, at: usize, node: &Node, pick: &Pick) -> Result<()> {
        let axis = self.axis(node, pick.axis)?;
        let extent_there = self.other.shape(pick.source)[pick.axis];
        let part_there = self.other.shape(node.output)[pick.axis];
        if (extent_there, part_there) != (pick.extent, pick.range.len()) {
            return self.depends_on_size();
        }
        let source = self.shuffled(node, pick)?;
        if pick.is_whole() {
            self.define(node.output, source);
            return Ok(());
        }
        let Some(nodes) = self.picks.tiles(at).filter(|_| self.slices_first(at)) else {
            return self.chain(at, node, vec![source], vec![crop(&[(axis, pick.range.clone())])]);
        };
        let sizes = nodes.iter().filter_map(|&node| Some(self.picks.get(node)?.range.len()));
        let params = Params::default().ints(0, sizes).int_unless(1, axis, 0);
        let values: Vec<_> = nodes.iter().map(|&node| self.graph.nodes[node].output).collect();
        let wishes = values.iter().map(|&id| self.graph.value(id).name.clone()).collect();
        let name = self.layer_name(&node.name);
        let parts = self.layer(name, Step::new("Slice", params), vec![source], wishes);
        values.into_iter().zip(parts).for_each(|(value, part)| self.define(value, part));
        Ok(())
    }

    /// Whether the parts that belong together are still to be made, all of them of shapes that blobs have.
    fn slices_first(&self, at: usize) -> bool {
        let nodes = self.picks.tiles(at).unwrap_or_default();
        nodes.iter().all(|&node| {
            let node = &self.graph.nodes[node];
            !self.is_made(node.output) && self.lead(node.output) == self.lead(node.inputs[0])
        })
    }

    /// The value that a pick takes a part of, shuffled once for all its picks.
    fn shuffled(&mut self, node: &Node, pick: &Pick) -> Result<Blob> {
        let blob = self.blob(pick.source)?;
        if pick.group == 1 {
            return Ok(blob);
        }
        let key = (pick.source, pick.group);
        if let Some(&shuffled) = self.shuffled.get(&key) {
            return Ok(shuffled);
        }
        // The inverse of a shuffle in n groups is one in extent/n: the smaller number is what ncnn is fast at.
        let inverse = pick.extent / pick.group;
        let params = match inverse < pick.group {
            true => Params::default().int(0, inverse).int(1, 1),
            false => Params::default().int(0, pick.group),
        };
        let (name, wish) = match pick.is_whole() {
            true => (node.name.clone(), self.graph.value(node.output).name.clone()),
            false => {
                (format!("{}_shuffle", node.name), format!("{}/shuffled", self.graph.value(pick.source).name))
            }
        };
        let name = self.layer_name(&name);
        let made = self.layer(name, Step::new("ShuffleChannel", params), vec![blob], vec![wish]);
        self.shuffled.insert(key, made[0]);
        Ok(made[0])
    }

    /// A gather without a pattern: its runs of neighbours, one by one, joined.
    fn pieces(&mut self, node: &Node, axis: usize, indices: &[usize]) -> Result<()> {
        let axis = self.axis(node, axis)?;
        let mut runs: Vec<Range<usize>> = Vec::new();
        for &index in indices {
            match runs.last_mut() {
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        if runs.len() > PIECES_MAX {
            return unsupported(format!("it gathers {} separate pieces", runs.len()));
        }
        let source = self.blob(node.inputs[0])?;
        let value = self.graph.value(node.output).name.clone();
        let mut parts = Vec::with_capacity(runs.len());
        for (i, run) in runs.into_iter().enumerate() {
            let name = self.layer_name(&format!("{}_crop{i}", node.name));
            let step = crop(&[(axis, run)]);
            parts.extend(self.layer(name, step, vec![source], vec![format!("{value}/{i}")]));
        }
        let name = self.layer_name(&node.name);
        let join = Step::new("Concat", Params::default().int_unless(0, axis, 0));
        let joined = self.layer(name, join, parts, vec![value]);
        self.define(node.output, joined[0]);
        Ok(())
    }

    /// A slice of several axes or with steps: a Crop, then for steps of rows and columns a pooling over
    /// windows of one pixel.
    fn slice(&mut self, at: usize, node: &Node) -> Result<()> {
        let (Op::Slice { start, step, count }, Op::Slice { start: other, count: other_count, .. }) =
            (&node.op, &self.other.nodes[at].op)
        else {
            return self.depends_on_size();
        };
        let dims = self.graph.shape(node.inputs[0]).dims().to_vec();
        let mut ranges = Vec::new();
        for axis in cut_axes(self.graph, node) {
            let end = start[axis] + count[axis].saturating_sub(1) * step[axis] + 1;
            if start[axis] != 0 || end + step[axis] - 1 < dims[axis] {
                if (start[axis], count[axis]) != (other[axis], other_count[axis]) {
                    return self.depends_on_size();
                }
                ranges.push((self.axis(node, axis)?, start[axis]..end));
            }
        }
        let mut steps = Vec::new();
        if !ranges.is_empty() {
            steps.push(crop(&ranges));
        }
        if step.iter().zip(count).any(|(&step, &count)| step > 1 && count > 1) {
            let [1, 1, down, right] = step[..] else {
                return unsupported("it takes steps along an axis that is neither rows nor columns");
            };
            self.image(node.inputs[0])?;
            let params = Params::default().int(1, 1).int(2, right).int_unless(12, down, right).int(5, 1);
            steps.push(Step::new("Pooling", params));
        }
        if steps.is_empty() {
            let to = self.dims(node.output)?;
            steps.push(self.reshape_step(&to, &to)?);
        }
        self.chain_one(at, node, steps)
    }
}
