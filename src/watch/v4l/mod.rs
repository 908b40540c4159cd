//! Cameras of the Linux kernel (V4L2).
//!
//! What the camera is asked for is compared with what it gives (`negotiate`); buffers with the error flag or too few
//! bytes are dropped and counted; no wait is without a deadline. A camera that fails is closed, and whoever reads it has
//! it opened anew, by the same path: one of `/dev/v4l/by-id` stays that of the camera when it is plugged in elsewhere.

mod list;
mod negotiate;
mod uapi;

pub use list::{CameraInfo, FormatInfo, list};
pub use negotiate::Offer;

use super::config;
use super::packed::{Packed, Shape};
use super::{Picture, Range, Shot, Source, Step};
use crate::error::{Error, Result};
use crate::limits::{CAMERA_FORMATS_MAX, VIDEO_JPEG_BYTES_MAX};
use negotiate::{Camera, Given, Wish, negotiate};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use uapi::{Capability, Format, FormatDescription, FrameSize, PixelFormat, Stream, StreamParameters};

/// Buffers that the driver gets: enough that one can be read while others are filled.
const BUFFERS: u32 = 4;
/// A camera that gives no frame for this long is lost.
const DEADLINE: Duration = Duration::from_secs(5);

/// A camera that is open.
struct Device {
    fd: OwnedFd,
    capability: Capability,
}

impl Device {
    /// # Errors
    /// [`Error::Io`]: there is no such device, it is in use, or it is no camera.
    fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| Error::io(path, in_words(e)))?;
        let mut capability = Capability::default();
        uapi::query_capability(&fd, &mut capability).map_err(|e| no_camera(path, &e.to_string()))?;
        Ok(Device { fd, capability })
    }

    /// Whether frames can be captured from it; many cameras have further nodes for other data.
    fn captures(&self) -> bool {
        let Capability { capabilities, device_caps, .. } = self.capability;
        let own = if capabilities & uapi::CAP_DEVICE_CAPS != 0 { device_caps } else { capabilities };
        let needed = uapi::CAP_CAPTURE | uapi::CAP_STREAMING;
        own & needed == needed
    }
}

fn no_camera(path: &Path, why: &str) -> Error {
    let what = format!("no camera that can be read: {why}; `ocellus cameras` lists those that can");
    Error::io(path, std::io::Error::other(what))
}

/// The system's words, with the usual reason or remedy where they name none.
fn in_words(e: Errno) -> std::io::Error {
    let other = |what: &str| std::io::Error::other(what);
    match e {
        Errno::BUSY => other("the camera is in use by another program"),
        Errno::NOENT => other("there is no such device; `ocellus cameras` lists what there is"),
        Errno::ACCESS => other("no permission; cameras belong to the group video: usermod -aG video USER"),
        e => e.into(),
    }
}

/// Calls `next` with 0, 1, 2, … until it says `EINVAL`, the end of a list, or the list is too long to be one.
fn enumerate<T>(mut next: impl FnMut(u32) -> rustix::io::Result<T>) -> std::io::Result<Vec<T>> {
    let mut items = Vec::new();
    for index in 0..CAMERA_FORMATS_MAX {
        match next(index) {
            Ok(item) => items.push(item),
            Err(Errno::INVAL) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(items)
}

impl Camera for Device {
    fn formats(&self) -> std::io::Result<Vec<[u8; 4]>> {
        enumerate(|index| {
            let mut format = FormatDescription { index, kind: uapi::CAPTURE, ..Default::default() };
            uapi::enumerate_formats(&self.fd, &mut format)?;
            Ok(format.fourcc)
        })
    }

    fn sizes(&self, fourcc: [u8; 4]) -> std::io::Result<Vec<Offer>> {
        enumerate(|index| {
            let mut size = FrameSize { index, fourcc, ..Default::default() };
            uapi::enumerate_sizes(&self.fd, &mut size)?;
            let [a, b, c, d, e, f] = size.numbers;
            Ok(match size.kind {
                uapi::DISCRETE => Offer::Size { width: a, height: b },
                _ => Offer::Range { widths: [a, b, c], heights: [d, e, f] },
            })
        })
    }

    fn set(&self, fourcc: [u8; 4], [width, height]: [usize; 2]) -> std::io::Result<Given> {
        let side = |side: usize| u32::try_from(side).map_err(|_| std::io::Error::from(Errno::INVAL));
        // Pitch and size are zero: the driver fills them in.
        let wanted = PixelFormat { width: side(width)?, height: side(height)?, fourcc, ..Default::default() };
        let mut format = Format::new(wanted);
        uapi::set_format(&self.fd, &mut format).map_err(in_words)?;
        let given = format.pixels();
        Ok(Given {
            fourcc: given.fourcc,
            size: [given.width as usize, given.height as usize],
            pitch: given.pitch as usize,
            full_range: is_full_range(&given),
        })
    }

    fn set_rate(&self, rate: f64) -> std::io::Result<Option<f64>> {
        // In thousandths, as 29.97 is no whole number.
        let mut parameters = StreamParameters::with_rate((rate * 1e3).round() as u32, 1000);
        match uapi::set_parameters(&self.fd, &mut parameters) {
            Ok(()) => Ok(parameters.rate()),
            // Cameras whose rate cannot be set.
            Err(Errno::INVAL | Errno::NOTTY) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// `V4L2_QUANTIZATION_FULL_RANGE`, or as usual for `V4L2_COLORSPACE_JPEG`.
fn is_full_range(format: &PixelFormat) -> bool {
    format.quantization == 1 || format.quantization == 0 && format.colorspace == 7
}

/// A camera that runs.
pub(super) struct V4l {
    path: PathBuf,
    stream: Stream,
    /// `None`: JPEG.
    pixels: Option<(Shape, Range)>,
    /// The driver's number of the first frame.
    first: Option<u32>,
    /// Frames so far, by the driver's numbers.
    last: u64,
}

impl V4l {
    /// Opens the device, and agrees with it on what `camera` wants.
    ///
    /// # Errors
    /// [`Error::Io`]: there is no such device, it is in use, or what is wanted it does not offer.
    pub fn open(path: &Path, camera: &config::Camera) -> Result<Self> {
        let device = Device::open(path)?;
        if !device.captures() {
            return Err(no_camera(path, "it does not stream frames"));
        }
        let rate = camera.fps.map(|rate| rate.per_second());
        let wish = Wish { format: camera.format, size: camera.resolution, rate };
        let agreed = negotiate(&device, &wish).map_err(|e| Error::io(path, std::io::Error::other(e)))?;
        log::info!("{}: {agreed:?}", path.display());
        let stream = Stream::start(device.fd, BUFFERS).map_err(|e| Error::io(path, in_words(e)))?;
        Ok(V4l { path: path.to_owned(), stream, pixels: agreed.pixels, first: None, last: 0 })
    }

    fn failed(&self, e: Errno) -> Error {
        Error::io(&self.path, e.into())
    }

    fn damaged(&self, what: String) -> Error {
        Error::BadStream { stream: self.path.to_string_lossy().into_owned(), frame: self.last, what }
    }

    /// The next buffer that the driver has filled.
    fn dequeue(&mut self) -> Result<uapi::Buffer> {
        let deadline = Instant::now() + DEADLINE;
        let mut is_broken = false;
        loop {
            match self.stream.dequeue() {
                Ok(buffer) => return Ok(buffer),
                // A queue that has failed would wake the wait below again and again.
                Err(Errno::AGAIN) if is_broken => return Err(self.failed(Errno::IO)),
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(e) => return Err(self.failed(e)),
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            let rest = Timespec::try_from(rest).expect("some seconds fit");
            let fd = self.stream.device().as_fd();
            let mut wait = [PollFd::new(&fd, PollFlags::IN)];
            match poll(&mut wait, Some(&rest)) {
                Ok(0) => {
                    let what = format!("no frame for {} s", DEADLINE.as_secs());
                    return Err(Error::io(
                        &self.path,
                        std::io::Error::new(std::io::ErrorKind::TimedOut, what),
                    ));
                }
                Ok(_) => is_broken = !wait[0].revents().contains(PollFlags::IN),
                // A signal.
                Err(Errno::INTR) => {}
                Err(e) => return Err(self.failed(e)),
            }
        }
    }

    /// Counts a buffer: its number, from 1.
    fn count(&mut self, buffer: &uapi::Buffer) {
        let first = *self.first.get_or_insert(buffer.sequence);
        let number = buffer.sequence.checked_sub(first).map_or(0, |after| u64::from(after) + 1);
        // Drivers that number nothing, or begin anew, go on by one.
        self.last = number.max(self.last + 1);
    }

    fn picture(&self, buffer: &uapi::Buffer) -> Result<Picture> {
        if buffer.flags & uapi::FLAG_ERROR != 0 {
            return Err(self.damaged("the driver says that the frame is damaged".into()));
        }
        let bytes = self.stream.bytes(buffer);
        match self.pixels {
            Some((shape, range)) => {
                let packed = Packed::new(shape, range, bytes[..bytes.len().min(shape.bytes())].to_vec());
                let short = || self.damaged(format!("{} of {} bytes", bytes.len(), shape.bytes()));
                packed.map(Picture::Packed).ok_or_else(short)
            }
            None if bytes.starts_with(&[0xff, 0xd8]) && bytes.len() <= VIDEO_JPEG_BYTES_MAX => {
                let stream = self.path.to_string_lossy().into_owned();
                Ok(Picture::Jpeg { stream, frame: self.last, bytes: bytes.to_vec() })
            }
            None => Err(self.damaged(format!("no JPEG in {} bytes", bytes.len()))),
        }
    }
}

impl Source for V4l {
    fn next_frame(&mut self) -> Result<Step> {
        let buffer = self.dequeue()?;
        self.count(&buffer);
        let age = age(&buffer);
        let picture = self.picture(&buffer);
        // At once, so that the driver never lacks one.
        self.stream.queue(buffer.index).map_err(|e| self.failed(e))?;
        match picture {
            Err(error) => Ok(Step::Damaged(error)),
            Ok(picture) => {
                let shot = Shot::now(self.last, picture);
                let (instant, time) = (shot.instant.checked_sub(age), shot.time.checked_sub(age));
                let instant = instant.unwrap_or(shot.instant);
                let time: SystemTime = time.unwrap_or(shot.time);
                Ok(Step::Frame(Shot { instant, time, ..shot }))
            }
        }
    }
}

/// How long ago the frame was captured, by the kernel's stamp; zero where it has none that can be believed.
fn age(buffer: &uapi::Buffer) -> Duration {
    let (mask, monotonic) = uapi::FLAG_CLOCK;
    if buffer.flags & mask != monotonic {
        return Duration::ZERO;
    }
    let now = clock_gettime(ClockId::Monotonic);
    let now = Duration::new(now.tv_sec as u64, now.tv_nsec as u32);
    let stamp = buffer.time.map(|part| u64::try_from(part).unwrap_or(u64::MAX));
    let stamp = Duration::from_secs(stamp[0]).checked_add(Duration::from_micros(stamp[1]));
    stamp.and_then(|stamp| now.checked_sub(stamp)).filter(|age| *age < DEADLINE).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_camera_is_an_error_with_its_path() {
        for (path, why) in [("/no/such/camera", "no such device"), ("/dev/null", "ocellus cameras")] {
            let error = V4l::open(Path::new(path), &config::Camera::default()).err().unwrap().to_string();
            assert!(error.starts_with(path) && error.contains(why), "{error}");
        }
        // Whatever the machine has: listing it does no harm.
        drop(list());
    }

    #[test]
    fn an_endless_list_ends() {
        assert_eq!(enumerate(Ok).unwrap().len(), CAMERA_FORMATS_MAX as usize);
        let three = |index| if index < 3 { Ok(index) } else { Err(Errno::INVAL) };
        assert_eq!(enumerate(three).unwrap(), [0, 1, 2]);
        assert!(enumerate(|_| Err::<(), _>(Errno::NODEV)).is_err());
    }
}
