//! Convolution, Deconvolution, InnerProduct and their grouped forms.

use super::bin::{Weights, only_real};
use super::elementwise::fused_activation;
use super::param::Layer;
use super::quantize::{Int8, dequantized, grid, int8_weights};
use super::translate::{Blob, Step, Translator};
use super::window::{Padding, same_padding, window};
use crate::error::{Error, Result};
use crate::graph::{Op, ValueId};
use crate::limits::{DIM_MAX, WINDOW_MAX};
use crate::tensor::Data;

/// What the `.bin` file holds of a layer.
struct Stored {
    weights: Weights,
    bias: Option<Vec<f32>>,
    int8: Option<Int8>,
}

/// Product of extents that a file gives.
fn product(dims: &[usize]) -> Result<usize> {
    dims.iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or_else(|| Error::bad_model("its weights are too many"))
}

/// Compares the number of weights that a file gives with the number that the shapes ask for.
fn check_weight_count(given: usize, dims: &[usize]) -> Result<()> {
    if product(dims)? == given {
        return Ok(());
    }
    let what = format!("{given} weights (weight_data_size) do not fit the shape {dims:?}");
    Err(Error::bad_model(what))
}

/// Channels per group of an input and an output; the groups must divide both.
fn per_group(groups: usize, inputs: usize, outputs: usize) -> Result<(usize, usize)> {
    if !inputs.is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
        let what = format!("{groups} groups do not divide {inputs} input and {outputs} output channels");
        return Err(Error::bad_model(what));
    }
    Ok((inputs / groups, outputs / groups))
}

impl<'a> Translator<'a> {
    /// Channels, height and width of an image blob.
    pub(super) fn image(&self, blob: Blob) -> Result<[usize; 3]> {
        let dims = self.dims(blob);
        dims.as_slice()
            .try_into()
            .map_err(|_| Error::bad_model(format!("its input {dims:?} is no image (c, h, w)")))
    }

    pub(super) fn convolution(&mut self, layer: &'a Layer, grouped: bool) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        p.refuse(19, "dynamic weights")?;
        p.refuse(18, "padding with a value")?;
        let activation = fused_activation(p, 9, 10)?;
        let outputs = p.size(0, 0, 1..=DIM_MAX)?;
        let groups = if grouped { p.size(7, 1, 1..=DIM_MAX)? } else { 1 };
        let mut window = window(p, [11, 1], [13, 3], Some([12, 2]))?;
        let padding = Padding::read(p, [14, 4, 16, 15])?;

        // A vector under a pointwise kernel is what InnerProduct takes: one pixel.
        let dims = self.dims(blob);
        let vector = !grouped && dims.len() == 1 && window.kernel == [1, 1];
        let [channels, height, width] = if vector { [dims[0], 1, 1] } else { self.image(blob)? };
        window.pad = match padding {
            _ if vector => [0; 4],
            Padding::Explicit(pad) => pad,
            same => same_padding(&window, [height, width], same),
        };
        let (per_group, _) = per_group(groups, channels, outputs)?;
        let weight_dims = [outputs, per_group, window.kernel[0], window.kernel[1]];
        check_weight_count(p.size(6, 0, 1..=usize::MAX)?, &weight_dims)?;

        let bias = p.flag(5, false)?;
        let stored =
            self.stored(layer, product(&weight_dims)?, bias.then_some(outputs), |term, weights| {
                let scales = match (grouped, term) {
                    (false, 1 | 2 | 101 | 102) => outputs,
                    (true, 1 | 101) => groups,
                    (true, 2 | 102) => 1,
                    _ => {
                        return Err(Error::bad_model(format!(
                            "parameter 8 is {term}, expected 0, 1, 2, 101 or 102"
                        )));
                    }
                };
                Int8::read(weights, scales, outputs, term > 100)
            })?;
        if vector {
            let flat = vec![1, channels];
            return self.weighted(layer, blob, flat, Op::Linear { activation }, &weight_dims[..2], stored);
        }
        let shape = self.graph.shape(blob.value).dims().to_vec();
        self.weighted(layer, blob, shape, Op::Conv { window, groups, activation }, &weight_dims, stored)
    }

    pub(super) fn inner_product(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        let activation = fused_activation(p, 9, 10)?;
        let outputs = p.size(0, 0, 1..=DIM_MAX)?;
        let count = p.size(2, 0, 1..=usize::MAX)?;
        let inputs = count / outputs;
        check_weight_count(count, &[outputs, inputs])?;

        // Rows of the right length are multiplied one by one, anything else is one vector.
        let dims = self.dims(blob);
        let shape = match dims[..] {
            [rows, columns] if columns == inputs => vec![1, rows, columns],
            _ => vec![1, product(&dims)?],
        };
        if shape.last() != Some(&inputs) {
            let what = format!("{count} weights are for {inputs} inputs, its input is {dims:?}");
            return Err(Error::bad_model(what));
        }
        let bias = p.flag(1, false)?;
        let stored = self.stored(layer, count, bias.then_some(outputs), |_, weights| {
            Int8::read(weights, outputs, outputs, false)
        })?;
        self.weighted(layer, blob, shape, Op::Linear { activation }, &[outputs, inputs], stored)
    }

    /// Reads weights, bias and, where parameter 8 announces them, scales.
    fn stored(
        &mut self,
        layer: &Layer,
        count: usize,
        bias: Option<usize>,
        read_scales: impl FnOnce(i32, &mut super::bin::WeightReader) -> Result<Int8>,
    ) -> Result<Stored> {
        let term = layer.params.int(8, 0)?;
        let weights = self.weights.tagged(count)?;
        let bias = bias.map(|n| self.weights.reals(n)).transpose()?;
        let int8 = if term == 0 { None } else { Some(read_scales(term, &mut self.weights)?) };
        Ok(Stored { weights, bias, int8 })
    }

    /// Pushes `op` over `blob`, seen in `shape`, with the stored weights, between its int8 grids.
    fn weighted(
        &mut self,
        layer: &'a Layer,
        blob: Blob,
        shape: Vec<usize>,
        op: Op,
        weight_dims: &[usize],
        stored: Stored,
    ) -> Result<()> {
        let mut input = blob.value;
        let mut top = None;
        let data = match stored.int8 {
            None => Data::F32(only_real(stored.weights)?),
            Some(int8) => {
                top = int8.top;
                match grid(int8.bottom).filter(|_| int8.bottom > 0.0) {
                    Some(quant) => {
                        input = self.quantized_input(layer, blob, int8.bottom, quant)?;
                        int8_weights(layer, stored.weights, &int8.weights)?
                    }
                    None => {
                        log::warn!("{}: its input scale is {}, it runs in float", layer.label(), int8.bottom);
                        float_weights(layer, stored.weights, &int8.weights)?
                    }
                }
            }
        };
        let mut parameters = vec![self.constant(layer, "weights", weight_dims, data)?];
        if let Some(bias) = stored.bias {
            parameters.push(self.channel_constant(layer, "bias", bias)?);
        }
        let input = self.reshaped(layer, input, shape)?;
        self.chain_to_int8(layer, input, Step::new(op, parameters), top)
    }

    /// The layer's operator and, where its output is int8, that grid.
    fn chain_to_int8(
        &mut self,
        layer: &'a Layer,
        input: ValueId,
        step: Step,
        top: Option<f32>,
    ) -> Result<()> {
        let quant = top.and_then(|scale| grid(scale).filter(|_| scale > 0.0).map(|quant| (scale, quant)));
        let Some((scale, quant)) = quant else {
            if let Some(scale) = top {
                log::warn!("{}: its output scale is {scale}, the output stays float", layer.label());
            }
            return self.chain_to(layer, 0, input, vec![step]);
        };
        self.chain_to(layer, 0, input, vec![step, Op::FakeQuant(quant).into()])?;
        self.mark_codes(layer, scale);
        Ok(())
    }

    pub(super) fn deconvolution(&mut self, layer: &'a Layer, grouped: bool) -> Result<()> {
        let blob = self.only_input(layer)?;
        let p = &layer.params;
        p.refuse(28, "dynamic weights")?;
        p.refuse(8, "int8 weights")?;
        let activation = fused_activation(p, 9, 10)?;
        let outputs = p.size(0, 0, 1..=DIM_MAX)?;
        let groups = if grouped { p.size(7, 1, 1..=DIM_MAX)? } else { 1 };
        let mut window = window(p, [11, 1], [13, 3], Some([12, 2]))?;
        let padding = Padding::read(p, [14, 4, 16, 15])?;
        let extra = p.size(18, 0, 0..=WINDOW_MAX)?;
        let output_pad = [p.size(19, extra, 0..=WINDOW_MAX)?, extra];
        let output_width = p.size(20, 0, 0..=DIM_MAX)?;
        let output = [p.size(21, output_width, 0..=DIM_MAX)?, output_width];

        let [channels, height, width] = self.image(blob)?;
        let full = |axis: usize, input: usize| {
            let reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
            input.saturating_sub(1) * window.stride[axis] + reach + output_pad[axis]
        };
        let full = [full(0, height), full(1, width)];
        window.pad = match padding {
            Padding::Explicit(pad) if pad != [0; 4] || output.contains(&0) => pad,
            Padding::Explicit(_) => {
                return Err(Error::unsupported("an output size (parameters 20 and 21) without SAME padding"));
            }
            same => cut_to(full, output, same)?,
        };
        let (inputs_per_group, outputs_per_group) = per_group(groups, channels, outputs)?;
        let [kh, kw] = window.kernel;
        check_weight_count(p.size(6, 0, 1..=usize::MAX)?, &[outputs, inputs_per_group, kh, kw])?;

        let count = product(&[outputs, inputs_per_group, kh, kw])?;
        let weights = only_real(self.weights.tagged(count)?)?;
        let weights = inputs_first(&weights, groups, inputs_per_group, outputs_per_group, kh * kw);
        let dims = [channels, outputs_per_group, kh, kw];
        let mut parameters = vec![self.constant(layer, "weights", &dims, Data::F32(weights))?];
        if p.flag(5, false)? {
            let bias = self.weights.reals(outputs)?;
            parameters.push(self.channel_constant(layer, "bias", bias)?);
        }
        let op = Op::ConvTranspose { window, output_pad, groups, activation };
        self.chain_to(layer, 0, blob.value, vec![Step::new(op, parameters)])
    }
}

/// Real weights of an int8 layer.
fn float_weights(layer: &Layer, weights: Weights, scales: &[f32]) -> Result<Data> {
    match weights {
        Weights::Real(values) => Ok(Data::F32(values)),
        codes => int8_weights(layer, codes, scales).map(|data| Data::F32(dequantized(data))),
    }
}

/// Padding that cuts the `full` output of a transposed convolution to `output` rows and columns, the odd cell
/// at the end (`Upper`) or the start (`Lower`). Without an output size nothing is cut.
fn cut_to(full: [usize; 2], output: [usize; 2], same: Padding) -> Result<[usize; 4]> {
    if output.contains(&0) {
        return Ok([0; 4]);
    }
    let mut pad = [0; 4];
    for axis in 0..2 {
        let cut = full[axis].checked_sub(output[axis]);
        let cut = cut.ok_or_else(|| Error::bad_model(format!("its output {output:?} exceeds {full:?}")))?;
        let (less, more) = (cut / 2, cut - cut / 2);
        [pad[axis], pad[axis + 2]] = if same == Padding::Upper { [less, more] } else { [more, less] };
    }
    Ok(pad)
}

/// `[group][out][in][cell]` to `[group][in][out][cell]`.
fn inputs_first(weights: &[f32], groups: usize, inputs: usize, outputs: usize, cells: usize) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(weights.len());
    for group in 0..groups {
        for input in 0..inputs {
            for output in 0..outputs {
                let start = ((group * outputs + output) * inputs + input) * cells;
                ordered.extend_from_slice(&weights[start..start + cells]);
            }
        }
    }
    ordered
}
