//! `.bin` files: the weights of all layers, one behind the other, without an index.
//!
//! Format: `ModelBin` of ncnn. What is read, and how much of it, follows from the layers' parameters alone,
//! so every count is compared with the bytes present before anything is allocated.

use crate::error::{Error, Result};
use crate::limits::TENSOR_ELEMENTS_MAX;
use crate::loader::reader::Reader;
use std::path::PathBuf;

/// Payloads are padded to a multiple of this.
const ALIGN: usize = 4;
/// Tag in front of half-precision numbers.
const TAG_F16: u32 = 0x0130_6B47;
/// Tag in front of int8 codes.
const TAG_I8: u32 = 0x000D_4B38;
/// Tag in front of single-precision numbers, next to the plain tag 0.
const TAG_F32: u32 = 0x0002_C056;
/// Entries of the table that any other tag announces.
const TABLE_ENTRIES: usize = 256;

/// Weights as stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Weights {
    /// Real numbers, all finite.
    Real(Vec<f32>),
    /// Int8 codes; the layer's scales tell what they stand for.
    Codes(Vec<i8>),
}

/// Reads a `.bin` file from its start.
#[derive(Debug)]
pub(super) struct WeightReader<'a> {
    reader: Reader<'a>,
    file: PathBuf,
}

impl<'a> WeightReader<'a> {
    /// `file` is for messages.
    pub(super) fn new(bytes: &'a [u8], file: PathBuf) -> Self {
        WeightReader { reader: Reader::new(bytes), file }
    }

    /// Bytes that no layer has asked for yet.
    pub(super) fn remaining(&self) -> usize {
        self.reader.remaining()
    }

    fn place<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|e| e.at(|place| place.file = Some(self.file.clone())))
    }

    /// `n` weights behind a tag that tells their type.
    pub(super) fn tagged(&mut self, n: usize) -> Result<Weights> {
        let weights = self.read_tagged(n);
        self.place(weights)
    }

    fn read_tagged(&mut self, n: usize) -> Result<Weights> {
        check_elements(&self.reader, n)?;
        let tag = self.reader.u32_le()?;
        let start = self.reader.clone();
        let weights = match tag {
            TAG_F16 => Weights::Real(self.reader.f16s(n)?),
            TAG_I8 => Weights::Codes(self.reader.i8s(n)?),
            0 | TAG_F32 => Weights::Real(self.reader.f32s(n)?),
            _ => {
                let table = self.reader.f32s(TABLE_ENTRIES)?;
                Weights::Real(self.reader.bytes(n)?.iter().map(|&i| table[usize::from(i)]).collect())
            }
        };
        let payload = self.reader.position() - start.position();
        self.reader.bytes(payload.next_multiple_of(ALIGN) - payload)?;
        if let Weights::Real(values) = &weights {
            check_finite(&start, values)?;
        }
        Ok(weights)
    }

    /// `n` finite numbers without a tag: biases and other parameters.
    pub(super) fn reals(&mut self, n: usize) -> Result<Vec<f32>> {
        let start = self.reader.clone();
        let values = self.scales(n)?;
        self.place(check_finite(&start, &values))?;
        Ok(values)
    }

    /// `n` numbers without a tag, infinities and NaN among them: quantization scales, which ncnn's tools
    /// write as 127/0 for empty channels.
    pub(super) fn scales(&mut self, n: usize) -> Result<Vec<f32>> {
        let values = check_elements(&self.reader, n).and_then(|()| self.reader.f32s(n));
        self.place(values)
    }
}

fn check_elements(reader: &Reader, n: usize) -> Result<()> {
    if n > TENSOR_ELEMENTS_MAX {
        return Err(reader.error(format!("{n} weights, the limit is {TENSOR_ELEMENTS_MAX}")));
    }
    Ok(())
}

fn check_finite(start: &Reader, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(start.error(format!("weight {at} of {} is {}", values.len(), values[at]))),
    }
}

/// Weights of a layer that has no int8 form.
pub(super) fn only_real(weights: Weights) -> Result<Vec<f32>> {
    match weights {
        Weights::Real(values) => Ok(values),
        Weights::Codes(_) => {
            Err(Error::bad_model("int8 weights in a layer without int8 scales (parameter 8)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], n: usize) -> (Result<Weights>, usize) {
        let mut reader = WeightReader::new(bytes, "x.bin".into());
        let weights = reader.tagged(n);
        (weights, reader.remaining())
    }

    #[test]
    fn every_tag_reads_its_payload_and_padding() {
        let f16 = [0x47, 0x6b, 0x30, 0x01, 0, 0x3c, 0, 0xc0, 0, 0x38, 0xff, 0xff, 9];
        assert_eq!((read(&f16, 3).0.unwrap(), read(&f16, 3).1), (Weights::Real(vec![1.0, -2.0, 0.5]), 1));
        let int8 = [0x38, 0x4b, 0x0d, 0x00, 1, 0xff, 0x80, 0, 0];
        assert_eq!((read(&int8, 3).0.unwrap(), read(&int8, 3).1), (Weights::Codes(vec![1, -1, -128]), 1));
        for tag in [0u32, 0x0002_C056] {
            let f32s = [tag.to_le_bytes(), 1.5f32.to_le_bytes()].concat();
            assert_eq!(read(&f32s, 1).0.unwrap(), Weights::Real(vec![1.5]));
        }
        let mut table = 1u32.to_le_bytes().to_vec();
        (0..256).for_each(|i| table.extend((i as f32 / 2.0).to_le_bytes()));
        table.extend([3, 255, 0, 0, 0, 0, 0, 0]);
        let (weights, left) = read(&table, 5);
        assert_eq!((weights.unwrap(), left), (Weights::Real(vec![1.5, 127.5, 0.0, 0.0, 0.0]), 0));
    }

    #[test]
    fn short_and_broken_weights_name_file_and_byte() {
        let short = read(&[0; 7], 1).0.unwrap_err().to_string();
        assert_eq!(short, "x.bin, byte 4: 4 bytes expected, 3 left");
        let unpadded = [0x38, 0x4b, 0x0d, 0x00, 1, 2, 3];
        assert!(read(&unpadded, 3).0.is_err());
        let nan = [[0; 4], f32::NAN.to_le_bytes()].concat();
        assert!(read(&nan, 1).0.unwrap_err().to_string().contains("NaN"));
        let huge = read(&[0; 8], usize::MAX).0.unwrap_err().to_string();
        assert!(huge.contains("the limit is"), "{huge}");
        assert!(read(&[0; 8], TENSOR_ELEMENTS_MAX).0.is_err());
        let scales = [0; 4].map(|_: u8| f32::INFINITY.to_le_bytes()).concat();
        assert!(WeightReader::new(&scales, "x.bin".into()).scales(4).is_ok());
        assert!(WeightReader::new(&scales, "x.bin".into()).reals(4).is_err());
    }
}
