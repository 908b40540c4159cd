//! Which pictures measure and which train.

use super::Whole;
use crate::random::Random;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Pictures that must stay on one side: they resemble each other too much to measure what others taught.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Together {
    /// Each picture is on its own.
    #[default]
    Nothing,
    /// Pictures of a folder.
    Folder,
    /// Pictures whose names are equal up to the first of this text, such as the frames of a clip.
    NameUpTo(String),
}

impl TryFrom<String> for Together {
    type Error = &'static str;

    /// `folder`, or a text.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "" => Err("the text is empty"),
            "folder" => Ok(Together::Folder),
            _ => Ok(Together::NameUpTo(text)),
        }
    }
}

impl Together {
    /// What a picture has in common with those that it stays with.
    pub(super) fn group(&self, path: &Path) -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        match self {
            Together::Nothing => path.to_string_lossy().into_owned(),
            Together::Folder => path.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
            Together::NameUpTo(text) => name.split(text.as_str()).next().unwrap_or_default().to_owned(),
        }
    }
}

/// Indices of the pictures on both sides, ascending: about `share` of all, by `seed`, are on the second. Also how many
/// groups there were.
pub fn split(whole: &Whole, share: f64, together: &Together, seed: u64) -> ([Vec<u32>; 2], usize) {
    let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (at, image) in (0..).zip(&whole.dataset.images) {
        groups.entry(together.group(&image.path)).or_default().push(at);
    }
    let mut groups: Vec<Vec<u32>> = groups.into_values().collect();
    let count = groups.len();
    Random::new(&[seed]).shuffle(&mut groups);
    let wanted = share * whole.dataset.images.len() as f64;
    let mut sides = [Vec::new(), Vec::new()];
    for group in groups {
        // Over to the second side if that comes nearer to what is wanted.
        let (now, then) = (sides[1].len() as f64, (sides[1].len() + group.len()) as f64);
        let side = usize::from((then - wanted).abs() < (now - wanted).abs());
        sides[side].extend(group);
    }
    sides.iter_mut().for_each(|side| side.sort_unstable());
    (sides, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Dataset, Image};

    fn whole(paths: &[String]) -> Whole {
        let images =
            (1..).zip(paths).map(|(id, path)| Image { id, path: path.into(), labels: None }).collect();
        Whole { dataset: Dataset { images, ..Dataset::default() }, sizes: vec![[1, 1]; paths.len()] }
    }

    #[test]
    fn every_picture_is_on_one_side_and_groups_stay_whole() {
        let paths: Vec<String> = (0..100).map(|i| format!("f{}/clip{}_mp4-{i}.jpg", i / 50, i % 7)).collect();
        let whole = whole(&paths);
        let clips = Together::NameUpTo("_mp4".to_owned());
        for (together, groups) in [(Together::Nothing, 100), (clips, 7), (Together::Folder, 2)] {
            let ([train, val], count) = split(&whole, 0.2, &together, 3);
            assert_eq!(count, groups);
            let mut all = [train.clone(), val.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..100).collect::<Vec<_>>());
            let names = |side: &[u32]| -> Vec<String> {
                side.iter().map(|&at| together.group(Path::new(&paths[at as usize]))).collect()
            };
            assert!(names(&train).iter().all(|name| !names(&val).contains(name)), "{together:?}");
            match groups {
                // Half of the pictures is farther from a fifth than none.
                2 => assert!(val.is_empty()),
                7 => assert!((14..=15).contains(&val.len())),
                _ => assert_eq!(val.len(), 20),
            }
            assert_eq!(split(&whole, 0.2, &together, 3).0, [train, val]);
        }
        assert_ne!(split(&whole, 0.2, &Together::Nothing, 3), split(&whole, 0.2, &Together::Nothing, 4));
    }
}
