//! Graphs as model files that other engines open.

pub mod ncnn;
pub mod onnx;
