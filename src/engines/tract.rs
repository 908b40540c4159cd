//! tract-onnx behind the same preprocessing and decoding: a second opinion, and a way to run float models
//! with operators that the native engine does not know.

use super::{Backend, Opened, preprocess};
use crate::detect::Output;
use crate::engine::{EngineOptions, Precision};
use crate::error::{Error, Result};
use crate::image::{Frame, Letterbox};
use crate::kernels::PlaneMut;
use crate::loader::{LoadOptions, onnx};
use std::path::Path;
use tract_onnx::prelude::*;

/// Network input of a model that leaves it open.
const SIDE_DEFAULT: usize = 320;

/// A model in tract.
pub struct Tract {
    model: Arc<TypedRunnableModel>,
    size: [usize; 2],
    names: Vec<String>,
    shapes: Vec<Vec<usize>>,
    table: Box<[[f32; 256]; 3]>,
    /// NHWC, as the letterbox writes it.
    pixels: Vec<f32>,
    /// Images NHWC, others row-major.
    results: Vec<Vec<f32>>,
}

fn failed(what: impl std::fmt::Display) -> Error {
    Error::unsupported(format!("tract: {what}"))
}

pub(super) fn open(
    path: &Path,
    load: &LoadOptions,
    options: &EngineOptions,
    overrides: &[(String, String)],
) -> Result<Opened> {
    if let Precision::Int8 | Precision::Dynamic = options.precision {
        return Err(Error::Usage("the engine tract computes in float; leave --precision at auto".into()));
    }
    let in_file = |e: Error| e.at(|p| p.file = Some(path.to_owned()));
    if path.extension().is_none_or(|suffix| suffix != "onnx") {
        return Err(Error::Usage(format!("{}: the engine tract reads only .onnx files", path.display())));
    }
    let metadata = onnx::metadata(path)?;
    let preprocess = preprocess(&metadata, overrides)?;
    let table = Box::new(preprocess.real_table());
    let wished = if load.size.is_some() { None } else { onnx::wished_size(&metadata).map_err(in_file)? };
    let tract = Tract::new(path, [load.size, wished], table).map_err(in_file)?;
    Ok(Opened { backend: Backend::Tract(Box::new(tract)), metadata, preprocess })
}

impl Tract {
    /// Of the sizes (that which is asked for, that of the metadata) the first goes before the file's, the second behind.
    fn new(
        path: &Path,
        [asked, wished]: [Option<[usize; 2]>; 2],
        table: Box<[[f32; 256]; 3]>,
    ) -> Result<Self> {
        let mut model = tract_onnx::onnx().model_for_path(path).map_err(failed)?;
        let stated = model.input_fact(0).map_err(failed)?.shape.as_concrete_finite().map_err(failed)?;
        let stated =
            stated.and_then(|dims| <[usize; 4]>::try_from(dims.as_slice()).ok()).map(|[_, _, h, w]| [h, w]);
        let size = asked.or(stated).or(wished).unwrap_or([SIDE_DEFAULT; 2]);
        model.set_input_fact(0, f32::fact([1, 3, size[0], size[1]]).into()).map_err(failed)?;
        let names =
            model.output_outlets().map_err(failed)?.iter().map(|o| model.node(o.node).name.clone()).collect();
        let model = model.into_optimized().and_then(|m| m.into_runnable()).map_err(failed)?;
        let pixels = vec![0.0; size[0] * size[1] * 3];
        let mut tract = Tract { model, size, names, shapes: Vec::new(), table, pixels, results: Vec::new() };
        // Shapes are known for certain once a picture has gone through.
        tract.run()?;
        Ok(tract)
    }

    pub(super) fn input_size(&self) -> [usize; 2] {
        self.size
    }

    pub(super) fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        self.names.iter().cloned().zip(self.shapes.iter().cloned()).collect()
    }

    pub(super) fn fill(&mut self, letterbox: &mut Letterbox, frame: &Frame) -> Result<()> {
        letterbox.run(frame, &self.table, PlaneMut { data: &mut self.pixels, pitch: 3 })
    }

    pub(super) fn fill_reals(&mut self, pixels: &[f32]) -> Result<()> {
        if pixels.len() != self.pixels.len() {
            return Err(super::wrong_count(pixels.len(), self.size));
        }
        self.pixels.copy_from_slice(pixels);
        Ok(())
    }

    pub(super) fn run(&mut self) -> Result<()> {
        let [h, w] = self.size;
        let input = tract_ndarray::Array4::from_shape_fn((1, 3, h, w), |(_, c, y, x)| {
            self.pixels[(y * w + x) * 3 + c]
        });
        let results = self.model.run(tvec!(Tensor::from(input).into())).map_err(failed)?;
        self.shapes.clear();
        self.results.clear();
        for result in results.iter() {
            let result = result.cast_to::<f32>().map_err(failed)?;
            let view = result.to_plain_array_view::<f32>().map_err(failed)?;
            self.shapes.push(view.shape().to_vec());
            let values = match view.ndim() {
                4 => view.permuted_axes(vec![0, 2, 3, 1]).iter().copied().collect(),
                _ => view.iter().copied().collect(),
            };
            self.results.push(values);
        }
        Ok(())
    }

    pub(super) fn output(&self, i: usize) -> Output<'_> {
        let pitch = if self.shapes[i].len() == 4 { self.shapes[i][1] } else { 1 };
        Output { data: &self.results[i], pitch }
    }
}
