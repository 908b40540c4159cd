//! Requantization in integers alone, for hardware without floating point: an option of the specification.
//!
//! The multiplier is `M = 2⁻ⁿ · M0` with `M0` a fixed-point number of 31 bits in [0.5, 1) (Jacob et al., Quantization
//! and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018, equations 5 and 6), which
//! is multiplied and rounded as gemmlowp and TensorFlow Lite do. With `m0 = M0 · 2³¹`, the code of an accumulator `x`
//! is made in four steps:
//!
//! 1. `x · 2⁻ⁿ`, saturating, where n is negative;
//! 2. `y = ⌊(x · m0 + 2³⁰) / 2³¹⌋`: to the nearest integer, ties up;
//! 3. `y / 2ⁿ` where n is positive: to the nearest integer, ties away from zero;
//! 4. plus the zero point, clamped.
//!
//! So up to 2⁻ⁿ⁻¹ of a step is lost in between (step 2, if step 3 follows). The code differs from that of
//! [`requantize`](super::requantize), which rounds once and to even, by one at most, and only where the exact
//! `x · M` lies within that distance, and 2⁻¹⁵ for the roundings of `f32`, of a half.

use crate::kernels::CodeRange;

/// Bits of `M0`.
const BITS: i32 = 31;

/// A multiplier `2⁻ⁿ · M0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// `M0 · 2³¹`: of magnitude 2³⁰ to 2³¹ − 1, or zero where the multiplier is.
    pub m0: i32,
    /// `n`, −31 to 31: how far the product is shifted to the right.
    pub n: i32,
}

impl From<f32> for Multiplier {
    /// Exact: an `f32` has 24 significant bits. But below 2⁻³² in magnitude it is zero, as every code is; from 2³¹ on
    /// it stays below 2³¹, where codes are clamped in any case.
    fn from(multiplier: f32) -> Self {
        // An f32 is 1.fraction · 2^(exponent - 127), that is 0.1fraction · 2^(exponent - 126).
        let bits = multiplier.to_bits();
        let n = 126 - (bits >> 23 & 0xff) as i32;
        if n > BITS {
            return Multiplier { m0: 0, n: 0 };
        }
        let m0 = ((bits & 0x007f_ffff | 0x0080_0000) << 7) as i32;
        Multiplier { m0: if multiplier < 0.0 { -m0 } else { m0 }, n: n.max(-BITS) }
    }
}

/// From an accumulator to a code, as [`requantize`](super::requantize), without floating point.
#[inline]
pub fn requantize(acc: i32, multiplier: Multiplier, range: CodeRange) -> i8 {
    let zero = i32::from(range.zero_point);
    let (lo, hi) = (i32::from(range.lo) - zero, i32::from(range.hi) - zero);
    (multiply(acc, multiplier).clamp(lo, hi) + zero) as i8
}

/// Steps 1 to 3.
fn multiply(x: i32, Multiplier { m0, n }: Multiplier) -> i32 {
    let x = (i64::from(x) << (-n).max(0)).clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    rounding_shift(doubling_high_multiply(x, m0), n.max(0))
}

/// The high half of `2 · a · b`, rounded: ties up. `b` is not −2³¹.
fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    ((i64::from(a) * i64::from(b) + (1 << (BITS - 1))) >> BITS) as i32
}

/// `x / 2ⁿ`, rounded: ties away from zero.
fn rounding_shift(x: i32, n: i32) -> i32 {
    if n == 0 {
        return x;
    }
    let (magnitude, half) = (i64::from(x).abs(), 1i64 << (n - 1));
    let rounded = (magnitude + half) >> n;
    (if x < 0 { -rounded } else { rounded }) as i32
}

#[cfg(test)]
mod tests {
    use super::super::{CodeRange, requantize as with_float};
    use super::*;
    use proptest::prelude::*;

    const FULL: CodeRange = CodeRange { zero_point: 0, lo: -128, hi: 127 };

    fn code(acc: i32, multiplier: f32) -> i8 {
        requantize(acc, multiplier.into(), FULL)
    }

    #[test]
    fn a_multiplier_is_half_to_one_and_a_shift() {
        let of = |multiplier: f32| {
            let Multiplier { m0, n } = multiplier.into();
            (m0, n)
        };
        assert_eq!(of(0.5), (1 << 30, 0));
        assert_eq!(of(0.75), (3 << 29, 0));
        assert_eq!(of(1.0), (1 << 30, -1));
        assert_eq!(of(-0.1875), (-(3 << 29), 2));
        // 0.002 = 0.512 / 256; the nearest f32 is 8 589 935 / 2³².
        assert_eq!(of(0.002), (8_589_935 << 7, 8));
        for small in [0.0, -0.0, 1e-10, f32::MIN_POSITIVE, 1e-40] {
            assert_eq!(of(small), (0, 0), "{small}");
        }
        assert_eq!((of(2f32.powi(-32)), of(3e38).1), ((1 << 30, 31), -31));
    }

    /// Equations 6 to 11 of quantization-aware training as Jacob et al. have it, by hand: scales S1 = 0.02,
    /// S2 = 0.005, S3 = 0.05; M = S1·S2/S3 = 0.002 = 2⁻⁸ · 0.512; a bias of 0.3 is 0.3/(S1·S2) = 3000.
    #[test]
    fn a_product_of_codes_becomes_a_code_by_integers_alone() {
        let (q1, z1) = ([120, -7, 33], -5);
        let q2 = [90, -100, 11];
        let sum: i32 = q1.iter().zip(q2).map(|(q, w)| (q - z1) * w).sum();
        assert_eq!(sum, 125 * 90 + 200 + 38 * 11);
        let range = CodeRange { zero_point: 10, ..FULL };
        // 14 868 · 0.512 = 7612.4; 7612 / 256 = 29.7; 30 + 10. In reals: 14 868 · 0.0001 = 1.4868 = 0.05 · 29.7.
        assert_eq!(requantize(sum + 3000, 0.002.into(), range), 40);
        assert_eq!(requantize(-sum - 3000, 0.002.into(), range), -20);
    }

    #[test]
    fn ties_go_up_and_then_away_from_zero() {
        // n = 0, the first rounding alone.
        assert_eq!([1, 3, 5, -1, -3, -5].map(|acc| code(acc, 0.5)), [1, 2, 3, 0, -1, -2]);
        // n = 1: of a quarter both roundings go up.
        assert_eq!([1, 2, 3, -1, -2, -3].map(|acc| code(acc, 0.25)), [1, 1, 1, 0, -1, -1]);
        // n = 3, exact before the second.
        assert_eq!([8, 24, 40, -8, -24, -40].map(|acc| code(acc, 0.0625)), [1, 2, 3, -1, -2, -3]);
    }

    #[test]
    fn codes_are_clamped_whatever_overflows() {
        let relu = CodeRange { zero_point: -128, lo: -128, hi: 127 };
        let all = [i32::MIN, -1, 0, 100, 255, 256, i32::MAX];
        assert_eq!(all.map(|acc| requantize(acc, 1.0.into(), relu)), [-128, -128, -128, -28, 127, 127, 127]);
        for multiplier in [3e38, 2f32.powi(31), 1e9] {
            assert_eq!(
                [i32::MIN, -1, 0, 1, i32::MAX].map(|acc| code(acc, multiplier)),
                [-128, -128, 0, 127, 127]
            );
            assert_eq!(
                [i32::MIN, -1, 0, 1, i32::MAX].map(|acc| code(acc, -multiplier)),
                [127, 127, 0, -128, -128]
            );
        }
        assert_eq!([i32::MIN, i32::MAX].map(|acc| code(acc, 1e-10)), [0, 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// As the head of this file says. Half of the accumulators are chosen so that the code is not clamped.
        #[test]
        fn it_differs_from_float_only_near_a_half(
            exponent in -34f32..4.0,
            negative in any::<bool>(),
            any_acc in any::<i32>(),
            steps in -140f32..140.0,
            small in any::<bool>(),
        ) {
            let multiplier = exponent.exp2() * if negative { -1.0 } else { 1.0 };
            let acc = if small { (steps / multiplier) as i32 } else { any_acc };
            let fixed = Multiplier::from(multiplier);
            let (a, b) = (code(acc, multiplier), with_float(acc, multiplier, FULL));
            prop_assert!((i32::from(a) - i32::from(b)).abs() <= 1, "{acc} · {multiplier}: {a}, float {b}");
            if a != b {
                let exact = f64::from(acc) * f64::from(multiplier);
                let from_half = (exact - exact.floor() - 0.5).abs();
                let lost = if fixed.n > 0 { 0.5f64.powi(fixed.n + 1) } else { 0.0 };
                prop_assert!(from_half <= lost + 0.5f64.powi(15), "{exact}: {a}, float {b}");
            }
        }
    }
}
