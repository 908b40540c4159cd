//! Weights as the `.bin` file holds them.

/// Tag in front of half-precision numbers.
const TAG_F16: u32 = 0x0130_6B47;
/// Tag in front of int8 codes.
const TAG_I8: u32 = 0x000D_4B38;
/// Tag in front of single-precision numbers.
const TAG_F32: u32 = 0;
/// Payloads behind a tag are padded to a multiple of this.
const ALIGN: usize = 4;

/// Numbers without a tag: biases, scales and the parameters of small layers.
pub(super) fn reals(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Weights behind a tag; in half precision if asked for and none of them is too large for it.
pub(super) fn weights(values: &[f32], half: bool) -> Vec<u8> {
    let halves: Option<Vec<u16>> = if half { values.iter().map(|&x| to_half(x)).collect() } else { None };
    match halves {
        Some(halves) => tagged(TAG_F16, halves.iter().flat_map(|half| half.to_le_bytes())),
        None => tagged(TAG_F32, reals(values)),
    }
}

/// Int8 codes behind a tag.
pub(super) fn codes(codes: &[i8]) -> Vec<u8> {
    tagged(TAG_I8, codes.iter().map(|&code| code as u8))
}

fn tagged(tag: u32, payload: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut bytes = tag.to_le_bytes().to_vec();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
    bytes
}

/// The nearest number of half precision, ties to even; `None` where that is infinite.
fn to_half(x: f32) -> Option<u16> {
    /// Bits of 2^−14, below which halves are subnormal, and of 2^16, which they do not reach.
    const SUBNORMAL: u32 = 0x3880_0000;
    const BEYOND: u32 = 0x4780_0000;
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    let magnitude = x.to_bits() & 0x7fff_ffff;
    let half = match magnitude {
        BEYOND.. => return None,
        // A subnormal half counts in steps of 2^−24.
        0..SUBNORMAL => (f32::from_bits(magnitude) * 16_777_216.0).round_ties_even() as u16,
        // 13 bits go, and the exponent's bias falls from 127 to 15.
        _ => ((magnitude + 0xfff + (magnitude >> 13 & 1) - 0x3800_0000) >> 13) as u16,
    };
    (half < 0x7c00).then_some(sign | half)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bits from the table of IEEE 754 half-precision examples.
    #[test]
    fn halves_are_rounded_to_nearest_even() {
        let cases = [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (1.0 / 3.0, 0x3555),
            (1.0 + 1.0 / 2048.0, 0x3c00),
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (6.103_515_6e-5, 0x0400),
            (6.097_555e-5, 0x03ff),
            (5.960_464_5e-8, 0x0001),
            (2.0e-8, 0x0000),
        ];
        for (x, bits) in cases {
            assert_eq!(to_half(x), Some(bits), "{x}");
        }
        assert!([65520.0, 1e9, f32::INFINITY, f32::NAN].map(to_half).iter().all(Option::is_none));
        assert_eq!(to_half(65519.0), Some(0x7bff));
    }

    #[test]
    fn payloads_are_padded_and_large_weights_stay_whole() {
        assert_eq!(codes(&[1, -1, 2, 3, 4]), [0x38, 0x4b, 0x0d, 0, 1, 255, 2, 3, 4, 0, 0, 0]);
        assert_eq!(weights(&[1.0], true), [0x47, 0x6b, 0x30, 0x01, 0, 0x3c, 0, 0]);
        assert_eq!(weights(&[1e5], true), weights(&[1e5], false));
    }
}
