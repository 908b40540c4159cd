//! How fast networks run, where the time goes, and on what machine.
//!
//! A measurement is honest only if the network really ran: every [`Measurement`] carries `check`, the mean
//! magnitude of the first output, which is the same on every run, instruction set and number of threads.

pub mod host;
mod layers;
mod memory;
mod peak;
mod process;
mod roofline;
mod stages;
mod statistics;

pub use layers::{Layer, layers};
pub use peak::{Peak, memory_rate, peak};
pub use process::Process;
pub use roofline::{Roofs, roofline};
pub use stages::{Stages, stages};
pub use statistics::Statistics;

use crate::detect;
use crate::engine::{Batch, Output};
use crate::engines::{Backend, wrong_count};
use crate::error::{Error, Result};
use crate::limits::{INPUT_SIDE_MAX, TENSOR_ELEMENTS_MAX};
use crate::zoo::Random;
use serde::Serialize;
use statistics::ms;
use std::path::Path;
use std::time::{Duration, Instant};

/// Fewest timed runs where a time is given instead of a number.
const RUNS_MIN: usize = 5;
/// Most runs of one measurement.
const RUNS_MAX: usize = 1_000_000;

/// How often, or for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// This many runs.
    Runs(usize),
    /// Runs until so much time has gone by.
    Seconds(f64),
}

impl Amount {
    /// Whether `done` runs that took `spent` are enough; of a time, `least` at least.
    fn is_reached(self, done: usize, spent: Duration, least: usize) -> bool {
        match self {
            Amount::Runs(runs) => done >= runs.min(RUNS_MAX),
            Amount::Seconds(s) => (done >= least && spent.as_secs_f64() >= s) || done >= RUNS_MAX,
        }
    }
}

/// What a network looks at, `[height, width, 3]` numbers as it takes them.
#[derive(Clone, Debug)]
pub enum Picture {
    /// Noise in 0..1, the same on every machine.
    Noise,
    /// These numbers.
    Reals(Vec<f32>),
}

impl Picture {
    /// Reads little-endian floats `[3, height, width]`.
    ///
    /// # Errors
    /// The file cannot be read, or is no whole number of pixels.
    pub fn from_planes(path: &Path) -> Result<Self> {
        const BYTES_MAX: u64 = (INPUT_SIDE_MAX * INPUT_SIDE_MAX * 3 * 4) as u64;
        let length = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if length == 0 || length > BYTES_MAX || length % 12 != 0 {
            let what = format!("{length} bytes are no picture of 3×height×width little-endian f32");
            return Err(Error::BadPicture { path: path.to_owned(), what });
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let pixels = bytes.len() / 12;
        let at = |i: usize| {
            let byte = 4 * ((i % 3) * pixels + i / 3);
            f32::from_le_bytes([bytes[byte], bytes[byte + 1], bytes[byte + 2], bytes[byte + 3]])
        };
        Ok(Picture::Reals((0..3 * pixels).map(at).collect()))
    }

    /// The numbers for an input of `[height, width]`.
    fn pixels(&self, [height, width]: [usize; 2]) -> std::borrow::Cow<'_, [f32]> {
        match self {
            Picture::Reals(reals) => reals.into(),
            Picture::Noise => {
                let mut random = Random::new(2);
                let count = (height * width * 3).min(TENSOR_ELEMENTS_MAX);
                (0..count).map(|_| random.unit()).collect::<Vec<_>>().into()
            }
        }
    }
}

/// How a network is measured.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Runs before the clock is read, the first one not counted.
    pub warmup: Amount,
    /// Runs that are timed one by one; of a time, five at least.
    pub timed: Amount,
}

/// Times of one network. A run takes a picture of floats and ends with floats in the outputs; of a batch, as many
/// as it has images.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// Reading the file, preparing the network, and all memory for it.
    pub load_ms: f64,
    /// First run after that.
    pub first_ms: f64,
    /// Timed runs.
    #[serde(flatten)]
    pub times: Statistics,
    /// Most memory of the process while the network was loaded and run, in MB of 10⁶ bytes.
    pub rss_mb: Option<f64>,
    /// Memory of the process before that.
    pub rss0_mb: Option<f64>,
    /// Mean magnitude of the first output.
    pub check: f64,
}

/// What is timed.
trait Subject {
    /// Rows and columns of an image.
    fn input_size(&self) -> [usize; 2];
    /// From pictures of floats to floats in the outputs.
    fn run(&mut self, pixels: &[f32]) -> Result<()>;
    /// See [`Measurement::check`].
    fn check(&self) -> f64;
}

impl Subject for Backend {
    fn input_size(&self) -> [usize; 2] {
        Backend::input_size(self)
    }

    fn run(&mut self, pixels: &[f32]) -> Result<()> {
        self.fill_reals(pixels)?;
        Backend::run(self)
    }

    fn check(&self) -> f64 {
        let outputs = self.outputs();
        let Some((_, shape)) = outputs.first() else { return 0.0 };
        mean_magnitude(self.output(0), shape)
    }
}

/// A batch that is shown the same picture in every place.
impl Subject for Batch {
    fn input_size(&self) -> [usize; 2] {
        Batch::input_size(self)
    }

    fn run(&mut self, pixels: &[f32]) -> Result<()> {
        let [height, width] = Batch::input_size(self);
        let channels = self.plan().inputs[0].loc.channels();
        if pixels.len() != height * width * channels {
            return Err(wrong_count(pixels.len(), [height, width]));
        }
        self.fill_reals(|_| pixels);
        Batch::run(self);
        Ok(())
    }

    /// That of the image with the smallest: an image that did not run shows.
    fn check(&self) -> f64 {
        let of = |image: usize| {
            let Output { shape, plane, .. } = self.output(image, 0);
            mean_magnitude(detect::Output { data: plane.data, pitch: plane.pitch }, shape.dims())
        };
        if self.outputs() == 0 { 0.0 } else { (0..self.images()).map(of).fold(f64::INFINITY, f64::min) }
    }
}

/// Loads a network with `open`, and times it.
///
/// # Errors
/// It does not load, does not take the picture, or its engine fails.
pub fn measure(
    open: impl FnOnce() -> Result<Backend>,
    picture: &Picture,
    runs: &Runs,
) -> Result<(Measurement, Backend)> {
    time(open, picture, runs)
}

/// Loads a network with `open` for `images` images at once, and times whole batches.
///
/// # Errors
/// As [`measure`], or the engine has no batches of this size.
pub fn measure_batch(
    open: impl FnOnce() -> Result<Backend>,
    images: usize,
    picture: &Picture,
    runs: &Runs,
) -> Result<(Measurement, Batch)> {
    time(|| open()?.with_batch(images), picture, runs)
}

fn time<S: Subject>(
    open: impl FnOnce() -> Result<S>,
    picture: &Picture,
    runs: &Runs,
) -> Result<(Measurement, S)> {
    memory::forget_peak();
    let rss0_mb = memory::resident_mb();
    let start = Instant::now();
    let mut subject = open()?;
    let load_ms = ms(start.elapsed());
    let pixels = picture.pixels(subject.input_size());
    let first_ms = ms(run(&mut subject, &pixels)?);
    repeat(&mut subject, &pixels, runs.warmup, 0)?;
    let times = Statistics::of(&repeat(&mut subject, &pixels, runs.timed, RUNS_MIN)?)
        .ok_or_else(|| Error::Usage("at least one timed run is needed".into()))?;
    let check = subject.check();
    let rss_mb = memory::peak_mb();
    Ok((Measurement { load_ms, first_ms, times, rss_mb, rss0_mb, check }, subject))
}

fn run(subject: &mut impl Subject, pixels: &[f32]) -> Result<Duration> {
    let start = Instant::now();
    subject.run(pixels)?;
    Ok(start.elapsed())
}

fn repeat(subject: &mut impl Subject, pixels: &[f32], amount: Amount, least: usize) -> Result<Vec<Duration>> {
    let (start, mut times) = (Instant::now(), Vec::new());
    while !amount.is_reached(times.len(), start.elapsed(), least) {
        times.push(run(subject, pixels)?);
    }
    Ok(times)
}

fn mean_magnitude(output: detect::Output<'_>, shape: &[usize]) -> f64 {
    // Images have the channels of a pixel together, and a gap behind them.
    let (channels, pitch) = if shape.len() == 4 { (shape[1], output.pitch.max(1)) } else { (1, 1) };
    let pixels = output.data.chunks(pitch).map(|pixel| &pixel[..channels.min(pixel.len())]);
    let (sum, count) =
        pixels.flatten().fold((0.0, 0usize), |(sum, count), &x| (sum + f64::from(x.abs()), count + 1));
    sum / count.max(1) as f64
}
