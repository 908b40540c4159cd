//! Arguments that say which annotated pictures are meant.

use crate::dataset::description::Description;
use crate::dataset::training::TrainingSet;
use crate::dataset::{Checked, Findings, Format, Source, Unlabelled, Whole, read_names};
use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Which annotated pictures.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// COCO annotation file, folder of YOLO, VOC or Cityscapes labels, or description of
    /// several (.toml; for stats, preview and anchors).
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// Folder of the pictures [default: the annotation file's; in a folder its images/ or JPEGImages/].
    #[arg(long, value_name = "DIR")]
    pub images: Option<PathBuf>,
    /// Class names, one per line: of a YOLO folder without data.yaml; of VOC all that there may be, of
    /// Cityscapes those that count.
    #[arg(long, value_name = "FILE")]
    pub names: Option<PathBuf>,
    /// Format of the annotations [default: what the files look like].
    #[arg(long, value_enum)]
    pub from: Option<Format>,
    /// A picture without a label file shows no object [default: that is a fault].
    #[arg(long)]
    pub background: bool,
    /// What a description's paths are relative to [default: its folder].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Leave out faulty pictures and boxes instead of stopping.
    #[arg(long)]
    pub skip_bad: bool,
}

/// Part of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartName {
    /// What a model is trained on.
    Train,
    /// What it is measured on.
    Val,
}

impl DataArgs {
    /// The description, if one was given.
    pub fn description(&self) -> Result<Option<Description>> {
        if self.data.extension().is_none_or(|e| e != "toml") {
            if self.root.is_some() {
                return Err(Error::Usage("--root goes with a description (.toml)".to_owned()));
            }
            return Ok(None);
        }
        let others = [self.images.is_some(), self.names.is_some(), self.from.is_some(), self.background];
        if others.contains(&true) {
            let what = "--images, --names, --from and --background: the description (.toml) says this itself";
            return Err(Error::Usage(what.to_owned()));
        }
        Description::open(&self.data, self.root.as_deref()).map(Some)
    }

    /// Checked pictures and boxes of a part of the description, or of the data set that was given instead.
    pub fn checked(&self, part: PartName) -> Result<Checked> {
        match (self.description()?, part) {
            (Some(description), PartName::Train) => description.read_train(),
            (Some(description), PartName::Val) => description.read_val(),
            (None, _) => self.of_one(Checked::read),
        }
    }

    /// As [`DataArgs::checked`], without faults.
    pub fn training_set(&self, part: PartName) -> Result<TrainingSet> {
        let checked = self.checked(part)?;
        self.say_what_is_left_out(checked.findings());
        checked.accept(self.skip_bad)
    }

    /// The data set, which must not be a description.
    pub fn whole(&self) -> Result<Whole> {
        if self.description()?.is_some() {
            return Err(Error::Usage("give the annotations of one data set, not a description".to_owned()));
        }
        let mut findings = Findings::gathering();
        let whole =
            self.of_one(|source, format, unlabelled| Whole::read(source, format, unlabelled, &mut findings))?;
        self.say_what_is_left_out(&findings);
        if !self.skip_bad {
            findings.into_result()?;
        }
        if whole.sizes.is_empty() {
            return Err(Error::Unmet("no picture of the data is without faults".to_owned()));
        }
        Ok(whole)
    }

    /// The format of the data set, which is not a description.
    pub fn format(&self) -> Result<Format> {
        self.from.map_or_else(|| Format::of(&self.data), Ok)
    }

    fn of_one<T>(&self, read: impl FnOnce(Source<'_>, Format, Unlabelled) -> Result<T>) -> Result<T> {
        let names = self.names.as_deref().map(read_names).transpose()?;
        let (annotations, images): (&Path, _) = (&self.data, self.images.as_deref());
        let unlabelled = if self.background { Unlabelled::Background } else { Unlabelled::Fault };
        let source = Source { annotations, images, names: names.as_deref(), limit: None };
        read(source, self.format()?, unlabelled)
    }

    fn say_what_is_left_out(&self, findings: &Findings) {
        if self.skip_bad {
            findings.iter().for_each(|fault| eprintln!("left out: {fault}"));
        }
    }
}
