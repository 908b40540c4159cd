//! The kernel's interface to cameras: the requests of `linux/videodev2.h` that a capture needs, and its buffers.
//!
//! This is the one place where memory of the kernel is touched. The crate `v4l` would offer the same requests; it is not
//! used because its bindings are generated when it is built (by bindgen, which needs libclang), because its stream
//! cannot go on after a deadline or an interrupted wait, hides the error flag of buffers, and panics when a camera
//! that fails is closed. These are ten requests and eight structures, whose sizes are checked below for each width of a pointer.
//!
//! Structures are laid out as the header says; `c_long` makes the time stamp that of each target (on 32 bits the kernel's
//! older form, which new kernels still take).

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Result;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::{c_long, c_ulong, c_void};

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`
pub const CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`
const MMAP: u32 = 1;
/// `V4L2_CAP_VIDEO_CAPTURE`
pub const CAP_CAPTURE: u32 = 0x0000_0001;
/// `V4L2_CAP_STREAMING`
pub const CAP_STREAMING: u32 = 0x0400_0000;
/// `V4L2_CAP_DEVICE_CAPS`: `device_caps` is filled.
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `V4L2_CAP_TIMEPERFRAME`: the rate can be set.
const CAP_RATE: u32 = 0x1000;
/// `V4L2_BUF_FLAG_ERROR`: the data are damaged.
pub const FLAG_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK` and `V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC`
pub const FLAG_CLOCK: (u32, u32) = (0xe000, 0x2000);
/// `V4L2_FRMSIZE_TYPE_DISCRETE`
pub const DISCRETE: u32 = 1;

/// `struct v4l2_capability`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus: [u8; 32],
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FormatDescription {
    pub index: u32,
    pub kind: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub fourcc: [u8; 4],
    pub bus_code: u32,
    pub reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`; of a discrete size the first two numbers are width and height, otherwise they are least
/// width, most width, step, and the same of the height.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct FrameSize {
    pub index: u32,
    pub fourcc: [u8; 4],
    pub kind: u32,
    pub numbers: [u32; 6],
    pub reserved: [u32; 2],
}

/// `struct v4l2_pix_format`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct PixelFormat {
    pub width: u32,
    pub height: u32,
    pub fourcc: [u8; 4],
    /// 0: the driver chooses.
    pub field: u32,
    /// Bytes of a row.
    pub pitch: u32,
    /// Bytes of a frame.
    pub size: u32,
    pub colorspace: u32,
    pub private: u32,
    pub flags: u32,
    pub encoding: u32,
    /// 1: full range, 2: limited range, 0: as usual for the format.
    pub quantization: u32,
    pub transfer: u32,
}

const UNION_WORDS: usize = 200 / size_of::<c_ulong>();

/// `struct v4l2_format`, of which only `pix` is used here; the rest of its union is padding.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Format {
    kind: u32,
    union: FormatUnion,
}

#[repr(C)]
#[derive(Clone, Copy)]
union FormatUnion {
    pixels: PixelFormat,
    /// The alignment of a pointer, which another member of the union has.
    words: [c_ulong; UNION_WORDS],
}

impl Format {
    /// With these pixels, all else zero.
    pub fn new(pixels: PixelFormat) -> Self {
        let mut union = FormatUnion { words: [0; UNION_WORDS] };
        union.pixels = pixels;
        Format { kind: CAPTURE, union }
    }

    /// The pixels.
    pub fn pixels(&self) -> PixelFormat {
        // SAFETY: any bytes are a `PixelFormat`, and all bytes of the union are initialized.
        unsafe { self.union.pixels }
    }
}

/// `struct v4l2_streamparm` for captures, of which only the rate is used here.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StreamParameters {
    kind: u32,
    capability: u32,
    mode: u32,
    /// Seconds per frame: numerator, denominator.
    period: [u32; 2],
    rest: [u32; 46],
}

impl StreamParameters {
    /// `frames` frames in `seconds` seconds.
    pub fn with_rate(frames: u32, seconds: u32) -> Self {
        StreamParameters {
            kind: CAPTURE,
            capability: CAP_RATE,
            mode: 0,
            period: [seconds, frames],
            rest: [0; 46],
        }
    }

    /// Frames per second, where the driver knows.
    pub fn rate(&self) -> Option<f64> {
        let [seconds, frames] = self.period;
        (seconds > 0 && frames > 0).then(|| f64::from(frames) / f64::from(seconds))
    }
}

/// `struct v4l2_requestbuffers`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    pub flags: u32,
}

/// `struct v4l2_buffer`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Buffer {
    pub index: u32,
    kind: u32,
    /// Bytes that the driver has filled.
    pub used: u32,
    pub flags: u32,
    field: u32,
    /// Seconds and microseconds.
    pub time: [c_long; 2],
    time_code: [u32; 4],
    /// Number of the frame, from 0; gaps are frames that the driver had no buffer for.
    pub sequence: u32,
    memory: u32,
    /// The member of the union that is used: where the buffer can be mapped.
    offset: c_ulong,
    length: u32,
    reserved: u32,
    request: u32,
}

impl Buffer {
    fn new(index: u32) -> Self {
        Buffer { index, kind: CAPTURE, memory: MMAP, ..Buffer::default() }
    }

    /// Where the buffer can be mapped: the first four bytes of the union.
    fn offset(&self) -> u64 {
        let bytes = self.offset.to_ne_bytes();
        u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).into()
    }
}

/// Sizes by the C compiler, on 64 and on 32 bits.
const fn is_sized<T>(on_64: usize, on_32: usize) -> bool {
    size_of::<T>() == if size_of::<usize>() == 8 { on_64 } else { on_32 }
}

const _: () = assert!(is_sized::<Capability>(104, 104) && is_sized::<FormatDescription>(64, 64));
const _: () = assert!(is_sized::<FrameSize>(44, 44) && is_sized::<PixelFormat>(48, 48));
const _: () = assert!(is_sized::<Format>(208, 204) && is_sized::<StreamParameters>(204, 204));
const _: () = assert!(is_sized::<RequestBuffers>(20, 20) && is_sized::<Buffer>(88, 68));

/// Makes a function of a request: its number and its structure.
macro_rules! request {
    ($(#[$doc:meta])* $name:ident, $number:literal, $structure:ty, $code:ident) => {
        $(#[$doc])*
        pub fn $name(fd: impl AsFd, value: &mut $structure) -> Result<()> {
            const CODE: Opcode = opcode::$code::<$structure>(b'V', $number);
            // SAFETY: the header gives this number this structure, all bytes of which may be anything.
            unsafe { ioctl(fd, Updater::<CODE, $structure>::new(value)) }
        }
    };
}

request!(/** `VIDIOC_QUERYCAP` */ query_capability, 0, Capability, read);
request!(/** `VIDIOC_ENUM_FMT` */ enumerate_formats, 2, FormatDescription, read_write);
request!(/** `VIDIOC_S_FMT` */ set_format, 5, Format, read_write);
request!(request_buffers, 8, RequestBuffers, read_write);
request!(query_buffer, 9, Buffer, read_write);
request!(queue_buffer, 15, Buffer, read_write);
request!(dequeue_buffer, 17, Buffer, read_write);
request!(stream_on, 18, i32, write);
request!(/** `VIDIOC_S_PARM` */ set_parameters, 22, StreamParameters, read_write);
request!(/** `VIDIOC_ENUM_FRAMESIZES` */ enumerate_sizes, 74, FrameSize, read_write);

/// Memory of the driver's that is mapped into this process, to be read.
struct Mapping {
    start: *mut c_void,
    length: usize,
}

// SAFETY: the mapping belongs to this value, whatever thread it is on.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `mmap` gave this range, and nobody borrows it any more. A failure leaves it mapped, no more.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

/// A running capture: buffers go to the driver and come back filled.
pub struct Stream {
    // Unmapped first: the device keeps the memory alive until it is closed, which also stops the stream.
    mappings: Vec<Mapping>,
    device: OwnedFd,
}

impl Stream {
    /// Maps `count` buffers (or as many as the driver gives), queues them, and starts.
    ///
    /// # Errors
    /// As the driver says; `ENOMEM` if it gives fewer than two buffers.
    pub fn start(device: OwnedFd, count: u32) -> Result<Self> {
        let mut request = RequestBuffers { count, kind: CAPTURE, memory: MMAP, ..RequestBuffers::default() };
        request_buffers(&device, &mut request)?;
        if request.count < 2 {
            return Err(rustix::io::Errno::NOMEM);
        }
        let mut stream = Stream { mappings: Vec::new(), device };
        for index in 0..request.count {
            stream.map(index)?;
            stream.queue(index)?;
        }
        stream_on(&stream.device, &mut (CAPTURE as i32))?;
        Ok(stream)
    }

    fn map(&mut self, index: u32) -> Result<()> {
        let mut buffer = Buffer::new(index);
        query_buffer(&self.device, &mut buffer)?;
        let length = buffer.length as usize;
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: the kernel chooses where; nothing of this process's memory is replaced.
        let start =
            unsafe { mmap(std::ptr::null_mut(), length, protection, flags, &self.device, buffer.offset())? };
        self.mappings.push(Mapping { start, length });
        Ok(())
    }

    /// Gives a buffer to the driver.
    ///
    /// # Errors
    /// As the driver says.
    pub fn queue(&self, index: u32) -> Result<()> {
        queue_buffer(&self.device, &mut Buffer::new(index))
    }

    /// Takes a filled buffer back; `EAGAIN` if there is none.
    ///
    /// # Errors
    /// As the driver says; `EINVAL` if it names a buffer that there is not.
    pub fn dequeue(&mut self) -> Result<Buffer> {
        let mut buffer = Buffer::new(0);
        dequeue_buffer(&self.device, &mut buffer)?;
        if (buffer.index as usize) < self.mappings.len() {
            return Ok(buffer);
        }
        Err(rustix::io::Errno::INVAL)
    }

    /// The bytes of a buffer that was taken back, as many as it was filled with.
    ///
    /// # Panics
    /// The buffer is not of this stream.
    pub fn bytes(&self, buffer: &Buffer) -> &[u8] {
        let &Mapping { start, length } = &self.mappings[buffer.index as usize];
        // SAFETY: the mapping has `length` bytes and lives as long as `self`; the driver does not write into a buffer that
        // it has given back, until it is queued again. A driver that did could spoil a picture, whose bytes mean
        // nothing in particular.
        unsafe { std::slice::from_raw_parts(start.cast_const().cast(), length.min(buffer.used as usize)) }
    }

    /// The device.
    pub fn device(&self) -> &OwnedFd {
        &self.device
    }
}
