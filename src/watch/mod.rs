//! Watching cameras: sources of frames, the slot that holds the newest one of each, and the loop from capture to answer.
//!
//! ```text
//!  capture threads                  the caller's thread
//!  Source ─next─► Shot ─put─► Slots ─take─► Picture ─decode─► Frame ─gate─► Detector ─► Rules ─► Tracker ─► Scene
//!                                                               Report, Events ─► Board ─► any readers
//! ```
//!
//! A live source never waits for the network: a shot that nobody has taken is replaced by the next one and
//! counted as dropped, still encoded. A file waits instead, and every frame of it is seen. Streams are somebody
//! else's bytes: every size is compared with a limit first, and memory grows only with bytes that have arrived.
//!
//! [`config`] is what a file says, [`Rules`] what that means for a camera and a model, [`Live`] changes them while the
//! cameras run.

pub mod board;
mod capture;
mod clock;
pub mod config;
mod folder;
mod gate;
mod http;
mod live;
mod look;
mod mjpeg;
mod names;
mod open;
mod packed;
mod pipeline;
mod planes;
mod pulse;
mod raw;
mod reopen;
mod rules;
pub mod scene;
mod slot;
mod snapshots;
mod source;
pub mod track;
#[cfg(all(target_os = "linux", feature = "v4l"))]
pub mod v4l;
mod y4m;
mod yuv;

pub use clock::Stamp;
pub use folder::Folder;
pub use http::{Chunked, Url};
pub use live::{Live, Overrides, USUAL_SCORE};
pub use mjpeg::Mjpeg;
pub use names::{ENTITIES, entity_id, line_entities, plain, zone_entities};
pub use open::{Place, open, probe};
pub use packed::{Packed, Packing, Shape};
pub use pipeline::{Lens, Shared, watch};
pub use pulse::Pulse;
pub use raw::{Raw, RawFormat};
pub use rules::Rules;
pub use slot::Control;
pub use snapshots::Snapshots;
pub use source::{Picture, Shot, Source, Step};
pub use y4m::Y4m;
pub use yuv::{Chroma, Range, Yuv};
