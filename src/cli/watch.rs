//! `ocellus watch`

use super::json::{Milliseconds, Object, ms, objects};
use super::options::{ModelFacts, RunOptions, Thresholds};
use clap::Args;
use ocellus::watch::{self, Answer, Control, Pace, Place, RawFormat, Stamp};
use ocellus::{Detector, Error, Result};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Once;
use std::time::Duration;

/// A frame in hand gets this long after a signal; then the program ends without it.
const GRACE: Duration = Duration::from_millis(700);

/// Find objects in the frames of a camera, as they come.
///
/// Each frame becomes one line of JSON. Of a stream the newest frame is looked at, and older ones are dropped and
/// counted; of a file or folder every frame is looked at. SIGINT and SIGTERM end the program with a summary on
/// standard error: frames looked at, dropped, damaged, and the mean latency.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    rpicam-vid -n -t 0 --codec mjpeg -o - | ocellus watch --model v5lite-e.param --source -\n  \
    rpicam-vid -n -t 0 --width 640 --height 480 --codec yuv420 -o - |\n    \
        ocellus watch --model v5lite-e.param --source - --raw yuv420:640x480\n  \
    ffmpeg -i rtsp://camera/stream -f yuv4mpegpipe -pix_fmt yuv420p - |\n    \
        ocellus watch --model v5lite-e.param --source - --camera door --max-fps 5\n  \
    ffmpeg -i day.mp4 -f yuv4mpegpipe -pix_fmt yuv420p - |\n    \
        ocellus watch --model v5lite-e.param --source - --all-frames | jq .detections\n  \
    ocellus watch --model v5lite-e.param --source photos/ --loop --fps 10\n\n\
    Exit status: 0 after a signal and at the end of the source, 1 if the source breaks (a stream that ends inside a \
    frame, say), 2 wrong usage. Damaged frames are counted and passed over.")]
pub(super) struct Watch {
    /// Model: .onnx, or ncnn's .param with the .bin beside it.
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Where frames come from: a folder of pictures (JPEG, PNG, BMP; by name), a Y4M or MJPEG file, or - for such a
    /// stream on standard input.
    #[arg(long, value_name = "S")]
    source: Place,
    /// The source is raw frames: yuv420:WxH (limited range), yuvj420:WxH (full range) or rgb24:WxH.
    #[arg(long, value_name = "FORMAT")]
    raw: Option<RawFormat>,
    /// Name of the camera in the results. Default: the source's.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// Begin a file or folder anew at its end, for ever.
    #[arg(long = "loop")]
    endless: bool,
    /// Pace of a file or folder in frames per second. It then counts as a camera: what is not looked at in time is
    /// dropped.
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    fps: Option<f64>,
    /// Look at no more frames than this in a second.
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    max_fps: Option<f64>,
    /// Look at every frame and let the source wait.
    #[arg(long)]
    all_frames: bool,
    #[command(flatten)]
    run: RunOptions,
    #[command(flatten)]
    thresholds: Thresholds,
    #[command(flatten)]
    facts: ModelFacts,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1000.0).contains(rate));
    rate.ok_or_else(|| format!("'{text}' is no rate from 0.001 to 1000 per second"))
}

/// The line of a frame.
#[derive(Serialize)]
struct Line<'a> {
    camera: &'a str,
    frame: u64,
    time: Stamp,
    latency_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    width: usize,
    height: usize,
    detections: Vec<Object<'a>>,
    ms: Milliseconds,
}

impl Watch {
    pub fn run(&self) -> Result<ExitCode> {
        let mut options = self.run.detector()?;
        self.thresholds.apply(&mut options);
        self.facts.apply(&mut options)?;
        let place = Place { raw: self.raw, ..self.source.clone() };
        let camera = self.camera.clone().unwrap_or_else(|| place.name());
        let pace = Pace {
            every: self.all_frames || place.is_stored() && self.fps.is_none(),
            period: self.max_fps.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        };
        let control = Control::default();
        end_on_signals(&control)?;
        let mut detector = Detector::open(&self.model, &options)?;
        let source = watch::open(&place, self.endless, self.fps)?;
        let mut closed = false;
        let done = watch::watch(source, &mut detector, pace, &control, |answer| {
            let flow = print(&camera, answer)?;
            closed = flow.is_break();
            Ok(flow)
        });
        if !closed {
            summarize(&control);
        }
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Prints the line of a frame; breaks where nobody reads any more.
fn print(camera: &str, answer: &Answer) -> Result<ControlFlow<()>> {
    let line = Line {
        camera,
        frame: answer.number,
        time: Stamp(answer.time),
        latency_ms: ms(answer.latency),
        image: answer.path.map(|path| path.to_string_lossy().into_owned()),
        width: answer.frame.width,
        height: answer.frame.height,
        detections: objects(answer.names, answer.found),
        ms: Milliseconds::new(answer.decode, answer.timing),
    };
    let mut text = serde_json::to_string(&line).expect("names and numbers are JSON");
    text.push('\n');
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ControlFlow::Continue(())),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(e) => Err(Error::io("standard output", e)),
    }
}

/// Prints the counts, once: who comes second waits until they are out.
fn summarize(control: &Control) {
    static DONE: Once = Once::new();
    // Nobody may read standard error; that is no reason to fail at the end.
    DONE.call_once(|| drop(writeln!(std::io::stderr(), "{}", control.counts())));
}

/// SIGINT and SIGTERM stop the watch. What hangs then (a long inference, a reader of standard output that does not
/// read, a model that is being loaded) is left behind.
#[cfg(unix)]
fn end_on_signals(control: &Control) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals =
        signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(|e| Error::io("signals", e))?;
    let control = control.clone();
    let wait = move || {
        if signals.forever().next().is_some() {
            control.stop();
            std::thread::sleep(GRACE);
            summarize(&control);
            std::process::exit(0);
        }
    };
    let thread = std::thread::Builder::new().name("signals".into()).spawn(wait);
    thread.map(drop).map_err(|e| Error::io("signal thread", e))
}

/// The system ends the program by itself.
#[cfg(not(unix))]
fn end_on_signals(_: &Control) -> Result<()> {
    Ok(())
}
