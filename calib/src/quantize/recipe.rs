//! What was chosen for a network, and the network with it.

use ocellus::graph::{Graph, Op, ValueId};
use ocellus::tensor::{Data, Quant, Shape, Tensor};
use ocellus::{Error, Result};
use std::collections::{BTreeMap, HashMap};

/// Int8 weights of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer8 {
    /// Codes and scales.
    pub weights: Tensor,
    /// Bias, one number per output channel; `None`: none.
    pub bias: Option<Vec<f32>>,
}

/// The grids, weights and biases of a quantized network.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// Grid of each value; `None`: the value stays real.
    pub grids: Vec<Option<Quant>>,
    /// Int8 layers, by the place of their node.
    pub layers: BTreeMap<usize, Layer8>,
}

impl Recipe {
    /// The values of `made`, which is this recipe applied to `graph`, that stand for `values` of `graph`, nodes'
    /// results.
    pub fn twins(&self, graph: &Graph, made: &Graph, values: &[ValueId]) -> Vec<ValueId> {
        let real = made.nodes.iter().filter(|node| !matches!(node.op, Op::FakeQuant(_)));
        let twin: HashMap<ValueId, ValueId> =
            graph.nodes.iter().zip(real).map(|(old, new)| (old.output, new.output)).collect();
        values.iter().filter_map(|id| twin.get(id).copied()).collect()
    }

    /// `graph`, which is the network that the recipe is made for or the same one at another size, with its values on
    /// their grids and its layers with the weights of the recipe.
    ///
    /// # Errors
    /// It is another network.
    pub fn apply(&self, graph: &Graph) -> Result<Graph> {
        if self.grids.len() != graph.values().len() {
            return Err(Error::Usage("the recipe is made for another network".to_owned()));
        }
        let mut made = Graph::new();
        let mut map: Vec<Option<ValueId>> = vec![None; graph.values().len()];
        for &id in &graph.inputs {
            let value = graph.value(id);
            let new = made.push_input(value.name.clone(), value.shape.clone())?;
            map[id.index()] = Some(on_grid(&mut made, new, self.grids[id.index()])?);
        }
        for (at, node) in graph.nodes.iter().enumerate() {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for (i, &id) in node.inputs.iter().enumerate() {
                inputs.push(match (map[id.index()], self.layers.get(&at)) {
                    (_, Some(layer)) if i > 0 => parameter(&mut made, &graph.value(id).name, layer, i)?,
                    (Some(known), _) => known,
                    (None, _) => {
                        let value = graph.value(id);
                        let tensor = value.constant.clone().expect("nodes are in topological order");
                        let new = made.push_constant(value.name.clone(), tensor)?;
                        map[id.index()] = Some(new);
                        new
                    }
                });
            }
            // A correction can give a bias to a layer that had none.
            if let (2, Some(layer)) = (inputs.len(), self.layers.get(&at))
                && layer.bias.is_some()
            {
                inputs.push(parameter(&mut made, &format!("{}.bias", node.name), layer, 2)?);
            }
            let name = graph.value(node.output).name.clone();
            let output = made.push(node.name.clone(), node.op.clone(), inputs, name)?;
            map[node.output.index()] = Some(on_grid(&mut made, output, self.grids[node.output.index()])?);
        }
        made.outputs = graph.outputs.iter().filter_map(|id| map[id.index()]).collect();
        Ok(made)
    }
}

fn parameter(made: &mut Graph, name: &str, layer: &Layer8, operand: usize) -> Result<ValueId> {
    let tensor = match (operand, &layer.bias) {
        (1, _) | (_, None) => layer.weights.clone(),
        (_, Some(bias)) => {
            let shape = Shape::new([bias.len()])?;
            Tensor::new(shape, Data::F32(bias.clone())).expect("one extent, as many numbers")
        }
    };
    made.push_constant(name, tensor)
}

fn on_grid(made: &mut Graph, x: ValueId, grid: Option<Quant>) -> Result<ValueId> {
    let Some(grid) = grid else { return Ok(x) };
    let name = format!("{}.grid", made.value(x).name);
    made.push(name.clone(), Op::FakeQuant(grid), vec![x], name)
}
