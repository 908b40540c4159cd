//! Activations and their slopes.

use ocellus::graph::Unary;

/// A function of one variable with its derivative.
pub(super) trait Function: Copy + Send + Sync {
    fn value(self, z: f32) -> f32;
    fn slope(self, z: f32) -> f32;
}

#[derive(Clone, Copy)]
pub(super) struct Identity;
#[derive(Clone, Copy)]
pub(super) struct Leaky(pub f32);
#[derive(Clone, Copy)]
pub(super) struct Clip(pub f32, pub f32);
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;
#[derive(Clone, Copy)]
pub(super) struct Silu;
#[derive(Clone, Copy)]
pub(super) struct HardSigmoid(pub f32, pub f32);
#[derive(Clone, Copy)]
pub(super) struct HardSwish(pub f32, pub f32);

impl Function for Identity {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        z
    }
    #[inline(always)]
    fn slope(self, _: f32) -> f32 {
        1.0
    }
}

impl Function for Leaky {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        if z > 0.0 { z } else { self.0 * z }
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        if z > 0.0 { 1.0 } else { self.0 }
    }
}

impl Function for Clip {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        z.max(self.0).min(self.1)
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        if (z > self.0) & (z < self.1) { 1.0 } else { 0.0 }
    }
}

impl Function for Sigmoid {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        1.0 / (1.0 + exp(-z))
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        let s = self.value(z);
        s * (1.0 - s)
    }
}

impl Function for Silu {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        z * Sigmoid.value(z)
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        let s = Sigmoid.value(z);
        s * (1.0 + z * (1.0 - s))
    }
}

impl Function for HardSigmoid {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        Clip(0.0, 1.0).value(self.0 * z + self.1)
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        self.0 * Clip(0.0, 1.0).slope(self.0 * z + self.1)
    }
}

impl Function for HardSwish {
    #[inline(always)]
    fn value(self, z: f32) -> f32 {
        z * HardSigmoid(self.0, self.1).value(z)
    }
    #[inline(always)]
    fn slope(self, z: f32) -> f32 {
        let gate = HardSigmoid(self.0, self.1);
        gate.value(z) + z * gate.slope(z)
    }
}

/// Runs `$body` with `$f` as the function that `$activation` names: one loop for each function, none that branches.
macro_rules! with_function {
    ($activation:expr, $f:ident => $body:expr) => {{
        use $crate::train::kernels::activation as a;
        match $activation {
            None => {
                let $f = a::Identity;
                $body
            }
            Some(ocellus::graph::Unary::Relu) => {
                let $f = a::Leaky(0.0);
                $body
            }
            Some(ocellus::graph::Unary::LeakyRelu { slope }) => {
                let $f = a::Leaky(slope);
                $body
            }
            Some(ocellus::graph::Unary::Clip { lo, hi }) => {
                let $f = a::Clip(lo, hi);
                $body
            }
            Some(ocellus::graph::Unary::Sigmoid) => {
                let $f = a::Sigmoid;
                $body
            }
            Some(ocellus::graph::Unary::Silu) => {
                let $f = a::Silu;
                $body
            }
            Some(ocellus::graph::Unary::HardSigmoid { alpha, beta }) => {
                let $f = a::HardSigmoid(alpha, beta);
                $body
            }
            Some(ocellus::graph::Unary::HardSwish { alpha, beta }) => {
                let $f = a::HardSwish(alpha, beta);
                $body
            }
            Some(other) => unreachable!("{other:?} was refused when the network was read"),
        }
    }};
}
pub(super) use with_function;

/// Whether an activation can be trained through.
pub(in crate::train) fn known(activation: Option<Unary>) -> bool {
    matches!(
        activation,
        None | Some(
            Unary::Relu
                | Unary::LeakyRelu { .. }
                | Unary::Clip { .. }
                | Unary::Sigmoid
                | Unary::Silu
                | Unary::HardSigmoid { .. }
                | Unary::HardSwish { .. }
        )
    )
}

/// `e^x` to 2 units of the last place, in a form that becomes vector instructions: `2^n` by the bits of a float,
/// the rest by the first terms of its series.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // 1.5 · 2^23: adding it rounds to an integer, which the low bits of the sum hold.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first of few bits.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2[0] - n * LN2[1];
    let series =
        1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r / 720.0)))));
    series * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_library() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours / theirs - 1.0).abs() < 3e-7, "{x}: {ours} {theirs}");
        }
        assert_eq!([exp(-1e9), exp(1e9)].map(f32::is_normal), [true; 2]);
    }
}
