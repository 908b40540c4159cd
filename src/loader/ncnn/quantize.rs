//! ncnn's int8: scales beside the weights, and the layers Quantize, Dequantize and Requantize.
//!
//! ncnn's scales are multipliers: code = real · scale, rounded half away from zero, within −127..=127. The
//! graph speaks of real numbers, so an int8 input becomes a [`Op::FakeQuant`] of step 1/scale, and int8
//! weights stay codes with a step per output channel.

use super::bin::{WeightReader, Weights};
use super::elementwise::fused_activation;
use super::param::Layer;
use super::translate::{Blob, Step, Translator};
use crate::error::{Error, Result};
use crate::graph::{Op, Unary, ValueId};
use crate::limits::DIM_MAX;
use crate::tensor::{Data, Quant};

/// Scales of a layer with int8 weights, as stored.
#[derive(Clone, Debug)]
pub(super) struct Int8 {
    /// One per output channel.
    pub(super) weights: Vec<f32>,
    /// Of the layer's input.
    pub(super) bottom: f32,
    /// Of the layer's output, if that is int8.
    pub(super) top: Option<f32>,
}

impl Int8 {
    /// Reads `groups` weight scales, each for an equal share of the `outputs` channels, then the input's and
    /// perhaps the output's scale.
    pub(super) fn read(
        weights: &mut WeightReader,
        groups: usize,
        outputs: usize,
        has_top: bool,
    ) -> Result<Self> {
        let per_group = weights.scales(groups)?;
        let share = outputs / groups;
        let expanded = per_group.iter().flat_map(|&scale| std::iter::repeat_n(scale, share)).collect();
        let bottom = weights.scales(1)?[0];
        let top = if has_top { Some(weights.scales(1)?[0]) } else { None };
        Ok(Int8 { weights: expanded, bottom, top })
    }
}

/// The grid of a multiplier; `None` for a scale that is zero, infinite, NaN or of no use in single precision.
pub(super) fn grid(scale: f32) -> Option<Quant> {
    Quant::new(1.0 / scale, 0).filter(|_| scale.is_normal())
}

/// Weights as int8 codes with one step per output channel.
///
/// A channel without a usable scale is all zero: ncnn's tools write 0 or infinity where the weights are.
pub(super) fn int8_weights(layer: &Layer, weights: Weights, scales: &[f32]) -> Result<Data> {
    if let Some(scale) = scales.iter().find(|scale| **scale < 0.0) {
        return Err(Error::bad_model(format!("a weight scale is {scale}, which is negative")));
    }
    let grids: Vec<Option<Quant>> = scales.iter().map(|&scale| grid(scale)).collect();
    let count = match &weights {
        Weights::Real(values) => values.len(),
        Weights::Codes(codes) => codes.len(),
    };
    let row = (count / scales.len().max(1)).max(1);
    let mut codes = match weights {
        Weights::Codes(codes) => codes,
        Weights::Real(values) => {
            let code =
                |(i, value): (usize, f32)| (value * scales[i / row]).round().clamp(-127.0, 127.0) as i8;
            values.into_iter().enumerate().map(code).collect()
        }
    };
    if codes.contains(&i8::MIN) {
        log::warn!("{}: weight codes of -128 are taken for -127", layer.label());
        codes.iter_mut().for_each(|code| *code = (*code).max(-127));
    }
    for (row, grid) in codes.chunks_mut(row).zip(&grids) {
        if grid.is_none() {
            row.fill(0);
        }
    }
    let scales = grids.iter().map(|grid| grid.map_or(1.0, |quant| quant.scale)).collect();
    Ok(Data::Q8 { codes, scales })
}

/// Real numbers of int8 weights.
pub(super) fn dequantized(data: Data) -> Vec<f32> {
    match data {
        Data::Q8 { codes, scales } => {
            let row = (codes.len() / scales.len().max(1)).max(1);
            codes.iter().enumerate().map(|(i, &code)| f32::from(code) * scales[i / row]).collect()
        }
        Data::F32(values) => values,
        Data::I64(values) => values.into_iter().map(|value| value as f32).collect(),
    }
}

impl<'a> Translator<'a> {
    /// `blob` on the int8 grid of an int8 layer's input; layers that quantize it alike share the node.
    pub(super) fn quantized_input(
        &mut self,
        layer: &Layer,
        blob: Blob,
        scale: f32,
        quant: Quant,
    ) -> Result<ValueId> {
        if let Some(code_scale) = blob.code_scale {
            return self.codes_as(layer, blob, code_scale / scale);
        }
        let key = (blob.value, scale.to_bits());
        if let Some(&value) = self.grids.get(&key) {
            return Ok(value);
        }
        let name = format!("{}/int8", self.graph.value(blob.value).name);
        let value = self.graph.push(layer.name.clone(), Op::FakeQuant(quant), vec![blob.value], name)?;
        self.grids.insert(key, value);
        Ok(value)
    }

    /// What a layer reads that takes the int8 codes of `blob` as they are, `ratio` being their own scale by
    /// the scale that the layer takes them to have.
    fn codes_as(&mut self, layer: &Layer, blob: Blob, ratio: f32) -> Result<ValueId> {
        if !ratio.is_normal() {
            return Err(Error::bad_model(format!(
                "its int8 input has {ratio} times the scale that it expects"
            )));
        }
        if (ratio - 1.0).abs() < 1e-5 {
            return Ok(blob.value);
        }
        log::warn!("{}: its int8 input has {ratio} times the scale that it expects", layer.label());
        let affine = Op::Unary(Unary::Affine { scale: ratio, shift: 0.0 });
        let name = format!("{}/rescaled", layer.name);
        self.graph.push(layer.name.clone(), affine, vec![blob.value], name)
    }

    /// One scale for the whole blob.
    fn single_scale(&mut self, layer: &Layer, id: usize) -> Result<f32> {
        let count = layer.params.size(id, 1, 1..=DIM_MAX)?;
        if count != 1 {
            return Err(Error::unsupported(format!("{count} scales, one per channel, are not supported")));
        }
        Ok(self.weights.scales(1)?[0])
    }

    pub(super) fn quantize(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let scale = self.single_scale(layer, 0)?;
        self.quantize_to(layer, blob.value, Vec::new(), scale)
    }

    fn quantize_to(
        &mut self,
        layer: &'a Layer,
        start: ValueId,
        mut steps: Vec<Step>,
        scale: f32,
    ) -> Result<()> {
        let quant = grid(scale).filter(|_| scale > 0.0);
        let quant = quant.ok_or_else(|| Error::bad_model(format!("its scale is {scale}")))?;
        steps.push(Op::FakeQuant(quant).into());
        self.chain_to(layer, 0, start, steps)?;
        self.mark_codes(layer, scale);
        Ok(())
    }

    /// real · (scale of the codes) is what the file calls x; y = x · scale + bias.
    pub(super) fn dequantize(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let scale = self.single_scale(layer, 0)?;
        let (value, steps) = self.dequantize_steps(layer, blob, scale, 1)?;
        self.chain_to(layer, 0, value, steps)
    }

    fn dequantize_steps(
        &mut self,
        layer: &Layer,
        blob: Blob,
        scale: f32,
        bias_id: usize,
    ) -> Result<(ValueId, Vec<Step>)> {
        let Some(code_scale) = blob.code_scale else {
            let what = format!("{} of a blob that is not int8 is not supported", layer.kind);
            return Err(Error::unsupported(what));
        };
        let value = self.codes_as(layer, blob, code_scale * scale)?;
        let channels = layer.params.size(bias_id, 0, 0..=DIM_MAX)?;
        if channels == 0 {
            return Ok((value, Vec::new()));
        }
        let bias = self.weights.reals(channels)?;
        let step = if let [shift] = bias[..] {
            Op::Unary(Unary::Affine { scale: 1.0, shift }).into()
        } else {
            self.channel_affine(layer, value, vec![1.0; bias.len()], bias)?
        };
        Ok((value, vec![step]))
    }

    pub(super) fn requantize(&mut self, layer: &'a Layer) -> Result<()> {
        let blob = self.only_input(layer)?;
        let scale_in = self.single_scale(layer, 0)?;
        let scale_out = self.single_scale(layer, 1)?;
        let (value, mut steps) = self.dequantize_steps(layer, blob, scale_in, 2)?;
        steps.extend(fused_activation(&layer.params, 3, 4)?.map(|activation| Op::Unary(activation).into()));
        self.quantize_to(layer, value, steps, scale_out)
    }
}
