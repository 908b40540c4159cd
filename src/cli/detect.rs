//! `ocellus detect`

use super::inputs;
use super::json::{Milliseconds, Object, objects};
use super::options::{Format, ModelFacts, RunOptions, Thresholds};
use clap::Args;
use crossbeam_channel::Sender;
use ocellus::detect::{Detection, Names, annotate};
use ocellus::image::{self, Frame};
use ocellus::loader::EMBEDDED;
use ocellus::{Detector, Error, Result, Timing};
use serde::Serialize;
use std::collections::HashSet;
use std::io::{StdoutLock, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Find objects in pictures.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    ocellus detect street.jpg\n  \
    ocellus detect --model yolov5-lite.onnx street.jpg\n  \
    ocellus detect --model v5lite-e.param --size 320 --draw out/ photos/\n  \
    ocellus detect --model v5lite-e.param --format json 'camera/*.jpg' | jq .detections\n\n\
    A picture that cannot be read is reported and skipped; the exit status is then 1.")]
pub(super) struct Detect {
    /// Model: .onnx, ncnn's .param with the .bin beside it, or the one in this program, which finds persons and vehicles.
    #[arg(long, value_name = "FILE", default_value = EMBEDDED)]
    model: PathBuf,
    #[command(flatten)]
    run: RunOptions,
    #[command(flatten)]
    thresholds: Thresholds,
    #[command(flatten)]
    facts: ModelFacts,
    /// How results are printed; json is one line per picture.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Write each picture with its boxes drawn into this folder.
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
    /// Pictures (JPEG, PNG, BMP), folders of pictures, or quoted patterns such as 'day1/*.jpg'.
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
}

/// One line of `--format json`.
#[derive(Serialize)]
struct Line<'a> {
    image: String,
    width: usize,
    height: usize,
    detections: Vec<Object<'a>>,
    ms: Milliseconds,
}

impl Detect {
    pub fn run(&self) -> Result<ExitCode> {
        let mut options = self.run.detector()?;
        self.thresholds.apply(&mut options);
        self.facts.apply(&mut options)?;
        let pictures = inputs::expand(&self.inputs)?;
        if let Some(folder) = &self.draw {
            std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        }
        let mut detector = Detector::open(&self.model, &options)?;
        let mut drawn = HashSet::new();
        let mut failed = false;
        // The next picture is decoded while this one is looked at; no more, for decoded pictures are large.
        let (decoded, frames) = crossbeam_channel::bounded(1);
        let pictures = &pictures;
        std::thread::scope(|scope| {
            scope.spawn(move || decode_all(pictures, decoded));
            for (picture, frame, decode) in frames {
                let done =
                    frame.and_then(|frame| self.one(&mut detector, (picture, frame, decode), &mut drawn));
                match done {
                    Ok(()) => {}
                    Err(error @ (Error::BadPicture { .. } | Error::Io { .. })) => {
                        eprintln!("error: {error}");
                        failed = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        })
    }

    fn one(
        &self,
        detector: &mut Detector,
        (picture, mut frame, decode): (&Path, Frame, Duration),
        drawn: &mut HashSet<PathBuf>,
    ) -> Result<()> {
        let (found, timing) = detector.detect(&frame)?;
        let found = found.to_vec();
        self.print(detector.names(), picture, &frame, &found, (decode, timing))?;
        if let Some(folder) = &self.draw {
            annotate(&mut frame, &found, detector.names());
            let path = free_name(folder, picture, drawn);
            image::save(&frame, &path)?;
            if let Format::Text = self.format {
                say(|out| writeln!(out, "  drawn in {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn print(
        &self,
        names: &Names,
        picture: &Path,
        frame: &Frame,
        found: &[Detection],
        (decode, timing): (Duration, Timing),
    ) -> Result<()> {
        say(|out| match self.format {
            Format::Json => {
                let line = line(names, picture, frame, found, (decode, timing));
                writeln!(out, "{}", serde_json::to_string(&line).expect("names and numbers are JSON"))
            }
            Format::Text => text(out, names, picture, found, timing),
        })
    }
}

/// Writes to standard output.
fn say(write: impl FnOnce(&mut StdoutLock) -> std::io::Result<()>) -> Result<()> {
    write(&mut std::io::stdout().lock()).or_else(|e| match e.kind() {
        // The reader has seen enough.
        std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        _ => Err(Error::io("standard output", e)),
    })
}

/// Decodes `pictures` one after the other, until the receiver has had enough.
fn decode_all<'a>(pictures: &'a [PathBuf], decoded: Sender<(&'a Path, Result<Frame>, Duration)>) {
    for picture in pictures {
        let start = Instant::now();
        let frame = image::decode(picture);
        if decoded.send((picture, frame, start.elapsed())).is_err() {
            return;
        }
    }
}

fn line<'a>(
    names: &'a Names,
    picture: &Path,
    frame: &Frame,
    found: &[Detection],
    (decode, timing): (Duration, Timing),
) -> Line<'a> {
    Line {
        image: picture.to_string_lossy().into_owned(),
        width: frame.width,
        height: frame.height,
        detections: objects(names, found),
        ms: Milliseconds::new(decode, timing),
    }
}

fn text(
    out: &mut impl Write,
    names: &Names,
    picture: &Path,
    found: &[Detection],
    timing: Timing,
) -> std::io::Result<()> {
    let inference = timing.inference.as_secs_f64() * 1e3;
    let objects = if found.len() == 1 { "object" } else { "objects" };
    writeln!(out, "{}: {} {objects}, {inference:.1} ms", picture.display(), found.len())?;
    for d in found {
        let [x1, y1, x2, y2] = d.bbox;
        writeln!(
            out,
            "  {:<16} {:.2}  [{x1:.0}, {y1:.0}, {x2:.0}, {y2:.0}]",
            names.get(d.class_id),
            d.score
        )?;
    }
    Ok(())
}

/// A file in `folder` named after `picture` that this run has not written yet.
fn free_name(folder: &Path, picture: &Path, drawn: &mut HashSet<PathBuf>) -> PathBuf {
    let stem = picture.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = match picture.extension().map(|s| s.to_string_lossy().to_lowercase()) {
        Some(s) if s == "png" => "png",
        _ => "jpg",
    };
    let name = |n: usize| match n {
        0 => folder.join(format!("{stem}.{suffix}")),
        n => folder.join(format!("{stem}-{n}.{suffix}")),
    };
    let path =
        (0..).map(name).find(|path| !drawn.contains(path)).expect("one of endlessly many names is free");
    drawn.insert(path.clone());
    path
}
