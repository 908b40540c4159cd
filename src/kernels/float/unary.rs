//! Element-wise functions of one variable.
//!
//! [`apply`] is the one definition of what each [`Unary`] means in numbers; the int8 tables are built from
//! it as well. It uses IEEE arithmetic and portable software functions only, never the platform's
//! mathematics library, so it gives the same bits on every machine.

use crate::graph::Unary;
use crate::kernels::arch::per_isa;
use crate::kernels::{Plane, PlaneMut, gapless};

/// `f(x)`.
#[inline(always)]
pub fn apply(f: Unary, x: f32) -> f32 {
    match f {
        Unary::Relu => relu(x),
        Unary::LeakyRelu { slope } => leaky(x, slope),
        // Not `clamp`: bounds come from files, and `clamp` panics if they are out of order.
        Unary::Clip { lo, hi } => x.max(lo).min(hi),
        Unary::Sigmoid => sigmoid(x),
        Unary::Silu => x * sigmoid(x),
        Unary::HardSwish { alpha, beta } => x * hard_sigmoid(x, alpha, beta),
        Unary::HardSigmoid { alpha, beta } => hard_sigmoid(x, alpha, beta),
        Unary::Mish => mish(x),
        Unary::Tanh => libm::tanhf(x),
        Unary::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * libm::expm1f(x)
            }
        }
        // 1 + erf(t) = erfc(−t), which keeps its relative accuracy where the sum would cancel.
        Unary::Gelu => 0.5 * x * libm::erfcf(-x * std::f32::consts::FRAC_1_SQRT_2),
        Unary::Affine { scale, shift } => scale * x + shift,
        Unary::Pow { exponent } => pow(x, exponent),
        Unary::Reciprocal { numerator } => numerator / x,
        Unary::Abs => x.abs(),
        Unary::Exp => exp(x),
        Unary::Log => libm::logf(x),
        Unary::Sqrt => x.sqrt(),
        Unary::Erf => libm::erff(x),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Softplus => relu(x) + libm::log1pf(exp(-x.abs())),
        Unary::Sin => libm::sinf(x),
        Unary::Cos => libm::cosf(x),
    }
}

/// Evaluates `$body` with `$g` bound to [`apply`] of `$f`. The functions that networks use in bulk get a
/// loop of their own, which the compiler turns into vector code.
macro_rules! with_function {
    ($f:expr, |$g:ident| $body:expr) => {
        match $f {
            Unary::Relu => with_function!(@ Unary::Relu, $g, $body),
            Unary::LeakyRelu { slope } => with_function!(@ Unary::LeakyRelu { slope }, $g, $body),
            Unary::Clip { lo, hi } => with_function!(@ Unary::Clip { lo, hi }, $g, $body),
            Unary::Sigmoid => with_function!(@ Unary::Sigmoid, $g, $body),
            Unary::Silu => with_function!(@ Unary::Silu, $g, $body),
            Unary::HardSwish { alpha, beta } => with_function!(@ Unary::HardSwish { alpha, beta }, $g, $body),
            Unary::HardSigmoid { alpha, beta } => with_function!(@ Unary::HardSigmoid { alpha, beta }, $g, $body),
            Unary::Mish => with_function!(@ Unary::Mish, $g, $body),
            Unary::Affine { scale, shift } => with_function!(@ Unary::Affine { scale, shift }, $g, $body),
            Unary::Exp => with_function!(@ Unary::Exp, $g, $body),
            other => with_function!(@ other, $g, $body),
        }
    };
    (@ $f:expr, $g:ident, $body:expr) => {{
        let $g = |x: f32| apply($f, x);
        $body
    }};
}

/// `values[i] = f(values[i])`.
#[inline(always)]
pub(super) fn map_in_place(f: Unary, values: &mut [f32]) {
    with_function!(f, |g| values.iter_mut().for_each(|x| *x = g(*x)))
}

per_isa! {
    /// Applies a function to the first `channels` of each of `pixels` pixels. All instruction sets give the
    /// same bits.
    ///
    /// # Panics
    /// A buffer is shorter than its image.
    map_pixels(
        f: Unary,
        src: Plane<'_, f32>,
        dst: PlaneMut<'_, f32>,
        pixels: usize,
        channels: usize,
    ) = map_pixels_body
}

#[inline(always)]
fn map_pixels_body(f: Unary, src: Plane<'_, f32>, dst: PlaneMut<'_, f32>, pixels: usize, channels: usize) {
    let (len, runs) = gapless(channels, pixels, &[src.pitch, dst.pitch]);
    with_function!(f, |g| for run in 0..runs {
        let from = &src.data[run * src.pitch..][..len];
        let to = &mut dst.data[run * dst.pitch..][..len];
        to.iter_mut().zip(from).for_each(|(y, &x)| *y = g(x));
    })
}

per_isa! {
    /// [`map_pixels`] in place: pixels in `data` are `pitch` elements apart.
    map_rows(f: Unary, data: &mut [f32], pitch: usize, pixels: usize, channels: usize) = map_rows_body
}

#[inline(always)]
fn map_rows_body(f: Unary, data: &mut [f32], pitch: usize, pixels: usize, channels: usize) {
    let (len, runs) = gapless(channels, pixels, &[pitch]);
    for run in 0..runs {
        map_in_place(f, &mut data[run * pitch..][..len]);
    }
}

/// The bounds, if a function is no more than `max(x, lo)`, then `min(·, hi)`.
pub(super) fn only_clamps(f: Unary) -> Option<[f32; 2]> {
    match f {
        Unary::Relu => Some([0.0, f32::INFINITY]),
        Unary::Clip { lo, hi } if !lo.is_nan() && !hi.is_nan() => Some([lo, hi]),
        _ => None,
    }
}

#[inline(always)]
fn relu(x: f32) -> f32 {
    x.max(0.0)
}

#[inline(always)]
pub(super) fn leaky(x: f32, slope: f32) -> f32 {
    if x > 0.0 { x } else { slope * x }
}

#[inline(always)]
fn hard_sigmoid(x: f32, alpha: f32, beta: f32) -> f32 {
    (alpha * x + beta).clamp(0.0, 1.0)
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// With `n = e^x · (e^x + 2)`, `tanh(ln(1 + e^x))` is `n / (n + 2)`.
#[inline(always)]
fn mish(x: f32) -> f32 {
    // Above 20 the quotient is 1 in single precision; capped, n cannot overflow.
    let e = exp(x.min(20.0));
    let n = e * (e + 2.0);
    x * (n / (n + 2.0))
}

/// `x ^ exponent`; a square, as normalisations take it, is one product.
#[inline(always)]
pub(super) fn pow(x: f32, exponent: f32) -> f32 {
    if exponent == 2.0 { x * x } else { libm::powf(x, exponent) }
}

/// `e^x` within two units in the last place, without branches so that loops over it are vectorised.
///
/// `e^x = 2^k · e^r` with `|r| ≤ ln(2)/2`, where the Taylor polynomial of degree 7 is off by 6e-9.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer, and leaves that integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has 9 significant bits, so that k times it is exact.
    const LN2_HI: f32 = 355.0 / 512.0;
    const LN2_LO: f32 = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
    // Beyond these the result is 0 or infinite anyway; NaN stays NaN.
    let x = x.clamp(-104.0, 89.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN2_HI) - k * LN2_LO;
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = p * r + coefficient;
    }
    // In two steps, because 2^k alone may be out of range where the product is not.
    let k = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = k >> 1;
    p * power_of_two(half) * power_of_two(k.wrapping_sub(half))
}

/// `2^k` for −126 ≤ k ≤ 127.
#[inline(always)]
fn power_of_two(k: i32) -> f32 {
    f32::from_bits((k.wrapping_add(127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::float::testing::{assert_close, noise};
    use crate::kernels::isa::Isa;

    const X: [f32; 9] = [-9.0, -3.0, -1.5, -0.5, 0.0, 0.5, 1.0, 3.5, 9.0];

    // Outputs of onnxruntime's operators of the same name at `X`, seven digits. Silu is x · Sigmoid(x).
    #[test]
    #[allow(clippy::approx_constant)]
    #[rustfmt::skip]
    fn values_equal_those_of_onnxruntime() {
        let cases: [(Unary, [f32; 9]); 15] = [
            (Unary::Sigmoid, [0.0001233816, 0.04742587, 0.1824256, 0.3775407, 0.5, 0.6224593, 0.7310586, 0.9706878, 0.9998766]),
            (Unary::Silu, [-0.001110435, -0.1422776, -0.2736383, -0.1887704, 0.0, 0.3112296, 0.7310586, 3.397407, 8.99889]),
            (Unary::Mish, [-0.001110619, -0.1456475, -0.2980997, -0.2207438, 0.0, 0.3752452, 0.8650985, 3.493991, 9.0]),
            (Unary::Tanh, [-1.0, -0.9950547, -0.9051482, -0.4621172, 0.0, 0.4621172, 0.7615942, 0.9981779, 1.0]),
            (Unary::Elu { alpha: 0.7 }, [-0.6999136, -0.665149, -0.5438089, -0.2754285, 0.0, 0.5, 1.0, 3.5, 9.0]),
            (Unary::Gelu, [0.0, -0.004049689, -0.1002108, -0.1542688, 0.0, 0.3457312, 0.8413447, 3.499186, 9.0]),
            (Unary::HardSwish { alpha: 1.0 / 6.0, beta: 0.5 }, [0.0, 0.0, -0.375, -0.2083333, 0.0, 0.2916667, 0.6666667, 3.5, 9.0]),
            (Unary::HardSigmoid { alpha: 0.2, beta: 0.5 }, [0.0, 0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 1.0, 1.0]),
            (Unary::Softplus, [0.0001234022, 0.04858736, 0.2014133, 0.474077, 0.6931472, 0.974077, 1.313262, 3.52975, 9.000123]),
            (Unary::Erf, [-1.0, -0.9999779, -0.9661052, -0.5204999, 0.0, 0.5204999, 0.8427008, 0.9999993, 1.0]),
            (Unary::LeakyRelu { slope: 0.1 }, [-0.9, -0.3, -0.15, -0.05, 0.0, 0.5, 1.0, 3.5, 9.0]),
            (Unary::Round, [-9.0, -3.0, -2.0, 0.0, 0.0, 0.0, 1.0, 4.0, 9.0]),
            (Unary::Exp, [0.0001234098, 0.04978707, 0.2231302, 0.6065307, 1.0, 1.648721, 2.718282, 33.11545, 8103.084]),
            (Unary::Sin, [-0.4121185, -0.14112, -0.997495, -0.4794255, 0.0, 0.4794255, 0.841471, -0.3507832, 0.4121185]),
            (Unary::Cos, [-0.9111302, -0.9899925, 0.0707372, 0.8775826, 1.0, 0.8775826, 0.5403023, -0.9364567, -0.9111302]),
        ];
        for (f, expected) in cases {
            assert_close(&X.map(|x| apply(f, x)), &expected, 3e-7);
        }
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        for i in -104_000..89_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            let unit = f64::from((exact as f32).next_up() - exact as f32);
            if exact < f64::from(f32::MAX) {
                assert!((f64::from(exp(x)) - exact).abs() <= 2.0 * unit, "exp({x})");
            } else {
                assert_eq!(exp(x), f32::INFINITY);
            }
        }
        assert_eq!((exp(0.0), exp(-200.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert!(exp(f32::NAN).is_nan() && exp(f32::INFINITY) == f32::INFINITY);
    }

    #[test]
    fn extremes_do_not_overflow() {
        for f in [Unary::Silu, Unary::Mish, Unary::Softplus, Unary::Gelu] {
            assert_eq!(apply(f, 1e30), 1e30, "{f:?}");
            assert_eq!(apply(f, -1e30), 0.0, "{f:?}");
        }
        assert_eq!(apply(Unary::Clip { lo: 1.0, hi: -1.0 }, 0.0), -1.0);
    }

    #[test]
    fn pixels_equal_single_values_on_every_instruction_set() {
        let x = noise(3 * 40, 1);
        let functions = [
            Unary::Relu,
            Unary::LeakyRelu { slope: 0.2 },
            Unary::Clip { lo: -0.5, hi: 0.5 },
            Unary::Sigmoid,
            Unary::Silu,
            Unary::HardSwish { alpha: 0.3, beta: 0.4 },
            Unary::HardSigmoid { alpha: 0.3, beta: 0.4 },
            Unary::Mish,
            Unary::Affine { scale: 2.0, shift: 0.1 },
            Unary::Exp,
            Unary::Abs,
            Unary::Tanh,
        ];
        for f in functions {
            let expected: Vec<f32> = x.iter().map(|&v| apply(f, v)).collect();
            for isa in Isa::available() {
                for channels in [37, 40] {
                    let mut out = vec![7.0; 120];
                    let src = Plane { data: &x, pitch: 40 };
                    map_pixels(isa, f, src, PlaneMut { data: &mut out, pitch: 40 }, 3, channels);
                    let mut in_place = x.clone();
                    map_rows(isa, f, &mut in_place, 40, 3, channels);
                    for (i, &want) in expected.iter().enumerate() {
                        let mapped = i % 40 < channels;
                        assert_eq!(out[i], if mapped { want } else { 7.0 }, "{isa} {f:?}");
                        assert_eq!(in_place[i], if mapped { want } else { x[i] }, "{isa} {f:?}");
                    }
                }
            }
        }
    }
}
