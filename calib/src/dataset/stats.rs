//! What a data set has of what.

use super::training::TrainingSet;
use serde::Serialize;
use std::fmt::Write;

/// Upper bounds of the sizes that boxes are counted by: the root of a box's area, in pixels of the network's input. What is
/// larger than the last has a count of its own.
pub const SIZES: [f32; 6] = [8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// One data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetStats {
    /// What it is called.
    pub name: String,
    /// Number of pictures.
    pub pictures: usize,
    /// Those among them without a box.
    pub empty: usize,
    /// Number of boxes.
    pub boxes: usize,
    /// Number of regions that are neither objects nor background.
    pub ignored: usize,
    /// How often each picture is seen in an epoch.
    pub repeat: u32,
    /// The model's classes.
    pub classes: Vec<ClassStats>,
}

/// One class in a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassStats {
    /// Its name.
    pub name: String,
    /// Whether the data set labels it: if not, its pictures may still show it.
    pub known: bool,
    /// Number of boxes.
    pub boxes: usize,
    /// Number of pictures that have some.
    pub pictures: usize,
    /// Boxes by [`SIZES`], and those above the last.
    pub by_size: [usize; SIZES.len() + 1],
}

/// Counts the pictures and boxes of each data set in `set`, sizes after the letterbox into a square of side `side`.
pub fn of(set: &TrainingSet, side: usize) -> Vec<SetStats> {
    let class = |(name, known): (&String, &bool)| ClassStats {
        name: name.clone(),
        known: *known,
        boxes: 0,
        pictures: 0,
        by_size: Default::default(),
    };
    let empty = |origin: &super::training::Origin| SetStats {
        name: origin.name.clone(),
        pictures: 0,
        empty: 0,
        boxes: 0,
        ignored: 0,
        repeat: origin.repeat,
        classes: set.classes.iter().zip(&origin.known).map(class).collect(),
    };
    let mut stats: Vec<SetStats> = set.origins.iter().map(empty).collect();
    for picture in &set.pictures {
        let of_set = &mut stats[picture.origin as usize];
        let scale = side as f32 / picture.size[0].max(picture.size[1]) as f32;
        let mut seen = vec![false; set.classes.len()];
        for labelled in &picture.boxes {
            let Some(class) = labelled.class else {
                of_set.ignored += 1;
                continue;
            };
            let [left, top, right, bottom] = labelled.corners;
            let size = ((right - left) * (bottom - top)).sqrt() * scale;
            let of_class = &mut of_set.classes[class as usize];
            of_class.by_size[SIZES.iter().filter(|&&bound| size >= bound).count()] += 1;
            of_class.boxes += 1;
            of_class.pictures += usize::from(!std::mem::replace(&mut seen[class as usize], true));
            of_set.boxes += 1;
        }
        of_set.pictures += 1;
        of_set.empty += usize::from(!seen.contains(&true));
    }
    stats
}

/// The counts as tables.
pub fn to_text(stats: &[SetStats]) -> String {
    // Writing to a string cannot fail.
    let mut text = String::new();
    for set in stats {
        let SetStats { name, pictures, empty, boxes, ignored, repeat, classes } = set;
        let repeated = if *repeat > 1 { format!(", each {repeat} times an epoch") } else { String::new() };
        let _ = writeln!(
            text,
            "{name}: {pictures} pictures ({empty} without objects{repeated}), {boxes} boxes, {ignored} ignored regions"
        );
        let width = classes.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).max("class".len());
        let _ = write!(text, "  {:<width$} {:>9} {:>9}", "class", "boxes", "pictures");
        let bounds = SIZES.map(|bound| format!("<{bound}"));
        for bound in bounds.iter().map(String::as_str).chain(["larger"]) {
            let _ = write!(text, " {bound:>7}");
        }
        text.push('\n');
        for class in classes {
            let _ = write!(text, "  {:<width$}", class.name);
            if !class.known && class.boxes == 0 {
                text.push_str(" not labelled\n");
                continue;
            }
            let _ = write!(text, " {:>9} {:>9}", class.boxes, class.pictures);
            for count in class.by_size {
                let _ = write!(text, " {count:>7}");
            }
            text.push_str(if class.known { "\n" } else { " not all labelled\n" });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::training::{Labelled, Origin, Picture};

    /// By hand: pictures of 200 × 100 are halved; a box of 20 × 5 becomes 5 across, one of 40 × 40 becomes 20.
    #[test]
    fn boxes_are_counted_by_class_and_size() {
        let picture = |origin, boxes: &[(Option<u32>, [f32; 2])]| {
            let labelled = |&(class, [w, h]): &(_, [f32; 2])| Labelled { class, corners: [0.0, 0.0, w, h] };
            let boxes = boxes.iter().map(labelled).collect();
            Picture { path: "a".into(), size: [200, 100], origin, boxes }
        };
        let origin =
            |name: &str, known: [bool; 2]| Origin { name: name.to_owned(), known: known.to_vec(), repeat: 1 };
        let set = TrainingSet {
            classes: vec!["person".to_owned(), "car".to_owned()],
            origins: vec![origin("a", [true, true]), origin("b", [false, true])],
            pictures: vec![
                picture(0, &[(Some(0), [20.0, 5.0]), (Some(0), [40.0, 40.0]), (None, [9.0, 9.0])]),
                picture(0, &[]),
                picture(1, &[(Some(1), [100.0, 100.0])]),
            ],
        };
        let stats = of(&set, 100);
        assert_eq!((stats[0].pictures, stats[0].empty, stats[0].boxes, stats[0].ignored), (2, 1, 2, 1));
        let person = &stats[0].classes[0];
        assert_eq!((person.boxes, person.pictures, person.by_size), (2, 1, [1, 0, 1, 0, 0, 0, 0]));
        assert_eq!(stats[1].classes[1].by_size, [0, 0, 0, 1, 0, 0, 0]);
        let text = to_text(&stats);
        assert!(text.contains("a: 2 pictures (1 without objects), 2 boxes, 1 ignored regions\n"), "{text}");
        assert!(text.contains("  person not labelled\n"), "{text}");
    }
}
