//! How strongly pictures are changed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How strongly pictures are changed. The default is YOLOv5's for small networks, which learn little from pictures
/// that hardly resemble real ones: mosaics always, no rotation, no mixing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Probability that four pictures are joined around a random point.
    pub mosaic: f64,
    /// Probability that a second mosaic is mixed into a mosaic.
    pub mixup: f64,
    /// Pictures are scaled by 1 − this to 1 + this.
    pub scale: f64,
    /// Pictures are moved by up to this part of the side.
    pub translate: f64,
    /// Pictures are rotated by up to this angle, either way.
    pub degrees: f64,
    /// Hue moves by up to the first part of the circle; saturation and value are multiplied by 1 − the second and
    /// third to 1 + them.
    pub hsv: [f64; 3],
    /// Probability of a mirrored picture.
    pub flip: f64,
}

impl Default for Augment {
    fn default() -> Self {
        Augment {
            mosaic: 1.0,
            mixup: 0.0,
            scale: 0.5,
            translate: 0.1,
            degrees: 0.0,
            hsv: [0.015, 0.7, 0.4],
            flip: 0.5,
        }
    }
}

impl Augment {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the value and its bounds.
    pub fn check(&self) -> Result<()> {
        let [hue, saturation, value] = self.hsv;
        for (name, given, high) in [
            ("mosaic", self.mosaic, 1.0),
            ("mixup", self.mixup, 1.0),
            ("scale", self.scale, 0.9),
            ("translate", self.translate, 0.5),
            ("degrees", self.degrees, 180.0),
            ("hsv, hue,", hue, 0.5),
            ("hsv, saturation,", saturation, 1.0),
            ("hsv, value,", value, 1.0),
            ("flip", self.flip, 1.0),
        ] {
            if !(0.0..=high).contains(&given) {
                return Err(Error::Usage(format!("augmentation: {name} {given}: must be 0 to {high}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        Augment::default().check().unwrap();
        let wrong = Augment { scale: 1.0, ..Augment::default() };
        assert_eq!(wrong.check().unwrap_err().to_string(), "augmentation: scale 1: must be 0 to 0.9");
        let wrong = Augment { hsv: [0.0, f64::NAN, 0.0], ..Augment::default() };
        assert!(wrong.check().unwrap_err().to_string().contains("saturation"));
    }
}
