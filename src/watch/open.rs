//! From the name of a source to the source.

use super::config::Camera;
use super::{Folder, Mjpeg, Raw, RawFormat, Shot, Source, Step, Y4m};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Where a source is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// Standard input.
    #[default]
    Stdin,
    /// A file or a folder.
    Path(PathBuf),
}

impl FromStr for Place {
    type Err = Error;

    /// `-` or a path.
    fn from_str(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Place::Stdin);
        }
        let path = PathBuf::from(text);
        if !path.exists() && text.contains(':') {
            return Err(Error::Usage(format!(
                "source '{text}': devices and addresses are not read directly; pipe them in, such as \
                 ffmpeg -i {text} -f yuv4mpegpipe - | ocellus watch --source -"
            )));
        }
        Ok(Place::Path(path))
    }
}

impl TryFrom<String> for Place {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        match place {
            Place::Stdin => "-".into(),
            Place::Path(path) => path.to_string_lossy().into_owned(),
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
        }
    }
}

/// Opens the source of a camera.
///
/// # Errors
/// Nothing is there, or it is no source of a known kind; [`Error::Usage`] if a stream that is not stored is to be looped
/// or paced.
pub fn open(camera: &Camera) -> Result<Box<dyn Source>> {
    let Camera { source: place, raw, endless, fps, .. } = camera;
    let exists = !matches!(place, Place::Path(path) if !path.exists());
    if !place.is_stored() && (*endless || fps.is_some()) && exists {
        return Err(Error::Usage(
            "only files and folders can be looped or paced; a stream has its own pace".into(),
        ));
    }
    if raw.is_some() && matches!(place, Place::Path(path) if path.is_dir()) {
        return Err(Error::Usage("raw frames come from a file or a stream, not from a folder".into()));
    }
    let once = open_once(place, *raw)?;
    let source: Box<dyn Source> = match endless {
        true => {
            Box::new(Endless { place: place.clone(), raw: *raw, once, before: 0, last: 0, usable: false })
        }
        false => once,
    };
    Ok(match fps {
        Some(fps) => Box::new(Paced { source, period: fps.period(), due: None }),
        None => source,
    })
}

fn open_once(place: &Place, raw: Option<RawFormat>) -> Result<Box<dyn Source>> {
    match place {
        Place::Stdin => of_stream(std::io::stdin(), "stdin", raw),
        Place::Path(path) if path.is_dir() => Ok(Box::new(Folder::open(path)?)),
        Place::Path(path) => {
            let file = File::open(path).map_err(|e| Error::io(path, e))?;
            of_stream(file, &path.to_string_lossy(), raw)
        }
    }
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
    place: Place,
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
                    self.once = open_once(&self.place, self.raw)?;
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
    fn devices_and_addresses_are_refused_with_a_way() {
        for text in ["v4l:/dev/video0", "rtsp://camera/stream"] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains("ffmpeg") && error.contains(text), "{error}");
        }
        let looped = Camera { endless: true, ..Camera::default() };
        assert!(matches!(open(&looped), Err(Error::Usage(_))));
        let paced = Camera { fps: Some("5".parse().unwrap()), ..Camera::default() };
        assert!(matches!(open(&paced), Err(Error::Usage(_))));
    }
}
