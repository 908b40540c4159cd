//! A model that is compared, in the arithmetic that it is to run in.

use crate::error::Result;
use crate::pytorch::load;
use crate::runtime::network::replace_preprocess;
use crate::runtime::{self, ModelOptions, Precision, activations::Observer};
use ocellus::graph::{Graph, Op, ValueId};
use ocellus::image::Preprocess;
use ocellus::loader::{LoadOptions, Model};
use ocellus::{Error, passes};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A model and the names of its values.
pub struct Side {
    /// The file.
    pub path: PathBuf,
    /// Arithmetic that it runs in.
    pub precision: Precision,
    /// How it prepares pictures.
    pub preprocess: Preprocess,
    model: Model,
    /// What is run: with its grids where the arithmetic is int8.
    runs: Graph,
    /// The same without grids, whose values are what the layers compute.
    plain: Graph,
    /// Names that an int8 file gives to values behind their grids, by the value's own name.
    aliases: HashMap<String, Vec<String>>,
    /// Values of `runs`; `None` where a name is not unique.
    ids: HashMap<String, Option<ValueId>>,
}

impl Side {
    /// Reads a model; `side` is that of its input, `None` what the file says. `entries` are preprocessing properties
    /// that replace the model's.
    ///
    /// # Errors
    /// The model is broken or unsupported, is to run in int8 and has no scales, or an entry cannot be read.
    pub fn open(
        path: &Path,
        precision: Precision,
        side: Option<usize>,
        entries: &[(String, String)],
    ) -> Result<Self> {
        let in_file = |e: Error| e.at(|place| place.file = Some(path.to_owned()));
        let mut model = load(path, &LoadOptions { size: side.map(|side| [side; 2]) })?;
        let preprocess = replace_preprocess(&mut model, entries).map_err(in_file)?;
        let has_grids = model.graph.nodes.iter().any(|node| matches!(node.op, Op::FakeQuant(_)));
        let int8 = match precision {
            Precision::Int8 if !has_grids => {
                let what = "the model has no int8 scales; quantize it first, or compare it in fp32";
                return Err(Error::Usage(format!("{}: {what}", path.display())).into());
            }
            Precision::Dynamic => {
                return Err(Error::Usage("layers cannot be compared in dynamic int8".to_owned()).into());
            }
            Precision::Fp32 => false,
            Precision::Auto | Precision::Int8 => has_grids,
        };
        let plain = passes::simplify(&passes::without_fake_quant(&model.graph).map_err(in_file)?)?;
        let runs = if int8 { passes::simplify(&model.graph).map_err(in_file)? } else { plain.clone() };
        Ok(Side {
            path: path.to_owned(),
            precision: if int8 { Precision::Int8 } else { Precision::Fp32 },
            preprocess,
            aliases: aliases(&model.graph),
            ids: ids(&runs),
            model,
            runs,
            plain,
        })
    }

    /// The network without grids.
    pub fn plain(&self) -> &Graph {
        &self.plain
    }

    /// Names of the value called `name`: itself, and those behind its grids.
    pub(super) fn names<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let aliases = self.aliases.get(name).into_iter().flatten();
        std::iter::once(name).chain(aliases.map(String::as_str))
    }

    /// The value of the network as it runs that has one of the names of `name`.
    pub(super) fn id(&self, name: &str) -> Option<ValueId> {
        self.names(name).find_map(|name| self.ids.get(name).copied().flatten())
    }

    /// Outputs of the network as it runs.
    pub(super) fn outputs(&self) -> &[ValueId] {
        &self.runs.outputs
    }

    /// The network as it runs.
    pub(super) fn runs(&self) -> &Graph {
        &self.runs
    }

    /// Shows the numbers of `values` after each picture.
    ///
    /// # Errors
    /// The engine does not run the network.
    pub fn observer(&self, values: &[ValueId]) -> Result<Observer> {
        let observer = Observer::new(&self.runs, &self.preprocess, values);
        Ok(observer.map_err(|e| e.at(|place| place.file = Some(self.path.clone())))?)
    }

    /// The detector; `None`, with the reason, where the outputs are no detector's.
    ///
    /// # Errors
    /// The engine does not run the network.
    pub fn detector(
        &self,
        options: &ModelOptions,
    ) -> Result<std::result::Result<Box<dyn crate::eval::Detect>, String>> {
        let options = ModelOptions { precision: self.precision, ..options.clone() };
        match runtime::of_model(&self.model, &options) {
            Ok(detector) => Ok(Ok(detector)),
            // The engine's own refusals have come up with the observer.
            Err(Error::Unsupported { what, .. }) => Ok(Err(what)),
            Err(other) => Err(other.at(|place| place.file = Some(self.path.clone())).into()),
        }
    }

    /// For each of `values` the open interval that its int8 codes reach into without being at an end of their range;
    /// everything for a value that has no codes. An end that is zero does not count: below it ReLU has cut.
    ///
    /// # Errors
    /// None but those of the graph's builder.
    pub(super) fn inner(&self, values: &[ValueId]) -> Result<Vec<(f32, f32)>> {
        const ALL: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);
        if self.precision != Precision::Int8 {
            return Ok(vec![ALL; values.len()]);
        }
        let mut graph = self.runs.clone();
        graph.outputs = values.to_vec();
        let reals = self.preprocess.real_table();
        let fold = |start: f32, f: fn(f32, f32) -> f32| reals.iter().flatten().copied().fold(start, f);
        let range = (fold(f32::INFINITY, f32::min), fold(f32::NEG_INFINITY, f32::max));
        let (graph, grids) = passes::assign_grids(&graph, range)?;
        let (graph, grids) = passes::requantize_movers(&graph, &grids)?;
        let inner = |id: &ValueId| {
            let Some(grid) = grids.of(*id) else { return ALL };
            let ((low, high), half) = (grid.range(), grid.scale / 2.0);
            let low = if low < 0.0 { low + half } else { ALL.0 };
            (low, if high > 0.0 { high - half } else { ALL.1 })
        };
        Ok(graph.outputs.iter().map(inner).collect())
    }
}

/// Names behind grids, by the name of the value before them.
fn aliases(graph: &Graph) -> HashMap<String, Vec<String>> {
    let mut real: Vec<ValueId> = graph.value_ids().collect();
    let mut aliases: HashMap<String, Vec<String>> = HashMap::new();
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::FakeQuant(_))) {
        let before = real[node.inputs[0].index()];
        real[node.output.index()] = before;
        let name = |id: ValueId| graph.value(id).name.clone();
        aliases.entry(name(before)).or_default().push(name(node.output));
    }
    aliases
}

fn ids(graph: &Graph) -> HashMap<String, Option<ValueId>> {
    let mut ids = HashMap::new();
    let values = graph.inputs.iter().copied().chain(graph.nodes.iter().map(|node| node.output));
    for id in values {
        let id_of_name = |known: &mut Option<ValueId>| *known = None;
        ids.entry(graph.value(id).name.clone()).and_modify(id_of_name).or_insert(Some(id));
    }
    ids
}
