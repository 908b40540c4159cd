//! Pictures and their boxes, changed at random so that a network sees more than there is.
//!
//! The geometry is YOLOv5's, done in another order: a picture is scaled when it is resized, with antialiasing as the
//! runtime resizes, and then only placed; nothing is sampled twice unless it is rotated.

mod boxes;
mod colour;
mod flip;
mod mixup;
mod params;
mod place;
mod resize;
mod rotate;
pub mod sheet;

pub use params::Augment;
pub use resize::{letterboxed, resized, shrunk};

use crate::dataset::training::Labelled;
use crate::error::Result;
use crate::random::Random;
use ocellus::image::Frame;
use place::Layout;

/// Pixels and boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The picture.
    pub frame: Frame,
    /// Its boxes, in pixels of the picture.
    pub boxes: Vec<Labelled>,
}

/// What fills the place that no picture covers, in all channels: that of the runtime's letterbox.
const FILL: u8 = 114;

/// Makes one square picture of side `size` for training, beginning with the first that `next` gives; `next` gives others
/// where some are needed. What comes out depends on the pictures and on `random` alone.
///
/// # Errors
/// Those of `next`, and sizes above the runtime's limits.
pub fn augmented(
    size: usize,
    augment: &Augment,
    random: &mut Random,
    mut next: impl FnMut(&mut Random) -> Result<Scene>,
) -> Result<Scene> {
    let mosaic = random.chance(augment.mosaic);
    let mut scene = arranged(size, mosaic, augment, random, &mut next)?;
    // Two single pictures on top of each other leave large empty margins; YOLOv5 mixes mosaics only, too.
    if mosaic && random.chance(augment.mixup) {
        let other = arranged(size, true, augment, random, &mut next)?;
        mixup::mix(&mut scene, other, mixup::share(random));
    }
    colour::shift(&mut scene.frame, augment.hsv.map(|reach| random.around(reach) as f32));
    if random.chance(augment.flip) {
        flip::mirror(&mut scene);
    }
    Ok(scene)
}

/// One picture or four around a point, scaled, moved and rotated.
fn arranged(
    size: usize,
    mosaic: bool,
    augment: &Augment,
    random: &mut Random,
    next: &mut impl FnMut(&mut Random) -> Result<Scene>,
) -> Result<Scene> {
    let layout = Layout::draw(size, mosaic, augment, random);
    let mut scene = layout.empty();
    for tile in 0..if mosaic { 4 } else { 1 } {
        layout.add(&mut scene, &next(random)?, tile)?;
    }
    Ok(layout.finish(scene))
}
