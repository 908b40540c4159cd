//! From the name of a source to the source.

use super::config::Camera;
use super::reopen::Reopen;
#[cfg(all(target_os = "linux", feature = "v4l"))]
use super::v4l::V4l;
use super::{Folder, Mjpeg, Raw, RawFormat, Shot, Source, Step, Url, Y4m, http};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Where a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Place {
    /// Standard input.
    #[default]
    Stdin,
    /// A file or a folder.
    Path(PathBuf),
    /// A camera of this machine, by the path of its node.
    Device(PathBuf),
    /// A stream of a network camera.
    Url(Url),
}

impl FromStr for Place {
    type Err = Error;

    /// `-`, `v4l:` with the path of a camera's node, an address with `http:`, or a path.
    fn from_str(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Place::Stdin);
        }
        if let Some(node) = text.strip_prefix("v4l:") {
            return device(node);
        }
        if text.starts_with("http:") {
            return text.parse().map(Place::Url);
        }
        let path = PathBuf::from(text);
        if let Some((scheme, _)) = text.split_once(':').filter(|_| !path.exists()) {
            // The rest is not repeated: it may hold a password.
            return Err(Error::Usage(format!(
                "addresses with '{scheme}:' are not read directly; pipe them in, such as \
                 ffmpeg -i {scheme}:… -f yuv4mpegpipe - | ocellus watch --source -"
            )));
        }
        Ok(Place::Path(path))
    }
}

#[cfg(all(target_os = "linux", feature = "v4l"))]
fn device(node: &str) -> Result<Place> {
    match node.starts_with('/') {
        true => Ok(Place::Device(node.into())),
        false => Err(Error::Usage(format!(
            "source 'v4l:{node}': a camera is named by its path, such as v4l:/dev/video0; `ocellus cameras` lists them"
        ))),
    }
}

#[cfg(not(all(target_os = "linux", feature = "v4l")))]
fn device(node: &str) -> Result<Place> {
    Err(Error::Usage(format!(
        "source 'v4l:{node}': this program was built without cameras; build it on Linux with --features v4l"
    )))
}

impl TryFrom<String> for Place {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// As it is written, without a password.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Stdin => f.write_str("-"),
            Place::Path(path) => path.display().fmt(f),
            Place::Device(node) => write!(f, "v4l:{}", node.display()),
            Place::Url(url) => url.fmt(f),
        }
    }
}

impl Place {
    /// True for a folder or a file on a disk, which wait until they are read; false for what comes when it comes.
    pub fn is_stored(&self) -> bool {
        matches!(self, Place::Path(path) if path.is_dir() || path.is_file())
    }

    /// A short name: that of the file or folder, or `stdin`.
    pub fn name(&self) -> String {
        match self {
            Place::Stdin => "stdin".into(),
            Place::Path(path) => {
                let absolute = path.canonicalize().unwrap_or_else(|_| path.clone());
                absolute.file_stem().map_or("camera".into(), |name| name.to_string_lossy().into_owned())
            }
            Place::Url(url) => url.host.clone(),
            Place::Device(node) => {
                node.file_name().map_or("camera".into(), |name| name.to_string_lossy().into_owned())
            }
        }
    }
}

/// Opens the source of a camera. Devices and addresses are opened when the first frame is wanted, and again whenever they
/// are lost: what is not there yet may come.
///
/// # Errors
/// Nothing is there, or it is no source of a known kind; [`Error::Usage`] if a stream that is not stored is to be looped
/// or paced.
pub fn open(camera: &Camera) -> Result<Box<dyn Source>> {
    check(camera)?;
    let Camera { source, raw, .. } = camera;
    match source {
        Place::Device(_) | Place::Url(_) => {
            let camera = camera.clone();
            Ok(Box::new(Reopen::new(move || open_remote(&camera))))
        }
        Place::Stdin => of_stream(std::io::stdin(), "stdin", *raw),
        Place::Path(path) => open_stored(path, camera),
    }
}

/// Opens the source of a camera once, to see whether that is possible; standard input is left alone.
///
/// # Errors
/// As [`open`]; and a device or an address cannot be opened now.
pub fn probe(camera: &Camera) -> Result<()> {
    check(camera)?;
    match &camera.source {
        Place::Stdin => Ok(()),
        Place::Path(path) => open_path(path, camera.raw).map(drop),
        Place::Device(_) | Place::Url(_) => open_remote(camera).map(drop),
    }
}

/// Refuses what a source cannot be asked for.
fn check(camera: &Camera) -> Result<()> {
    let Camera { source, raw, endless, fps, .. } = camera;
    let usage = |what: &str| Err(Error::Usage(format!("{source}: {what}")));
    match source {
        // Opening it says best what is wrong.
        Place::Path(path) if !path.exists() => Ok(()),
        Place::Path(path) if path.is_dir() && raw.is_some() => {
            usage("raw frames come from a file or a stream, not from a folder")
        }
        Place::Device(_) | Place::Url(_) if raw.is_some() => {
            usage("only files and pipes can be raw; a device is asked for its format")
        }
        Place::Device(_) if *endless => usage("a device cannot be looped"),
        Place::Device(_) => Ok(()),
        _ if !source.is_stored() && (*endless || fps.is_some()) => {
            usage("only files and folders can be looped or paced; a stream has its own pace")
        }
        _ => Ok(()),
    }
}

fn open_remote(camera: &Camera) -> Result<Box<dyn Source>> {
    match &camera.source {
        Place::Url(url) => Ok(Box::new(http::open(url)?)),
        #[cfg(all(target_os = "linux", feature = "v4l"))]
        Place::Device(node) => Ok(Box::new(V4l::open(node, camera)?)),
        other => Err(Error::Usage(format!("{other} is neither an address nor a device of this machine"))),
    }
}

fn open_stored(path: &Path, camera: &Camera) -> Result<Box<dyn Source>> {
    let (path, raw) = (path.to_owned(), camera.raw);
    let once = open_path(&path, raw)?;
    let source: Box<dyn Source> = match camera.endless {
        true => Box::new(Endless { path, raw, once, before: 0, last: 0, usable: false }),
        false => once,
    };
    Ok(match camera.fps {
        Some(fps) => Box::new(Paced { source, period: fps.period(), due: None }),
        None => source,
    })
}

fn open_path(path: &Path, raw: Option<RawFormat>) -> Result<Box<dyn Source>> {
    if path.is_dir() {
        return Ok(Box::new(Folder::open(path)?));
    }
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    of_stream(file, &path.to_string_lossy(), raw)
}

/// A stream of raw frames, or of the kind that its first two bytes show.
fn of_stream(
    mut reader: impl Read + Send + 'static,
    name: &str,
    raw: Option<RawFormat>,
) -> Result<Box<dyn Source>> {
    if let Some(format) = raw {
        return Ok(Box::new(Raw::new(reader, name, format)));
    }
    let mut first = Vec::new();
    (&mut reader).take(2).read_to_end(&mut first).map_err(|e| Error::io(name, e))?;
    let bad = |what: String| Error::BadStream { stream: name.into(), frame: 1, what };
    let whole = Cursor::new(first.clone()).chain(reader);
    match first[..] {
        [b'Y', b'U'] => Ok(Box::new(Y4m::new(whole, name))),
        [0xff, 0xd8] => Ok(Box::new(Mjpeg::new(whole, name))),
        [] => Err(bad("the stream is empty; see why the program that writes it has stopped".into())),
        _ => Err(bad(format!(
            "neither Y4M nor MJPEG (it begins with {first:02x?}); state what raw frames are with \
             --raw yuv420:WxH, and let ffmpeg convert others with -f yuv4mpegpipe"
        ))),
    }
}

/// A stored source that begins anew at its end.
struct Endless {
    path: PathBuf,
    raw: Option<RawFormat>,
    once: Box<dyn Source>,
    /// Frames of the rounds before this one.
    before: u64,
    /// Number of the last frame.
    last: u64,
    /// This round had a frame. A source without any would be read for ever in vain.
    usable: bool,
}

impl Source for Endless {
    fn next_frame(&mut self) -> Result<Step> {
        loop {
            match self.once.next_frame()? {
                Step::Frame(shot) => {
                    self.last = self.before + shot.number;
                    self.usable = true;
                    return Ok(Step::Frame(Shot { number: self.last, scene: None, ..shot }));
                }
                Step::End if self.usable => {
                    self.once = open_path(&self.path, self.raw)?;
                    (self.before, self.usable) = (self.last, false);
                }
                other => return Ok(other),
            }
        }
    }
}

/// A stored source with the pace of a camera.
struct Paced {
    source: Box<dyn Source>,
    period: Duration,
    /// When the next frame comes.
    due: Option<Instant>,
}

impl Source for Paced {
    fn next_frame(&mut self) -> Result<Step> {
        let step = self.source.next_frame()?;
        let Step::Frame(shot) = step else { return Ok(step) };
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        std::thread::sleep(due.saturating_duration_since(now));
        // A frame that was late delays those after it; they do not come in a rush.
        self.due = Some(due.max(now) + self.period);
        Ok(Step::Frame(Shot::now(shot.number, shot.picture)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_known_by_their_first_bytes() {
        let open = |bytes: &'static [u8], raw: Option<&str>| {
            let raw = raw.map(|text| text.parse().unwrap());
            of_stream(bytes, "test", raw).and_then(|mut source| source.next_frame())
        };
        assert!(matches!(open(b"YUV4MPEG2 W1 H1 Cmono\nFRAME\n7", None), Ok(Step::Frame(_))));
        assert!(matches!(open(b"\xff\xd8\xff\xd9", None), Ok(Step::Frame(_))));
        assert!(matches!(open(b"abc", Some("rgb24:1x1")), Ok(Step::Frame(_))));
        for (bytes, why) in [(&b""[..], "empty"), (b"Y", "neither"), (b"\x89PNG\r\n", "--raw yuv420:WxH")] {
            let error = open(bytes, None).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn unknown_addresses_are_refused_with_a_way() {
        let error = "rtsp://me:secret@camera/stream".parse::<Place>().unwrap_err().to_string();
        assert!(error.contains("ffmpeg -i rtsp:") && !error.contains("secret"), "{error}");
        let looped = Camera { endless: true, ..Camera::default() };
        assert!(matches!(open(&looped), Err(Error::Usage(_))));
        let paced = Camera { fps: Some("5".parse().unwrap()), ..Camera::default() };
        assert!(matches!(open(&paced), Err(Error::Usage(_))));
    }
}
