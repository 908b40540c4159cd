//! Pictures of the training sets that are not trained on, so that they can choose among what was trained.

use super::split::Together;
use super::training::TrainingSet;
use crate::hash::Hash;
use crate::random::Random;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Which pictures are held out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldOut {
    /// Which part of each data set's, above 0 and below 1.
    pub share: f64,
    /// Which of them stay on one side.
    #[serde(default)]
    pub together: Together,
}

impl HoldOut {
    /// What is trained on, and what is held out. Of data sets that label nothing no picture is: it could measure nothing.
    pub fn divide(&self, set: TrainingSet) -> [TrainingSet; 2] {
        let TrainingSet { classes, origins, pictures } = set;
        let (held, trained) = pictures.into_iter().partition(|picture| {
            origins[picture.origin as usize].known.contains(&true) && self.holds_out(&picture.path)
        });
        [trained, held].map(|pictures| TrainingSet {
            classes: classes.clone(),
            origins: origins.clone(),
            pictures,
        })
    }

    /// Names alone decide, those of the picture and of its folder: so every run and every machine holds out the same
    /// pictures, and none changes sides because others come or go.
    fn holds_out(&self, path: &Path) -> bool {
        let mut names: Vec<_> = path.components().rev().take(2).collect();
        names.reverse();
        let mut hash = Hash::default();
        hash.add(self.together.group(&names.into_iter().collect::<PathBuf>()).as_bytes());
        // Hashes of names that differ in their last letter are close to each other.
        Random::new(&[hash.number()]).chance(self.share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::training::{Origin, Picture};

    /// A labelled data set of ten clips with a hundred frames each, and one without labels.
    fn set(root: &str) -> TrainingSet {
        let origin = |name: &str, known| Origin { name: name.into(), known: vec![known], repeat: 1 };
        let picture = |at: usize| {
            let folder = if at < 1000 { "street" } else { "frames" };
            let path = format!("{root}/{folder}/clip{}_mp4-{}.jpg", at % 1000 / 100, at % 100).into();
            Picture { path, size: [8, 8], origin: (at / 1000) as u32, boxes: Vec::new() }
        };
        TrainingSet {
            classes: vec!["person".into()],
            origins: vec![origin("street", true), origin("frames", false)],
            pictures: (0..2000).map(picture).collect(),
        }
    }

    fn names(set: &TrainingSet) -> Vec<String> {
        let name = |picture: &Picture| picture.path.file_name().unwrap().to_string_lossy().into_owned();
        set.pictures.iter().map(name).collect()
    }

    #[test]
    fn names_alone_decide() {
        let hold_out = HoldOut { share: 0.1, together: Together::Nothing };
        let [trained, held] = hold_out.divide(set("here"));
        assert_eq!(trained.pictures.len() + held.pictures.len(), 2000);
        // A tenth of a thousand, within four standard deviations; none of what is not labelled.
        assert!((62..=138).contains(&held.pictures.len()), "{}", held.pictures.len());
        assert!(held.pictures.iter().all(|picture| picture.origin == 0));
        // Elsewhere, and without half of the others, it is the same.
        let mut other = set("elsewhere/on/another/machine");
        let mut keep = [true, false].into_iter().cycle();
        other.pictures.retain(|_| keep.next().unwrap());
        let kept = names(&other);
        let [_, held_there] = hold_out.divide(other);
        let expected: Vec<String> = names(&held).into_iter().filter(|name| kept.contains(name)).collect();
        assert_eq!(names(&held_there), expected);
    }

    #[test]
    fn clips_stay_whole() {
        let hold_out = HoldOut { share: 0.3, together: Together::NameUpTo("_mp4".into()) };
        let [trained, held] = hold_out.divide(set("here")).map(|set| {
            let of_street = set.pictures.iter().filter(|picture| picture.origin == 0);
            let clip = |picture: &Picture| hold_out.together.group(&picture.path);
            of_street.map(clip).collect::<std::collections::BTreeSet<String>>()
        });
        assert!(trained.is_disjoint(&held) && trained.len() + held.len() == 10);
        assert!((1..=8).contains(&held.len()), "{held:?}");
    }
}
