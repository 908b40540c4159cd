//! A cursor over untrusted bytes that hands out nothing it has not checked.
//!
//! All numbers are little-endian. Every error is a [`crate::Error::BadModel`] whose place carries the byte
//! offset at which the missing or broken item starts.

use crate::error::{Error, Result};

/// A position in a slice of bytes; it only moves forward and never past the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, position: 0 }
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Number of bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Whether all bytes are read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error about the item that starts at the current position.
    pub fn error(&self, what: impl Into<String>) -> Error {
        let byte = self.position as u64;
        Error::bad_model(what).at(|place| place.byte = Some(byte))
    }

    /// The next `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..n) else {
            return Err(self.error(format!("{n} bytes expected, {} left", rest.len())));
        };
        self.position += n;
        Ok(taken)
    }

    /// The next `n` items of `SIZE` bytes each. The product is checked, so `n` may be any number.
    fn items<const SIZE: usize>(
        &mut self,
        n: usize,
    ) -> Result<impl Iterator<Item = [u8; SIZE]> + use<'a, SIZE>> {
        let size = n.checked_mul(SIZE).ok_or_else(|| self.error(format!("{n} items are too many")))?;
        let (items, _) = self.bytes(size)?.as_chunks::<SIZE>();
        Ok(items.iter().copied())
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE]> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.bytes(SIZE)?);
        Ok(array)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 4 bytes as an unsigned integer.
    pub fn u32_le(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 4 bytes as a signed integer.
    pub fn i32_le(&mut self) -> Result<i32> {
        self.array().map(i32::from_le_bytes)
    }

    /// The next 8 bytes as an unsigned integer.
    pub fn u64_le(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next 4 bytes as a single-precision number.
    pub fn f32_le(&mut self) -> Result<f32> {
        self.array().map(f32::from_le_bytes)
    }

    /// The next `n` single-precision numbers.
    pub fn f32s(&mut self, n: usize) -> Result<Vec<f32>> {
        Ok(self.items(n)?.map(f32::from_le_bytes).collect())
    }

    /// The next `n` half-precision numbers, widened.
    pub fn f16s(&mut self, n: usize) -> Result<Vec<f32>> {
        Ok(self.items(n)?.map(|half| f16_to_f32(u16::from_le_bytes(half))).collect())
    }

    /// The next `n` signed bytes.
    pub fn i8s(&mut self, n: usize) -> Result<Vec<i8>> {
        Ok(self.items::<1>(n)?.map(i8::from_le_bytes).collect())
    }
}

/// Value of an IEEE 754 binary16 pattern; exact, as every half has a single-precision equal.
pub fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let mantissa = u32::from(half) & 0x3ff;
    match exponent {
        // Zero and subnormals: `mantissa` steps of 2^-24.
        0 => f32::from_bits((mantissa as f32 * 2f32.powi(-24)).to_bits() | sign),
        31 => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        // Half's exponent bias is 15, single's 127.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | mantissa << 13),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_little_endian() {
        let bytes = [7, 1, 2, 3, 0x80, 0, 0, 0xc0, 0x3f, 1, 0, 0, 0, 0, 0, 0, 1, 0xff];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8().unwrap(), 7);
        assert_eq!(reader.clone().u32_le().unwrap(), 0x8003_0201);
        assert_eq!(reader.i32_le().unwrap(), 0x8003_0201_u32 as i32);
        assert_eq!(reader.f32_le().unwrap(), 1.5);
        assert_eq!(reader.u64_le().unwrap(), 1 << 56 | 1);
        assert_eq!((reader.position(), reader.remaining()), (17, 1));
        assert_eq!(reader.i8s(1).unwrap(), [-1]);
        assert!(reader.is_empty());
    }

    #[test]
    fn a_short_read_names_its_byte_and_moves_nothing() {
        let mut reader = Reader::new(&[0; 10]);
        reader.u32_le().unwrap();
        assert_eq!(reader.u64_le().unwrap_err().to_string(), "byte 4: 8 bytes expected, 6 left");
        assert_eq!(reader.position(), 4);
        // Counts whose size in bytes is beyond the machine's numbers are refused as well.
        assert!(reader.f32s(usize::MAX).is_err());
        assert!(reader.f32s(usize::MAX / 4).is_err());
        assert!(reader.bytes(usize::MAX).is_err());
        assert_eq!(reader.f32s(1).unwrap(), [0.0]);
    }

    /// Patterns and values from the binary16 examples of IEEE 754 (largest, smallest normal and subnormal).
    #[test]
    fn halves_widen_exactly() {
        let pairs = [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0400, 2f32.powi(-14))];
        for (half, value) in pairs {
            assert_eq!(f16_to_f32(half), value);
        }
        assert_eq!(f16_to_f32(0x0001), 2f32.powi(-24));
        assert_eq!(f16_to_f32(0x83ff), -1023.0 * 2f32.powi(-24));
        assert_eq!(f16_to_f32(0x8000).to_bits(), 0x8000_0000);
        assert_eq!(f16_to_f32(0x7c00), f32::INFINITY);
        assert!(f16_to_f32(0x7e00).is_nan());
        assert_eq!(Reader::new(&[0, 0x3c, 0, 0xc0]).f16s(2).unwrap(), [1.0, -2.0]);
    }
}
