//! `.param` files, text and binary, to layer records.
//!
//! A record is what a file says about one layer, with counts and names checked; what it means is settled by
//! the translation. Format: "param and model file structure" in ncnn's developer guide.

use super::layer_types;
use super::params::{IDS, Param, Params, Scalar};
use crate::error::{Error, Result};
use crate::limits::{
    ATTRIBUTE_ELEMENTS_MAX, NAME_BYTES_MAX, NODE_ARITY_MAX, NODES_MAX, PARAM_LINE_BYTES_MAX, VALUES_MAX,
};
use crate::loader::reader::Reader;
use std::str::SplitAsciiWhitespace;

/// First number of a `.param` file, text or binary.
pub(super) const MAGIC: i32 = 7_767_517;
/// Ends a layer in a binary file.
const END_OF_LAYER: i32 = -233;
/// Array parameters have ids from this one downwards.
const ARRAY_ID: i32 = -23_300;
/// String parameters of a binary file have ids from this one downwards.
const STRING_ID: i32 = -23_400;

/// One layer as the file has it.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Type, such as `Convolution`.
    pub(super) kind: String,
    /// Name; `#3` for the fourth layer of a binary file, which has no names.
    pub(super) name: String,
    /// Blobs that it reads.
    pub(super) inputs: Vec<String>,
    /// Blobs that it makes.
    pub(super) outputs: Vec<String>,
    /// Parameters.
    pub(super) params: Params,
    /// Line in a text file, from 1.
    pub(super) line: Option<usize>,
    /// Offset in a binary file.
    pub(super) byte: Option<u64>,
}

impl Layer {
    /// `Type name`, for messages.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.kind, self.name)
    }
}

/// Parses either form of a `.param` file; the first bytes tell which it is.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Layer>> {
    if bytes.starts_with(&MAGIC.to_le_bytes()) { parse_binary(bytes) } else { parse_text(bytes) }
}

fn check_counts(layers: usize, blobs: usize) -> Result<()> {
    if layers > NODES_MAX || blobs > VALUES_MAX {
        let limit = format!("the limits are {NODES_MAX} and {VALUES_MAX}");
        return Err(Error::bad_model(format!("{layers} layers and {blobs} blobs are declared, {limit}")));
    }
    Ok(())
}

fn check_blobs(layers: &[Layer], declared: usize) -> Result<()> {
    let made: usize = layers.iter().map(|layer| layer.outputs.len()).sum();
    if made > declared {
        return Err(Error::bad_model(format!("the layers make {made} blobs, {declared} are declared")));
    }
    Ok(())
}

fn parse_text(bytes: &[u8]) -> Result<Vec<Layer>> {
    let mut lines = bytes.split(|&byte| byte == b'\n').enumerate().map(|(index, line)| {
        let line = text_line(line).map_err(|e| at_line(e, index + 1))?;
        Ok((index + 1, line))
    });
    let mut next = move || -> Result<Option<(usize, &str)>> {
        lines.by_ref().find(|line| !matches!(line, Ok((_, "")))).transpose()
    };
    let short = |what: &str| Error::bad_model(format!("the file ends before {what}"));

    let (line, magic) = next()?.ok_or_else(|| short("its magic number"))?;
    if magic.parse() != Ok(MAGIC) {
        let what = format!("not an ncnn param file: it must begin with {MAGIC}");
        return Err(at_line(Error::bad_model(what), line));
    }
    let (line, counts) = next()?.ok_or_else(|| short("its layer and blob counts"))?;
    let (layer_count, blob_count) = parse_counts(counts).map_err(|e| at_line(e, line))?;

    let mut layers = Vec::new();
    for index in 0..layer_count {
        let (line, text) = next()?.ok_or_else(|| short(&format!("layer {index} of {layer_count}")))?;
        layers.push(parse_layer(text, line).map_err(|e| at_line(e, line))?);
    }
    if let Some((line, _)) = next()? {
        log::warn!("line {line}: what follows the {layer_count} declared layers is ignored");
    }
    check_blobs(&layers, blob_count)?;
    Ok(layers)
}

fn at_line(error: Error, line: usize) -> Error {
    error.at(|place| place.line = Some(line))
}

fn text_line(line: &[u8]) -> Result<&str> {
    if line.len() > PARAM_LINE_BYTES_MAX {
        return Err(Error::bad_model(format!("the line is longer than {PARAM_LINE_BYTES_MAX} bytes")));
    }
    std::str::from_utf8(line)
        .map(str::trim_ascii)
        .map_err(|_| Error::bad_model("the line is not text (UTF-8)"))
}

fn parse_counts(text: &str) -> Result<(usize, usize)> {
    let mut tokens = text.split_ascii_whitespace();
    let (layers, blobs) = (count(&mut tokens, "layer count")?, count(&mut tokens, "blob count")?);
    check_counts(layers, blobs)?;
    Ok((layers, blobs))
}

fn count(tokens: &mut SplitAsciiWhitespace, what: &str) -> Result<usize> {
    let token = tokens.next().ok_or_else(|| Error::bad_model(format!("the {what} is missing")))?;
    token.parse().map_err(|_| Error::bad_model(format!("the {what} is {}, not a number", quoted(token))))
}

/// A token for a message, shortened.
fn quoted(token: &str) -> String {
    let short: String = token.chars().take(40).collect();
    format!("{short:?}")
}

fn name(tokens: &mut SplitAsciiWhitespace, what: &str) -> Result<String> {
    let token = tokens.next().ok_or_else(|| Error::bad_model(format!("the {what} is missing")))?;
    if token.len() > NAME_BYTES_MAX {
        return Err(Error::bad_model(format!("the {what} is longer than {NAME_BYTES_MAX} bytes")));
    }
    Ok(token.to_owned())
}

fn check_arity(inputs: usize, outputs: usize) -> Result<()> {
    if inputs > NODE_ARITY_MAX || outputs > NODE_ARITY_MAX {
        let what = format!("{inputs} inputs and {outputs} outputs, the limit is {NODE_ARITY_MAX}");
        return Err(Error::bad_model(what));
    }
    Ok(())
}

/// `Type name n_in n_out in.. out.. k=v..`
fn parse_layer(text: &str, line: usize) -> Result<Layer> {
    let mut tokens = text.split_ascii_whitespace();
    let kind = name(&mut tokens, "layer type")?;
    let layer_name = name(&mut tokens, "layer name")?;
    let label = format!("{kind} {layer_name}");
    let rest = move || {
        let input_count = count(&mut tokens, "input count")?;
        let output_count = count(&mut tokens, "output count")?;
        check_arity(input_count, output_count)?;
        let inputs = (0..input_count).map(|_| name(&mut tokens, "input blob")).collect::<Result<_>>()?;
        let outputs = (0..output_count).map(|_| name(&mut tokens, "output blob")).collect::<Result<_>>()?;
        let mut params = Params::default();
        for token in tokens {
            parse_param(token, &mut params)?;
        }
        Ok(Layer { kind, name: layer_name, inputs, outputs, params, line: Some(line), byte: None })
    };
    rest().map_err(|e: Error| e.at(|place| place.node = Some(label)))
}

fn parse_param(token: &str, params: &mut Params) -> Result<()> {
    let broken = |why: &str| Error::bad_model(format!("parameter {}: {why}", quoted(token)));
    let (id, value) = token.split_once('=').ok_or_else(|| broken("not of the form id=value"))?;
    let id: i32 = id.parse().map_err(|_| broken("its id is not a number"))?;
    let (id, value) = if id <= ARRAY_ID {
        (ARRAY_ID.checked_sub(id), parse_counted_array(value).map_err(|e| broken(&e))?)
    } else {
        (Some(id), parse_value(value).map_err(|e| broken(&e))?)
    };
    let id = id.and_then(|id| usize::try_from(id).ok()).filter(|&id| id < IDS);
    let id = id.ok_or_else(|| broken(&format!("its id is outside 0..{IDS}")))?;
    if params.insert(id, value) { Ok(()) } else { Err(broken("its id is given twice")) }
}

/// `n,v1,..,vn`
fn parse_counted_array(text: &str) -> Result<Param, String> {
    let (length, elements) = text.split_once(',').unwrap_or((text, ""));
    let elements = parse_elements(elements)?;
    if length.parse() != Ok(elements.len()) {
        return Err(format!("{} elements where {} are declared", elements.len(), quoted(length)));
    }
    Ok(Param::Array(elements))
}

/// `v`, `v1,v2,..` (one element has a comma behind it) or a string.
fn parse_value(text: &str) -> Result<Param, String> {
    if text.starts_with(|first: char| first == '"' || first.is_ascii_alphabetic()) {
        return Ok(Param::Text(text.to_owned()));
    }
    if text.contains(',') {
        return parse_elements(text).map(Param::Array);
    }
    parse_scalar(text).map(Param::Scalar)
}

fn parse_elements(text: &str) -> Result<Vec<Scalar>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let text = text.strip_suffix(',').unwrap_or(text);
    if text.split(',').nth(ATTRIBUTE_ELEMENTS_MAX).is_some() {
        return Err(format!("more than {ATTRIBUTE_ELEMENTS_MAX} elements"));
    }
    text.split(',').map(parse_scalar).collect()
}

fn parse_scalar(text: &str) -> Result<Scalar, String> {
    let bad = || format!("{} is not a number", quoted(text));
    if text.contains(['.', 'e', 'E']) {
        let float: f32 = text.parse().map_err(|_| bad())?;
        return if float.is_finite() { Ok(Scalar::Float(float)) } else { Err(bad()) };
    }
    text.parse().map(Scalar::Int).map_err(|_| bad())
}

fn parse_binary(bytes: &[u8]) -> Result<Vec<Layer>> {
    let mut reader = Reader::new(bytes);
    reader.i32_le()?;
    let layer_count = size(&mut reader, "layer count")?;
    let blob_count = size(&mut reader, "blob count")?;
    check_counts(layer_count, blob_count)?;
    let mut layers = Vec::new();
    for index in 0..layer_count {
        let byte = reader.position() as u64;
        let layer = binary_layer(&mut reader, index, blob_count);
        layers.push(layer.map_err(|e| e.at(|place| place.byte = Some(byte)))?);
    }
    if !reader.is_empty() {
        log::warn!("{} bytes behind the {layer_count} declared layers are ignored", reader.remaining());
    }
    check_blobs(&layers, blob_count)?;
    Ok(layers)
}

fn size(reader: &mut Reader, what: &str) -> Result<usize> {
    let at = reader.clone();
    let value = reader.i32_le()?;
    usize::try_from(value).map_err(|_| at.error(format!("the {what} is {value}")))
}

/// Type index, input and output counts, input and output blob indices, parameters, −233.
fn binary_layer(reader: &mut Reader, index: usize, blob_count: usize) -> Result<Layer> {
    let byte = reader.position() as u64;
    let start = reader.clone();
    let type_index = reader.i32_le()?;
    let kind = layer_types::name(type_index).ok_or_else(|| {
        let error =
            start.error(format!("layer {index} has the type number {type_index}, which is not known"));
        error.at(|place| place.node = Some(format!("#{index}")))
    })?;
    let (input_count, output_count) = (size(reader, "input count")?, size(reader, "output count")?);
    check_arity(input_count, output_count)?;
    let mut blob = || {
        let at = reader.clone();
        let blob = size(reader, "blob index")?;
        let inside = blob < blob_count;
        inside.then(|| blob.to_string()).ok_or_else(|| at.error(format!("blob {blob} of {blob_count}")))
    };
    let inputs = (0..input_count).map(|_| blob()).collect::<Result<_>>()?;
    let outputs = (0..output_count).map(|_| blob()).collect::<Result<_>>()?;
    let params = binary_params(reader)?;
    let name = format!("#{index}");
    Ok(Layer { kind: kind.to_owned(), name, inputs, outputs, params, line: None, byte: Some(byte) })
}

fn binary_params(reader: &mut Reader) -> Result<Params> {
    let mut params = Params::default();
    loop {
        let at = reader.clone();
        let id = reader.i32_le()?;
        if id == END_OF_LAYER {
            return Ok(params);
        }
        if id <= STRING_ID {
            let what = "text parameters of binary files are not supported, use the text form of the file";
            return Err(Error::unsupported(what).at(|place| place.byte = Some(at.position() as u64)));
        }
        let (id, value) = if id <= ARRAY_ID {
            (ARRAY_ID - id, Param::Array(binary_array(reader)?))
        } else {
            (id, Param::Scalar(Scalar::Bits(reader.u32_le()?)))
        };
        let inserted = usize::try_from(id).is_ok_and(|id| params.insert(id, value));
        if !inserted {
            return Err(at.error(format!("parameter id {id} is given twice or outside 0..{IDS}")));
        }
    }
}

fn binary_array(reader: &mut Reader) -> Result<Vec<Scalar>> {
    let at = reader.clone();
    let length = size(reader, "array length")?;
    if length > ATTRIBUTE_ELEMENTS_MAX || length > reader.remaining() / 4 {
        return Err(at.error(format!("an array of {length} elements, {} bytes left", reader.remaining())));
    }
    (0..length).map(|_| reader.u32_le().map(Scalar::Bits)).collect()
}
