//! A detector of one layer, and files beside the repository.

use crate::temp_dir::TempDir;
use std::path::{Path, PathBuf};

/// A FastestDet head of 2 by 2 cells and two classes on 32 by 32 pixels. Objectness is the red of the cell's first
/// pixel, less `dim`; class 0 is sure. Boxes of 16 by 16 begin at the cell's corner less 8 pixels.
pub fn model(dir: &TempDir, name: &str, dim: f32) -> String {
    let param = "7767517\n2 2\n\
        Input data 0 1 data 0=32 1=32 2=3\n\
        Convolution head 1 1 data map 0=7 1=1 3=16 5=1 6=21\n";
    let mut bin = [0.0; 1 + 21 + 7];
    bin[1] = 1.0;
    bin[22] = -dim;
    bin[22 + 5] = 1.0;
    let bytes: Vec<u8> = bin.iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
    std::fs::write(dir.path(format!("{name}.bin")), bytes).unwrap();
    dir.write(&format!("{name}.param"), param).to_str().unwrap().to_owned()
}

/// A picture of the model's size of which the cell below right has this red.
pub fn picture(dir: &TempDir, name: &str, red: u8) -> PathBuf {
    let path = dir.write(name, "");
    let colour = |x: u32, y: u32| image::Rgb([if x >= 16 && y >= 16 { red } else { 0 }, 0, 0]);
    image::RgbImage::from_fn(32, 32, colour).save(&path).unwrap();
    path
}

/// Files beside the repository; `None`, with a message, where they are absent.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if !path.exists() {
        println!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}
