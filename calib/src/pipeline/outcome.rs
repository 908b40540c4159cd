//! What a pipeline has made, as a table.

use crate::error::{Error, Result};
use crate::train::validation::{Score, mean};
use crate::write::save::save;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::Path;

/// Files in the folder of a pipeline.
const FLOAT: &str = "float.onnx";
const INT8: &str = "int8.onnx";
const TABLE: &str = "report.md";
const JSON: &str = "report.json";

/// A model of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The step that made it.
    pub step: String,
    /// Its file, in the folder of the step.
    pub file: String,
    /// Share of multiply-accumulates in int8.
    pub int8: f64,
    /// What it is worth, by data set.
    pub scores: Vec<Score>,
    /// How long the step took since it was last begun, in seconds.
    pub seconds: f64,
}

impl Row {
    /// Mean mAP of the data sets that choose.
    pub fn mean(&self) -> f64 {
        mean(&self.scores)
    }
}

/// All models, and the two that were chosen.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// In the order of the steps.
    pub models: Vec<Row>,
    /// Step of the float model.
    pub float: String,
    /// Step of the int8 model.
    pub int8: String,
    /// Mean mAP that int8 loses.
    pub drop: f64,
    /// Whether that is no more than was asked for.
    pub met: bool,
}

impl Outcome {
    pub(super) fn new(models: Vec<Row>, float: &Row, int8: &Row, max_drop: f64) -> Self {
        let drop = float.mean() - int8.mean();
        let (float, int8) = (float.step.clone(), int8.step.clone());
        Outcome { models, float, int8, drop, met: drop <= max_drop }
    }

    /// The table in Markdown: mAP50-95 and mAP50 of each set.
    pub fn to_text(&self) -> String {
        let sets: Vec<&str> = self
            .models
            .first()
            .map_or(Vec::new(), |row| row.scores.iter().map(|s| s.name.as_str()).collect());
        let mut text = format!("| | {} | mean mAP | int8 | time |\n", sets.join(" | "));
        text += &format!("|---|{}---|---|---|\n", "---|".repeat(sets.len()));
        for row in &self.models {
            let chosen = [(&self.float, "float.onnx"), (&self.int8, "int8.onnx")];
            let chosen =
                chosen.iter().filter(|(step, _)| **step == row.step).map(|(_, file)| format!(" → {file}"));
            let scores =
                row.scores.iter().map(|s| format!("{:.4} / {:.4}", s.map, s.map50)).collect::<Vec<_>>();
            let int8 = if row.int8 > 0.0 { format!("{:.1} %", 100.0 * row.int8) } else { "–".to_owned() };
            let _ = writeln!(
                text,
                "| {}{} | {} | {:.4} | {int8} | {:.0} s |",
                row.step,
                chosen.collect::<String>(),
                scores.join(" | "),
                row.mean(),
                row.seconds
            );
        }
        let held_out = self.models.iter().flat_map(|row| &row.scores).any(|score| !score.chooses);
        let _ = writeln!(
            text,
            "\nmAP50-95 / mAP50. {}Int8 loses {:.4} of the mean{}.",
            if held_out { "The mean is that of the pictures held out. " } else { "" },
            self.drop,
            if self.met { "" } else { ", more than max-drop allows" }
        );
        text
    }

    /// Writes the chosen models, `[float, int8]`, and the table beside them.
    pub(super) fn save(&self, folder: &Path, models: [&Path; 2]) -> Result<()> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| Error::io(path, e));
        let [float, int8] = models.map(read);
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::bad_data(folder, e.to_string()))?;
        save(&[
            (&folder.join(FLOAT), &float?),
            (&folder.join(INT8), &int8?),
            (&folder.join(TABLE), self.to_text().as_bytes()),
            (&folder.join(JSON), &json),
        ])
    }
}
