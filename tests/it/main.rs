//! Integration tests: the public API and the program, as users meet them.
//!
//! Tests that need real models or pictures look for them in `../shared` and skip with a message where they
//! are absent; every property has a test on networks made here as well.

mod bench;
mod cli;
mod detections;
mod dynamic;
mod engine;
mod hostile;
mod ncnn;
mod network;
mod onnx_bytes;
mod program;
#[cfg(any(feature = "mqtt", feature = "webhooks"))]
mod publish;
#[cfg(feature = "http")]
mod serve;
mod shared;
#[cfg(all(feature = "http", target_os = "linux"))]
mod soak;
mod style;
mod temp_dir;
mod watch;
