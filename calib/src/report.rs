//! The result of an evaluation, for people and for programs.

use crate::dataset::{Category, Skipped};
use crate::metrics::{ClassAp, CocoMap, Summary};
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt::Write;

/// Everything that `calib eval` has to say. Its JSON form has `null` where a number does not exist.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The twelve numbers, as fields of the report itself.
    #[serde(flatten)]
    pub summary: Summary,
    /// By falling AP, classes without instances last.
    pub per_class: Vec<ClassRow>,
    /// Pictures that were evaluated.
    pub images: usize,
    /// Pictures that could not be read.
    pub skipped: Vec<Skipped>,
    /// Classes of the data set that were left out because the model does not have them.
    pub unmatched_classes: Vec<String>,
    /// The model file, where a model was run.
    pub model: Option<String>,
    /// The detection file, where one was scored instead.
    pub detections: Option<String>,
    /// Arithmetic of the model: `int8` or `fp32`.
    pub precision: Option<String>,
    /// Side of the model's input in pixels.
    pub size: Option<usize>,
    /// Speed of all threads together, including the reading of pictures.
    pub images_per_second: Option<f64>,
}

/// A class and its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassRow {
    /// Name of the class.
    pub name: String,
    /// Its result.
    #[serde(flatten)]
    pub result: ClassAp,
}

/// One row per category, by falling AP; classes without instances last.
pub fn class_rows(categories: &[Category], result: &CocoMap) -> Vec<ClassRow> {
    let mut rows: Vec<ClassRow> = categories
        .iter()
        .zip(&result.classes)
        .map(|(category, &result)| ClassRow { name: category.name.clone(), result })
        .collect();
    rows.sort_by(|a, b| b.result.ap.partial_cmp(&a.result.ap).unwrap_or(Ordering::Equal));
    rows
}

impl Report {
    /// The twelve lines in COCO's wording, a table of the classes, and the speed.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (kind, iou, area, best, value) in twelve_lines(&self.summary) {
            let title = if kind == "AP" { "Average Precision" } else { "Average Recall" };
            let kind = format!("({kind})");
            // COCO writes -1 where there is nothing to measure.
            let value = value.unwrap_or(-1.0);
            let _ = writeln!(
                text,
                " {title:<18} {kind} @[ IoU={iou:<9} | area={area:>6} | maxDets={best:>3} ] = {value:0.3}"
            );
        }
        let width = self.per_class.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(5);
        let _ = writeln!(text, "\n {:<width$} {:>6} {:>6} {:>10}", "class", "AP", "AP50", "instances");
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.3}"));
        for ClassRow { name, result } in &self.per_class {
            let (ap, ap50) = (cell(result.ap), cell(result.ap50));
            let _ = writeln!(text, " {name:<width$} {ap:>6} {ap50:>6} {:>10}", result.instances);
        }
        let _ = write!(text, "\n images: {}", self.images);
        if let (Some(precision), Some(size)) = (&self.precision, self.size) {
            let _ = write!(text, ", {precision} at {size}");
        }
        if let Some(speed) = self.images_per_second {
            let _ = write!(text, ", {speed:.1} images/s");
        }
        if !self.skipped.is_empty() {
            let _ = write!(text, "; broken and left out: {}", self.skipped.len());
        }
        text.push('\n');
        text
    }
}

type Line = (&'static str, &'static str, &'static str, u32, Option<f64>);

fn twelve_lines(s: &Summary) -> [Line; 12] {
    const ALL: &str = "0.50:0.95";
    [
        ("AP", ALL, "all", 100, s.map),
        ("AP", "0.50", "all", 100, s.map50),
        ("AP", "0.75", "all", 100, s.map75),
        ("AP", ALL, "small", 100, s.ap_small),
        ("AP", ALL, "medium", 100, s.ap_medium),
        ("AP", ALL, "large", 100, s.ap_large),
        ("AR", ALL, "all", 1, s.ar_1),
        ("AR", ALL, "all", 10, s.ar_10),
        ("AR", ALL, "all", 100, s.ar_100),
        ("AR", ALL, "small", 100, s.ar_small),
        ("AR", ALL, "medium", 100, s.ar_medium),
        ("AR", ALL, "large", 100, s.ar_large),
    ]
}
