//! Which of several models is the best within bounds of time and size.

use crate::convert::FileSize;
use crate::error::{Error, Result};
use crate::metrics::Summary;
use crate::quantize::summary::Accuracy;
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What models are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Mean average precision over IoU 0.50 to 0.95.
    #[value(name = "map")]
    Map,
    /// Average precision at IoU 0.50.
    #[value(name = "map50")]
    Map50,
    /// Mean average precision of objects below 32² pixels.
    #[value(name = "ap_small")]
    ApSmall,
}

impl Metric {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Map => "mAP",
            Metric::Map50 => "mAP50",
            Metric::ApSmall => "AP small",
        }
    }

    /// The number; `None` where the data has no such objects.
    pub fn of(self, summary: &Summary) -> Option<f64> {
        match self {
            Metric::Map => summary.map,
            Metric::Map50 => summary.map50,
            Metric::ApSmall => summary.ap_small,
        }
    }
}

/// What a model may take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Milliseconds of inference.
    pub ms: Option<f64>,
    /// Bytes of its files.
    pub bytes: Option<u64>,
}

/// A model that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Candidate {
    /// Its file.
    pub model: String,
    /// Arithmetic that it runs in.
    pub precision: String,
    /// Side of its input in pixels.
    pub size: usize,
    /// COCO's numbers, as fields of the candidate itself.
    #[serde(flatten)]
    pub summary: Summary,
    /// Median milliseconds of inference on one thread.
    pub ms: f64,
    /// Bytes of its files, weights included.
    pub bytes: u64,
    /// Bounds that it breaks, in words.
    pub breaks: Vec<String>,
}

/// A model that does not run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Broken {
    /// Its file.
    pub model: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Everything that `calib select` has to say.
#[derive(Clone, Debug, Serialize)]
pub struct Selection {
    /// What the models are ordered by.
    pub metric: Metric,
    /// The best within the bounds first, then the next.
    pub models: Vec<Candidate>,
    /// Models that do not run.
    pub broken: Vec<Broken>,
    /// Pictures that were evaluated.
    pub images: usize,
    /// The best model within the bounds; `null` where all break one.
    pub best: Option<String>,
    /// Its int8 model, where one was asked for.
    pub quantized: Option<Quantized>,
}

/// The int8 model of the best one.
#[derive(Clone, Debug, Serialize)]
pub struct Quantized {
    /// Files written.
    pub files: Vec<FileSize>,
    /// Pictures that calibrated.
    pub images: usize,
    /// Signal to noise of its outputs beside those of the float model, in decibels.
    pub outputs_db: Option<f64>,
    /// Accuracy of the float and the int8 model.
    pub accuracy: Accuracy,
    /// What may be wrong.
    pub warnings: Vec<String>,
}

impl Selection {
    /// Orders the candidates by `metric`, of equals the smaller first, and chooses the first within the bounds.
    pub fn new(metric: Metric, bounds: Bounds, mut models: Vec<Candidate>, broken: Vec<Broken>) -> Self {
        models.iter_mut().for_each(|model| model.breaks = breaks(model, bounds));
        models.sort_by(|a, b| {
            let by_metric = metric.of(&b.summary).partial_cmp(&metric.of(&a.summary));
            by_metric.unwrap_or(Ordering::Equal).then(a.bytes.cmp(&b.bytes))
        });
        let mut made = Selection { metric, models, broken, images: 0, best: None, quantized: None };
        made.best = made.winner().map(|model| model.model.clone());
        made
    }

    /// The best model within the bounds.
    pub fn winner(&self) -> Option<&Candidate> {
        self.models.iter().find(|model| model.breaks.is_empty())
    }

    /// Refuses a selection without a best model.
    ///
    /// # Errors
    /// All models break a bound.
    pub fn check(&self) -> Result<()> {
        match self.best {
            Some(_) => Ok(()),
            None => Err(Error::Unmet(format!(
                "none of {} models is within the bounds; loosen them, or give smaller models",
                self.models.len()
            ))),
        }
    }

    /// A table, and on the last line the path of the best model, or of its int8 model.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let widest = self.models.iter().map(|model| model.model.chars().count()).max();
        let width = widest.unwrap_or(0).max(5);
        let _ = writeln!(
            text,
            " {:<width$} {:>9} {:>5} {:>6} {:>6} {:>8} {:>9} {:>10}",
            "model", "precision", "size", "mAP", "mAP50", "AP small", "ms", "bytes"
        );
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), |x| format!("{x:.3}"));
        for one in &self.models {
            let Candidate { model, precision, size, summary, ms, bytes, breaks } = one;
            let [map, map50, small] = [summary.map, summary.map50, summary.ap_small].map(cell);
            let _ = write!(
                text,
                " {model:<width$} {precision:>9} {size:>5} {map:>6} {map50:>6} {small:>8} {ms:>9.3} {bytes:>10}"
            );
            if !breaks.is_empty() {
                let _ = write!(text, "  out: {}", breaks.join(", "));
            }
            text.push('\n');
        }
        let _ = write!(text, "\n images: {}", self.images);
        if !self.broken.is_empty() {
            let _ = write!(text, "; broken models, left out: {}", self.broken.len());
        }
        text.push('\n');
        if let Some(best) = &self.best {
            let _ = writeln!(text, "{best}");
        }
        if let Some(Quantized { files, accuracy, .. }) = &self.quantized {
            let [float, int8] = [accuracy.float, accuracy.int8].map(|of| cell(self.metric.of(&of)));
            let _ = writeln!(text, " in int8: {} {int8}, float {float}", self.metric.name());
            let _ = writeln!(text, "{}", files.first().map_or("", |file| file.path.as_str()));
        }
        text
    }
}

fn breaks(model: &Candidate, bounds: Bounds) -> Vec<String> {
    let ms = bounds.ms.filter(|most| model.ms > *most);
    let bytes = bounds.bytes.filter(|most| model.bytes > *most);
    let ms = ms.map(|most| format!("{:.3} ms, at most {most}", model.ms));
    let bytes = bytes.map(|most| format!("{} bytes, at most {most}", model.bytes));
    ms.into_iter().chain(bytes).collect()
}

/// Bytes of a model's files: of ncnn models the text and the weights beside it.
///
/// # Errors
/// A file is missing.
pub fn bytes_of(model: &Path) -> Result<u64> {
    let size = |path: &Path| std::fs::metadata(path).map(|about| about.len()).map_err(|e| Error::io(path, e));
    let weights: Option<PathBuf> = match model.extension() {
        Some(suffix) if suffix.eq_ignore_ascii_case("param") => Some(model.with_extension("bin")),
        Some(suffix) if suffix.eq_ignore_ascii_case("bin") => {
            Some(model.with_extension("").with_extension("bin"))
        }
        _ => None,
    };
    Ok(size(model)? + weights.map_or(Ok(0), |weights| size(&weights))?)
}
