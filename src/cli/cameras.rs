//! `ocellus cameras`

use super::options::Format;
use clap::Args;
use ocellus::Result;
use ocellus::watch::v4l::{self, CameraInfo};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// List the cameras of this machine with their formats and sizes.
///
/// Formats marked with * can be read by `ocellus watch --source v4l:PATH`. Cameras of libcamera (CSI) give raw data only
/// as devices; read them by rpicam-vid and a pipe.
#[derive(Args)]
pub(super) struct Cameras {
    /// How cameras are printed; json is one line per camera.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A camera that cannot be asked.
#[derive(Serialize)]
struct Silent {
    path: PathBuf,
    error: String,
}

impl Cameras {
    pub fn run(&self) -> Result<ExitCode> {
        let cameras = v4l::list();
        if cameras.is_empty() {
            eprintln!("no camera (/dev/video*) on this machine");
        }
        let mut out = std::io::stdout().lock();
        for (path, camera) in cameras {
            let written = match (self.format, camera) {
                (Format::Json, Ok(camera)) => json(&mut out, &camera),
                (Format::Json, Err(error)) => json(&mut out, &Silent { path, error: error.to_string() }),
                (Format::Text, Ok(camera)) => text(&mut out, &camera),
                (Format::Text, Err(error)) => writeln!(out, "{error}"),
            };
            if written.is_err() {
                // The reader has seen enough.
                break;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn json(out: &mut impl Write, camera: &impl Serialize) -> std::io::Result<()> {
    writeln!(out, "{}", serde_json::to_string(camera).expect("names and numbers are JSON"))
}

fn text(out: &mut impl Write, camera: &CameraInfo) -> std::io::Result<()> {
    writeln!(out, "{}  {} ({}, {})", camera.path.display(), camera.card, camera.driver, camera.bus)?;
    if let Some(by_id) = &camera.by_id {
        writeln!(out, "  {}", by_id.display())?;
    }
    for format in &camera.formats {
        let mark = if format.supported { '*' } else { ' ' };
        let sizes: Vec<_> = format.sizes.iter().map(ToString::to_string).collect();
        writeln!(out, "  {mark} {}  {}", format.fourcc, sizes.join(", "))?;
    }
    Ok(())
}
