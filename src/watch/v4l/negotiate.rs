//! Which format, size and rate a camera is asked for, and whether it gave them.

use crate::watch::Range;
use crate::watch::config::{PixelFormat, Size};
use crate::watch::packed::{Packing, Shape};
use serde::Serialize;

/// Formats that can be read, with their four characters.
const FORMATS: [(PixelFormat, [u8; 4]); 6] = [
    (PixelFormat::Mjpg, *b"MJPG"),
    (PixelFormat::Mjpg, *b"JPEG"),
    (PixelFormat::Yuyv, *b"YUYV"),
    (PixelFormat::Nv12, *b"NV12"),
    (PixelFormat::Rgb3, *b"RGB3"),
    (PixelFormat::Grey, *b"GREY"),
];

/// The format of these four characters.
fn format_of(fourcc: [u8; 4]) -> Option<PixelFormat> {
    FORMATS.iter().find(|(_, known)| *known == fourcc).map(|(format, _)| *format)
}

/// Whether frames of these four characters can be read.
pub(super) fn is_supported(fourcc: [u8; 4]) -> bool {
    format_of(fourcc).is_some()
}

/// What is wanted of a camera. `None`: what suits it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Wish {
    pub format: Option<PixelFormat>,
    pub size: Option<Size>,
    pub rate: Option<f64>,
}

/// What a camera says that it gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    pub fourcc: [u8; 4],
    pub size: [usize; 2],
    /// Bytes of a row; 0: no gaps, or no rows.
    pub pitch: usize,
    /// Codes of 0 to 255, not 16 to 235.
    pub full_range: bool,
}

/// The camera's side of the negotiation.
pub(super) trait Camera {
    /// Formats that it offers.
    fn formats(&self) -> std::io::Result<Vec<[u8; 4]>>;
    /// Sizes that it offers in a format.
    fn sizes(&self, fourcc: [u8; 4]) -> std::io::Result<Vec<Offer>>;
    /// Asks for a format; the answer may be another.
    fn set(&self, fourcc: [u8; 4], size: [usize; 2]) -> std::io::Result<Given>;
    /// Asks for a rate; the answer may be another, or none where the camera does not say.
    fn set_rate(&self, rate: f64) -> std::io::Result<Option<f64>>;
}

/// A size or a range of sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Offer {
    /// One size.
    Size {
        /// Pixels of a row.
        width: u32,
        /// Number of rows.
        height: u32,
    },
    /// All sizes between two, in steps.
    Range {
        /// Least, most and step of the width.
        widths: [u32; 3],
        /// Least, most and step of the height.
        heights: [u32; 3],
    },
}

impl Offer {
    /// The offered size that is nearest to one.
    fn nearest(&self, [width, height]: [usize; 2]) -> [usize; 2] {
        let within = |[least, most, step]: [u32; 3], wanted: usize| {
            let (least, most, step) =
                (least as usize, (most as usize).max(least as usize), (step as usize).max(1));
            least + (wanted.clamp(least, most) - least) / step * step
        };
        match *self {
            Offer::Size { width, height } => [width as usize, height as usize],
            Offer::Range { widths, heights } => [within(widths, width), within(heights, height)],
        }
    }
}

impl std::fmt::Display for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Offer::Size { width, height } => write!(f, "{width}x{height}"),
            Offer::Range { widths, heights } => {
                write!(f, "{}x{} to {}x{}", widths[0], heights[0], widths[1], heights[1])
            }
        }
    }
}

/// What frames will be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Agreed {
    pub size: [usize; 2],
    /// `None`: JPEG.
    pub pixels: Option<(Shape, Range)>,
    pub rate: Option<f64>,
}

/// Size where none is wanted: the networks are smaller still.
const USUAL_SIZE: [usize; 2] = [640, 480];
/// Up to this many pixels, frames fit through USB 2 as they are, and need no JPEG decoder.
const UNCOMPRESSED_PIXELS_MAX: usize = 640 * 480;

/// Asks the camera for what is wanted, or for what suits it, and believes only what it answers.
///
/// # Errors
/// In words: what the camera does not offer, and what it does.
pub(super) fn negotiate(camera: &impl Camera, wish: &Wish) -> Result<Agreed, String> {
    let offered = camera.formats().map_err(|e| format!("cannot list its formats: {e}"))?;
    let size = wish.size.map_or(USUAL_SIZE, |size| [size.width, size.height]);
    let candidates = candidates(&offered, wish.format, size);
    if candidates.is_empty() {
        return Err(format!("it offers {}, of which none can be read as {}", list(&offered), wished(wish)));
    }
    let mut reasons = Vec::new();
    for fourcc in candidates {
        match ask(camera, fourcc, size, wish) {
            Ok(agreed) => return Ok(agreed),
            Err(reason) => reasons.push(format!("{}: {reason}", text(fourcc))),
        }
    }
    Err(reasons.join("; "))
}

fn ask(camera: &impl Camera, fourcc: [u8; 4], wanted: [usize; 2], wish: &Wish) -> Result<Agreed, String> {
    // Drivers that cannot list their sizes are asked all the same.
    let sizes = camera.sizes(fourcc).unwrap_or_default();
    let distance = |size: [usize; 2]| size[0].abs_diff(wanted[0]) + size[1].abs_diff(wanted[1]);
    let nearest = sizes.iter().map(|offer| offer.nearest(wanted)).min_by_key(|size| distance(*size));
    let given = camera.set(fourcc, nearest.unwrap_or(wanted)).map_err(|e| e.to_string())?;
    // An unknown format is silently replaced by another.
    if given.fourcc != fourcc {
        return Err(format!("the driver gives {} instead", text(given.fourcc)));
    }
    if wish.size.is_some() && given.size != wanted {
        let sizes: Vec<_> = sizes.iter().map(ToString::to_string).collect();
        let [width, height] = given.size;
        return Err(format!("it gives {width}x{height} instead; it offers {}", sizes.join(", ")));
    }
    let rate = match wish.rate {
        Some(rate) => camera.set_rate(rate).map_err(|e| format!("rate: {e}"))?,
        None => None,
    };
    let range = if given.full_range { Range::Full } else { Range::Limited };
    let packing = match format_of(fourcc) {
        Some(PixelFormat::Yuyv) => Packing::Yuyv,
        Some(PixelFormat::Nv12) => Packing::Nv12,
        Some(PixelFormat::Rgb3) => Packing::Rgb,
        Some(PixelFormat::Grey) => Packing::Grey,
        Some(PixelFormat::Mjpg) | None => return Ok(Agreed { size: given.size, pixels: None, rate }),
    };
    let shape = Shape::new(given.size, given.pitch, packing)?;
    Ok(Agreed { size: given.size, pixels: Some((shape, range)), rate })
}

/// The offered formats that can be read, the best first.
fn candidates(offered: &[[u8; 4]], wanted: Option<PixelFormat>, size: [usize; 2]) -> Vec<[u8; 4]> {
    let small = size[0] * size[1] <= UNCOMPRESSED_PIXELS_MAX;
    let order = |format: PixelFormat| match format {
        PixelFormat::Mjpg => usize::from(small) * 10,
        PixelFormat::Yuyv => 1,
        PixelFormat::Nv12 => 2,
        PixelFormat::Rgb3 => 3,
        PixelFormat::Grey => 20,
    };
    let mut known: Vec<_> = FORMATS
        .into_iter()
        .filter(|(format, fourcc)| offered.contains(fourcc) && wanted.is_none_or(|wanted| wanted == *format))
        .collect();
    known.sort_by_key(|(format, _)| order(*format));
    known.into_iter().map(|(_, fourcc)| fourcc).collect()
}

fn wished(wish: &Wish) -> String {
    match wish.format {
        Some(format) => format!("{format:?}").to_lowercase(),
        None => "mjpg, yuyv, nv12, rgb3 or grey".into(),
    }
}

/// The four characters of a format.
pub(super) fn text(fourcc: [u8; 4]) -> String {
    fourcc
        .iter()
        .map(|&byte| if byte.is_ascii_graphic() { char::from(byte) } else { ' ' })
        .collect::<String>()
}

fn list(formats: &[[u8; 4]]) -> String {
    match formats {
        [] => "no formats".into(),
        _ => formats.iter().map(|&fourcc| text(fourcc)).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera that gives `sizes` in `formats`, and another format than asked for where `stubborn`.
    struct Made {
        formats: Vec<[u8; 4]>,
        sizes: Vec<Offer>,
        stubborn: Option<[u8; 4]>,
        pitch: usize,
    }

    impl Camera for Made {
        fn formats(&self) -> std::io::Result<Vec<[u8; 4]>> {
            Ok(self.formats.clone())
        }

        fn sizes(&self, _: [u8; 4]) -> std::io::Result<Vec<Offer>> {
            match self.sizes.is_empty() {
                true => Err(std::io::ErrorKind::Unsupported.into()),
                false => Ok(self.sizes.clone()),
            }
        }

        /// As drivers do: the nearest that there is.
        fn set(&self, fourcc: [u8; 4], size: [usize; 2]) -> std::io::Result<Given> {
            let nearest = self
                .sizes
                .iter()
                .map(|offer| offer.nearest(size))
                .min_by_key(|given| given[0].abs_diff(size[0]));
            let fourcc = self.stubborn.unwrap_or(fourcc);
            Ok(Given { fourcc, size: nearest.unwrap_or(size), pitch: self.pitch, full_range: false })
        }

        fn set_rate(&self, rate: f64) -> std::io::Result<Option<f64>> {
            Ok(Some(rate.min(30.0)))
        }
    }

    fn size(width: u32, height: u32) -> Offer {
        Offer::Size { width, height }
    }

    fn webcam() -> Made {
        let sizes = vec![size(1920, 1080), size(640, 480), size(320, 240)];
        Made { formats: vec![*b"MJPG", *b"H264", *b"YUYV"], sizes, stubborn: None, pitch: 0 }
    }

    fn wish(format: Option<PixelFormat>, size: Option<&str>) -> Wish {
        Wish { format, size: size.map(|text| text.parse().unwrap()), rate: None }
    }

    #[test]
    fn small_frames_come_uncompressed_and_large_ones_as_jpeg() {
        let agreed = |size| negotiate(&webcam(), &wish(None, size)).unwrap();
        assert!(agreed(None).pixels.is_some() && agreed(None).size == [640, 480]);
        let large = agreed(Some("1920x1080"));
        assert_eq!(large, Agreed { size: [1920, 1080], pixels: None, rate: None });
        let asked = negotiate(&webcam(), &Wish { rate: Some(60.0), ..wish(Some(PixelFormat::Mjpg), None) });
        assert_eq!(asked.unwrap(), Agreed { size: [640, 480], pixels: None, rate: Some(30.0) });
    }

    #[test]
    fn what_was_not_asked_for_is_refused_with_what_there_is() {
        let error = |camera: &Made, wish: &Wish| negotiate(camera, wish).unwrap_err();
        let e = error(&webcam(), &wish(Some(PixelFormat::Nv12), None));
        assert_eq!(e, "it offers MJPG, H264, YUYV, of which none can be read as nv12");
        let e = error(&webcam(), &wish(None, Some("800x600")));
        assert!(e.contains("YUYV: it gives") || e.contains("MJPG: it gives 640x480 instead"), "{e}");
        assert!(e.contains("it offers 1920x1080, 640x480, 320x240"), "{e}");
        let stubborn = Made { formats: vec![*b"MJPG"], stubborn: Some(*b"YUYV"), ..webcam() };
        assert_eq!(error(&stubborn, &wish(None, None)), "MJPG: the driver gives YUYV instead");
        let odd = Made { pitch: 5, formats: vec![*b"YUYV"], ..webcam() };
        assert!(error(&odd, &wish(None, None)).contains("5 bytes"));
        assert!(
            error(&Made { formats: vec![], ..webcam() }, &wish(None, None)).contains("offers no formats")
        );
    }

    /// A stubborn driver for one format does not spoil the other: the next one is tried.
    #[test]
    fn the_next_format_is_tried() {
        let stubborn = Made { stubborn: Some(*b"MJPG"), ..webcam() };
        assert_eq!(negotiate(&stubborn, &wish(None, None)).unwrap().pixels, None);
    }

    #[test]
    fn ranges_have_a_nearest_size() {
        let range = Offer::Range { widths: [16, 1920, 8], heights: [16, 1080, 2] };
        assert_eq!(range.nearest([643, 5000]), [640, 1080]);
        let camera = Made { sizes: vec![range], ..webcam() };
        let agreed = negotiate(&camera, &wish(None, Some("648x362"))).unwrap();
        assert_eq!(agreed.size, [648, 362]);
        let silent = Made { sizes: vec![], ..webcam() };
        assert_eq!(negotiate(&silent, &wish(None, None)).unwrap().size, [640, 480]);
        let strange = Offer::Range { widths: [100, 50, 0], heights: [1, 1, 0] };
        assert_eq!(strange.nearest([70, 70]), [100, 1]);
    }
}
