//! Any text as the configuration of a daemon, with the rules that it makes for COCO's classes. Seeds: `seeds/config`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus::detect::Names;
use ocellus::watch::{Rules, config};

fuzz_target!(|text: &str| {
    let Ok(config) = config::parse(text, "fuzz.toml".as_ref()) else { return };
    for camera in &config.cameras {
        let _ = Rules::new(camera, 0.25, &Names::coco());
    }
});
