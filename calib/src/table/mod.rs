//! Calibration tables: how far the input of each weighted layer reaches, and with it its int8 scale.
//!
//! [`find`] and [`sample`] say which pictures, [`collect`] runs them and counts magnitudes ([`histogram`]),
//! [`Method`] chooses a threshold from the counts ([`kl`]), [`tabulate`] makes the scales, and [`Table`] is
//! ncnn's file of them ([`text`]).

mod collect;
pub mod histogram;
pub mod kl;
mod layers;
mod method;
mod pictures;
mod report;
pub mod text;

pub(crate) use collect::skip;
pub use collect::{Collected, collect};
pub use histogram::Histogram;
pub use layers::{Layer, layers};
pub use method::Method;
pub use pictures::{find, sample};
pub use report::{LayerRow, Summary, tabulate};

/// Largest code of the symmetric int8 grid: a scale is this over a threshold.
pub const CODE_MAX: f32 = 127.0;

/// A calibration table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// One per weighted layer, in the order of the model.
    pub entries: Vec<text::Entry>,
}
