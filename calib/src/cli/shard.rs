//! `calib table --shard`: one part of a calibration that is spread over machines.

use super::{Format, bar_of, print};
use crate::dataset::Skipped;
use crate::error::{Error, Result};
use crate::runtime::activations::Observer;
use crate::runtime::network::Network;
use crate::table::merge::{Merged, merge};
use crate::table::shard::{Identity, LeftOut, Place, Shard};
use crate::table::{self, Layer, Range, Reached, without};
use crate::write::save::save;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a shard holds.
#[derive(Debug, Serialize)]
struct Summary {
    /// The file.
    file: String,
    /// Which part.
    shard: Place,
    /// `ranges` in the first round, `counts` in the second.
    holds: &'static str,
    /// Pictures of this part that were seen.
    images: usize,
    /// Pictures of this part that cannot be read.
    skipped: Vec<LeftOut>,
}

/// What part is wanted.
pub(super) struct Part<'a> {
    /// Which one.
    pub place: Place,
    /// What the shards of the first round hold; none: this is the first.
    pub ranges: &'a [PathBuf],
    /// The file of the network.
    pub model: &'a Path,
    /// The file to write.
    pub output: &'a Path,
    pub threads: usize,
    pub format: Format,
}

/// Makes one part of a calibration on `pictures`, and reports on `out`.
pub(super) fn run(wanted: &Part, network: &Network, pictures: &[PathBuf], out: &mut dyn Write) -> Result<()> {
    let &Part { place, ranges, model, output, threads, format } = wanted;
    let own = place.pick(pictures);
    if pictures.len() < place.of {
        let Place { part, of } = place;
        return Err(Error::Usage(format!("--shard {part}/{of}: there are only {} pictures", pictures.len())));
    }
    let identity = Identity::new(model, network, pictures)?;
    let (layers, tensors) = table::layers(network.graph());
    let observer = || Ok(Observer::new(network.graph(), &network.preprocess, &tensors)?);
    // A wrong file is to be found before the long run.
    let first_round = first_round(ranges, (place, &identity, &layers))?;
    let bar = bar_of(own.len());
    let made = match first_round {
        None => table::reach(observer, &own, threads, || bar.inc(1)).map(|Reached { ranges, skipped }| {
            let left_out = skipped.into_iter().map(|(at, Skipped { file, reason })| LeftOut {
                at,
                file: file.display().to_string(),
                reason,
            });
            (ranges, left_out.collect(), None)
        }),
        Some((ranges, left_out)) => {
            let usable = without(&own, left_out.iter().map(|one| one.at));
            let counted = table::count(observer, &usable, &ranges, threads, || bar.inc(1));
            counted.map(|histograms| (ranges, left_out, Some(histograms)))
        }
    };
    bar.finish_and_clear();
    let (ranges, left_out, histograms) = made?;
    let shard = Shard { place, identity, left_out, layers, ranges, histograms };
    save(&[(output, &shard.to_bytes())])?;
    for LeftOut { file, reason, .. } in &shard.left_out {
        eprintln!("left out: {file}: {reason}");
    }
    let summary = Summary {
        file: output.display().to_string(),
        shard: place,
        holds: if shard.histograms.is_some() { "counts" } else { "ranges" },
        images: shard.pictures() - shard.left_out.len(),
        skipped: shard.left_out,
    };
    print(out, format, &summary, || to_text(&summary))
}

/// What the files of --ranges say: ranges over all pictures, and which of this part's cannot be read.
fn first_round(
    ranges: &[PathBuf],
    (place, identity, layers): (Place, &Identity, &[Layer]),
) -> Result<Option<(Vec<Range>, Vec<LeftOut>)>> {
    if ranges.is_empty() {
        return Ok(None);
    }
    let merged: Merged = merge(ranges)?;
    let refuse = |what: String| Err(Error::Usage(format!("--ranges: {what}")));
    if let Err(what) = merged.belongs(identity, place.of, layers) {
        return refuse(format!("this run is {what}"));
    }
    if merged.counted() {
        return refuse("these shards are of the second round; give those of the first".to_owned());
    }
    if let Some(missing) = merged.missing() {
        return refuse(format!("{missing}; the ranges of all pictures are needed"));
    }
    let left_out = merged.left_out(place.part).to_vec();
    Ok(Some((merged.ranges, left_out)))
}

fn to_text(Summary { file, shard: Place { part, of }, holds, images, skipped }: &Summary) -> String {
    let next = match *holds {
        "ranges" => "when all shards have got so far, run each again with --ranges and all their files",
        _ => "when all shards have got so far, make the table of them with calib merge",
    };
    let skipped = skipped.len();
    format!("{file}: {holds} of shard {part} of {of}, images: {images}, skipped: {skipped}\n{next}\n")
}
