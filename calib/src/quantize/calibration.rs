//! What pictures show of a network, and the recipe that follows from it.

use super::recipe::{Layer8, Recipe};
use super::scheme::Scheme;
use super::sites::{self, Group};
use super::{bias, equalize, imported, range, rounding};
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, Weighted, weighted};
use crate::table::patches::{Patches, SAMPLED_MAX, Sample, samples};
use crate::table::{self, Collected, Histogram, Method};
use ocellus::graph::{Graph, ValueId};
use ocellus::passes;
use ocellus::tensor::Quant;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// How weights become codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rounding {
    /// Each to the nearest code.
    Nearest,
    /// So that the layer's outputs stay as they were: see [`rounding`].
    Adaptive,
}

/// What is chosen by whoever quantizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choices {
    /// Which grids are allowed.
    pub scheme: Scheme,
    /// How the range of a grid follows from histograms; `None`: for each grid the method with the best ratio of
    /// signal to noise.
    pub method: Option<Method>,
    /// How weights become codes.
    pub rounding: Rounding,
    /// Whether biases make up for shifted means.
    pub correct_bias: bool,
}

impl Default for Choices {
    fn default() -> Self {
        let scheme = Scheme::default();
        Choices { scheme, method: None, rounding: Rounding::Adaptive, correct_bias: true }
    }
}

/// How the tensors of a network are spread over pictures.
pub struct Calibration {
    /// The network, simplified, with heads as their convolutions give them; its channels perhaps equalized.
    pub network: Network,
    /// Of each tensor that a kernel computes and that is to be codes.
    pub histograms: HashMap<ValueId, Histogram>,
    /// Number of pictures seen.
    pub pictures: usize,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
    /// Magnitude that tensors are to reach to, whatever the pictures show; see [`Calibration::impose`].
    imposed: HashMap<ValueId, f32>,
    /// What layers read: to choose by, and to correct by.
    samples: [Sample; 2],
    /// What has equalized the channels of `network`.
    equalization: Option<Recipe>,
}

/// What has chosen the range of a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chosen {
    /// A method, from histograms.
    By(Method),
    /// Somebody else's table.
    Table,
    /// The pixel values that there are; or there was nothing to choose from.
    Given,
}

impl Chosen {
    /// Its name; `None`: nobody's choice.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Chosen::By(method) => Some(method.name()),
            Chosen::Table => Some("table"),
            Chosen::Given => None,
        }
    }
}

impl Calibration {
    /// How often [`Calibration::new`] reports progress for so many pictures.
    pub fn steps(pictures: usize) -> usize {
        2 * pictures + pictures.min(SAMPLED_MAX)
    }

    /// Runs the network over the pictures; calls `progress` [`Calibration::steps`] times. `equalized`: evens out its channels
    /// before their spread is counted.
    ///
    /// # Errors
    /// No picture can be read, the pictures are all of one colour, or the network gives NaN or infinity.
    pub fn new(
        network: &Network,
        pictures: &[PathBuf],
        equalized: bool,
        threads: usize,
        progress: impl Fn() + Sync,
    ) -> Result<Self> {
        let mut network = network.clone();
        network.model.graph = simple(network.graph())?;
        let few = table::spread_out(pictures, SAMPLED_MAX);
        let mut samples = samples(&network, &few, threads, &progress)?;
        let equalization = equalized.then(|| equalize::equalize(network.graph(), &mut samples));
        if let Some(recipe) = &equalization {
            network.model.graph = recipe.apply(network.graph())?;
        }
        let groups = sites::groups(network.graph(), &HashSet::new());
        let tensors: Vec<ValueId> = groups.into_iter().flat_map(|group| group.computed).collect();
        let observer = || Ok(Observer::new(network.graph(), &network.preprocess, &tensors)?);
        let Collected { histograms, pictures, skipped } =
            table::collect(observer, pictures, threads, progress)?;
        let histograms: HashMap<ValueId, Histogram> = tensors.into_iter().zip(histograms).collect();
        refuse_one_colour(network.graph(), &histograms)?;
        let imposed = HashMap::new();
        Ok(Calibration { network, histograms, pictures, skipped, imposed, samples, equalization })
    }

    /// The calibrated network at another size, as `graph` (of the same file) has it: recipes fit it as well.
    ///
    /// # Errors
    /// `graph` is another network.
    pub fn at_size_of(&self, graph: &Graph) -> Result<Graph> {
        let graph = simple(graph)?;
        Ok(match &self.equalization {
            Some(recipe) => recipe.apply(&graph)?,
            None => graph,
        })
    }

    /// Share of multiply-accumulates in int8 where these layers, by place, are `float`.
    pub fn int8_share(&self, float: &HashSet<usize>) -> f64 {
        let graph = self.network.graph();
        let macs = |int8: bool| -> u64 {
            weighted(graph).filter(|l| !int8 || !float.contains(&l.at)).map(|l| l.macs(graph)).sum()
        };
        macs(true) as f64 / (macs(false) as f64).max(1.0)
    }

    /// From now on the inputs of the layers that are named reach to these thresholds, but for the network's own input.
    pub fn impose(&mut self, thresholds: &HashMap<String, f32>) {
        self.imposed = imported::of_tensors(self.network.graph(), thresholds);
    }

    /// The recipe that `choices` make; `float` layers (by place) stay in float.
    pub fn recipe(&self, choices: &Choices, float: &HashSet<usize>) -> Recipe {
        let graph = self.network.graph();
        let mut grids = vec![None; graph.values().len()];
        for group in sites::groups(graph, float) {
            let grid = self.grid(&group, choices).1;
            group.members.iter().for_each(|id| grids[id.index()] = Some(grid));
        }
        let int8 = weighted(graph).filter(|layer| !float.contains(&layer.at));
        let layers =
            int8.map(|layer| (layer.at, self.layer(&layer, choices, grids[layer.node.inputs[0].index()])));
        let layers = layers.collect();
        Recipe { grids, layers }
    }

    /// As `whole`, with the `float` layers back in float and no more grids than the others need.
    pub fn recipe_of(&self, whole: &Recipe, float: &HashSet<usize>) -> Recipe {
        let mut grids = vec![None; whole.grids.len()];
        for group in sites::groups(self.network.graph(), float) {
            group.members.iter().for_each(|id| grids[id.index()] = whole.grids[id.index()]);
        }
        let kept = whole.layers.iter().filter(|(at, _)| !float.contains(at));
        Recipe { grids, layers: kept.map(|(at, layer)| (*at, layer.clone())).collect() }
    }

    /// The grid of a group, and what has chosen its range.
    pub fn grid(&self, group: &Group, choices: &Choices) -> (Chosen, Quant) {
        let scheme = choices.scheme;
        let is_input = |id: &ValueId| self.network.graph().inputs.contains(id);
        if group.computed.iter().any(is_input)
            && let Some(grid) = scheme.grid(self.picture_range())
        {
            // Every pixel value is a code of its own.
            return (Chosen::Given, grid);
        }
        let histograms = self.histograms_of(group);
        let imposed = group.members.iter().filter_map(|id| self.imposed.get(id)).copied().reduce(f32::max);
        let seen = range::hull(histograms.iter().map(|h| h.range()));
        if let Some(grid) = imposed.and_then(|threshold| scheme.grid(imported::range_to(threshold, seen))) {
            return (Chosen::Table, grid);
        }
        let candidates = match &choices.method {
            Some(method) => std::slice::from_ref(method),
            None => &CANDIDATES[..],
        };
        let grids = candidates.iter().filter_map(|&method| {
            let grid = scheme.grid(range::choose(&histograms, method, scheme, self.pictures))?;
            Some((range::cost(&histograms, grid), method, grid))
        });
        match grids.min_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, method, grid)) => (Chosen::By(method), grid),
            // Zeros alone fit any grid.
            None => (Chosen::Given, Quant::from_range(0.0, 1.0).expect("a range")),
        }
    }

    /// Histograms of the tensors of a group.
    pub fn histograms_of(&self, group: &Group) -> Vec<&Histogram> {
        group.computed.iter().filter_map(|id| self.histograms.get(id)).collect()
    }

    /// Int8 weights and bias of a layer whose input is on `grid`.
    fn layer(&self, layer: &Weighted, choices: &Choices, grid: Option<Quant>) -> Layer8 {
        let changed = |x: f32| grid.map_or(x, |grid| grid.dequantize(grid.quantize(x)));
        let [chosen_by, corrected_by] = [0, 1].map(|i| self.samples[i].get(&layer.at).filter(has_rows));
        let weights = match (choices.rounding, chosen_by) {
            (Rounding::Adaptive, Some(patches)) => {
                rounding::round(choices.scheme, layer.weights, layer.groups, patches, changed)
            }
            _ => choices.scheme.round(layer.weights),
        };
        let stated = layer.node.inputs.get(2).and_then(|&id| self.network.graph().constant(id));
        let stated = stated.map(|bias| bias.to_f32());
        let bias = match corrected_by.filter(|_| choices.correct_bias) {
            Some(patches) => {
                let shift = bias::correction(layer.weights, &weights, layer.groups, patches, changed);
                let stated = stated.unwrap_or_else(|| vec![0.0; shift.len()]);
                Some(stated.iter().zip(shift).map(|(b, s)| b + s).collect())
            }
            None => stated,
        };
        Layer8 { weights, bias }
    }

    /// Smallest and largest number that preprocessing makes of a pixel.
    pub(super) fn picture_range(&self) -> (f32, f32) {
        let table = self.network.preprocess.real_table();
        table.iter().flatten().fold((0.0, 0.0), |(low, high), &x| (low.min(x), high.max(x)))
    }
}

/// What is tried for each grid where nobody says a method.
const CANDIDATES: [Method; 5] =
    [Method::Mse, Method::Kl, Method::Percentile(0.9999), Method::Percentile(0.999_99), Method::MinMax];

/// A network as it is calibrated: simplified, heads as their convolutions give them.
pub fn simple(graph: &Graph) -> ocellus::Result<Graph> {
    passes::raw_heads(&passes::simplify(graph)?)
}

fn has_rows(patches: &&Patches) -> bool {
    patches.rows().len() > 0
}

/// Pictures of a single colour say nothing of how numbers are spread: a model calibrated on them is broken.
fn refuse_one_colour(graph: &Graph, histograms: &HashMap<ValueId, Histogram>) -> Result<()> {
    let seen = graph.inputs.iter().filter_map(|id| histograms.get(id));
    // One number per channel of the colour.
    match seen.map(Histogram::distinct).max() {
        Some(0..=3) => Err(Error::Usage(
            "the pictures are all black, or of one colour: calibrate with pictures like those the model will see"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}
