//! How long models take for a picture, on one thread.

use super::{ModelOptions, detector, detector_options};
use ocellus::bench::Statistics;
use ocellus::image::Frame;
use ocellus::loader::Model;
use ocellus::{Detector, Result};
use serde::Serialize;
use std::time::Duration;

/// How much longer one model takes than another, in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Median of the differences of pairs of runs.
    pub median: f64,
    /// The true median lies between these with 95 % confidence, whatever the noise is like.
    pub interval: [f64; 2],
}

impl Difference {
    /// `None` where nothing was measured. The ends of the interval are the differences of ranks n/2 ∓ 0.98·√n: each
    /// lies on either side of the true median with even chances, so that the number below it is binomial.
    pub fn of(mut differences: Vec<f64>) -> Option<Self> {
        differences.sort_by(f64::total_cmp);
        let n = differences.len();
        let last = n.checked_sub(1)?;
        let low = (n as f64 / 2.0 - 0.98 * (n as f64).sqrt()).floor().max(1.0) as usize - 1;
        let median = (differences[last / 2] + differences[n / 2]) / 2.0;
        Some(Difference { median, interval: [differences[low], differences[last - low]] })
    }

    /// Whether the interval holds zero: the runs do not say which model is the faster one.
    pub fn is_noise(&self) -> bool {
        self.interval[0] <= 0.0 && self.interval[1] >= 0.0
    }
}

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
        detector(&options.model, &detector_options(&options)?)
    };
    let times = in_turn(models.iter().map(open).collect::<Result<Vec<_>>>()?, frame, [warmup, rounds])?;
    Ok(times.into_iter().map(|times| times.map(|times| times.median_ms)).collect())
}

/// As [`medians`], of models in memory, with the fastest round and the others beside the median.
///
/// # Errors
/// As [`medians`].
pub fn statistics_of(models: &[Model], frame: &Frame, rounds: [usize; 2]) -> Result<Vec<Option<Statistics>>> {
    let options = detector_options(&ModelOptions { threads: Some(1), ..ModelOptions::default() })?;
    let detectors = models.iter().map(|model| Detector::of_model(model, &options));
    in_turn(detectors.collect::<Result<Vec<_>>>()?, frame, rounds)
}

/// How much longer the first model takes for `frame` than the second, over `rounds` pairs of runs after `warmup` ones.
///
/// The runs of a pair follow each other, in alternating order: what slows the machine for longer than a run falls out
/// of their difference, what disturbs single runs out of the median.
///
/// # Errors
/// As [`medians`].
pub fn difference(
    models: [&Model; 2],
    frame: &Frame,
    [warmup, rounds]: [usize; 2],
) -> Result<Option<Difference>> {
    let options = detector_options(&ModelOptions { threads: Some(1), ..ModelOptions::default() })?;
    let [a, b] = models.map(|model| Detector::of_model(model, &options));
    let mut detectors = [a?, b?];
    let mut differences = Vec::with_capacity(rounds);
    for round in 0..warmup + rounds {
        let mut times = [0.0; 2];
        for i in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
            times[i] = detectors[i].detect(frame)?.1.inference.as_secs_f64() * 1e3;
        }
        if round >= warmup {
            differences.push(times[0] - times[1]);
        }
    }
    Ok(Difference::of(differences))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 31 pairs the ends are the tenth from either side: tables of the sign test say 10 and 22.
    #[test]
    fn the_interval_of_a_median_has_the_ranks_of_the_sign_test() {
        let pairs: Vec<f64> = (1..=31).rev().map(f64::from).collect();
        let found = Difference::of(pairs.clone()).unwrap();
        assert_eq!((found.median, found.interval), (16.0, [10.0, 22.0]));
        assert!(!found.is_noise());
        assert!(Difference::of(pairs.iter().map(|x| x - 11.0).collect()).unwrap().is_noise());
        // A few runs that something else has disturbed change little, however long they took.
        let disturbed = [&pairs[..28], &[1e6, -1e6, 1e6]].concat();
        let found = Difference::of(disturbed).unwrap();
        assert!((found.median - 17.0).abs() <= 1.0 && found.interval[1] <= 24.0, "{found:?}");
        let few = Difference::of(vec![2.0, -1.0]).unwrap();
        assert_eq!((few.median, few.interval), (0.5, [-1.0, 2.0]));
        assert_eq!(Difference::of(Vec::new()), None);
    }
}
