//! The walk over the nodes, and what all of them share: blobs of values, their dimensions, layers in a row.

use super::NcnnOptions;
use super::elementwise::activation_steps;
use super::layer::{Blob, Layer, Network, Params, Step, unsupported};
use super::links::Links;
use super::picks::Picks;
use super::shape;
use crate::error::{Error, Result};
use ocellus::graph::{Graph, Node, Op, ValueId};
use std::collections::HashMap;

/// Most dimensions of a blob.
const RANK_MAX: usize = 4;

/// Dimensions of a blob, outermost first: at the graph's input size and at the other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dims {
    /// At the graph's own size.
    pub(super) here: Vec<usize>,
    /// At the other size; the same where there is none.
    pub(super) there: Vec<usize>,
}

/// The network so far, and where its pieces are.
pub(super) struct Writer<'a> {
    pub(super) graph: &'a Graph,
    pub(super) other: &'a Graph,
    pub(super) options: &'a NcnnOptions<'a>,
    pub(super) links: Links,
    pub(super) picks: Picks,
    network: Network,
    blobs: HashMap<ValueId, Blob>,
    /// Names of the layers of weighted nodes, which calibration tables and options speak of.
    reserved: HashMap<usize, String>,
    /// Shuffled values by their group.
    pub(super) shuffled: HashMap<(ValueId, usize), Blob>,
}

/// All layers of the graph.
pub(super) fn write(graph: &Graph, options: &NcnnOptions) -> Result<Network> {
    let other = options.other_size.unwrap_or(graph);
    check_alike(graph, other)?;
    let links = Links::of(graph);
    let mut writer = Writer {
        graph,
        other,
        options,
        picks: Picks::of(graph, &links),
        links,
        network: Network::default(),
        blobs: HashMap::new(),
        reserved: HashMap::new(),
        shuffled: HashMap::new(),
    };
    writer.reserve_names();
    writer.inputs()?;
    for (at, node) in graph.nodes.iter().enumerate() {
        if writer.links.live[at] && !writer.blobs.contains_key(&node.output) {
            writer.checked_node(at, node).map_err(|e| at_node(e, node))?;
        }
    }
    writer.finish()
}

/// Whether two graphs are one network at two input sizes.
fn check_alike(graph: &Graph, other: &Graph) -> Result<()> {
    let same_node = |(a, b): (&Node, &Node)| {
        (&a.name, &a.inputs, a.output, a.op.name()) == (&b.name, &b.inputs, b.output, b.op.name())
    };
    let same = graph.nodes.len() == other.nodes.len()
        && graph.values().len() == other.values().len()
        && graph.nodes.iter().zip(&other.nodes).all(same_node);
    if same {
        Ok(())
    } else {
        Err(Error::Usage("the network has other nodes at the other input size".into()))
    }
}

/// Says which node an error is about.
fn at_node(error: Error, node: &Node) -> Error {
    match error {
        Error::Runtime(e) => {
            Error::Runtime(e.at(|place| place.node = Some(format!("{} {}", node.op.name(), node.name))))
        }
        other => other,
    }
}

/// Dimensions that a shape has as a blob: all but a batch of one.
fn blob_dims(dims: &[usize]) -> Vec<usize> {
    match dims {
        [] => vec![1],
        [1, rest @ ..] if !rest.is_empty() => rest.to_vec(),
        _ => dims.to_vec(),
    }
}

impl<'a> Writer<'a> {
    fn reserve_names(&mut self) {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let weighted = matches!(node.op, Op::Conv { .. } | Op::ConvTranspose { .. } | Op::Linear { .. });
            if weighted && self.links.live[at] {
                self.reserved.insert(at, self.network.names.unique(&node.name));
            }
        }
    }

    /// The Input layers, with the graph's size: what it is where nobody asks for another.
    fn inputs(&mut self) -> Result<()> {
        for &id in &self.graph.inputs {
            let dims = self.dims(id)?;
            let ids = shape::ids(dims.here.len());
            let mut params = Params::default();
            for (axis, &param) in ids.iter().enumerate().rev() {
                params = params.int(param, dims.here[axis]);
            }
            let wish = self.graph.value(id).name.clone();
            let name = self.network.names.unique(&wish);
            let made = self.layer(name, Step::new("Input", params), Vec::new(), vec![wish]);
            self.blobs.insert(id, made[0]);
        }
        Ok(())
    }

    fn checked_node(&mut self, at: usize, node: &Node) -> Result<()> {
        // These see to the differences between the two sizes themselves.
        let sized =
            matches!(node.op, Op::Reshape { .. } | Op::Resize { .. } | Op::Pool { .. } | Op::Slice { .. });
        if !sized && self.options.other_size.is_some_and(|other| node.op != other.nodes[at].op) {
            return self.depends_on_size();
        }
        self.node(at, node)
    }

    /// The error for what the files cannot leave open.
    pub(super) fn depends_on_size<T>(&self) -> Result<T> {
        unsupported("it depends on the input's size")
    }

    fn node(&mut self, at: usize, node: &Node) -> Result<()> {
        match &node.op {
            Op::Conv { window, groups, activation } => self.conv(at, node, window, *groups, *activation),
            Op::ConvTranspose { window, output_pad, groups, activation } => {
                self.conv_transpose(at, node, window, (*output_pad, *groups), *activation)
            }
            Op::Linear { activation } => self.linear(at, node, *activation),
            Op::Pool { .. } => self.pool(at, node),
            Op::AdaptivePool { kind, output } => self.adaptive_pool(at, node, *kind, *output),
            Op::Unary(unary) => self.chain_one(at, node, activation_steps(*unary)?),
            Op::PRelu => self.prelu(at, node),
            Op::ChannelAffine => self.channel_affine(at, node),
            Op::Binary { kind, activation } => self.binary(at, node, *kind, *activation),
            Op::Concat { axis } => self.concat(at, node, *axis),
            Op::Slice { .. } | Op::Gather { .. } => self.pick(at, node),
            Op::Transpose { perm } => self.transpose(at, node, perm),
            Op::Reshape { .. } => {
                let step = self.reshape_step(&self.dims(node.inputs[0])?, &self.dims(node.output)?)?;
                self.chain_one(at, node, vec![step])
            }
            Op::Resize { .. } => self.resize(at, node),
            Op::Pad { before, after, value } => self.pad(at, node, before, after, *value),
            Op::Softmax { axis } => {
                let params = Params::default().int(0, self.axis(node, *axis)?).int(1, 1);
                self.chain_one(at, node, vec![Step::new("Softmax", params)])
            }
            Op::Reduce { kind, axes } => self.reduce(at, node, *kind, axes),
            Op::Focus => self.chain_one(at, node, vec![Step::new("YoloV5Focus", Params::default())]),
            Op::FakeQuant(_) => unsupported("it has an int8 grid; the network must be float"),
        }
    }

    /// Dimensions of a value's blob.
    pub(super) fn dims(&self, id: ValueId) -> Result<Dims> {
        let [here, there] = [self.graph, self.other].map(|graph| blob_dims(graph.shape(id).dims()));
        if here.len() != there.len() {
            return self.depends_on_size();
        }
        if here.len() > RANK_MAX || here.contains(&0) {
            return unsupported(format!("a value has the shape {}", self.graph.shape(id)));
        }
        Ok(Dims { here, there })
    }

    /// Number of leading dimensions that a value has and its blob has not.
    pub(super) fn lead(&self, id: ValueId) -> usize {
        let dims = self.graph.shape(id).dims();
        usize::from(dims.len() > 1 && dims[0] == 1)
    }

    /// The axis of blobs that is `axis` of the node's first operand and of its result.
    pub(super) fn axis(&self, node: &Node, axis: usize) -> Result<usize> {
        let lead = self.lead(node.inputs[0]);
        match axis.checked_sub(lead) {
            Some(axis) if self.lead(node.output) == lead => Ok(axis),
            _ => unsupported("it works across the batch"),
        }
    }

    /// Channels, rows and columns of an image of batch 1.
    pub(super) fn image(&self, id: ValueId) -> Result<[usize; 3]> {
        match self.graph.shape(id).nchw() {
            Some([1, c, h, w]) => Ok([c, h, w]),
            _ => unsupported(format!("it reads {}, no single image", self.graph.shape(id))),
        }
    }

    /// Elements of a constant operand.
    pub(super) fn parameter(&self, node: &Node, i: usize) -> Result<Vec<f32>> {
        match node.inputs.get(i).and_then(|&id| self.graph.constant(id)) {
            Some(tensor) => Ok(tensor.to_f32()),
            None => unsupported(format!("its operand {i} is no constant")),
        }
    }

    /// The blob of a value; a constant becomes a layer of its own.
    pub(super) fn blob(&mut self, id: ValueId) -> Result<Blob> {
        if let Some(&blob) = self.blobs.get(&id) {
            return Ok(blob);
        }
        let dims = self.dims(id)?;
        let blob = self.memory(id, &dims)?;
        self.blobs.insert(id, blob);
        Ok(blob)
    }

    /// Whether a value's blob exists.
    pub(super) fn is_made(&self, id: ValueId) -> bool {
        self.blobs.contains_key(&id)
    }

    /// Makes `blob` that of a value.
    pub(super) fn define(&mut self, id: ValueId, blob: Blob) {
        self.blobs.insert(id, blob);
    }

    /// Adds a layer; its outputs are blobs that would like the names `wishes`.
    pub(super) fn layer(
        &mut self,
        name: String,
        step: Step,
        inputs: Vec<Blob>,
        wishes: Vec<String>,
    ) -> Vec<Blob> {
        let first = self.network.blobs.len();
        self.network.blobs.extend(wishes);
        let outputs: Vec<Blob> = (first..self.network.blobs.len()).collect();
        self.network.layers.push(Layer { name, step, inputs, outputs: outputs.clone() });
        outputs
    }

    /// A layer name like `wish`.
    pub(super) fn layer_name(&mut self, wish: &str) -> String {
        self.network.names.unique(wish)
    }

    /// Layers one behind the other, from `start` to the node's output. The weighted one among them, or else
    /// the first, has the node's name.
    pub(super) fn chain(&mut self, at: usize, node: &Node, start: Vec<Blob>, steps: Vec<Step>) -> Result<()> {
        let main = steps.iter().position(Step::is_weighted).unwrap_or(0);
        let last = steps.len().saturating_sub(1);
        let value = self.graph.value(node.output).name.clone();
        let mut reserved = self.reserved.remove(&at);
        let mut running = start;
        for (i, step) in steps.into_iter().enumerate() {
            let name = match i == main {
                true => reserved.take().unwrap_or_else(|| self.layer_name(&node.name)),
                false => self.layer_name(&format!("{}_{}", node.name, step.kind.to_lowercase())),
            };
            let wish = if i == last { value.clone() } else { format!("{value}/{i}") };
            running = self.layer(name, step, running, vec![wish]);
        }
        self.blobs.insert(node.output, running[0]);
        Ok(())
    }

    /// [`Self::chain`] from the node's first operand.
    pub(super) fn chain_one(&mut self, at: usize, node: &Node, steps: Vec<Step>) -> Result<()> {
        let start = self.blob(node.inputs[0])?;
        self.chain(at, node, vec![start], steps)
    }

    fn finish(mut self) -> Result<Network> {
        for (i, id) in self.graph.outputs.iter().enumerate() {
            if self.graph.outputs[..i].contains(id) {
                continue;
            }
            let name = self.graph.value(*id).name.clone();
            let blob = self.blob(*id)?;
            self.network.outputs.push((blob, name));
        }
        Ok(self.network)
    }
}
