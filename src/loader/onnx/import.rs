//! One pass over the nodes of a file: names to values, nodes to operators.

use super::call::{Call, Grid, Known, unsupported};
use super::proto::{ModelProto, NodeProto, ValueInfo};
use super::tensor::{self, Constant, Kind, type_name};
use super::translate;
use super::wire::Message;
use super::wish;
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, ValueId};
use crate::limits::{FOLDED_BYTES_MAX, INPUT_SIDE_MIN};
use crate::loader::LoadOptions;
use crate::tensor::{Data, Shape, Tensor};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Oldest and newest operator set whose operators are known.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=21;
/// Network input where neither the caller nor the file (nor its metadata) says one, `[height, width]`.
const DEFAULT_SIZE: [usize; 2] = [320, 320];

/// Cost of computing one element: to find its sources and to hold it as an integer.
const CELL_BYTES: usize = 16;

/// What computing with constants may still cost, in bytes read and written.
pub struct Budget(usize);

impl Budget {
    /// Pays for a computed constant of so many elements.
    pub fn cells(&mut self, count: usize) -> Result<()> {
        self.spend(count.saturating_mul(CELL_BYTES))
    }

    /// Takes `bytes` off, or refuses.
    pub fn spend(&mut self, bytes: usize) -> Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| {
            let limit = FOLDED_BYTES_MAX >> 20;
            Error::bad_model(format!(
                "arithmetic on constants takes more than {limit} MiB; simplify the model"
            ))
        })?;
        Ok(())
    }
}

/// State of the pass.
pub struct Importer<'a> {
    /// The network so far.
    pub graph: Graph,
    /// What may still be spent on constants.
    pub budget: Budget,
    opset: i64,
    names: HashMap<&'a str, Known>,
    /// Tensors that no node has asked for yet.
    initializers: HashMap<&'a str, Message<'a>>,
    /// Index of the node that makes a name.
    producers: HashMap<&'a str, usize>,
    /// Constants that are values of the graph already.
    pushed: HashMap<*const Tensor, ValueId>,
    /// Names of constants that are made from int8 codes.
    rounded: HashSet<&'a str>,
}

/// Translates a whole model.
pub fn graph(model: &ModelProto<'_>, options: &LoadOptions) -> Result<Graph> {
    let mut importer = Importer::new(model)?;
    let fixed = importer.add_input(model, options)?;
    importer.translate(model).map_err(|e| fixed_size_hint(e, fixed, options))?;
    importer.add_outputs(model)?;
    Ok(importer.graph)
}

/// Says that another size than the file's may be what does not fit.
fn fixed_size_hint(mut error: Error, fixed: Option<[usize; 2]>, options: &LoadOptions) -> Error {
    if let (Error::BadModel { what, .. } | Error::Unsupported { what, .. }, Some([h, w]), Some(size)) =
        (&mut error, fixed, options.size)
        && size != [h, w]
    {
        what.push_str(&format!(
            "; the file was exported for {w}x{h}, and {}x{} may need an export with dynamic axes",
            size[1], size[0]
        ));
    }
    error
}

impl<'a> Importer<'a> {
    fn new(model: &ModelProto<'a>) -> Result<Self> {
        let mut initializers = HashMap::new();
        for &(name, message) in &model.graph.initializers {
            if initializers.insert(name, message).is_some() {
                return Err(message.error(format!("two initializers are named {name:?}")));
            }
        }
        let mut producers = HashMap::new();
        for (index, node) in model.graph.nodes.iter().enumerate() {
            for &name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if producers.insert(name, index).is_some() || initializers.contains_key(name) {
                    return Err(at_node(Error::bad_model(format!("{name:?} is made twice")), node));
                }
            }
        }
        Ok(Importer {
            graph: Graph::new(),
            budget: Budget(FOLDED_BYTES_MAX),
            opset: opset(model)?,
            names: HashMap::new(),
            initializers,
            producers,
            pushed: HashMap::new(),
            rounded: HashSet::new(),
        })
    }

    /// Adds the network's input; returns its height and width if the file fixes them.
    fn add_input(&mut self, model: &ModelProto<'a>, options: &LoadOptions) -> Result<Option<[usize; 2]>> {
        let inputs = model.graph.inputs.iter().filter(|i| !self.initializers.contains_key(i.name));
        let inputs: Vec<_> = inputs.collect();
        let &[input] = inputs.as_slice() else {
            let names: Vec<_> = inputs.iter().take(8).map(|i| i.name).collect();
            return Err(unsupported(format!(
                "one input is expected, the model has {}: {names:?}",
                inputs.len()
            )));
        };
        let at_input = |e: Error| e.at(|p| p.node = Some(format!("input {}", input.name)));
        let (shape, fixed) = input_shape(input, options, &model.metadata).map_err(at_input)?;
        if self.producers.contains_key(input.name) {
            return Err(at_input(Error::bad_model("a node makes the network's input")));
        }
        let id = self.graph.push_input(input.name, shape)?;
        self.names.insert(input.name, Known::Real(id));
        Ok(fixed)
    }

    fn translate(&mut self, model: &ModelProto<'a>) -> Result<()> {
        let live = self.live(model);
        for (node, _) in model.graph.nodes.iter().zip(live).filter(|(_, live)| *live) {
            self.translate_node(node).map_err(|e| at_node(e, node))?;
        }
        Ok(())
    }

    /// Which nodes the outputs depend on.
    fn live(&self, model: &ModelProto<'a>) -> Vec<bool> {
        let mut live = vec![false; model.graph.nodes.len()];
        let mut wanted: Vec<&str> = model.graph.outputs.clone();
        while let Some(name) = wanted.pop() {
            if let Some(&index) = self.producers.get(name)
                && !std::mem::replace(&mut live[index], true)
            {
                wanted.extend(&model.graph.nodes[index].inputs);
            }
        }
        live
    }

    fn translate_node(&mut self, node: &NodeProto<'a>) -> Result<()> {
        let inputs = node.inputs.iter().map(|name| self.lookup(name)).collect::<Result<Vec<_>>>()?;
        let call = Call { node, opset: self.opset, inputs };
        let results = translate::node(self, &call)?;
        let rounded =
            node.op_type == "DequantizeLinear" || node.inputs.iter().any(|name| self.rounded.contains(name));
        for (&name, known) in node.outputs.iter().zip(results) {
            if rounded && known.constant().is_some() {
                self.rounded.insert(name);
            }
            self.names.insert(name, known);
        }
        Ok(())
    }

    /// What a name stands for; `None` for the empty name of an omitted operand.
    fn lookup(&mut self, name: &'a str) -> Result<Option<Known>> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.names.get(name) {
            return Ok(Some(known.clone()));
        }
        if let Some(message) = self.initializers.get(name) {
            let named = |e: Error| e.at(|p| p.node = Some(format!("initializer {name}")));
            let known = Known::Constant(self.read_tensor(*message).map_err(named)?);
            // Weights are read once, by the node that dequantizes them: kept, they would be there twice.
            if !matches!(&known, Known::Constant(Constant::Codes(_))) {
                self.names.insert(name, known.clone());
            }
            return Ok(Some(known));
        }
        Err(match self.producers.contains_key(name) {
            true => Error::bad_model(format!(
                "cyclic or unsorted graph: {name:?} is used before the node that makes it, or that node \
                 does not make it under this operator set"
            )),
            false => Error::bad_model(format!("nothing makes the operand {name:?}")),
        })
    }

    /// Decodes a tensor. What grows by being decoded (integers of few bits) is paid for.
    pub fn read_tensor(&mut self, message: Message<'_>) -> Result<Constant> {
        let constant = tensor::read(message)?;
        if !matches!(constant, Constant::Tensor(Kind::Real, _)) {
            self.budget.spend(constant.bytes())?;
        }
        Ok(constant)
    }

    fn add_outputs(&mut self, model: &ModelProto<'a>) -> Result<()> {
        if model.graph.outputs.is_empty() {
            return Err(Error::bad_model("the graph has no outputs"));
        }
        for &name in &model.graph.outputs {
            let at_output = |e: Error| e.at(|p| p.node = Some(format!("output {name}")));
            match self.lookup(name).map_err(at_output)? {
                Some(Known::Real(id)) => {
                    if !self.graph.outputs.contains(&id) && !self.graph.inputs.contains(&id) {
                        self.graph.rename(id, name);
                    }
                    self.graph.outputs.push(id);
                }
                Some(Known::Codes(..)) => {
                    return Err(at_output(unsupported("the output is quantized; end with DequantizeLinear")));
                }
                _ => return Err(at_output(unsupported("the output does not depend on the input"))),
            }
        }
        Ok(())
    }

    /// Operand `i` as a value of real numbers; constants become values of the graph.
    pub fn value(&mut self, call: &Call, i: usize) -> Result<ValueId> {
        match call.input(i)? {
            Known::Real(id) => Ok(*id),
            Known::Codes(..) => Err(unsupported(format!(
                "{} of quantized codes; a model in QDQ format dequantizes them first",
                call.op()
            ))),
            Known::Constant(constant) => {
                let reals = self.reals(constant)?;
                self.push_constant(call.node.inputs[i], reals)
            }
        }
    }

    /// Operand `i` of an operator that moves elements without looking at them: reals or codes.
    pub fn data(&mut self, call: &Call, i: usize) -> Result<(ValueId, Option<Grid>)> {
        match call.input(i)? {
            Known::Codes(id, grid) => Ok((*id, Some(*grid))),
            _ => Ok((self.value(call, i)?, None)),
        }
    }

    /// A constant as plain `f32`.
    pub fn reals(&mut self, constant: &Constant) -> Result<Arc<Tensor>> {
        match constant {
            Constant::Tensor(_, tensor) => match tensor.data() {
                Data::F32(_) => Ok(tensor.clone()),
                _ => {
                    self.budget.spend(tensor.shape().elements() * 4)?;
                    let reals = Constant::reals(tensor.shape().clone(), tensor.to_f32())?;
                    self.reals(&reals)
                }
            },
            Constant::Codes(_) => {
                Err(unsupported("an int8 or uint8 constant that no DequantizeLinear gives a scale"))
            }
        }
    }

    /// Whether a constant is a value of the graph.
    pub fn is_pushed(&self, tensor: &Arc<Tensor>) -> bool {
        self.pushed.contains_key(&Arc::as_ptr(tensor))
    }

    /// Adds the weights of a layer to the graph. What the file keeps as codes is multiplied in int8, even if its
    /// zero points or its axis do not fit the graph's int8 weights: then it is rounded once more.
    pub fn push_weights(&mut self, name: &str, tensor: Arc<Tensor>) -> Result<ValueId> {
        let again = self.rounded.contains(name) && matches!(tensor.data(), Data::F32(_));
        if again {
            self.budget.spend(tensor.shape().elements())?;
        }
        self.push_constant(name, if again { Arc::new(tensor.to_q8()) } else { tensor })
    }

    /// Adds a constant to the graph, once.
    pub fn push_constant(&mut self, name: &str, tensor: Arc<Tensor>) -> Result<ValueId> {
        let key = Arc::as_ptr(&tensor);
        if let Some(&id) = self.pushed.get(&key) {
            return Ok(id);
        }
        let id = self.graph.push_constant(name, tensor)?;
        self.pushed.insert(key, id);
        Ok(id)
    }

    /// Adds the node's operator; its result is named as in the file.
    pub fn push(&mut self, call: &Call, op: Op, inputs: Vec<ValueId>) -> Result<ValueId> {
        self.push_named(call, op, inputs, call.node.display_name().into(), call.output().into())
    }

    /// Adds one of several operators that the node becomes.
    pub fn push_part(&mut self, call: &Call, part: &str, op: Op, inputs: Vec<ValueId>) -> Result<ValueId> {
        let named = |name: &str| format!("{name}/{part}");
        self.push_named(call, op, inputs, named(call.node.display_name()), named(call.output()))
    }

    /// Adds the operator that makes output `i` of a node with several.
    pub fn push_output(&mut self, call: &Call, i: usize, op: Op, inputs: Vec<ValueId>) -> Result<ValueId> {
        let output = call.node.outputs[i];
        self.push_named(call, op, inputs, call.node.display_name().into(), output.into())
    }

    fn push_named(
        &mut self,
        call: &Call,
        op: Op,
        inputs: Vec<ValueId>,
        name: String,
        output: String,
    ) -> Result<ValueId> {
        let mut pushed = self.graph.push(name, op, inputs, output);
        if let Err(Error::BadModel { place, .. } | Error::Unsupported { place, .. }) = &mut pushed {
            // The graph knows the name only.
            place.node = Some(call.node.label());
        }
        pushed
    }
}

/// Fills in which node failed, where nothing nearer to the cause is known.
fn at_node(error: Error, node: &NodeProto<'_>) -> Error {
    error.at(|place| {
        place.node = Some(node.label());
        place.byte = Some(node.byte);
    })
}

fn opset(model: &ModelProto<'_>) -> Result<i64> {
    let onnx = model.opsets.iter().find(|(domain, _)| matches!(*domain, "" | "ai.onnx"));
    match onnx {
        Some((_, version)) if OPSETS.contains(version) => Ok(*version),
        Some((_, version)) => Err(unsupported(format!(
            "operator set {version}; {} to {} are known, export with one of them",
            OPSETS.start(),
            OPSETS.end()
        ))),
        None => Err(Error::bad_model("the file does not say which operator set it uses; truncated?")),
    }
}

/// Concrete shape of the input, and its height and width if the file fixes them.
fn input_shape(
    input: &ValueInfo<'_>,
    options: &LoadOptions,
    metadata: &[(String, String)],
) -> Result<(Shape, Option<[usize; 2]>)> {
    if !matches!(input.data_type, 0 | 1 | 10 | 11 | 16) {
        let what = format!("an input of {}; export with a float input", type_name(input.data_type));
        return Err(unsupported(what));
    }
    let dims = input.dims.clone().unwrap_or_else(|| vec![None; 4]);
    let &[n, c, h, w] = dims.as_slice() else {
        return Err(unsupported(format!("an input of rank {}; an image [N,C,H,W] is expected", dims.len())));
    };
    if let Some(bad) = dims.iter().flatten().find(|&&d| d < -1) {
        return Err(Error::bad_model(format!("dimension {bad} of the input")));
    }
    // Exporters also write 0 or -1 for a dynamic dimension.
    let [n, c, h, w] = [n, c, h, w].map(|d| d.filter(|&d| d > 0));
    if let Some(n) = n.filter(|&n| n != 1) {
        let what = format!("the batch is fixed to {n}; export with batch 1 or a dynamic batch");
        return Err(unsupported(what));
    }
    let channels_last = matches!(w, Some(1 | 3 | 4)) && c.is_none_or(|c| c >= INPUT_SIDE_MIN as i64);
    if channels_last {
        return Err(unsupported("the input looks like [N,H,W,C]; export the model in channels-first order"));
    }
    let side = |d: Option<i64>| d.map(|d| usize::try_from(d).expect("positive"));
    let fixed = side(h).zip(side(w)).map(|(h, w)| [h, w]);
    let [height, width] = match options.size.or(fixed) {
        Some(size) => size,
        None => {
            let [height, width] = wish::size(metadata)?.unwrap_or(DEFAULT_SIZE);
            [side(h).unwrap_or(height), side(w).unwrap_or(width)]
        }
    };
    if height == 0 || width == 0 {
        return Err(Error::Usage("the input size must not be zero".into()));
    }
    Ok((Shape::new([1, side(c).unwrap_or(3), height, width])?, fixed))
}
