//! Post-training quantization: from a float network and pictures to int8 weights, and grids for its tensors.
//!
//! A [`Calibration`] is what the pictures show of a network: it samples what its layers read, evens out
//! its channels by that ([`equalize`]), and counts how its tensors are spread. A [`Recipe`] is everything chosen from
//! that under a [`Scheme`]: [`sites`] says which tensors become codes and which share a grid, [`range`] how far the
//! codes of a grid reach (or a table of somebody else, [`imported`]), [`rounding`] which code each weight becomes, [`bias`] makes up for what the mean of a
//! layer's output loses. Applied to the network the recipe is the int8 network, as the runtime runs it and as files
//! hold it ([`artifact`]). [`sensitivity`] tells what each layer costs; [`aware`] returns the costliest to float until
//! the accuracy is what was asked for.

pub mod artifact;
pub mod aware;
pub mod bias;
mod calibration;
pub mod equalize;
pub mod imported;
pub mod range;
mod recipe;
pub mod rounding;
pub mod scheme;
pub mod sensitivity;
pub mod sites;
pub mod summary;

pub use calibration::{Calibration, Choices, Chosen, Rounding, simple};
pub use recipe::{Layer8, Recipe};
pub use scheme::{Activations, Scheme};
