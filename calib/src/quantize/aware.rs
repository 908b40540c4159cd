//! Accuracy-aware quantization: the costliest layers go back to float until the accuracy is within a bound.

use super::sensitivity::LayerCost;
use super::{Calibration, Recipe, artifact};
use crate::error::Result;
use crate::runtime::latency::Difference;
use crate::write::save::save;
use ocellus::loader::Model;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Most that mAP may lie below the float network's.
    pub drop_max: f64,
    /// Least share (0 to 1) of the multiply-accumulates that stay in int8.
    pub int8_min: f64,
    /// Most recipes that are measured.
    pub tries_max: usize,
}

/// A layer that went back to float.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restored {
    /// Place of its node.
    #[serde(skip)]
    pub at: usize,
    /// Its name.
    pub name: String,
    /// Share (0 to 1) of the network's multiply-accumulates.
    pub macs: f64,
    /// What it adds to mAP: the result's less that of the result without it.
    pub gain: Option<f64>,
    /// What it adds to the time of one picture on this CPU, one thread.
    pub ms: Option<Difference>,
}

/// Measured recipes, on disk after each, so that a run that was stopped goes on where it was.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Notes {
    /// What the measurements hold for.
    key: String,
    /// mAP by the names of the float layers.
    map: BTreeMap<String, f64>,
    #[serde(skip)]
    file: Option<PathBuf>,
}

impl Notes {
    /// The notes in `file`, if they are about `key` and of this version of the program; empty ones otherwise.
    pub fn open(file: &Path, key: &str) -> Self {
        let key = format!("{} {key}", env!("CARGO_PKG_VERSION"));
        let read = || serde_json::from_slice::<Notes>(&std::fs::read(file).ok()?).ok();
        let known = read().filter(|notes| notes.key == key).map(|notes| notes.map).unwrap_or_default();
        Notes { key, map: known, file: Some(file.to_owned()) }
    }

    /// Number of recipes that have been measured before.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether nothing has been measured.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The noted value of `name`, or what `measure` gives, which is noted.
    fn of(&mut self, name: String, measure: impl FnOnce() -> Result<f64>) -> Result<f64> {
        if let Some(known) = self.map.get(&name) {
            return Ok(*known);
        }
        let value = measure()?;
        self.map.insert(name, value);
        if let (Some(file), Ok(text)) = (&self.file, serde_json::to_vec_pretty(self)) {
            save(&[(file, &text)])?;
        }
        Ok(value)
    }

    /// Removes the file: the run is complete.
    pub fn discard(self) {
        // It may never have been written.
        self.file.map(std::fs::remove_file);
    }
}

/// The search for the fewest float layers.
pub struct Search<'a> {
    /// Where recipes come from.
    pub calibration: &'a Calibration,
    /// Everything in int8.
    pub whole: &'a Recipe,
    /// mAP of a model.
    pub worth: &'a dyn Fn(&Model) -> Result<f64>,
    /// The layers and what each costs.
    pub costs: &'a [LayerCost],
    /// When to stop.
    pub bound: Bound,
    /// mAP in float.
    pub float_map: f64,
}

/// What the search has found.
pub struct Found {
    /// Layers that go back to float.
    pub restored: Vec<Restored>,
    /// mAP with them.
    pub map: f64,
    /// Whether that is within the bound.
    pub within: bool,
}

impl Search<'_> {
    /// Tries the layers by falling cost of their own: a layer stays in float if that raises mAP. As soon as mAP is
    /// within the bound, gives back to int8 those that turn out not to be needed. Where the bound is not met, the
    /// best that was measured.
    ///
    /// # Errors
    /// A recipe does not run.
    pub fn run(&self, notes: &mut Notes, say: impl Fn(&str)) -> Result<Found> {
        let mut order: Vec<&LayerCost> = self.costs.iter().collect();
        let cost = |layer: &LayerCost| layer.alone_db.unwrap_or(f64::INFINITY);
        order.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
        let mut best = (self.map(&[], notes)?, Vec::new());
        let mut tries = 1;
        for layer in order {
            if self.is_within(best.0) || tries >= self.bound.tries_max {
                break;
            }
            let float = [&best.1[..], &[layer]].concat();
            if self.int8_share(&float) < self.bound.int8_min {
                continue;
            }
            let map = self.map(&float, notes)?;
            tries += 1;
            say(&format!("{map:.4} with {} in float", names(&float).join(", ")));
            if map > best.0 {
                best = (map, float);
            }
        }
        let best = self.pruned(best, notes, &say)?;
        self.report(best, notes)
    }

    /// Gives back every layer without which the bound still holds.
    fn pruned<'b>(
        &self,
        mut best: (f64, Vec<&'b LayerCost>),
        notes: &mut Notes,
        say: &impl Fn(&str),
    ) -> Result<(f64, Vec<&'b LayerCost>)> {
        if !self.is_within(best.0) {
            return Ok(best);
        }
        for layer in best.1.clone() {
            let fewer: Vec<_> = best.1.iter().copied().filter(|other| other.at != layer.at).collect();
            let map = self.map(&fewer, notes)?;
            if self.is_within(map) {
                say(&format!("{map:.4} with {} back in int8", layer.name));
                best = (map, fewer);
            }
        }
        Ok(best)
    }

    fn report(&self, (map, float): (f64, Vec<&LayerCost>), notes: &mut Notes) -> Result<Found> {
        let mut restored = Vec::new();
        for layer in &float {
            let fewer: Vec<_> = float.iter().copied().filter(|other| other.at != layer.at).collect();
            let gain = Some(map - self.map(&fewer, notes)?);
            let macs = 1.0 - self.int8_share(&[layer]);
            restored.push(Restored { at: layer.at, name: layer.name.clone(), macs, gain, ms: None });
        }
        Ok(Found { restored, map, within: self.is_within(map) })
    }

    fn is_within(&self, map: f64) -> bool {
        self.float_map - map <= self.bound.drop_max
    }

    /// Share of the multiply-accumulates that are int8.
    fn int8_share(&self, float: &[&LayerCost]) -> f64 {
        let all: u64 = self.costs.iter().map(|layer| layer.macs).sum();
        1.0 - float.iter().map(|layer| layer.macs).sum::<u64>() as f64 / all.max(1) as f64
    }

    fn map(&self, float: &[&LayerCost], notes: &mut Notes) -> Result<f64> {
        let mut key = names(float);
        key.sort_unstable();
        notes.of(key.join("|"), || {
            let places: HashSet<usize> = float.iter().map(|layer| layer.at).collect();
            let recipe = self.calibration.recipe_of(self.whole, &places);
            let model = artifact::model(&self.calibration.network, &recipe)?;
            (self.worth)(&model)
        })
    }
}

fn names<'b>(layers: &[&'b LayerCost]) -> Vec<&'b str> {
    layers.iter().map(|layer| layer.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_recipe_is_measured_once_and_read_again_by_the_next_run() {
        let file = std::env::temp_dir().join(format!("calib-notes-{}.json", std::process::id()));
        let key = "pictures and flags";
        let known = |notes: &mut Notes, name: &str| {
            notes.of(name.to_owned(), || Err(Error::Usage("measured again".to_owned())))
        };
        let mut notes = Notes::open(&file, key);
        assert!(notes.is_empty() && !file.exists());
        assert!(known(&mut notes, "a").is_err());
        assert!(notes.is_empty(), "a failure is no measurement");
        // A number that has no short decimal form comes back as it was.
        for (name, value) in [("", 0.1 + 0.2), ("a|b", 0.25)] {
            assert_eq!(notes.of(name.to_owned(), || Ok(value)).unwrap(), value);
            assert_eq!(known(&mut notes, name).unwrap(), value);
        }
        drop(notes);
        let mut again = Notes::open(&file, key);
        assert_eq!(again.len(), 2);
        assert_eq!(known(&mut again, "").unwrap(), 0.1 + 0.2);
        assert_eq!(known(&mut again, "a|b").unwrap(), 0.25);
        assert!(Notes::open(&file, "other pictures").is_empty());
        again.discard();
        assert!(!file.exists());
        let older = format!("{{\"key\": \"0.0.0 {key}\", \"map\": {{\"a|b\": 0.25}}}}");
        std::fs::write(&file, &older).unwrap();
        assert!(Notes::open(&file, key).is_empty(), "another version may compute otherwise");
        std::fs::write(&file, older.replace("0.0.0", env!("CARGO_PKG_VERSION"))).unwrap();
        assert_eq!(Notes::open(&file, key).len(), 1);
        std::fs::write(&file, "{\"key\": \"pictures and fl").unwrap();
        let broken = Notes::open(&file, key);
        assert!(broken.is_empty());
        broken.discard();
        assert!(!file.exists());
    }
}
