//! Where the network comes from that is trained.

use super::begin::{begun, take_over};
use super::loss::{Anchors, BOX};
use super::network::{Network, Weights};
use crate::dataset::classes::listed;
use crate::error::{Error, Result};
use crate::pytorch::{Checkpoint, is_checkpoint};
use crate::quantize::simple;
use ocellus::detect::{self, Names};
use ocellus::graph::{Graph, ValueId};
use ocellus::image::Preprocess;
use ocellus::loader::{LoadOptions, Model, load};
use ocellus::zoo;
use std::path::{Path, PathBuf};

/// Where a network comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A built-in one, with random weights.
    New(Architecture),
    /// A detector in a file, float or int8, with its weights.
    File {
        /// The file.
        path: PathBuf,
        /// Whether the scales of its codes are learned, too.
        learn_scales: bool,
    },
}

impl Source {
    /// What `model` names: a built-in network, else a file.
    pub fn of(model: &str, multiples: [Option<f64>; 2], classes: usize, seed: u64) -> Self {
        match zoo::find(model).is_none() && Path::new(model).extension().is_some() {
            true => Source::File { path: PathBuf::from(model), learn_scales: false },
            false => Source::New(Architecture { name: model.to_owned(), multiples, classes, seed }),
        }
    }

    /// The network for pictures of `size` pixels, the numbers that training begins with, and the anchors of its outputs.
    ///
    /// # Errors
    /// There is no such network, it does not fit the size or the `names` of the classes, or cannot be trained through.
    pub fn network(&self, size: usize, names: &[String]) -> Result<(Network, Weights, Vec<Anchors>)> {
        let (network, weights, stated) = match self {
            Source::New(architecture) => {
                let (network, weights) = architecture.network(size)?;
                (network, weights, None)
            }
            Source::File { path, .. } if is_checkpoint(path) => {
                let checkpoint = Checkpoint::open(path)?;
                let (network, mut weights) = begun(&checkpoint.network, size, names.len(), 0)?;
                take_over(&network, &mut weights, &checkpoint.layers);
                (network, weights, Some(checkpoint.anchors))
            }
            Source::File { path, learn_scales } => {
                let model = load(path, &LoadOptions { size: Some([size; 2]) })?;
                let anchors = check(path, &model, names)?;
                let (mut network, mut weights) = Network::trained(simple(&model.graph)?)?;
                if *learn_scales {
                    network.learn_scales(&mut weights);
                }
                (network, weights, Some(anchors.map(|anchors| anchors.levels().to_vec())))
            }
        };
        let levels = network.graph.outputs.len();
        let known = match stated {
            Some(stated) => stated.or_else(|| detect::Anchors::yolov5(levels).map(|a| a.levels().to_vec())),
            None => default_anchors(levels, size),
        };
        let anchors = known.filter(|anchors| anchors.len() == levels).ok_or_else(|| {
            Error::Usage(format!("the network has {levels} outputs; anchors are known for 3 and 4"))
        })?;
        let channels = |(output, anchors): (&ValueId, &Anchors)| {
            network.graph.shape(*output).dims().get(1) == Some(&(anchors.len() * (BOX + names.len())))
        };
        match network.graph.outputs.iter().zip(&anchors).all(channels) {
            true => Ok((network, weights, anchors)),
            false => Err(Error::Unmet(format!(
                "the network's outputs are not those of YOLOv5 for {} classes: {}",
                names.len(),
                listed(names.iter().map(String::as_str))
            ))),
        }
    }
}

/// Whether a model can be trained on pictures as batches have them, for classes of these names; its anchors.
fn check(path: &Path, model: &Model, names: &[String]) -> Result<Option<detect::Anchors>> {
    let wrong = |what: String| Err(Error::Unmet(format!("{}: {what}", path.display())));
    if Preprocess::from_metadata(&model.metadata)? != Preprocess::default() {
        return wrong("only models that take letterboxed RGB pictures in 0 to 1 can be trained".to_owned());
    }
    let own = Names::from_metadata(&model.metadata)?;
    let own: Option<Vec<String>> = own.map(|own| own.iter().map(str::to_owned).collect());
    match own {
        Some(own) if own != names => {
            let (own, names) = (own.iter().map(String::as_str), names.iter().map(String::as_str));
            wrong(format!("its classes are {}, those of the data {}", listed(own), listed(names)))
        }
        _ => Ok(detect::Anchors::from_metadata(&model.metadata)?),
    }
}

/// A built-in network for a number of classes.
#[derive(Clone, Debug)]
pub struct Architecture {
    /// Its name.
    pub name: String,
    /// Depth and width, where they are not its own.
    pub multiples: [Option<f64>; 2],
    /// Number of classes.
    pub classes: usize,
    /// Seed of its weights.
    pub seed: u64,
}

impl Architecture {
    /// Its graph for pictures of `size` pixels.
    ///
    /// # Errors
    /// There is no such network, or it does not fit the size.
    pub fn graph(&self, size: usize) -> Result<Graph> {
        Ok(self.architecture()?.detector([size; 2], self.classes, self.seed)?)
    }

    /// Its network, and the numbers that training begins with.
    ///
    /// # Errors
    /// As [`graph`](Self::graph).
    pub fn network(&self, size: usize) -> Result<(Network, Weights)> {
        begun(&self.architecture()?, size, self.classes, self.seed)
    }

    fn architecture(&self) -> Result<zoo::Network> {
        let network = zoo::find(&self.name).ok_or_else(|| {
            let names: Vec<_> = zoo::Network::yolov5s().map(|network| network.name).collect();
            Error::Usage(format!("--model {}: no such network; there are {}", self.name, names.join(", ")))
        })?;
        let [depth, width] = self.multiples;
        Ok(match network.multiples().filter(|_| self.multiples != [None; 2]) {
            Some(own) => network.scaled(zoo::Multiples {
                depth: depth.unwrap_or(own.depth),
                width: width.unwrap_or(own.width),
            })?,
            None => *network,
        })
    }
}

/// YOLOv5's anchors, made for pictures of 640 pixels, for pictures of `size`.
pub fn default_anchors(levels: usize, size: usize) -> Option<Vec<Anchors>> {
    let scaled = |side: f32| (side * size as f32 / 640.0 * 8.0).round() / 8.0;
    let anchors = detect::Anchors::yolov5(levels)?;
    let level = |level: &Vec<[f32; 2]>| level.iter().map(|anchor| anchor.map(scaled)).collect();
    Some(anchors.levels().iter().map(level).collect())
}
