//! How good a network is on pictures that it is not trained on: mAP of each data set, as `calib eval` measures it.

use crate::dataset::training::TrainingSet;
use crate::dataset::{Annotation, Category, Dataset, Image, Place};
use crate::error::Result;
use crate::judge::Judge;
use ocellus::loader::Model;
use serde::{Deserialize, Serialize};

/// The pictures of one data set.
#[derive(Clone, Debug)]
pub struct Validation {
    /// What the description calls it.
    pub name: String,
    /// Whether the best epoch is chosen by it.
    pub chooses: bool,
    dataset: Dataset,
}

/// What a network is worth on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What the description calls it.
    pub name: String,
    /// mAP over IoU 0.50 to 0.95.
    pub map: f64,
    /// mAP at IoU 0.50.
    pub map50: f64,
    /// Whether the best epoch is chosen by it.
    #[serde(default = "yes")]
    pub chooses: bool,
}

fn yes() -> bool {
    true
}

/// What a network is worth: the mean mAP of the data sets that choose; 0 where there are none.
pub fn mean(scores: &[Score]) -> f64 {
    let maps: Vec<f64> = scores.iter().filter(|score| score.chooses).map(|score| score.map).collect();
    maps.iter().sum::<f64>() / maps.len().max(1) as f64
}

/// One for each data set. Only the classes that it labels are measured on it. `chooses`: whether they choose the best epoch.
pub fn validations(set: &TrainingSet, chooses: bool) -> Vec<Validation> {
    let of_origin = |(origin, about): (u32, &crate::dataset::training::Origin)| {
        let categories: Vec<Category> = (0..)
            .zip(&set.classes)
            .filter(|(class, _)| about.known[*class as usize])
            .map(|(id, name)| Category { id, name: name.clone() })
            .collect();
        let mut dataset = Dataset { categories, ..Dataset::default() };
        for picture in set.pictures.iter().filter(|picture| picture.origin == origin) {
            let image = dataset.images.len() as u32;
            dataset.images.push(Image { id: i64::from(image) + 1, path: picture.path.clone(), labels: None });
            for labelled in &picture.boxes {
                let [left, top, right, bottom] = labelled.corners.map(f64::from);
                let place = |class: u32| dataset.categories.iter().position(|c| c.id == i64::from(class));
                // A crowd has no class here: it may be any, and nothing found in it is wrong.
                let (classes, crowd) = match labelled.class.map(place) {
                    Some(None) => continue,
                    Some(Some(class)) => (class..class + 1, false),
                    None => (0..dataset.categories.len(), true),
                };
                for category in classes {
                    let bbox = [left, top, right - left, bottom - top];
                    let id = dataset.annotations.len() as i64 + 1;
                    let (category, area) = (category as u32, bbox[2] * bbox[3]);
                    let place = Place::Annotation(id);
                    dataset.annotations.push(Annotation { id, image, category, bbox, area, crowd, place });
                }
            }
        }
        Validation { name: about.name.clone(), chooses, dataset }
    };
    (0..).zip(&set.origins).map(of_origin).filter(|made| !made.dataset.images.is_empty()).collect()
}

impl Validation {
    /// Number of pictures.
    pub fn pictures(&self) -> usize {
        self.dataset.images.len()
    }

    /// Measures a model on `threads` threads; calls `progress` after each picture.
    ///
    /// # Errors
    /// The model does not run, or no picture can be read.
    pub fn score(&self, model: &Model, threads: usize, progress: impl Fn() + Sync) -> Result<Score> {
        let verdict = Judge::new(&self.dataset, &[], model, threads)?.judge(model, progress)?;
        let map50 = verdict.map.summary.map50.unwrap_or(0.0);
        Ok(Score { name: self.name.clone(), map: verdict.value(), map50, chooses: self.chooses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_choose_say_what_a_network_is_worth() {
        let score = |map, chooses| Score { name: String::new(), map, map50: 0.0, chooses };
        assert_eq!(mean(&[score(0.5, true), score(0.25, true)]), 0.375);
        assert_eq!(mean(&[score(0.5, false), score(0.25, true)]), 0.25);
        assert_eq!(mean(&[]), 0.0);
        // As it was written before some could choose.
        let old: Score = serde_json::from_str(r#"{"name": "street", "map": 0.5, "map50": 0.7}"#).unwrap();
        assert!(old.chooses);
    }
}
