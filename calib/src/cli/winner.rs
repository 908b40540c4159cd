//! `calib select --quantize`: the int8 model of the best one.

use super::calibrating::{Calibrated, steps_bar};
use super::flags::RunArgs;
use super::measuring::{outputs, shared_pictures};
use crate::convert::{FileSize, Target, names_entry};
use crate::dataset::Dataset;
use crate::dataset::classes::MapEntry;
use crate::error::Result;
use crate::judge::Judge;
use crate::quantize::summary::Accuracy;
use crate::quantize::{Choices, artifact};
use crate::runtime::network::{Network, NetworkOptions};
use crate::select::{Candidate, Quantized};
use crate::table;
use crate::write::save::{check_target, save};
use clap::Args;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What becomes of the best model.
#[derive(Debug, Args)]
pub struct WinnerArgs {
    /// Quantize the best model, as calib quantize does without further flags, and write it: .onnx or .param (and .bin).
    #[arg(long, value_name = "FILE", requires = "calibration")]
    pub quantize: Option<PathBuf>,
    /// Pictures, and folders of pictures, to calibrate --quantize with: others than those that measure.
    #[arg(long, value_name = "IMAGES", num_args = 1.., requires = "quantize")]
    pub calibration: Vec<PathBuf>,
    /// Use N of the pictures of --calibration.
    #[arg(long, value_name = "N", requires = "calibration")]
    pub calibration_limit: Option<usize>,
}

impl WinnerArgs {
    /// Refuses what could only fail after a long run.
    pub(super) fn check(&self) -> Result<()> {
        let Some(path) = &self.quantize else { return Ok(()) };
        super::within("calibration-limit", self.calibration_limit, 1, usize::MAX)?;
        table::find(&self.calibration)?;
        Target::of(path)?;
        check_target("--quantize", path)
    }
}

/// Quantizes the model of `best` and writes it to `path`; `class_map` joins its classes with those of the data set.
pub(super) fn quantize(
    args: &WinnerArgs,
    (run, class_map): (&RunArgs, &[MapEntry]),
    (dataset, names): (&Dataset, Option<&[String]>),
    best: &Candidate,
    path: &Path,
) -> Result<Quantized> {
    let threads = run.threads();
    let mut network = Network::open(&NetworkOptions {
        model: best.model.clone().into(),
        side: run.size,
        preprocess: run.preprocess.entries(),
    })?;
    if let Some(names) = names {
        let metadata = &mut network.model.metadata;
        metadata.retain(|(key, _)| key != "names");
        metadata.push(("names".to_owned(), names_entry(names)));
    }
    let mut pictures = table::find(&args.calibration)?;
    if let Some(limit) = args.calibration_limit {
        pictures = table::sample(pictures, limit, 0);
    }
    let done = Calibrated::new(network, pictures, true, threads)?;
    let (choices, float) = (Choices::default(), HashSet::new());
    let recipe = done.calibration.recipe(&choices, &float);
    let int8 = artifact::model(&done.calibration.network, &recipe)?;
    let judge = Judge::new(dataset, class_map, &int8, threads)?;
    let bar = steps_bar(dataset.images.len(), "measuring");
    let verdict = judge.judge(&int8, || bar.inc(1));
    bar.finish_and_clear();
    let accuracy = Accuracy { float: best.summary, int8: verdict?.map.summary };
    let (outputs_db, far) = outputs(&done, &recipe, threads)?;
    let mut warnings = done.warnings();
    warnings.extend(shared_pictures(dataset, &done.pictures));
    warnings.extend(far);
    let other = done.at_other_size(Path::new(&best.model));
    let files = artifact::files((&done.calibration, &other), &choices, &float, &recipe, path)?.files;
    let contents: Vec<(&Path, &[u8])> =
        files.iter().map(|(path, bytes)| (path.as_path(), &bytes[..])).collect();
    save(&contents)?;
    warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let files = files.iter().map(|(path, bytes)| FileSize::new(path, bytes.len() as u64)).collect();
    Ok(Quantized { files, images: done.calibration.pictures, outputs_db, accuracy, warnings })
}
