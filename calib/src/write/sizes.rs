//! Files that take any input size where the model allows that.

use crate::error::Result;
use crate::runtime::network::size_of;
use ocellus::graph::Graph;
use ocellus::loader::{self, LoadOptions, Model};
use std::path::PathBuf;

/// Files of one model, with their contents: one `.onnx`, or ncnn's `.param` and `.bin`.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

/// Files in memory.
#[derive(Clone, Debug)]
pub struct Written {
    /// The files of one model.
    pub files: Files,
    /// Why they take one size only.
    pub fixed_because: Option<String>,
}

impl Written {
    /// Reads them as the runtime will, at `size` (rows and columns).
    ///
    /// # Errors
    /// The runtime does not.
    pub fn read(&self, size: [usize; 2]) -> Result<Model> {
        self.load(&LoadOptions { size: Some(size) })
    }

    /// The size that they have where nobody asks for one.
    pub fn natural_size(&self) -> Option<[usize; 2]> {
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

/// What `write` makes of a network and the same one at the `other` size, if the runtime reads that at the other size;
/// otherwise what it makes of the network alone. `other` may be the reason why there is none.
///
/// # Errors
/// Those of `write`.
pub fn for_any_size(
    other: &std::result::Result<Graph, String>,
    write: impl Fn(Option<&Graph>) -> Result<Files>,
) -> Result<Written> {
    let because = match other {
        Err(because) => because.clone(),
        Ok(other) => {
            let written = write(Some(other)).and_then(|files| {
                let written = Written { files, fixed_because: None };
                written.read(size_of(other)).map(|_| written)
            });
            match written {
                Ok(written) => return Ok(written),
                Err(error) => format!("the file cannot say how it depends on the size: {error}"),
            }
        }
    };
    Ok(Written { files: write(None)?, fixed_because: Some(because) })
}
