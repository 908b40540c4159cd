//! A model that finds objects in pictures: engine, preprocessing and decoding in one piece.

use crate::detect::{Anchors, Cell, Detection, HeadOptions, Heads, Names, Output, PostProcess};
use crate::engine::EngineOptions;
use crate::engines::{self, Backend, EngineKind, Opened};
use crate::error::{Error, Result};
use crate::image::{Fit, Frame, Letterbox, Mapping, Preprocess};
use crate::kernels::isa::Isa;
use crate::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use crate::loader::{LoadOptions, Model};
use std::path::Path;
use std::time::{Duration, Instant};

/// How a [`Detector`] is set up. The default is what YOLOv5 shows a person.
#[derive(Clone, Debug)]
pub struct DetectorOptions {
    /// Engine that runs the model.
    pub engine: EngineKind,
    /// Network input as `[height, width]`; `None`: the model's own.
    pub size: Option<[usize; 2]>,
    /// Arithmetic, threads, instruction set.
    pub run: EngineOptions,
    /// Boxes at or below this score are dropped.
    pub score: f32,
    /// Boxes of a class that overlap more than this are one object.
    pub iou: f32,
    /// Most detections of a picture.
    pub max_det: usize,
    /// Every class above the score makes a box, as YOLOv5 is evaluated.
    pub multi_label: bool,
    /// Boxes of different classes suppress each other.
    pub agnostic: bool,
    /// Class names; `None`: the model's, COCO's where it has none and 80 classes.
    pub names: Option<Names>,
    /// Anchors; `None`: the model's, YOLOv5's where it has none.
    pub anchors: Option<Anchors>,
    /// Preprocessing properties that replace the model's, as [`Preprocess::set`] takes them.
    pub preprocess: Vec<(String, String)>,
}

impl Default for DetectorOptions {
    fn default() -> Self {
        DetectorOptions {
            engine: EngineKind::Native,
            size: None,
            run: EngineOptions::default(),
            score: 0.25,
            iou: 0.45,
            max_det: 300,
            multi_label: false,
            agnostic: false,
            names: None,
            anchors: None,
            preprocess: Vec::new(),
        }
    }
}

/// Where the time of one picture went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Resize, padding, normalization, quantization.
    pub preprocess: Duration,
    /// The network.
    pub inference: Duration,
    /// Decoding and suppression.
    pub postprocess: Duration,
}

/// A model ready to look at pictures.
pub struct Detector {
    backend: Backend,
    preprocess: Preprocess,
    /// For the sizes of pictures seen last, the newest first: several cameras may take turns.
    letterboxes: Vec<Letterbox>,
    isa: Isa,
    post: PostProcess,
    names: Names,
    found: Vec<Detection>,
}

impl Detector {
    /// Loads and prepares the model at `path`.
    ///
    /// # Errors
    /// The model is broken or unsupported, is no detector, or an option does not fit it.
    pub fn open(path: impl AsRef<Path>, options: &DetectorOptions) -> Result<Detector> {
        let path = path.as_ref();
        check(options)?;
        let load = LoadOptions { size: options.size };
        let opened = engines::open(path, options.engine, &load, &options.run, &options.preprocess)?;
        Detector::of_opened(opened, options).map_err(|e| e.at(|p| p.file = Some(path.to_owned())))
    }

    /// Prepares a model that is in memory, for the native engine; `options.size` is of no meaning, as a graph has
    /// one size.
    ///
    /// # Errors
    /// As [`Detector::open`].
    pub fn of_model(model: &Model, options: &DetectorOptions) -> Result<Detector> {
        check(options)?;
        Detector::of_opened(engines::open_model(model, &options.run, &options.preprocess)?, options)
    }

    fn of_opened(opened: Opened, options: &DetectorOptions) -> Result<Detector> {
        let Opened { backend, metadata, preprocess } = opened;
        let stated = match &options.names {
            Some(names) => Some(names.clone()),
            None => Names::from_metadata(&metadata)?,
        };
        let anchors = match &options.anchors {
            Some(anchors) => Some(anchors.clone()),
            None => Anchors::from_metadata(&metadata)?,
        };
        let head_options =
            HeadOptions { network: backend.input_size(), classes: stated.as_ref().map(Names::len), anchors };
        let heads = Heads::from_shapes(&backend.outputs(), &head_options)?;
        let names = match stated {
            Some(names) => names,
            None if heads.classes() == 80 => Names::coco(),
            None => Names::new((0..heads.classes()).map(|i| format!("class {i}")).collect())?,
        };
        let mut post = PostProcess::new(heads);
        (post.score, post.iou, post.max_det) = (options.score, options.iou, options.max_det);
        (post.multi_label, post.agnostic) = (options.multi_label, options.agnostic);
        Ok(Detector {
            backend,
            preprocess,
            letterboxes: Vec::with_capacity(LETTERBOXES_MAX),
            isa: options.run.isa,
            post,
            names,
            found: Vec::new(),
        })
    }

    /// Class names, by class id.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Rows and columns of the network's input.
    pub fn input_size(&self) -> [usize; 2] {
        self.backend.input_size()
    }

    /// How a picture is fitted to that size.
    pub fn fit(&self) -> Fit {
        self.preprocess.fit
    }

    /// Arithmetic that it runs in: `int8`, `fp32` or `mixed`.
    pub fn precision(&self) -> &'static str {
        self.backend.precision()
    }

    /// Boxes at or below this score are dropped from now on.
    pub fn set_score(&mut self, score: f32) {
        self.post.score = score;
    }

    /// Finds objects in `frame`, best first. Allocates nothing while pictures keep their size, or take turns between a
    /// few sizes.
    ///
    /// # Errors
    /// The picture is empty or above the limits.
    pub fn detect(&mut self, frame: &Frame) -> Result<(&[Detection], Timing)> {
        let mut timing = Timing::default();
        let mapping = timed(&mut timing.preprocess, || self.prepare(frame))?;
        timed(&mut timing.inference, || self.backend.run())?;
        timed(&mut timing.postprocess, || {
            let (outputs, count) = outputs_of(&self.backend);
            self.post.run(&outputs[..count], &mapping, &mut self.found)
        })?;
        Ok((&self.found, timing))
    }

    /// What the network says of `frame` at every cell whose objectness is above about `least`: what another network
    /// may learn from.
    ///
    /// # Errors
    /// As [`Detector::detect`], or the network has not YOLOv5's heads.
    pub fn cells(&mut self, frame: &Frame, least: f32, visit: impl FnMut(Cell)) -> Result<()> {
        self.prepare(frame)?;
        self.backend.run()?;
        let (outputs, count) = outputs_of(&self.backend);
        self.post.heads.cells(&outputs[..count], least, visit)
    }

    /// How the outputs of the network are read.
    pub fn heads(&self) -> &Heads {
        &self.post.heads
    }

    fn prepare(&mut self, frame: &Frame) -> Result<Mapping> {
        let size = [frame.height, frame.width];
        match self.letterboxes.iter().position(|letterbox| letterbox.frame_size() == size) {
            Some(known) => self.letterboxes[..=known].rotate_right(1),
            None => {
                let new = Letterbox::new(size, self.backend.input_size(), &self.preprocess, self.isa)?;
                self.letterboxes.truncate(LETTERBOXES_MAX - 1);
                self.letterboxes.insert(0, new);
            }
        }
        self.backend.fill(&mut self.letterboxes[0], frame)?;
        Ok(self.letterboxes[0].mapping())
    }
}

/// Most sizes of pictures for which the preparations are kept.
const LETTERBOXES_MAX: usize = 8;
/// Most outputs of a network that are decoded.
const OUTPUTS_MAX: usize = 16;

/// The outputs, and how many they are. Heads are a handful; their descriptions live on the stack.
fn outputs_of(backend: &Backend) -> ([Output<'_>; OUTPUTS_MAX], usize) {
    let count = backend.output_count().min(OUTPUTS_MAX);
    let mut outputs = [Output { data: &[], pitch: 0 }; OUTPUTS_MAX];
    for (i, output) in outputs[..count].iter_mut().enumerate() {
        *output = backend.output(i);
    }
    (outputs, count)
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *spent = start.elapsed();
    result
}

fn check(options: &DetectorOptions) -> Result<()> {
    let share = |name: &str, value: f32| match (0.0..=1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::Usage(format!("{name} must lie between 0 and 1, not {value}"))),
    };
    share("score", options.score)?;
    share("iou", options.iou)?;
    let sides = INPUT_SIDE_MIN..=INPUT_SIDE_MAX;
    match options.size {
        Some([h, w]) if !sides.contains(&h) || !sides.contains(&w) => {
            Err(Error::Usage(format!("size must be {INPUT_SIDE_MIN} to {INPUT_SIDE_MAX}, not {h}×{w}")))
        }
        _ => Ok(()),
    }
}
