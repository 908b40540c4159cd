//! Graphs as ONNX files, float or in QDQ format.
//!
//! A grid becomes `QuantizeLinear` and `DequantizeLinear`, and again behind operators that only move elements:
//! runtimes fuse what stands between the two. Int8 weights become a `DequantizeLinear` with a scale per output
//! channel, the bias of such a layer int32 codes. What the graph says in one operator and ONNX in
//! several (an activation behind its layer, SiLU, Focus) becomes these: [`functions`], [`layers`], [`moves`].

mod functions;
mod layers;
mod moves;
mod names;
mod proto;
mod quantization;
#[cfg(test)]
mod tests;
mod writer;

use crate::error::{Error, Result};
use crate::runtime::network::size_of;
use ocellus::graph::{Graph, Op, ReduceKind, ValueId};
use prost::Message;
use proto::{AttributeProto, GraphProto, ModelProto};
use writer::Writer;

/// Version of ONNX's operators.
const OPSET: i64 = 13;
/// Version of the file format.
const IR_VERSION: i64 = 8;
/// Key of the size that the runtime gives dynamic extents where nobody asks for another, as Ultralytics writes it.
const SIZE_KEY: &str = "imgsz";
/// No protobuf message is longer.
const FILE_BYTES_MAX: usize = i32::MAX as usize;

/// What a file has beside the graph.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnnxOptions<'a> {
    /// `metadata_props`, in this order.
    pub metadata: &'a [(String, String)],
    /// The same network, loaded for another input size: the file takes any size. Extents in which the two
    /// differ are written as dynamic, and an entry `imgsz` says the graph's size.
    pub other_size: Option<&'a Graph>,
}

/// The graph as an ONNX file (operator set 13, IR version 8). The same graph gives the same bytes.
///
/// Inputs and outputs keep their names; so does everything else whose name is unique.
///
/// # Errors
/// ONNX cannot express an operator, which the message names; two inputs or outputs have the same name; or the
/// network differs from `other_size` in more than extents.
pub fn onnx(graph: &Graph, options: &OnnxOptions) -> Result<Vec<u8>> {
    let written = graph_proto(graph, options.other_size)?;
    if let Some(other) = options.other_size {
        check_same(&written, &graph_proto(other, Some(graph))?)?;
    }
    let entry = |key: &str, value: &str| proto::StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let mut metadata_props: Vec<_> = options.metadata.iter().map(|(key, value)| entry(key, value)).collect();
    if options.other_size.is_some() {
        let [height, width] = size_of(graph);
        metadata_props.retain(|known| known.key != SIZE_KEY);
        metadata_props.push(entry(SIZE_KEY, &format!("[{height}, {width}]")));
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "ocellus-calib".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(written),
        opset_import: vec![proto::OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props,
    };
    match model.encoded_len() {
        0..=FILE_BYTES_MAX => Ok(model.encode_to_vec()),
        bytes => Err(Error::Usage(format!("the model has {bytes} bytes, too many for one ONNX file"))),
    }
}

fn graph_proto(graph: &Graph, other: Option<&Graph>) -> Result<GraphProto> {
    let mut writer = Writer::new(graph, other)?;
    for index in 0..graph.nodes.len() {
        let carried = quantization::carried(&writer, &graph.nodes[index]);
        writer.begin(index, carried.is_some());
        node(&mut writer, index).map_err(|error| match error {
            Error::Runtime(error) => Error::Runtime(error.at(|place| {
                let node = &graph.nodes[index];
                place.node = Some(format!("{} {}", node.op.name(), node.name));
            })),
            other => other,
        })?;
        if let Some(grid) = carried {
            let moved = writer.target();
            writer.arrive();
            quantization::on_grid(&mut writer, &moved, &graph.nodes[index], grid);
        }
    }
    writer.finish()
}

/// What ONNX cannot express.
fn unsupported(what: impl Into<String>) -> Error {
    Error::Runtime(ocellus::Error::unsupported(what))
}

/// A network that takes any size is written in the same way from both sizes.
fn check_same(written: &GraphProto, other: &GraphProto) -> Result<()> {
    let differs = |what: &str, name: &str| {
        let what = format!("{what} {name:?} depends on the input's size; write the model for one size");
        Err(unsupported(what))
    };
    if let Some((node, _)) = written.node.iter().zip(&other.node).find(|(a, b)| a != b) {
        return differs("the node", &node.name);
    }
    if let Some((tensor, _)) = written.initializer.iter().zip(&other.initializer).find(|(a, b)| a != b) {
        return differs("the constant", &tensor.name);
    }
    match (written.node.len(), written.initializer.len()) == (other.node.len(), other.initializer.len()) {
        true => Ok(()),
        false => Err(writer::other_network()),
    }
}

/// Writes one operator.
fn node(writer: &mut Writer, index: usize) -> Result<()> {
    let graph = writer.graph;
    let node = &graph.nodes[index];
    let x = node.inputs.first().copied();
    match &node.op {
        Op::Conv { .. } | Op::ConvTranspose { .. } => layers::conv(writer, node),
        Op::Linear { activation } => layers::linear(writer, node, *activation),
        Op::Pool { .. } => layers::pool(writer, node),
        Op::AdaptivePool { kind, output } => layers::adaptive_pool(writer, node, *kind, *output),
        Op::Unary(function) => {
            let (x, out) = (writer.operand(node.inputs[0]), writer.target());
            functions::function(writer, *function, &x, out);
            Ok(())
        }
        Op::PRelu => {
            let [x, slope] = [writer.operand(node.inputs[0]), writer.channels(&node.inputs, 1)?];
            writer.emit_target("PRelu", &[&x, &slope], vec![]);
            Ok(())
        }
        Op::ChannelAffine => functions::channel_affine(writer, node),
        Op::Binary { kind, activation } => {
            functions::binary(writer, node, *kind, *activation);
            Ok(())
        }
        Op::Concat { axis } => {
            let parts: Vec<String> = node.inputs.iter().map(|&id| writer.operand(id)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            writer.emit_target("Concat", &parts, vec![AttributeProto::int("axis", *axis as i64)]);
            Ok(())
        }
        Op::Softmax { axis } => {
            let x = writer.operand(node.inputs[0]);
            writer.emit_target("Softmax", &[&x], vec![AttributeProto::int("axis", *axis as i64)]);
            Ok(())
        }
        Op::Reduce { kind, axes } => {
            reduce(writer, node.inputs[0], *kind, axes);
            Ok(())
        }
        Op::FakeQuant(grid) => {
            let x = writer.operand(node.inputs[0]);
            quantization::on_grid(writer, &x, node, *grid);
            Ok(())
        }
        moves => match x {
            Some(x) => moves::moves(writer, x, moves),
            None => Err(unsupported("an operator without operands")),
        },
    }
}

fn reduce(writer: &mut Writer, x: ValueId, kind: ReduceKind, axes: &[usize]) {
    let x = writer.operand(x);
    let op = match kind {
        ReduceKind::Mean => "ReduceMean",
        ReduceKind::Sum => "ReduceSum",
        ReduceKind::Max => "ReduceMax",
        ReduceKind::Min => "ReduceMin",
    };
    let keep = AttributeProto::int("keepdims", 1);
    match (kind, axes) {
        // No axes would mean all of them.
        (_, []) => writer.emit_target("Identity", &[&x], vec![]),
        (ReduceKind::Sum, axes) => {
            let axes = writer.indices("axes", axes);
            writer.emit_target(op, &[&x, &axes], vec![keep]);
        }
        (_, axes) => writer.emit_target(op, &[&x], vec![AttributeProto::ints("axes", axes), keep]),
    }
}
