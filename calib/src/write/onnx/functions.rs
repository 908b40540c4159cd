//! Element-wise functions: of one variable, of two, and per channel.

use super::proto::AttributeProto;
use super::writer::Writer;
use crate::error::Result;
use ocellus::graph::{Binary, Node, Unary};

/// Writes `out = function(x)`.
pub fn function(w: &mut Writer, function: Unary, x: &str, out: String) {
    let alpha = |value| vec![AttributeProto::float("alpha", value)];
    let (op, attributes) = match function {
        Unary::Relu => ("Relu", vec![]),
        Unary::LeakyRelu { slope } => ("LeakyRelu", alpha(slope)),
        Unary::Sigmoid => ("Sigmoid", vec![]),
        Unary::HardSigmoid { alpha, beta } => ("HardSigmoid", ramp(alpha, beta)),
        Unary::Tanh => ("Tanh", vec![]),
        Unary::Elu { alpha: a } => ("Elu", alpha(a)),
        Unary::Abs => ("Abs", vec![]),
        Unary::Exp => ("Exp", vec![]),
        Unary::Log => ("Log", vec![]),
        Unary::Sqrt => ("Sqrt", vec![]),
        Unary::Erf => ("Erf", vec![]),
        Unary::Floor => ("Floor", vec![]),
        Unary::Ceil => ("Ceil", vec![]),
        Unary::Round => ("Round", vec![]),
        Unary::Softplus => ("Softplus", vec![]),
        Unary::Sin => ("Sin", vec![]),
        Unary::Cos => ("Cos", vec![]),
        Unary::Clip { lo, hi } => return clip(w, x, out, (lo, hi)),
        Unary::Silu => return gated(w, x, out, "Sigmoid", vec![]),
        Unary::HardSwish { alpha, beta } => return gated(w, x, out, "HardSigmoid", ramp(alpha, beta)),
        Unary::Mish => return mish(w, x, out),
        Unary::Gelu => return gelu(w, x, out),
        Unary::Affine { scale, shift } => return affine(w, x, out, (scale, shift)),
        Unary::Pow { exponent } => {
            let exponent = w.scalar("exponent", exponent);
            return w.emit("Pow", &[x, &exponent], out, vec![]);
        }
        Unary::Reciprocal { numerator } => {
            let numerator = w.scalar("numerator", numerator);
            return w.emit("Div", &[&numerator, x], out, vec![]);
        }
    };
    w.emit(op, &[x], out, attributes);
}

fn ramp(alpha: f32, beta: f32) -> Vec<AttributeProto> {
    vec![AttributeProto::float("alpha", alpha), AttributeProto::float("beta", beta)]
}

/// An infinite limit is none, and an operand without a name is left out.
fn clip(w: &mut Writer, x: &str, out: String, (lo, hi): (f32, f32)) {
    let lo = if lo > f32::MIN { w.scalar("min", lo) } else { String::new() };
    let hi = if hi < f32::MAX { w.scalar("max", hi) } else { String::new() };
    w.emit("Clip", &[x, &lo, &hi], out, vec![]);
}

/// `x · gate(x)`.
fn gated(w: &mut Writer, x: &str, out: String, gate: &str, attributes: Vec<AttributeProto>) {
    let gate = w.part(gate, &[x], attributes);
    w.emit("Mul", &[x, &gate], out, vec![]);
}

fn mish(w: &mut Writer, x: &str, out: String) {
    let soft = w.part("Softplus", &[x], vec![]);
    let gate = w.part("Tanh", &[&soft], vec![]);
    w.emit("Mul", &[x, &gate], out, vec![]);
}

fn gelu(w: &mut Writer, x: &str, out: String) {
    let half = w.scalar("half", 0.5);
    let one = w.scalar("one", 1.0);
    let root = w.scalar("root", std::f32::consts::FRAC_1_SQRT_2);
    let scaled = w.part("Mul", &[x, &root], vec![]);
    let erf = w.part("Erf", &[&scaled], vec![]);
    let gate = w.part("Add", &[&erf, &one], vec![]);
    let halved = w.part("Mul", &[x, &half], vec![]);
    w.emit("Mul", &[&halved, &gate], out, vec![]);
}

fn affine(w: &mut Writer, x: &str, out: String, (scale, shift): (f32, f32)) {
    let scale = (scale != 1.0).then(|| w.scalar("scale", scale));
    let shift = (shift != 0.0).then(|| w.scalar("shift", shift));
    scaled_and_shifted(w, x, out, scale.as_deref(), shift.as_deref());
}

/// Writes `out = scale · x + shift`, without what changes nothing.
fn scaled_and_shifted(w: &mut Writer, x: &str, out: String, scale: Option<&str>, shift: Option<&str>) {
    match (scale, shift) {
        (None, None) => w.emit("Identity", &[x], out, vec![]),
        (Some(scale), None) => w.emit("Mul", &[x, scale], out, vec![]),
        (None, Some(shift)) => w.emit("Add", &[x, shift], out, vec![]),
        (Some(scale), Some(shift)) => {
            let scaled = w.part("Mul", &[x, scale], vec![]);
            w.emit("Add", &[&scaled, shift], out, vec![]);
        }
    }
}

/// Per-channel scale and shift.
pub fn channel_affine(w: &mut Writer, node: &Node) -> Result<()> {
    let (x, out) = (w.operand(node.inputs[0]), w.target());
    let mut unless_all = |i: usize, neutral: f32| -> Result<Option<String>> {
        let trivial = w.constant(node.inputs[i])?.iter().all(|&v| v == neutral);
        if trivial { Ok(None) } else { w.channels(&node.inputs, i).map(Some) }
    };
    let (scale, shift) = (unless_all(1, 1.0)?, unless_all(2, 0.0)?);
    scaled_and_shifted(w, &x, out, scale.as_deref(), shift.as_deref());
    Ok(())
}

/// Arithmetic of two tensors.
pub fn binary(w: &mut Writer, node: &Node, kind: Binary, activation: Option<Unary>) {
    let op = match kind {
        Binary::Add => "Add",
        Binary::Sub => "Sub",
        Binary::Mul => "Mul",
        Binary::Div => "Div",
        Binary::Max => "Max",
        Binary::Min => "Min",
        Binary::Pow => "Pow",
    };
    let [a, b] = [0, 1].map(|i| w.operand(node.inputs[i]));
    let out = w.target();
    activated(w, activation, (op, &[&a, &b], vec![]), out);
}

/// Operator, operands, attributes.
pub type Layer<'a> = (&'a str, &'a [&'a str], Vec<AttributeProto>);

/// Writes a layer and the function behind it.
pub fn activated(w: &mut Writer, activation: Option<Unary>, layer: Layer, out: String) {
    let (op, inputs, attributes) = layer;
    match activation {
        None => w.emit(op, inputs, out, attributes),
        Some(f) => {
            let y = w.part(op, inputs, attributes);
            function(w, f, &y, out);
        }
    }
}
