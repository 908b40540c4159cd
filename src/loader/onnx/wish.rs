//! The size that a file of dynamic extents is made for.

use crate::error::{Error, Result};
use crate::limits::INPUT_SIDE_MAX;

/// `[height, width]` of the entry `imgsz`, as Ultralytics' exporter and `calib` write it: `[480, 640]`, or one number
/// for both.
///
/// # Errors
/// The entry is something else.
pub(crate) fn size(metadata: &[(String, String)]) -> Result<Option<[usize; 2]>> {
    let Some((_, text)) = metadata.iter().find(|(key, _)| key == "imgsz") else { return Ok(None) };
    let inner = text.trim().trim_start_matches(['[', '(']).trim_end_matches([']', ')']);
    let side = |side: &str| side.trim().parse().ok().filter(|side| (1..=INPUT_SIDE_MAX).contains(side));
    let sides: Option<Vec<usize>> = inner.split(',').map(side).collect();
    match sides.as_deref() {
        Some(&[side]) => Ok(Some([side; 2])),
        Some(&[height, width]) => Ok(Some([height, width])),
        _ => Err(Error::bad_model(format!(
            "metadata 'imgsz' {:?} is no height and width from 1 to {INPUT_SIDE_MAX}; give a size, as \
             with --size",
            text.chars().take(40).collect::<String>()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_one_number_or_height_and_width() {
        let read = |text: &str| size(&[("imgsz".to_owned(), text.to_owned())]);
        for (text, expected) in [("640", [640, 640]), ("[480, 640]", [480, 640]), (" (416,320) ", [416, 320])]
        {
            assert_eq!(read(text).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(size(&[("names".to_owned(), "640".to_owned())]).unwrap(), None);
        for text in ["", "[]", "large", "640,", "0", "-1", "[1, 2, 3]", "99999999999999999999", "99999"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("imgsz") && error.contains("--size"), "{text}: {error}");
        }
    }
}
