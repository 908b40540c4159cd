//! Calibration tables: how far the input of each weighted layer reaches, and with it its int8 scale.
//!
//! [`find`] and [`sample`] say which pictures, [`collect`] runs them and counts magnitudes ([`histogram`]),
//! [`Method`] chooses a threshold from the counts ([`kl`]), [`eq`] searches better ones by what they change in the
//! layers' results, of which [`patches`] takes a sample; [`tabulate`] makes the scales, and [`Table`] is ncnn's
//! file of them ([`text`]). A calibration may be spread over machines: a [`shard`] is one part of it, and [`mod@merge`]
//! adds them.

mod collect;
pub mod eq;
pub mod histogram;
pub mod kl;
mod layers;
pub mod merge;
mod method;
pub mod patches;
mod pictures;
mod report;
pub mod shard;
pub mod text;

pub(crate) use collect::skip;
pub use collect::{Collected, Reached, collect, count, reach, without};
pub use histogram::{Histogram, Range};
pub use layers::{Layer, Thresholds, absmax_of_parts, layers, thresholds};
pub use method::Method;
pub use pictures::{find, sample, spread_out};
pub use report::{LayerRow, Summary, tabulate};

/// Largest code of the symmetric int8 grid: a scale is this over a threshold.
pub const CODE_MAX: f32 = 127.0;

/// A calibration table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// One per weighted layer, in the order of the model.
    pub entries: Vec<text::Entry>,
}
