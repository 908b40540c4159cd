//! Labels that a model makes for pictures that have none.

use crate::dataset::classes::{MapEntry, joined, position, renamed};
use crate::dataset::{Annotation, Category, Place, Skipped, Whole};
use crate::error::Result;
use crate::eval::{Detect, Detection, to_thousandths};
use crate::share::share;
use ocellus::detect::Candidates;

/// Smaller boxes are no labels: not every format could say where they are.
const SIDE_MIN: f64 = 1.0;

/// What a model's boxes become.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Names of the classes that are labelled.
    pub classes: Vec<String>,
    /// From this score on a box is an object; below, a region where nothing that is said is right or wrong.
    pub sure: f32,
    /// Two boxes of a class that overlap more than this are one object.
    pub iou: f32,
    /// Most boxes of a picture.
    pub boxes_max: usize,
    /// For each of the model's classes its place in `classes`.
    of_model: Vec<Option<usize>>,
}

impl Rules {
    /// For a model of these classes, which `map` renames; `classes` are those that are wanted, all without it. Scores and
    /// overlaps are those of `calib label`.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage): an entry of `map` names no class, or the model has none for one that is wanted.
    pub fn new(model: &[String], classes: Option<&[String]>, map: &[MapEntry]) -> Result<Self> {
        let all = || {
            let mut all: Vec<String> = Vec::new();
            for name in model.iter().map(|name| renamed(name, map)) {
                if position(&all, name).is_none() {
                    all.push(name.to_owned());
                }
            }
            all
        };
        let classes = classes.map_or_else(all, <[String]>::to_vec);
        let of_model = joined(("model", model), ("data set", &classes), map)?;
        Ok(Rules { classes, sure: 0.5, iou: 0.5, boxes_max: 300, of_model })
    }

    /// What was found on the picture with this index, as labels, best first. Two classes of the model may be one here, so
    /// that what was found twice is one object only now.
    fn annotations(&self, image: u32, found: &[Detection]) -> Vec<Annotation> {
        let mut candidates = Candidates::default();
        for Detection { class, score, bbox: [left, top, width, height] } in found {
            if let Some(class) = self.of_model[*class] {
                candidates.push([*left, *top, left + width, top + height], *score, class);
            }
        }
        let annotation = |candidate: &ocellus::detect::Candidate| {
            let [left, top, right, bottom] = candidate.bbox;
            let bbox = [left, top, right - left, bottom - top].map(to_thousandths);
            let (category, crowd) = (candidate.class_id, candidate.score < self.sure);
            let (area, place) = (bbox[2] * bbox[3], Place::Annotation(0));
            Annotation { id: 0, image, category, bbox, area, crowd, place }
        };
        let kept = candidates.suppress(self.iou, self.boxes_max, false).iter().map(annotation);
        kept.filter(|label| label.bbox[2].min(label.bbox[3]) >= SIDE_MIN).collect()
    }
}

/// Labels the pictures of `whole`, on `threads` threads with one detector each, which `make` gives; calls `progress` after
/// each picture. Returns the pictures that cannot be read, by their indices. Nothing depends on `threads`.
///
/// # Errors
/// Those of `make` and of the detector.
pub fn label(
    whole: &mut Whole,
    rules: &Rules,
    make: impl Fn() -> Result<Box<dyn Detect>> + Sync,
    threads: usize,
    progress: impl Fn() + Sync,
) -> Result<Vec<(u32, Skipped)>> {
    let new = || Ok((make()?, Vec::new(), Vec::new()));
    let parts = share(&whole.dataset.images, threads, new, |(detector, labels, broken), at, image| {
        match detector.detect(&image.path) {
            Ok(found) => labels.extend(rules.annotations(at as u32, &found)),
            Err(ocellus::Error::BadPicture { path, what }) => {
                broken.push((at as u32, Skipped { file: path, reason: what }));
            }
            Err(e) => return Err(e.into()),
        }
        progress();
        Ok(())
    })?;
    let (mut labels, mut broken) = (Vec::new(), Vec::new());
    for (_, of_part, broken_of_part) in parts {
        labels.extend(of_part);
        broken.extend(broken_of_part);
    }
    // Stable: those of a picture are side by side already.
    labels.sort_by_key(|label: &Annotation| label.image);
    broken.sort_by_key(|(at, _)| *at);
    for (id, label) in (1..).zip(&mut labels) {
        (label.id, label.place) = (id, Place::Annotation(id));
    }
    let category = |(id, name): (i64, &String)| Category { id, name: name.clone() };
    whole.dataset.categories = (1..).zip(&rules.classes).map(category).collect();
    whole.dataset.annotations = labels;
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn map(text: &str) -> Vec<MapEntry> {
        text.split(',').map(|entry| entry.parse().unwrap()).collect()
    }

    #[test]
    fn classes_are_those_wanted_or_all() {
        let model = names("person car bus dog");
        let map = map("car=vehicle,bus=vehicle");
        let all = Rules::new(&model, None, &map).unwrap();
        assert_eq!(all.classes, ["person", "vehicle", "dog"]);
        assert_eq!(all.of_model, [Some(0), Some(1), Some(1), Some(2)]);
        let two = Rules::new(&model, Some(&names("vehicle person")), &map).unwrap();
        assert_eq!(two.of_model, [Some(1), Some(0), Some(0), None]);
        let refused = Rules::new(&model, Some(&names("cat")), &[]).unwrap_err().to_string();
        assert!(refused.starts_with("the model has no class `cat`"), "{refused}");
    }

    /// A car that is a bus, too, is one vehicle; a person that is doubtful is a region; a dog is nothing.
    #[test]
    fn what_is_one_class_is_one_object() {
        let (model, map) = (names("person car bus dog"), map("car=vehicle,bus=vehicle"));
        let rules = Rules::new(&model, Some(&names("person vehicle")), &map).unwrap();
        let found = |class, score, bbox| Detection { class, score, bbox };
        let labels = rules.annotations(
            3,
            &[
                found(1, 0.6, [10.0, 10.0, 30.0, 20.0]),
                found(2, 0.7, [11.0, 10.0, 30.0, 20.0]),
                found(0, 0.4, [10.0, 10.0, 30.0, 20.0]),
                found(3, 0.9, [0.0, 0.0, 9.0, 9.0]),
                found(0, 0.9, [50.0, 50.0, 0.5, 9.0]),
            ],
        );
        let labels: Vec<_> = labels.iter().map(|l| (l.image, l.category, l.crowd, l.bbox[0])).collect();
        assert_eq!(labels, [(3, 1, false, 11.0), (3, 0, true, 10.0)]);
    }
}
