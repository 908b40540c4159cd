//! The walk over the nodes: element types, places, conversions, and the order of steps.

use super::arena::{self, Lifetime};
use super::{Loc, Options, Plan, Port, Step, dynamic, group, int8, movers, physical_dims, real};
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, GridStyle, Node, Op, ReduceKind, ResizeMode, ValueId};
use crate::kernels::conv::RUNS_MAX;
use crate::kernels::moves::Strided;
use crate::limits::CHANNEL_GROUP;
use crate::passes::Grids;
use crate::passes::channels::{self, Origin, Run};
use crate::plan::step::Work;
use crate::tensor::{DType, Data, Quant};

/// Channels of an average run below which a float convolution had better have its input copied.
const FLOAT_RUN_MIN: usize = 4;

/// Where a node finds its input channels.
#[derive(Clone, Debug)]
pub(super) struct Collected {
    /// Logical channel of each channel of the runs.
    pub order: Vec<usize>,
    /// Where they are.
    pub runs: Vec<Run>,
}

/// Plans all of `graph`.
///
/// # Errors
/// An operator that no kernel runs, or too large an arena.
pub fn lower(graph: &Graph, grids: &Grids, options: &Options) -> Result<Plan> {
    let mut planner = Planner::new(graph, grids, *options);
    let inputs = graph.inputs.iter().map(|&id| planner.input(id)).collect();
    for (at, node) in graph.nodes.iter().enumerate() {
        if !planner.absorbed[at] {
            planner
                .node(at, node)
                .map_err(|e| e.at(|p| p.node = Some(format!("{} {}", node.op.name(), node.name))))?;
        }
    }
    let outputs = graph.outputs.iter().map(|&id| planner.output(id)).collect::<Result<_>>()?;
    planner.finish(inputs, outputs)
}

/// The nodes that read each value.
fn readers(graph: &Graph) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); graph.values().len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|id| readers[id.index()].push(at));
    }
    graph.outputs.iter().for_each(|id| readers[id.index()].push(graph.nodes.len()));
    readers
}

/// The state of the walk.
pub(super) struct Planner<'a> {
    pub graph: &'a Graph,
    pub grids: &'a Grids,
    pub options: Options,
    /// Element type in which a value's producer gives it.
    native: Vec<DType>,
    /// Per node: the node after it that the same kernel computes.
    fused: Vec<Option<usize>>,
    absorbed: Vec<bool>,
    /// Per convolution or channel mover that collects its input from other tensors than its operands.
    collects: Vec<Option<Collected>>,
    places: [Vec<Option<Loc>>; 2],
    /// Values that are only seen through other strides: where their elements are.
    pub views: Vec<Option<(Loc, Strided)>>,
    /// Values that are quantized in each run: their codes, and the ranges of their rows.
    pub quantized: Vec<Option<[Loc; 2]>>,
    /// Nodes that read each value; a result of the network has a reader beyond the last node.
    pub readers: Vec<Vec<usize>>,
    buffers: Vec<Lifetime>,
    constants: Vec<(usize, Vec<u8>)>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, grids: &'a Grids, options: Options) -> Self {
        let values = graph.values().len();
        let mut planner = Planner {
            graph,
            grids,
            options,
            native: vec![DType::F32; values],
            fused: vec![None; graph.nodes.len()],
            absorbed: vec![false; graph.nodes.len()],
            collects: vec![None; graph.nodes.len()],
            places: [vec![None; values], vec![None; values]],
            views: vec![None; values],
            quantized: vec![None; values],
            readers: readers(graph),
            buffers: Vec::new(),
            constants: Vec::new(),
            steps: Vec::new(),
        };
        for &id in &graph.inputs {
            planner.native[id.index()] = if grids.of(id).is_some() { DType::I8 } else { DType::F32 };
        }
        for node in &graph.nodes {
            // Where a file states grids exactly, a float kernel's result is rounded onto its grid as well.
            let codes = planner.runs_in_int8(node) || graph.grid_style == GridStyle::Exact;
            let int8 = codes && grids.of(node.output).is_some();
            planner.native[node.output.index()] = if int8 { DType::I8 } else { DType::F32 };
        }
        planner.collect();
        planner.fuse();
        planner
    }

    /// Whether an int8 kernel computes `node`.
    pub fn runs_in_int8(&self, node: &Node) -> bool {
        let on_grid = |id: &ValueId| self.grids.of(*id).is_some();
        let x = &node.inputs[0];
        let both_ends = on_grid(x) && on_grid(&node.output);
        match &node.op {
            // A file that quantizes what a layer reads but not its weights wants that layer in float.
            Op::Conv { .. } | Op::Linear { .. } => on_grid(x) && self.has_int8_weights(node),
            Op::Unary(_)
            | Op::Gather { .. }
            | Op::Slice { .. }
            | Op::Transpose { .. }
            | Op::Reshape { .. } => both_ends,
            Op::Pool { .. } => both_ends,
            Op::Pad { value, .. } => both_ends && *value == 0.0,
            Op::Resize { mode, .. } => both_ends && *mode == ResizeMode::Nearest,
            Op::Reduce { kind: ReduceKind::Mean, axes } => {
                both_ends && axes[..] == [2, 3] && self.graph.shape(*x).rank() == 4
            }
            Op::Concat { .. } => on_grid(&node.output) && node.inputs.iter().all(on_grid),
            Op::Binary { kind: Binary::Add | Binary::Sub | Binary::Mul, .. } => {
                on_grid(&node.output) && node.inputs.iter().all(on_grid) && int8::pixelwise(self.graph, node)
            }
            _ => false,
        }
    }

    fn has_int8_weights(&self, node: &Node) -> bool {
        let weights = self.graph.constant(node.inputs[1]);
        weights.is_some_and(|weights| matches!(weights.data(), Data::Q8 { .. }))
    }

    /// Joins a convolution, a table, or a channel mover that copies with the table that alone reads it.
    fn fuse(&mut self) {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let plain = matches!(
                node.op,
                Op::Conv { activation: None, .. }
                    | Op::Linear { activation: None }
                    | Op::Binary { activation: None, .. }
                    | Op::Unary(_)
            ) || self.copies_channels(at);
            let int8 = self.runs_in_int8(node) && self.grids.of(node.output).is_some();
            let [next] = self.readers[node.output.index()][..] else { continue };
            let table = |next: &Node| matches!(next.op, Op::Unary(_)) && self.runs_in_int8(next);
            let table = self.graph.nodes.get(next).is_some_and(table);
            if plain && int8 && table && !self.absorbed[at] {
                self.fused[at] = Some(next);
                self.absorbed[next] = true;
            }
        }
    }

    /// Whether node `at` is a channel mover that copies from where the channels were made.
    fn copies_channels(&self, at: usize) -> bool {
        let conv = matches!(self.graph.nodes[at].op, Op::Conv { .. });
        self.collects[at].is_some() && !self.absorbed[at] && !conv
    }

    /// Lets dense convolutions read channels from where they were made, drops the channel movers that nobody
    /// else needs, and lets those that are needed copy from where the channels were made.
    fn collect(&mut self) {
        let graph = self.graph;
        let origins = channels::origins(graph);
        let mut needed: Vec<bool> = graph.value_ids().map(|id| graph.outputs.contains(&id)).collect();
        for (at, node) in graph.nodes.iter().enumerate().rev() {
            let from = &origins[node.output.index()];
            let virtual_value = channels::regroups(graph, &node.op, node.output)
                && from
                    .iter()
                    .all(|o| o.root != node.output && self.grids.of(o.root) == self.grids.of(node.output));
            if virtual_value {
                self.absorbed[at] = !needed[node.output.index()];
                let runs = channels::in_order(from.iter().copied());
                self.collects[at] = Some(Collected { order: (0..from.len()).collect(), runs });
                continue;
            }
            self.collects[at] = self.collected(node, &origins);
            if self.collects[at].is_none() {
                node.inputs.iter().for_each(|id| needed[id.index()] = true);
            }
        }
        // A tensor that is made after all is read as one.
        for (at, node) in graph.nodes.iter().enumerate() {
            if matches!(node.op, Op::Conv { .. }) && needed[node.inputs[0].index()] {
                self.collects[at] = None;
            }
        }
    }

    /// The runs of channels that a convolution would read, if its kernel can.
    fn collected(&self, node: &Node, origins: &[Vec<Origin>]) -> Option<Collected> {
        // What is quantized anew in every run is quantized as a whole.
        let dense = matches!(node.op, Op::Conv { groups: 1, .. }) && !self.options.dynamic;
        let x = node.inputs[0];
        let (order, runs) = channels::runs(&origins[x.index()]);
        let worthwhile = if self.runs_in_int8(node) {
            let groups: usize = runs.iter().map(|run| run.count.div_ceil(CHANNEL_GROUP)).sum();
            4 * groups * CHANNEL_GROUP <= 5 * order.len()
        } else {
            FLOAT_RUN_MIN * runs.len() <= order.len()
        };
        let elsewhere = runs.iter().all(|run| run.root != x && self.grids.of(run.root) == self.grids.of(x));
        (dense && elsewhere && worthwhile && runs.len() <= RUNS_MAX).then_some(Collected { order, runs })
    }

    /// How node `at` collects its input, if it does.
    pub fn collection(&self, at: usize) -> Option<Collected> {
        self.collects[at].clone()
    }

    /// The value that the step of node `at` writes, and the function fused into it.
    pub fn result(&self, at: usize) -> (ValueId, Option<crate::graph::Unary>) {
        match self.fused[at].map(|next| &self.graph.nodes[next]) {
            Some(Node { op: Op::Unary(unary), output, .. }) => (*output, Some(*unary)),
            _ => (self.graph.nodes[at].output, None),
        }
    }

    /// The place that a step writes `id` to.
    pub fn place(&mut self, id: ValueId, dtype: DType) -> Loc {
        if let Some(loc) = &self.places[dtype as usize][id.index()] {
            return loc.clone();
        }
        let dims = physical_dims(self.graph.shape(id));
        let loc = self.new_buffer(dims, dtype);
        self.places[dtype as usize][id.index()] = Some(loc.clone());
        loc
    }

    pub fn new_buffer(&mut self, dims: Vec<usize>, dtype: DType) -> Loc {
        let channels = dims.last().copied().unwrap_or(1);
        // Groups of channels that a kernel reads at once then never straddle pixels.
        let pitch = match (dtype, dims.len()) {
            (DType::I8, 4) => channels.next_multiple_of(CHANNEL_GROUP),
            _ => channels,
        };
        let now = self.steps.len();
        let loc = Loc { buffer: self.buffers.len(), start: 0, dims, pitch, dtype };
        let bytes = (loc.pixels() * pitch).max(1) * dtype.bytes();
        self.buffers.push(Lifetime { first: now, last: now, bytes });
        loc
    }

    /// Lets `id` be read where `loc` is.
    pub fn alias(&mut self, id: ValueId, loc: Loc) {
        let slot = &mut self.places[loc.dtype as usize][id.index()];
        *slot = Some(loc);
    }

    /// Where a float kernel writes `id`, and the step that then rounds it onto its grid.
    pub fn push_real(
        &mut self,
        name: String,
        op: &str,
        (id, pointwise): (ValueId, bool),
        reads: Vec<Loc>,
        write: Loc,
        work: Work,
    ) {
        match pointwise {
            true => self.push_pointwise(name.clone(), op, id, reads, write.clone(), work),
            false => self.push(name.clone(), op, id, reads, write.clone(), work),
        }
        if let (DType::I8, Some(quant)) = (self.native[id.index()], self.grids.of(id)) {
            let codes = self.place(id, DType::I8);
            let work = int8::quantize(self.options.isa, quant, &codes);
            self.push_pointwise(format!("{name}.quantize"), "Quantize", id, vec![write], codes, work);
        }
    }

    /// The float result of a node: its place, or a buffer from where it is rounded onto its grid.
    pub fn place_real(&mut self, id: ValueId) -> Loc {
        match self.native[id.index()] {
            DType::F32 => self.place(id, DType::F32),
            DType::I8 => self.new_buffer(physical_dims(self.graph.shape(id)), DType::F32),
        }
    }

    /// Where `id` can be read as `dtype`; converts it first where needed.
    pub fn read(&mut self, id: ValueId, dtype: DType) -> Result<Loc> {
        if let Some(loc) = &self.places[dtype as usize][id.index()] {
            return Ok(loc.clone());
        }
        if self.graph.constant(id).is_some() {
            return self.constant(id, dtype);
        }
        let from = self.places[1 - dtype as usize][id.index()].clone();
        let from = from.ok_or_else(|| {
            Error::bad_model(format!("value {:?} is read before it is made", self.graph.value(id).name))
        })?;
        let quant = self.grids.of(id).ok_or_else(|| {
            Error::unsupported(format!(
                "value {:?} is needed in int8 but has no grid",
                self.graph.value(id).name
            ))
        })?;
        let to = self.place(id, dtype);
        let (op, work) = match dtype {
            DType::I8 => ("Quantize", int8::quantize(self.options.isa, quant, &to)),
            DType::F32 => ("Dequantize", int8::dequantize(self.options.isa, quant, &to)),
        };
        let name = self.graph.value(id).name.clone();
        self.push_pointwise(name, op, id, vec![from], to.clone(), work);
        Ok(to)
    }

    fn constant(&mut self, id: ValueId, dtype: DType) -> Result<Loc> {
        let tensor = self.graph.constant(id).expect("the caller checked");
        let mut values = tensor.to_f32();
        if let Some([n, c, h, w]) = tensor.shape().nchw() {
            let at = |i: usize| ((i / (c * h * w)) * c + i % c) * h * w + i / c % (h * w);
            values = (0..n * c * h * w).map(|i| values[at(i)]).collect();
        }
        let mut loc = self.new_buffer(physical_dims(tensor.shape()), dtype);
        loc.pitch = loc.channels();
        self.buffers[loc.buffer].first = 0;
        self.buffers[loc.buffer].last = usize::MAX;
        let bytes = match dtype {
            DType::F32 => values.iter().flat_map(|v| v.to_ne_bytes()).collect(),
            DType::I8 => {
                let quant =
                    self.grids.of(id).ok_or_else(|| Error::bad_model("an int8 constant has no grid"))?;
                values.iter().map(|&v| quant.quantize(v) as u8).collect()
            }
        };
        self.constants.push((loc.buffer, bytes));
        self.places[dtype as usize][id.index()] = Some(loc.clone());
        Ok(loc)
    }

    /// Appends a step that writes `of` (or a stage of it) to `write`.
    pub fn push(&mut self, name: String, op: &str, of: ValueId, reads: Vec<Loc>, write: Loc, work: Work) {
        let now = self.steps.len();
        for loc in reads.iter().chain([&write]) {
            let life = &mut self.buffers[loc.buffer];
            life.last = life.last.max(now);
        }
        let quant = (write.dtype == DType::I8).then(|| self.grids.of(of)).flatten();
        let shape = self.graph.shape(of).clone();
        let pointwise = false;
        self.steps.push(Step { name, op: op.to_owned(), shape, quant, reads, write, pointwise, work });
    }

    /// As [`Planner::push`], for a step that looks at one pixel at a time.
    pub fn push_pointwise(
        &mut self,
        name: String,
        op: &str,
        of: ValueId,
        reads: Vec<Loc>,
        write: Loc,
        work: Work,
    ) {
        self.push(name, op, of, reads, write, work);
        self.steps.last_mut().expect("just pushed").pointwise = true;
    }

    fn node(&mut self, at: usize, node: &Node) -> Result<()> {
        if let Some([n, ..]) = self.graph.shape(node.inputs[0]).nchw()
            && n != 1
            && needs_single_image(&node.op)
        {
            return Err(Error::unsupported(format!("a batch of {n} images; export the model with batch 1")));
        }
        let int8 = self.runs_in_int8(node);
        if let (Some(collected), true) = (&self.collects[at], self.copies_channels(at)) {
            let runs = collected.runs.clone();
            movers::collect(self, at, node, &runs)
        } else if movers::is_mover(&node.op) {
            let dtype = if int8 { DType::I8 } else { DType::F32 };
            movers::lower(self, node, dtype)
        } else if int8 {
            int8::lower(self, at, node)
        } else if dynamic::fits(self, node) {
            dynamic::lower(self, node)
        } else {
            real::lower(self, at, node)
        }
    }

    fn input(&mut self, id: ValueId) -> Port {
        let loc = self.place(id, self.native[id.index()]);
        self.port(id, loc)
    }

    fn output(&mut self, id: ValueId) -> Result<Port> {
        let loc = self.read(id, DType::F32)?;
        self.buffers[loc.buffer].last = usize::MAX;
        Ok(self.port(id, loc))
    }

    fn port(&self, id: ValueId, loc: Loc) -> Port {
        let value = self.graph.value(id);
        let quant: Option<Quant> = (loc.dtype == DType::I8).then(|| self.grids.of(id)).flatten();
        Port { name: value.name.clone(), shape: value.shape.clone(), loc, quant }
    }

    fn finish(mut self, inputs: Vec<Port>, outputs: Vec<Port>) -> Result<Plan> {
        let groups = group::groups(&self.steps);
        group::extend(&mut self.buffers, &groups);
        let layout = arena::plan(&self.buffers, self.options.reuse)?;
        Ok(Plan { steps: self.steps, groups, layout, constants: self.constants, inputs, outputs })
    }
}

/// Operators whose kernels see one image.
fn needs_single_image(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv { .. }
            | Op::ConvTranspose { .. }
            | Op::Pool { .. }
            | Op::AdaptivePool { .. }
            | Op::Resize { .. }
    )
}
