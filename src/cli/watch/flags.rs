//! Flags of `ocellus watch` that say what a configuration file may say as well, and go before it.

use clap::{Args, ValueEnum};
use ocellus::watch::config::{Camera, Config, Motion, PixelFormat, Print, Rate, Size, Snapshots};
use ocellus::watch::{Place, RawFormat};
use ocellus::{Error, Result};
use std::path::PathBuf;

/// What standard output gets.
#[derive(Clone, Copy, ValueEnum)]
enum PrintName {
    /// A line for each frame, with its events.
    Frames,
    /// A line for each event.
    Events,
    /// Nothing.
    Nothing,
}

/// Pixel formats of a camera.
#[derive(Clone, Copy, ValueEnum)]
enum PixelName {
    /// JPEG pictures.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
    /// Planes of 4:2:0.
    Nv12,
    /// Packed RGB.
    Rgb3,
    /// Brightness alone.
    Grey,
}

impl From<PixelName> for PixelFormat {
    fn from(name: PixelName) -> Self {
        match name {
            PixelName::Mjpg => PixelFormat::Mjpg,
            PixelName::Yuyv => PixelFormat::Yuyv,
            PixelName::Nv12 => PixelFormat::Nv12,
            PixelName::Rgb3 => PixelFormat::Rgb3,
            PixelName::Grey => PixelFormat::Grey,
        }
    }
}

/// What is watched, and how.
#[derive(Args, Clone)]
pub(super) struct Flags {
    /// Model: .onnx, or ncnn's .param with the .bin beside it [default: the one in this program, which finds persons and
    /// vehicles].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Where frames come from: a folder of pictures (JPEG, PNG, BMP; by name), a Y4M or MJPEG file, - for such a
    /// stream on standard input, or v4l:PATH for a camera (/dev/video0, or better a path in /dev/v4l/by-id), which is
    /// opened again when it was unplugged (see `ocellus cameras`), or http://… for a network camera's MJPEG stream.
    #[arg(long, value_name = "S")]
    source: Option<Place>,
    /// The source is raw frames: yuv420:WxH (limited range), yuvj420:WxH (full range) or rgb24:WxH.
    #[arg(long, value_name = "FORMAT")]
    raw: Option<RawFormat>,
    /// Name of the camera in the results. Default: the source's.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// Begin a file or folder anew at its end, for ever.
    #[arg(long = "loop")]
    endless: bool,
    /// Pace of a file or folder in frames per second: it then counts as a camera, and what is not looked at in time is
    /// dropped. Of a camera, the rate that it is asked for.
    #[arg(long, value_name = "N")]
    fps: Option<Rate>,
    /// Pixel format that a camera is asked for. Default: mjpg above 640x480, else yuyv.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pixels: Option<PixelName>,
    /// Size of frames that a camera is asked for. Default: the one nearest to 640x480.
    #[arg(long, value_name = "WxH")]
    resolution: Option<Size>,
    /// Look at no more frames than this in a second.
    #[arg(long, value_name = "N")]
    max_fps: Option<Rate>,
    /// Look at every frame and let the source wait.
    #[arg(long)]
    all_frames: bool,
    /// Look only where something moves: where at least this share of the picture has changed.
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.002")]
    motion: Option<Motion>,
    /// Decode the JPEG frames of a stream at 1/2, 1/4 or 1/8 of their size where the network needs no more. Boxes are then
    /// in pixels of the smaller frame, whose size each line states.
    #[arg(long)]
    shrink: bool,
    /// What standard output gets. Default: frames.
    #[arg(long, value_enum, value_name = "WHAT")]
    print: Option<PrintName>,
    /// Write a picture of each frame with events into this folder, at most 500 MB; the oldest ones go.
    #[arg(long, value_name = "DIR")]
    snapshots: Option<PathBuf>,
}

impl Flags {
    /// The configuration with what the flags say instead.
    pub fn apply(&self, mut config: Config) -> Result<Config> {
        if let Some(model) = &self.model {
            config.model = Some(model.clone());
        }
        if let Some(print) = self.print {
            config.print = Some(match print {
                PrintName::Frames => Print::Frames,
                PrintName::Events => Print::Events,
                PrintName::Nothing => Print::Nothing,
            });
        }
        if let Some(folder) = &self.snapshots {
            let max_mb = config.snapshots.map(|snapshots| snapshots.max_mb).unwrap_or_default();
            config.snapshots = Some(Snapshots { folder: folder.clone(), max_mb });
        }
        self.apply_to_camera(&mut config.cameras)?;
        Ok(config)
    }

    fn apply_to_camera(&self, cameras: &mut Vec<Camera>) -> Result<()> {
        if cameras.is_empty() && self.source.is_some() {
            cameras.push(Camera::default());
        }
        match &mut cameras[..] {
            [] => Err(Error::Usage(
                "no camera: give --source, or --config with a [[camera]] in the file".into(),
            )),
            [camera] => {
                self.change(camera);
                Ok(())
            }
            several if self.is_about_a_camera() => Err(Error::Usage(format!(
                "--source, --raw, --camera, --loop, --fps, --pixels, --resolution, --max-fps, --all-frames, --motion \
                 and --shrink are about one camera, and the configuration has {}",
                several.len()
            ))),
            _ => Ok(()),
        }
    }

    fn change(&self, camera: &mut Camera) {
        if let Some(source) = &self.source {
            camera.source = source.clone();
        }
        camera.raw = self.raw.or(camera.raw);
        camera.name = self.camera.clone().or(camera.name.take());
        camera.endless |= self.endless;
        camera.all_frames |= self.all_frames;
        camera.shrink |= self.shrink;
        camera.fps = self.fps.or(camera.fps);
        camera.format = self.pixels.map(PixelFormat::from).or(camera.format);
        camera.resolution = self.resolution.or(camera.resolution);
        camera.max_fps = self.max_fps.or(camera.max_fps);
        camera.motion = self.motion.or(camera.motion);
    }

    fn is_about_a_camera(&self) -> bool {
        let mut changed = Camera::default();
        self.change(&mut changed);
        self.source.is_some() || changed != Camera::default()
    }
}
