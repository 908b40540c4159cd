//! Any bytes are an ONNX model or a typed error; with a size of the caller's choice, too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::loader::{LoadOptions, onnx};

fuzz_target!(|bytes: &[u8]| {
    let _ = onnx::parse(bytes, &LoadOptions::default());
    let _ = onnx::parse(bytes, &LoadOptions { size: Some([64, 96]) });
});
