//! Convolution, Deconvolution, InnerProduct and their grouped forms, float and int8.

use super::NcnnInt8;
use super::bin;
use super::elementwise::{following, fused};
use super::layer::{INT8_TERM, Params, Step, unsupported};
use super::window::{dilation, window_params};
use super::writer::{Dims, Writer};
use crate::error::{Error, Result};
use ocellus::graph::{Node, Unary, WindowAttrs};

/// Parameter 8 of a layer with a weight scale per output channel, and of one with a scale per group.
const SCALE_PER_CHANNEL: usize = 2;
const SCALE_PER_GROUP: usize = 1;

/// Ids of kernel, stride and padding in the convolutions.
const WINDOW: [[usize; 2]; 2] = [[11, 1], [13, 3]];
const PAD: [usize; 4] = [14, 4, 16, 15];

/// Weights and bias of a layer, and the parameters that depend on them.
struct Weights {
    params: Params,
    bytes: Vec<u8>,
    int8: Option<f32>,
}

/// Adds the activation if the layer can apply it; what it cannot is returned.
fn activate(params: Params, activation: Option<Unary>) -> (Params, Option<Unary>) {
    match activation.and_then(fused) {
        Some((number, values)) => (params.int(9, number).floats(10, values), None),
        None => (params, activation),
    }
}

impl Writer<'_> {
    pub(super) fn conv(
        &mut self,
        at: usize,
        node: &Node,
        window: &WindowAttrs,
        groups: usize,
        activation: Option<Unary>,
    ) -> Result<()> {
        self.image(node.inputs[0])?;
        let outputs = self.graph.shape(node.inputs[1])[0];
        let (kind, scales, term) = match groups {
            1 => ("Convolution", outputs, SCALE_PER_CHANNEL),
            _ => ("ConvolutionDepthWise", groups, SCALE_PER_GROUP),
        };
        let params = window_params(Params::default().int(0, outputs), window, WINDOW, PAD);
        let params = dilation(params, window);
        let weights = self.weights(node, params, [5, 6], (scales, term))?;
        let params = weights.params.int_unless(7, groups, 1);
        let (params, left) = activate(params, activation);
        let step = Step { kind, params, weights: weights.bytes, int8: weights.int8 };
        self.chain_one(at, node, [vec![step], following(left)?].concat())
    }

    pub(super) fn conv_transpose(
        &mut self,
        at: usize,
        node: &Node,
        window: &WindowAttrs,
        (output_pad, groups): ([usize; 2], usize),
        activation: Option<Unary>,
    ) -> Result<()> {
        self.image(node.inputs[0])?;
        if self.options.int8.contains_key(&node.name) {
            return unsupported("it is an int8 transposed convolution");
        }
        let shape = self.graph.shape(node.inputs[1]);
        let (inputs, per_group) = (shape[0] / groups, shape[1]);
        let kind = if groups == 1 { "Deconvolution" } else { "DeconvolutionDepthWise" };
        let weights = self.parameter(node, 1)?;
        let ordered = outputs_first(&weights, groups, inputs, per_group);
        let mut bytes = bin::weights(&ordered, self.options.half);
        let params = Params::default().int(0, per_group * groups);
        let mut params = dilation(window_params(params, window, WINDOW, PAD), window);
        if node.inputs.len() > 2 {
            params = params.int(5, 1);
            bytes.extend(bin::reals(&self.parameter(node, 2)?));
        }
        let params = params.int(6, weights.len()).int_unless(7, groups, 1);
        let params = params.int_unless(18, output_pad[1], 0).int_unless(19, output_pad[0], output_pad[1]);
        let (params, left) = activate(params, activation);
        let step = Step { kind, params, weights: bytes, int8: None };
        self.chain_one(at, node, [vec![step], following(left)?].concat())
    }

    /// InnerProduct, which takes a vector or the rows of a matrix; anything else is reshaped to rows.
    pub(super) fn linear(&mut self, at: usize, node: &Node, activation: Option<Unary>) -> Result<()> {
        let outputs = self.graph.shape(node.inputs[1])[0];
        let params = Params::default().int(0, outputs);
        let weights = self.weights(node, params, [1, 2], (outputs, SCALE_PER_CHANNEL))?;
        let (params, left) = activate(weights.params, activation);
        let product = Step { kind: "InnerProduct", params, weights: weights.bytes, int8: weights.int8 };
        let (from, to) = (self.dims(node.inputs[0])?, self.dims(node.output)?);
        let [flat_from, flat_to] = [rows(&from), rows(&to)];
        let mut steps = Vec::new();
        if flat_from != from {
            steps.push(self.reshape_step(&from, &flat_from)?);
        }
        steps.push(product);
        steps.extend(following(left)?);
        if flat_to != to {
            steps.push(self.reshape_step(&flat_to, &to)?);
        }
        self.chain_one(at, node, steps)
    }

    /// Weights and bias, whose parameters are `ids`: the options' int8 ones or the node's own.
    fn weights(
        &self,
        node: &Node,
        params: Params,
        [bias_id, count_id]: [usize; 2],
        (scales, term): (usize, usize),
    ) -> Result<Weights> {
        let weights = self.parameter(node, 1)?;
        let int8 = self.options.int8.get(&node.name);
        let own_bias = node.inputs.get(2).map(|_| self.parameter(node, 2)).transpose()?;
        let bias = int8.and_then(|int8| int8.bias.clone()).or(own_bias);
        let mut params = params.int_unless(bias_id, usize::from(bias.is_some()), 0);
        params = params.int(count_id, weights.len());
        let mut bytes = match int8 {
            Some(int8) => {
                check(node, int8, (scales, weights.len(), self.graph.shape(node.inputs[1])[0]))?;
                params = params.int(INT8_TERM, term);
                bin::codes(&int8.codes)
            }
            None => bin::weights(&weights, self.options.half),
        };
        bytes.extend(bin::reals(&bias.unwrap_or_default()));
        if let Some(int8) = int8 {
            bytes.extend(bin::reals(&int8.weight_scales));
            bytes.extend(bin::reals(&[int8.input_scale]));
        }
        Ok(Weights { params, bytes, int8: int8.map(|int8| int8.input_scale) })
    }
}

/// Whether int8 numbers are as many as the layer has places for.
fn check(node: &Node, int8: &NcnnInt8, (scales, weights, outputs): (usize, usize, usize)) -> Result<()> {
    let bias = int8.bias.as_ref().map_or(outputs, Vec::len);
    let found = (int8.weight_scales.len(), int8.codes.len(), bias);
    if found != (scales, weights, outputs) {
        let what = format!("{found:?}, expected {:?}", (scales, weights, outputs));
        return Err(Error::Usage(format!(
            "layer {}: numbers of scales, weights and biases {what}",
            node.name
        )));
    }
    if !(int8.input_scale.is_normal() && int8.input_scale > 0.0) {
        return Err(Error::Usage(format!("layer {}: its input scale is {}", node.name, int8.input_scale)));
    }
    Ok(())
}

/// The shape of `dims` as InnerProduct takes it: a vector, or at least two rows.
fn rows(dims: &Dims) -> Dims {
    let flat = |dims: &[usize]| match dims {
        [rows @ .., columns] if !rows.is_empty() => vec![rows.iter().product(), *columns],
        vector => vector.to_vec(),
    };
    let (here, there) = (flat(&dims.here), flat(&dims.there));
    // ncnn makes a vector of a single row.
    if here.len() == 2 && here[0] == 1 && there[0] == 1 {
        return Dims { here: here[1..].to_vec(), there: there[1..].to_vec() };
    }
    Dims { here, there }
}

/// `[group][in][out][cell]` to `[group][out][in][cell]`.
fn outputs_first(weights: &[f32], groups: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let cells = weights.len() / (groups * inputs * outputs).max(1);
    let mut ordered = Vec::with_capacity(weights.len());
    for group in 0..groups {
        for output in 0..outputs {
            for input in 0..inputs {
                let start = ((group * inputs + input) * outputs + output) * cells;
                ordered.extend_from_slice(&weights[start..start + cells]);
            }
        }
    }
    ordered
}
