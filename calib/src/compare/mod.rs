//! What differs between two models, or between two precisions of one, on the same pictures.
//!
//! [`Side`] is a model that is compared, [`common`] finds the values that both have, [`Sums`] measures how far
//! their numbers are apart, [`match_boxes`] which boxes both found, [`run()`] does all of that over pictures, and
//! [`Report`] tells.

mod boxes;
mod draw;
mod layers;
mod order;
mod report;
mod run;
mod side;
mod sums;

pub use boxes::{BySize, Matching, Size, Tally, match_boxes};
pub use draw::draw;
pub use layers::{Common, common};
pub use report::{ModelRow, PictureRow, Report, ValueRow};
pub use run::{Changed, Compared, Options, run};
pub use side::Side;
pub use sums::Sums;
