//! Calibration tables: how far the input of each weighted layer reaches, and with it its int8 scale.
//!
//! [`histogram`] counts magnitudes, [`kl`] and [`Method`] choose a threshold from the counts.

pub mod histogram;
pub mod kl;
mod method;

pub use histogram::Histogram;
pub use method::Method;

/// Largest code of the symmetric int8 grid: a scale is this over a threshold.
pub const CODE_MAX: f32 = 127.0;
