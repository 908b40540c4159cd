//! ONNX models, float and QDQ, without a protobuf library.
//!
//! `wire` walks over the bytes, `proto` names the fields, `import` makes one pass over the live nodes in file
//! order. The input has a concrete shape from the start, and the graph infers each result's shape as soon as
//! its node is added. So shape arithmetic is nothing but constants, which `fold` computes on the spot, and
//! every attribute that depends on shapes is resolved here. What cannot be translated is an error that names
//! the node.

mod call;
mod dims;
mod fold;
mod fold_math;
mod import;
mod ops_conv;
mod ops_math;
mod ops_pool;
mod ops_resize;
mod ops_shape;
mod ops_unary;
mod proto;
mod qdq;
mod strided;
mod tensor;
mod translate;
mod window;
mod wire;
mod wish;

#[cfg(test)]
mod tests;

#[cfg(feature = "tract")]
pub(crate) use wish::size as wished_size;

use super::{LoadOptions, Model};
use crate::error::Result;
use std::path::Path;

/// Reads an ONNX file.
///
/// # Errors
/// The file cannot be read, is larger than
/// [`MODEL_FILE_BYTES_MAX`](crate::limits::MODEL_FILE_BYTES_MAX), or [`parse`] refuses it.
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Model> {
    let path = path.as_ref();
    parse(&super::read_file(path)?, options).map_err(|e| e.at(|p| p.file = Some(path.to_owned())))
}

/// The metadata of an ONNX file, whatever operators its graph has.
///
/// # Errors
/// As [`load`], but for the graph.
#[cfg(feature = "tract")]
pub fn metadata(path: &Path) -> Result<Vec<(String, String)>> {
    let bytes = super::read_file(path)?;
    let model = proto::ModelProto::parse(&bytes).map_err(|e| e.at(|p| p.file = Some(path.to_owned())))?;
    Ok(model.metadata)
}

/// Reads the bytes of an ONNX file.
///
/// # Errors
/// The bytes are not a consistent model, or the model needs something that the graph cannot express.
pub fn parse(bytes: &[u8], options: &LoadOptions) -> Result<Model> {
    let model = proto::ModelProto::parse(bytes)?;
    let graph = import::graph(&model, options)?;
    Ok(Model { graph, metadata: model.metadata })
}
