//! The messages of `onnx.proto` that an inference engine needs, borrowed from the file's bytes.
//!
//! Attributes and tensors stay undecoded until an operator asks for them.

use super::wire::{Field, Message};
use crate::error::Result;
use crate::limits::{ATTRIBUTE_ELEMENTS_MAX, NODE_ARITY_MAX, NODES_MAX, RANK_MAX, VALUES_MAX};

/// `ModelProto`.
#[derive(Debug)]
pub struct ModelProto<'a> {
    /// Domain and version of the operator sets.
    pub opsets: Vec<(&'a str, i64)>,
    /// The network.
    pub graph: GraphProto<'a>,
    /// `metadata_props`.
    pub metadata: Vec<(String, String)>,
}

/// `GraphProto`.
#[derive(Debug, Default)]
pub struct GraphProto<'a> {
    /// Nodes in file order.
    pub nodes: Vec<NodeProto<'a>>,
    /// Constants by name.
    pub initializers: Vec<(&'a str, Message<'a>)>,
    /// Inputs; old files list the initializers here too.
    pub inputs: Vec<ValueInfo<'a>>,
    /// Names of the outputs.
    pub outputs: Vec<&'a str>,
}

/// `NodeProto`.
#[derive(Debug, Default)]
pub struct NodeProto<'a> {
    /// Name; often empty.
    pub name: &'a str,
    /// Operator.
    pub op_type: &'a str,
    /// Operator set that defines the operator; empty for ONNX's own.
    pub domain: &'a str,
    /// Names of the operands; empty for an omitted one.
    pub inputs: Vec<&'a str>,
    /// Names of the results; empty for an unused one.
    pub outputs: Vec<&'a str>,
    /// Attributes by name.
    pub attributes: Vec<(&'a str, Message<'a>)>,
    /// Offset in the file.
    pub byte: u64,
}

/// `ValueInfoProto` of a tensor.
#[derive(Debug, Default)]
pub struct ValueInfo<'a> {
    /// Name of the value.
    pub name: &'a str,
    /// `TensorProto.DataType`; 0 if absent.
    pub data_type: i64,
    /// Extents, `None` where symbolic; `None` if the rank is not given.
    pub dims: Option<Vec<Option<i64>>>,
}

/// Appends to a list that may hold at most `limit` elements.
fn push<'a, T>(list: &mut Vec<T>, item: T, limit: usize, what: &str, message: Message<'a>) -> Result<()> {
    if list.len() >= limit {
        return Err(message.error(format!("more than {limit} {what}")));
    }
    list.push(item);
    Ok(())
}

impl<'a> ModelProto<'a> {
    /// Reads a file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let file = Message::file(bytes);
        let (mut opsets, mut metadata, mut graph) = (Vec::new(), Vec::new(), None);
        for field in file.fields() {
            let field = field?;
            match field.number {
                7 if graph.is_some() => return Err(file.error("two graphs in one file")),
                7 => graph = Some(GraphProto::parse(field.message()?)?),
                8 => push(&mut opsets, opset(field)?, NODE_ARITY_MAX, "operator sets", file)?,
                14 => push(&mut metadata, entry(field)?, ATTRIBUTE_ELEMENTS_MAX, "metadata entries", file)?,
                _ => {}
            }
        }
        let graph =
            graph.ok_or_else(|| file.error("no graph in the file; not an ONNX file, or truncated"))?;
        Ok(ModelProto { opsets, graph, metadata })
    }
}

fn opset<'a>(field: Field<'a>) -> Result<(&'a str, i64)> {
    let (mut domain, mut version) = ("", 0);
    for field in field.message()?.fields() {
        let field = field?;
        match field.number {
            1 => domain = field.name()?,
            2 => version = field.int()?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn entry(field: Field<'_>) -> Result<(String, String)> {
    let (mut key, mut value) = ("", "");
    for field in field.message()?.fields() {
        let field = field?;
        match field.number {
            1 => key = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl<'a> GraphProto<'a> {
    fn parse(message: Message<'a>) -> Result<Self> {
        let mut graph = GraphProto::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => {
                    push(&mut graph.nodes, NodeProto::parse(field.message()?)?, NODES_MAX, "nodes", message)?
                }
                5 => {
                    let tensor = field.message()?;
                    let named = (name_of(tensor, 8)?, tensor);
                    push(&mut graph.initializers, named, VALUES_MAX, "initializers", message)?;
                }
                11 => {
                    let input = ValueInfo::parse(field.message()?)?;
                    push(&mut graph.inputs, input, VALUES_MAX, "inputs", message)?;
                }
                12 => {
                    let name = name_of(field.message()?, 1)?;
                    push(&mut graph.outputs, name, NODE_ARITY_MAX, "outputs", message)?;
                }
                _ => {}
            }
        }
        Ok(graph)
    }
}

/// Value of the name field with the given number.
fn name_of(message: Message<'_>, number: u64) -> Result<&str> {
    let mut name = "";
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            name = field.name()?;
        }
    }
    Ok(name)
}

impl<'a> NodeProto<'a> {
    fn parse(message: Message<'a>) -> Result<Self> {
        let mut node = NodeProto { byte: message.offset() as u64, ..NodeProto::default() };
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => push(&mut node.inputs, field.name()?, NODE_ARITY_MAX, "operands", message)?,
                2 => push(&mut node.outputs, field.name()?, NODE_ARITY_MAX, "results", message)?,
                3 => node.name = field.name()?,
                4 => node.op_type = field.name()?,
                5 => {
                    let attribute = field.message()?;
                    let named = (name_of(attribute, 1)?, attribute);
                    push(&mut node.attributes, named, NODE_ARITY_MAX, "attributes", message)?;
                }
                7 => node.domain = field.name()?,
                _ => {}
            }
        }
        Ok(node)
    }

    /// `Type name`, with the first output's name where the node has none of its own.
    pub fn label(&self) -> String {
        format!("{} {}", self.op_type, self.display_name())
    }

    /// The node's name, or its first output's.
    pub fn display_name(&self) -> &'a str {
        if self.name.is_empty() { self.outputs.first().copied().unwrap_or("") } else { self.name }
    }

    /// Field `number` of an attribute, the last one if repeated.
    fn field(&self, name: &str, number: u64) -> Result<Option<Field<'a>>> {
        let Some((_, attribute)) = self.attributes.iter().find(|(n, _)| *n == name) else {
            return Ok(None);
        };
        let mut found = None;
        for field in attribute.fields() {
            let field = field?;
            if field.number == number {
                found = Some(field);
            }
        }
        found.map(Some).ok_or_else(|| attribute.error(format!("attribute {name} has another type")))
    }

    /// Whether the attribute is there.
    pub fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(n, _)| *n == name)
    }

    /// Integer attribute.
    pub fn int(&self, name: &str) -> Result<Option<i64>> {
        self.field(name, 3)?.map(Field::int).transpose()
    }

    /// Float attribute.
    pub fn float(&self, name: &str) -> Result<Option<f32>> {
        self.field(name, 2)?.map(Field::float).transpose()
    }

    /// Text attribute.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        self.field(name, 4)?.map(Field::text).transpose()
    }

    /// Tensor attribute, undecoded.
    pub fn tensor(&self, name: &str) -> Result<Option<Message<'a>>> {
        self.field(name, 5)?.map(Field::message).transpose()
    }

    /// Integer list attribute.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        self.list(name, |field, list| match field.number {
            8 => field.ints_into(list, ATTRIBUTE_ELEMENTS_MAX),
            _ => Ok(()),
        })
    }

    /// Float list attribute.
    pub fn floats(&self, name: &str) -> Result<Option<Vec<f32>>> {
        self.list(name, |field, list| match field.number {
            7 => field.floats_into(list, ATTRIBUTE_ELEMENTS_MAX),
            _ => Ok(()),
        })
    }

    fn list<T>(
        &self,
        name: &str,
        mut take: impl FnMut(Field<'a>, &mut Vec<T>) -> Result<()>,
    ) -> Result<Option<Vec<T>>> {
        let Some((_, attribute)) = self.attributes.iter().find(|(n, _)| *n == name) else {
            return Ok(None);
        };
        let mut list = Vec::new();
        for field in attribute.fields() {
            take(field?, &mut list)?;
        }
        Ok(Some(list))
    }
}

impl<'a> ValueInfo<'a> {
    fn parse(message: Message<'a>) -> Result<Self> {
        let mut info = ValueInfo::default();
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => info.name = field.name()?,
                2 => info.read_type(field.message()?)?,
                _ => {}
            }
        }
        Ok(info)
    }

    /// `TypeProto`: field 1 is `Tensor { elem_type = 1, shape = 2 }`.
    fn read_type(&mut self, message: Message<'a>) -> Result<()> {
        for field in message.fields() {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            for field in field.message()?.fields() {
                let field = field?;
                match field.number {
                    1 => self.data_type = field.int()?,
                    2 => self.dims = Some(dimensions(field.message()?)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// `TensorShapeProto`: repeated `Dimension { dim_value = 1 | dim_param = 2 }`.
fn dimensions(message: Message<'_>) -> Result<Vec<Option<i64>>> {
    let mut dims = Vec::new();
    for field in message.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let mut dim = None;
        for field in field.message()?.fields() {
            let field = field?;
            if field.number == 1 {
                dim = Some(field.int()?);
            }
        }
        push(&mut dims, dim, RANK_MAX, "dimensions", message)?;
    }
    Ok(dims)
}
