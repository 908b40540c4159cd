//! How long models take for a picture, on one thread.

use super::{ModelOptions, detector_options};
use ocellus::bench::Statistics;
use ocellus::image::Frame;
use ocellus::loader::Model;
use ocellus::{Detector, Result};
use std::time::Duration;

/// Median time in ms that each model's network takes for `frame`; preparing the picture and decoding are not in it.
///
/// The models run in turn, `rounds` times after `warmup` rounds: what else happens on the machine meanwhile hits all
/// of them alike.
///
/// # Errors
/// A model does not open, or does not take the picture.
pub fn medians(
    models: &[ModelOptions],
    frame: &Frame,
    [warmup, rounds]: [usize; 2],
) -> Result<Vec<Option<f64>>> {
    let open = |options: &ModelOptions| {
        let options = ModelOptions { threads: Some(1), ..options.clone() };
        Detector::open(&options.model, &detector_options(&options)?)
    };
    let times = in_turn(models.iter().map(open).collect::<Result<Vec<_>>>()?, frame, [warmup, rounds])?;
    Ok(times.into_iter().map(|times| times.map(|times| times.median_ms)).collect())
}

/// As [`medians`], of models in memory.
///
/// # Errors
/// As [`medians`].
pub fn medians_of(models: &[Model], frame: &Frame, rounds: [usize; 2]) -> Result<Vec<Option<f64>>> {
    let times = statistics_of(models, frame, rounds)?;
    Ok(times.into_iter().map(|times| times.map(|times| times.median_ms)).collect())
}

/// As [`medians_of`], with the fastest round and the others beside the median.
///
/// # Errors
/// As [`medians`].
pub fn statistics_of(models: &[Model], frame: &Frame, rounds: [usize; 2]) -> Result<Vec<Option<Statistics>>> {
    let options = detector_options(&ModelOptions { threads: Some(1), ..ModelOptions::default() })?;
    let detectors = models.iter().map(|model| Detector::of_model(model, &options));
    in_turn(detectors.collect::<Result<Vec<_>>>()?, frame, rounds)
}

fn in_turn(
    mut detectors: Vec<Detector>,
    frame: &Frame,
    [warmup, rounds]: [usize; 2],
) -> Result<Vec<Option<Statistics>>> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); detectors.len()];
    for round in 0..warmup + rounds {
        for (detector, times) in detectors.iter_mut().zip(&mut times) {
            let (_, timing) = detector.detect(frame)?;
            if round >= warmup {
                times.push(timing.inference);
            }
        }
    }
    Ok(times.iter().map(|times| Statistics::of(times)).collect())
}
