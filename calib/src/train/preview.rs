//! Where a student is to imitate its teacher, drawn onto pictures as it is trained on them.

use super::imitation::{Kind, masks};
use super::plan::Plan;
use super::student::Student;
use crate::augment::sheet;
use crate::dataset::training::TrainingSet;
use crate::error::{Error, Result};
use ocellus::image::Frame;

/// Pictures with their boxes and masks.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// Squares of the student's size.
    pub pictures: Vec<Frame>,
    /// Rows and columns of the compared tensors.
    pub grid: [usize; 2],
    /// Cells of all pictures that are imitated.
    pub masked: usize,
}

/// The first `count` pictures of the run that `plan` says; more than one epoch has begin the next one.
///
/// # Errors
/// The plan compares no features where objects are, what it needs cannot be opened, or a picture cannot be read.
pub fn draw(plan: &Plan, train: TrainingSet, count: usize) -> Result<Preview> {
    let classes = train.classes.clone();
    let student = Student::of(plan, &classes)?;
    let Some(features) = student.features.filter(|features| features.taps().kind == Kind::Imitation) else {
        let what =
            "only the imitation of features has a mask: give --imitate, without --features channelwise";
        return Err(Error::Usage(what.to_owned()));
    };
    let anchors = features.anchors(&student.plain.graph, &student.anchors);
    let grid = features.grid();
    let loader = plan.loader(train)?;
    let mut preview = Preview { pictures: Vec::new(), grid, masked: 0 };
    for batch in (0..).flat_map(|epoch| loader.epoch(epoch)) {
        let batch = batch?;
        let masks = masks(grid, &batch, anchors);
        for (mut scene, mask) in batch.scenes().into_iter().zip(masks.chunks(grid[0] * grid[1])) {
            sheet::tint(&mut scene.frame, mask, grid);
            sheet::annotate(&mut scene, &classes);
            preview.pictures.push(scene.frame);
            preview.masked += mask.iter().filter(|masked| **masked).count();
            if preview.pictures.len() == count {
                return Ok(preview);
            }
        }
    }
    Ok(preview)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::features::Taps;
    use crate::train::imitation::{PSI, mask};
    use crate::train::teacher::Lesson;
    use crate::train::tests::{Grey, Made};
    use ocellus::detect::Anchors;

    /// Grey pictures of which the tinted pixels are those of the cells that the mask of the first batches has.
    #[test]
    fn what_is_drawn_is_the_mask_of_the_batches() {
        const SIZE: usize = 96;
        let (made, grey) = (Made::new("preview", SIZE), Grey::new("preview", 6));
        let layer = made.layer();
        let taps = Taps { student: layer.clone(), teacher: layer, kind: Kind::Imitation, weight: 0.01 };
        let lesson = Lesson { model: made.0.clone(), map: Vec::new(), weight: 1.0, taps: Some(taps.clone()) };
        let plan = made.plan(SIZE, Some(lesson.clone()));
        let preview = draw(&plan, grey.set.clone(), 6).unwrap();
        assert_eq!(preview.pictures.len(), 6);
        let [rows, columns] = preview.grid;
        let level = [12, 6, 3].iter().position(|&side| side == rows).unwrap();
        let anchors = Anchors::yolov5(3).unwrap().levels()[level].clone();
        // Four pictures of the first epoch, two of the second.
        let loader = plan.loader(grey.set.clone()).unwrap();
        let batches = (0..2).map(|epoch| loader.epoch(epoch).next().unwrap().unwrap());
        let scenes: Vec<_> = batches.flat_map(|batch| batch.scenes()).take(6).collect();
        let mut masked = 0;
        for (scene, drawn) in scenes.iter().zip(&preview.pictures) {
            let part = |[x1, y1, x2, y2]: [f32; 4]| {
                [(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1].map(|v| v / SIZE as f32)
            };
            let boxes: Vec<_> = scene.boxes.iter().map(|labelled| part(labelled.corners)).collect();
            let mask = mask(&boxes, [rows, columns], &anchors, SIZE, PSI);
            masked += mask.iter().filter(|masked| **masked).count();
            for (at, (before, after)) in scene.frame.rgb.chunks(3).zip(drawn.rgb.chunks(3)).enumerate() {
                let cell = at / SIZE * rows / SIZE * columns + at % SIZE * columns / SIZE;
                let tinted =
                    [255, 0, 255].into_iter().zip(before).map(|(a, b): (u16, _)| (a + u16::from(*b)) / 2);
                let is_tinted = after.iter().zip(tinted).all(|(a, b)| u16::from(*a) == b);
                // Boxes are drawn above.
                assert!(is_tinted == mask[cell] || after != before, "{at}");
            }
        }
        assert!(masked > 0 && masked == preview.masked, "{masked} {}", preview.masked);
        let all = Taps { kind: Kind::Channelwise, ..taps };
        let plan = made.plan(SIZE, Some(Lesson { taps: Some(all), ..lesson }));
        assert!(draw(&plan, grey.set.clone(), 6).unwrap_err().to_string().contains("has a mask"));
    }
}
