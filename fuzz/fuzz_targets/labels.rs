//! Any text as a label file: the first byte chooses YOLO rows, Pascal VOC, Cityscapes polygons, the names of a data.yaml or
//! the description of training data; the others are the file. Seeds: `seeds/labels`.
#![no_main]

use calib::dataset::description::Description;
use calib::dataset::{Findings, cityscapes, parse_names, voc, yolo};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

/// Size of the picture that YOLO rows are for.
const SIZE: [u32; 2] = [640, 480];

fuzz_target!(|data: &[u8]| {
    let Some((kind, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (path, mut findings) = (Path::new("fuzz"), Findings::gathering());
    match kind % 8 {
        0 => drop(yolo::parse(path, text, 2, SIZE, &mut findings)),
        1 => drop(voc::parse(path, text, &mut findings)),
        2 => drop(cityscapes::parse(path, text, &cityscapes::CLASSES.map(str::to_owned), &mut findings)),
        3 => drop(parse_names(path, text)),
        _ => drop(Description::parse(path, text, path)),
    }
    let _ = findings.into_result();
});
