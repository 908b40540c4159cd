//! A detector that another one learns from: what it says of the pictures of a batch, in the classes of the student.

use super::features::Taps;
use super::loss::{Anchors, BOX, Hint, Hints};
use super::source::Source;
use super::workers::Workers;
use crate::dataset::classes::{MapEntry, joined};
use crate::error::{Error, Result};
use crate::loader::Batch;
use crate::runtime::detector;
use ocellus::detect::Cell;
use ocellus::graph::Graph;
use ocellus::{Detector, DetectorOptions};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a teacher is less sure of says nothing.
const LEAST_SCORE: f32 = 0.01;

/// Who teaches, and how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// The teacher's file, of any format that the runtime reads.
    pub model: PathBuf,
    /// Which of its classes is which of the student's; others are the same if they have the same name.
    pub map: Vec<MapEntry>,
    /// How much what it says counts, in parts of a label.
    pub weight: f64,
    /// Which of its tensors the student is to have, too.
    pub taps: Option<Taps>,
}

/// A detector with YOLOv5's heads at the size of the student.
pub struct Teacher {
    detectors: Workers<Detector>,
    /// For each of its classes the student's.
    classes: Vec<Option<usize>>,
    /// Number of the student's classes.
    students: usize,
    /// Cells and anchors of each map.
    scales: Vec<([usize; 2], Anchors)>,
}

impl Teacher {
    /// Opens the teacher of a lesson for pictures of `size` pixels and a student of these classes.
    ///
    /// # Errors
    /// It cannot be opened at this size, has other heads than YOLOv5's, or none of the classes.
    pub fn open(lesson: &Lesson, size: usize, classes: &[String], threads: usize) -> Result<Self> {
        let options = DetectorOptions { size: Some([size; 2]), ..DetectorOptions::default() };
        let first = detector(&lesson.model, &options)?;
        let heads = first.heads();
        let scales: Vec<_> =
            heads.scales().into_iter().map(|(grid, anchors)| (grid, anchors.to_vec())).collect();
        if scales.is_empty() {
            let model = lesson.model.display();
            return Err(Error::Unmet(format!(
                "{model}: only networks with YOLOv5's heads can teach; this is {heads}"
            )));
        }
        let own: Vec<String> = (0..heads.classes()).map(|i| first.names().get(i).to_string()).collect();
        let joined = joined(("teacher", &own), ("student", classes), &lesson.map)?;
        let detectors = Workers::new(threads, || detector(&lesson.model, &options))?;
        Ok(Teacher { detectors, classes: joined, students: classes.len(), scales })
    }

    /// Its anchors, for a student: what one anchor finds is not what another one can learn. A student that was trained
    /// before has `own` ones.
    ///
    /// # Errors
    /// The student's maps have other cells or numbers, or its own anchors are others.
    pub fn anchors_for(&self, student: &Graph, source: &Source, own: Vec<Anchors>) -> Result<Vec<Anchors>> {
        let maps = student.outputs.iter().map(|output| {
            let shape = student.shape(*output);
            ([shape[2], shape[3]], shape[1])
        });
        let needed = self.scales.iter().map(|(grid, anchors)| (*grid, anchors.len() * (BOX + self.students)));
        let (maps, needed): (Vec<_>, Vec<_>) = (maps.collect(), needed.collect());
        if needed != maps {
            return Err(Error::Unmet(format!(
                "the student's maps, of cells and channels {maps:?}, are not those of the teacher, {needed:?}"
            )));
        }
        let anchors: Vec<Anchors> = self.scales.iter().map(|(_, anchors)| anchors.clone()).collect();
        match source {
            Source::File { .. } if own != anchors => {
                Err(Error::Unmet("the student's anchors are not those of the teacher".to_owned()))
            }
            _ => Ok(anchors),
        }
    }

    /// What it says of a batch.
    ///
    /// # Errors
    /// It cannot run.
    pub fn hints(&self, batch: &Batch) -> Result<Hints> {
        let of_pictures = self.detectors.look(batch, |detector, image, frame| {
            let mut hints: Hints = vec![Vec::new(); self.scales.len()];
            detector.cells(frame, LEAST_SCORE, |cell| hints[cell.scale].extend(self.hint(image, &cell)))?;
            Ok(hints)
        })?;
        let mut hints: Hints = vec![Vec::new(); self.scales.len()];
        for of_picture in of_pictures {
            hints.iter_mut().zip(of_picture).for_each(|(all, some)| all.extend(some));
        }
        Ok(hints)
    }

    /// What it says at a cell, unless that is of no class of the student's.
    fn hint(&self, image: usize, cell: &Cell) -> Option<Hint> {
        let mut classes = vec![0.0f64; self.students];
        for (class, own) in self.classes.iter().zip(cell.classes) {
            if let Some(class) = *class {
                classes[class] = classes[class].max(f64::from(*own));
            }
        }
        let best = classes.iter().copied().fold(0.0, f64::max);
        let score = best * f64::from(cell.objectness);
        let [left, top, right, bottom] = cell.bbox;
        if !(score >= f64::from(LEAST_SCORE) && left < right && top < bottom) {
            return None;
        }
        classes.iter_mut().for_each(|class| *class /= best);
        Some(Hint { image, anchor: cell.anchor, at: cell.at, bbox: cell.bbox, score, classes })
    }
}
