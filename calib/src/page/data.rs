//! What the page shows, as the caller fills it in.

/// Everything on the page. What is empty or `None` is left out together with its section.
#[derive(Clone, Debug, Default)]
pub struct PageData {
    /// Headline of the page.
    pub title: String,
    /// The float model.
    pub model: String,
    /// What was made of it.
    pub artifact: String,
    /// The command that made the page, as it was typed.
    pub command: String,
    /// When it was made.
    pub date: String,
    /// The machine of the latencies.
    pub host: String,
    /// How the grids were chosen.
    pub calibration: CalibrationFacts,
    /// Files of both models.
    pub files: Vec<FileRow>,
    /// Accuracy on annotated pictures.
    pub accuracy: Option<Accuracy>,
    /// Speed.
    pub latency: Vec<LatencyRow>,
    /// Distributions of activations.
    pub tensors: Vec<TensorRow>,
    /// What each layer loses.
    pub layers: Vec<LayerRow>,
    /// What [`LayerRow::loss`] is, such as "mAP points lost where this layer alone is int8".
    pub loss_caption: String,
    /// Pictures with the boxes of both models.
    pub samples: Vec<Sample>,
    /// What the reader has to know, in whole sentences.
    pub warnings: Vec<String>,
}

/// Arithmetic of a model or layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Floating point.
    Float,
    /// 8-bit integers.
    Int8,
}

impl Precision {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float => "float",
            Precision::Int8 => "int8",
        }
    }
}

/// How the grids were chosen. Empty texts are left out.
#[derive(Clone, Debug, Default)]
pub struct CalibrationFacts {
    /// How many pictures.
    pub images: usize,
    /// Hash of the pictures, in hexadecimal.
    pub hash: String,
    /// Where the pictures came from.
    pub folders: Vec<String>,
    /// How ranges follow from what was seen.
    pub method: String,
    /// Which grids were allowed.
    pub scheme: String,
}

/// A file of a model.
#[derive(Clone, Debug)]
pub struct FileRow {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What it holds.
    pub what: String,
    /// The model whose size it adds to in the headline; `None` for tables and the like.
    pub precision: Option<Precision>,
}

/// Accuracy of both models on the same pictures.
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    /// Name of the data set.
    pub dataset: String,
    /// How many pictures.
    pub images: usize,
    /// The measures; the first one makes the headline.
    pub rows: Vec<AccuracyRow>,
    /// The classes, in any order.
    pub per_class: Vec<ClassLine>,
}

/// One measure of accuracy, 0 to 1, with 95 % intervals.
#[derive(Clone, Debug, Default)]
pub struct AccuracyRow {
    /// What is measured.
    pub metric: String,
    /// Of the float model.
    pub float: Option<f64>,
    /// Of the int8 model.
    pub int8: Option<f64>,
    /// Of the float model.
    pub float_interval: Option<[f64; 2]>,
    /// Of the int8 model.
    pub int8_interval: Option<[f64; 2]>,
    /// Of int8 minus float.
    pub difference_interval: Option<[f64; 2]>,
}

impl AccuracyRow {
    /// Int8 minus float.
    pub fn difference(&self) -> Option<f64> {
        Some(self.int8? - self.float?)
    }
}

/// Average precision of one class, 0 to 1.
#[derive(Clone, Debug, Default)]
pub struct ClassLine {
    /// The class.
    pub name: String,
    /// Objects of this class.
    pub instances: usize,
    /// Of the float model.
    pub float: Option<f64>,
    /// Of the int8 model.
    pub int8: Option<f64>,
}

impl ClassLine {
    /// Int8 minus float.
    pub fn difference(&self) -> Option<f64> {
        Some(self.int8? - self.float?)
    }
}

/// Speed of one engine.
#[derive(Clone, Debug)]
pub struct LatencyRow {
    /// The engine, with whatever tells it from the others.
    pub engine: String,
    /// Its arithmetic.
    pub precision: Precision,
    /// Threads it ran on.
    pub threads: usize,
    /// Middle of the repetitions, in milliseconds.
    pub median_ms: f64,
    /// Fastest repetition, in milliseconds.
    pub min_ms: f64,
}

/// Distribution of one tensor and the range chosen for it.
#[derive(Clone, Debug)]
pub struct TensorRow {
    /// The tensor.
    pub name: String,
    /// Middle and count of bins of equal width; empty ones may be missing. More than 128 are merged.
    pub bins: Vec<(f64, u64)>,
    /// Least number that has a code.
    pub low: f64,
    /// Largest number that has a code.
    pub high: f64,
    /// How the range was chosen.
    pub method: String,
    /// Share of the numbers outside the range, 0 to 1.
    pub clipped: f64,
    /// Signal to quantization noise.
    pub sqnr_db: Option<f64>,
}

/// What one layer loses.
#[derive(Clone, Debug)]
pub struct LayerRow {
    /// The layer.
    pub name: String,
    /// What it computes.
    pub op: String,
    /// Its arithmetic in the artifact.
    pub precision: Precision,
    /// Multiply-accumulates per picture.
    pub macs: u64,
    /// Signal to quantization noise of its output.
    pub sqnr_db: Option<f64>,
    /// What is lost where this layer alone is int8: see [`PageData::loss_caption`].
    pub loss: Option<f64>,
}

/// A picture with the boxes of both models; [`side_by_side`](super::side_by_side) makes the pictures.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// What there is to see.
    pub caption: String,
    /// JPEG with the boxes of the float model.
    pub float: Vec<u8>,
    /// JPEG with the boxes of the int8 model.
    pub int8: Vec<u8>,
}
