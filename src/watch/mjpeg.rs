//! MJPEG streams: JPEG files one after the other.
//!
//! A file is cut out by its markers (ITU-T T.81, annex B), not by the first `FF D9`: thumbnails in the headers have
//! one too. What lies between two files (the parts of an HTTP stream, say) is skipped. A damaged file
//! costs one frame: the reader goes on at the next start of a file.

use super::planes::Stream;
use super::{Picture, Shot, Source, Step};
use crate::error::Result;
use crate::limits::VIDEO_JPEG_BYTES_MAX;
use std::io::{BufRead, BufReader, ErrorKind, Read};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;

/// A stream of JPEG files.
pub struct Mjpeg<R> {
    stream: Stream<BufReader<R>>,
    /// The start of a file has been read already, at the end of a damaged one.
    started: bool,
    /// Length of the last file, for the next buffer.
    usual: usize,
}

/// Why a file has no end.
enum Cut {
    /// The stream ends or fails.
    Read(std::io::Error),
    /// The next file begins inside.
    Next,
    /// Other damage, in words.
    Damage(String),
}

impl From<std::io::Error> for Cut {
    fn from(error: std::io::Error) -> Self {
        Cut::Read(error)
    }
}

impl<R: Read> Mjpeg<R> {
    /// `name` is for messages. Nothing is read yet.
    pub fn new(reader: R, name: impl Into<String>) -> Self {
        Mjpeg { stream: Stream::new(BufReader::new(reader), name), started: false, usual: 0 }
    }

    /// Skips to behind the next start of a file; false where the stream ends before it.
    fn find_start(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.started) {
            return Ok(true);
        }
        let mut marker = false;
        loop {
            let chunk = match self.stream.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.stream.io(e)),
            };
            if chunk.is_empty() {
                return Ok(false);
            }
            let length = chunk.len();
            let found = chunk.iter().position(|&byte| {
                let found = marker && byte == SOI;
                marker = byte == 0xff;
                found
            });
            self.stream.reader.consume(found.map_or(length, |at| at + 1));
            if found.is_some() {
                return Ok(true);
            }
        }
    }

    fn byte(&mut self, file: &mut Vec<u8>) -> Result<u8, Cut> {
        if file.len() >= VIDEO_JPEG_BYTES_MAX {
            return Err(too_large());
        }
        let mut byte = [0];
        self.stream.reader.read_exact(&mut byte)?;
        file.push(byte[0]);
        Ok(byte[0])
    }

    /// Appends everything up to the next `FF`.
    fn until_marker(&mut self, file: &mut Vec<u8>) -> Result<(), Cut> {
        let room = VIDEO_JPEG_BYTES_MAX.saturating_sub(file.len()) as u64;
        (&mut self.stream.reader).take(room).read_until(0xff, file)?;
        match file.last() {
            Some(0xff) => Ok(()),
            _ if file.len() >= VIDEO_JPEG_BYTES_MAX => Err(too_large()),
            _ => Err(Cut::Read(ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The code of the marker at which the reader stands: any number of `FF`, then the code.
    fn marker(&mut self, file: &mut Vec<u8>) -> Result<u8, Cut> {
        match self.byte(file)? {
            0xff => self.marker_code(file),
            byte => Err(Cut::Damage(format!("a marker is expected and {byte:#04x} follows"))),
        }
    }

    fn marker_code(&mut self, file: &mut Vec<u8>) -> Result<u8, Cut> {
        loop {
            match self.byte(file)? {
                0xff => {}
                SOI => return Err(Cut::Next),
                code => return Ok(code),
            }
        }
    }

    /// Appends a segment: two bytes of length that count themselves, and what they say.
    fn segment(&mut self, file: &mut Vec<u8>) -> Result<(), Cut> {
        let length = usize::from(u16::from_be_bytes([self.byte(file)?, self.byte(file)?]));
        let Some(rest) = length.checked_sub(2) else {
            return Err(Cut::Damage(format!("a segment of {length} bytes")));
        };
        if file.len() + rest > VIDEO_JPEG_BYTES_MAX {
            return Err(too_large());
        }
        let read = (&mut self.stream.reader).take(rest as u64).read_to_end(file)?;
        if read < rest { Err(Cut::Read(ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }

    /// The file whose start has been read, with its end.
    fn file(&mut self) -> Result<Vec<u8>, Cut> {
        let mut file = Vec::with_capacity(self.usual);
        file.extend([0xff, SOI]);
        let mut code = self.marker(&mut file)?;
        loop {
            match code {
                EOI => return Ok(file),
                0x01 | 0xd0..=0xd7 => code = self.marker(&mut file)?,
                0x00 => return Err(Cut::Damage("a marker of code 0".into())),
                SOS => {
                    self.segment(&mut file)?;
                    // Compressed data: FF 00 is a data byte, FF D0 to D7 a restart.
                    code = loop {
                        self.until_marker(&mut file)?;
                        match self.marker_code(&mut file)? {
                            0x00 | 0xd0..=0xd7 => {}
                            code => break code,
                        }
                    };
                }
                _ => {
                    self.segment(&mut file)?;
                    code = self.marker(&mut file)?;
                }
            }
        }
    }

    fn damaged(&self, what: &str) -> Result<Step> {
        Ok(Step::Damaged(self.stream.bad(format!("damaged JPEG, dropped: {what}"))))
    }
}

fn too_large() -> Cut {
    Cut::Damage(format!("no end within {VIDEO_JPEG_BYTES_MAX} bytes"))
}

impl<R: Read + Send> Source for Mjpeg<R> {
    fn next_frame(&mut self) -> Result<Step> {
        if !self.find_start()? {
            return match self.stream.frame {
                0 => Err(self.stream.bad("no JPEG in the stream; MJPEG comes from rpicam-vid --codec mjpeg")),
                _ => Ok(Step::End),
            };
        }
        self.stream.frame += 1;
        match self.file() {
            Ok(bytes) => {
                self.usual = bytes.len();
                let (stream, frame) = (self.stream.name.clone(), self.stream.frame);
                Ok(Step::Frame(Shot::now(frame, Picture::Jpeg { stream, frame, bytes })))
            }
            Err(Cut::Next) => {
                self.started = true;
                self.damaged("the next one begins inside it")
            }
            Err(Cut::Damage(what)) => self.damaged(&what),
            Err(Cut::Read(e)) if e.kind() == ErrorKind::UnexpectedEof => {
                self.damaged("the stream ends inside it")
            }
            Err(Cut::Read(e)) => Err(self.stream.io(e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use image::ExtendedColorType::L8;
    use image::ImageEncoder;
    use image::codecs::jpeg::JpegEncoder;

    fn jpeg(grey: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        JpegEncoder::new(&mut bytes).write_image(&[grey; 64], 8, 8, L8).unwrap();
        bytes
    }

    /// The stream in short: per frame its first red value, or the number of a damaged frame in words.
    fn seen(bytes: &[u8]) -> Vec<String> {
        let mut mjpeg = Mjpeg::new(bytes, "test");
        let mut seen = Vec::new();
        loop {
            match mjpeg.next_frame() {
                Ok(Step::Frame(shot)) => match shot.picture.decode() {
                    Ok(frame) => seen.push(format!("{}: {}", shot.number, frame.rgb[0])),
                    Err(Error::BadStream { frame, .. }) => seen.push(format!("{frame}: undecodable")),
                    Err(other) => panic!("{other}"),
                },
                Ok(Step::Damaged(Error::BadStream { frame, .. })) => seen.push(format!("{frame}: damaged")),
                Ok(Step::Damaged(other) | Step::Lost(other)) => panic!("{other}"),
                Ok(Step::End) => return seen,
                Err(error) => return [seen, vec![error.to_string()]].concat(),
            }
        }
    }

    /// A grey of 128 is the JPEG code 0, of 0 or 255 a single coefficient: they come back exactly.
    #[test]
    fn files_follow_each_other_with_anything_between() {
        let stream =
            [jpeg(0), jpeg(128), b"\r\n--part\r\nContent-Type: image/jpeg\r\n\r\n\xff".to_vec(), jpeg(255)];
        assert_eq!(seen(&stream.concat()), ["1: 0", "2: 128", "3: 255"]);
    }

    /// A thumbnail inside a segment of the header has an end of its own.
    #[test]
    fn a_thumbnail_does_not_end_the_file() {
        let (whole, thumbnail) = (jpeg(128), jpeg(0));
        let mut file = whole[..2].to_vec();
        file.extend([0xff, 0xe1]);
        file.extend((thumbnail.len() as u16 + 2).to_be_bytes());
        file.extend(&thumbnail);
        file.extend(&whole[2..]);
        assert_eq!(seen(&[file, jpeg(255)].concat()), ["1: 128", "2: 255"]);
    }

    /// Cut anywhere behind its start, a file costs itself and, where its last length swallows more (at most 64 KiB),
    /// what lies there; then the reader finds its way again.
    #[test]
    fn a_damaged_file_costs_little() {
        let whole = jpeg(128);
        let endless = &whole[..whole.len() - 2];
        let stream = [endless, &jpeg(255), endless];
        assert_eq!(seen(&stream.concat()), ["1: damaged", "2: 255", "3: damaged"]);
        let gap = vec![0; 1 << 16];
        for cut in 2..whole.len() {
            let stream = [&whole[..cut], &gap, &jpeg(255), &jpeg(0)].concat();
            let seen = seen(&stream);
            let [.., before, last] = &seen[..] else { panic!("cut {cut}: {seen:?}") };
            assert!(before.ends_with(": 255") && last.ends_with(": 0"), "cut {cut}: {seen:?}");
        }
    }

    #[test]
    fn hostile_streams_are_errors_or_damage() {
        assert!(seen(b"").concat().contains("no JPEG in the stream"));
        assert!(seen(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").concat().contains("no JPEG"));
        assert_eq!(seen(b"\xff\xd8"), ["1: damaged"]);
        assert_eq!(seen(b"\xff\xd8\xff\xd9\xff\xd8\xff\xff\xff\xd9"), ["1: undecodable", "2: undecodable"]);
        assert_eq!(seen(b"\xff\xd8\xff\xe0\0\0\xff\xd9"), ["1: damaged"]);
        assert_eq!(seen(b"\xff\xd8\xff\xe0\xff\xffabcd"), ["1: damaged"]);
        assert_eq!(
            seen(b"\xff\xd8\0\0\xff\xd8\xff\xd8\xff\xd9"),
            ["1: damaged", "2: damaged", "3: undecodable"]
        );
    }

    #[test]
    fn a_file_without_end_is_dropped_at_the_limit() {
        let endless = b"\xff\xd8\xff\xda\0\x02".chain(std::io::repeat(7).take(VIDEO_JPEG_BYTES_MAX as u64));
        let after = jpeg(255);
        let mut mjpeg = Mjpeg::new(endless.chain(&after[..]), "test");
        let Step::Damaged(error) = mjpeg.next_frame().unwrap() else { panic!() };
        assert!(error.to_string().contains("no end within"), "{error}");
        assert!(matches!(mjpeg.next_frame().unwrap(), Step::Frame(shot) if shot.number == 2));
    }
}
