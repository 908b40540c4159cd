//! The intermediate representation: values, nodes, and a builder that admits only consistent ones.
//!
//! Invariants, established by [`Graph::push`] and kept by the passes: nodes are in topological order; each
//! value has a concrete [`Shape`] and one producer (a node, a constant or the graph's input); every node's
//! output shapes follow from [`infer`]. The graph is a statement about real numbers: quantization
//! appears as [`Op::FakeQuant`] and as int8 weights, never as arithmetic on codes.

mod infer;
mod op;

pub use infer::infer;
pub use op::{Binary, Op, PoolKind, ReduceKind, ResizeCoords, ResizeMode, Unary, WindowAttrs};

use crate::error::{Error, Result};
use crate::limits::{NAME_BYTES_MAX, NODE_ARITY_MAX, NODES_MAX, VALUES_MAX};
use crate::tensor::{Shape, Tensor};
use std::sync::Arc;

/// Index of a value in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(u32);

impl ValueId {
    /// Position in [`Graph::values`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tensor of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the file it came from.
    pub name: String,
    /// Logical shape.
    pub shape: Shape,
    /// Elements, if they are known before any input is.
    pub constant: Option<Arc<Tensor>>,
}

/// An operator applied to values. Every operator has one output.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the file it came from.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Its operands; parameters (weights, bias) are constant values.
    pub inputs: Vec<ValueId>,
    /// Its result.
    pub output: ValueId,
}

/// What the grid of a [`Op::FakeQuant`] means in the file that states it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GridStyle {
    /// The grid itself; results follow `QuantizeLinear` exactly (QDQ files).
    #[default]
    Exact,
    /// `±127 · scale` bounds the tensor; a finer grid with the same bound may take its place (ncnn files).
    Threshold,
}

/// A network.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// What its grids mean.
    pub grid_style: GridStyle,
    values: Vec<Value>,
    /// Nodes in topological order.
    pub nodes: Vec<Node>,
    /// Values that the caller fills in.
    pub inputs: Vec<ValueId>,
    /// Values that the caller reads.
    pub outputs: Vec<ValueId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Graph::default()
    }

    /// An empty graph whose grids mean what `style` says.
    pub fn with_style(style: GridStyle) -> Self {
        Graph { grid_style: style, ..Graph::default() }
    }

    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Ids of all values.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// The value behind an id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Logical shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.value(id).shape
    }

    /// Elements of a constant value.
    pub fn constant(&self, id: ValueId) -> Option<&Arc<Tensor>> {
        self.value(id).constant.as_ref()
    }

    fn add_value(&mut self, value: Value) -> Result<ValueId> {
        if self.values.len() >= VALUES_MAX {
            return Err(Error::bad_model(format!("more than {VALUES_MAX} values")));
        }
        if value.name.len() > NAME_BYTES_MAX {
            return Err(Error::bad_model(format!("a name is longer than {NAME_BYTES_MAX} bytes")));
        }
        let id = ValueId(self.values.len() as u32);
        self.values.push(value);
        Ok(id)
    }

    /// Gives a value another name: an output keeps the file's name where an alias of it was that.
    pub fn rename(&mut self, id: ValueId, name: impl Into<String>) {
        self.values[id.index()].name = name.into();
    }

    /// Puts other elements of the same shape in the place of a constant's.
    ///
    /// # Errors
    /// The value is no constant, or its shape another one.
    pub fn set_constant(&mut self, id: ValueId, tensor: impl Into<Arc<Tensor>>) -> Result<()> {
        let (value, tensor) = (&mut self.values[id.index()], tensor.into());
        if value.constant.is_none() || value.shape != *tensor.shape() {
            let what = format!("{}: a constant of shape {} was expected", value.name, tensor.shape());
            return Err(Error::bad_model(what));
        }
        value.constant = Some(tensor);
        Ok(())
    }

    /// Adds a value that the caller fills in.
    pub fn push_input(&mut self, name: impl Into<String>, shape: Shape) -> Result<ValueId> {
        let id = self.add_value(Value { name: name.into(), shape, constant: None })?;
        self.inputs.push(id);
        Ok(id)
    }

    /// Adds a constant.
    pub fn push_constant(
        &mut self,
        name: impl Into<String>,
        tensor: impl Into<Arc<Tensor>>,
    ) -> Result<ValueId> {
        let tensor = tensor.into();
        let shape = tensor.shape().clone();
        self.add_value(Value { name: name.into(), shape, constant: Some(tensor) })
    }

    /// Adds a node after all others; the name of its output is `output_name`.
    ///
    /// # Errors
    /// The operands do not fit the operator; the message says which and why.
    pub fn push(
        &mut self,
        name: impl Into<String>,
        op: Op,
        inputs: Vec<ValueId>,
        output_name: impl Into<String>,
    ) -> Result<ValueId> {
        let name = name.into();
        let made = self.try_push(&name, op, inputs, output_name.into());
        made.map_err(|e| e.at(|p| p.node = Some(name)))
    }

    fn try_push(&mut self, name: &str, op: Op, inputs: Vec<ValueId>, output_name: String) -> Result<ValueId> {
        if self.nodes.len() >= NODES_MAX {
            return Err(Error::bad_model(format!("more than {NODES_MAX} nodes")));
        }
        if inputs.len() > NODE_ARITY_MAX {
            return Err(Error::bad_model(format!("more than {NODE_ARITY_MAX} operands")));
        }
        let operands: Vec<&Value> = inputs.iter().map(|&id| self.value(id)).collect();
        let shape = infer(&op, &operands)?;
        let output = self.add_value(Value { name: output_name, shape, constant: None })?;
        self.nodes.push(Node { name: name.to_owned(), op, inputs, output });
        Ok(output)
    }
}
