//! Post-training quantization: from a float network and pictures to int8 weights, and grids for its tensors.
//!
//! [`sites`] says which tensors become codes and which share a grid, [`Calibration`] how their numbers are spread,
//! [`range`] which range the codes are to span, [`scheme`] which grids are allowed. All choices together are a
//! [`Recipe`]; applied to the network it is the int8 network, as the runtime runs it and as it is written to files.

pub mod bias;
pub mod equalize;
pub mod patches;
pub mod range;
mod recipe;
pub mod rounding;
pub mod scheme;
pub mod sites;

pub use recipe::{Layer8, Recipe};
pub use scheme::Scheme;

use crate::dataset::Skipped;
use crate::error::Result;
use crate::runtime::activations::Observer;
use crate::runtime::network::{Network, weighted};
use crate::table::{self, Collected, Histogram, Method};
use ocellus::graph::ValueId;
use ocellus::tensor::Quant;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// How the tensors of a network are spread over pictures.
pub struct Calibration {
    /// The network, simplified.
    pub network: Network,
    /// Of each tensor that a kernel computes and that is to be codes.
    pub histograms: HashMap<ValueId, Histogram>,
    /// Number of pictures seen.
    pub pictures: usize,
    /// Pictures that cannot be read.
    pub skipped: Vec<Skipped>,
}

impl Calibration {
    /// Runs the network over the pictures twice; calls `progress` after each picture of each pass.
    ///
    /// # Errors
    /// No picture can be read, or the network gives NaN or infinity.
    pub fn new(
        network: &Network,
        pictures: &[PathBuf],
        threads: usize,
        progress: impl Fn() + Sync,
    ) -> Result<Self> {
        let network = network.simplified()?;
        let groups = sites::groups(network.graph(), &HashSet::new());
        let tensors: Vec<ValueId> = groups.into_iter().flat_map(|group| group.computed).collect();
        let observer = || Ok(Observer::new(network.graph(), &network.preprocess, &tensors)?);
        let Collected { histograms, pictures, skipped } =
            table::collect(observer, pictures, threads, progress)?;
        let histograms = tensors.into_iter().zip(histograms).collect();
        Ok(Calibration { network, histograms, pictures, skipped })
    }

    /// Grids by `method` and weights rounded to the nearest code; `float` layers (by place) stay in float.
    pub fn recipe(&self, scheme: Scheme, method: Method, float: &HashSet<usize>) -> Recipe {
        let graph = self.network.graph();
        let mut grids = vec![None; graph.values().len()];
        for group in sites::groups(graph, float) {
            let grid = self.grid(&group, scheme, method);
            group.members.iter().for_each(|id| grids[id.index()] = Some(grid));
        }
        let layers = weighted(graph).filter(|layer| !float.contains(&layer.at)).map(|layer| {
            let bias = layer.node.inputs.get(2).and_then(|&id| graph.constant(id)).map(|bias| bias.to_f32());
            (layer.at, Layer8 { weights: scheme.round(layer.weights), bias })
        });
        Recipe { grids, layers: layers.collect() }
    }

    fn grid(&self, group: &sites::Group, scheme: Scheme, method: Method) -> Quant {
        let is_input = |id: &&ValueId| self.network.graph().inputs.contains(id);
        if group.computed.iter().any(|id| is_input(&id)) {
            // Every pixel value is a code of its own.
            if let Some(grid) = scheme.grid(self.picture_range()) {
                return grid;
            }
        }
        let histograms: Vec<&Histogram> =
            group.computed.iter().filter_map(|id| self.histograms.get(id)).collect();
        let range = range::choose(&histograms, method, scheme, self.pictures);
        // Zeros alone fit any grid.
        scheme.grid(range).or(Quant::new(1.0 / 255.0, -128)).expect("a constant grid is one")
    }

    /// Smallest and largest number that preprocessing makes of a pixel.
    fn picture_range(&self) -> (f32, f32) {
        let table = self.network.preprocess.real_table();
        table.iter().flatten().fold((0.0, 0.0), |(low, high), &x| (low.min(x), high.max(x)))
    }
}
