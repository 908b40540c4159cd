//! A training step of a network: outputs of a batch, and gradients of its parameters from those of the outputs.

use super::device::{Device, numbers};
use super::held::{Held, Value};
use super::kernels::{
    BiasAct, Codes, Dense, Depthwise, Extent, Gate, MaxPool, Mean, NormAct, Pick, Pointwise, Statistics, Sum,
    Upsample,
};
use super::network::{After, Layer, Meeting, Network, Weights, binary_of};
use super::portable;
use super::tape::{Shared, apply};
use burn::tensor::{Tensor, TensorData};
use ocellus::graph::{Node, Op, Unary, ValueId};
use std::sync::{Arc, OnceLock};

pub use crate::pytorch::EPSILON;

/// An output of a batch, `[C, N, H, W]`.
#[derive(Clone, Debug)]
pub struct Map {
    /// Its extents.
    pub extent: Extent,
    /// Its numbers.
    pub values: Vec<f32>,
}

/// A batch that has gone through the network.
pub struct Pass {
    parameters: Vec<Tensor<4>>,
    outputs: Vec<Tensor<4>>,
    norms: Vec<Normed>,
}

/// A batch normalization that has run.
struct Normed {
    kernel: Arc<NormAct>,
    /// What was normalized, where the kernel has not seen it.
    input: Option<Tensor<4>>,
}

impl Pass {
    /// Sends a batch of pictures `[N, rows, columns, 3]` through the network; parameters get gradients.
    pub fn new(network: &Network, weights: &Weights, images: &[u8], device: &Device) -> Self {
        let leaf = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [values.len(), 1, 1, 1]);
            Tensor::<4>::from_data(data, device.tensors()).require_grad()
        };
        let parameters: Vec<_> = weights.parameters.iter().map(|p| leaf(&p.values)).collect();
        let values = vec![None; network.graph.values().len()];
        let mut run = Run { network, device, parameters, values, norms: Vec::new() };
        let input = network.graph.inputs[0];
        let picture = network.graph.shape(input).elements();
        let [_, _, rows, columns] = network.graph.shape(input).nchw().expect("the input is a picture");
        let extent = Extent { channels: 3, images: images.len() / picture, rows, columns };
        let data = TensorData::new(planes(images), [3, extent.images, rows, columns]);
        let pictures = Tensor::from_data(data, device.tensors());
        run.values[input.index()] = Some(Held::Whole(Box::new((pictures, extent))));
        for (at, node) in network.graph.nodes.iter().enumerate() {
            run.node(at, node);
        }
        let outputs = network.graph.outputs.iter().map(|id| run.value(*id).0).collect();
        Pass { parameters: run.parameters, outputs, norms: run.norms }
    }

    /// The outputs, in the order of the graph.
    pub fn maps(&self) -> Vec<Map> {
        let map = |(tensor, values): (&Tensor<4>, Vec<f32>)| {
            let [channels, images, rows, columns] = tensor.dims();
            Map { extent: Extent { channels, images, rows, columns }, values }
        };
        self.outputs.iter().zip(numbers(self.outputs.clone())).map(map).collect()
    }

    /// The statistics of the batch, of each batch normalization, and how many numbers they are of.
    pub fn statistics(&self) -> Vec<(Statistics, usize)> {
        let inputs: Vec<_> = self.norms.iter().filter_map(|norm| norm.input.clone()).collect();
        let mut computed = portable::statistics(&inputs).into_iter();
        let of = |Normed { kernel, .. }: &Normed| {
            let noted = kernel.statistics.get().cloned();
            let statistics = noted.or_else(|| computed.next()).expect("the pass has run");
            (statistics, kernel.input.channel())
        };
        self.norms.iter().map(of).collect()
    }

    /// Gradients of the parameters from those of the outputs.
    pub fn backward(self, gradients: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        let weighted = |(output, gradient): (Tensor<4>, Vec<f32>)| {
            let data = TensorData::new(gradient, output.dims());
            let gradient = Tensor::<4>::from_data(data, &output.device());
            (output * gradient).sum()
        };
        // The sum of outputs times constants has these constants as gradients.
        let sums = self.outputs.into_iter().zip(gradients).map(weighted);
        let sum = sums.reduce(|a, b| a + b).expect("a network has outputs");
        let gradients = sum.backward();
        let of = |parameter: &Tensor<4>| {
            parameter.grad(&gradients).unwrap_or_else(|| parameter.zeros_like().inner())
        };
        numbers(self.parameters.iter().map(of))
    }
}

/// Pictures of interleaved bytes as planes of numbers in 0..1, `[3, N, H, W]`.
fn planes(images: &[u8]) -> Vec<f32> {
    (0..3).flat_map(|c| images.iter().skip(c).step_by(3).map(|&byte| f32::from(byte) / 255.0)).collect()
}

struct Run<'a> {
    network: &'a Network,
    device: &'a Device,
    parameters: Vec<Tensor<4>>,
    values: Vec<Option<Held>>,
    norms: Vec<Normed>,
}

impl Run<'_> {
    fn held(&self, id: ValueId) -> Held {
        self.values[id.index()].clone().expect("nodes are in topological order")
    }

    /// A value as a tensor.
    fn value(&mut self, id: ValueId) -> Value {
        let value = match self.held(id) {
            Held::Whole(value) => return *value,
            Held::Channels(tensors, from) => {
                let kernel = Pick { inputs: tensors.iter().map(|value| value.1).collect(), from };
                let tensors: Vec<_> = tensors.iter().map(|value| &value.0).collect();
                self.made(Arc::new(kernel), &tensors)
            }
        };
        self.values[id.index()] = Some(Held::Whole(Box::new(value.clone())));
        value
    }

    /// What a kernel makes of tensors.
    fn made(&self, kernel: Shared, inputs: &[&Tensor<4>]) -> Value {
        let extent = kernel.output();
        match self.device.has_kernels() {
            true => (apply(kernel, inputs), extent),
            false => (kernel.tensors(inputs), extent),
        }
    }

    fn node(&mut self, at: usize, node: &Node) {
        let held = match &node.op {
            Op::Concat { .. } => self.concat(node),
            Op::Slice { start, count, .. } => self.pick(node, start[1]..start[1] + count[1]),
            Op::Gather { indices, .. } => self.pick(node, indices.iter().copied()),
            _ => Held::Whole(Box::new(self.computed(at, node))),
        };
        self.values[node.output.index()] = Some(held);
    }

    fn concat(&mut self, node: &Node) -> Held {
        let parts: Vec<Value> = node.inputs.iter().map(|&id| self.value(id)).collect();
        let from = parts.iter().enumerate().flat_map(|(i, part)| (0..part.1.channels).map(move |c| (i, c)));
        let from = from.collect();
        Held::Channels(parts, from)
    }

    fn pick(&self, node: &Node, channels: impl Iterator<Item = usize>) -> Held {
        let (tensors, from) = self.held(node.inputs[0]).channels();
        Held::Channels(tensors, channels.map(|c| from[c]).collect())
    }

    fn computed(&mut self, at: usize, node: &Node) -> Value {
        let (x, input) = self.value(node.inputs[0]);
        match &node.op {
            Op::Conv { activation, .. } => {
                let layer = self.network.layers[at].expect("every convolution has a layer");
                let sum = self.conv((&x, input), node, layer);
                self.after(sum, layer.after, *activation)
            }
            Op::Pool { window, .. } => self.made(Arc::new(MaxPool::new(input, window)), &[&x]),
            Op::FakeQuant(quant) => {
                let zero = f32::from(quant.zero_point);
                let bounds = [f32::from(i8::MIN) - zero, f32::from(i8::MAX) - zero];
                let codes = Codes { input, scales: vec![quant.scale], bounds };
                self.rounded(codes, &x, self.network.factors[at])
            }
            Op::Unary(function) => self.act((x, input), Some(*function)),
            Op::Binary { activation, .. } => {
                let (y, other) = self.value(node.inputs[1]);
                let sum = match binary_of(&self.network.graph, node) {
                    Some(Meeting::Gate(0)) => self.made(Arc::new(Gate { input: other }), &[&y, &x]),
                    Some(Meeting::Gate(_)) => self.made(Arc::new(Gate { input }), &[&x, &y]),
                    _ => self.made(Arc::new(Sum { input }), &[&x, &y]),
                };
                self.act(sum, *activation)
            }
            Op::Resize { output, .. } => {
                let factor = [output[0] / input.rows, output[1] / input.columns];
                self.made(Arc::new(Upsample { input, factor }), &[&x])
            }
            Op::Reduce { .. } => self.made(Arc::new(Mean { input }), &[&x]),
            other => unreachable!("{} was refused when the network was read", other.name()),
        }
    }

    fn conv(&self, (x, input): (&Tensor<4>, Extent), node: &Node, layer: Layer) -> Value {
        let Op::Conv { window, groups, .. } = &node.op else { unreachable!("the caller has looked") };
        let shape = self.network.graph.shape(node.output);
        let output = Extent { channels: shape[1], rows: shape[2], columns: shape[3], ..input };
        let plain = window.kernel == [1; 2] && window.stride == [1; 2] && window.pad == [0; 4];
        let kernel: Shared = match (*groups, plain) {
            (1, true) => Arc::new(Pointwise { input, out: output.channels }),
            (1, false) => Arc::new(Dense::new(input, output, window.clone())),
            _ => Arc::new(Depthwise::new(input, window)),
        };
        let parameter = &self.parameters[layer.weights];
        match layer.grid.map(|grid| &self.network.grids[grid]) {
            None => self.made(kernel, &[x, parameter]),
            Some(grid) => {
                let input = Extent { channels: parameter.dims()[0], images: 1, rows: 1, columns: 1 };
                let bound = f32::from(grid.code_max);
                let codes = Codes { input, scales: grid.scales.clone(), bounds: [-bound, bound] };
                let rounded = self.rounded(codes, parameter, grid.factors);
                self.made(kernel, &[x, &rounded.0])
            }
        }
    }

    /// What codes make of numbers, with `factors` of the scales, if these are learned.
    fn rounded(&self, codes: Codes, numbers: &Tensor<4>, factors: Option<usize>) -> Value {
        match factors {
            Some(factors) => self.made(Arc::new(codes), &[numbers, &self.parameters[factors]]),
            None => self.made(Arc::new(codes), &[numbers]),
        }
    }

    fn after(&mut self, (sum, input): Value, after: After, activation: Option<Unary>) -> Value {
        match after {
            After::Nothing => self.act((sum, input), activation),
            After::Bias(bias) => {
                self.made(Arc::new(BiasAct { input, activation }), &[&sum, &self.parameters[bias]])
            }
            After::Norm { scale, .. } => {
                let norm = NormAct { input, epsilon: EPSILON, activation, statistics: OnceLock::new() };
                let kernel = Arc::new(norm);
                let unseen = (!self.device.has_kernels()).then(|| sum.clone());
                self.norms.push(Normed { kernel: kernel.clone(), input: unseen });
                self.made(kernel, &[&sum, &self.parameters[scale], &self.parameters[scale + 1]])
            }
        }
    }

    fn act(&self, (x, input): Value, activation: Option<Unary>) -> Value {
        match activation {
            None => (x, input),
            _ => self.made(Arc::new(BiasAct { input, activation }), &[&x]),
        }
    }
}
