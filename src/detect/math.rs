//! Elementary functions with the same bits on every machine.
//!
//! The standard library's `exp` is the platform's: its last bit differs between C libraries and between CPUs
//! with and without fused multiply-add. These use only IEEE additions, products and divisions in double
//! precision, so a score is the same number everywhere. The results are exact to a few units of 1e-15,
//! relatively, before they are rounded to single precision.

/// ln 2 in two parts; the first has enough trailing zeros that its product with an exponent is exact.
const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
/// Beyond this `exp` leaves the range of single precision by far.
const EXP_LIMIT: f64 = 700.0;

/// `e^x`; saturates at `e^±700`, NaN gives NaN.
fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let x = x.clamp(-EXP_LIMIT, EXP_LIMIT);
    let k = (x * std::f64::consts::LOG2_E).round();
    // |rest| ≤ ln 2 / 2, where 14 terms of the series leave less than 1e-17.
    let rest = (x - k * LN2_HIGH) - k * LN2_LOW;
    let series = (1..=14).rev().fold(1.0, |sum, n| 1.0 + sum * rest / f64::from(n));
    series * f64::from_bits(((1023 + k as i64) as u64) << 52)
}

/// Natural logarithm of a normal positive number; −∞ below, +∞ for +∞.
fn ln(x: f64) -> f64 {
    if !x.is_finite() || x < f64::MIN_POSITIVE {
        return if x > 1.0 { f64::INFINITY } else { f64::NEG_INFINITY };
    }
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m − 1)/(m + 1)); |t| ≤ 0.172, where 11 terms leave less than 1e-17.
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let series = (0..11).rev().fold(0.0, |sum, n| sum * (t * t) + 1.0 / f64::from(2 * n + 1));
    2.0 * t * series + exponent as f64 * LN2_LOW + exponent as f64 * LN2_HIGH
}

/// `1 / (1 + e^−x)`.
pub(super) fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + exp(-f64::from(x)))) as f32
}

/// The `x` with `sigmoid(x) = p`; −∞ for `p ≤ 0`, +∞ for `p ≥ 1`.
pub(super) fn logit(p: f32) -> f32 {
    let p = f64::from(p);
    if p >= 1.0 { f32::INFINITY } else { (ln(p) - ln(1.0 - p)) as f32 }
}

/// Hyperbolic tangent.
pub(super) fn tanh(x: f32) -> f32 {
    // e^2x − 1 would cancel near zero; there the error of this form is below 1e-16 absolutely.
    (1.0 - 2.0 / (1.0 + exp(2.0 * f64::from(x)))) as f32
}

/// `base ^ exponent` for a base in 0..=1 and a positive exponent; 0 for a base of 0 or below.
pub(super) fn pow(base: f32, exponent: f64) -> f32 {
    if base <= 0.0 { 0.0 } else { exp(ln(f64::from(base)) * exponent) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the standard library in double precision.
    #[test]
    fn agrees_with_the_standard_library() {
        for i in -4000..=4000 {
            let x = f64::from(i) * 0.0217;
            assert!((exp(x) / x.exp() - 1.0).abs() < 4e-15, "exp {x}");
            let p = x.exp();
            assert!((ln(p) - p.ln()).abs() <= 4e-15 * p.ln().abs().max(1.0), "ln {p}");
            let x = x as f32;
            assert!((f64::from(tanh(x)) - f64::from(x).tanh()).abs() < 6e-8, "tanh {x}");
        }
        for i in 1..1000 {
            let p = i as f32 / 1000.0;
            assert!((sigmoid(logit(p)) - p).abs() < 1e-7);
            assert!((f64::from(pow(p, 0.6)) - f64::from(p).powf(0.6)).abs() < 6e-8);
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert_eq!((sigmoid(0.0), sigmoid(1e30), sigmoid(-1e30)), (0.5, 1.0, 0.0));
        assert_eq!((logit(0.5), logit(1.0), logit(0.0)), (0.0, f32::INFINITY, f32::NEG_INFINITY));
        assert_eq!((logit(2.0), logit(-1.0)), (f32::INFINITY, f32::NEG_INFINITY));
        assert_eq!((tanh(0.0), tanh(1e30), tanh(-1e30)), (0.0, 1.0, -1.0));
        assert_eq!((pow(0.0, 0.6), pow(1.0, 0.6), pow(-1.0, 0.4)), (0.0, 1.0, 0.0));
        assert!(sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
    }
}
