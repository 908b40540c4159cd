//! Anchor boxes of YOLOv5 heads.

use crate::error::{Error, Result};
use std::str::FromStr;

/// Most scales, and most anchors of one scale, that are accepted.
const ANCHORS_MAX: usize = 16;

/// Anchor `[width, height]` in network pixels, per scale in ascending order of stride.
///
/// As text: the pairs of a scale separated by commas, scales by slashes
/// (`10,13,16,30,33,23/30,61,62,45,59,119/116,90,156,198,373,326`), or YOLOv5's nested lists
/// (`[[10,13, 16,30, 33,23], [30,61, …], …]`).
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors(Vec<Vec<[f32; 2]>>);

impl Anchors {
    /// YOLOv5's own anchors: three scales (strides 8 to 32), or four (strides 8 to 64, the P6 models).
    pub fn yolov5(scales: usize) -> Option<Self> {
        let levels: &[[[f32; 2]; 3]] = match scales {
            3 => &[
                [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]],
                [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]],
                [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]],
            ],
            4 => &[
                [[19.0, 27.0], [44.0, 40.0], [38.0, 94.0]],
                [[96.0, 68.0], [86.0, 152.0], [180.0, 137.0]],
                [[140.0, 301.0], [303.0, 264.0], [238.0, 542.0]],
                [[436.0, 615.0], [739.0, 380.0], [925.0, 792.0]],
            ],
            _ => return None,
        };
        Some(Anchors(levels.iter().map(|level| level.to_vec()).collect()))
    }

    /// The model's `anchors` entry, if it has one.
    ///
    /// # Errors
    /// [`Error::BadModel`]: the entry cannot be read.
    pub fn from_metadata(metadata: &[(String, String)]) -> Result<Option<Self>> {
        let entry = metadata.iter().find(|(key, _)| key == "anchors");
        let read = |value: &str| value.parse().map_err(|e: Error| Error::bad_model(format!("metadata: {e}")));
        entry.map(|(_, value)| read(value)).transpose()
    }

    /// Anchors of every scale, in ascending order of stride.
    pub fn levels(&self) -> &[Vec<[f32; 2]>] {
        &self.0
    }

    /// Number of anchors of one scale.
    pub fn per_scale(&self) -> usize {
        self.0[0].len()
    }
}

impl FromStr for Anchors {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let shown: String = text.chars().take(100).collect();
            Error::Usage(format!(
                "anchors '{shown}': expected w,h,w,h,… per scale, scales separated by '/', \
                 the same number of positive pairs in each"
            ))
        };
        let level = |text: &str| -> Option<Vec<[f32; 2]>> {
            let parts: Vec<&str> = text.split(',').take(2 * ANCHORS_MAX + 1).collect();
            let numbers: Option<Vec<f32>> = parts
                .iter()
                .map(|part| part.trim().parse().ok().filter(|x: &f32| x.is_finite() && *x > 0.0))
                .collect();
            let numbers = numbers.filter(|n| n.len() % 2 == 0 && n.len() <= 2 * ANCHORS_MAX)?;
            Some(numbers.as_chunks::<2>().0.to_vec())
        };
        // Nested lists differ from the plain form only in their brackets.
        let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let plain = match plain.strip_prefix("[[") {
            Some(rest) => rest.strip_suffix("]]").ok_or_else(bad)?.replace("],[", "/"),
            None => plain,
        };
        let levels: Option<Vec<_>> = plain.split('/').take(ANCHORS_MAX + 1).map(level).collect();
        let levels = levels.ok_or_else(bad)?;
        let uniform = levels.iter().all(|l| l.len() == levels[0].len());
        if levels.len() > ANCHORS_MAX || !uniform {
            return Err(bad());
        }
        Ok(Anchors(levels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_give_yolov5s_anchors() {
        let flag = "10,13,16,30,33,23/30,61,62,45,59,119/116,90,156,198,373,326";
        let lists = "[[10, 13, 16, 30, 33, 23], [30,61,62,45,59,119],[116,90,156,198,373,326]]";
        let expected = Anchors::yolov5(3).unwrap();
        assert_eq!(flag.parse::<Anchors>().unwrap(), expected);
        assert_eq!(lists.parse::<Anchors>().unwrap(), expected);
        let metadata = [("anchors".to_owned(), flag.to_owned())];
        assert_eq!(Anchors::from_metadata(&metadata).unwrap(), Some(expected));
        assert_eq!(Anchors::from_metadata(&[]).unwrap(), None);
    }

    #[test]
    fn unreadable_anchors_are_errors() {
        for bad in ["", "1", "1,2,3", "1,2/3", "1,2/3,4,5,6", "1,-2", "1,nan", "[[1,2],[3,4]", "1,0"] {
            assert!(matches!(bad.parse::<Anchors>(), Err(Error::Usage(_))), "{bad}");
        }
        assert!("1,2/".repeat(1000).parse::<Anchors>().is_err());
    }
}
