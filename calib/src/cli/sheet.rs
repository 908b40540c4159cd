//! The file of a sheet of pictures.

use crate::augment::sheet::arrange;
use crate::error::{Error, Result};
use crate::write::save::{check_target, save};
use image::codecs::{jpeg::JpegEncoder, png::PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use ocellus::image::Frame;
use std::path::Path;

/// Most pixels of a sheet: what viewers open without trouble.
pub(super) const PIXELS_MAX: usize = 100_000_000;
const JPEG_QUALITY: u8 = 90;

/// A file that can be written.
pub(super) struct Sheet<'a> {
    path: &'a Path,
    png: bool,
}

impl<'a> Sheet<'a> {
    /// The file at `path`, which `flag` gave.
    pub fn at(flag: &str, path: &'a Path) -> Result<Self> {
        let png = match path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).as_deref() {
            Some("jpg" | "jpeg") => false,
            Some("png") => true,
            _ => return Err(Error::Usage(format!("{flag}: the sheet is written as .jpg or .png"))),
        };
        check_target(flag, path)?;
        Ok(Sheet { path, png })
    }

    /// Writes `pictures`, squares of side `side`, in rows of `columns`.
    pub fn write(&self, pictures: &[Frame], side: usize, columns: usize) -> Result<()> {
        let sheet = arrange(pictures, side, columns);
        let (width, height) = (sheet.width as u32, sheet.height as u32);
        let (mut bytes, colour) = (Vec::new(), ExtendedColorType::Rgb8);
        let written = match self.png {
            true => PngEncoder::new(&mut bytes).write_image(&sheet.rgb, width, height, colour),
            false => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
                .write_image(&sheet.rgb, width, height, colour),
        };
        written.map_err(|e| Error::io(self.path, std::io::Error::other(e)))?;
        save(&[(self.path, &bytes)])
    }
}
