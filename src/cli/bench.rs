//! `ocellus bench`

use super::benchncnn::Arguments;
use super::options::EngineChoice;
use super::report::{Format, Row};
use super::{inputs, report};
use clap::{Args, ValueEnum};
use ocellus::bench::host::Host;
use ocellus::bench::{self, Amount, Picture, Roofs, Runs};
use ocellus::engine::{EngineOptions, Precision};
use ocellus::engines::{self, Backend, EngineKind};
use ocellus::image::Preprocess;
use ocellus::limits::{INPUT_SIDE_MAX, INPUT_SIDE_MIN};
use ocellus::loader::{EMBEDDED, LoadOptions, Model};
use ocellus::{DetectorOptions, Error, Result, zoo};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Seed of the picture that gives the int8 twins their grids.
const SEED: u64 = 3;
/// How long a network waits for the CPU to cool down.
const COOLING: Duration = Duration::from_secs(10);

/// Measure how fast networks run.
#[derive(Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "Examples:\n  \
    ocellus bench 8 4 0 -1 0\n  \
    ocellus bench --model v5lite-s resnet18 --threads 1 --format markdown\n  \
    ocellus bench --model v5lite-s --precision int8 --per-layer\n  \
    ocellus bench --model int8.onnx --size 320 --seconds 0.5 --input picture.f32 --format json\n  \
    ocellus bench --model v5lite-s --threads 4 --batch 8\n  \
    ocellus bench --model int8.param --stages photos/\n\n\
    Without a model: the built-in set, architectures with random weights. Facts of the machine go to standard\n\
    error, results to standard output. A run takes a picture of floats and ends with floats in the outputs."
)]
pub(super) struct Bench {
    /// As benchncnn: [loop_count] [num_threads] [powersave] [gpu_device] [cooling_down] [param=FILE]
    /// [shape=[w,h,3]]. Given any of them, the others have benchncnn's defaults: 4, big CPUs, 2, -1, 1.
    #[arg(value_name = "NUMBER")]
    benchncnn: Vec<String>,
    /// Names of built-in networks, or model files. Default: the built-in set.
    #[arg(long, value_name = "M", num_args = 1..)]
    model: Vec<String>,
    #[command(flatten)]
    choice: EngineChoice,
    /// Arithmetic. Default: both for built-in networks, what it has scales for for a model file.
    #[arg(long, value_enum)]
    precision: Option<PrecisionName>,
    /// Timed runs.
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    loops: Option<usize>,
    /// Time single runs for so long, and five at least. [default: 0.5]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Runs before the timed ones. Default: 8, or three tenths of --seconds.
    #[arg(long, value_name = "N", conflicts_with = "warmup_seconds")]
    warmup: Option<usize>,
    /// Time for runs before the timed ones.
    #[arg(long, value_name = "S", value_parser = seconds)]
    warmup_seconds: Option<f64>,
    /// Images per run. Each thread then runs whole images, instead of sharing one with the others; times are those
    /// of the whole batch.
    #[arg(long, value_name = "B", default_value_t = 1, conflicts_with_all = ["per_layer", "roofline", "stages"])]
    batch: usize,
    /// Picture: 3×height×width little-endian f32, as the network takes them. Default: noise.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How results are printed: text has benchncnn's rows, json one line per measurement.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Show the time of every layer.
    #[arg(long, conflicts_with = "stages")]
    per_layer: bool,
    /// Draw every layer against what the machine's arithmetic and memory allow; one network and precision.
    #[arg(long, value_name = "FILE.svg", conflicts_with = "stages")]
    roofline: Option<PathBuf>,
    /// Show the time of every stage, from these pictures' files to the detections.
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "input")]
    stages: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum PrecisionName {
    /// Int8; a model file without scales is refused.
    Int8,
    /// Float throughout.
    Fp32,
    /// Float, but convolutions compute in int8 on scales that each run makes.
    Dynamic,
    /// fp32 and int8, one after the other.
    Both,
}

fn seconds(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' is no time from 0 to 3600 seconds");
    text.parse().ok().filter(|s| (0.0..=3600.0).contains(s)).ok_or_else(wrong)
}

/// What a name given by --model stands for.
enum Subject {
    BuiltIn(&'static zoo::Network),
    File(PathBuf),
}

impl Subject {
    fn of(name: &str) -> Result<Self> {
        if let Some(network) = zoo::find(name) {
            return Ok(Subject::BuiltIn(network));
        }
        let path = PathBuf::from(name);
        if name == EMBEDDED || path.exists() {
            return Ok(Subject::File(path));
        }
        let names: Vec<&str> = zoo::NETWORKS.iter().map(|network| network.name).collect();
        Err(Error::Usage(format!("{name}: neither a file nor one of {EMBEDDED}, {}", names.join(", "))))
    }

    fn name(&self) -> String {
        match self {
            Subject::BuiltIn(network) => network.name.to_owned(),
            Subject::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        }
    }
}

/// Everything that the arguments amount to.
struct Job {
    subjects: Vec<Subject>,
    size: Option<[usize; 2]>,
    options: EngineOptions,
    runs: Runs,
    picture: Picture,
    cooling: bool,
}

impl Bench {
    pub fn run(&self) -> Result<ExitCode> {
        let job = self.job()?;
        if let Some(pictures) = &self.stages {
            return self.stages(&job, pictures);
        }
        if self.roofline.is_some()
            && (job.subjects.len() != 1 || self.precisions(&job.subjects[0]).len() != 1)
        {
            let what = "a roofline shows one network: give one --model, and one --precision";
            return Err(Error::Usage(what.into()));
        }
        let mut rows = Vec::new();
        for subject in &job.subjects {
            for precision in self.precisions(subject) {
                if job.cooling {
                    std::thread::sleep(COOLING);
                }
                let (row, backend) = self.measure(&job, subject, precision)?;
                report::row(self.format, &row)?;
                if let Some(mut backend) = backend
                    && (self.per_layer || self.roofline.is_some())
                {
                    self.layers(&job, &row, precision, &mut backend)?;
                }
                rows.push(row);
            }
        }
        if self.format == Format::Markdown {
            report::table(&rows)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Checks all arguments, and prints what is known before anything runs.
    fn job(&self) -> Result<Job> {
        let classic = match self.benchncnn.is_empty() {
            true => None,
            false => Some(Arguments::parse(&self.benchncnn)?),
        };
        let mut options = self.choice.options(Precision::Auto)?;
        let mut size = self.choice.size();
        let mut names = self.model.clone();
        if let Some(classic) = &classic {
            if self.loops.is_some() || self.seconds.is_some() || self.choice.threads().is_some() {
                let what = "loops and threads are given twice: by position, and as options";
                return Err(Error::Usage(what.into()));
            }
            options.threads = classic.threads()?.unwrap_or(options.threads);
            size = classic.size.or(size);
            names.extend(classic.param.iter().map(|path| path.to_string_lossy().into_owned()));
        }
        if let Some([h, w]) = size
            && ![h, w].iter().all(|side| (INPUT_SIDE_MIN..=INPUT_SIDE_MAX).contains(side))
        {
            let what = format!("size must be {INPUT_SIDE_MIN} to {INPUT_SIDE_MAX}, not {h}×{w}");
            return Err(Error::Usage(what));
        }
        let subjects = match names.is_empty() {
            true => zoo::NETWORKS.iter().map(Subject::BuiltIn).collect(),
            false => names.iter().map(|name| Subject::of(name)).collect::<Result<_>>()?,
        };
        let picture = self.input.as_deref().map_or(Ok(Picture::Noise), Picture::from_planes)?;
        eprintln!("{}\nisa = {}", Host::read(), options.isa);
        match &classic {
            Some(classic) => eprintln!("{}", classic.header(options.threads)),
            None => eprintln!("num_threads = {}", options.threads),
        }
        let cooling = classic.as_ref().is_some_and(|c| c.cooling_down);
        Ok(Job { subjects, size, options, runs: self.runs(classic.as_ref()), picture, cooling })
    }

    fn runs(&self, classic: Option<&Arguments>) -> Runs {
        let timed = match (classic, self.loops) {
            (Some(classic), _) => Amount::Runs(classic.loops),
            (None, Some(loops)) => Amount::Runs(loops),
            (None, None) => Amount::Seconds(self.seconds.unwrap_or(0.5)),
        };
        let warmup = match (self.warmup, self.warmup_seconds, timed) {
            (Some(runs), ..) => Amount::Runs(runs),
            (None, Some(s), _) => Amount::Seconds(s),
            (None, None, Amount::Runs(_)) => Amount::Runs(8),
            (None, None, Amount::Seconds(s)) => Amount::Seconds(0.3 * s),
        };
        Runs { warmup, timed }
    }

    fn precisions(&self, subject: &Subject) -> Vec<Precision> {
        match (self.precision, subject) {
            (Some(PrecisionName::Int8), _) => vec![Precision::Int8],
            (Some(PrecisionName::Fp32), _) => vec![Precision::Fp32],
            (Some(PrecisionName::Dynamic), _) => vec![Precision::Dynamic],
            (None, Subject::File(_)) => vec![Precision::Auto],
            (Some(PrecisionName::Both), _) | (None, Subject::BuiltIn(_)) => {
                vec![Precision::Fp32, Precision::Int8]
            }
        }
    }

    fn measure(&self, job: &Job, subject: &Subject, precision: Precision) -> Result<(Row, Option<Backend>)> {
        let options = EngineOptions { precision, ..job.options };
        let kind = self.choice.kind();
        match subject {
            Subject::BuiltIn(_) if kind != EngineKind::Native => {
                Err(Error::Usage("built-in networks run in the native engine only".into()))
            }
            Subject::BuiltIn(network) => {
                let mut graph = network.graph(job.size.unwrap_or([network.size; 2]))?;
                if precision == Precision::Int8 {
                    graph = zoo::quantized(&graph, SEED)?;
                }
                let model = Model { graph, metadata: Vec::new() };
                let open = || engines::native(&model.graph, &Preprocess::default(), &options);
                self.row(job, subject, &options, open)
            }
            Subject::File(path) => {
                let load = LoadOptions { size: job.size };
                let open = || Ok(engines::open(path, kind, &load, &options, &[])?.backend);
                self.row(job, subject, &options, open)
            }
        }
    }

    /// Measures what `open` opens; hands it back unless it became a batch.
    fn row(
        &self,
        job: &Job,
        subject: &Subject,
        options: &EngineOptions,
        open: impl FnOnce() -> Result<Backend>,
    ) -> Result<(Row, Option<Backend>)> {
        let (measured, precision, size, backend) = if self.batch == 1 {
            let (measured, backend) = bench::measure(open, &job.picture, &job.runs)?;
            (measured, backend.precision(), backend.input_size(), Some(backend))
        } else {
            let (measured, batch) = bench::measure_batch(open, self.batch, &job.picture, &job.runs)?;
            (measured, batch.plan().precision(), batch.input_size(), None)
        };
        let row = Row {
            name: subject.name(),
            engine: self.choice.kind().name(),
            precision,
            isa: options.isa.to_string(),
            threads: options.threads,
            size,
            batch: self.batch,
            images_per_second: self.batch as f64 / (measured.times.median_ms * 1e-3),
            measured,
        };
        Ok((row, backend))
    }

    fn layers(&self, job: &Job, row: &Row, precision: Precision, backend: &mut Backend) -> Result<()> {
        let EngineOptions { isa, threads, .. } = job.options;
        let peak = |precision| bench::peak(precision, isa, threads);
        let own = peak(precision)?;
        let runs = match job.runs.timed {
            Amount::Runs(runs) => runs,
            Amount::Seconds(_) => 20,
        };
        let layers = bench::layers(backend, &job.picture, runs, &own)?;
        if self.per_layer {
            report::layers(self.format, &layers, &own)?;
        }
        let Some(path) = &self.roofline else { return Ok(()) };
        let roofs = Roofs {
            int8: peak(Precision::Int8)?,
            fp32: peak(Precision::Fp32)?,
            memory: bench::memory_rate(),
        };
        let [h, w] = row.size;
        let title = format!("{} {w}×{h}, {}, {isa}, threads: {threads}", row.name, row.precision);
        std::fs::write(path, bench::roofline(&title, &layers, &roofs)).map_err(|e| Error::io(path, e))
    }

    fn stages(&self, job: &Job, pictures: &Path) -> Result<ExitCode> {
        let pictures = inputs::expand(&[pictures.to_owned()])?;
        for subject in &job.subjects {
            let Subject::File(path) = subject else {
                let what = "stages need a trained model: --model FILE; random weights detect at random";
                return Err(Error::Usage(what.into()));
            };
            for precision in self.precisions(subject) {
                let run = EngineOptions { precision, ..job.options };
                let options = DetectorOptions {
                    engine: self.choice.kind(),
                    size: job.size,
                    run,
                    ..DetectorOptions::default()
                };
                report::stages(self.format, &subject.name(), &bench::stages(path, &options, &pictures)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
