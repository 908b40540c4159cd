//! What a teacher says of a batch, as something to match: soft labels for cells that no label asks anything of.

use super::Anchors;
use super::assign::{Match, Truth};
use crate::train::kernels::Extent;

/// What a teacher says at one cell with one anchor.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// Which picture of the batch.
    pub image: usize,
    /// Index of the anchor.
    pub anchor: usize,
    /// Row and column of the cell.
    pub at: [usize; 2],
    /// `[x1, y1, x2, y2]` in pixels.
    pub bbox: [f32; 4],
    /// Score of the likeliest class: objectness times class.
    pub score: f64,
    /// How likely each class is, in parts of the likeliest.
    pub classes: Vec<f64>,
}

/// What a teacher says of a batch: for each map the cells where it sees anything, one hint each.
pub type Hints = Vec<Vec<Hint>>;

/// A map's hints as matches. They count as much as the teacher is sure, `weight` times.
pub(super) fn hinted<'a>(
    hints: &'a [Hint],
    extent: Extent,
    anchors: &Anchors,
    stride: [f32; 2],
    weight: f64,
) -> impl Iterator<Item = Match<'a>> {
    hints.iter().filter(move |hint| hint.at[0] < extent.rows && hint.at[1] < extent.columns).map(
        move |hint| {
            let [row, column] = hint.at;
            let corners: [f64; 4] = std::array::from_fn(|i| f64::from(hint.bbox[i] / stride[i % 2]));
            let [left, top, right, bottom] = corners;
            let middle = [(left + right) / 2.0 - column as f64, (top + bottom) / 2.0 - row as f64];
            let anchor = anchors[hint.anchor];
            Match {
                image: hint.image,
                anchor: hint.anchor,
                row,
                column,
                bbox: [middle[0], middle[1], right - left, bottom - top],
                sides: std::array::from_fn(|i| f64::from(anchor[i] / stride[i])),
                weight: weight * hint.score,
                truth: Truth::Hint { score: hint.score, classes: &hint.classes },
            }
        },
    )
}
