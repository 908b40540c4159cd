//! From pictures with boxes to an int8 model in one go, each step kept as soon as it is done.
//!
//! ```text
//! teacher ─┐
//!          ├─► student with it ──┐
//!          └─► student without ──┴─ the better ─► quantized ─ lost too much? ─► trained behind its grids
//!                                       │                    still too much? ─► layers back in float
//!                                       └─► float.onnx                     best ─► int8.onnx
//! ```
//!
//! [`config`] is what a user writes, [`work`] the folder with what was made, [`steps`] makes it, [`outcome`] tells. A step
//! is known by a hash of all that it follows from: data, settings and the steps before. What was made from the same is
//! taken as it is, and what was interrupted goes on.

pub mod config;
pub mod outcome;
mod steps;
mod work;

use crate::error::Result;
use crate::train::run::Run;
use config::Config;
use outcome::Outcome;
use std::path::Path;
use steps::Steps;
use work::Made;

/// What the caller does for a pipeline.
pub struct Hands<'a> {
    /// Tells a person.
    pub say: &'a mut dyn FnMut(&str) -> Result<()>,
    /// Runs a training to its end.
    pub train: &'a mut dyn FnMut(&mut Run) -> Result<()>,
}

/// Makes in `folder` all that `config` asks for, at least `float.onnx` and `int8.onnx`.
///
/// # Errors
/// The data are faulty, or a step fails. The next call goes on with it.
pub fn run(config: &Config, folder: &Path, hands: &mut Hands) -> Result<Outcome> {
    let mut steps = Steps::new(config, folder, hands)?;
    let mut done = Vec::new();
    let teacher = steps.teacher()?;
    let plain = steps.student(None)?;
    let mut float = plain.clone();
    // A teacher from a file is not measured: its classes may be others.
    done.extend(teacher.iter().map(|teacher| teacher.row.clone()).filter(|row| !row.scores.is_empty()));
    done.push(plain.row.clone());
    if let Some(teacher) = &teacher {
        let distilled = steps.student(Some(teacher))?;
        done.push(distilled.row.clone());
        float = better(float, distilled);
    }
    let quantized = steps.quantized(&float)?;
    done.push(quantized.row.clone());
    let mut int8 = quantized.clone();
    let lost = |int8: &Made| float.row.mean() - int8.row.mean() > config.quantize.max_drop;
    if lost(&int8) {
        let trained = steps.trained_behind_grids(&float, &quantized)?;
        done.push(trained.row.clone());
        int8 = better(int8, trained);
    }
    if lost(&int8) {
        let partly = steps.partly_float(&float)?;
        done.push(partly.row.clone());
        int8 = better(int8, partly);
    }
    let outcome = Outcome::new(done, &float.row, &int8.row, config.quantize.max_drop);
    outcome.save(folder, [&float.model, &int8.model])?;
    Ok(outcome)
}

/// The one with the higher mean mAP; the first if they are equal.
fn better(a: Made, b: Made) -> Made {
    if b.row.mean() > a.row.mean() { b } else { a }
}

#[cfg(test)]
mod tests;
