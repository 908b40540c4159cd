//! What a network is given at once, and how it is made.

use super::Shared;
use crate::augment::{Augment, Scene, augmented, letterboxed};
use crate::dataset::training::Labelled;
use crate::error::Result;
use crate::random::Random;
use ocellus::image::Frame;

/// A part of one of a batch's pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Which picture of the batch.
    pub image: u32,
    /// Middle in x and y, width and height, in 0..=1 of the square.
    pub bbox: [f32; 4],
}

/// An object to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Where it is.
    pub region: Region,
    /// Its class.
    pub class: u32,
}

/// Pictures with what is to be found on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n, size, size, 3]`, RGB, rows from the top.
    pub images: Vec<u8>,
    /// Side of the pictures in pixels.
    pub size: usize,
    /// Objects, picture by picture.
    pub targets: Vec<Target>,
    /// Regions where nothing that a network says is right or wrong, picture by picture: crowds, and classes that the
    /// description says to ignore.
    pub ignored: Vec<Region>,
    /// `[n, classes]`: whether all objects of the class are among `targets`. Where they are not, it is unknown whether
    /// the picture shows others.
    pub known: Vec<bool>,
    /// Index in the training set of each picture, or of the first of those that it is made of.
    pub pictures: Vec<u32>,
}

impl Batch {
    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Whether there is no picture; a loader's batches have some.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// The pictures one by one, with what is to be found and what is ignored on each.
    pub fn scenes(self) -> Vec<Scene> {
        let side = self.size as f32;
        let found = self.targets.iter().map(|target| (target.region, Some(target.class)));
        let regions: Vec<_> = found.chain(self.ignored.iter().map(|region| (*region, None))).collect();
        let labelled = |(region, class): &(Region, Option<u32>)| {
            let [x, y, w, h] = region.bbox;
            let corners = [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0].map(|v| v * side);
            Labelled { class: *class, corners }
        };
        let scene = |(image, rgb): (u32, &[u8])| Scene {
            frame: Frame { width: self.size, height: self.size, rgb: rgb.to_vec() },
            boxes: regions.iter().filter(|(region, _)| region.image == image).map(labelled).collect(),
        };
        (0..).zip(self.images.chunks_exact(self.size * self.size * 3)).map(scene).collect()
    }

    fn push(&mut self, scene: Scene, picture: u32, known: &[bool]) {
        let (image, side) = (self.len() as u32, self.size as f32);
        self.images.extend(scene.frame.rgb);
        self.known.extend(known);
        self.pictures.push(picture);
        for Labelled { class, corners } in scene.boxes {
            let [left, top, right, bottom] = corners.map(|x| x / side);
            let bbox = [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top];
            let region = Region { image, bbox };
            match class {
                Some(class) => self.targets.push(Target { region, class }),
                None => self.ignored.push(region),
            }
        }
    }
}

/// Makes the batch with the pictures at these places of an epoch's `order`.
pub(super) fn make(
    shared: &Shared,
    epoch: u64,
    augment: Option<&Augment>,
    order: &[u32],
    places: std::ops::Range<usize>,
) -> Result<Batch> {
    let size = shared.options.size;
    let mut batch = Batch {
        images: Vec::with_capacity(places.len() * size * size * 3),
        size,
        targets: Vec::new(),
        ignored: Vec::new(),
        known: Vec::new(),
        pictures: Vec::new(),
    };
    for place in places {
        let picture = order[place];
        let origin = shared.set.pictures[picture as usize].origin as usize;
        let scene = match augment {
            None => letterboxed(&scene(shared, picture)?, size)?,
            Some(augment) => {
                let mut random = Random::new(&[shared.options.seed, epoch, place as u64]);
                let partners = &shared.partners[origin];
                let mut first = Some(picture);
                augmented(size, augment, &mut random, |random| {
                    let next = first.take().unwrap_or_else(|| partners[random.below(partners.len())]);
                    scene(shared, next)
                })?
            }
        };
        batch.push(scene, picture, &shared.set.origins[origin].known);
    }
    Ok(batch)
}

/// A picture of the set as the cache has it, with its boxes.
fn scene(shared: &Shared, picture: u32) -> Result<Scene> {
    let about = &shared.set.pictures[picture as usize];
    let frame = shared.cache.get(picture as usize, &about.path)?.into_owned();
    let scale = [frame.width as f32 / about.size[0] as f32, frame.height as f32 / about.size[1] as f32];
    let scaled =
        |b: &Labelled| Labelled { corners: std::array::from_fn(|i| b.corners[i] * scale[i % 2]), ..*b };
    Ok(Scene { boxes: about.boxes.iter().map(scaled).collect(), frame })
}
