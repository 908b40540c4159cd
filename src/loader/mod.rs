//! Model files to [`Graph`](crate::graph::Graph)s. One file per format, one checked reader under all.

mod embedded;
pub mod ncnn;
pub mod onnx;
pub mod reader;

pub use embedded::EMBEDDED;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::limits::MODEL_FILE_BYTES_MAX;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a loader needs to know besides the bytes.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Network input as `[height, width]`; resolves dynamic dimensions, and overrides fixed ones where the
    /// graph allows another size. `None`: the model's own size (of dynamic ONNX files that in the metadata entry
    /// `imgsz`), 320×320 where it has none.
    pub size: Option<[usize; 2]>,
}

/// A network with what its file says beside the graph.
#[derive(Clone, Debug)]
pub struct Model {
    /// The network; one input `[1, C, H, W]`.
    pub graph: Graph,
    /// Free-form metadata, as ONNX `metadata_props`: `names`, `stride`, `anchors`, `mean`, `norm`, …
    pub metadata: Vec<(String, String)>,
}

/// Reads the model of this crate, [`EMBEDDED`], or a model file of any supported kind, told by its suffix: `.onnx`; `.param` and `.param.bin` (ncnn,
/// with the weights in the `.bin` beside it).
///
/// # Errors
/// The suffix is unknown, a file is missing, or the model is broken or unsupported.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Model> {
    load_by_suffix(path, options).map_err(|error| match (error, options.size) {
        (Error::BadModel { place, what }, Some([h, w])) if h % STRIDE_MAX != 0 || w % STRIDE_MAX != 0 => {
            let what =
                format!("{what}; most networks need sides that are multiples of {STRIDE_MAX}, not {w}×{h}");
            Error::BadModel { place, what }
        }
        (error, _) => error,
    })
}

/// Largest stride of the common detectors.
const STRIDE_MAX: usize = 32;

fn load_by_suffix(path: &Path, options: &LoadOptions) -> Result<Model> {
    if let Some(model) = embedded::load(path, options) {
        return model.map_err(|e| e.at(|place| place.file = Some(path.to_owned())));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if name.ends_with(".param") || name.ends_with(".param.bin") {
        return load_ncnn(path, &weights_of(path), options);
    }
    if name.ends_with(".onnx") {
        return onnx::load(path, options);
    }
    Err(Error::Usage(format!(
        "{}: not a model file; expected .onnx, .param or .param.bin, or {EMBEDDED}, the model of this program",
        path.display()
    )))
}

/// Reads an ncnn model from its `.param` (or binary `.param.bin`) and its `.bin` file.
///
/// # Errors
/// A file is missing, or the model is broken or unsupported.
pub fn load_ncnn(param: &Path, bin: &Path, options: &LoadOptions) -> Result<Model> {
    ncnn::load(param, bin, options)
}

/// `x.bin` for `x.param` and `x.param.bin`.
pub(crate) fn weights_of(param: &Path) -> PathBuf {
    match param.extension() {
        Some(suffix) if suffix.eq_ignore_ascii_case("bin") => param.with_extension("").with_extension("bin"),
        _ => param.with_extension("bin"),
    }
}

/// All bytes of a model file, if they are not too many.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    let size = file.metadata().map_or(0, |data| data.len()).min(MODEL_FILE_BYTES_MAX);
    // Room for one byte more, by which reading notices the end.
    let mut bytes = Vec::with_capacity(size as usize + 1);
    // One byte more than allowed: what grows while it is read, or has no size at all, is noticed as well.
    file.take(MODEL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > MODEL_FILE_BYTES_MAX {
        let what = format!("the file is larger than {MODEL_FILE_BYTES_MAX} bytes");
        return Err(Error::bad_model(what).at(|place| place.file = Some(path.to_owned())));
    }
    Ok(bytes)
}
