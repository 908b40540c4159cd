//! INT8 object detection on small CPUs.
pub mod detect;
mod detector;
pub mod engine;
pub mod engines;
pub mod error;
pub mod graph;
pub mod image;
pub mod kernels;
pub mod limits;
pub mod loader;
pub mod passes;
pub mod plan;
pub mod tensor;
pub mod threads;

pub use detector::{Detector, DetectorOptions, Timing};
pub use error::{Error, Result};
