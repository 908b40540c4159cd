//! `ocellus watch`

mod flags;
mod output;
mod outward;
#[cfg(target_os = "linux")]
mod service;
mod signals;

use super::options::{ModelFacts, RunOptions};
use clap::Args;
use flags::Flags;
use ocellus::detect::Names;
use ocellus::loader::EMBEDDED;
use ocellus::watch::board::{About, Board};
use ocellus::watch::config::{self, Config, Share};
use ocellus::watch::{self, Lens, Live, Shared, Snapshots};
use ocellus::{Detector, DetectorOptions, Error, Result};
use output::Output;
use outward::{Outward, OutwardFlags};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Find objects in the frames of cameras, as they come.
///
/// Each frame becomes one line of JSON. Of a stream the newest frame is looked at, and older ones are dropped and
/// counted; of a file or folder every frame is looked at. Objects keep a number from frame to frame ("track"), and what
/// they do becomes events: they enter and leave zones and cross lines, which a configuration file states; without any,
/// the whole picture is a zone. SIGINT and SIGTERM end the program with a summary on standard error: frames looked at,
/// dropped, damaged, and the mean latency. SIGHUP has the configuration file read again.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    rpicam-vid -n -t 0 --codec mjpeg -o - | ocellus watch --source -\n  \
    rpicam-vid -n -t 0 --width 640 --height 480 --codec yuv420 -o - |\n    \
        ocellus watch --source - --raw yuv420:640x480\n  \
    ffmpeg -i rtsp://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p - |\n    \
        ocellus watch --source - --camera door --max-fps 5\n  \
    ffmpeg -i day.mp4 -f yuv4mpegpipe -pix_fmt yuv420p - |\n    \
        ocellus watch --source - --all-frames --print events\n  \
    ocellus watch --source v4l:/dev/video0 --http 127.0.0.1:8080 --print events\n  \
    ocellus watch --model v5lite-e.param --source photos/ --loop --fps 10\n  \
    ocellus watch --config ocellus.toml --check && ocellus watch --config ocellus.toml\n\n\
    A configuration file:\n  \
    snapshots = { folder = \"snapshots\", max_mb = 500 }\n  \
    [[camera]]\n  \
    name = \"door\"\n  \
    source = \"-\"\n  \
    classes = [\"person\", \"vehicle\"]\n  \
    scores = { vehicle = 0.5 }\n  \
    min_area = 0.002                      # of the picture\n  \
    [[camera.zone]]\n  \
    name = \"porch\"\n  \
    points = [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]]\n  \
    [[camera.line]]\n  \
    name = \"gate\"                         # forward: to the right hand of who goes along it\n  \
    points = [[0.5, 1], [0.5, 0]]\n\n\
    Exit status: 0 after a signal and at the end of the source, 1 if the source breaks (a stream that ends inside a \
    frame, say), 2 wrong usage. Damaged frames are counted and passed over.")]
pub(super) struct Watch {
    /// Configuration (TOML): model, cameras, thresholds, zones, lines. Flags go before what it says.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check configuration, model and sources, and end.
    #[arg(long)]
    check: bool,
    #[command(flatten, next_help_heading = "Camera and output")]
    flags: Flags,
    #[command(flatten, next_help_heading = "Page, broker, webhooks")]
    outward: OutwardFlags,
    /// Least confidence of a detection, 0 to 1, where a camera of the configuration states none. Default: 0.25.
    #[arg(long, value_name = "P", help_heading = "Detection")]
    score: Option<f32>,
    /// Boxes of a class that overlap more than this (intersection over union) count as one object. Default: 0.45.
    #[arg(long, value_name = "P", help_heading = "Detection")]
    iou: Option<f32>,
    /// Most detections of a frame. Default: 300.
    #[arg(long, value_name = "N", help_heading = "Detection")]
    max_det: Option<usize>,
    #[command(flatten, next_help_heading = "How the model runs")]
    run: RunOptions,
    #[command(flatten, next_help_heading = "What the model expects")]
    facts: ModelFacts,
}

impl Watch {
    pub fn run(&self) -> Result<ExitCode> {
        let overrides = self.overrides()?;
        let file = self.config.as_ref().map(|path| config::load(path)).transpose()?;
        let config = overrides(file.unwrap_or_default())?;
        let shared = Shared::default();
        let options = self.detector_options(&config)?;
        let model = model_of(&config);
        let cameras: Vec<String> = config.cameras.iter().map(config::Camera::label).collect();
        let printed = config.print.unwrap_or_default();
        if self.check {
            let detector = Detector::open(model, &options)?;
            return check(config, &detector);
        }
        let output = Output::new(printed, cameras.len() > 1);
        let signals = signals::Signals::catch(&shared.control, &output, self.config.is_some())?;
        let mut detector = Detector::open(model, &options)?;
        let (board, publishers) = Board::new(about(&config, &detector, &options), &cameras);
        output.set_board(&board);
        let live = Live::new(config.clone(), self.config.clone(), overrides, detector.names())?;
        let shared = Shared { snapshots: Arc::clone(live.snapshots()), ..shared };
        let live = Arc::new(live);
        signals.reload(&live);
        let mut lenses = Vec::new();
        for ((camera, publisher), rules) in config.cameras.iter().zip(publishers).zip(live.rules()) {
            let source = watch::open(camera)?;
            lenses.push(Lens { source, every: camera.sees_all(), rules: Arc::clone(rules), publisher });
        }
        let outward = Outward::start(&board, &live, &config)?;
        #[cfg(target_os = "linux")]
        {
            service::keep_watchdog(&shared.pulse);
            service::ready();
        }
        let done = watch::watch(lenses, &mut detector, &shared, |report| output.print(report));
        output.summarize();
        drop(outward);
        // Pictures that were handed over are written before the program ends.
        shared.snapshots.store(None);
        done.map(|()| ExitCode::SUCCESS)
    }

    /// What the command line says, as a change of what a file says.
    fn overrides(&self) -> Result<watch::Overrides> {
        let share = |value: Option<f32>, name: &str| {
            let share = value.map(Share::try_from).transpose();
            share.map_err(|e| Error::Usage(format!("--{name}: {e}")))
        };
        let (score, iou) = (share(self.score, "score")?, share(self.iou, "iou")?);
        let (flags, outward, max_det) = (self.flags.clone(), self.outward.clone(), self.max_det);
        Ok(Box::new(move |mut config: Config| {
            config.score = score.or(config.score);
            config.iou = iou.or(config.iou);
            config.max_det = max_det.or(config.max_det);
            flags.apply(outward.apply(config))
        }))
    }

    fn detector_options(&self, config: &Config) -> Result<DetectorOptions> {
        let mut options = self.run.detector()?;
        options.size = options.size.or(config.size.map(config::Size::shape));
        if let (None, Some(threads)) = (self.run.threads(), config.threads) {
            options.run.threads = threads;
        }
        options.iou = config.iou.map_or(options.iou, f32::from);
        options.max_det = config.max_det.unwrap_or(options.max_det);
        options.names = config.names.as_ref().map(Names::from_file).transpose()?;
        self.facts.apply(&mut options)?;
        Ok(options)
    }
}

/// The model that is asked for, else the one in the program.
fn model_of(config: &Config) -> &Path {
    config.model.as_deref().unwrap_or(Path::new(EMBEDDED))
}

fn about(config: &Config, detector: &Detector, options: &DetectorOptions) -> About {
    let model = model_of(config).file_name();
    let [height, width] = detector.input_size();
    About {
        version: env!("CARGO_PKG_VERSION"),
        model: model.unwrap_or_default().to_string_lossy().into_owned(),
        precision: detector.precision(),
        input: [width, height],
        classes: detector.names().iter().map(Arc::from).collect(),
        threads: options.run.threads,
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `--check`: everything that a run would find wrong at its start.
fn check(config: Config, detector: &Detector) -> Result<ExitCode> {
    let [height, width] = detector.input_size();
    println!("model: {} classes, input {width}x{height}, {}", detector.names().len(), detector.precision());
    config.snapshots.as_ref().map_or(Ok(()), Snapshots::probe)?;
    outward::check(&config)?;
    let live = Live::new(config.clone(), None, Box::new(Ok), detector.names())?;
    for (camera, rules) in config.cameras.iter().zip(live.rules()) {
        watch::probe(camera)?;
        let places = &rules.load().places;
        let (zones, lines) = (counted(places.zones.len(), "zone"), counted(places.lines.len(), "line"));
        println!("camera '{}': {} ({zones}, {lines})", camera.label(), camera.source);
    }
    Ok(ExitCode::SUCCESS)
}
