//! A float model from one file format to another: simplified, written, and compared with what was read.

mod check;
mod metadata;
mod report;

pub use check::{Check, Difference};
pub use metadata::{Set, flags_for, merged, names_entry};
pub use report::{Conversion, FileSize, OpCount};

use crate::error::{Error, Result};
use crate::runtime::network::{Network, NetworkOptions, at_other_size, files_named, size_of};
use crate::write::ncnn::{NcnnOptions, ncnn};
use crate::write::onnx::{OnnxOptions, onnx};
use crate::write::save::{check_target, save};
use crate::write::sizes::{Written, for_any_size};
use ocellus::graph::Graph;
use ocellus::image::Preprocess;
use ocellus::passes;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
    let written = write(options, input.graph(), &simple, &metadata, &targets)?;
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

/// Writes for any size where the model allows that, else for the size of `graph`.
fn write(
    options: &ConvertOptions,
    input: &Graph,
    graph: &Graph,
    metadata: &[(String, String)],
    targets: &[PathBuf],
) -> Result<Written> {
    let other = match options.fixed {
        true => Err("--fixed".to_owned()),
        false => at_other_size(&options.input, input)
            .and_then(|other| prepared(&other, options.raw_heads).map_err(|e| e.to_string())),
    };
    for_any_size(&other, |other| {
        let contents = bytes(options, graph, other, metadata)?;
        Ok(targets.iter().cloned().zip(contents).collect())
    })
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
