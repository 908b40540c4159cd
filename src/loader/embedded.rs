//! The model that is part of the program: persons and vehicles, in int8. `models/person-vehicle/MODEL_CARD.md` says what it
//! was trained on and how good it is.

use super::{LoadOptions, Model, onnx};
use crate::error::Result;
use std::path::Path;

/// What it is called where a model's path is expected.
pub const EMBEDDED: &str = "person-vehicle";

/// The file.
const BYTES: &[u8] = include_bytes!("../../models/person-vehicle/int8.onnx");

/// The embedded model, if that is what `path` names.
pub(super) fn load(path: &Path, options: &LoadOptions) -> Option<Result<Model>> {
    (path.as_os_str() == EMBEDDED).then(|| onnx::parse(BYTES, options))
}
