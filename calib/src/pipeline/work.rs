//! The folder of a pipeline: what each step has made, found again by what it follows from.

use super::outcome::Row;
use crate::dataset::training::TrainingSet;
use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::pytorch::load;
use crate::runtime::network::files_named;
use crate::share::cores;
use crate::train::data::Data;
use crate::train::validation::{Score, Validation, mean};
use crate::write::save::save;
use ocellus::loader::{LoadOptions, Model};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// In the folder of a step that is done.
const DONE: &str = "done.json";

/// What a step has made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The model.
    pub model: PathBuf,
    /// What it is worth.
    pub row: Row,
    /// Hash of all that it follows from.
    pub key: String,
}

impl Made {
    /// A model that somebody else has made.
    pub fn of_file(model: &Path) -> Result<Self> {
        let row = Row { step: "teacher".to_owned(), ..Row::default() };
        Ok(Made { model: model.to_owned(), row, key: contents(&files_named(model))? })
    }
}

/// The folder.
pub(super) struct Work {
    folder: PathBuf,
    size: usize,
    validations: Vec<Validation>,
}

impl Work {
    pub fn new(folder: &Path, size: usize, data: &Data) -> Result<Self> {
        Ok(Work { folder: folder.to_owned(), size, validations: data.validations()? })
    }

    /// What was made by the step `name` from `from`, if it was; else its folder and key.
    pub fn find(&self, name: &str, from: &[&str]) -> Result<std::result::Result<Made, (PathBuf, String)>> {
        let mut hash = Hash::default();
        for part in from {
            hash.add(part.as_bytes());
            // So that no part can end where the next one begins.
            hash.add(&[0]);
        }
        let key = hash.text();
        let folder = self.folder.join("steps").join(format!("{name}-{key}"));
        let done = folder.join(DONE);
        let row = std::fs::read(&done).ok().and_then(|bytes| serde_json::from_slice::<Row>(&bytes).ok());
        Ok(match row.map(|row| (folder.join(&row.file), row)) {
            Some((model, row)) if model.is_file() => Ok(Made { model, row, key }),
            _ => {
                std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
                Err((folder, key))
            }
        })
    }

    /// Measures what a step has made in its `folder`, and notes that it is done. `int8`: share of multiply-accumulates.
    pub fn done(
        &self,
        (step, int8): (&str, f64),
        (folder, key): (PathBuf, String),
        file: &str,
        start: Instant,
    ) -> Result<Made> {
        let model = folder.join(file);
        let network = load(&model, &LoadOptions { size: Some([self.size; 2]) })?;
        let scores = self.scores(&network)?;
        let seconds = start.elapsed().as_secs_f64();
        let row = Row { step: step.to_owned(), file: file.to_owned(), int8, scores, seconds };
        let text = serde_json::to_vec_pretty(&row).map_err(|e| Error::bad_data(&folder, e.to_string()))?;
        save(&[(&folder.join(DONE), &text)])?;
        Ok(Made { model, row, key })
    }

    /// The mean mAP of a model in memory.
    pub fn worth(&self, model: &Model) -> Result<f64> {
        self.scores(model).map(|scores| mean(&scores))
    }

    fn scores(&self, model: &Model) -> Result<Vec<Score>> {
        self.validations.iter().map(|set| set.score(model, cores(), || ())).collect()
    }
}

/// Hash of the contents of files.
pub(super) fn contents(files: &[PathBuf]) -> Result<String> {
    let mut hash = Hash::default();
    for file in files {
        hash.add(&std::fs::read(file).map_err(|e| Error::io(file, e))?);
    }
    Ok(hash.text())
}

/// Hash of pictures and boxes. Of what is seen twice, once: the settings say the rest.
pub(super) fn data(set: &TrainingSet) -> Result<String> {
    let mut hash = Hash::default();
    hash.add(format!("{:?} {:?}", set.classes, set.origins).as_bytes());
    for picture in &set.pictures {
        hash.add(format!("{:?} {} {:?}", picture.path.file_name(), picture.origin, picture.boxes).as_bytes());
        hash.add(&std::fs::read(&picture.path).map_err(|e| Error::io(&picture.path, e))?);
    }
    Ok(hash.text())
}
