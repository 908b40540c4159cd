//! Measures of detection quality. They know boxes and numbers; nothing of files, models or pictures.

mod bootstrap;
mod coco_map;
mod curve;
mod matching;
#[cfg(test)]
mod tests;

pub use bootstrap::{Intervals, difference, intervals};
pub use coco_map::{ClassAp, CocoMap, Summary, evaluate};

/// A ground-truth box.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Rank of the image among the evaluated images, by ascending image id.
    pub image: u32,
    /// Rank of the category among the evaluated categories, by ascending category id.
    pub category: u32,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Area of the object in pixels: decides whether it is small, medium or large.
    pub area: f64,
    /// A region of many objects: matching it is neither right nor wrong.
    pub crowd: bool,
    /// False for the one box whose annotation id is 0. The reference implementation writes the id of the
    /// matched box where 0 means "none", so a match with it counts as a miss; numbers that are to be
    /// compared have to follow.
    pub creditable: bool,
}

/// A detected box.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredBox {
    /// As in [`Truth::image`].
    pub image: u32,
    /// As in [`Truth::category`].
    pub category: u32,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Confidence; only its order matters. Finite.
    pub score: f64,
}
