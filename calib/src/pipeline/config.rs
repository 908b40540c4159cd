//! What a pipeline is to make: a TOML file.
//!
//! ```toml
//! data = "data.toml"              # as of `calib train`
//! root = "pictures"               # what paths in it, and those of [quantize], are relative to; without it the folder of data
//! size = 256
//!
//! [teacher]                       # without it there is no distillation
//! file = "s.param"                # a detector; or [teacher.train] with the keys of [student]: it is trained first
//! map = { car = "vehicle" }
//!
//! [student]
//! network = "v5lite-e"
//! epochs = 76
//! optimizer = "adamw"
//!
//! [quantize]
//! pictures = ["coco/train"]       # to calibrate with; without it those of [[train]]
//! max-drop = 0.005                # of the mean mAP
//!
//! [qat]
//! epochs = 10
//! ```
//!
//! Paths are relative to the file.

use crate::dataset::read_text;
use crate::error::{Error, Result};
use crate::limits::TEXT_FILE_BYTES_MAX;
use crate::pytorch::branches;
use crate::train::repopt::refusal;
use crate::train::schedule::Optimizer;
use ocellus::limits::{BATCH_MAX, INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The content of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Description of the data.
    pub data: PathBuf,
    /// What paths in it are relative to.
    pub root: Option<PathBuf>,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// What all chance follows from.
    #[serde(default)]
    pub seed: u64,
    /// Who teaches.
    pub teacher: Option<Teacher>,
    /// What is trained.
    pub student: Training,
    /// How it becomes int8.
    #[serde(default)]
    pub quantize: Quantize,
    /// How it is trained behind its grids.
    #[serde(default)]
    pub qat: Qat,
}

/// A teacher: a file, or a network to be trained first.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// A detector with YOLOv5's heads.
    pub file: Option<PathBuf>,
    /// A network to train.
    pub train: Option<Training>,
    /// Which of its classes is which of the student's.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// How much what it says counts, in parts of a label.
    #[serde(default = "one")]
    pub weight: f64,
}

/// A network, and how it is trained.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Training {
    /// A built-in network, or a file with a trained one.
    pub network: String,
    /// Depth of a built-in one, where it is not its own.
    pub depth_multiple: Option<f64>,
    /// Its width.
    pub width_multiple: Option<f64>,
    /// How often all pictures are seen.
    #[serde(default = "epochs")]
    pub epochs: usize,
    /// Pictures of a step.
    #[serde(default = "batch")]
    pub batch: usize,
    /// How weights follow from gradients.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// The highest learning rate.
    pub rate: Option<f64>,
    /// What objectness weighs in the loss.
    pub objectness: Option<f64>,
}

/// How a network becomes int8.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Quantize {
    /// Pictures and folders of pictures to calibrate with; empty: those that are trained on.
    pub pictures: Vec<PathBuf>,
    /// Most of them.
    pub limit: usize,
    /// Most that the mean mAP (0 to 1) may fall.
    pub max_drop: f64,
    /// Least share of multiply-accumulates in int8 where layers go back to float.
    pub min_int8: f64,
    /// Most models that are measured for that.
    pub max_tries: usize,
}

impl Default for Quantize {
    fn default() -> Self {
        Quantize { pictures: Vec::new(), limit: 300, max_drop: 0.005, min_int8: 0.9, max_tries: 24 }
    }
}

/// Training behind grids.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Qat {
    /// How often all pictures are seen.
    pub epochs: usize,
    /// The highest learning rate.
    pub rate: f64,
    /// Whether the scales of the codes are learned, too.
    pub learn_scales: bool,
}

impl Default for Qat {
    fn default() -> Self {
        Qat { epochs: 10, rate: 1e-4, learn_scales: false }
    }
}

fn one() -> f64 {
    1.0
}

fn epochs() -> usize {
    100
}

fn batch() -> usize {
    16
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, has an unknown or a missing key, or a number is out of bounds; the message says where.
    pub fn open(path: &Path) -> Result<Self> {
        let text = read_text(path, TEXT_FILE_BYTES_MAX)?;
        let mut config: Config = toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Error::bad_line(path, line, e.message())
        })?;
        config.check().map_err(|what| Error::bad_data(path, what))?;
        let folder = path.parent().unwrap_or_else(|| "".as_ref());
        config.join(&std::path::absolute(folder.join(".")).map_err(|e| Error::io(path, e))?);
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if !(INPUT_SIDE_MIN..=INPUT_SIDE_MAX).contains(&self.size) {
            return Err(format!("size = {}: {INPUT_SIDE_MIN} to {INPUT_SIDE_MAX} are possible", self.size));
        }
        self.student.check("student")?;
        if let Some(teacher) = &self.teacher {
            match (&teacher.file, &teacher.train) {
                (Some(_), None) => {}
                (None, Some(training)) => training.check("teacher.train")?,
                _ => {
                    return Err(
                        "[teacher] needs either `file`, a detector, or [teacher.train], a network".to_owned()
                    );
                }
            }
            if !(teacher.weight > 0.0 && teacher.weight.is_finite()) {
                return Err(format!("teacher.weight = {}: must be above 0", teacher.weight));
            }
        }
        let shares = [("max-drop", self.quantize.max_drop), ("min-int8", self.quantize.min_int8)];
        for (key, share) in shares {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("quantize.{key} = {share}: must be 0 to 1"));
            }
        }
        check_count("quantize.limit", self.quantize.limit, usize::MAX)?;
        check_count("quantize.max-tries", self.quantize.max_tries, usize::MAX)?;
        check_count("qat.epochs", self.qat.epochs, usize::MAX)?;
        check_rate("qat", Some(self.qat.rate))
    }

    /// Makes paths independent of the folder that the program runs in.
    fn join(&mut self, folder: &Path) {
        self.data = folder.join(&self.data);
        self.root = self.root.as_ref().map(|root| folder.join(root));
        let root = self.root.clone().or_else(|| self.data.parent().map(Path::to_owned)).unwrap_or_default();
        self.quantize.pictures.iter_mut().for_each(|path| *path = root.join(&*path));
        if let Some(file) = self.teacher.as_mut().and_then(|teacher| teacher.file.as_mut()) {
            *file = folder.join(&*file);
        }
        let trained = self.teacher.as_mut().and_then(|teacher| teacher.train.as_mut());
        for training in trained.into_iter().chain([&mut self.student]) {
            if Path::new(&training.network).extension().is_some()
                && ocellus::zoo::find(&training.network).is_none()
            {
                training.network = folder.join(&training.network).to_string_lossy().into_owned();
            }
        }
    }
}

impl Training {
    fn check(&self, table: &str) -> Result<(), String> {
        check_count(&format!("{table}.epochs"), self.epochs, usize::MAX)?;
        check_count(&format!("{table}.batch"), self.batch, BATCH_MAX)?;
        check_rate(table, self.rate)?;
        // What a file holds is seen when it is opened.
        let plain = ocellus::zoo::find(&self.network).filter(|network| !branches(network).contains(&true));
        if self.optimizer == Optimizer::RepOpt && plain.is_some() {
            return Err(format!("{table}.optimizer: {}", refusal(&self.network)));
        }
        match self.objectness {
            Some(weight) if !(weight >= 0.0 && weight.is_finite()) => {
                Err(format!("{table}.objectness = {weight}: must be 0 or more"))
            }
            _ => Ok(()),
        }
    }
}

fn check_count(key: &str, count: usize, most: usize) -> Result<(), String> {
    match count {
        0 => Err(format!("{key} = 0: must be 1 or more")),
        _ if count > most => Err(format!("{key} = {count}: at most {most} are possible")),
        _ => Ok(()),
    }
}

fn check_rate(table: &str, rate: Option<f64>) -> Result<(), String> {
    match rate {
        Some(rate) if !(rate > 0.0 && rate <= 1.0) => {
            Err(format!("{table}.rate = {rate}: must be above 0, to 1"))
        }
        _ => Ok(()),
    }
}
