//! Graphs as model files that other engines open, and files that are whole or not there.

pub mod ncnn;
pub mod onnx;
pub mod save;
pub mod sizes;
