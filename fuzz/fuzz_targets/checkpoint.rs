//! Any bytes are a checkpoint or an error that names the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::loader::LoadOptions;

fuzz_target!(|bytes: &[u8]| {
    // The first byte says which form; libraries read them from files.
    let Some((form, bytes)) = bytes.split_first() else { return };
    let suffix = if form % 2 == 0 { "pt" } else { "safetensors" };
    let path = std::env::temp_dir().join(format!("fuzz-checkpoint-{}.{suffix}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    if let Err(error) = calib::pytorch::load(&path, &LoadOptions { size: Some([64; 2]) }) {
        assert!(error.to_string().contains("fuzz-checkpoint"), "{error}");
    }
});
