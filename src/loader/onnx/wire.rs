//! Protobuf wire format: fields of a message, borrowed from the file's bytes.
//!
//! A message is never copied and never decoded as a whole: a reader walks over its fields and takes what it
//! needs, so memory does not grow with what a file merely claims. Groups, which ONNX does not use, are
//! refused. See <https://protobuf.dev/programming-guides/encoding/>.

use crate::error::{Error, Place, Result};
use crate::limits::{NAME_BYTES_MAX, PROTOBUF_DEPTH_MAX};

/// A length-delimited piece of the file: a message, a string or packed numbers.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Offset of `bytes` in the file.
    start: usize,
    depth: usize,
}

/// Payload of a field.
#[derive(Clone, Copy, Debug)]
enum Payload<'a> {
    Varint(u64),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Number from the message's definition.
    pub number: u64,
    payload: Payload<'a>,
    /// Offset of the payload's end in the file.
    end: usize,
    depth: usize,
}

fn bad(byte: usize, what: impl Into<String>) -> Error {
    Error::bad_model(what).at(|p: &mut Place| p.byte = Some(byte as u64))
}

impl<'a> Message<'a> {
    /// The outermost message: a whole file.
    pub fn file(bytes: &'a [u8]) -> Self {
        Message { bytes, start: 0, depth: 0 }
    }

    /// Offset in the file.
    pub fn offset(self) -> usize {
        self.start
    }

    /// The bytes of the message.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The fields in file order. Stops after the first error.
    pub fn fields(self) -> Fields<'a> {
        Fields { message: self, at: 0 }
    }

    /// Broken content of this message.
    pub fn error(self, what: impl Into<String>) -> Error {
        bad(self.start, what)
    }
}

/// Iterator over the fields of a message.
pub struct Fields<'a> {
    message: Message<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let rest = &self.message.bytes[self.at..];
        let taken = usize::try_from(count).ok().and_then(|n| rest.get(..n));
        let taken = taken.ok_or_else(|| {
            let byte = self.message.start + self.at;
            bad(byte, format!("{count} bytes expected, {} left in the message; truncated file?", rest.len()))
        })?;
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    fn varint(&mut self) -> Result<u64> {
        let (value, length) =
            varint(&self.message.bytes[self.at..]).map_err(|what| bad(self.message.start + self.at, what))?;
        self.at += length;
        Ok(value)
    }

    fn field(&mut self) -> Result<Field<'a>> {
        let start = self.message.start + self.at;
        let key = self.varint()?;
        let payload = match key & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(self.array()?),
            2 => {
                let length = self.varint()?;
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Fixed32(self.array()?),
            other => return Err(bad(start, format!("wire type {other}; not an ONNX file?"))),
        };
        if key >> 3 == 0 {
            return Err(bad(start, "field number 0; not an ONNX file?"));
        }
        let end = self.message.start + self.at;
        Ok(Field { number: key >> 3, payload, end, depth: self.message.depth })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.message.bytes.len() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.message.bytes.len();
        }
        Some(field)
    }
}

impl<'a> Field<'a> {
    fn mismatch<T>(self, expected: &str) -> Result<T> {
        Err(bad(self.end, format!("field {} does not hold {expected}", self.number)))
    }

    /// Nested message, or raw bytes.
    pub fn message(self) -> Result<Message<'a>> {
        if self.depth >= PROTOBUF_DEPTH_MAX {
            return Err(bad(self.end, format!("messages nest deeper than {PROTOBUF_DEPTH_MAX}")));
        }
        match self.payload {
            Payload::Bytes(bytes) => {
                Ok(Message { bytes, start: self.end - bytes.len(), depth: self.depth + 1 })
            }
            _ => self.mismatch("a message"),
        }
    }

    /// Text of any length.
    pub fn text(self) -> Result<&'a str> {
        match self.payload {
            Payload::Bytes(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| bad(self.end - bytes.len(), "text that is not UTF-8"))
            }
            _ => self.mismatch("text"),
        }
    }

    /// Name of a node, value or attribute.
    pub fn name(self) -> Result<&'a str> {
        let name = self.text()?;
        if name.len() > NAME_BYTES_MAX {
            return Err(bad(self.end - name.len(), format!("a name is longer than {NAME_BYTES_MAX} bytes")));
        }
        Ok(name)
    }

    /// Integer; negative ones are stored as their 64-bit two's complement.
    pub fn int(self) -> Result<i64> {
        match self.payload {
            Payload::Varint(v) => Ok(v as i64),
            _ => self.mismatch("an integer"),
        }
    }

    /// Single-precision number.
    pub fn float(self) -> Result<f32> {
        match self.payload {
            Payload::Fixed32(b) => Ok(f32::from_le_bytes(b)),
            _ => self.mismatch("a float"),
        }
    }

    /// Appends the integers of a repeated field, packed or not, up to `limit` elements in the list.
    pub fn ints_into(self, list: &mut Vec<i64>, limit: usize) -> Result<()> {
        let Payload::Bytes(mut rest) = self.payload else {
            return self.append(list, [self.int()?], limit);
        };
        while !rest.is_empty() {
            let (value, length) = varint(rest).map_err(|what| bad(self.end - rest.len(), what))?;
            self.append(list, [value as i64], limit)?;
            rest = &rest[length..];
        }
        Ok(())
    }

    /// Appends the floats of a repeated field, packed or not, up to `limit` elements in the list.
    pub fn floats_into(self, list: &mut Vec<f32>, limit: usize) -> Result<()> {
        let Payload::Bytes(bytes) = self.payload else {
            return self.append(list, [self.float()?], limit);
        };
        let (chunks, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return self.mismatch("whole floats");
        }
        self.append(list, chunks.iter().map(|&b| f32::from_le_bytes(b)), limit)
    }

    /// Appends the doubles of a repeated field, packed or not, rounded to single precision.
    pub fn doubles_into(self, list: &mut Vec<f32>, limit: usize) -> Result<()> {
        let bytes = match &self.payload {
            Payload::Fixed64(bytes) => bytes.as_slice(),
            Payload::Bytes(bytes) => bytes,
            _ => return self.mismatch("doubles"),
        };
        let (chunks, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return self.mismatch("whole doubles");
        }
        self.append(list, chunks.iter().map(|&b| f64::from_le_bytes(b) as f32), limit)
    }

    fn append<T>(
        self,
        list: &mut Vec<T>,
        values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        limit: usize,
    ) -> Result<()> {
        let values = values.into_iter();
        if values.len() > limit.saturating_sub(list.len()) {
            return Err(bad(self.end, format!("field {} has more than {limit} elements", self.number)));
        }
        list.extend(values);
        Ok(())
    }
}

/// Value and length of the varint at the start of `bytes`.
fn varint(bytes: &[u8]) -> Result<(u64, usize), &'static str> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().enumerate().take(10) {
        if i == 9 && byte > 1 {
            return Err("a varint is longer than 64 bits");
        }
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok((value, i + 1));
        }
    }
    Err(if bytes.len() < 10 {
        "a varint is cut off; truncated file?"
    } else {
        "a varint is longer than 64 bits"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<Field<'_>> {
        Message::file(bytes).fields().next().unwrap()
    }

    #[test]
    fn worked_examples_of_the_encoding_guide() {
        // protobuf.dev/programming-guides/encoding: field 1 = 150; field 2 = "testing"; packed 3, 270, 86942.
        assert_eq!(first(&[0x08, 0x96, 0x01]).unwrap().int().unwrap(), 150);
        let text = first(&[0x12, 7, b't', b'e', b's', b't', b'i', b'n', b'g']).unwrap();
        assert_eq!((text.number, text.text().unwrap()), (2, "testing"));
        let mut list = Vec::new();
        first(&[0x32, 6, 3, 0x8e, 2, 0x9e, 0xa7, 5]).unwrap().ints_into(&mut list, 3).unwrap();
        assert_eq!(list, [3, 270, 86942]);
        // −2 is ten bytes long.
        let minus_two = [8, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(first(&minus_two).unwrap().int().unwrap(), -2);
    }

    #[test]
    fn broken_fields_are_errors_with_their_byte() {
        let byte = |bytes: &[u8]| match first(bytes) {
            Err(Error::BadModel { place, .. }) => place.byte,
            other => panic!("{other:?}"),
        };
        assert_eq!(byte(&[0x08]), Some(1)); // no payload
        assert_eq!(byte(&[0x12, 5, 1, 2]), Some(2)); // five bytes promised, two there
        assert_eq!(byte(&[0x0b]), Some(0)); // group
        assert_eq!(byte(&[0x00, 0x00]), Some(0)); // field 0
        assert_eq!(byte(&[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Some(1)); // 65 bits
        assert_eq!(byte(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(11));
    }

    #[test]
    fn lists_and_nesting_are_bounded() {
        let mut list = Vec::new();
        assert!(first(&[0x0a, 3, 1, 2, 3]).unwrap().ints_into(&mut list, 2).is_err());
        assert!(first(&[0x0a, 3, 0, 0, 0]).unwrap().floats_into(&mut Vec::new(), 2).is_err());
        let mut nested = Vec::new();
        for _ in 0..=PROTOBUF_DEPTH_MAX {
            nested.splice(0..0, [0x0a, nested.len() as u8]);
        }
        let mut message = Message::file(&nested);
        let deepest = std::iter::from_fn(|| {
            let inner = message.fields().next()?.and_then(Field::message);
            message = *inner.as_ref().ok()?;
            Some(())
        });
        assert_eq!(deepest.count(), PROTOBUF_DEPTH_MAX);
    }
}
