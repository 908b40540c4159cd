//! Y4M (YUV4MPEG2) streams, as ffmpeg and mjpegtools write them.
//!
//! ```text
//! YUV4MPEG2 W640 H480 F30:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL⏎
//! FRAME⏎  Y plane, Cb plane, Cr plane
//! FRAME⏎  …
//! ```
//!
//! Source: yuv4mpeg(5) of mjpegtools; the comment `XCOLORRANGE` is ffmpeg's. 8-bit samples only. Aspect and
//! interlacing are not needed and not looked at.

use super::planes::Stream;
use super::yuv::{Chroma, Layout, Range, Yuv};
use super::{Picture, Shot, Source, Step};
use crate::error::Result;
use crate::limits::VIDEO_LINE_BYTES_MAX;
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Header {
    layout: Layout,
    range: Range,
    /// Time from frame to frame.
    period: Option<Duration>,
}

/// A Y4M stream.
pub struct Y4m<R> {
    stream: Stream<BufReader<R>>,
    /// Known when the header has been read, with the first frame.
    header: Option<Header>,
}

impl<R: Read> Y4m<R> {
    /// `name` is for messages. Nothing is read yet.
    pub fn new(reader: R, name: impl Into<String>) -> Self {
        Y4m { stream: Stream::new(BufReader::new(reader), name), header: None }
    }

    /// The next line without its end; `None` where the stream ends before it.
    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let most = VIDEO_LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.stream.reader).take(most).read_until(b'\n', &mut line);
        read.map_err(|e| self.stream.io(e))?;
        match line.pop() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
            Some(_) if line.len() >= VIDEO_LINE_BYTES_MAX => Err(self.stream.bad(format!(
                "a header line has more than {VIDEO_LINE_BYTES_MAX} bytes; this is not a Y4M stream, or bytes of \
                 it are lost"
            ))),
            Some(_) => Err(self.stream.bad("the stream ends inside a header line")),
        }
    }

    fn read_header(&mut self) -> Result<Header> {
        let line = self.line()?.ok_or_else(|| self.stream.bad("the stream is empty"))?;
        parse_header(&line).map_err(|what| self.stream.bad(what))
    }
}

fn parse_header(line: &str) -> Result<Header, String> {
    let mut words = line.split(' ');
    if words.next() != Some("YUV4MPEG2") {
        return Err("the stream does not begin with YUV4MPEG2; Y4M comes from ffmpeg -f yuv4mpegpipe".into());
    }
    let (mut width, mut height, mut chroma, mut range) = (None, None, Chroma::C420, Range::Limited);
    let mut period = None;
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("'{text}' is no size in pixels"));
    for word in words {
        match word.split_at_checked(1) {
            Some(("W", text)) => width = Some(number(text)?),
            Some(("H", text)) => height = Some(number(text)?),
            Some(("F", text)) => period = parse_rate(text),
            Some(("C", text)) => chroma = parse_chroma(text)?,
            Some(("X", "COLORRANGE=FULL")) => range = Range::Full,
            _ => {}
        }
    }
    match (width, height) {
        (Some(width), Some(height)) => {
            Ok(Header { layout: Layout::new(width, height, chroma)?, range, period })
        }
        _ => Err("the header states no width (W) or height (H)".into()),
    }
}

/// Frames per second as `30000:1001`; `None` where it is unknown (`0:0`) or no rate.
fn parse_rate(text: &str) -> Option<Duration> {
    let (frames, seconds) = text.split_once(':')?;
    let (frames, seconds) = (frames.parse::<u32>().ok()?, seconds.parse::<u32>().ok()?);
    (frames > 0 && seconds > 0).then(|| Duration::from_secs_f64(f64::from(seconds) / f64::from(frames)))
}

/// The variants of 4:2:0 differ in where a sample of colour lies by half a pixel.
fn parse_chroma(name: &str) -> Result<Chroma, String> {
    match name {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Chroma::C420),
        "422" => Ok(Chroma::C422),
        "444" => Ok(Chroma::C444),
        "mono" => Ok(Chroma::Mono),
        other => Err(format!(
            "colour space C{other} is not supported (8-bit 420, 422, 444 and mono are); let ffmpeg convert with \
             -pix_fmt yuv420p"
        )),
    }
}

impl<R: Read + Send> Source for Y4m<R> {
    fn next_frame(&mut self) -> Result<Step> {
        let Header { layout, range, period } = match self.header {
            Some(header) => header,
            None => {
                let header = self.read_header()?;
                *self.header.insert(header)
            }
        };
        self.stream.frame += 1;
        match self.line()?.as_deref() {
            None => return Ok(Step::End),
            Some(line) if line == "FRAME" || line.starts_with("FRAME ") => {}
            Some(_) => {
                return Err(self.stream.bad(
                    "FRAME is expected and something else follows; bytes of the stream are lost, start it anew",
                ));
            }
        }
        let bytes = self.stream.take(layout.bytes())?;
        let got = bytes.len();
        let yuv = Yuv::with(layout, range, bytes);
        let yuv = yuv.ok_or_else(|| self.stream.truncated(got, layout.bytes()))?;
        let number = self.stream.frame;
        let scene = period.and_then(|period| period.checked_mul(u32::try_from(number).ok()?));
        Ok(Step::Frame(Shot { scene, ..Shot::now(number, Picture::Yuv(yuv)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_periods_or_unknown() {
        assert_eq!(parse_rate("25:1"), Some(Duration::from_millis(40)));
        assert_eq!(parse_rate("30000:1001"), Some(Duration::from_nanos(33_366_667)));
        for text in ["0:0", "25", "25:0", "-1:1", "99999999999:1", ""] {
            assert_eq!(parse_rate(text), None, "{text}");
        }
    }
    use crate::error::Error;

    fn first(bytes: &[u8]) -> Result<Step> {
        Y4m::new(bytes, "test").next_frame()
    }

    /// Two frames of 2×2 pixels by hand: black and white in full range, then one red sample for all four.
    #[test]
    fn a_stream_by_hand_gives_its_pixels() {
        let mut bytes = b"YUV4MPEG2 W2 H2 F30:1 Ip C420jpeg XCOLORRANGE=FULL\nFRAME\n".to_vec();
        bytes.extend([0, 255, 255, 0, 128, 128]);
        bytes.extend(b"FRAME Ix\n");
        bytes.extend([76, 76, 76, 76, 85, 255]);
        let mut y4m = Y4m::new(&bytes[..], "test");
        let mut next = || match y4m.next_frame().unwrap() {
            Step::Frame(shot) => Some((shot.number, shot.picture.decode().unwrap())),
            _ => None,
        };
        let (number, frame) = next().unwrap();
        assert_eq!((number, frame.width, frame.height), (1, 2, 2));
        assert_eq!(frame.rgb, [0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0]);
        assert_eq!(next().unwrap().1.rgb, [254, 0, 0].repeat(4));
        assert!(next().is_none());
    }

    #[test]
    fn every_cut_ends_cleanly_or_names_its_frame() {
        let header = b"YUV4MPEG2 W2 H1 Cmono\n";
        let bytes = [&header[..], b"FRAME\nab", b"FRAME\ncd"].concat();
        for cut in 0..bytes.len() {
            let mut y4m = Y4m::new(&bytes[..cut], "test");
            let mut whole = 0;
            let end = loop {
                match y4m.next_frame() {
                    Ok(Step::Frame(_)) => whole += 1,
                    end => break end,
                }
            };
            let past = cut.saturating_sub(header.len());
            assert_eq!(whole, past / 8, "cut {cut}");
            let clean = cut >= header.len() && past % 8 == 0;
            match end {
                Ok(Step::End) => assert!(clean, "cut {cut}"),
                Err(Error::BadStream { frame, .. }) => {
                    assert!(!clean && frame == whole as u64 + 1, "cut {cut}")
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn hostile_headers_are_errors() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "empty"),
            (b"YUV4MPEG2 ", "ends inside a header line"),
            (b"RIFF\0\0\0\0AVI\n", "does not begin with YUV4MPEG2"),
            (b"YUV4MPEG2 W16\n", "no width (W) or height (H)"),
            (b"YUV4MPEG2 W0 H9\n", "0×9"),
            (b"YUV4MPEG2 W9999 H9999\n", "9999×9999"),
            (b"YUV4MPEG2 W99999999999999999999 H1\n", "no size"),
            (b"YUV4MPEG2 W2 H2 C420p10\n", "-pix_fmt yuv420p"),
            (b"YUV4MPEG2 W2 H2 \xc3\xa9 C420\nFRAMES\n", "FRAME is expected"),
        ];
        for (bytes, why) in cases {
            let error = first(bytes).unwrap_err().to_string();
            assert!(error.starts_with("test: frame 1: ") && error.contains(why), "{error}");
        }
        let endless = std::io::repeat(b'Y').take(1 << 20);
        let error = Y4m::new(endless, "test").next_frame().unwrap_err().to_string();
        assert!(error.contains("more than 1024 bytes"), "{error}");
    }

    /// The header may promise 40 MB; ten bytes of it take no 40 MB.
    #[test]
    fn memory_grows_only_with_what_arrives() {
        let mut bytes = b"YUV4MPEG2 W5000 H5000\nFRAME\n".to_vec();
        bytes.extend([0; 10]);
        let error = first(&bytes).unwrap_err().to_string();
        assert!(error.contains("after 10 of 37500000 bytes"), "{error}");
    }
}
