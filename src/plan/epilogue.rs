//! Activations in int8: a clamp where the function is one, else a table of 256 codes.

use crate::graph::Unary;
use crate::kernels::CodeRange;
use crate::kernels::float::unary::apply;
use crate::tensor::Quant;

/// What follows an accumulator: requantize to `grid` within `range`, then the table, if any.
pub(super) struct Tail {
    pub grid: Quant,
    pub range: CodeRange,
    pub table: Option<Box<[i8; 256]>>,
}

/// The tail that ends on grid `out` after `activation`; `before` is the grid of the activation's operand
/// where the model states one.
pub(super) fn tail(activation: Option<Unary>, before: Option<Quant>, out: Quant) -> Tail {
    let full = |grid: Quant| CodeRange { zero_point: grid.zero_point, lo: i8::MIN, hi: i8::MAX };
    let Some(unary) = activation else {
        return Tail { grid: out, range: full(out), table: None };
    };
    let clamp = match unary {
        Unary::Relu => Some((0.0, f32::INFINITY)),
        Unary::Clip { lo, hi } => Some((lo, hi)),
        _ => None,
    };
    match clamp {
        Some((lo, hi)) if before.is_none_or(|b| b == out) => {
            let (lo, hi) = (out.quantize(lo), out.quantize(hi));
            Tail { grid: out, range: CodeRange { lo, hi, ..full(out) }, table: None }
        }
        _ => {
            let grid = before.unwrap_or_else(|| operand_grid(unary, out));
            Tail { grid, range: full(grid), table: Some(table(unary, grid, out)) }
        }
    }
}

/// Codes of `unary(x)` on grid `out` for each code of x on grid `from`.
pub(super) fn table(unary: Unary, from: Quant, out: Quant) -> Box<[i8; 256]> {
    let mut table = Box::new([0; 256]);
    for (entry, code) in table.iter_mut().zip(i8::MIN..=i8::MAX) {
        *entry = out.quantize(apply(unary, from.dequantize(code)));
    }
    table
}

/// A grid for the operand of `unary` that loses as little as 256 codes can: it spans just the numbers where
/// the result's code changes.
fn operand_grid(unary: Unary, out: Quant) -> Quant {
    const STEPS: i32 = 4096;
    let (lo, hi) = out.range();
    let reach = 16.0 + 4.0 * lo.abs().max(hi.abs());
    let at = |i: i32| reach * i as f32 / STEPS as f32;
    let code = |i: i32| out.quantize(apply(unary, at(i)));
    let first = (-STEPS..STEPS).find(|&i| code(i + 1) != code(-STEPS)).unwrap_or(0);
    let last = (-STEPS..STEPS).rev().find(|&i| code(i) != code(STEPS)).unwrap_or(0) + 1;
    Quant::from_range(at(first), at(last)).unwrap_or(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relu_is_a_clamp_and_silu_a_table() {
        let out = Quant::from_range(-1.0, 4.1).unwrap();
        let relu = tail(Some(Unary::Relu), None, out);
        assert_eq!((relu.range.lo, relu.range.hi, relu.table), (out.zero_point, 127, None));
        let out = Quant::from_range(-0.2785, 6.0).unwrap();
        let silu = tail(Some(Unary::Silu), None, out);
        let table = silu.table.unwrap();
        for x in [-5.0f32, -1.278, -0.1, 0.0, 0.7, 3.0, 5.9] {
            let code = silu.grid.quantize(x);
            let y = out.dequantize(table[(i32::from(code) + 128) as usize]);
            let exact = x / (1.0 + (-x).exp());
            assert!((y - exact).abs() < 0.04, "silu({x}) = {exact}, table {y}");
        }
    }
}
