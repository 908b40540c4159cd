//! Chooses one int8 grid per tensor, so that the graph stays int8 between the operators that a file quantizes.
//!
//! A file says of some tensors on which grid they are ([`Op::FakeQuant`]); what lies between them has to
//! follow. Operators that only move elements tie their result to their operand; a Concat ties its operands,
//! so that its producers requantize and it moves bytes. Two grids are tied only if the joint grid is no
//! coarser than either promised: the planner requantizes by a table where tensors stay apart.
//!
//! Two kinds of files differ in what a grid means. QDQ files state it exactly ([`GridStyle::Exact`]). ncnn files
//! state a symmetric threshold ([`GridStyle::Threshold`]); where a tensor is known to be one-sided (after a
//! ReLU), all 256 codes serve its one side, which doubles the resolution.

use super::regrid::moves_only;
use super::rewrite::{Links, Rewriter};
use crate::error::Result;
use crate::graph::{Binary, Graph, GridStyle, Node, Op, PoolKind, ReduceKind, Unary, ValueId};
use crate::tensor::Quant;

/// The grid of each value, `None` for float.
#[derive(Clone, Debug)]
pub struct Grids(Vec<Option<Quant>>);

impl Grids {
    /// All float.
    pub fn none(graph: &Graph) -> Self {
        Grids(vec![None; graph.values().len()])
    }

    /// The grids of another graph's values: each pair is a value here and one that takes its grid there.
    pub(super) fn moved(&self, graph: &Graph, pairs: impl Iterator<Item = (ValueId, ValueId)>) -> Self {
        let mut grids = Grids::none(graph);
        pairs.for_each(|(here, there)| grids.0[there.index()] = self.of(here));
        grids
    }

    /// Whether no value has a grid.
    pub fn is_float(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Grid of a value.
    pub fn of(&self, id: ValueId) -> Option<Quant> {
        self.0[id.index()]
    }
}

/// The graph without its FakeQuant nodes: what it computes in float.
///
/// # Errors
/// None but those of the graph's builder.
pub fn without_fake_quant(graph: &Graph) -> Result<Graph> {
    Ok(strip(graph)?.0)
}

/// Takes the FakeQuant nodes out of `graph` and returns the grids they amount to.
///
/// `input_range` bounds the picture after preprocessing.
///
/// # Errors
/// None but those of the graph's builder.
pub fn assign(graph: &Graph, input_range: (f32, f32)) -> Result<(Graph, Grids)> {
    let (graph, stated) = strip(graph)?;
    let bounds = bounds(&graph, input_range);
    let mut classes = Classes::of(&graph, &stated, &bounds, graph.grid_style);
    classes.carry(&graph);
    classes.tie(&graph);
    let mut grids = Grids((0..graph.values().len()).map(|v| classes.grid(v)).collect());
    derive(&graph, &bounds, &mut grids);
    Ok((graph, grids))
}

/// The graph without FakeQuant, and per value the grids that were stated for it.
fn strip(graph: &Graph) -> Result<(Graph, Vec<Vec<Quant>>)> {
    let mut rewriter = Rewriter::new(graph)?;
    let mut stated: Vec<(ValueId, Quant)> = Vec::new();
    for node in &graph.nodes {
        match node.op {
            Op::FakeQuant(quant) => {
                let operand = rewriter.get(node.inputs[0])?;
                rewriter.alias(node.output, operand);
                stated.push((operand, quant));
            }
            _ => rewriter.copy(node)?,
        }
    }
    let (graph, _) = rewriter.finish_whole()?;
    let mut of_value = vec![Vec::new(); graph.values().len()];
    for (id, quant) in stated {
        of_value[id.index()].push(quant);
    }
    Ok((graph, of_value))
}

/// Values that share a grid: a union-find forest with the grid at each root.
struct Classes {
    parent: Vec<usize>,
    grid: Vec<Option<Quant>>,
    /// Smallest step that was promised to any member.
    finest: Vec<f32>,
    style: GridStyle,
}

impl Classes {
    fn of(graph: &Graph, stated: &[Vec<Quant>], bounds: &[(f32, f32)], style: GridStyle) -> Self {
        let count = graph.values().len();
        let mut grid = vec![None; count];
        let mut finest = vec![f32::INFINITY; count];
        for v in 0..count {
            finest[v] = stated[v].iter().fold(f32::INFINITY, |least, q| least.min(q.scale));
            grid[v] = match style {
                GridStyle::Exact => stated[v].first().copied(),
                GridStyle::Threshold => {
                    let threshold = stated[v].iter().fold(0f32, |most, q| most.max(q.scale * 127.0));
                    let (lo, hi) = bounds[v];
                    Quant::from_range(lo.max(-threshold), hi.min(threshold))
                        .filter(|_| threshold > 0.0)
                        .or(stated[v].first().copied())
                }
            };
        }
        Classes { parent: (0..count).collect(), grid, finest, style }
    }

    fn root(&self, mut v: usize) -> usize {
        while self.parent[v] != v {
            v = self.parent[v];
        }
        v
    }

    fn grid(&self, v: usize) -> Option<Quant> {
        self.grid[self.root(v)]
    }

    /// From the start of the graph to its end: where the operands of a mover are on one grid, its result is as well.
    fn carry(&mut self, graph: &Graph) {
        for node in graph.nodes.iter().filter(|node| moves_only(&node.op)) {
            let agreed = self.grid(node.inputs[0].index());
            let all = agreed.is_some() && node.inputs.iter().all(|id| self.grid(id.index()) == agreed);
            if all && self.grid(node.output.index()).is_none() {
                node.inputs.iter().for_each(|id| self.join(id.index(), node.output.index()));
            }
        }
    }

    /// From the end of the graph to its start, so that what a consumer needs reaches its producers.
    fn tie(&mut self, graph: &Graph) {
        let links = Links::of(graph);
        for node in graph.nodes.iter().rev().filter(|n| moves_only(&n.op)) {
            let result = node.output.index();
            if self.leaves_int8(node) {
                continue;
            }
            for &operand in &node.inputs {
                let sole = links.sole(operand).is_some_and(|producer| !moves_only(&producer.op));
                let joins = matches!(node.op, Op::Concat { .. });
                let apart = self.root(operand.index()) != self.root(result);
                if joins && sole && apart && self.grid(result).is_some() {
                    // Nobody else sees the operand: its producer may as well write the result's grid.
                    let root = self.root(operand.index());
                    (self.grid[root], self.finest[root]) = (None, f32::INFINITY);
                }
                self.join(operand.index(), result);
            }
        }
    }

    /// Whether an exact file means the result of a mover to be real: it states no grid for it, and its operands do
    /// not agree on one. A grid of one of them could not hold the others.
    fn leaves_int8(&self, node: &Node) -> bool {
        let unstated = self.style == GridStyle::Exact && self.grid(node.output.index()).is_none();
        let grids = || node.inputs.iter().map(|id| self.grid(id.index()));
        unstated && grids().any(|grid| Some(grid) != grids().next())
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        let finest = self.finest[a].min(self.finest[b]);
        let joint = match (self.grid[a], self.grid[b]) {
            (None, grid) | (grid, None) => grid,
            (Some(x), Some(y)) if x == y => Some(x),
            (Some(x), Some(y)) if self.style == GridStyle::Threshold => {
                let (x, y) = (x.range(), y.range());
                match Quant::from_range(x.0.min(y.0), x.1.max(y.1)) {
                    Some(joint) if joint.scale <= finest * 1.001 => Some(joint),
                    _ => return,
                }
            }
            _ => return,
        };
        self.parent[a] = b;
        self.grid[b] = joint;
        self.finest[b] = finest;
    }
}

/// Grids that follow from neighbours although no file states them.
fn derive(graph: &Graph, bounds: &[(f32, f32)], grids: &mut Grids) {
    for node in graph.nodes.iter().rev() {
        let Some((lo, hi)) = grids.of(node.output).map(Quant::range) else { continue };
        if let Op::Binary { kind, .. } = node.op {
            let known = |id: &ValueId| grids.of(*id).is_some();
            let missing: Vec<ValueId> = node.inputs.iter().filter(|id| !known(id)).copied().collect();
            let [id] = missing[..] else { continue };
            if graph.constant(id).is_some() {
                continue;
            }
            let other = if node.inputs[0] == id { node.inputs[1] } else { node.inputs[0] };
            let (other_lo, other_hi) = bounds[other.index()];
            let (least, most) = bounds[id.index()];
            let range = match kind {
                // A sum within lo..=hi whose other term keeps its bounds; ±the sum's range where it has none.
                Binary::Add => {
                    let most_of = if other_lo.is_finite() { hi - other_lo } else { hi - lo };
                    let least_of = if other_hi.is_finite() { lo - other_hi } else { lo - hi };
                    (least.max(least_of), most.min(most_of))
                }
                _ => (least, most),
            };
            grids.0[id.index()] = Quant::from_range(range.0, range.1);
        }
    }
    // An average lies within its operand's range.
    for node in &graph.nodes {
        let averages = match node.op {
            Op::Pool { kind, .. } | Op::AdaptivePool { kind, .. } => kind == PoolKind::Avg,
            Op::Reduce { kind, .. } => kind == ReduceKind::Mean,
            Op::Resize { .. } => true,
            _ => false,
        };
        if averages && grids.of(node.output).is_none() {
            grids.0[node.output.index()] = grids.of(node.inputs[0]);
        }
    }
}

/// What is known of each value's range from the operators alone.
fn bounds(graph: &Graph, input: (f32, f32)) -> Vec<(f32, f32)> {
    let mut bounds = vec![(f32::NEG_INFINITY, f32::INFINITY); graph.values().len()];
    graph.inputs.iter().for_each(|id| bounds[id.index()] = input);
    for node in &graph.nodes {
        let of = |i: usize| bounds[node.inputs[i].index()];
        bounds[node.output.index()] = node_bounds(node, of);
    }
    bounds
}

fn node_bounds(node: &Node, of: impl Fn(usize) -> (f32, f32)) -> (f32, f32) {
    let unknown = (f32::NEG_INFINITY, f32::INFINITY);
    let hull = |a: (f32, f32), b: (f32, f32)| (a.0.min(b.0), a.1.max(b.1));
    match &node.op {
        Op::Conv { activation, .. } | Op::ConvTranspose { activation, .. } | Op::Linear { activation } => {
            activation.map_or(unknown, |u| unary_bounds(u, unknown))
        }
        Op::Unary(unary) => unary_bounds(*unary, of(0)),
        Op::Binary { kind, activation } => {
            let plain = match kind {
                Binary::Add => (of(0).0 + of(1).0, of(0).1 + of(1).1),
                Binary::Mul if of(0).0 >= 0.0 && of(1).0 >= 0.0 => (0.0, f32::INFINITY),
                _ => unknown,
            };
            activation.map_or(plain, |u| unary_bounds(u, plain))
        }
        Op::Concat { .. } => (0..node.inputs.len()).map(of).reduce(hull).unwrap_or(unknown),
        Op::Reduce { kind: ReduceKind::Sum, .. } => unknown,
        Op::Pad { value, .. } => hull(of(0), (*value, *value)),
        Op::Pool { kind: PoolKind::Avg, .. } => hull(of(0), (0.0, 0.0)),
        Op::Pool { .. } | Op::AdaptivePool { .. } | Op::Reduce { .. } | Op::Resize { .. } => of(0),
        Op::Slice { .. } | Op::Gather { .. } | Op::Transpose { .. } | Op::Reshape { .. } | Op::Focus => of(0),
        Op::Softmax { .. } => (0.0, 1.0),
        Op::PRelu | Op::ChannelAffine | Op::FakeQuant(_) => unknown,
    }
}

fn unary_bounds(unary: Unary, (lo, hi): (f32, f32)) -> (f32, f32) {
    match unary {
        Unary::Relu => (lo.max(0.0), hi.max(0.0)),
        Unary::Clip { lo: least, hi: most } => (lo.max(least).min(most), hi.min(most).max(least)),
        Unary::Sigmoid | Unary::HardSigmoid { .. } => (0.0, 1.0),
        Unary::Tanh => (-1.0, 1.0),
        // The minima of the functions, rounded outwards.
        Unary::Silu => (-0.2785, f32::INFINITY),
        Unary::Mish => (-0.3089, f32::INFINITY),
        Unary::Gelu => (-0.17, f32::INFINITY),
        Unary::HardSwish { alpha, beta } if alpha > 0.0 => (-beta * beta / (4.0 * alpha), f32::INFINITY),
        Unary::Exp | Unary::Abs | Unary::Softplus | Unary::Sqrt => (0.0, f32::INFINITY),
        _ => (f32::NEG_INFINITY, f32::INFINITY),
    }
}
