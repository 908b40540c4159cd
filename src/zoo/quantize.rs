//! The int8 twin of a float network: the same layers on grids that one random picture gives.
//!
//! It serves measurements of speed and tests of consistency. A model that is to be accurate is calibrated on
//! many real pictures instead.

use super::random::Random;
use crate::engine::{Engine, EngineOptions, Input, Precision};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, Op, ValueId};
use crate::passes::moves_only;
use crate::tensor::Quant;

/// `graph` with a grid behind every operator and int8 weights with a scale per output channel. Tensors that
/// are only moved share a grid with what they are made of, so that the network stays int8 up to its heads;
/// what follows the last convolutions stays float.
///
/// `seed` makes the picture, of numbers in 0..1.
///
/// # Errors
/// The float engine does not run the network.
pub fn quantized(graph: &Graph, seed: u64) -> Result<Graph> {
    let ranges = ranges(graph, seed)?;
    let grids = grids(graph, ranges);
    let mut twin = Graph::new();
    let mut map: Vec<Option<ValueId>> = vec![None; graph.values().len()];
    for &id in &graph.inputs {
        let value = graph.value(id);
        let new = twin.push_input(value.name.clone(), value.shape.clone())?;
        map[id.index()] = Some(on_grid(&mut twin, new, grids[id.index()])?);
    }
    for node in &graph.nodes {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (i, &id) in node.inputs.iter().enumerate() {
            let new = match (map[id.index()], graph.constant(id)) {
                (Some(new), _) => new,
                (None, Some(tensor)) => {
                    let name = graph.value(id).name.clone();
                    match is_weights(node, i) {
                        true => twin.push_constant(name, tensor.to_q8())?,
                        false => twin.push_constant(name, tensor.clone())?,
                    }
                }
                (None, None) => return Err(Error::bad_model("a value is read before it is made")),
            };
            inputs.push(new);
        }
        let name = graph.value(node.output).name.clone();
        let output = twin.push(node.name.clone(), node.op.clone(), inputs, name)?;
        // What moves codes keeps their grid; saying so again would only be taken out again.
        let grid = grids[node.output.index()].filter(|_| !moves_only(&node.op));
        map[node.output.index()] = Some(on_grid(&mut twin, output, grid)?);
    }
    twin.outputs = graph.outputs.iter().filter_map(|id| map[id.index()]).collect();
    Ok(twin)
}

fn on_grid(twin: &mut Graph, x: ValueId, grid: Option<Quant>) -> Result<ValueId> {
    let Some(grid) = grid else { return Ok(x) };
    let name = format!("{}.grid", twin.value(x).name);
    twin.push(name.clone(), Op::FakeQuant(grid), vec![x], name)
}

fn is_weights(node: &Node, operand: usize) -> bool {
    operand == 1 && matches!(node.op, Op::Conv { .. } | Op::Linear { .. })
}

/// Smallest and largest number of each value that is not constant, for one random picture.
fn ranges(graph: &Graph, seed: u64) -> Result<Vec<(f32, f32)>> {
    let mut open = graph.clone();
    open.outputs = graph.nodes.iter().map(|node| node.output).collect();
    let options = EngineOptions { precision: Precision::Fp32, raw_heads: false, ..EngineOptions::default() };
    let mut engine = Engine::new(&open, &options)?;
    let mut random = Random::new(seed);
    if let Input::Reals(plane) = engine.input() {
        plane.data.iter_mut().for_each(|x| *x = random.unit());
    }
    engine.run();
    let mut ranges = vec![(0.0, 1.0); graph.values().len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let numbers = engine.output(i).plane.data;
        let extremes =
            numbers.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &x| (lo.min(x), hi.max(x)));
        ranges[node.output.index()] = extremes;
    }
    Ok(ranges)
}

/// A grid for every value that is not constant and does not stay real.
fn grids(graph: &Graph, mut ranges: Vec<(f32, f32)>) -> Vec<Option<Quant>> {
    let mut classes: Vec<usize> = (0..ranges.len()).collect();
    fn root(classes: &[usize], mut v: usize) -> usize {
        while classes[v] != v {
            v = classes[v];
        }
        v
    }
    for node in graph.nodes.iter().filter(|node| moves_only(&node.op)) {
        for &input in &node.inputs {
            let (a, b) = (root(&classes, input.index()), root(&classes, node.output.index()));
            classes[a] = b;
            ranges[b] = (ranges[a].0.min(ranges[b].0), ranges[a].1.max(ranges[b].1));
        }
    }
    let real = stays_real(graph);
    let grid = |v: usize| {
        let (lo, hi) = ranges[root(&classes, v)];
        // A tensor of zeros alone fits any grid.
        Quant::from_range(lo, hi).or(Quant::new(1.0 / 255.0, -128))
    };
    let wanted = |v: usize| !real[v] && graph.values()[v].constant.is_none();
    (0..ranges.len()).map(|v| grid(v).filter(|_| wanted(v))).collect()
}

/// Outputs, and values from which only outputs are made without weights: scores, boxes.
fn stays_real(graph: &Graph) -> Vec<bool> {
    let mut real = vec![true; graph.values().len()];
    for node in graph.nodes.iter().rev() {
        let weighted = matches!(node.op, Op::Conv { .. } | Op::ConvTranspose { .. } | Op::Linear { .. });
        if weighted || !real[node.output.index()] {
            node.inputs.iter().for_each(|id| real[id.index()] = false);
        }
    }
    graph.outputs.iter().for_each(|id| real[id.index()] = true);
    real
}
