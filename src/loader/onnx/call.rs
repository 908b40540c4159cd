//! A node together with what its operands turned out to be.

use super::proto::NodeProto;
use super::tensor::{Constant, Kind};
use crate::error::{Error, Result};
use crate::graph::ValueId;
use crate::limits::ATTRIBUTE_ELEMENTS_MAX;
use crate::tensor::{Data, Quant};

/// What an ONNX name stands for.
#[derive(Clone, Debug)]
pub enum Known {
    /// A tensor of the graph.
    Real(ValueId),
    /// The codes of a tensor of the graph that lies on the grid.
    Codes(ValueId, Grid),
    /// Known before the network runs.
    Constant(Constant),
}

/// Quantization parameters as a file states them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// The grid in signed codes.
    pub quant: Quant,
    /// Whether the file's codes are uint8.
    pub unsigned: bool,
}

impl Known {
    /// A tensor of the graph, as codes where there is a grid.
    pub fn data(id: ValueId, grid: Option<Grid>) -> Self {
        match grid {
            Some(grid) => Known::Codes(id, grid),
            None => Known::Real(id),
        }
    }

    /// The constant, if it is one.
    pub fn constant(&self) -> Option<&Constant> {
        match self {
            Known::Constant(constant) => Some(constant),
            _ => None,
        }
    }
}

/// A node that this engine cannot run, with the remedy.
pub fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::unsupported(format!("{what}; run it with `--engine tract` (build with `--features tract`)"))
}

/// A node being translated.
pub struct Call<'c, 'a> {
    /// The node.
    pub node: &'c NodeProto<'a>,
    /// Version of ONNX's operator set.
    pub opset: i64,
    /// Operands; `None` for omitted ones.
    pub inputs: Vec<Option<Known>>,
}

impl Call<'_, '_> {
    /// Operator type.
    pub fn op(&self) -> &str {
        self.node.op_type
    }

    /// Name of the first result.
    pub fn output(&self) -> &str {
        self.node.outputs.first().copied().unwrap_or("")
    }

    /// Operand `i`, `None` if omitted.
    pub fn optional(&self, i: usize) -> Option<&Known> {
        self.inputs.get(i)?.as_ref()
    }

    /// Operand `i`.
    pub fn input(&self, i: usize) -> Result<&Known> {
        self.optional(i).ok_or_else(|| Error::bad_model(format!("operand {i} is missing")))
    }

    /// Operand `i`, which must be a constant; `None` if omitted.
    pub fn optional_constant(&self, i: usize) -> Result<Option<&Constant>> {
        let Some(known) = self.optional(i) else { return Ok(None) };
        let constant = known.constant();
        constant
            .map(Some)
            .ok_or_else(|| unsupported(format!("operand {i} is computed while the network runs")))
    }

    /// Operand `i`, which must be a constant.
    pub fn constant(&self, i: usize) -> Result<&Constant> {
        self.input(i)?;
        Ok(self.optional_constant(i)?.expect("the operand is there"))
    }

    /// Short list of integers from operand `i`; `None` if omitted.
    pub fn optional_ints(&self, i: usize) -> Result<Option<Vec<i64>>> {
        let Some(constant) = self.optional_constant(i)? else { return Ok(None) };
        match constant {
            Constant::Tensor(_, tensor) if tensor.shape().elements() <= ATTRIBUTE_ELEMENTS_MAX => {
                let ints = tensor.as_i64().map(<[i64]>::to_vec);
                ints.map(Some).ok_or_else(|| Error::bad_model(format!("operand {i} does not hold integers")))
            }
            _ => Err(Error::bad_model(format!("operand {i} is not a short list of integers"))),
        }
    }

    /// Short list of integers from operand `i`.
    pub fn ints(&self, i: usize) -> Result<Vec<i64>> {
        self.input(i)?;
        Ok(self.optional_ints(i)?.expect("the operand is there"))
    }

    /// Short list of integers from an attribute or, in later operator sets, operand `i`.
    pub fn ints_of(&self, attribute: &str, i: usize) -> Result<Option<Vec<i64>>> {
        match self.node.ints(attribute)? {
            Some(list) => Ok(Some(list)),
            None => self.optional_ints(i),
        }
    }

    /// Short list of reals from operand `i`; `None` if omitted.
    pub fn optional_reals(&self, i: usize) -> Result<Option<Vec<f32>>> {
        let Some(constant) = self.optional_constant(i)? else { return Ok(None) };
        match constant {
            Constant::Tensor(Kind::Real, tensor) if tensor.shape().elements() <= ATTRIBUTE_ELEMENTS_MAX => {
                Ok(Some(tensor.to_f32()))
            }
            _ => Err(Error::bad_model(format!("operand {i} is not a short list of reals"))),
        }
    }

    /// The one real number of operand `i`; `None` if omitted.
    pub fn optional_scalar(&self, i: usize) -> Result<Option<f32>> {
        match self.optional_reals(i)?.as_deref() {
            None => Ok(None),
            Some(&[value]) => Ok(Some(value)),
            Some(_) => Err(Error::bad_model(format!("operand {i} is not one number"))),
        }
    }

    /// Integer attribute.
    pub fn int(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.node.int(name)?.unwrap_or(default))
    }

    /// Float attribute.
    pub fn float(&self, name: &str, default: f32) -> Result<f32> {
        Ok(self.node.float(name)?.unwrap_or(default))
    }

    /// Refuses the node if an integer attribute is anything but `expected`.
    pub fn require(&self, name: &str, expected: i64) -> Result<()> {
        match self.int(name, expected)? {
            found if found == expected => Ok(()),
            found => Err(unsupported(format!("{} with {name} = {found}", self.op()))),
        }
    }
}

/// An axis counted from either end.
pub fn axis(axis: i64, rank: usize) -> Result<usize> {
    let shifted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let index = shifted.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank);
    index.ok_or_else(|| Error::bad_model(format!("axis {axis} of a tensor of rank {rank}")))
}

/// Axes counted from either end, ascending; each may occur once.
pub fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes = list.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::bad_model(format!("an axis occurs twice in {list:?}")));
    }
    Ok(axes)
}

/// The only element of a constant of reals or integers that has one.
pub fn single(constant: &Constant) -> Option<f32> {
    match constant {
        Constant::Tensor(_, tensor) if tensor.shape().elements() == 1 => match tensor.data() {
            Data::I64(v) => Some(v[0] as f32),
            _ => tensor.to_f32().first().copied(),
        },
        _ => None,
    }
}
