//! A float model from one file format to another: simplified, written, and compared with what was read.

mod check;
mod metadata;
mod report;

pub use check::{Check, Difference};
pub use metadata::{Set, flags_for, merged, names_entry};
pub use report::{Conversion, FileSize, OpCount};

use crate::error::{Error, Result};
use crate::runtime::network::{Network, NetworkOptions, files_named};
use crate::write::ncnn::{NcnnOptions, ncnn};
use crate::write::onnx::{OnnxOptions, onnx};
use crate::write::save::{check_target, save};
use ocellus::graph::Graph;
use ocellus::image::Preprocess;
use ocellus::limits::INPUT_SIDE_MAX;
use ocellus::loader::{self, LoadOptions, Model};
use ocellus::passes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How much larger the second size is at which a model is read, to see what depends on the size. Two strides
/// of 32: a multiple of the strides of all common detectors.
const OTHER_SIZE: usize = 64;

/// The formats that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// One `.onnx` file.
    Onnx,
    /// A `.param` file and the `.bin` beside it.
    Ncnn,
}

impl Target {
    /// The format that the suffix of `path` says.
    ///
    /// # Errors
    /// [`Error::Usage`]: none of them.
    pub fn of(path: &Path) -> Result<Self> {
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
        match suffix.as_deref() {
            Some("onnx") => Ok(Target::Onnx),
            Some("param") => Ok(Target::Ncnn),
            _ => Err(Error::Usage(format!(
                "{}: the suffix says the format to write; use .onnx or .param",
                path.display()
            ))),
        }
    }
}

/// What to convert, and how.
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// The float model.
    pub input: PathBuf,
    /// The file to write; of ncnn the `.param`.
    pub output: PathBuf,
    /// Side at which the model is read; `None`: what the file says.
    pub side: Option<usize>,
    /// Detection heads end at their convolutions, without the reshape and transpose behind them.
    pub raw_heads: bool,
    /// The file takes only the size at which the model is read.
    pub fixed: bool,
    /// Weights of an ncnn file in half precision.
    pub half: bool,
    /// Entries that replace those of the input's metadata.
    pub set: Vec<Set>,
    /// Pictures on which the files are compared; where there are none, noise.
    pub check: Vec<PathBuf>,
}

/// Converts a model. Nothing is written unless the new file gives the outputs of the old one.
///
/// # Errors
/// The input is broken, unsupported or quantized; the format cannot express it; metadata cannot be read; an
/// output differs; or a file cannot be written.
pub fn convert(options: &ConvertOptions) -> Result<Conversion> {
    let targets = targets(options)?;
    let input = Network::open(&NetworkOptions {
        model: options.input.clone(),
        side: options.side,
        preprocess: Vec::new(),
    })?;
    let metadata = merged(&input.model.metadata, &options.set)?;
    let preprocess = Preprocess::from_metadata(&metadata)?;
    let simple = prepared(input.graph(), options.raw_heads)?;
    let written = write(options, &simple, &metadata, targets)?;
    let size = size_of(input.graph());
    let read = written.read(size)?;
    let check = check::compare([input.graph(), &simple], &read.graph, &preprocess, &options.check)?;
    check.accept(options.half)?;
    let files: Vec<(&Path, &[u8])> =
        written.files.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice())).collect();
    save(&files)?;
    let natural = written.natural_size();
    Ok(Conversion {
        input: files_of(&options.input),
        output: files.iter().map(|(path, bytes)| FileSize::new(path, bytes.len() as u64)).collect(),
        size,
        size_when_opened: natural,
        fixed_because: written.fixed_because,
        layers_before: input.graph().nodes.len(),
        layers_after: simple.nodes.len(),
        ops: report::count_ops(input.graph(), &simple),
        check,
        pass_as_flags: match Target::of(&options.output)? {
            Target::Onnx => Vec::new(),
            Target::Ncnn => flags_for(&metadata)?,
        },
    })
}

/// The graph as it is written.
fn prepared(graph: &Graph, raw_heads: bool) -> Result<Graph> {
    let simple = passes::simplify(graph)?;
    Ok(if raw_heads { passes::raw_heads(&simple)? } else { simple })
}

/// Rows and columns of the input.
fn size_of(graph: &Graph) -> [usize; 2] {
    let shape = graph.inputs.first().and_then(|&id| graph.shape(id).nchw());
    shape.map_or([0; 2], |[_, _, height, width]| [height, width])
}

/// The files to write; refuses those that cannot be, or that are the input.
fn targets(options: &ConvertOptions) -> Result<Vec<PathBuf>> {
    let output = &options.output;
    let targets = match Target::of(output)? {
        Target::Onnx if options.half => {
            return Err(Error::Usage("--half: of ncnn files only; ONNX files keep single precision".into()));
        }
        Target::Onnx => vec![output.clone()],
        Target::Ncnn => vec![output.clone(), output.with_extension("bin")],
    };
    for target in &targets {
        check_target("OUT", target)?;
        let real = std::fs::canonicalize(target);
        let same = |read: &PathBuf| std::fs::canonicalize(read).ok().as_ref() == real.as_ref().ok();
        if real.is_ok() && files_named(&options.input).iter().any(same) {
            let target = target.display();
            return Err(Error::Usage(format!("OUT: {target} is the model that is read; give another name")));
        }
    }
    Ok(targets)
}

/// The files of a model and how large they are.
pub(crate) fn files_of(model: &Path) -> Vec<FileSize> {
    let bytes = |path: &PathBuf| std::fs::metadata(path).map_or(0, |about| about.len());
    files_named(model).iter().map(|path| FileSize::new(path, bytes(path))).collect()
}

/// Files in memory.
struct Written {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// Why they take one size only.
    fixed_because: Option<String>,
}

impl Written {
    /// Reads them as the runtime will.
    fn read(&self, size: [usize; 2]) -> Result<Model> {
        self.load(&LoadOptions { size: Some(size) })
    }

    /// The size that they have where nobody asks for one.
    fn natural_size(&self) -> Option<[usize; 2]> {
        self.load(&LoadOptions::default()).ok().map(|model| size_of(&model.graph))
    }

    fn load(&self, options: &LoadOptions) -> Result<Model> {
        let in_file = |e: ocellus::Error| e.at(|place| place.file = Some(self.files[0].0.clone()));
        let model = match &self.files[..] {
            [(_, param), (_, bin)] => loader::ncnn::parse(param, bin, options),
            [(_, bytes), ..] => loader::onnx::parse(bytes, options),
            [] => Err(ocellus::Error::Usage("no file was written".to_owned())),
        };
        Ok(model.map_err(in_file)?)
    }
}

/// Writes for any size where the model allows that, else for the size of `graph`.
fn write(
    options: &ConvertOptions,
    graph: &Graph,
    metadata: &[(String, String)],
    targets: Vec<PathBuf>,
) -> Result<Written> {
    let named = |contents: Vec<Vec<u8>>, fixed_because| Written {
        files: targets.iter().cloned().zip(contents).collect(),
        fixed_because,
    };
    let because = match other_size(options, graph) {
        Err(because) => because,
        Ok(other) => {
            let [height, width] = size_of(&other);
            let written = bytes(options, graph, Some(&other), metadata).and_then(|contents| {
                let written = named(contents, None);
                written.read([height, width]).map(|_| written)
            });
            match written {
                Ok(written) => return Ok(written),
                Err(error) => format!("the file cannot say how it depends on the size: {error}"),
            }
        }
    };
    bytes(options, graph, None, metadata).map(|contents| named(contents, Some(because)))
}

/// The same network at another size; or why there is none.
fn other_size(options: &ConvertOptions, graph: &Graph) -> Result<Graph, String> {
    if options.fixed {
        return Err("--fixed".to_owned());
    }
    let [height, width] = size_of(graph);
    let larger = height.max(width) + OTHER_SIZE <= INPUT_SIDE_MAX;
    let other = |side: usize| if larger { side + OTHER_SIZE } else { side.saturating_sub(OTHER_SIZE) };
    let size = Some([other(height), other(width)]);
    let read = loader::load(&options.input, &LoadOptions { size });
    let graph = read.map_err(|e| format!("the model's file is made for this one: {e}"))?.graph;
    if size != Some(size_of(&graph)) {
        return Err("the model's file is made for this one".to_owned());
    }
    prepared(&graph, options.raw_heads).map_err(|e| e.to_string())
}

fn bytes(
    options: &ConvertOptions,
    graph: &Graph,
    other_size: Option<&Graph>,
    metadata: &[(String, String)],
) -> Result<Vec<Vec<u8>>> {
    Ok(match Target::of(&options.output)? {
        Target::Onnx => vec![onnx(graph, &OnnxOptions { metadata, other_size })?],
        Target::Ncnn => {
            let written =
                ncnn(graph, &NcnnOptions { int8: &HashMap::new(), half: options.half, other_size })?;
            vec![written.param.into_bytes(), written.bin]
        }
    })
}
