//! What a pipeline makes, step by step.

use super::Hands;
use super::config::{Config, Training};
use super::work::{Made, Work, contents, data};
use crate::augment::Augment;
use crate::dataset::classes::MapEntry;
use crate::error::Result;
use crate::quantize::aware::{Bound, Notes, Search};
use crate::quantize::{Calibration, Choices, Recipe, artifact, sensitivity};
use crate::runtime::network::{Network, NetworkOptions, at_other_size, files_named};
use crate::share::cores;
use crate::table;
use crate::train::plan::Plan;
use crate::train::run::Run;
use crate::train::schedule::Optimizer;
use crate::train::teacher::Lesson;
use crate::write::save::save;
use ocellus::loader::Model;
use ocellus::zoo;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// In the folder of a training, and what the other steps write.
const TRAINED: &str = "last.onnx";
const QUANTIZED: &str = "int8.onnx";
/// Pictures on which the cost of each layer is found.
const COMPARED: usize = 16;

/// The steps, and all that they need.
pub(super) struct Steps<'a, 'b> {
    config: &'a Config,
    hands: &'a mut Hands<'b>,
    work: Work,
    /// Hash of the data.
    data: String,
    /// To calibrate with, and their hash.
    pictures: Vec<PathBuf>,
    seen: String,
}

impl<'a, 'b> Steps<'a, 'b> {
    pub fn new(config: &'a Config, folder: &Path, hands: &'a mut Hands<'b>) -> Result<Self> {
        let read = plan(config, &config.student, None).read()?;
        let pictures = match config.quantize.pictures.is_empty() {
            true => read.train.pictures.iter().map(|picture| picture.path.clone()).collect(),
            false => table::find(&config.quantize.pictures)?,
        };
        let pictures = table::spread_out(&pictures, config.quantize.limit);
        let (work, seen) = (Work::new(folder, config.size, &read)?, contents(&pictures)?);
        // Where nothing is held out, that says nothing.
        let sets =
            [&read.train, &read.held_out, &read.val].into_iter().filter(|set| !set.pictures.is_empty());
        let data = sets.map(data).collect::<Result<Vec<_>>>()?.join(" ");
        let data = format!("{} {data}", config.size);
        Ok(Steps { config, work, hands, data, pictures, seen })
    }

    /// The teacher: trained, or a file.
    pub fn teacher(&mut self) -> Result<Option<Made>> {
        let Some(teacher) = &self.config.teacher else { return Ok(None) };
        if let Some(training) = &teacher.train {
            let from = format!("{training:?} {}", self.config.seed);
            let plan = plan(self.config, training, None);
            return self.trained("teacher", &[&from], plan).map(Some);
        }
        let file = teacher.file.as_deref().expect("the configuration was checked");
        Made::of_file(file).map(Some)
    }

    /// A student of the labels, and of a teacher.
    pub fn student(&mut self, teacher: Option<&Made>) -> Result<Made> {
        let config = self.config;
        let mut from = format!("{:?} {}", config.student, config.seed);
        let mut lesson = None;
        if let (Some(made), Some(teacher)) = (teacher, &config.teacher) {
            from += &format!(" {} {:?} {}", made.key, teacher.map, teacher.weight);
            let entry =
                |(data, model): (&String, &String)| MapEntry { data: data.clone(), model: model.clone() };
            let map = teacher.map.iter().map(entry).collect();
            lesson = Some(Lesson { model: made.model.clone(), map, weight: teacher.weight, taps: None });
        }
        let step = if lesson.is_some() { "with teacher" } else { "without teacher" };
        self.trained(step, &[&from], plan(config, &config.student, lesson))
    }

    /// The int8 model of a float one.
    pub fn quantized(&mut self, float: &Made) -> Result<Made> {
        let place = match self.find("quantized", &[&float.key, &self.seen.clone()])? {
            Ok(made) => return Ok(made),
            Err(place) => place,
        };
        let start = Instant::now();
        let calibration = self.calibration(float)?;
        let choices = Choices::default();
        let recipe = calibration.recipe(&choices, &HashSet::new());
        self.write(float, &calibration, (&recipe, &HashSet::new()), &place.0)?;
        self.work.done(("quantized", 1.0), place, QUANTIZED, start)
    }

    /// An int8 model, trained behind its grids with the float one as its teacher.
    pub fn trained_behind_grids(&mut self, float: &Made, int8: &Made) -> Result<Made> {
        let config = self.config;
        let training = Training {
            network: int8.model.to_string_lossy().into_owned(),
            depth_multiple: None,
            width_multiple: None,
            epochs: config.qat.epochs,
            optimizer: Optimizer::AdamW,
            rate: Some(config.qat.rate),
            ..config.student.clone()
        };
        let from = format!("{:?} {} {}", config.qat, config.student.batch, config.seed);
        let lesson = Lesson { model: float.model.clone(), map: Vec::new(), weight: 1.0, taps: None };
        let plan = Plan { learn_scales: config.qat.learn_scales, ..plan(config, &training, Some(lesson)) };
        self.trained("trained behind grids", &[&float.key, &int8.key, &from], plan)
    }

    /// The int8 model with as few layers in float as it takes.
    pub fn partly_float(&mut self, float: &Made) -> Result<Made> {
        let settings = format!("{:?} {}", self.config.quantize, self.seen);
        let place = match self.find("partly float", &[&float.key, &settings])? {
            Ok(made) => return Ok(made),
            Err(place) => place,
        };
        let start = Instant::now();
        let calibration = self.calibration(float)?;
        let whole = calibration.recipe(&Choices::default(), &HashSet::new());
        let few = table::spread_out(&self.pictures, COMPARED);
        let costs = sensitivity::layers(&calibration, &whole, &few, cores(), || ())?;
        let quantize = &self.config.quantize;
        let bound =
            Bound { drop_max: quantize.max_drop, int8_min: quantize.min_int8, tries_max: quantize.max_tries };
        let worth = |model: &Model| self.work.worth(model);
        let search = Search {
            calibration: &calibration,
            whole: &whole,
            worth: &worth,
            costs: &costs,
            bound,
            float_map: float.row.mean(),
        };
        let mut notes = Notes::open(&place.0.join("progress.json"), &place.1);
        let found = search.run(&mut notes, |line| log::info!("mean mAP {line}"))?;
        let restored: HashSet<usize> = found.restored.iter().map(|layer| layer.at).collect();
        let recipe = calibration.recipe_of(&whole, &restored);
        self.write(float, &calibration, (&recipe, &restored), &place.0)?;
        notes.discard();
        self.work.done(("partly float", calibration.int8_share(&restored)), place, QUANTIZED, start)
    }

    /// A network trained to the end of its plan.
    fn trained(&mut self, step: &str, from: &[&str], plan: Plan) -> Result<Made> {
        let begun = match zoo::find(&plan.model) {
            Some(_) => plan.model.clone(),
            None => contents(&files_named(Path::new(&plan.model)))?,
        };
        let place = match self.find(step, &[from, &[&begun]].concat())? {
            Ok(made) => return Ok(made),
            Err(place) => place,
        };
        let start = Instant::now();
        let data = plan.read()?;
        let mut run = match Run::is_begun(&place.0) {
            true => Run::resume(data, &place.0)?,
            false => Run::begin(plan, data, &place.0, None)?,
        };
        (self.hands.train)(&mut run)?;
        let int8 = if run.is_int8() { 1.0 } else { 0.0 };
        self.work.done((step, int8), place, TRAINED, start)
    }

    /// What was made before, or the place where it is to be made.
    fn find(&mut self, step: &str, from: &[&str]) -> Result<std::result::Result<Made, (PathBuf, String)>> {
        let name = step.replace(' ', "-");
        let from = [&[step, &self.data], from].concat();
        let found = self.work.find(&name, &from)?;
        match &found {
            Ok(made) => (self.hands.say)(&format!("{step}: mean mAP {:.4}, made before", made.row.mean()))?,
            Err((folder, _)) => (self.hands.say)(&format!("{step}: in {}", folder.display()))?,
        }
        Ok(found)
    }

    fn calibration(&self, float: &Made) -> Result<Calibration> {
        let network = Network::open(&NetworkOptions {
            model: float.model.clone(),
            side: Some(self.config.size),
            preprocess: Vec::new(),
        })?;
        Calibration::new(&network, &self.pictures, true, cores(), || ())
    }

    /// Writes an int8 model into the folder of its step.
    fn write(
        &self,
        float: &Made,
        calibration: &Calibration,
        (recipe, kept): (&Recipe, &HashSet<usize>),
        folder: &Path,
    ) -> Result<()> {
        let other = at_other_size(&float.model, calibration.network.graph())
            .and_then(|graph| calibration.at_size_of(&graph).map_err(|e| e.to_string()));
        let path = folder.join(QUANTIZED);
        let written = artifact::files((calibration, &other), &Choices::default(), kept, recipe, &path)?;
        let files: Vec<(&Path, &[u8])> =
            written.files.iter().map(|(path, bytes)| (&**path, &bytes[..])).collect();
        save(&files)
    }
}

/// What a run is to be.
fn plan(config: &Config, training: &Training, lesson: Option<Lesson>) -> Plan {
    Plan {
        data: config.data.clone(),
        root: config.root.clone(),
        skip_bad: false,
        model: training.network.clone(),
        multiples: [training.depth_multiple, training.width_multiple],
        size: config.size,
        epochs: training.epochs,
        batch: training.batch,
        seed: config.seed,
        optimizer: training.optimizer,
        rate: training.rate.unwrap_or(training.optimizer.rate()),
        objectness: training.objectness,
        patience: 0,
        augment: Augment::default(),
        lesson,
        learn_scales: false,
    }
}
