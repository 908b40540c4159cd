//! One part of a calibration that is spread over machines, as a file.
//!
//! Bins are as wide as the largest magnitude of all pictures says, so a spread calibration takes two rounds, as one run
//! does two passes: the shards of the first hold how far tensors reach, those of the second count within the ranges
//! of all first ones. Nothing is lost by that: ranges and counts of the parts make those of the whole.
//!
//! The file is JSON, read with distrust: everything is checked before it is used.

use super::{Histogram, Layer, Range};
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::limits::{IMAGES_MAX, SHARD_COUNT_MAX, SHARD_FILE_BYTES_MAX, SHARDS_MAX};
use crate::runtime::network::{Network, files_named};
use ocellus::image::Preprocess;
use ocellus::limits::NODES_MAX;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Version of the format.
const VERSION: u32 = 1;

/// Which part: the pictures `part`, `part + of`, `part + 2 · of` … of all, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Number of the part, from 1.
    pub part: usize,
    /// How many parts there are.
    pub of: usize,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) && of <= SHARDS_MAX => Ok(Place { part, of }),
            _ => Err(format!("expected I/N, as 1/4: part I, from 1, of N, at most {SHARDS_MAX}")),
        }
    }
}

impl Place {
    /// The pictures of this part.
    pub fn pick(self, pictures: &[PathBuf]) -> Vec<PathBuf> {
        pictures.iter().skip(self.part - 1).step_by(self.of).cloned().collect()
    }
}

/// What all parts of one calibration have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Hash of the model's files.
    pub model: String,
    /// How pictures are prepared, in words.
    pub preprocess: String,
    /// Rows and columns of the network's input.
    pub size: [usize; 2],
    /// Number of pictures of all parts.
    pub pictures: usize,
    /// Hash of their files' names, without folders, in order.
    pub names: String,
}

impl Identity {
    /// Of a calibration of `network`, read from `model`, on `pictures`.
    ///
    /// # Errors
    /// The model's files cannot be read.
    pub fn new(model: &Path, network: &Network, pictures: &[PathBuf]) -> Result<Self> {
        let (mut contents, mut names) = (Hash::default(), Hash::default());
        for file in files_named(model) {
            contents.add(&std::fs::read(&file).map_err(|e| Error::io(&file, e))?);
        }
        for picture in pictures {
            names.add(picture.file_name().unwrap_or_default().as_encoded_bytes());
            names.add(b"/");
        }
        let graph = network.graph();
        let input = graph.inputs.first().and_then(|&id| graph.shape(id).nchw());
        Ok(Identity {
            model: contents.text(),
            preprocess: in_words(&network.preprocess),
            size: input.map_or([0; 2], |[_, _, height, width]| [height, width]),
            pictures: pictures.len(),
            names: names.text(),
        })
    }

    /// What is not the same in `other`, in words.
    pub fn difference(&self, other: &Identity) -> Option<&'static str> {
        let checks = [
            (self.model == other.model, "another model"),
            (self.preprocess == other.preprocess, "pictures prepared otherwise"),
            (self.size == other.size, "another input size"),
            (self.pictures == other.pictures && self.names == other.names, "another set of pictures"),
        ];
        checks.into_iter().find(|(same, _)| !same).map(|(_, difference)| difference)
    }
}

fn in_words(preprocess: &Preprocess) -> String {
    let Preprocess { mean, norm, order, fit, interpolation, fill } = preprocess;
    format!("mean {mean:?}, norm {norm:?}, {order}, {fit}, {interpolation}, fill {fill}")
}

/// A picture of a part that cannot be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its place in the part, from 0.
    pub at: usize,
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// How often each magnitude of a tensor was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counts {
    negative: Vec<u64>,
    positive: Vec<u64>,
    zeros: u64,
}

/// The contents of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    calib_shard: u32,
    shard: Place,
    identity: Identity,
    left_out: Vec<LeftOut>,
    layers: Vec<Layer>,
    ranges: Vec<Range>,
    counts: Option<Vec<Counts>>,
}

/// One part.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// Which one.
    pub place: Place,
    /// What it is a part of.
    pub identity: Identity,
    /// Pictures that cannot be read.
    pub left_out: Vec<LeftOut>,
    /// The weighted layers of the network.
    pub layers: Vec<Layer>,
    /// Smallest and largest number of each tensor: of this part's pictures, or, where they are counted, of all.
    pub ranges: Vec<Range>,
    /// How the numbers of each tensor are spread within the ranges of all parts; `None` in the first round.
    pub histograms: Option<Vec<Histogram>>,
}

impl Shard {
    /// Pictures of this part, also those that are left out.
    pub fn pictures(&self) -> usize {
        let Place { part, of } = self.place;
        (self.identity.pictures + of - part) / of
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = |histogram: &Histogram| {
            let [negative, positive] = histogram.sides().map(<[u64]>::to_vec);
            Counts { negative, positive, zeros: histogram.zeros() }
        };
        let file = File {
            calib_shard: VERSION,
            shard: self.place,
            identity: self.identity.clone(),
            left_out: self.left_out.clone(),
            layers: self.layers.clone(),
            ranges: self.ranges.clone(),
            counts: self.histograms.as_ref().map(|all| all.iter().map(counts).collect()),
        };
        serde_json::to_vec(&file).expect("maps have text keys, numbers are finite")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = crate::dataset::read_bytes(path, SHARD_FILE_BYTES_MAX)?;
        Shard::parse(&bytes).map_err(|what| Error::bad_data(path, what))
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// They are no shard of this version; the text says why.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes)
            .map_err(|e| format!("no shard of calib table, or of another version: {e}"))?;
        let File { calib_shard, shard: place, identity, left_out, layers, ranges, counts } = file;
        if calib_shard != VERSION {
            return Err(format!("a shard of version {calib_shard}; this calib reads version {VERSION}"));
        }
        let shard = Shard { place, identity, left_out, layers, ranges, histograms: None };
        shard.check()?;
        let histograms = counts.map(|counts| shard.histograms(counts)).transpose()?;
        Ok(Shard { histograms, ..shard })
    }

    fn check(&self) -> Result<(), String> {
        let Place { part, of } = self.place;
        let refuse = |bad: bool, what: &str| if bad { Err(format!("broken shard: {what}")) } else { Ok(()) };
        refuse(!(1..=of).contains(&part) || of > SHARDS_MAX, "its number is out of range")?;
        refuse(!(of..=IMAGES_MAX).contains(&self.identity.pictures), "its pictures are too few or too many")?;
        refuse(self.ranges.is_empty() || self.ranges.len() > NODES_MAX, "it has no tensors, or too many")?;
        let usable = |&(low, high): &Range| low.is_finite() && high.is_finite() && low <= 0.0 && high >= 0.0;
        refuse(!self.ranges.iter().all(usable), "a range is none")?;
        let ascending = self.left_out.is_sorted_by(|a, b| a.at < b.at);
        let within = self.left_out.last().is_none_or(|last| last.at < self.pictures());
        refuse(!ascending || !within, "pictures that are left out are none of its own")?;
        refuse(self.left_out.len() == self.pictures(), "all its pictures are left out")?;
        let fits = |layer: &Layer| {
            layer.tensor < self.ranges.len()
                && layer.weight_absmax.iter().all(|most| most.is_finite() && *most >= 0.0)
        };
        refuse(!self.layers.iter().all(fits), "a layer reads no tensor, or its weights are no numbers")
    }

    fn histograms(&self, counts: Vec<Counts>) -> Result<Vec<Histogram>, String> {
        if counts.len() != self.ranges.len() {
            return Err(format!(
                "broken shard: counts of {} tensors, {} ranges",
                counts.len(),
                self.ranges.len()
            ));
        }
        let made = self.ranges.iter().zip(counts).map(|(&range, Counts { negative, positive, zeros })| {
            Histogram::of_counts(range, [negative, positive], zeros)
                .filter(|histogram| histogram.numbers() <= SHARD_COUNT_MAX)
        });
        made.collect::<Option<_>>().ok_or_else(|| "broken shard: counts that cannot be".to_owned())
    }
}
