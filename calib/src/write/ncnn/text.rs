//! The last step: one reader and one name for each blob, and the layers as text.

use super::NcnnFiles;
use super::layer::{Blob, Layer, Network, Params, Step, Value};
use super::names::Names;
use crate::error::Result;
use ocellus::Error;
use std::collections::HashMap;
use std::fmt::Write;

/// First number of a `.param` file.
const MAGIC: i32 = 7_767_517;
/// Array parameters have ids from this one downwards.
const ARRAY_ID: i64 = -23_300;

/// Names the blobs and writes the files.
pub(super) fn finish(mut network: Network) -> Result<NcnnFiles> {
    let outputs = split(&mut network);
    let names = named(&network, &outputs);
    let blobs: usize = network.layers.iter().map(|layer| layer.outputs.len()).sum();
    let mut param = format!("{MAGIC}\n{} {blobs}\n", network.layers.len());
    let mut bin = Vec::new();
    for layer in &network.layers {
        line(&mut param, layer, &names).map_err(|e| e.at(|place| place.node = Some(layer.name.clone())))?;
        bin.extend_from_slice(&layer.step.weights);
    }
    Ok(NcnnFiles { param, bin })
}

/// Inserts a Split behind each blob that has several readers, outputs among them. Returns the name of each
/// blob that is an output.
fn split(network: &mut Network) -> HashMap<Blob, String> {
    let mut wanted: Vec<Vec<Option<String>>> = vec![Vec::new(); network.blobs.len()];
    for (blob, name) in std::mem::take(&mut network.outputs) {
        wanted[blob].push(Some(name));
    }
    let reads: Vec<Blob> = network.layers.iter().flat_map(|layer| layer.inputs.iter().copied()).collect();
    reads.into_iter().for_each(|blob| wanted[blob].push(None));

    let mut outputs = HashMap::new();
    // Copies of a blob that are still to be read, in the order of their readers.
    let mut copies: HashMap<Blob, std::vec::IntoIter<Blob>> = HashMap::new();
    let mut layers = Vec::with_capacity(network.layers.len());
    let mut splits = 0;
    for mut layer in std::mem::take(&mut network.layers) {
        for input in &mut layer.inputs {
            *input = copies.get_mut(input).and_then(Iterator::next).unwrap_or(*input);
        }
        let made = layer.outputs.clone();
        layers.push(layer);
        for blob in made {
            let readers = std::mem::take(&mut wanted[blob]);
            if let [Some(name)] = &readers[..] {
                outputs.insert(blob, name.clone());
            }
            if readers.len() < 2 {
                continue;
            }
            let first = network.blobs.len();
            for (i, reader) in readers.iter().enumerate() {
                network.blobs.push(format!("{}_splitncnn_{i}", network.blobs[blob]));
                if let Some(name) = reader {
                    outputs.insert(first + i, name.clone());
                }
            }
            let parts: Vec<Blob> = (first..network.blobs.len()).collect();
            let read: Vec<Blob> =
                parts.iter().zip(&readers).filter(|(_, r)| r.is_none()).map(|(p, _)| *p).collect();
            copies.insert(blob, read.into_iter());
            let step = Step::new("Split", Params::default());
            let name = network.names.unique(&format!("splitncnn_{splits}"));
            layers.push(Layer { name, step, inputs: vec![blob], outputs: parts });
            splits += 1;
        }
    }
    network.layers = layers;
    outputs
}

/// A name for each blob: inputs and outputs have the first choice.
fn named(network: &Network, outputs: &HashMap<Blob, String>) -> Vec<String> {
    let mut names = Names::default();
    let mut named = vec![String::new(); network.blobs.len()];
    let is_input = |layer: &&Layer| layer.step.kind == "Input";
    let inputs = network.layers.iter().filter(is_input).flat_map(|layer| &layer.outputs);
    for &blob in inputs {
        named[blob] = names.unique(&network.blobs[blob]);
    }
    let made = || network.layers.iter().flat_map(|layer| &layer.outputs);
    for &blob in made() {
        if let Some(name) = outputs.get(&blob).filter(|_| named[blob].is_empty()) {
            named[blob] = names.unique(name);
        }
    }
    for &blob in made() {
        if named[blob].is_empty() {
            named[blob] = names.unique(&network.blobs[blob]);
        }
    }
    named
}

/// `Type name n_in n_out in.. out.. id=value..`
fn line(text: &mut String, layer: &Layer, names: &[String]) -> Result<(), Error> {
    let Layer { name, step, inputs, outputs } = layer;
    // Writing to a string cannot fail.
    let _ = write!(text, "{:<24} {name:<24} {} {}", step.kind, inputs.len(), outputs.len());
    for &blob in inputs.iter().chain(outputs) {
        let _ = write!(text, " {}", names[blob]);
    }
    for (id, value) in &step.params.0 {
        let _ = match value {
            Value::Int(value) => write!(text, " {id}={value}"),
            Value::Float(value) => write!(text, " {id}={}", float(*value)?),
            Value::Ints(values) => {
                let words: Vec<String> = values.iter().map(i64::to_string).collect();
                array(text, *id, &words)
            }
            Value::Floats(values) => {
                let words: Vec<String> = values.iter().map(|&x| float(x)).collect::<Result<_, _>>()?;
                array(text, *id, &words)
            }
        };
    }
    text.push('\n');
    Ok(())
}

fn array(text: &mut String, id: usize, words: &[String]) -> std::fmt::Result {
    write!(text, " {}={},{}", ARRAY_ID - id as i64, words.len(), words.join(","))
}

/// The shortest spelling that reads back as the same number and shows that it is one with a fraction. It
/// keeps within ncnn's 15 characters, since nine digits tell all single-precision numbers apart.
fn float(x: f32) -> Result<String, Error> {
    if !x.is_finite() {
        return Err(Error::unsupported(format!(
            "it cannot be written for ncnn: its parameter {x} has no spelling"
        )));
    }
    let (plain, exponent) = (format!("{x:?}"), format!("{x:e}"));
    Ok(if exponent.len() < plain.len() { exponent } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_exact_and_marked() {
        let spelled = [1.0, 0.1, -0.5, 1.0 / 6.0, 1e-7, 123456.0, 1.234_568e15].map(|x| float(x).unwrap());
        assert_eq!(spelled, ["1.0", "0.1", "-0.5", "0.16666667", "1e-7", "123456.0", "1.234568e15"]);
        let mut random = 1u32;
        for _ in 0..100_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = f32::from_bits(random);
            let Ok(text) = float(x) else { continue };
            assert!(text.len() <= 15 && text.contains(['.', 'e']) && text.parse() == Ok(x), "{x}: {text}");
        }
        assert!(float(f32::INFINITY).is_err() && float(f32::NAN).is_err());
    }
}
