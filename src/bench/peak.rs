//! What this machine could do at best: a layer that suits the kernels, and a copy in the cache.

use crate::engine::{Engine, EngineOptions, Precision};
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, WindowAttrs};
use crate::kernels::isa::Isa;
use crate::tensor::{Data, Quant, Shape, Tensor};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Channels of the measured layer, in and out.
const CHANNELS: usize = 256;
/// Side of its image: weights and image stay in a cache of 512 KiB.
const SIDE: usize = 24;
/// Bytes of a copy that stays in such a cache.
const CACHED: usize = 1 << 17;
/// Bytes of a copy that stays in none, or hardly.
const UNCACHED: usize = 1 << 25;

/// Rates to compare layers with.
#[derive(Clone, Copy, Debug)]
pub struct Peak {
    /// 10⁹ multiply-accumulates per second of a 1×1 convolution with 256 channels that stays in the cache.
    pub gmacs: f64,
    /// 10⁹ bytes per second, read and written, of a copy that stays in the cache.
    pub gbytes: f64,
}

/// Measures them: the best of a tenth of a second each.
///
/// # Errors
/// None but those of the engine.
pub fn peak(precision: Precision, isa: Isa, threads: usize) -> Result<Peak> {
    // What is quantized in each run is multiplied in int8.
    let precision = if precision == Precision::Dynamic { Precision::Int8 } else { precision };
    let options = EngineOptions { precision, isa, threads, ..EngineOptions::default() };
    let mut engine = Engine::new(&layer(precision)?, &options)?;
    let macs: Vec<u64> = engine.plan().steps.iter().map(|step| step.work.macs).collect();
    let mut gmacs = 0f64;
    best_of(|| {
        engine.run_timed(|step, time| gmacs = gmacs.max(macs[step] as f64 / time.as_nanos().max(1) as f64));
    });
    let gbytes = copy_rate(CACHED) * threads as f64;
    Ok(Peak { gmacs, gbytes })
}

/// 10⁹ bytes per second, read and written, of one thread that copies between buffers that no cache holds.
pub fn memory_rate() -> f64 {
    copy_rate(UNCACHED)
}

fn copy_rate(bytes: usize) -> f64 {
    let times = (UNCACHED / bytes / 16).max(1);
    let (source, mut copy) = (vec![1u8; bytes], vec![0u8; bytes]);
    let mut rate = 0f64;
    best_of(|| {
        let start = Instant::now();
        for _ in 0..times {
            copy.copy_from_slice(black_box(&source));
            black_box(&mut copy);
        }
        rate = rate.max((2 * bytes * times) as f64 / start.elapsed().as_nanos().max(1) as f64);
    });
    rate
}

fn best_of(mut work: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(100) {
        work();
    }
}

fn layer(precision: Precision) -> Result<Graph> {
    let shape = |dims: &[usize]| Shape::new(dims).map_err(|e| Error::bad_model(e.to_string()));
    let mut graph = Graph::new();
    let mut x = graph.push_input("x", shape(&[1, CHANNELS, SIDE, SIDE])?)?;
    let codes = (0..CHANNELS * CHANNELS).map(|i| (i % 255) as i8).map(|c| c.max(-127)).collect();
    let data = Data::Q8 { codes, scales: vec![1e-3; CHANNELS] };
    let weights =
        Tensor::new(shape(&[CHANNELS, CHANNELS, 1, 1])?, data).expect("as many codes as the shape has");
    let weights = graph.push_constant("weights", weights)?;
    let grid = Op::FakeQuant(Quant { scale: 1.0 / 255.0, zero_point: -128 });
    let int8 = precision != Precision::Fp32;
    if int8 {
        x = graph.push("x.grid", grid.clone(), vec![x], "x.grid")?;
    }
    let window = WindowAttrs { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 4] };
    let mut y =
        graph.push("conv", Op::Conv { window, groups: 1, activation: None }, vec![x, weights], "y")?;
    if int8 {
        y = graph.push("y.grid", grid, vec![y], "y.grid")?;
    }
    graph.outputs = vec![y];
    Ok(graph)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_does_something() {
        let peak = peak(Precision::Int8, Isa::detect(), 1).unwrap();
        assert!(peak.gmacs > 0.0 && peak.gbytes > 0.0, "{peak:?}");
        assert!(memory_rate() > 0.0);
        assert!(super::peak(Precision::Fp32, Isa::Scalar, 1).unwrap().gmacs > 0.0);
    }
}
