//! What is trained: the graph, and the numbers that belong to its layers.

use super::kernels::learned;
use crate::error::{Error, Result};
use ocellus::graph::{Graph, Node, Op, PoolKind, ReduceKind, ResizeMode, Unary};
use ocellus::tensor::Data;
use std::collections::BTreeMap;

/// What a parameter is, by how it is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Weights of a convolution: these decay.
    Weights,
    /// Scales of a batch normalization.
    Scale,
    /// Biases and shifts.
    Bias,
}

/// Trained numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The node that it belongs to, and what it is there.
    pub name: String,
    /// How it is trained.
    pub kind: Kind,
    /// The numbers; weights as `[O, C/groups, kh, kw]`.
    pub values: Vec<f32>,
}

/// Moving means of a batch normalization's statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Means of the channels.
    pub mean: Vec<f32>,
    /// Variances of the channels (unbiased).
    pub variance: Vec<f32>,
}

/// All numbers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// In the order of the nodes.
    pub parameters: Vec<Parameter>,
    /// One for each batch normalization, in the order of the nodes.
    pub running: Vec<Running>,
}

/// What stands behind a convolution's sum; numbers are places in [`Weights`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// A bias.
    Bias(usize),
    /// Batch normalization.
    Norm {
        /// Scale; the shift is the next parameter.
        scale: usize,
        /// Statistics.
        running: usize,
    },
}

/// A convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its weights, a place in [`Weights::parameters`].
    pub weights: usize,
    /// What stands behind it.
    pub after: After,
    /// If its weights are int8, their grid: a place in [`Network::grids`].
    pub grid: Option<usize>,
    /// Whether its authors train it as several convolutions beside each other: RepVGG's block.
    pub branches: bool,
}

/// The grid of int8 weights.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightGrid {
    /// One for each output channel.
    pub scales: Vec<f32>,
    /// The largest code: 127, or less where weights have fewer bits.
    pub code_max: i8,
    /// If the scales are learned, the logarithms of their factors: a place in [`Weights::parameters`].
    pub factors: Option<usize>,
}

impl WeightGrid {
    /// The scales after what was learned.
    pub fn scales(&self, weights: &Weights) -> Vec<f32> {
        let factors = self.factors.map(|at| &weights.parameters[at].values);
        let factor = |i: usize| factors.map_or(0.0, |factors| factors[i]);
        self.scales.iter().enumerate().map(|(i, &scale)| learned(scale, factor(i))).collect()
    }
}

/// A network to be trained.
#[derive(Clone, Debug)]
pub struct Network {
    /// Its graph; the weights in it are those at the start.
    pub graph: Graph,
    /// Of each node that is a convolution.
    pub layers: Vec<Option<Layer>>,
    /// Grids of int8 weights.
    pub grids: Vec<WeightGrid>,
    /// Of each node that rounds a tensor to codes whose scale is learned, the logarithm of its factor: a place in
    /// [`Weights::parameters`].
    pub factors: Vec<Option<usize>>,
}

/// What is put behind convolutions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Norms {
    /// A batch normalization behind all but those that make outputs, or a number per channel.
    Added,
    /// Nothing.
    None,
}

impl Network {
    /// A network of a graph, and its numbers as the graph has them; with a batch normalization behind every convolution
    /// but those that make outputs, or a number per channel.
    ///
    /// # Errors
    /// The graph holds an operator that cannot be trained through; the message names it.
    pub fn new(graph: Graph) -> Result<(Self, Weights)> {
        Network::of(graph, Norms::Added)
    }

    /// A network of a graph that was trained before, float or int8: it computes what the graph does, and int8 weights stay
    /// on their grids.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn trained(graph: Graph) -> Result<(Self, Weights)> {
        Network::of(graph, Norms::None)
    }

    fn of(graph: Graph, norms: Norms) -> Result<(Self, Weights)> {
        let mut layers = Vec::with_capacity(graph.nodes.len());
        let mut weights = Weights { parameters: Vec::new(), running: Vec::new() };
        let mut grids = Vec::new();
        for node in &graph.nodes {
            let named = |e: ocellus::Error| e.at(|place| place.node = Some(node.name.clone()));
            check(&graph, node).map_err(named)?;
            let is_conv = matches!(node.op, Op::Conv { .. });
            layers.push(match is_conv {
                true => Some(add_layer(&graph, node, norms, &mut weights, &mut grids).map_err(named)?),
                false => None,
            });
        }
        if weights.parameters.is_empty() {
            return Err(Error::Runtime(ocellus::Error::bad_model("the network has no convolution to train")));
        }
        let factors = vec![None; graph.nodes.len()];
        Ok((Network { graph, layers, grids, factors }, weights))
    }

    /// Has the scales of codes be learned, too, of weights and of what goes from layer to layer. They begin as they are; equal
    /// grids stay equal, since what only moves codes (a shuffle, the maximum of a window) can do so between equal ones alone.
    pub fn learn_scales(&mut self, weights: &mut Weights) {
        let parameters = &mut weights.parameters;
        let mut add = |node: &Node, what: &str, count| {
            let name = format!("{}.{what}", node.name);
            parameters.push(Parameter { name, kind: Kind::Scale, values: vec![0.0; count] });
            Some(parameters.len() - 1)
        };
        let mut seen = BTreeMap::new();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if let Some(grid) = self.layers[at].and_then(|layer| layer.grid) {
                let grid = &mut self.grids[grid];
                grid.factors = add(node, "weight scales", grid.scales.len());
            } else if let Op::FakeQuant(quant) = node.op {
                let grid = (quant.scale.to_bits(), quant.zero_point);
                self.factors[at] = *seen.entry(grid).or_insert_with(|| add(node, "scale", 1));
            }
        }
    }
}

fn add_layer(
    graph: &Graph,
    node: &Node,
    norms: Norms,
    weights: &mut Weights,
    grids: &mut Vec<WeightGrid>,
) -> ocellus::Result<Layer> {
    let tensor = |operand: usize| {
        let constant = graph.constant(node.inputs[operand]);
        constant.ok_or_else(|| ocellus::Error::unsupported("weights that are not constant cannot be trained"))
    };
    let numbers = |operand: usize| tensor(operand).map(|tensor| tensor.to_f32());
    let grid = match tensor(1)?.data() {
        Data::Q8 { codes, scales } => {
            let code_max = codes.iter().map(|code| code.saturating_abs()).max().unwrap_or(0).max(1);
            grids.push(WeightGrid { scales: scales.clone(), code_max, factors: None });
            Some(grids.len() - 1)
        }
        _ => None,
    };
    let channels = graph.shape(node.output)[1];
    let parameters = &mut weights.parameters;
    let mut add = |what: &str, kind, values| {
        parameters.push(Parameter { name: format!("{}.{what}", node.name), kind, values });
        parameters.len() - 1
    };
    let at = add("weights", Kind::Weights, numbers(1)?);
    let [_, _, rows, columns] = graph.shape(node.output).nchw().expect("a convolution makes images");
    let normed = norms == Norms::Added && !graph.outputs.contains(&node.output) && (rows, columns) != (1, 1);
    let after = if normed {
        let scale = add("scale", Kind::Scale, vec![1.0; channels]);
        add("shift", Kind::Bias, vec![0.0; channels]);
        weights.running.push(Running { mean: vec![0.0; channels], variance: vec![1.0; channels] });
        After::Norm { scale, running: weights.running.len() - 1 }
    } else if node.inputs.len() > 2 {
        After::Bias(add("bias", Kind::Bias, numbers(2)?))
    } else {
        After::Nothing
    };
    Ok(Layer { weights: at, after, grid, branches: false })
}

/// Refuses what the executor cannot run.
fn check(graph: &Graph, node: &Node) -> ocellus::Result<()> {
    let refuse = |what: &str| {
        Err(ocellus::Error::unsupported(format!("{}: {what} cannot be trained through", node.op.name())))
    };
    let whole_dims = |keep: &[usize]| {
        let (before, after) = (graph.shape(node.inputs[0]).dims(), graph.shape(node.output).dims());
        before.len() == 4 && keep.iter().all(|&axis| before[axis] == after[axis])
    };
    match &node.op {
        Op::Conv { window, groups, activation } => {
            let [channels, out] = [graph.shape(node.inputs[0])[1], graph.shape(node.output)[1]];
            match (known(*activation), *groups) {
                (false, _) => refuse("its activation"),
                (_, 1) => Ok(()),
                (_, groups) if groups == channels && channels == out && window.dilation == [1; 2] => Ok(()),
                _ => refuse("a convolution in groups that is not depthwise"),
            }
        }
        Op::FakeQuant(_) => Ok(()),
        Op::Pool { kind: PoolKind::Max, window, .. } if window.dilation == [1; 2] => Ok(()),
        Op::Unary(activation) if known(Some(*activation)) => Ok(()),
        Op::Binary { activation, .. } if !known(*activation) => refuse("its activation"),
        Op::Binary { .. } => binary_of(graph, node).map(|_| ()).map_or_else(|| refuse("its operands"), Ok),
        Op::Concat { axis: 1 } if node.inputs.len() <= 4 => Ok(()),
        Op::Slice { step, .. } if whole_dims(&[0, 2, 3]) && step[1] == 1 => Ok(()),
        Op::Gather { axis: 1, .. } if whole_dims(&[0, 2, 3]) => Ok(()),
        Op::Resize { mode: ResizeMode::Nearest, .. } => {
            let (before, after) = (graph.shape(node.inputs[0]), graph.shape(node.output));
            let whole = (2..4).all(|axis| after[axis] % before[axis] == 0);
            if whole { Ok(()) } else { refuse("a factor that is not whole") }
        }
        Op::Reduce { kind: ReduceKind::Mean, axes } if axes == &[2, 3] => Ok(()),
        _ => refuse("it"),
    }
}

fn known(activation: Option<Unary>) -> bool {
    super::kernels::known(activation)
}

/// How two tensors meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Element by element, added.
    Sum,
    /// The operand of this place is a factor per channel, `[1,C,1,1]`, of the other.
    Gate(usize),
}

/// How the operands of a binary operator meet; `None`: in a way that is not trained.
pub fn binary_of(graph: &Graph, node: &Node) -> Option<Meeting> {
    use ocellus::graph::Binary::{Add, Mul};
    let Op::Binary { kind, .. } = node.op else { return None };
    let [a, b] = [0, 1].map(|i| graph.shape(node.inputs[i]));
    if node.inputs.iter().any(|&id| graph.constant(id).is_some()) || a.rank() != 4 || b.rank() != 4 {
        return None;
    }
    let factor =
        |x: &ocellus::tensor::Shape, y: &ocellus::tensor::Shape| x[1] == y[1] && x[2] == 1 && x[3] == 1;
    match kind {
        Add if a == b => Some(Meeting::Sum),
        Mul if factor(b, a) => Some(Meeting::Gate(1)),
        Mul if factor(a, b) => Some(Meeting::Gate(0)),
        _ => None,
    }
}
