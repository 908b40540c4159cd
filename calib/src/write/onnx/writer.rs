//! The file so far: its nodes, its constants, and what each value of the graph is named in it.

use super::names::Names;
use super::proto::{self, AttributeProto, GraphProto, NodeProto, TensorProto};
use super::quantization;
use crate::error::{Error, Result};
use ocellus::graph::{Graph, Node, Op, Value, ValueId};
use ocellus::tensor::{Data, Quant};
use std::collections::HashMap;

/// State of the writing.
pub struct Writer<'a> {
    /// What is written.
    pub graph: &'a Graph,
    /// The same network at another size.
    pub other: Option<&'a Graph>,
    /// Grid of each value that a grid has just been put on.
    pub grids: Vec<Option<Quant>>,
    /// Whether an operator other than a grid reads the value.
    read: Vec<bool>,
    /// Name of each value of the graph.
    values: Vec<String>,
    /// Name of each node of the graph.
    labels: Vec<String>,
    value_names: Names,
    node_names: Names,
    /// Constants that are written, by value and rank.
    constants: HashMap<(ValueId, usize), String>,
    /// The node being written, and whether something has its name already.
    at: usize,
    begun: bool,
    /// Name of its result until the result is put on a grid.
    detour: Option<String>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

/// `other_size` is not what it is to be.
pub fn other_network() -> Error {
    Error::Usage("the model loaded for another size is another network".to_owned())
}

impl<'a> Writer<'a> {
    /// An empty file for `graph`.
    pub fn new(graph: &'a Graph, other: Option<&'a Graph>) -> Result<Self> {
        if other.is_some_and(|other| !same_kind(graph, other)) {
            return Err(other_network());
        }
        let mut value_names = Names::default();
        let mut values = vec![String::new(); graph.values().len()];
        // First those that may not change.
        for &id in graph.inputs.iter().chain(&graph.outputs) {
            let name = &graph.value(id).name;
            if values[id.index()].is_empty() && !value_names.take(name) {
                return Err(Error::Usage(format!(
                    "{name:?} does not name one input or output of the model: it is empty, or there twice"
                )));
            }
            values[id.index()].clone_from(name);
        }
        for (name, value) in values.iter_mut().zip(graph.values()).filter(|(name, _)| name.is_empty()) {
            *name = value_names.fresh(&value.name);
        }
        let mut node_names = Names::default();
        let label =
            |node: &Node| node_names.fresh(if node.name.is_empty() { node.op.name() } else { &node.name });
        let mut read = vec![false; values.len()];
        for node in graph.nodes.iter().filter(|node| !matches!(node.op, Op::FakeQuant(_))) {
            node.inputs.iter().for_each(|id| read[id.index()] = true);
        }
        Ok(Writer {
            graph,
            other,
            read,
            grids: vec![None; values.len()],
            values,
            labels: graph.nodes.iter().map(label).collect(),
            value_names,
            node_names,
            constants: HashMap::new(),
            at: 0,
            begun: false,
            detour: None,
            nodes: Vec::new(),
            initializers: Vec::new(),
        })
    }

    /// The file's graph.
    pub fn finish(mut self) -> Result<GraphProto> {
        let outputs = self.graph.outputs.clone();
        let mut seen = std::collections::HashSet::new();
        for &id in &outputs {
            if !seen.insert(id) {
                return Err(Error::Usage(format!("{:?} is an output twice", self.graph.value(id).name)));
            }
            self.operand(id);
        }
        let info = |ids: &[ValueId]| ids.iter().map(|&id| self.info(id)).collect();
        Ok(GraphProto {
            input: info(&self.graph.inputs),
            output: info(&outputs),
            name: "ocellus".to_owned(),
            node: self.nodes,
            initializer: self.initializers,
        })
    }

    /// Extents of a value, and in the network of another size.
    pub fn extents(&self, id: ValueId) -> Vec<(usize, usize)> {
        let dims = self.graph.shape(id).dims();
        let others = self.other.map_or(dims, |other| other.shape(id).dims());
        dims.iter().copied().zip(others.iter().copied()).collect()
    }

    fn info(&self, id: ValueId) -> proto::ValueInfoProto {
        let name = &self.values[id.index()];
        let dimension = |(axis, (here, there)): (usize, (usize, usize))| match here == there {
            true => proto::DimensionProto { dim_value: Some(here as i64), dim_param: None },
            false => proto::DimensionProto { dim_value: None, dim_param: Some(format!("{name}.{axis}")) },
        };
        let dim = self.extents(id).into_iter().enumerate().map(dimension).collect();
        let shape = Some(proto::TensorShapeProto { dim });
        let tensor_type = Some(proto::TensorTypeProto { elem_type: proto::FLOAT, shape });
        proto::ValueInfoProto { name: name.clone(), kind: Some(proto::TypeProto { tensor_type }) }
    }

    /// Whether an operator other than a grid reads the value.
    pub fn is_read(&self, id: ValueId) -> bool {
        self.read[id.index()]
    }

    /// From now on the graph's node `index` is written; with `detour` its result gets the name of the value
    /// only after [`arrive`](Writer::arrive).
    pub fn begin(&mut self, index: usize, detour: bool) {
        (self.at, self.begun) = (index, false);
        self.detour = detour.then(|| self.beside("moved"));
    }

    /// Ends the detour.
    pub fn arrive(&mut self) {
        self.detour = None;
    }

    /// The node being written, in the network of another size.
    pub fn twin(&self) -> Option<&'a Node> {
        Some(&self.other?.nodes[self.at])
    }

    /// Name of the result of the node being written.
    pub fn target(&self) -> String {
        let name = &self.values[self.graph.nodes[self.at].output.index()];
        self.detour.as_ref().unwrap_or(name).clone()
    }

    /// Extents of that result.
    pub fn target_extents(&self) -> Vec<(usize, usize)> {
        self.extents(self.graph.nodes[self.at].output)
    }

    /// A name for a value beside the target.
    pub fn beside(&mut self, part: &str) -> String {
        let wanted = format!("{}/{part}", self.values[self.graph.nodes[self.at].output.index()]);
        self.value_names.fresh(&wanted)
    }

    /// A name for a value that is made of another.
    pub fn derived(&mut self, from: &str, part: &str) -> String {
        self.value_names.fresh(&format!("{from}.{part}"))
    }

    /// Adds an operator. The first one of the graph's node has the node's name.
    pub fn emit(&mut self, op: &str, inputs: &[&str], output: String, attributes: Vec<AttributeProto>) {
        let label = &self.labels[self.at];
        let name = match std::mem::replace(&mut self.begun, true) {
            false => label.clone(),
            true => self.node_names.fresh(&format!("{label}/{op}")),
        };
        self.push(name, op, inputs, output, attributes);
    }

    /// Adds the operator that makes the target.
    pub fn emit_target(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) {
        let target = self.target();
        self.emit(op, inputs, target, attributes);
    }

    /// Adds an operator on the way to the target; the name of its result.
    pub fn part(&mut self, op: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = self.beside(op);
        self.emit(op, inputs, output.clone(), attributes);
        output
    }

    /// Adds an operator that makes a constant usable.
    pub fn prepare(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        let name = self.node_names.fresh(&format!("{output}/{op}"));
        self.push(name, op, inputs, output.to_owned(), attributes);
    }

    fn push(
        &mut self,
        name: String,
        op: &str,
        inputs: &[&str],
        output: String,
        attribute: Vec<AttributeProto>,
    ) {
        let input = inputs.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(NodeProto { name, op_type: op.to_owned(), input, output: vec![output], attribute });
    }

    /// Adds a constant.
    pub fn initializer(&mut self, name: &str, dims: &[usize], data_type: i32, raw: Vec<u8>) {
        self.initializers.push(TensorProto {
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type,
            name: name.to_owned(),
            raw_data: Some(raw),
        });
    }

    /// Adds a constant of reals.
    pub fn reals(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(name, dims, proto::FLOAT, raw);
    }

    /// A constant real beside the target.
    pub fn scalar(&mut self, what: &str, value: f32) -> String {
        let name = self.beside(what);
        self.reals(&name, &[], &[value]);
        name
    }

    /// A constant list of integers beside the target.
    pub fn ints(&mut self, what: &str, values: &[i64]) -> String {
        let name = self.beside(what);
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializer(&name, &[values.len()], proto::INT64, raw);
        name
    }

    /// A constant list of indices beside the target.
    pub fn indices(&mut self, what: &str, values: &[usize]) -> String {
        let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
        self.ints(what, &values)
    }

    /// Name of a value as an operand; a constant is written when it is first read.
    pub fn operand(&mut self, id: ValueId) -> String {
        let name = self.values[id.index()].clone();
        let Some(tensor) = self.graph.constant(id) else { return name };
        let dims = tensor.shape().dims();
        if self.constants.insert((id, dims.len()), name.clone()).is_some() {
            return name;
        }
        match tensor.data() {
            Data::F32(values) => self.reals(&name, dims, values),
            Data::I64(values) => {
                let integers = self.derived(&name, "integers");
                let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                self.initializer(&integers, dims, proto::INT64, raw);
                // Operands are reals.
                let to = AttributeProto::int("to", i64::from(proto::FLOAT));
                self.prepare("Cast", &[&integers], &name, vec![to]);
            }
            Data::Q8 { codes, scales } => quantization::weights(self, &name, dims, (codes, scales)),
        }
        name
    }

    /// Constant `operands[i]`, one number per channel of `operands[0]`, with the extents that broadcast along
    /// axis 1.
    pub fn channels(&mut self, operands: &[ValueId], i: usize) -> Result<String> {
        let (id, rank) = (operands[i], self.graph.shape(operands[0]).rank());
        if rank == 2 {
            return Ok(self.operand(id));
        }
        if let Some(name) = self.constants.get(&(id, rank - 1)) {
            return Ok(name.clone());
        }
        let values = self.constant(id)?;
        let mut dims = vec![1; rank - 1];
        dims[0] = values.len();
        let own = self.values[id.index()].clone();
        let name = self.derived(&own, "column");
        self.reals(&name, &dims, &values);
        self.constants.insert((id, rank - 1), name.clone());
        Ok(name)
    }

    /// Numbers of a constant.
    pub fn constant(&self, id: ValueId) -> Result<Vec<f32>> {
        let tensor = self.graph.constant(id).map(|tensor| tensor.to_f32());
        tensor.ok_or_else(|| super::unsupported(format!("{:?} is not a constant", self.graph.value(id).name)))
    }
}

/// Whether two graphs have the same operators on the same values; attributes may differ.
fn same_kind(a: &Graph, b: &Graph) -> bool {
    let discriminant = std::mem::discriminant::<Op>;
    let same_node = |(a, b): (&Node, &Node)| {
        discriminant(&a.op) == discriminant(&b.op) && (&a.inputs, a.output) == (&b.inputs, b.output)
    };
    let same_value = |(a, b): (&Value, &Value)| {
        a.shape.rank() == b.shape.rank() && a.constant.is_some() == b.constant.is_some()
    };
    (a.nodes.len(), a.values().len()) == (b.nodes.len(), b.values().len())
        && (&a.inputs, &a.outputs) == (&b.inputs, &b.outputs)
        && a.nodes.iter().zip(&b.nodes).all(same_node)
        && a.values().iter().zip(b.values()).all(same_value)
}
