//! The `id=value` parameters of one layer.
//!
//! Text files tell integers from floating-point numbers by their spelling, binary files do not; the getters
//! here settle the type. A getter also notes that its id was understood, so that [`Params::unread`] can
//! report what the translation of a layer would otherwise ignore.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::ops::RangeInclusive;

/// Ids are below this.
pub(super) const IDS: usize = 32;
/// Id of the shapes of a layer's outputs, as a hint.
const SHAPE_HINTS: usize = 30;
/// Id of switches that choose among equivalent implementations.
const FEATURE_MASK: usize = 31;

/// One number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Spelled without `.`, `e` and `E`.
    Int(i32),
    /// Spelled with one of them.
    Float(f32),
    /// Four bytes of a binary file: either.
    Bits(u32),
}

impl Scalar {
    fn int(self) -> Option<i32> {
        match self {
            Scalar::Int(i) => Some(i),
            Scalar::Bits(bits) => Some(bits as i32),
            Scalar::Float(_) => None,
        }
    }

    /// ncnn reinterprets the bits of an integer where it wants a floating-point number, which only zero
    /// survives; no other integer is taken for one.
    fn float(self) -> Option<f32> {
        let float = match self {
            Scalar::Float(f) => f,
            Scalar::Bits(bits) => f32::from_bits(bits),
            Scalar::Int(0) => 0.0,
            Scalar::Int(_) => return None,
        };
        float.is_finite().then_some(float)
    }

    fn is_zero(self) -> bool {
        self.int() == Some(0) || self.float() == Some(0.0)
    }
}

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Param {
    /// `id=v`
    Scalar(Scalar),
    /// `-233xx=n,v1,..` or `id=v1,v2,..`
    Array(Vec<Scalar>),
    /// `id=text`: expressions over shapes.
    Text(String),
}

/// The parameters of one layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    values: [Option<Param>; IDS],
    read: Cell<u32>,
}

impl Params {
    /// Adds a parameter; `false` if the id is out of range or taken.
    pub(super) fn insert(&mut self, id: usize, value: Param) -> bool {
        match self.values.get_mut(id) {
            Some(slot @ None) => {
                *slot = Some(value);
                true
            }
            _ => false,
        }
    }

    fn get(&self, id: usize) -> Option<&Param> {
        self.read.set(self.read.get() | 1 << id);
        self.values[id].as_ref()
    }

    fn scalar<T>(&self, id: usize, default: T, what: &str, read: fn(Scalar) -> Option<T>) -> Result<T> {
        match self.get(id) {
            None => Ok(default),
            Some(Param::Scalar(scalar)) => read(*scalar).ok_or_else(|| wrong(id, what, &self.values[id])),
            Some(_) => Err(wrong(id, what, &self.values[id])),
        }
    }

    /// An integer.
    pub(super) fn int(&self, id: usize, default: i32) -> Result<i32> {
        self.scalar(id, default, "an integer", Scalar::int)
    }

    /// An integer within `range`.
    pub(super) fn size(&self, id: usize, default: usize, range: RangeInclusive<usize>) -> Result<usize> {
        let default = i32::try_from(default).unwrap_or(i32::MAX);
        let value = self.int(id, default)?;
        usize::try_from(value).ok().filter(|n| range.contains(n)).ok_or_else(|| {
            let (min, max) = range.into_inner();
            Error::bad_model(format!("parameter {id} is {value}, expected {min}..={max}"))
        })
    }

    /// An integer that stands for yes or no.
    pub(super) fn flag(&self, id: usize, default: bool) -> Result<bool> {
        self.int(id, i32::from(default)).map(|value| value != 0)
    }

    /// A finite floating-point number.
    pub(super) fn float(&self, id: usize, default: f32) -> Result<f32> {
        self.scalar(id, default, "a finite number with a decimal point", Scalar::float)
    }

    fn array<T>(&self, id: usize, what: &str, read: fn(Scalar) -> Option<T>) -> Result<Option<Vec<T>>> {
        let elements = match self.get(id) {
            None => return Ok(None),
            Some(Param::Array(elements)) => elements,
            Some(_) => return Err(wrong(id, what, &self.values[id])),
        };
        let read: Option<Vec<T>> = elements.iter().map(|&element| read(element)).collect();
        read.map(Some).ok_or_else(|| wrong(id, what, &self.values[id]))
    }

    /// Integers; `None` if the file does not give any.
    pub(super) fn ints(&self, id: usize) -> Result<Option<Vec<i32>>> {
        self.array(id, "an array of integers", Scalar::int)
    }

    /// Floating-point numbers; `None` if the file does not give any.
    pub(super) fn floats(&self, id: usize) -> Result<Option<Vec<f32>>> {
        self.array(id, "an array of finite numbers with a decimal point", Scalar::float)
    }

    /// `[rank, w, h, c]` of each output, where the file holds this hint.
    pub(super) fn shape_hints(&self) -> Option<Vec<i32>> {
        self.ints(SHAPE_HINTS).ok().flatten()
    }

    /// Refuses a parameter whose non-zero value changes what a layer does.
    pub(super) fn refuse(&self, id: usize, meaning: &str) -> Result<()> {
        match self.get(id) {
            None => Ok(()),
            Some(Param::Scalar(scalar)) if scalar.is_zero() => Ok(()),
            Some(_) => Err(Error::unsupported(format!("{meaning} (parameter {id}) is not supported"))),
        }
    }

    /// A parameter that no getter has asked for and that is not zero.
    pub(super) fn unread(&self) -> Option<usize> {
        (0..IDS)
            .filter(|id| ![SHAPE_HINTS, FEATURE_MASK].contains(id) && self.read.get() >> id & 1 == 0)
            .find(|&id| match &self.values[id] {
                None => false,
                Some(Param::Scalar(scalar)) => !scalar.is_zero(),
                Some(Param::Array(elements)) => !elements.is_empty(),
                Some(Param::Text(_)) => true,
            })
    }
}

fn wrong(id: usize, expected: &str, found: &Option<Param>) -> Error {
    let mut found = match found {
        Some(Param::Scalar(scalar)) => format!("{scalar:?}"),
        Some(Param::Array(elements)) => format!("an array of {} elements", elements.len()),
        Some(Param::Text(text)) => format!("the text {text:?}"),
        None => "nothing".into(),
    };
    if found.chars().count() > 80 {
        found = found.chars().take(80).chain(['…']).collect();
    }
    Error::bad_model(format!("parameter {id} is {found}, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_settled_by_the_getter() {
        let mut params = Params::default();
        assert!(params.insert(0, Param::Scalar(Scalar::Int(3))));
        assert!(params.insert(1, Param::Scalar(Scalar::Float(0.5))));
        assert!(params.insert(2, Param::Scalar(Scalar::Bits(0.5f32.to_bits()))));
        assert!(!params.insert(2, Param::Text("twice".into())) && !params.insert(IDS, Param::Array(vec![])));
        assert_eq!((params.int(0, 7).unwrap(), params.int(9, 7).unwrap()), (3, 7));
        assert_eq!((params.float(1, 0.0).unwrap(), params.float(2, 0.0).unwrap()), (0.5, 0.5));
        let error = params.float(0, 0.0).unwrap_err().to_string();
        assert!(error.contains("decimal point"), "{error}");
        assert!(params.int(1, 0).is_err() && params.ints(0).is_err() && params.size(0, 0, 4..=9).is_err());
    }

    #[test]
    fn what_no_getter_reads_is_reported_unless_zero() {
        let mut params = Params::default();
        params.insert(4, Param::Scalar(Scalar::Int(0)));
        params.insert(5, Param::Scalar(Scalar::Int(1)));
        params.insert(30, Param::Array(vec![Scalar::Int(3)]));
        assert_eq!(params.unread(), Some(5));
        params.int(5, 0).unwrap();
        assert_eq!(params.unread(), None);
        assert!(params.refuse(4, "x").is_ok() && params.refuse(5, "x").is_err());
    }
}
