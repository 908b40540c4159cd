//! The engines that can run a model, behind one small interface: fill the input, run, read the outputs.

#[cfg(feature = "ncnn")]
mod ncnn;
#[cfg(feature = "tract")]
mod tract;

use crate::engine::{Batch, Engine, EngineOptions, Input};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::image::{Frame, Letterbox, Preprocess};
use crate::loader::{EMBEDDED, LoadOptions, Model, load};
use std::borrow::Borrow;
use std::path::Path;
use std::str::FromStr;

/// Which engine runs a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineKind {
    /// This crate's own.
    #[default]
    Native,
    /// tract-onnx, in float; needs the feature `tract`.
    Tract,
    /// ncnn; needs the feature `ncnn`.
    Ncnn,
}

impl EngineKind {
    /// Name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Native => "native",
            EngineKind::Tract => "tract",
            EngineKind::Ncnn => "ncnn",
        }
    }
}

impl FromStr for EngineKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        [EngineKind::Native, EngineKind::Tract, EngineKind::Ncnn]
            .into_iter()
            .find(|kind| kind.name() == s)
            .ok_or_else(|| format!("unknown engine '{s}'; there are native, tract and ncnn"))
    }
}

/// A loaded model in one of the engines.
pub enum Backend {
    /// This crate's own.
    Native(Box<Native>),
    /// tract-onnx.
    #[cfg(feature = "tract")]
    Tract(Box<tract::Tract>),
    /// ncnn.
    #[cfg(feature = "ncnn")]
    Ncnn(Box<ncnn::Ncnn>),
}

/// The native engine with the tables that turn pixels into its input.
pub struct Native {
    /// The engine.
    pub engine: Engine,
    tables: Tables,
}

enum Tables {
    Codes(Box<[[i8; 256]; 3]>),
    Reals(Box<[[f32; 256]; 3]>),
}

/// Everything a backend is made from.
pub struct Opened {
    /// The engine with the model.
    pub backend: Backend,
    /// What the model file says beside the network.
    pub metadata: Vec<(String, String)>,
    /// How pictures are prepared.
    pub preprocess: Preprocess,
}

/// Loads `path` into an engine. `overrides` are preprocessing properties that replace the model's, as
/// [`Preprocess::set`] takes them.
///
/// # Errors
/// The model is broken, unsupported by the engine, or the engine is not part of this build.
pub fn open(
    path: &Path,
    kind: EngineKind,
    load_options: &LoadOptions,
    engine_options: &EngineOptions,
    overrides: &[(String, String)],
) -> Result<Opened> {
    if kind != EngineKind::Native && path.as_os_str() == EMBEDDED {
        let what = format!(
            "the model in this program runs in the native engine, not in {}; give a file",
            kind.name()
        );
        return Err(Error::Usage(what));
    }
    match kind {
        EngineKind::Native => open_native(path, load_options, engine_options, overrides),
        #[cfg(feature = "tract")]
        EngineKind::Tract => tract::open(path, load_options, engine_options, overrides),
        #[cfg(feature = "ncnn")]
        EngineKind::Ncnn => ncnn::open(path, load_options, engine_options, overrides),
        #[cfg(not(all(feature = "tract", feature = "ncnn")))]
        _ => Err(missing(kind)),
    }
}

#[cfg(not(all(feature = "tract", feature = "ncnn")))]
fn missing(kind: EngineKind) -> Error {
    let (name, before) = match kind {
        EngineKind::Ncnn => {
            ("ncnn", "the library with `cross/ncnn.sh`, and then the program with NCNN_DIR and ")
        }
        _ => (kind.name(), "it with "),
    };
    Error::Usage(format!(
        "this build has no engine {name}; build {before}`cargo build --release --features {name}`"
    ))
}

fn open_native(
    path: &Path,
    load_options: &LoadOptions,
    engine_options: &EngineOptions,
    overrides: &[(String, String)],
) -> Result<Opened> {
    let in_file = |e: Error| e.at(|p| p.file = Some(path.to_owned()));
    let Model { graph, metadata } = load(path, load_options)?;
    let preprocess = preprocess(&metadata, overrides)?;
    let backend = native(graph, &preprocess, engine_options).map_err(in_file)?;
    Ok(Opened { backend, metadata, preprocess })
}

/// The native engine with a model that is in memory.
///
/// # Errors
/// As [`open`].
pub fn open_model(
    model: &Model,
    engine_options: &EngineOptions,
    overrides: &[(String, String)],
) -> Result<Opened> {
    let preprocess = preprocess(&model.metadata, overrides)?;
    let backend = native(&model.graph, &preprocess, engine_options)?;
    Ok(Opened { backend, metadata: model.metadata.clone(), preprocess })
}

/// The native engine with a loaded graph, for pictures prepared as `preprocess` says.
///
/// # Errors
/// As [`Engine::new`].
pub fn native(
    graph: impl Borrow<Graph>,
    preprocess: &Preprocess,
    options: &EngineOptions,
) -> Result<Backend> {
    let reals = preprocess.real_table();
    let all = || reals.iter().flatten().copied();
    let input_range = (all().fold(f32::INFINITY, f32::min), all().fold(f32::NEG_INFINITY, f32::max));
    let mut engine = Engine::new(graph, &EngineOptions { input_range, ..*options })?;
    let tables = match engine.input() {
        Input::Codes(_, quant) => Tables::Codes(Box::new(preprocess.code_table(quant))),
        Input::Reals(_) => Tables::Reals(Box::new(reals)),
    };
    Ok(Backend::Native(Box::new(Native { engine, tables })))
}

fn preprocess(metadata: &[(String, String)], overrides: &[(String, String)]) -> Result<Preprocess> {
    let mut preprocess = Preprocess::from_metadata(metadata)?;
    for (key, value) in overrides {
        preprocess.set(key, value)?;
    }
    Ok(preprocess)
}

impl Backend {
    /// Rows and columns of the network's input.
    pub fn input_size(&self) -> [usize; 2] {
        match self {
            Backend::Native(native) => native.engine.input_size(),
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.input_size(),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.input_size(),
        }
    }

    /// Arithmetic that it runs in: `int8`, `fp32` or `mixed`; in ncnn also `fp16`.
    pub fn precision(&self) -> &'static str {
        match self {
            Backend::Native(native) => native.engine.plan().precision(),
            #[cfg(feature = "tract")]
            Backend::Tract(_) => "fp32",
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.precision(),
        }
    }

    /// Number of outputs.
    pub fn output_count(&self) -> usize {
        match self {
            Backend::Native(native) => native.engine.outputs(),
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.outputs().len(),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.outputs().len(),
        }
    }

    /// Names and logical shapes of the outputs.
    pub fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        match self {
            Backend::Native(native) => (0..native.engine.outputs())
                .map(|i| native.engine.output(i))
                .map(|o| (o.name.to_owned(), o.shape.dims().to_vec()))
                .collect(),
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.outputs(),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.outputs(),
        }
    }

    /// Writes a picture into the input tensor.
    ///
    /// # Errors
    /// The picture has another size than `letterbox` was made for.
    pub fn fill(&mut self, letterbox: &mut Letterbox, frame: &Frame) -> Result<()> {
        match self {
            Backend::Native(native) => match (native.engine.input(), &native.tables) {
                (Input::Codes(dst, _), Tables::Codes(tables)) => letterbox.run(frame, tables, dst),
                (Input::Reals(dst), Tables::Reals(tables)) => letterbox.run(frame, tables, dst),
                _ => unreachable!("the tables were made for the input"),
            },
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.fill(letterbox, frame),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.fill(letterbox, frame),
        }
    }

    /// Writes real numbers into the input tensor, as the network takes them: `[height, width, channels]`,
    /// nothing left to normalize.
    ///
    /// # Errors
    /// There are more or fewer numbers than the input has.
    pub fn fill_reals(&mut self, pixels: &[f32]) -> Result<()> {
        let [height, width] = self.input_size();
        if height * width == 0 || !pixels.len().is_multiple_of(height * width) {
            return Err(wrong_count(pixels.len(), [height, width]));
        }
        let channels = pixels.len() / (height * width);
        match self {
            Backend::Native(native) => {
                if native.engine.plan().inputs[0].loc.channels() != channels {
                    return Err(wrong_count(pixels.len(), [height, width]));
                }
                native.engine.fill_reals(pixels);
                Ok(())
            }
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.fill_reals(pixels),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.fill_reals(pixels),
        }
    }

    /// Runs the network.
    ///
    /// # Errors
    /// The engine fails; the native one does not.
    pub fn run(&mut self) -> Result<()> {
        match self {
            Backend::Native(native) => native.engine.run(),
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.run()?,
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.run()?,
        }
        Ok(())
    }

    /// The same network for several images at once.
    ///
    /// # Errors
    /// As [`Engine::with_batch`], or the engine is not the native one.
    pub fn with_batch(self, images: usize) -> Result<Batch> {
        match self {
            Backend::Native(native) => native.engine.with_batch(images),
            #[cfg(any(feature = "tract", feature = "ncnn"))]
            _ => Err(Error::Usage("batches run in the native engine only".into())),
        }
    }

    /// Output `i` of the last run; images NHWC.
    pub fn output(&self, i: usize) -> crate::detect::Output<'_> {
        match self {
            Backend::Native(native) => {
                let plane = native.engine.output(i).plane;
                crate::detect::Output { data: plane.data, pitch: plane.pitch }
            }
            #[cfg(feature = "tract")]
            Backend::Tract(tract) => tract.output(i),
            #[cfg(feature = "ncnn")]
            Backend::Ncnn(ncnn) => ncnn.output(i),
        }
    }
}

pub(crate) fn wrong_count(count: usize, [height, width]: [usize; 2]) -> Error {
    Error::Usage(format!("the input has {count} numbers, the network takes a picture of {height}×{width}"))
}
