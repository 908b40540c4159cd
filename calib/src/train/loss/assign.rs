//! Which cells and anchors are to find a box: YOLOv5's way.

use super::Anchors;
use crate::anchors::RATIO_MAX;
use crate::loader::Target;
use crate::train::kernels::Extent;

/// A cell with an anchor that is to find a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Match<'a> {
    pub image: usize,
    pub anchor: usize,
    pub row: usize,
    pub column: usize,
    /// Middle of the box from the cell's corner, width and height; in cells.
    pub bbox: [f64; 4],
    /// The anchor in cells.
    pub sides: [f64; 2],
    /// How much it counts.
    pub weight: f64,
    pub truth: Truth<'a>,
}

/// What is to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Truth<'a> {
    /// An object of this class.
    Label(u32),
    /// What a teacher sees.
    Hint { score: f64, classes: &'a [f64] },
}

impl Truth<'_> {
    /// How likely the object is of a class.
    pub fn class(&self, class: usize) -> f64 {
        match self {
            Truth::Label(label) => f64::from(u8::from(*label as usize == class)),
            Truth::Hint { classes, .. } => classes[class],
        }
    }
}

/// The matches of a map: for each box the cell that its middle is in and the two nearest neighbours, with each anchor
/// of about its sides.
pub(super) fn matches<'a>(
    targets: &[Target],
    extent: Extent,
    anchors: &Anchors,
    stride: [f32; 2],
) -> Vec<Match<'a>> {
    let cells = [extent.columns as f32, extent.rows as f32];
    let mut found = Vec::new();
    for at in targets {
        let [x, y, width, height] = at.region.bbox;
        let (middle, sides) = ([x * cells[0], y * cells[1]], [width * cells[0], height * cells[1]]);
        for (anchor, pixels) in anchors.iter().enumerate() {
            let anchor_sides = [pixels[0] / stride[0], pixels[1] / stride[1]];
            let fits = |i: usize| {
                let ratio = sides[i] / anchor_sides[i];
                ratio.max(1.0 / ratio) < RATIO_MAX as f32
            };
            if !(fits(0) && fits(1)) {
                continue;
            }
            for [right, down] in neighbours(middle, cells) {
                let column = ((middle[0] + right).floor()).clamp(0.0, cells[0] - 1.0);
                let row = ((middle[1] + down).floor()).clamp(0.0, cells[1] - 1.0);
                found.push(Match {
                    image: at.region.image as usize,
                    anchor,
                    row: row as usize,
                    column: column as usize,
                    bbox: [middle[0] - column, middle[1] - row, sides[0], sides[1]].map(f64::from),
                    sides: anchor_sides.map(f64::from),
                    weight: 1.0,
                    truth: Truth::Label(at.class),
                });
            }
        }
    }
    found
}

/// Steps, in halves of a cell, to the cell of a point and to the neighbours on its nearer sides. There are none beyond
/// the border.
fn neighbours(middle: [f32; 2], cells: [f32; 2]) -> impl Iterator<Item = [f32; 2]> {
    let nearer = move |axis: usize, step: f32| {
        let at = if step < 0.0 { middle[axis] } else { cells[axis] - middle[axis] };
        at % 1.0 < 0.5 && at > 1.0
    };
    let own = std::iter::once([0.0, 0.0]);
    own.chain(
        [(0, -0.5), (1, -0.5), (0, 0.5), (1, 0.5)]
            .into_iter()
            .filter(move |&(axis, step)| nearer(axis, step))
            .map(|(axis, step)| if axis == 0 { [step, 0.0] } else { [0.0, step] }),
    )
}
