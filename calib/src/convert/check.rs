//! Two graphs side by side: every tensor that both have by name, and all outputs.

use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use ocellus::graph::{Graph, ValueId};
use ocellus::image::{Frame, Preprocess, decode};
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// Outputs that differ more, as a share of their largest magnitude, are an error. Other orders of summation
/// differ by some 1e-6.
const DIFFERENCE_MAX: f32 = 1e-3;
/// As [`DIFFERENCE_MAX`], of half-precision weights: each is wrong by up to 5e-4.
const DIFFERENCE_MAX_HALF: f32 = 2e-2;

/// How far a tensor differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its name in both files.
    pub name: String,
    /// Largest difference over largest magnitude, both over all pictures; infinite where a number is none.
    pub difference: f32,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Pictures looked at; 0: one of noise.
    pub pictures: usize,
    /// Every tensor that both files have.
    pub layers: Vec<Difference>,
    /// The outputs among them.
    pub outputs: Vec<Difference>,
}

impl Check {
    /// Refuses outputs that differ.
    ///
    /// # Errors
    /// One does; the message names it, and the first layer that differs as much.
    pub fn accept(&self, half: bool) -> Result<()> {
        let most = if half { DIFFERENCE_MAX_HALF } else { DIFFERENCE_MAX };
        // What is no number must not pass.
        let beyond = |d: &&Difference| d.difference.is_nan() || d.difference > most;
        let Some(output) = self.outputs.iter().find(beyond) else { return Ok(()) };
        let first = self.layers.iter().find(beyond).map_or("", |layer| &layer.name);
        Err(Error::Runtime(ocellus::Error::bad_model(format!(
            "output {:?} of the new file differs by {:.1e} of its range, more than {most:.0e}; the first tensor \
             that differs is {first:?}; nothing was written",
            output.name, output.difference
        ))))
    }

    /// The `count` tensors that differ most, of those that differ.
    pub fn worst(&self, count: usize) -> Vec<&Difference> {
        let mut layers: Vec<&Difference> = self.layers.iter().filter(|d| d.difference != 0.0).collect();
        layers.sort_by(|a, b| b.difference.total_cmp(&a.difference));
        layers.truncate(count);
        layers
    }
}

/// Runs the input and what was read back over `pictures`. The input is `original`, as its file says; where an
/// output has no name in that, `simple`, from which the file was written.
///
/// # Errors
/// A picture cannot be read, a network does not run, or an output of one is none of the other.
pub fn compare(
    [original, simple]: [&Graph; 2],
    written: &Graph,
    preprocess: &Preprocess,
    pictures: &[PathBuf],
) -> Result<Check> {
    let known = |graph: &Graph| {
        let tensors = tensors(graph);
        simple.outputs.iter().all(|&id| tensors.contains_key(simple.value(id).name.as_str()))
    };
    let input = if known(original) { original } else { simple };
    let pairs = pairs(input, simple, written)?;
    let [a, b]: [Vec<ValueId>; 2] =
        [pairs.iter().map(|pair| pair.1).collect(), pairs.iter().map(|pair| pair.2).collect()];
    let mut observers = [Observer::new(input, preprocess, &a)?, Observer::new(written, preprocess, &b)?];
    let mut spans = vec![Span::default(); pairs.len()];
    let noise = if pictures.is_empty() { Some(noise(observers[0].input_size())?) } else { None };
    for frame in pictures.iter().map(decode).chain(noise.map(Ok)) {
        let frame = frame?;
        for observer in &mut observers {
            observer.look_at(&frame)?;
        }
        for (i, span) in spans.iter_mut().enumerate() {
            let [a, b] = &observers;
            span.add(a.numbers(i).flatten(), b.numbers(i).flatten());
        }
    }
    let row = |((name, ..), span): (&(&str, _, _), &Span)| Difference {
        name: (*name).to_owned(),
        difference: span.relative(),
    };
    let layers: Vec<Difference> = pairs.iter().zip(&spans).map(row).collect();
    let of_output = |&id: &ValueId| layers.iter().find(|layer| layer.name == simple.value(id).name).cloned();
    let outputs = simple.outputs.iter().filter_map(of_output).collect();
    Ok(Check { pictures: pictures.len(), layers, outputs })
}

/// The tensors that `input` and `written` have by name, the outputs of `simple` among them.
fn pairs<'a>(input: &'a Graph, simple: &Graph, written: &Graph) -> Result<Vec<(&'a str, ValueId, ValueId)>> {
    let (here, there) = (tensors(input), tensors(written));
    let mut pairs = Vec::new();
    for node in &input.nodes {
        let name = input.value(node.output).name.as_str();
        let (Some(&a), Some(&b)) = (here.get(name), there.get(name)) else { continue };
        if input.shape(a) == written.shape(b) {
            pairs.push((name, a, b));
        }
    }
    for &id in &simple.outputs {
        let name = &simple.value(id).name;
        let output = written.outputs.iter().any(|&id| written.value(id).name == *name);
        if !output || !pairs.iter().any(|(pair, ..)| pair == name) {
            let what = format!("output {name:?} is not an output of that shape in the new file");
            return Err(Error::Runtime(ocellus::Error::bad_model(what)));
        }
    }
    Ok(pairs)
}

/// Results of nodes by name, where the name is one's alone.
fn tensors(graph: &Graph) -> HashMap<&str, ValueId> {
    let mut found: HashMap<&str, Option<ValueId>> = HashMap::new();
    for node in &graph.nodes {
        let name = graph.value(node.output).name.as_str();
        found.entry(name).and_modify(|id| *id = None).or_insert(Some(node.output));
    }
    found.into_iter().filter_map(|(name, id)| Some((name, id?))).collect()
}

/// The same noise on every machine, of the network's size: a resize would make it grey.
fn noise([height, width]: [usize; 2]) -> Result<Frame> {
    let mut state = 0;
    let mut byte = || (crate::random::next_random(&mut state) >> 56) as u8;
    let rgb = (0..3 * height * width).map(|_| byte()).collect();
    Frame::new(width, height, rgb).ok_or_else(|| Error::Usage("the network's input has no pixels".to_owned()))
}

/// How far one tensor reached, and how far it differed.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    magnitude: f32,
    difference: f32,
}

impl Span {
    fn add<'a>(&mut self, mut a: impl Iterator<Item = &'a f32>, mut b: impl Iterator<Item = &'a f32>) {
        loop {
            let (x, y) = match (a.next(), b.next()) {
                (Some(x), Some(y)) => (*x, *y),
                (None, None) => break,
                _ => (f32::NAN, f32::NAN),
            };
            // `max` would pass over what is no number.
            let difference = if x == y { 0.0 } else { (x - y).abs() };
            if !difference.is_finite() {
                self.difference = f32::INFINITY;
                break;
            }
            self.magnitude = self.magnitude.max(x.abs());
            self.difference = self.difference.max(difference);
        }
    }

    fn relative(&self) -> f32 {
        match self.difference == 0.0 {
            true => 0.0,
            false => self.difference / self.magnitude,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocellus::graph::{Op, Unary};
    use ocellus::tensor::Shape;

    fn graph(function: Unary, output: &str) -> Graph {
        let mut graph = Graph::new();
        let x = graph.push_input("x", Shape::new([1, 3, 8, 8]).unwrap()).unwrap();
        let y = graph.push("f", Op::Unary(function), vec![x], "y").unwrap();
        let z = graph.push("g", Op::Unary(Unary::Relu), vec![y], output).unwrap();
        graph.outputs = vec![z];
        graph
    }

    #[test]
    fn another_function_and_another_output_are_refused() {
        let (input, usual) = (graph(Unary::Sigmoid, "z"), Preprocess::default());
        let same = compare([&input; 2], &input, &usual, &[]).unwrap();
        assert_eq!((same.pictures, same.layers.len(), same.outputs.len()), (0, 2, 1));
        assert_eq!(same.outputs[0], Difference { name: "z".to_owned(), difference: 0.0 });
        same.accept(false).unwrap();
        // Of 0..=1 the sigmoid makes 0.5..=0.731; near 0, which noise has, they differ by 0.5.
        let check = compare([&input; 2], &graph(Unary::Relu, "z"), &usual, &[]).unwrap();
        let difference = check.outputs[0].difference;
        assert!((0.6..=0.69).contains(&difference), "{difference}");
        let error = check.accept(true).unwrap_err().to_string();
        assert!(
            error.contains("output \"z\"") && error.contains("the first tensor that differs is \"y\""),
            "{error}"
        );
        let error = compare([&input; 2], &graph(Unary::Sigmoid, "w"), &usual, &[]).unwrap_err().to_string();
        assert!(error.contains("output \"z\" is not an output"), "{error}");
    }

    #[test]
    fn what_is_no_number_differs_without_end() {
        let relative = |a: &[f32], b: &[f32]| {
            let mut span = Span::default();
            span.add(a.iter(), b.iter());
            span.add([2.0].iter(), [2.0].iter());
            span.relative()
        };
        assert_eq!(relative(&[1.0, -4.0], &[1.5, -4.0]), 0.125);
        assert_eq!(relative(&[0.0], &[-0.0]), 0.0);
        for (a, b) in [([1.0].as_slice(), [f32::NAN].as_slice()), (&[f32::NAN], &[f32::NAN]), (&[1.0], &[])] {
            assert_eq!(relative(a, b), f32::INFINITY);
        }
    }
}
