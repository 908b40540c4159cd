//! What a network expects of its input, and the tables that give it that.

use crate::error::{Error, Result};
use crate::tensor::Quant;
use std::fmt;
use std::str::FromStr;

/// Order of the network's three input channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelOrder {
    /// Red first: PyTorch models, YOLOv5.
    #[default]
    Rgb,
    /// Blue first: models trained on what OpenCV reads.
    Bgr,
}

/// How a picture is fitted to the network's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// Same aspect ratio, centred, the rest filled with a constant: YOLOv5.
    #[default]
    Letterbox,
    /// Each axis on its own: ncnn's calibration tool, FastestDet.
    Stretch,
}

/// How the pixels of a fitted picture are made from the picture's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// A mean over all pixels that a reduction joins, byte for byte Pillow's `resize(BILINEAR)`. Small objects
    /// keep what shows them: of the two the one with the better accuracy.
    #[default]
    Antialias,
    /// Between the four nearest pixels, byte for byte OpenCV's `resize(INTER_LINEAR)`; less to compute.
    Linear,
}

/// How pixels become the network's input: channel `c` is `(pixel − mean[c]) · norm[c]`.
///
/// The default is YOLOv5's: RGB, divided by 255, letterbox filled with 114; resized with antialiasing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocess {
    /// Subtracted from the pixel (0..=255), per channel in the network's order.
    pub mean: [f32; 3],
    /// Multiplied to the difference, per channel in the network's order.
    pub norm: [f32; 3],
    /// Order of the channels.
    pub order: ChannelOrder,
    /// How the picture is fitted.
    pub fit: Fit,
    /// How it is resized.
    pub interpolation: Interpolation,
    /// Pixel value of what a letterbox leaves empty, in all channels.
    pub fill: u8,
}

impl Default for Preprocess {
    fn default() -> Self {
        Preprocess {
            mean: [0.0; 3],
            norm: [1.0 / 255.0; 3],
            order: ChannelOrder::Rgb,
            fit: Fit::Letterbox,
            interpolation: Interpolation::Antialias,
            fill: 114,
        }
    }
}

impl Preprocess {
    /// The default, changed by those entries of a model's metadata that [`Preprocess::set`] knows.
    ///
    /// # Errors
    /// [`Error::BadModel`] naming the entry whose value cannot be read.
    pub fn from_metadata(metadata: &[(String, String)]) -> Result<Self> {
        let mut preprocess = Preprocess::default();
        for (key, value) in metadata {
            preprocess.set(key, value).map_err(|e| Error::bad_model(format!("metadata: {e}")))?;
        }
        Ok(preprocess)
    }

    /// Sets one property by name; false if the name is none of them.
    ///
    /// `mean` and `norm` are one number for all channels or three (`0.017`, `[123.675, 116.28, 103.53]`, with
    /// or without brackets); `pixel` or `order` is `RGB` or `BGR`; `resize` or `fit` is `letterbox` or
    /// `stretch`; `interpolation` is `antialias` or `linear`; `fill` is a pixel value.
    ///
    /// # Errors
    /// [`Error::Usage`]: the value cannot be read.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        let usable = |numbers: [f32; 3]| numbers.iter().all(|x| x.is_normal());
        match key {
            "mean" => self.mean = three_numbers(key, value)?,
            "norm" => {
                self.norm = Some(three_numbers(key, value)?).filter(|&n| usable(n)).ok_or_else(|| {
                    Error::Usage(format!("norm '{value}': a factor of zero would erase the picture"))
                })?
            }
            "pixel" | "order" => self.order = value.parse().map_err(Error::Usage)?,
            "resize" | "fit" => self.fit = value.parse().map_err(Error::Usage)?,
            "interpolation" => self.interpolation = value.parse().map_err(Error::Usage)?,
            "fill" => {
                self.fill = value
                    .trim()
                    .parse()
                    .map_err(|_| Error::Usage(format!("fill '{value}': expected a pixel value, 0 to 255")))?
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Input value of every pixel value, per network channel.
    pub fn real_table(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|c| std::array::from_fn(|x| (x as f32 - self.mean[c]) * self.norm[c]))
    }

    /// Input code of every pixel value, per network channel, for an int8 input quantized by `quant`.
    pub fn code_table(&self, quant: Quant) -> [[i8; 256]; 3] {
        self.real_table().map(|channel| channel.map(|real| quant.quantize(real)))
    }
}

fn three_numbers(key: &str, value: &str) -> Result<[f32; 3]> {
    let bad = || Error::Usage(format!("{key} '{value}': expected one number or three, as 0.5 or [1,2,3]"));
    let trimmed = value.trim();
    let inner = match trimmed.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
        None => trimmed,
    };
    let mut numbers = [0f32; 3];
    let mut count = 0;
    for part in inner.split(',') {
        let slot = numbers.get_mut(count).ok_or_else(bad)?;
        *slot = part.trim().parse().ok().filter(|x: &f32| x.is_finite()).ok_or_else(bad)?;
        count += 1;
    }
    match count {
        1 => Ok([numbers[0]; 3]),
        3 => Ok(numbers),
        _ => Err(bad()),
    }
}

impl FromStr for ChannelOrder {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "rgb" => Ok(ChannelOrder::Rgb),
            "bgr" => Ok(ChannelOrder::Bgr),
            _ => Err(format!("channel order '{text}': expected RGB or BGR")),
        }
    }
}

impl fmt::Display for ChannelOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChannelOrder::Rgb => "RGB",
            ChannelOrder::Bgr => "BGR",
        })
    }
}

impl FromStr for Fit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "letterbox" => Ok(Fit::Letterbox),
            "stretch" => Ok(Fit::Stretch),
            _ => Err(format!("fit '{text}': expected letterbox or stretch")),
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fit::Letterbox => "letterbox",
            Fit::Stretch => "stretch",
        })
    }
}

impl FromStr for Interpolation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "antialias" => Ok(Interpolation::Antialias),
            "linear" => Ok(Interpolation::Linear),
            _ => Err(format!("interpolation '{text}': expected antialias or linear")),
        }
    }
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interpolation::Antialias => "antialias",
            Interpolation::Linear => "linear",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn metadata_overrides_yolov5() {
        let read = Preprocess::from_metadata(&metadata(&[
            ("names", "{0: 'person'}"),
            ("mean", "[103.53,116.28, 123.675]"),
            ("norm", "0.017"),
            ("pixel", "bgr"),
            ("resize", "stretch"),
            ("interpolation", "Linear"),
        ]));
        let expected = Preprocess {
            mean: [103.53, 116.28, 123.675],
            norm: [0.017; 3],
            order: ChannelOrder::Bgr,
            fit: Fit::Stretch,
            interpolation: Interpolation::Linear,
            fill: 114,
        };
        assert_eq!(read.unwrap(), expected);
        assert_eq!(Preprocess::from_metadata(&[]).unwrap(), Preprocess::default());
    }

    #[test]
    fn unreadable_values_are_errors_that_quote_them() {
        let bad = [
            ("mean", "[1,2]"),
            ("mean", "[1,2,3,4]"),
            ("mean", "[1,2,3"),
            ("mean", "nan"),
            ("norm", "[0.1,0,0.1]"),
            ("norm", ""),
            ("pixel", "YUV"),
            ("fit", "crop"),
            ("interpolation", "nearest"),
            ("fill", "256"),
        ];
        for (key, value) in bad {
            let error = Preprocess::from_metadata(&metadata(&[(key, value)])).unwrap_err();
            assert!(matches!(&error, Error::BadModel { what, .. } if what.contains(value)), "{key}={value}");
        }
    }

    /// Scale 1/255 and zero point −128 make the code of pixel x the number x − 128: a worked example of the
    /// quantization formula.
    #[test]
    fn the_code_of_a_pixel_is_the_pixel_less_128() {
        let quant = Quant::new(1.0 / 255.0, -128).unwrap();
        let table = Preprocess::default().code_table(quant);
        for (x, code) in (0u8..=255).zip(-128i8..=127) {
            assert_eq!(table[1][usize::from(x)], code);
        }
    }
}
