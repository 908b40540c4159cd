//! Pictures of several data sets, joined under the classes of the model that is trained on them.

use std::path::PathBuf;

/// A box of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// Class of the model. `None`: something whose class does not matter here, such as a crowd; what a model says of
    /// this region is neither right nor wrong.
    pub class: Option<u32>,
    /// Left, top, right, bottom in pixels.
    pub corners: [f32; 4],
}

/// A picture with its boxes.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// Width and height in pixels, upright.
    pub size: [u32; 2],
    /// Index in [`TrainingSet::origins`].
    pub origin: u32,
    /// Its boxes, inside the picture.
    pub boxes: Vec<Labelled>,
}

/// A data set that pictures come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// What the description calls it.
    pub name: String,
    /// Per class of the model: whether this data set labels it. Where it does not, a picture without a box of the class
    /// may still show it.
    pub known: Vec<bool>,
    /// How often each of its pictures is seen in an epoch.
    pub repeat: u32,
}

/// What a model is trained or validated on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSet {
    /// Names of the model's classes.
    pub classes: Vec<String>,
    /// The data sets.
    pub origins: Vec<Origin>,
    /// All pictures, those of one data set side by side.
    pub pictures: Vec<Picture>,
}
