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

#[cfg(test)]
mod tests;

use super::{LoadOptions, Model};
use crate::error::{Error, Result};
use crate::limits::MODEL_FILE_BYTES_MAX;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads an ONNX file.
///
/// # Errors
/// The file cannot be read, is larger than [`MODEL_FILE_BYTES_MAX`], or [`parse`] refuses it.
pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Model> {
    let path = path.as_ref();
    let in_file = |e: Error| e.at(|p| p.file = Some(path.to_owned()));
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    file.take(MODEL_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > MODEL_FILE_BYTES_MAX {
        return Err(in_file(Error::bad_model(format!("larger than {} MiB", MODEL_FILE_BYTES_MAX >> 20))));
    }
    parse(&bytes, options).map_err(in_file)
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
