//! Time per layer.

use super::Picture;
use super::peak::Peak;
use super::statistics::Statistics;
use crate::engines::Backend;
use crate::error::Result;
use crate::plan::{Loc, Step};
use serde::Serialize;
use std::time::Duration;

/// One step of a network.
#[derive(Clone, Debug, Serialize)]
pub struct Layer {
    /// Name of the node.
    pub name: String,
    /// Operator.
    pub op: String,
    /// Logical shape of the result.
    pub shape: Vec<usize>,
    /// Kernel, with its instruction set where it has one.
    pub kernel: String,
    /// Median time.
    pub ms: f64,
    /// Share of the sum of all steps.
    pub percent: f64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// 10⁹ multiply-accumulates per second.
    pub gmacs: f64,
    /// `gmacs` against the measured peak.
    pub percent_of_peak: f64,
    /// Bytes that have to be read and written: operands, weights, result.
    pub bytes: usize,
    /// What would take longer at the measured peaks: `compute` or `memory`.
    pub bound: &'static str,
}

/// Times every step of a network over `runs` runs.
///
/// # Errors
/// The engine is not the native one, or does not take the picture.
pub fn layers(backend: &mut Backend, picture: &Picture, runs: usize, peak: &Peak) -> Result<Vec<Layer>> {
    let pixels = picture.pixels(backend.input_size());
    let mut times: Vec<Vec<Duration>> = Vec::new();
    for _ in 0..runs.max(1) {
        backend.fill_reals(&pixels)?;
        let engine = &mut native(backend)?.engine;
        times.resize(engine.plan().steps.len(), Vec::new());
        engine.run_timed(|step, time| times[step].push(time));
    }
    let median = |t: &Vec<Duration>| Statistics::of(t).map_or(0.0, |s| s.median_ms);
    let ms: Vec<f64> = times.iter().map(median).collect();
    let total = ms.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let steps = &native(backend)?.engine.plan().steps;
    Ok(steps.iter().zip(ms).map(|(step, ms)| layer(step, ms, 100.0 * ms / total, peak)).collect())
}

fn native(backend: &mut Backend) -> Result<&mut crate::engines::Native> {
    match backend {
        Backend::Native(native) => Ok(native),
        #[cfg(any(feature = "tract", feature = "ncnn"))]
        _ => Err(crate::Error::Usage("only the native engine tells the time of its layers".into())),
    }
}

fn layer(step: &Step, ms: f64, percent: f64, peak: &Peak) -> Layer {
    let moved = |loc: &Loc| loc.pixels() * loc.channels() * loc.dtype.bytes();
    let bytes = step.reads.iter().map(moved).sum::<usize>() + moved(&step.write) + step.work.weights_bytes;
    let macs = step.work.macs;
    let gmacs = if ms > 0.0 { macs as f64 / (ms * 1e6) } else { 0.0 };
    let memory = bytes as f64 / peak.gbytes > macs as f64 / peak.gmacs;
    Layer {
        name: step.name.clone(),
        op: step.op.clone(),
        shape: step.shape.dims().to_vec(),
        kernel: step.work.kernel.clone(),
        ms,
        percent,
        macs,
        gmacs,
        percent_of_peak: 100.0 * gmacs / peak.gmacs,
        bytes,
        bound: if memory { "memory" } else { "compute" },
    }
}
