//! Layers that keep the elements and change shape or order, that join, surround or reduce them.

use super::bin;
use super::layer::{Blob, Params, Step, unsupported};
use super::writer::{Dims, Writer};
use crate::error::Result;
use ocellus::graph::{Node, Op, PoolKind, ReduceKind, ValueId};

/// Parameter ids of a blob's extents, outermost first.
pub(super) fn ids(rank: usize) -> &'static [usize] {
    match rank {
        1 => &[0],
        2 => &[1, 0],
        3 => &[2, 1, 0],
        _ => &[2, 11, 1, 0],
    }
}

/// Orders of Permute for blobs of two, three and four dimensions: the input's axes as the output has them,
/// innermost first, as letters, as in ncnn's operator table.
const ORDERS_2D: &[&str] = &["wh", "hw"];
const ORDERS_3D: &[&str] = &["whc", "hwc", "wch", "cwh", "hcw", "chw"];
#[rustfmt::skip]
const ORDERS_4D: &[&str] = &[
    "whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd", "wchd", "cwhd", "hcwd", "chwd",
    "wdch", "dwch", "wcdh", "cwdh", "dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw",
];

/// Number of the order in which output axis `i` is input axis `perm[i]`.
fn order(perm: &[usize]) -> Option<usize> {
    let (axes, orders) = match perm.len() {
        2 => ("hw", ORDERS_2D),
        3 => ("chw", ORDERS_3D),
        4 => ("cdhw", ORDERS_4D),
        _ => return Some(0),
    };
    let letters: String = perm.iter().rev().map(|&axis| &axes[axis..=axis]).collect();
    orders.iter().position(|order| *order == letters)
}

impl Writer<'_> {
    /// Reshape between two shapes. At sizes of the input where both differ it takes extents from its input
    /// (0) and at most one from the number of elements (−1).
    pub(super) fn reshape_step(&self, from: &Dims, to: &Dims) -> Result<Step> {
        let (from_ids, to_ids) = (ids(from.here.len()), ids(to.here.len()));
        let changing: Vec<usize> = (0..to_ids.len()).filter(|&i| to.here[i] != to.there[i]).collect();
        let copied = |axis: usize| {
            let source = from_ids.iter().position(|id| *id == to_ids[axis]);
            source.is_some_and(|i| (from.here[i], from.there[i]) == (to.here[axis], to.there[axis]))
        };
        let open: Vec<usize> = match changing[..] {
            [_] => changing.clone(),
            _ => changing.iter().copied().filter(|&axis| !copied(axis)).collect(),
        };
        if open.len() > 1 {
            return self.depends_on_size();
        }
        let mut params = Params::default();
        for axis in (0..to_ids.len()).rev() {
            params = match () {
                () if open.contains(&axis) => params.signed(to_ids[axis], -1),
                () if changing.contains(&axis) => params.int(to_ids[axis], 0),
                () => params.int(to_ids[axis], to.here[axis]),
            };
        }
        Ok(Step::new("Reshape", params))
    }

    /// Permute, between reshapes where the batch or too many axes take part.
    pub(super) fn transpose(&mut self, at: usize, node: &Node, perm: &[usize]) -> Result<()> {
        let (from, to) = (self.dims(node.inputs[0])?, self.dims(node.output)?);
        let lead = self.lead(node.inputs[0]);
        let whole = perm[..lead].iter().copied().eq(0..lead) && self.lead(node.output) == lead;
        if whole {
            let perm: Vec<usize> = perm[lead..].iter().map(|axis| axis - lead).collect();
            return self.chain_one(at, node, vec![permute(&perm)?]);
        }
        // Extents of one change nothing; what is left has an order of its own.
        let shapes = [self.graph, self.other].map(|graph| graph.shape(node.inputs[0]).dims());
        let kept: Vec<usize> =
            (0..perm.len()).filter(|&axis| shapes.iter().any(|dims| dims[axis] != 1)).collect();
        let order = perm.iter().filter_map(|axis| kept.iter().position(|k| k == axis));
        let order: Vec<usize> = order.collect();
        let [here, there] = shapes.map(|dims| kept.iter().map(|&axis| dims[axis]).collect::<Vec<_>>());
        let moved = |dims: &[usize]| order.iter().map(|&axis| dims[axis]).collect();
        let after = Dims { here: moved(&here), there: moved(&there) };
        let before = Dims { here, there };
        let mut steps = Vec::new();
        if !order.is_sorted() {
            steps.extend([
                self.reshape_step(&from, &before)?,
                permute(&order)?,
                self.reshape_step(&after, &to)?,
            ]);
        } else {
            steps.push(self.reshape_step(&from, &to)?);
        }
        self.chain_one(at, node, steps)
    }

    /// A constant as a layer without input.
    pub(super) fn memory(&mut self, id: ValueId, dims: &Dims) -> Result<Blob> {
        let Some(tensor) = self.graph.constant(id) else {
            return unsupported(format!("the value {:?} has no producer", self.graph.value(id).name));
        };
        if dims.here != dims.there {
            return self.depends_on_size();
        }
        let pairs = ids(dims.here.len()).iter().zip(&dims.here).rev();
        let params = pairs.fold(Params::default(), |params, (&id, &extent)| params.int(id, extent));
        let step = Step { kind: "MemoryData", params, weights: bin::reals(&tensor.to_f32()), int8: None };
        let wish = self.graph.value(id).name.clone();
        let name = self.layer_name(&wish);
        Ok(self.layer(name, step, Vec::new(), vec![wish])[0])
    }

    pub(super) fn concat(&mut self, at: usize, node: &Node, axis: usize) -> Result<()> {
        let params = Params::default().int_unless(0, self.axis(node, axis)?, 0);
        if node.inputs.iter().any(|&id| self.lead(id) != self.lead(node.output)) {
            return unsupported("it joins values with and without a batch");
        }
        let operands = node.inputs.iter().map(|&id| self.blob(id)).collect::<Result<_>>()?;
        self.chain(at, node, operands, vec![Step::new("Concat", params)])
    }

    pub(super) fn pad(
        &mut self,
        at: usize,
        node: &Node,
        before: &[usize],
        after: &[usize],
        value: f32,
    ) -> Result<()> {
        let lead = self.lead(node.inputs[0]);
        let rank = before.len() - lead;
        // Ids of the first and last cells of each axis, outermost first.
        let sides: &[[usize; 2]] = match rank {
            1 => &[[2, 3]],
            2 => &[[0, 1], [2, 3]],
            3 => &[[7, 8], [0, 1], [2, 3]],
            _ => return unsupported(format!("it pads a blob of {rank} dimensions")),
        };
        if before[..lead].iter().chain(&after[..lead]).any(|&cells| cells > 0) {
            return unsupported("it pads the batch");
        }
        let mut params = Params::default();
        for (axis, [first, last]) in sides.iter().enumerate() {
            params =
                params.int_unless(*first, before[lead + axis], 0).int_unless(*last, after[lead + axis], 0);
        }
        self.chain_one(at, node, vec![Step::new("Padding", params.float(5, value))])
    }

    /// A reduction; over rows and columns of an image ncnn's pooling is the faster layer.
    pub(super) fn reduce(&mut self, at: usize, node: &Node, kind: ReduceKind, axes: &[usize]) -> Result<()> {
        let pooled = match kind {
            ReduceKind::Mean => Some(PoolKind::Avg),
            ReduceKind::Max => Some(PoolKind::Max),
            ReduceKind::Sum | ReduceKind::Min => None,
        };
        if let Some(kind) = pooled.filter(|_| axes == [2, 3] && self.image(node.inputs[0]).is_ok()) {
            return self.adaptive_pool(at, node, kind, [1, 1]);
        }
        let number = match kind {
            ReduceKind::Sum => 0,
            ReduceKind::Mean => 3,
            ReduceKind::Max => 4,
            ReduceKind::Min => 5,
        };
        let lead = self.lead(node.inputs[0]);
        // The batch has extent one: nothing to reduce.
        let axes: Vec<usize> = axes.iter().filter_map(|axis| axis.checked_sub(lead)).collect();
        let reduction = Params::default().int(0, number).int(1, 0).ints(3, axes).int(4, 1).int(5, 1);
        let mut steps = vec![Step::new("Reduction", reduction)];
        // A first axis that shrinks to one becomes a batch.
        if self.lead(node.output) != lead {
            let to = self.dims(node.output)?;
            let from = Dims {
                here: [vec![1], to.here.clone()].concat(),
                there: [vec![1], to.there.clone()].concat(),
            };
            steps.push(self.reshape_step(&from, &to)?);
        }
        self.chain_one(at, node, steps)
    }

    /// The node that makes a vector of the image `[1, C, 1, 1]`, if it alone reads that.
    pub(super) fn flattened(&self, image: ValueId) -> Option<(usize, &Node)> {
        let at = self.links.sole_reader(image)?;
        let node = &self.graph.nodes[at];
        let [1, c, 1, 1] = self.graph.shape(image).nchw()? else { return None };
        let vector = matches!(&node.op, Op::Reshape { shape } if *shape == [1, c]);
        vector.then_some((at, node))
    }
}

fn permute(perm: &[usize]) -> Result<Step> {
    match order(perm) {
        Some(number) => Ok(Step::new("Permute", Params::default().int(0, number))),
        None => unsupported(format!("it has the order {perm:?}")),
    }
}
