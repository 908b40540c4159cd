//! Grids and int8 weights in QDQ format.

use super::proto::{self, AttributeProto};
use super::writer::Writer;
use ocellus::graph::{Node, ValueId};
use ocellus::passes::moves_only;
use ocellus::tensor::{Data, Quant};

/// Codes of ONNX's uint8 are those of the graph plus this.
const UNSIGNED: i16 = 128;

/// `QuantizeLinear` to uint8, the type that every runtime fuses, and back: `node`'s result from `x`.
pub fn on_grid(writer: &mut Writer, x: &str, node: &Node, grid: Quant) {
    writer.grids[node.output.index()] = Some(grid);
    let scale = writer.scalar("scale", grid.scale);
    let zero_point = writer.beside("zero_point");
    let code = (i16::from(grid.zero_point) + UNSIGNED) as u8;
    writer.initializer(&zero_point, &[], proto::UINT8, vec![code]);
    let codes = writer.part("QuantizeLinear", &[x, &scale, &zero_point], vec![]);
    writer.emit_target("DequantizeLinear", &[&codes, &scale, &zero_point], vec![]);
}

/// The grid that a node's result has because it moves elements of one grid only, if an operator reads it
/// before it is put on a grid.
pub fn carried(writer: &Writer, node: &Node) -> Option<Quant> {
    let grid = writer.grids[node.inputs.first()?.index()]?;
    let same = node.inputs.iter().all(|id| writer.grids[id.index()] == Some(grid));
    (moves_only(&node.op) && same && writer.is_read(node.output)).then_some(grid)
}

/// Int8 weights named `name` once they are dequantized; one scale per index of axis 0.
pub fn weights(writer: &mut Writer, name: &str, dims: &[usize], (codes, scales): (&[i8], &[f32])) {
    let stored = writer.derived(name, "codes");
    writer.initializer(&stored, dims, proto::INT8, codes.iter().map(|&c| c as u8).collect());
    let zeros = vec![0; scales.len()];
    dequantize(writer, name, &stored, scales, (proto::INT8, zeros));
}

fn dequantize(
    writer: &mut Writer,
    name: &str,
    codes: &str,
    scales: &[f32],
    (data_type, zeros): (i32, Vec<u8>),
) {
    let [scale, zero_point] = ["scale", "zero_point"].map(|part| writer.derived(name, part));
    writer.reals(&scale, &[scales.len()], scales);
    writer.initializer(&zero_point, &[scales.len()], data_type, zeros);
    let axis = AttributeProto::int("axis", 0);
    writer.prepare("DequantizeLinear", &[codes, &scale, &zero_point], name, vec![axis]);
}

/// The bias of a layer, if it has one: in codes of the accumulator where its input has a grid and its weights
/// are int8.
pub fn bias(writer: &mut Writer, node: &Node) -> Option<String> {
    let id = *node.inputs.get(2)?;
    let Some((codes, scales)) = accumulator_codes(writer, node, id) else { return Some(writer.operand(id)) };
    let name = writer.beside("bias");
    let stored = writer.derived(&name, "codes");
    let raw = codes.iter().flat_map(|c| c.to_le_bytes()).collect();
    writer.initializer(&stored, &[codes.len()], proto::INT32, raw);
    dequantize(writer, &name, &stored, &scales, (proto::INT32, vec![0; 4 * scales.len()]));
    Some(name)
}

fn accumulator_codes(writer: &Writer, node: &Node, bias: ValueId) -> Option<(Vec<i32>, Vec<f32>)> {
    let grid = writer.grids[node.inputs[0].index()]?;
    let Data::Q8 { scales, .. } = writer.graph.constant(node.inputs[1])?.data() else { return None };
    let bias = writer.graph.constant(bias)?.to_f32();
    let product = |scale: &f32| f64::from(grid.scale) * f64::from(*scale);
    // A cast to an integer saturates.
    let code = |(b, scale)| (f64::from(b) / product(scale)).round_ties_even() as i32;
    let codes = bias.into_iter().zip(scales).map(code).collect();
    let scales: Vec<f32> = scales.iter().map(|scale| product(scale) as f32).collect();
    scales.iter().all(|scale| scale.is_normal()).then_some((codes, scales))
}
