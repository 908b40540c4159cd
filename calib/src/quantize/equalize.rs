//! Cross-layer equalization: channels of a tensor that reach less far than others get more of its codes.
//!
//! A channel may be multiplied by any positive factor if whoever reads it divides its weights by it: the network
//! computes the same (Nagel, van Baalen, Blankevoort, Welling: Data-free quantization through weight equalization
//! and bias correction, 2019). Here a channel is followed through everything that only moves channels (shuffles,
//! slices, concats, pooling, resizing) to all its readers, so that the stages of a ShuffleNet are equalized as one.

use super::recipe::{Layer8, Recipe};
use crate::runtime::network::{Weighted, weighted};
use crate::table::patches::Sample;
use ocellus::graph::{Graph, Node, Op, Unary, ValueId};
use ocellus::tensor::{Data, Tensor};
use std::collections::BTreeMap;

/// Factors keep within this and its inverse: weights of a row must not differ by more than their codes can.
const FACTOR_MAX: f64 = 16.0;

/// The recipe (of float layers) that equalizes the channels of `graph`, by how far they reach in the first of
/// `samples`; the samples become those of the new graph.
pub fn equalize(graph: &Graph, samples: &mut [Sample]) -> Recipe {
    let channels = Channels::of(graph);
    let mut recipe = Recipe { grids: vec![None; graph.values().len()], layers: BTreeMap::new() };
    let Some(first) = samples.first() else { return recipe };
    let factors = factors(graph, &channels, first);
    for layer in weighted(graph) {
        let (Some(reads), Some(makes)) = (channels.of_layer(&layer, 0), channels.of_layer(&layer, 1)) else {
            continue;
        };
        recipe.layers.insert(layer.at, scaled(graph, &layer, reads, makes, &factors));
        for patches in samples.iter_mut().filter_map(|sample| sample.get_mut(&layer.at)) {
            let taps = (patches.width / reads.len().max(1)).max(1);
            for row in patches.numbers.chunks_mut(patches.width.max(1)) {
                row.iter_mut().enumerate().for_each(|(i, x)| *x *= factors[reads[i / taps]] as f32);
            }
        }
    }
    recipe
}

/// Which channel each channel of each value is, and which channels may be scaled.
struct Channels {
    /// Per value; empty where it is no image.
    ids: Vec<Vec<usize>>,
    /// Per channel.
    free: Vec<bool>,
}

impl Channels {
    fn of(graph: &Graph) -> Self {
        let mut channels = Channels { ids: vec![Vec::new(); graph.values().len()], free: Vec::new() };
        for &id in &graph.inputs {
            channels.add(graph, id, false);
        }
        for node in &graph.nodes {
            match channels.passed_on(node) {
                Some(ids) if ids.len() == channel_count(graph, node.output) => {
                    channels.ids[node.output.index()] = ids;
                }
                _ => {
                    let conv = matches!(node.op, Op::Conv { activation, .. } if homogeneous(activation));
                    channels.add(graph, node.output, conv && graph.constant(node.inputs[0]).is_none());
                    // A convolution divides its weights; anything else has to see what the file said.
                    let read =
                        if matches!(node.op, Op::Conv { .. }) { &node.inputs[1..] } else { &node.inputs[..] };
                    read.iter().for_each(|&id| channels.fix(id));
                }
            }
        }
        graph.outputs.iter().for_each(|&id| channels.fix(id));
        channels
    }

    fn add(&mut self, graph: &Graph, id: ValueId, free: bool) {
        let first = self.free.len();
        let count = channel_count(graph, id);
        self.free.resize(first + count, free);
        self.ids[id.index()] = (first..first + count).collect();
    }

    fn fix(&mut self, id: ValueId) {
        for &channel in &self.ids[id.index()] {
            self.free[channel] = false;
        }
    }

    /// The channels of a node's result, where they are those of its operands.
    fn passed_on(&self, node: &Node) -> Option<Vec<usize>> {
        let of = |id: &ValueId| &self.ids[id.index()];
        match &node.op {
            Op::Concat { axis: 1 } => Some(node.inputs.iter().flat_map(of).copied().collect()),
            Op::Gather { axis: 1, indices } => {
                indices.iter().map(|&i| of(&node.inputs[0]).get(i).copied()).collect()
            }
            Op::Pool { .. } | Op::AdaptivePool { .. } | Op::Resize { .. } => {
                Some(of(&node.inputs[0]).clone())
            }
            Op::Unary(unary) if homogeneous(Some(*unary)) => Some(of(&node.inputs[0]).clone()),
            _ => None,
        }
    }

    /// Channels that a convolution reads (`end` 0) or makes (1).
    fn of_layer(&self, layer: &Weighted, end: usize) -> Option<&[usize]> {
        let id = if end == 0 { layer.node.inputs[0] } else { layer.node.output };
        let conv = matches!(layer.node.op, Op::Conv { .. });
        Some(self.ids[id.index()].as_slice()).filter(|ids| conv && !ids.is_empty())
    }
}

fn channel_count(graph: &Graph, id: ValueId) -> usize {
    graph.shape(id).nchw().map_or(0, |[_, channels, _, _]| channels)
}

/// Whether `f(s·x) = s·f(x)` for positive `s`.
fn homogeneous(activation: Option<Unary>) -> bool {
    matches!(activation, None | Some(Unary::Relu | Unary::LeakyRelu { .. }))
}

/// What every channel is multiplied by. Between how far a channel reaches and how large the weights are that read
/// it the factor mediates; depthwise weights have a scale per channel and need no regard.
fn factors(graph: &Graph, channels: &Channels, patches: &Sample) -> Vec<f64> {
    let count = channels.free.len();
    let (mut reach, mut weight) = (vec![0f64; count], vec![0f64; count]);
    for layer in weighted(graph) {
        let (Some(reads), Some(patches)) = (channels.of_layer(&layer, 0), patches.get(&layer.at)) else {
            continue;
        };
        let taps = (patches.width / reads.len().max(1)).max(1);
        for row in patches.rows() {
            for (i, x) in row.iter().enumerate() {
                let most = &mut reach[reads[i / taps]];
                *most = most.max(f64::from(x.abs()));
            }
        }
        if layer.groups == 1 {
            largest_of_columns(layer.weights, reads, &mut weight);
        }
    }
    let wanted = |c: usize| match (channels.free[c] && reach[c] > 0.0, weight[c] > 0.0) {
        (false, _) => None,
        (true, true) => Some((weight[c] / reach[c]).sqrt()),
        (true, false) => Some(1.0 / reach[c]),
    };
    normalized(graph, channels, (0..count).map(wanted).collect())
}

/// Raises `most` of each channel to its largest weight, in parts of the largest of each row.
fn largest_of_columns(weights: &Tensor, reads: &[usize], most: &mut [f64]) {
    let values = weights.to_f32();
    let width = values.len() / weights.shape()[0].max(1);
    let taps = (width / reads.len().max(1)).max(1);
    for row in values.chunks(width.max(1)) {
        let largest = row.iter().fold(0f32, |most, w| most.max(w.abs()));
        if largest > 0.0 {
            for (i, w) in row.iter().enumerate() {
                let most = &mut most[reads[i / taps]];
                *most = most.max(f64::from(w.abs() / largest));
            }
        }
    }
}

/// Factors with the geometric mean 1 over the channels that one convolution makes, within bounds.
fn normalized(graph: &Graph, channels: &Channels, wanted: Vec<Option<f64>>) -> Vec<f64> {
    let mut factors = vec![1.0; wanted.len()];
    for layer in weighted(graph) {
        let Some(makes) = channels.of_layer(&layer, 1) else { continue };
        let logs: Vec<f64> = makes.iter().filter_map(|&c| wanted[c]).map(f64::ln).collect();
        let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
        for &c in makes {
            if let Some(factor) = wanted[c] {
                factors[c] = (factor.ln() - mean).exp().clamp(1.0 / FACTOR_MAX, FACTOR_MAX);
            }
        }
    }
    factors
}

/// The float layer that makes and reads scaled channels.
fn scaled(graph: &Graph, layer: &Weighted, reads: &[usize], makes: &[usize], factors: &[f64]) -> Layer8 {
    let mut values = layer.weights.to_f32();
    let shape = layer.weights.shape();
    let (outputs, inputs) = (shape[0], shape[1]);
    let width = values.len() / outputs.max(1);
    let taps = (width / inputs.max(1)).max(1);
    for (o, row) in values.chunks_mut(width.max(1)).enumerate() {
        let first = o * layer.groups / outputs * inputs;
        for (i, w) in row.iter_mut().enumerate() {
            *w = (f64::from(*w) * factors[makes[o]] / factors[reads[first + i / taps]]) as f32;
        }
    }
    let bias = layer.node.inputs.get(2).and_then(|&id| graph.constant(id)).map(|bias| {
        let scaled = |(b, &c): (f32, &usize)| (f64::from(b) * factors[c]) as f32;
        bias.to_f32().into_iter().zip(makes).map(scaled).collect()
    });
    let weights = Tensor::new(shape.clone(), Data::F32(values)).expect("as many weights as before");
    Layer8 { weights, bias }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::activations::Observer;
    use crate::runtime::network::Network;
    use crate::table::patches;
    use ocellus::graph::WindowAttrs;
    use ocellus::image::Preprocess;
    use ocellus::loader::Model;
    use ocellus::tensor::Shape;
    use std::path::PathBuf;

    /// Numbers from −1 to 1 that look random.
    fn random(state: &mut u64) -> f32 {
        (crate::random::next_random(state) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A network that grows; the channels of its layers reach very differently far.
    struct Draft {
        graph: Graph,
        state: u64,
    }

    impl Draft {
        fn new() -> (Self, ValueId) {
            let mut graph = Graph::new();
            let input = graph.push_input("input", Shape::new([1, 3, 12, 12]).unwrap()).unwrap();
            (Draft { graph, state: 11 }, input)
        }

        fn conv(
            &mut self,
            name: &str,
            x: ValueId,
            outputs: usize,
            groups: usize,
            activation: Option<Unary>,
        ) -> ValueId {
            let inputs = self.graph.shape(x)[1] / groups;
            let side = if groups > 1 { 3 } else { 1 };
            let row = inputs * side * side;
            let reach: Vec<f32> = (0..outputs).map(|o| [0.05, 3.0, 0.4, 1.0][o % 4]).collect();
            let mut number = |i: usize, row: usize| random(&mut self.state) * reach[i / row];
            let weights = (0..outputs * row).map(|i| number(i, row)).collect();
            let bias = (0..outputs).map(|i| 0.1 * number(i, 1)).collect();
            let shape = Shape::new([outputs, inputs, side, side]).unwrap();
            let weights = Tensor::new(shape, Data::F32(weights)).unwrap();
            let bias = Tensor::new(Shape::new([outputs]).unwrap(), Data::F32(bias)).unwrap();
            let weights = self.graph.push_constant(format!("{name}.w"), weights).unwrap();
            let bias = self.graph.push_constant(format!("{name}.b"), bias).unwrap();
            let window =
                WindowAttrs { kernel: [side; 2], stride: [1; 2], dilation: [1; 2], pad: [side / 2; 4] };
            let op = Op::Conv { window, groups, activation };
            self.graph.push(name, op, vec![x, weights, bias], name).unwrap()
        }

        fn finished(mut self, output: ValueId) -> Network {
            self.graph.outputs = vec![output];
            let model = Model { graph: self.graph, metadata: Vec::new() };
            Network { model, preprocess: Preprocess::default() }
        }
    }

    /// Pictures of noise in a folder of `test`.
    fn pictures(test: &str) -> (PathBuf, Vec<PathBuf>) {
        let folder = std::env::temp_dir().join(format!("calib-equalize-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut state = 1;
        let made = (0..3).map(|i| {
            let path = folder.join(format!("{i}.png"));
            let mut byte = || (127.5 * (1.0 + random(&mut state))) as u8;
            image::RgbImage::from_fn(12, 12, |_, _| image::Rgb([byte(), byte(), byte()]))
                .save(&path)
                .unwrap();
            path
        });
        let made = made.collect();
        (folder, made)
    }

    /// All numbers of a value over the pictures, pixel by pixel; and its channels.
    fn numbers(network: &Network, graph: &Graph, id: ValueId, pictures: &[PathBuf]) -> (Vec<f32>, usize) {
        let mut observer = Observer::new(graph, &network.preprocess, &[id]).unwrap();
        let mut numbers = Vec::new();
        for picture in pictures {
            observer.look(picture).unwrap();
            numbers.extend(observer.numbers(0).flatten().copied());
        }
        (numbers, observer.channels(0))
    }

    /// The largest reach of a channel, in parts of the smallest.
    fn unevenness((numbers, channels): (Vec<f32>, usize)) -> f32 {
        let mut reach = vec![0f32; channels];
        numbers.iter().enumerate().for_each(|(i, x)| reach[i % channels] = reach[i % channels].max(x.abs()));
        reach.retain(|x| *x > 0.0);
        assert!(reach.len() > 1);
        reach.iter().fold(0f32, |a, b| a.max(*b)) / reach.iter().fold(f32::INFINITY, |a, b| a.min(*b))
    }

    /// Equalizes `network`: its outputs stay, the channels of `evened` reach more evenly, and the samples are what
    /// one would take of the new network.
    fn assert_equalized(test: &str, network: &Network, evened: &[&str]) {
        let (folder, pictures) = pictures(test);
        let mut samples = patches::samples(network, &pictures, 1, || ()).unwrap();
        let graph = network.graph();
        let made = equalize(graph, &mut samples).apply(graph).unwrap();
        let before = numbers(network, graph, graph.outputs[0], &pictures).0;
        let after = numbers(network, &made, made.outputs[0], &pictures).0;
        assert_eq!(before.len(), after.len());
        let most = before.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert!(most > 0.0);
        for (a, b) in before.iter().zip(&after) {
            assert!((a - b).abs() <= 1e-5 * most, "{a}, {b} of {most}");
        }
        for name in evened {
            let of = |graph: &Graph| {
                let id = graph.nodes.iter().find(|node| node.name == *name).unwrap().output;
                unevenness(numbers(network, graph, id, &pictures))
            };
            assert!(of(&made) < 0.5 * of(graph), "{name}: {}, {}", of(graph), of(&made));
        }
        let new = Network { model: Model { graph: made, metadata: Vec::new() }, ..network.clone() };
        let expected = patches::samples(&new, &pictures, 1, || ()).unwrap();
        for (found, expected) in samples.iter().zip(&expected) {
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            for (a, b) in found.values().zip(expected.values()) {
                let most = b.numbers.iter().fold(0f32, |most, x| most.max(x.abs()));
                assert_eq!((a.width, a.numbers.len()), (b.width, b.numbers.len()));
                assert!(a.numbers.iter().zip(&b.numbers).all(|(x, y)| (x - y).abs() <= 1e-5 * most));
            }
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_depthwise_layer_is_passed_through() {
        let (mut draft, input) = Draft::new();
        let a = draft.conv("a", input, 8, 1, Some(Unary::Relu));
        let b = draft.conv("b", a, 8, 8, Some(Unary::LeakyRelu { slope: 0.1 }));
        let c = draft.conv("c", b, 4, 1, None);
        assert_equalized("depthwise", &draft.finished(c), &["a", "b"]);
    }

    /// Half of the channels pass the second stage by, as in ShuffleNet; one channel is read as two.
    #[test]
    fn channels_are_followed_through_concat_and_shuffle() {
        let (mut draft, input) = Draft::new();
        let a = draft.conv("a", input, 8, 1, Some(Unary::Relu));
        let b = draft.conv("b", a, 8, 1, Some(Unary::Relu));
        let joined = draft.graph.push("joined", Op::Concat { axis: 1 }, vec![a, b], "joined").unwrap();
        let indices = (0..8).flat_map(|i| [i, i + 8]).collect();
        let shuffle = Op::Gather { axis: 1, indices };
        let shuffled = draft.graph.push("shuffled", shuffle, vec![joined], "shuffled").unwrap();
        let half = Op::Gather { axis: 1, indices: (4..12).collect() };
        let half = draft.graph.push("half", half, vec![shuffled], "half").unwrap();
        let c = draft.conv("c", half, 8, 8, None);
        let all = draft.graph.push("all", Op::Concat { axis: 1 }, vec![shuffled, c], "all").unwrap();
        let d = draft.conv("d", all, 4, 1, None);
        assert_equalized("shuffle", &draft.finished(d), &["a", "b", "c"]);
    }

    /// What is a result, or goes through a function that is not homogeneous, keeps its channels.
    #[test]
    fn channels_that_others_see_stay() {
        let (mut draft, input) = Draft::new();
        let a = draft.conv("a", input, 8, 1, Some(Unary::Sigmoid));
        let b = draft.conv("b", a, 8, 1, None);
        let c = draft.graph.push("c", Op::Unary(Unary::Silu), vec![b], "c").unwrap();
        let d = draft.conv("d", c, 4, 1, None);
        let network = draft.finished(d);
        let (folder, pictures) = pictures("fixed");
        let mut samples = patches::samples(&network, &pictures, 1, || ()).unwrap();
        let made = equalize(network.graph(), &mut samples).apply(network.graph()).unwrap();
        for (old, new) in weighted(network.graph()).zip(weighted(&made)) {
            assert_eq!(old.weights, new.weights, "{}", old.node.name);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
