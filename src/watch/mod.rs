//! Watching a camera: sources of frames, the slot that holds the newest one, and the loop from capture to answer.
//!
//! ```text
//!  capture thread                    the caller's thread
//!  Source ─next─► Shot ─put─► Slot ─take─► Picture ─decode─► Frame ─Detector─► Answer
//! ```
//!
//! A live source never waits for the network: a shot that nobody has taken is replaced by the next one and
//! counted as dropped, still encoded. A file waits instead, and every frame of it is seen. Streams are somebody
//! else's bytes: every size is compared with a limit first, and memory grows only with bytes that have arrived.

pub mod board;
mod clock;
mod folder;
mod mjpeg;
mod open;
mod pipeline;
mod planes;
mod raw;
pub mod scene;
mod slot;
mod source;
pub mod track;
mod y4m;
mod yuv;

pub use clock::Stamp;
pub use folder::Folder;
pub use mjpeg::Mjpeg;
pub use open::{Place, open};
pub use pipeline::{Answer, Pace, watch};
pub use raw::{Raw, RawFormat};
pub use slot::{Control, Counts};
pub use source::{Picture, Shot, Source, Step};
pub use y4m::Y4m;
pub use yuv::{Chroma, Range, Yuv};
