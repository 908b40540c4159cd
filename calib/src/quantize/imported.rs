//! Ranges that somebody else has chosen: a calibration table, and whether it fits the network.

use super::Calibration;
use crate::dataset::classes::listed;
use crate::error::{Error, Result};
use crate::runtime::network::{Weighted, weighted};
use crate::table::text::Entry;
use crate::table::{CODE_MAX, Table, absmax_of_parts};
use ocellus::graph::{Graph, ValueId};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Weight scales below this many codes for the largest weight are those of 6 bits: ncnn2table writes 31 codes for
/// dense 3×3 convolutions, and its method `eq` goes down to half of what it begins with.
const CODES_OF_8_BITS: f32 = 63.0;
/// A table's threshold for the picture beyond the largest number that there can be, by more than rounding.
const BEYOND_ALL: f32 = 1.1;
/// No method clips so much of the range of pictures; a mean that is left out doubles it.
const BELOW_MOST: f32 = 0.65;

/// What a table says of a network's layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Imported {
    /// Magnitude that the input of a layer reaches to, by the layer's name.
    pub thresholds: HashMap<String, f32>,
    /// Layers whose input has no scale: ncnn keeps them in float.
    pub float: Vec<String>,
    /// What may be wrong.
    pub warnings: Vec<String>,
}

/// What `table`, read from `path`, says of the layers of `graph`. Of weights it takes nothing: their scales follow from
/// the weights.
///
/// # Errors
/// The table is of another network.
pub fn import(path: &Path, table: &Table, graph: &Graph) -> Result<Imported> {
    let entries: HashMap<&str, &Entry> =
        table.entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let mut imported = Imported::default();
    let (mut named, mut six_bits) = (HashSet::new(), Vec::new());
    for layer in weighted(graph) {
        let name = layer.node.name.as_str();
        let Some(entry) = entries.get(name) else { continue };
        named.insert(name);
        if codes_of_largest(path, &layer, entry)?.is_some_and(|codes| codes < CODES_OF_8_BITS) {
            six_bits.push(name);
        }
        match entry.input {
            Some(scale) => drop(imported.thresholds.insert(name.to_owned(), CODE_MAX / scale)),
            None => imported.float.push(name.to_owned()),
        }
    }
    let unknown: Vec<&str> =
        table.entries.iter().map(|e| e.name.as_str()).filter(|n| !named.contains(n)).collect();
    if named.is_empty() {
        let known: Vec<&str> = weighted(graph).map(|layer| layer.node.name.as_str()).collect();
        return Err(Error::bad_data(
            path,
            format!("names no layer of the model: it has {}, the model {}", list(&unknown), list(&known)),
        ));
    }
    let float = imported.float.iter().map(String::as_str).collect();
    let said = [
        (six_bits, "6-bit weight scales, which lose accuracy, are not used; weights get 8 bits: layers"),
        (float, "the table has no usable scale for the input of layers, which stay in float:"),
        (unknown, "the model has no such layers as the table names:"),
    ];
    let said = said.iter().filter(|(names, _)| !names.is_empty());
    imported.warnings.extend(said.map(|(names, what)| format!("{what} {}", list(names))));
    Ok(imported)
}

fn list(names: &[&str]) -> String {
    listed(names.iter().copied())
}

/// How many codes a table has for the largest weight of a channel, in the middle one of the layer's channels;
/// `None` where all weights are zero.
fn codes_of_largest(path: &Path, layer: &Weighted, entry: &Entry) -> Result<Option<f32>> {
    let absmax = absmax_of_parts(layer);
    if entry.weights.len() != absmax.len() {
        let (name, theirs, ours) = (&entry.name, entry.weights.len(), absmax.len());
        return Err(Error::bad_data(
            path,
            format!(
                "layer {name} has {theirs} weight scales, the model's {ours}: it is the table of another model"
            ),
        ));
    }
    let pairs = entry.weights.iter().zip(&absmax).filter(|(_, most)| **most > 0.0);
    let mut codes: Vec<f32> = pairs.map(|(scale, most)| scale * most).collect();
    codes.sort_by(f32::total_cmp);
    Ok(codes.get(codes.len() / 2).copied())
}

impl Imported {
    /// A warning where the table's pictures were prepared otherwise than those of `calibration`: the numbers that the
    /// network's input can have, and has, are known.
    pub fn picture_warning(&self, calibration: &Calibration) -> Option<String> {
        let graph = calibration.network.graph();
        let reads_picture = |layer: &Weighted| graph.inputs.contains(&layer.node.inputs[0]);
        let layer = weighted(graph).find(reads_picture)?;
        let threshold = *self.thresholds.get(&layer.node.name)?;
        let (low, high) = calibration.picture_range();
        let possible = high.max(-low);
        let seen = calibration.histograms.get(&layer.node.inputs[0])?.absmax();
        let fits = threshold <= BEYOND_ALL * possible && threshold >= BELOW_MOST * seen;
        (!fits).then(|| {
            format!(
                "the table was made with other preprocessing: for the picture it reaches to {threshold:.3}, but \
                 pixels as the model and the flags prepare them to {possible:.3} (on these pictures {seen:.3}); \
                 make it again, or give its --mean and --norm. The order of the colours does not show in a table: \
                 see to --pixel yourself"
            )
        })
    }
}

/// The range of a tensor that was seen within `(low, high)`, where its codes are to reach to `threshold`: one-sided where
/// the tensor is, and as far beyond what was seen as the table says.
pub fn range_to(threshold: f32, (low, high): (f32, f32)) -> (f32, f32) {
    let absmax = high.max(-low);
    if absmax == 0.0 {
        return (0.0, threshold);
    }
    let wider = (threshold / absmax).max(1.0);
    ((low * wider).max(-threshold), (high * wider).min(threshold))
}

/// The tensors that the layers of `graph` read, with the thresholds that are named for these layers. Of layers that
/// read the same one the largest counts: nothing that one of them keeps is clipped.
pub fn of_tensors(graph: &Graph, thresholds: &HashMap<String, f32>) -> HashMap<ValueId, f32> {
    let mut found: HashMap<ValueId, f32> = HashMap::new();
    for layer in weighted(graph) {
        if let Some(&threshold) = thresholds.get(&layer.node.name) {
            let most = found.entry(layer.node.inputs[0]).or_insert(0.0);
            *most = most.max(threshold);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand.
    #[test]
    fn ranges_are_one_sided_where_the_tensor_is() {
        for (threshold, seen, expected) in [
            (2.0, (-4.0, 3.0), (-2.0, 2.0)),
            (2.0, (0.0, 3.0), (0.0, 2.0)),
            (2.0, (-0.25, 8.0), (-0.25, 2.0)),
            // The table's pictures reached twice as far.
            (8.0, (-0.25, 4.0), (-0.5, 8.0)),
            (8.0, (-4.0, 0.0), (-8.0, 0.0)),
            (8.0, (0.0, 0.0), (0.0, 8.0)),
        ] {
            assert_eq!(range_to(threshold, seen), expected, "{threshold} {seen:?}");
        }
    }
}
