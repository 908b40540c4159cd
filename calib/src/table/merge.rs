//! The parts of a calibration together: what one run over all pictures would have seen.

use super::shard::{Identity, LeftOut, Shard};
use super::{Collected, Histogram, Layer, Range};
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::limits::NAMES_LISTED_MAX;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Parts of one calibration, added to each other. The order in which they were added does not show.
#[derive(Clone, Debug)]
pub struct Merged {
    /// What they are parts of.
    pub identity: Identity,
    /// How many parts there are.
    pub of: usize,
    /// The weighted layers of the network.
    pub layers: Vec<Layer>,
    /// Smallest and largest number of each tensor.
    pub ranges: Vec<Range>,
    /// How the numbers of each tensor are spread; `None` in the first round.
    histograms: Option<Vec<Histogram>>,
    /// Pictures of each part, and those of them that cannot be read.
    parts: BTreeMap<usize, (usize, Vec<LeftOut>)>,
}

/// Adds the `files` to each other, one after the other, so that memory does not grow with their number.
///
/// # Errors
/// A file is none, comes twice, or is of another calibration or round than the first.
pub fn merge(files: &[PathBuf]) -> Result<Merged> {
    let Some((first, others)) = files.split_first() else {
        return Err(Error::Usage("no shard is given".to_owned()));
    };
    let mut merged = Merged::of(Shard::read(first)?);
    for path in others {
        let shard = Shard::read(path)?;
        merged.add(shard).map_err(|what| refusal(path, first, &what))?;
    }
    Ok(merged)
}

fn refusal(path: &Path, first: &Path, what: &str) -> Error {
    Error::bad_data(path, format!("{what} ({} is compared with)", first.display()))
}

impl Merged {
    /// One part alone.
    pub fn of(shard: Shard) -> Self {
        let pictures = shard.pictures();
        Merged {
            identity: shard.identity,
            of: shard.place.of,
            layers: shard.layers,
            ranges: shard.ranges,
            histograms: shard.histograms,
            parts: BTreeMap::from([(shard.place.part, (pictures, shard.left_out))]),
        }
    }

    /// Adds a part.
    ///
    /// # Errors
    /// It does not belong to the others; the text says why.
    pub fn add(&mut self, shard: Shard) -> Result<(), String> {
        self.belongs(&shard.identity, shard.place.of, &shard.layers)?;
        let (part, pictures) = (shard.place.part, shard.pictures());
        if self.parts.contains_key(&part) {
            return Err(format!("shard {part} of {} comes twice: give each once", self.of));
        }
        match (&mut self.histograms, shard.histograms) {
            (None, None) => {
                let both = self.ranges.iter_mut().zip(shard.ranges);
                both.for_each(|(all, part)| *all = (all.0.min(part.0), all.1.max(part.1)));
            }
            (Some(_), Some(_)) if self.ranges != shard.ranges => {
                return Err(
                    "counted within other ranges: give all shards the same files with --ranges".to_owned()
                );
            }
            (Some(all), Some(part)) => all.iter_mut().zip(&part).for_each(|(all, part)| all.merge(part)),
            _ => return Err("of the other round: give shards that all hold ranges, or all counts".to_owned()),
        }
        self.parts.insert(part, (pictures, shard.left_out));
        Ok(())
    }

    /// Whether a part with this identity, of `of` parts, of a network with these layers is one of these.
    ///
    /// # Errors
    /// It is not; the text says why.
    pub fn belongs(&self, identity: &Identity, of: usize, layers: &[Layer]) -> Result<(), String> {
        if let Some(difference) = self.identity.difference(identity) {
            return Err(format!("of {difference}: make all shards with the same arguments"));
        }
        if of != self.of {
            return Err(format!("one of {of} shards, others are of {}", self.of));
        }
        match self.layers == layers {
            true => Ok(()),
            false => {
                Err("of other layers of the same model: make all shards with the same version".to_owned())
            }
        }
    }

    /// How many parts are missing, and the first of them in words.
    pub fn missing(&self) -> Option<String> {
        let count = self.of - self.parts.len();
        let missing = (1..=self.of).filter(|part| !self.parts.contains_key(part)).take(NAMES_LISTED_MAX);
        let names = missing.map(|part| part.to_string()).collect::<Vec<_>>().join(", ");
        let more = if count > NAMES_LISTED_MAX { ", …" } else { "" };
        (count > 0).then(|| format!("{count} of {} shards are missing: {names}{more}", self.of))
    }

    /// Pictures of part `part` that cannot be read.
    pub fn left_out(&self, part: usize) -> &[LeftOut] {
        self.parts.get(&part).map_or(&[], |(_, left_out)| left_out)
    }

    /// Whether the parts hold counts, as those of the second round do.
    pub fn counted(&self) -> bool {
        self.histograms.is_some()
    }

    /// The layers and what was seen of their inputs; `None` in the first round.
    pub fn collected(self) -> Option<(Vec<Layer>, Collected)> {
        let histograms = self.histograms?;
        let pictures: usize = self.parts.values().map(|(all, left_out)| all - left_out.len()).sum();
        let of = self.of;
        let of_part = |(part, (_, left_out)): (usize, (usize, Vec<LeftOut>))| {
            left_out.into_iter().map(move |one| (one.at * of + part, one))
        };
        let mut skipped: Vec<(usize, LeftOut)> = self.parts.into_iter().flat_map(of_part).collect();
        skipped.sort_by_key(|(at, _)| *at);
        let skipped =
            skipped.into_iter().map(|(_, one)| Skipped { file: one.file.into(), reason: one.reason });
        Some((self.layers, Collected { histograms, pictures, skipped: skipped.collect() }))
    }
}
