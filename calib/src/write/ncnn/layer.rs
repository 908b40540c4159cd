//! Layers in the making: what they are and read, before their blobs have names.

use super::names::Names;
use crate::error::Result;
use ocellus::Error;

/// Index of a blob in [`Network::blobs`].
pub(super) type Blob = usize;

/// Id of the parameter that announces int8 weights.
pub(super) const INT8_TERM: usize = 8;

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `id=v` without a decimal point.
    Int(i64),
    /// `id=v` with one.
    Float(f32),
    /// `-233xx=n,v1,..` without decimal points.
    Ints(Vec<i64>),
    /// `-233xx=n,v1,..` with them.
    Floats(Vec<f32>),
}

/// Parameters of a layer, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Params(pub(super) Vec<(usize, Value)>);

impl Params {
    /// An integer.
    pub(super) fn int(self, id: usize, value: usize) -> Self {
        self.signed(id, value as i64)
    }

    /// An integer that may be negative.
    pub(super) fn signed(mut self, id: usize, value: i64) -> Self {
        self.0.push((id, Value::Int(value)));
        self
    }

    /// An integer that is left out where ncnn assumes it anyway.
    pub(super) fn int_unless(self, id: usize, value: usize, default: usize) -> Self {
        if value == default { self } else { self.int(id, value) }
    }

    /// A floating-point number.
    pub(super) fn float(mut self, id: usize, value: f32) -> Self {
        self.0.push((id, Value::Float(value)));
        self
    }

    /// Integers.
    pub(super) fn ints(mut self, id: usize, values: impl IntoIterator<Item = usize>) -> Self {
        self.0.push((id, Value::Ints(values.into_iter().map(|v| v as i64).collect())));
        self
    }

    /// Floating-point numbers; none are left out.
    pub(super) fn floats(mut self, id: usize, values: Vec<f32>) -> Self {
        if !values.is_empty() {
            self.0.push((id, Value::Floats(values)));
        }
        self
    }
}

/// A layer's type, parameters and weights: all but its place in the network.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Type, such as `Convolution`.
    pub(super) kind: &'static str,
    /// Parameters.
    pub(super) params: Params,
    /// What it reads of the `.bin` file.
    pub(super) weights: Vec<u8>,
    /// Scale of its input, if it runs in int8.
    pub(super) int8: Option<f32>,
}

impl Step {
    /// A layer without weights.
    pub(super) fn new(kind: &'static str, params: Params) -> Self {
        Step { kind, params, ..Step::default() }
    }

    /// Whether calibration tables speak of this layer.
    pub(super) fn is_weighted(&self) -> bool {
        self.is_conv() || ["InnerProduct", "Deconvolution", "DeconvolutionDepthWise"].contains(&self.kind)
    }

    /// Whether it can take and make int8 codes.
    pub(super) fn is_conv(&self) -> bool {
        ["Convolution", "ConvolutionDepthWise"].contains(&self.kind)
    }
}

/// A layer in its place.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Name, unlike that of any other layer.
    pub(super) name: String,
    /// What it is.
    pub(super) step: Step,
    /// Blobs that it reads; another layer may read the same.
    pub(super) inputs: Vec<Blob>,
    /// Blobs that it makes.
    pub(super) outputs: Vec<Blob>,
}

/// All layers in order.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// The layers.
    pub(super) layers: Vec<Layer>,
    /// The names that blobs would like to have.
    pub(super) blobs: Vec<String>,
    /// Blobs that the caller reads, under these names.
    pub(super) outputs: Vec<(Blob, String)>,
    /// Names that layers have.
    pub(super) names: Names,
}

/// An error for what the files cannot say.
pub(super) fn unsupported<T>(why: impl std::fmt::Display) -> Result<T> {
    Err(Error::unsupported(format!("it cannot be written for ncnn: {why}")).into())
}
