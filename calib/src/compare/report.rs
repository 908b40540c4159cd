//! The result of a comparison, for people and for programs.

use super::{Common, Compared, Side, Size, Sums, Tally};
use crate::dataset::Skipped;
use crate::runtime::Precision;
use serde::Serialize;
use std::fmt::Write;

/// Layers that the text shows.
const WORST: usize = 15;

/// Everything that `calib compare` has to say. Its JSON form has `null` where a number does not exist.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The first model.
    pub a: ModelRow,
    /// The second model.
    pub b: ModelRow,
    /// Pictures that were compared.
    pub images: usize,
    /// Pictures that could not be read.
    pub skipped: Vec<Skipped>,
    /// Common values inside, in the order of the first model.
    pub layers: Vec<ValueRow>,
    /// Common outputs.
    pub outputs: Vec<ValueRow>,
    /// Boxes; `null` where a model is no detector.
    pub detections: Option<Detections>,
    /// Each picture's boxes.
    pub pictures: Vec<PictureRow>,
    /// Pictures that were drawn.
    pub drawn: Vec<String>,
    /// What keeps the comparison from being whole or fair.
    pub remarks: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRow {
    /// Its file.
    pub model: String,
    /// Arithmetic that it ran in: `int8` or `fp32`.
    pub precision: &'static str,
}

/// How far a value is apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValueRow {
    /// Its name in the first model.
    pub name: String,
    /// Its logical shape.
    pub shape: Vec<usize>,
    /// Whether all numbers are equal; the ratio is infinite then.
    pub equal: bool,
    /// Signal to quantization noise in dB.
    pub sqnr_db: Option<f64>,
    /// Cosine of the angle between both.
    pub cosine: Option<f64>,
    /// Largest difference of two numbers.
    pub largest_difference: f64,
    /// Share of the second model's numbers at the ends of their int8 range (an end at zero not counted); absent where
    /// they have no codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_ends: Option<f64>,
    /// Numbers that were NaN or infinite in either model; they count in nothing else.
    pub not_finite: u64,
}

/// Boxes, by the size of objects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detections {
    /// All sizes.
    pub all: Tally,
    /// Below 32² pixels of the picture.
    pub small: Tally,
    /// Below 96².
    pub medium: Tally,
    /// The others.
    pub large: Tally,
}

/// Boxes of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PictureRow {
    /// The picture.
    pub file: String,
    /// Found by both models.
    pub both: usize,
    /// Found by the first model only.
    pub lost: usize,
    /// Found by the second model only.
    pub gained: usize,
}

impl Report {
    /// Puts together what was seen.
    pub fn new(sides: [&Side; 2], values: &[Common], compared: &Compared) -> Self {
        let [a, b] = sides.map(|side| ModelRow {
            model: side.path.display().to_string(),
            precision: if side.precision == Precision::Int8 { "int8" } else { "fp32" },
        });
        let rows = |output: bool| {
            let rows = values.iter().zip(&compared.sums).zip(&compared.has_codes);
            rows.filter(|((one, _), _)| one.output == output)
                .map(|((one, sums), codes)| ValueRow::new(one, sums, *codes))
                .collect::<Vec<_>>()
        };
        let boxes = &compared.boxes;
        let detections = Detections {
            all: boxes.all(),
            small: boxes.of(Size::Small),
            medium: boxes.of(Size::Medium),
            large: boxes.of(Size::Large),
        };
        let picture = |(path, [both, lost, gained]): &(std::path::PathBuf, [usize; 3])| PictureRow {
            file: path.display().to_string(),
            both: *both,
            lost: *lost,
            gained: *gained,
        };
        let detectors = compared.not_detectors.is_none();
        let (layers, outputs) = (rows(false), rows(true));
        Report {
            remarks: remarks(sides, [layers.len(), outputs.len()], compared),
            a,
            b,
            images: compared.pictures.len(),
            skipped: compared.skipped.clone(),
            layers,
            outputs,
            detections: detectors.then_some(detections),
            pictures: if detectors { compared.pictures.iter().map(picture).collect() } else { Vec::new() },
            drawn: Vec::new(),
        }
    }

    /// The worst layers in their order, the outputs, and the boxes by size.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let of = |row: &ModelRow| format!("{} ({})", row.model, row.precision);
        let _ = writeln!(text, " a: {}\n b: {}\n", of(&self.a), of(&self.b));
        let mut worst: Vec<usize> = (0..self.layers.len()).collect();
        worst.sort_by(|&i, &j| self.layers[i].badness().total_cmp(&self.layers[j].badness()));
        worst.truncate(WORST);
        worst.sort_unstable();
        let worst: Vec<&ValueRow> = worst.into_iter().map(|i| &self.layers[i]).collect();
        let outputs: Vec<&ValueRow> = self.outputs.iter().collect();
        let shown = if worst.len() < self.layers.len() { "the worst " } else { "" };
        let title = format!("layer ({shown}{} of {})", worst.len(), self.layers.len());
        table(&mut text, &title, &worst);
        table(&mut text, "output", &outputs);
        if let Some(detections) = &self.detections {
            boxes(&mut text, detections);
        }
        let _ = write!(text, " images: {}", self.images);
        if !self.skipped.is_empty() {
            let _ = write!(text, "; broken and left out: {}", self.skipped.len());
        }
        if !self.drawn.is_empty() {
            let _ = write!(text, "; drawn: {}", self.drawn.len());
        }
        text.push('\n');
        text
    }
}

impl ValueRow {
    fn new(one: &Common, sums: &Sums, codes: bool) -> Self {
        ValueRow {
            name: one.name.clone(),
            shape: one.shape.clone(),
            equal: sums.equal(),
            sqnr_db: sums.sqnr_db(),
            cosine: sums.cosine(),
            largest_difference: sums.largest,
            at_ends: codes.then(|| sums.share_at_ends()),
            not_finite: sums.not_finite,
        }
    }

    /// The ratio, and what goes for one where there is none: rows without are as good or as bad as can be.
    fn badness(&self) -> f64 {
        self.sqnr_db.unwrap_or(if self.equal { f64::INFINITY } else { f64::NEG_INFINITY })
    }
}

fn remarks(sides: [&Side; 2], [layers, outputs]: [usize; 2], compared: &Compared) -> Vec<String> {
    let mut remarks = Vec::new();
    if sides[0].preprocess != sides[1].preprocess {
        remarks.push("the models prepare pictures differently: layers differ for that alone".to_owned());
    }
    if layers == 0 {
        remarks.push("no value has the same name and shape in both models".to_owned());
    }
    let all = sides[0].outputs().len().max(sides[1].outputs().len());
    if outputs < all {
        remarks.push(format!("{} of {all} outputs have no partner of their shape", all - outputs));
    }
    if let Some(reason) = &compared.not_detectors {
        remarks.push(format!("boxes are not compared: {reason}"));
    }
    remarks
}

fn table(text: &mut String, title: &str, rows: &[&ValueRow]) {
    if rows.is_empty() {
        return;
    }
    let widest = rows.iter().map(|row| row.name.chars().count()).chain([title.chars().count()]).max();
    let width = widest.unwrap_or(0);
    let _ = writeln!(
        text,
        " {title:<width$} {:>8} {:>9} {:>10} {:>8}",
        "SQNR dB", "cosine", "largest", "at ends"
    );
    for row in rows {
        let sqnr = match row.sqnr_db {
            Some(db) => format!("{db:.1}"),
            None if row.equal => "equal".to_owned(),
            None => "-".to_owned(),
        };
        let cosine = row.cosine.map_or("-".to_owned(), |x| format!("{x:.5}"));
        let ends = row.at_ends.map_or("-".to_owned(), |x| format!("{:.2} %", 100.0 * x));
        let name = &row.name;
        let largest = row.largest_difference;
        let _ = write!(text, " {name:<width$} {sqnr:>8} {cosine:>9} {largest:>10.4} {ends:>8}");
        if row.not_finite > 0 {
            let _ = write!(text, "  {} numbers are none", row.not_finite);
        }
        text.push('\n');
    }
    text.push('\n');
}

fn boxes(text: &mut String, detections: &Detections) {
    let _ = writeln!(
        text,
        " {:<7} {:>7} {:>7} {:>7} {:>13} {:>6}",
        "boxes", "both", "lost", "gained", "|score a - b|", "IoU"
    );
    let rows = [
        ("all", detections.all),
        ("small", detections.small),
        ("medium", detections.medium),
        ("large", detections.large),
    ];
    for (name, tally) in rows {
        let cell = |value: Option<f64>| value.map_or("-".to_owned(), |x| format!("{x:.3}"));
        let Tally { both, lost, gained, score_difference, iou } = tally;
        let (score, iou) = (cell(score_difference), cell(iou));
        let _ = writeln!(text, " {name:<7} {both:>7} {lost:>7} {gained:>7} {score:>13} {iou:>6}");
    }
    text.push('\n');
}
