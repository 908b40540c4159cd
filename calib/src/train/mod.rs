//! Training of detectors with YOLOv5's heads, from pictures with boxes.
//!
//! ```text
//! graph ─Network─► layers + Weights ─┐
//! loader::Batch ──┬──────────────────┴► executor::Pass ─► maps ─loss─► gradients ─backward─► sgd ─► Weights
//!                 └teacher► hints ──────────────────────────┘
//! Weights ─export─► float Graph ─► judge, write::onnx
//! ```
//!
//! A network is a [`Graph`](ocellus::graph::Graph) of the runtime, and stays one: [`network`] finds the trained numbers
//! in it, [`executor`] runs it on burn's tensors, [`export`] puts the numbers back. So whatever the runtime can read
//! and the executor knows the operators of can be trained, and what was trained can be run.

pub mod adamw;
mod begin;
pub mod checkpoint;
pub mod data;
pub mod device;
pub mod executor;
pub mod export;
pub mod features;
mod held;
pub mod imitation;
mod journal;
pub mod kernels;
pub mod loss;
pub mod network;
pub mod plan;
pub mod portable;
pub mod preview;
pub mod repopt;
pub mod run;
pub mod schedule;
pub mod sgd;
pub mod source;
pub mod state;
mod student;
mod tape;
pub mod teacher;
pub mod trainer;
pub mod validation;
mod workers;

#[cfg(test)]
mod tests;
