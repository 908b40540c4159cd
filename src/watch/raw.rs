//! Raw frames, one after the other, without any header.

use super::planes::Stream;
use super::yuv::{Chroma, Layout, Range, Yuv, check_extents};
use super::{Picture, Shot, Source, Step};
use crate::error::{Error, Result};
use crate::image::Frame;
use serde::Deserialize;
use std::io::Read;
use std::str::FromStr;

/// What the bytes of a raw stream are: `yuv420:640x480` (BT.601, limited range), `yuvj420:640x480` (full range) or
/// `rgb24:640x480`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct RawFormat {
    layout: Layout,
    pixels: Pixels,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pixels {
    Yuv(Range),
    Rgb,
}

impl RawFormat {
    /// Bytes of a frame.
    pub fn bytes(&self) -> usize {
        match self.pixels {
            Pixels::Yuv(_) => self.layout.bytes(),
            Pixels::Rgb => self.layout.width * self.layout.height * 3,
        }
    }
}

impl TryFrom<String> for RawFormat {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for RawFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let shape = || {
            let (name, size) = text.split_once(':')?;
            let (width, height) = size.split_once('x')?;
            Some((name, width.parse().ok()?, height.parse().ok()?))
        };
        let expected = "yuv420:WxH, yuvj420:WxH or rgb24:WxH, such as yuv420:640x480";
        let usage = |what: String| Error::Usage(format!("raw format '{text}': {what}"));
        let (name, width, height) = shape().ok_or_else(|| usage(format!("not {expected}")))?;
        check_extents(width, height).map_err(usage)?;
        let pixels = match name {
            "yuv420" => Pixels::Yuv(Range::Limited),
            "yuvj420" => Pixels::Yuv(Range::Full),
            "rgb24" => Pixels::Rgb,
            other => return Err(usage(format!("'{other}' is unknown; known are {expected}"))),
        };
        Ok(RawFormat { layout: Layout { width, height, chroma: Chroma::C420 }, pixels })
    }
}

/// A stream of raw frames.
pub struct Raw<R> {
    stream: Stream<R>,
    format: RawFormat,
}

impl<R: Read> Raw<R> {
    /// `name` is for messages.
    pub fn new(reader: R, name: impl Into<String>, format: RawFormat) -> Self {
        Raw { stream: Stream::new(reader, name), format }
    }
}

impl<R: Read + Send> Source for Raw<R> {
    fn next_frame(&mut self) -> Result<Step> {
        self.stream.frame += 1;
        let expected = self.format.bytes();
        let bytes = self.stream.take(expected)?;
        match bytes.len() {
            0 => return Ok(Step::End),
            got if got < expected => return Err(self.stream.truncated(got, expected)),
            _ => {}
        }
        let layout = self.format.layout;
        let picture = match self.format.pixels {
            Pixels::Rgb => Picture::Rgb(Frame { width: layout.width, height: layout.height, rgb: bytes }),
            Pixels::Yuv(range) => {
                Picture::Yuv(Yuv::with(layout, range, bytes).expect("as many bytes as the layout has"))
            }
        };
        Ok(Step::Frame(Shot::now(self.stream.frame, picture)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_parsed_and_checked() {
        let bytes = |text: &str| text.parse::<RawFormat>().map(|f| f.bytes());
        assert_eq!(bytes("yuv420:640x480").unwrap(), 460_800);
        assert_eq!(bytes("yuvj420:3x3").unwrap(), 17);
        assert_eq!(bytes("rgb24:2x1").unwrap(), 6);
        for text in ["", "yuv420", "yuv420:640", "nv12:2x2", "rgb24:0x4", "rgb24:99999x9", "rgb24:-1x2"] {
            assert!(matches!(bytes(text), Err(Error::Usage(what)) if what.contains(text)), "{text}");
        }
    }

    #[test]
    fn frames_follow_each_other_until_the_stream_ends() {
        let format = "rgb24:1x1".parse().unwrap();
        let mut raw = Raw::new(&[1u8, 2, 3, 4, 5, 6, 7][..], "test", format);
        for (number, rgb) in [(1, [1, 2, 3]), (2, [4, 5, 6])] {
            let Step::Frame(shot) = raw.next_frame().unwrap() else { panic!() };
            assert_eq!((shot.number, shot.picture.decode().unwrap().rgb), (number, rgb.to_vec()));
        }
        let error = raw.next_frame().unwrap_err().to_string();
        assert!(
            error.starts_with("test: frame 3: the stream ends inside this frame, after 1 of 3"),
            "{error}"
        );
        assert!(matches!(Raw::new(&[][..], "test", format).next_frame(), Ok(Step::End)));
    }
}
