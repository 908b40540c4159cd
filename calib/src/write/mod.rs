//! Graphs as model files that other engines open: [`onnx`] and [`ncnn`]; and files that are whole or not there.

pub mod ncnn;
pub mod onnx;
