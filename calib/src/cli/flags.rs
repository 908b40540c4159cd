//! Flags that several commands share.

use super::{PreprocessArgs, within};
use crate::dataset::classes::MapEntry;
use crate::dataset::{Dataset, Format, Source, read_names};
use crate::error::{Error, Result};
use crate::share::cores;
use crate::table;
use clap::Args;
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN, THREADS_MAX};
use std::path::PathBuf;

/// Pictures without annotations.
#[derive(Debug, Args)]
pub struct PicturesArgs {
    /// Pictures, and folders of pictures, like those that the model will see.
    #[arg(value_name = "IMAGES", required = true)]
    pub images: Vec<PathBuf>,
    /// Use N of the pictures, drawn by --seed.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Which pictures --limit draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

impl PicturesArgs {
    /// Refuses what no set of pictures could follow.
    pub(super) fn check(&self) -> Result<()> {
        within("limit", self.limit, 1, usize::MAX)
    }

    /// The pictures, in an order that depends on the arguments and the files' names alone.
    pub(super) fn find(&self) -> Result<Vec<PathBuf>> {
        let pictures = table::find(&self.images)?;
        Ok(match self.limit {
            Some(limit) => table::sample(pictures, limit, self.seed),
            None => pictures,
        })
    }
}

/// How models read pictures, and on how many threads they run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Side of the model's input in pixels [default: what the model says].
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    /// Worker threads [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// How pictures are prepared.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
}

impl RunArgs {
    /// Refuses what could only fail after a long run.
    pub(super) fn check(&self) -> Result<()> {
        within("size", self.size, INPUT_SIDE_MIN, INPUT_SIDE_MAX)?;
        within("threads", self.threads, 1, THREADS_MAX)
    }

    /// Worker threads.
    pub(super) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(cores)
    }
}

/// Annotated pictures that a command is about.
#[derive(Debug, Args)]
pub struct EvalSetArgs {
    /// COCO annotation file, or folder of YOLO, VOC or Cityscapes labels.
    #[arg(long, value_name = "JSON|DIR")]
    pub annotations: PathBuf,
    /// Folder of the pictures [default: the annotation file's; in a folder its images/ or JPEGImages/].
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Evaluate only the first N images, by id.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Class names, one per line: of the model, and of a YOLO folder without data.yaml.
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Which class of the data is which class of the model; others are matched by equal name.
    #[arg(long, value_name = "DATA=MODEL", value_delimiter = ',')]
    pub class_map: Vec<MapEntry>,
}

impl EvalSetArgs {
    /// Refuses what could only fail after a long run.
    pub(super) fn check(&self) -> Result<()> {
        within("limit", self.limit, 1, usize::MAX)
    }

    /// The data set, and the class names of --names.
    pub(super) fn open(&self) -> Result<(Dataset, Option<Vec<String>>)> {
        let names = self.names.as_deref().map(read_names).transpose()?;
        let (annotations, images) = (&self.annotations, self.images.as_deref());
        // Other formats say the names of their own classes; the model's may be others.
        let unnamed = Format::of(annotations)? == Format::Yolo;
        let of_data = names.as_deref().filter(|_| unnamed);
        let dataset = Dataset::open(Source { annotations, images, names: of_data, limit: self.limit })?;
        Ok((dataset, names))
    }
}

/// Refuses a share outside 0 to 1, by the flag's name.
pub(super) fn check_share(flag: &str, value: f64) -> Result<()> {
    match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::Usage(format!("--{flag} {value}: must be 0 to 1"))),
    }
}

/// Refuses a --percentile that clips everything, or less than nothing.
pub(super) fn check_percentile(percent: f64) -> Result<()> {
    match percent > 0.0 && percent <= 100.0 {
        true => Ok(()),
        false => Err(Error::Usage(format!("--percentile {percent}: must be above 0, to 100"))),
    }
}
