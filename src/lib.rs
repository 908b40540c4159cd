//! INT8 object detection on small CPUs.
pub mod detect;
pub mod error;
pub mod graph;
pub mod image;
pub mod kernels;
pub mod limits;
pub mod loader;
pub mod tensor;

pub use error::{Error, Result};
pub mod engine;
mod passes;
mod plan;
pub mod threads;
