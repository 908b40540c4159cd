//! Layer records to a graph: the walk, and what all layers share.

use super::bin::WeightReader;
use super::param::Layer;
use crate::error::{Error, Result};
use crate::graph::{Graph, GridStyle, Op, ValueId};
use crate::limits::FOLDED_BYTES_MAX;
use crate::loader::LoadOptions;
use crate::tensor::{Data, Shape, Tensor};
use std::collections::{HashMap, HashSet};

/// Network input where neither the caller nor the file gives a size: channels, height and width.
const INPUT_DEFAULT: [usize; 3] = [3, 320, 320];

/// A blob of the file as a value of the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob {
    /// Its real numbers.
    pub(super) value: ValueId,
    /// Where ncnn holds int8 codes in this blob: code = scale · real number.
    pub(super) code_scale: Option<f32>,
}

/// One operator on the way from a layer's input to its output, with its constant operands.
#[derive(Debug)]
pub(super) struct Step {
    op: Op,
    parameters: Vec<ValueId>,
}

impl Step {
    /// An operator that takes the running value and `parameters`.
    pub(super) fn new(op: Op, parameters: Vec<ValueId>) -> Self {
        Step { op, parameters }
    }
}

impl From<Op> for Step {
    fn from(op: Op) -> Self {
        Step { op, parameters: Vec::new() }
    }
}

/// What is known while the layers are walked.
#[derive(Debug)]
pub(super) struct Translator<'a> {
    /// The graph so far.
    pub(super) graph: Graph,
    /// The weights not yet read.
    pub(super) weights: WeightReader<'a>,
    options: &'a LoadOptions,
    blobs: HashMap<&'a str, Blob>,
    consumed: HashSet<&'a str>,
    /// Int8 grids of values by scale (its bits), so that layers that quantize one value alike share a node.
    pub(super) grids: HashMap<(ValueId, u32), ValueId>,
    /// What values made here, beyond the file's own, may still take.
    purse: usize,
}

/// Translates all layers; the graph's outputs are the blobs that no layer reads.
pub(super) fn translate<'a>(
    layers: &'a [Layer],
    weights: WeightReader<'a>,
    options: &'a LoadOptions,
) -> Result<Graph> {
    let mut translator = Translator {
        graph: Graph::with_style(GridStyle::Threshold),
        weights,
        options,
        blobs: HashMap::new(),
        consumed: HashSet::new(),
        grids: HashMap::new(),
        purse: FOLDED_BYTES_MAX,
    };
    for layer in layers {
        translator.checked_layer(layer).map_err(|e| at_layer(e, layer))?;
    }
    translator.finish(layers)
}

/// Says which layer an error is about, and where that layer is unless the error lies in the weights' file.
fn at_layer(error: Error, layer: &Layer) -> Error {
    let in_weights = matches!(&error, Error::BadModel { place, .. } if place.file.is_some());
    error.at(|place| {
        place.node = Some(layer.label());
        if !in_weights {
            place.line = layer.line;
            place.byte = layer.byte;
        }
    })
}

impl<'a> Translator<'a> {
    fn checked_layer(&mut self, layer: &'a Layer) -> Result<()> {
        for name in &layer.inputs {
            if !self.blobs.contains_key(name.as_str()) {
                return Err(Error::bad_model(format!("its input {name:?} is not made by an earlier layer")));
            }
            self.consumed.insert(name);
        }
        self.layer(layer)?;
        match layer.params.unread() {
            Some(id) => Err(Error::unsupported(format!("parameter {id} is not known for this layer type"))),
            None => Ok(()),
        }
    }

    fn layer(&mut self, layer: &'a Layer) -> Result<()> {
        match layer.kind.as_str() {
            "Input" => self.input_layer(layer),
            "Split" | "Noop" => self.copies(layer),
            "MemoryData" => self.memory_data(layer),
            "Convolution" => self.convolution(layer, false),
            "ConvolutionDepthWise" => self.convolution(layer, true),
            "Deconvolution" => self.deconvolution(layer, false),
            "DeconvolutionDepthWise" => self.deconvolution(layer, true),
            "InnerProduct" => self.inner_product(layer),
            "Pooling" => self.pooling(layer),
            "Interp" => self.interp(layer),
            "YoloV5Focus" => self.chain_one(layer, vec![Op::Focus.into()]),
            "BatchNorm" => self.batch_norm(layer),
            "Scale" => self.scale(layer),
            "Bias" => self.bias(layer),
            "PReLU" => self.prelu(layer),
            "BinaryOp" => self.binary_op(layer),
            "Eltwise" => self.eltwise(layer),
            "Quantize" => self.quantize(layer),
            "Dequantize" => self.dequantize(layer),
            "Requantize" => self.requantize(layer),
            "Concat" => self.concat(layer),
            "Slice" => self.slice(layer),
            "Crop" => self.crop(layer),
            "ShuffleChannel" => self.shuffle_channel(layer),
            "Padding" => self.padding(layer),
            "Reshape" => self.reshape(layer),
            "Flatten" => self.flatten(layer),
            "Squeeze" => self.squeeze(layer),
            "ExpandDims" => self.expand_dims(layer),
            "Permute" => self.permute(layer),
            "Softmax" => self.softmax(layer),
            "Reduction" => self.reduction(layer),
            _ => self.activation_layer(layer),
        }
    }

    /// Blob `i` of the layer's inputs.
    pub(super) fn input(&self, layer: &Layer, i: usize) -> Blob {
        self.blobs[layer.inputs[i].as_str()]
    }

    /// Requires as many inputs and outputs as the layer's type has.
    pub(super) fn arity(&self, layer: &Layer, inputs: usize, outputs: usize) -> Result<()> {
        let found = (layer.inputs.len(), layer.outputs.len());
        if found == (inputs, outputs) {
            return Ok(());
        }
        let what = format!("{} inputs and {} outputs, expected {inputs} and {outputs}", found.0, found.1);
        Err(Error::bad_model(what))
    }

    /// The only input of a layer with one output.
    pub(super) fn only_input(&self, layer: &Layer) -> Result<Blob> {
        self.arity(layer, 1, 1)?;
        Ok(self.input(layer, 0))
    }

    /// Dimensions of a blob, outermost first, without the batch.
    pub(super) fn dims(&self, blob: Blob) -> Vec<usize> {
        self.graph.shape(blob.value).dims()[1..].to_vec()
    }

    /// Makes `blob` the layer's output `i`.
    pub(super) fn define(&mut self, layer: &'a Layer, i: usize, blob: Blob) -> Result<()> {
        let name = layer.outputs[i].as_str();
        match self.blobs.insert(name, blob) {
            None => Ok(()),
            Some(_) => Err(Error::bad_model(format!("its output {name:?} is made by two layers"))),
        }
    }

    /// Pushes `steps` one behind the other, from `start` to the layer's output `i`; without a step the output
    /// is another name of `start`.
    pub(super) fn chain_to(
        &mut self,
        layer: &'a Layer,
        i: usize,
        start: ValueId,
        steps: Vec<Step>,
    ) -> Result<()> {
        let last = steps.len().wrapping_sub(1);
        let mut value = start;
        for (at, step) in steps.into_iter().enumerate() {
            let inputs = [vec![value], step.parameters].concat();
            let (node, output) = if at == last {
                (layer.name.clone(), layer.outputs[i].clone())
            } else {
                (layer.name.clone(), format!("{}/{at}", layer.outputs[i]))
            };
            value = self.graph.push(node, step.op, inputs, output)?;
        }
        self.define(layer, i, Blob { value, code_scale: None })
    }

    /// [`Self::chain_to`] from the only input to the only output.
    pub(super) fn chain_one(&mut self, layer: &'a Layer, steps: Vec<Step>) -> Result<()> {
        let blob = self.only_input(layer)?;
        self.chain_to(layer, 0, blob.value, steps)
    }

    /// A constant operand of the layer.
    pub(super) fn constant(
        &mut self,
        layer: &Layer,
        what: &str,
        dims: &[usize],
        data: Data,
    ) -> Result<ValueId> {
        let shape = Shape::new(dims)?;
        let tensor = Tensor::new(shape, data)
            .ok_or_else(|| Error::bad_model(format!("its {what} do not have the shape {dims:?}")))?;
        self.graph.push_constant(format!("{}/{what}", layer.name), tensor)
    }

    /// A vector of real parameters, one per channel.
    pub(super) fn channel_constant(
        &mut self,
        layer: &Layer,
        what: &str,
        values: Vec<f32>,
    ) -> Result<ValueId> {
        self.constant(layer, what, &[values.len()], Data::F32(values))
    }

    /// Notes that ncnn holds int8 codes of this scale in the layer's only output.
    pub(super) fn mark_codes(&mut self, layer: &Layer, scale: f32) {
        if let Some(blob) = self.blobs.get_mut(layer.outputs[0].as_str()) {
            blob.code_scale = Some(scale);
        }
    }

    /// Takes `bytes` from what values beyond the file's own may occupy.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        self.purse = self.purse.checked_sub(bytes).ok_or_else(|| {
            Error::bad_model(format!(
                "the values computed from the file need more than {FOLDED_BYTES_MAX} bytes"
            ))
        })?;
        Ok(())
    }

    /// `value` with new dimensions: a node, or for a constant another constant.
    pub(super) fn reshaped(&mut self, layer: &Layer, value: ValueId, dims: Vec<usize>) -> Result<ValueId> {
        if self.graph.shape(value).dims() == dims {
            return Ok(value);
        }
        let name = format!("{}/reshaped", self.graph.value(value).name);
        let Some(tensor) = self.graph.constant(value).cloned() else {
            return self.graph.push(layer.name.clone(), Op::Reshape { shape: dims }, vec![value], name);
        };
        self.spend(tensor.bytes())?;
        self.constant(layer, "reshaped", &dims, tensor.data().clone())
    }

    fn input_layer(&mut self, layer: &'a Layer) -> Result<()> {
        self.arity(layer, 0, 1)?;
        if !self.graph.inputs.is_empty() {
            return Err(Error::unsupported("a second network input is not supported"));
        }
        layer.params.refuse(11, "a network input with a depth")?;
        let hint = layer.params.shape_hints();
        let extent = |id: usize, hinted: usize, default: usize| -> Result<usize> {
            let given = layer.params.int(id, 0)?;
            // Hints are rank, width, height and channels.
            let hinted = hint.as_deref().filter(|h| h.len() == 4 && h[0] == 3).map_or(0, |h| h[hinted]);
            let known = [given, hinted].into_iter().find(|&n| n != 0);
            known.map_or(Ok(default), |n| {
                usize::try_from(n).map_err(|_| Error::bad_model(format!("parameter {id} is {n}")))
            })
        };
        let [c, h, w] = INPUT_DEFAULT;
        let (width, height, channels) = (extent(0, 1, w)?, extent(1, 2, h)?, extent(2, 3, c)?);
        let [height, width] = self.options.size.unwrap_or([height, width]);
        let shape = Shape::new([1, channels, height, width])?;
        let value = self.graph.push_input(layer.outputs[0].clone(), shape)?;
        self.define(layer, 0, Blob { value, code_scale: None })
    }

    /// `Split`: its outputs are other names of its input. `Noop`: each output is the input beside it.
    fn copies(&mut self, layer: &'a Layer) -> Result<()> {
        let paired = layer.kind == "Noop" && layer.inputs.len() == layer.outputs.len();
        if !paired {
            self.arity(layer, 1, layer.outputs.len())?;
        }
        for i in 0..layer.outputs.len() {
            let blob = self.input(layer, if paired { i } else { 0 });
            self.define(layer, i, blob)?;
        }
        Ok(())
    }

    /// The blobs that no layer reads, in the order of the file.
    fn finish(mut self, layers: &'a [Layer]) -> Result<Graph> {
        if self.graph.inputs.is_empty() {
            return Err(Error::bad_model("no Input layer"));
        }
        for name in layers.iter().flat_map(|layer| &layer.outputs) {
            let value = self.blobs[name.as_str()].value;
            if self.consumed.contains(name.as_str()) || self.graph.constant(value).is_some() {
                continue;
            }
            let value = self.named_output(name, value)?;
            self.graph.outputs.push(value);
        }
        if self.graph.outputs.is_empty() {
            return Err(Error::bad_model("every blob is read by a layer, so the network has no output"));
        }
        if self.weights.remaining() > 0 {
            log::warn!("{} bytes of the weights are not used by any layer", self.weights.remaining());
        }
        Ok(self.graph)
    }

    /// An output that is another name of an inner value becomes a value of its own, under its name.
    fn named_output(&mut self, name: &str, value: ValueId) -> Result<ValueId> {
        if self.graph.value(value).name == name {
            return Ok(value);
        }
        let shape = self.graph.shape(value).dims().to_vec();
        self.graph.push(name, Op::Reshape { shape }, vec![value], name)
    }
}
