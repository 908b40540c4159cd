//! Values with bounds, which are checked while they are read.

use crate::watch::scene;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::time::Duration;

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Share(f32);

impl TryFrom<f32> for Share {
    type Error = String;

    fn try_from(value: f32) -> Result<Self, String> {
        let is_share = (0.0..=1.0).contains(&value);
        is_share.then_some(Share(value)).ok_or_else(|| format!("{value} does not lie between 0 and 1"))
    }
}

impl From<Share> for f32 {
    fn from(share: Share) -> f32 {
        share.0
    }
}

/// Frames per second, 0.001 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Frames per second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    /// Time from frame to frame.
    pub fn period(self) -> Duration {
        Duration::from_secs_f64(1.0 / self.0)
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        let is_rate = (0.001..=1000.0).contains(&value);
        is_rate
            .then_some(Rate(value))
            .ok_or_else(|| format!("{value} is no rate from 0.001 to 1000 per second"))
    }
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<f64>().map_err(|_| format!("'{text}' is no number")).and_then(Rate::try_from)
    }
}

/// Pixel formats of a camera that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelFormat {
    /// JPEG pictures.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
    /// Planes of 4:2:0, Cb and Cr in turn.
    Nv12,
    /// Packed RGB.
    Rgb3,
    /// Brightness alone.
    Grey,
}

/// Megabytes (10⁶ bytes), at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Megabytes(u64);

impl Megabytes {
    /// As bytes.
    pub fn bytes(self) -> u64 {
        self.0 * 1_000_000
    }
}

impl Default for Megabytes {
    fn default() -> Self {
        Megabytes(500)
    }
}

impl TryFrom<u64> for Megabytes {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        let fits = (1..=u64::MAX / 1_000_000).contains(&value);
        fits.then_some(Megabytes(value)).ok_or_else(|| format!("{value} MB; at least 1 is needed"))
    }
}

/// Share of the picture that must change before the network looks: `true`, `false` or a share above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion(Option<f32>);

impl Motion {
    /// What `true` means.
    pub const USUAL: Motion = Motion(Some(0.002));

    /// The share; `None`: the network always looks.
    pub fn share(self) -> Option<f32> {
        self.0
    }
}

impl TryFrom<f32> for Motion {
    type Error = String;

    fn try_from(share: f32) -> Result<Self, String> {
        let is_share = share > 0.0 && share <= 1.0;
        is_share.then_some(Motion(Some(share))).ok_or_else(|| format!("{share} is no share above 0, up to 1"))
    }
}

impl std::str::FromStr for Motion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<f32>().map_err(|_| format!("'{text}' is no number")).and_then(Motion::try_from)
    }
}

/// Size of a picture, as it is written: `320`, or `320x256`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels of a row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
}

impl Size {
    /// `[height, width]`, as tensors have it.
    pub fn shape(self) -> [usize; 2] {
        [self.height, self.width]
    }
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side =
            |s: &str| s.parse::<usize>().map_err(|_| format!("'{text}' is neither N nor WIDTHxHEIGHT"));
        match text.split_once(['x', 'X']) {
            Some((width, height)) => Ok(Size { width: side(width)?, height: side(height)? }),
            None => side(text).map(|n| Size { width: n, height: n }),
        }
    }
}

/// Corners of a zone.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Vec<scene::Point>", into = "Vec<scene::Point>")]
pub struct Corners(pub scene::Polygon);

impl TryFrom<Vec<scene::Point>> for Corners {
    type Error = String;

    fn try_from(points: Vec<scene::Point>) -> Result<Self, String> {
        scene::Polygon::new(&points).map(Corners)
    }
}

impl From<Corners> for Vec<scene::Point> {
    fn from(corners: Corners) -> Self {
        corners.0.into()
    }
}

/// Ends of a line.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "[scene::Point; 2]", into = "[scene::Point; 2]")]
pub struct Ends(pub scene::Line);

impl TryFrom<[scene::Point; 2]> for Ends {
    type Error = String;

    fn try_from(points: [scene::Point; 2]) -> Result<Self, String> {
        scene::Line::new(points).map(Ends)
    }
}

impl From<Ends> for [scene::Point; 2] {
    fn from(ends: Ends) -> Self {
        ends.0.into()
    }
}

/// A value that is written in two ways.
struct Either<T> {
    expected: &'static str,
    of_bool: fn(bool) -> Result<T, String>,
    of_integer: fn(i64) -> Result<T, String>,
    of_number: fn(f64) -> Result<T, String>,
    of_text: fn(&str) -> Result<T, String>,
}

impl<T> de::Visitor<'_> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        (self.of_bool)(value).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        (self.of_integer)(value).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        (self.of_number)(value).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<T, E> {
        (self.of_text)(value).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Motion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "true, false or a share of the picture",
            of_bool: |on| Ok(if on { Motion::USUAL } else { Motion(None) }),
            of_integer: |share| Motion::try_from(share as f32),
            of_number: |share| Motion::try_from(share as f32),
            of_text: |text| Err(format!("'{text}' is neither true nor false nor a number")),
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either {
            expected: "N or \"WIDTHxHEIGHT\"",
            of_bool: |value| value.to_string().parse(),
            of_integer: |side| side.to_string().parse(),
            of_number: |side| side.to_string().parse(),
            of_text: str::parse,
        })
    }
}
