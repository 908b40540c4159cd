//! Host-side companion of ocellus.
//!
//! `calib eval` runs a model over an annotated data set and says how good its boxes are: [`dataset`] reads
//! the annotations, [`eval`] runs the detector over the pictures, [`metrics`] computes COCO's mean average
//! precision, [`report`] prints it. `calib table` chooses the int8 scales of a float model from pictures:
//! [`table`]. `calib quantize` makes the int8 model itself: [`quantize`] chooses, [`mod@write`] makes the files, [`page`]
//! shows what was done. `calib convert` writes a float model in another format: [`convert`]. `calib compare` says what
//! differs between two models: [`compare`]; `calib select` chooses among several: [`select`]. `calib label` has a model label
//! pictures: [`label`]. With the feature `train`,
//! `calib train` makes float models from pictures with boxes. [`runtime`] is the
//! only place that knows how a model is opened.

pub mod anchors;
pub mod augment;
pub mod cli;
pub mod compare;
pub mod convert;
pub mod dataset;
pub mod error;
pub mod eval;
pub mod hash;
pub mod judge;
pub mod label;
pub mod limits;
pub mod loader;
pub mod metrics;
pub mod page;
#[cfg(feature = "train")]
pub mod pipeline;
pub mod pytorch;
pub mod quantize;
pub mod random;
pub mod report;
pub mod runtime;
pub mod select;
pub mod share;
pub mod table;
#[cfg(feature = "train")]
pub mod train;
pub mod write;

pub use error::{Error, Result};
