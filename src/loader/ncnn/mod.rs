//! ncnn models: a `.param` file (text or binary) that lists the layers, and a `.bin` file of their weights.
//!
//! [`param`] turns the first into layer records, [`bin`] hands out the second piece by piece, and
//! [`translate`] walks the records once and turns each layer into graph operators; the layers' own rules are
//! grouped in the files beside it. ncnn's blobs have no batch: a blob `(c, h, w)` is a value `[1, C, H, W]`,
//! `(h, w)` is `[1, H, W]`, `(w)` is `[1, W]`, so that axis `a` of a blob is axis `a + 1` of its value.

mod bin;
mod elementwise;
mod layer_types;
mod param;
mod params;
mod quantize;
mod reduce;
mod reshape;
mod slice;
#[cfg(test)]
mod tests;
mod translate;
mod weighted;
mod window;

use super::{LoadOptions, Model, read_file};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Reads a model from a `.param` file, text or binary, and its `.bin` file.
///
/// # Errors
/// A file cannot be read, is broken, or asks for a layer that the graph has no operators for. The message
/// names file, line or byte, and layer.
pub fn load(param: &Path, bin: &Path, options: &LoadOptions) -> Result<Model> {
    let param_bytes = read_file(param)?;
    if !bin.exists() {
        let what = format!("its weights are expected in {}, which does not exist", bin.display());
        return Err(Error::bad_model(what).at(|place| place.file = Some(param.to_owned())));
    }
    parse_files((&param_bytes, param.into()), (&read_file(bin)?, bin.into()), options)
}

/// Reads a model from the bytes of its two files.
///
/// # Errors
/// As [`load`], with `.param` and `.bin` for the files' names.
pub fn parse(param: &[u8], bin: &[u8], options: &LoadOptions) -> Result<Model> {
    parse_files((param, ".param".into()), (bin, ".bin".into()), options)
}

fn parse_files(param: (&[u8], PathBuf), bin: (&[u8], PathBuf), options: &LoadOptions) -> Result<Model> {
    let weights = bin::WeightReader::new(bin.0, bin.1);
    let graph = param::parse(param.0).and_then(|layers| translate::translate(&layers, weights, options));
    let graph = graph.map_err(|e| e.at(|place| place.file = Some(param.1)))?;
    Ok(Model { graph, metadata: Vec::new() })
}
