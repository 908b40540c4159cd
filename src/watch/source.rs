//! What a source of frames is, and what it hands over.

use super::packed::Packed;
use super::yuv::Yuv;
use crate::error::{Error, Result};
use crate::image::{self, Frame};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Where frames come from: a camera, a stream, a folder.
pub trait Source: Send {
    /// Waits for the next frame.
    ///
    /// # Errors
    /// The source is broken and has no more frames. One damaged frame is a [`Step::Damaged`], not an error.
    fn next_frame(&mut self) -> Result<Step>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn next_frame(&mut self) -> Result<Step> {
        (**self).next_frame()
    }
}

/// What became of asking a source.
#[derive(Debug)]
pub enum Step {
    /// A frame.
    Frame(Shot),
    /// A frame was there but is unusable; the next one may be good.
    Damaged(Error),
    /// The source is lost, or still is. Whoever asks again waits a while, and then it is opened anew.
    Lost(Error),
    /// The source has ended, as it should.
    End,
}

/// One frame as it was captured.
#[derive(Debug)]
pub struct Shot {
    /// Number in the source, from 1; dropped and damaged frames count.
    pub number: u64,
    /// When it was there as a whole, by the wall clock.
    pub time: SystemTime,
    /// The same moment by the steady clock, from which latency is measured.
    pub instant: Instant,
    /// When it is in the scene, from the first frame, by the stream's own clock: a file is read faster than what it
    /// shows has happened. `None`: when it comes.
    pub scene: Option<Duration>,
    /// The pixels.
    pub picture: Picture,
}

impl Shot {
    /// A shot that is there now.
    pub fn now(number: u64, picture: Picture) -> Self {
        Shot { number, time: SystemTime::now(), instant: Instant::now(), scene: None, picture }
    }
}

/// Pixels as a source delivers them. Whoever needs them decodes them: most frames of a fast camera are dropped.
#[derive(Debug)]
pub enum Picture {
    /// Ready for use.
    Rgb(Frame),
    /// Planes of brightness and colour.
    Yuv(Yuv),
    /// Pixels as a camera packs them.
    Packed(Packed),
    /// A JPEG file in memory.
    Jpeg {
        /// Name of the stream, for messages.
        stream: String,
        /// Number of the frame, for messages.
        frame: u64,
        /// The file.
        bytes: Vec<u8>,
    },
    /// A picture file.
    File(PathBuf),
}

impl Picture {
    /// The pixels as RGB.
    ///
    /// # Errors
    /// The picture is damaged or above the limits.
    pub fn decode(self) -> Result<Frame> {
        self.decode_for(None)
    }

    /// As [`Picture::decode`]; but a JPEG of a stream is made smaller, as far as a network of `[height, width]` loses
    /// nothing.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn decode_for(self, network: Option<[usize; 2]>) -> Result<Frame> {
        match self {
            Picture::Rgb(frame) => Ok(frame),
            Picture::Yuv(yuv) => Ok(yuv.to_rgb()),
            Picture::Packed(packed) => Ok(packed.to_rgb()),
            Picture::File(path) => image::decode(path),
            Picture::Jpeg { stream, frame, bytes } => {
                let decoded = match network {
                    Some(network) => image::decode_shrunk(&stream, &bytes, network),
                    None => image::decode_bytes(&stream, &bytes),
                };
                decoded.map_err(|e| {
                    let what = match e {
                        Error::BadPicture { what, .. } => what,
                        other => other.to_string(),
                    };
                    Error::BadStream { stream, frame, what }
                })
            }
        }
    }
}
