//! Which boxes are detections, and where objects are counted: what can be changed while a camera runs.

use super::config;
use super::scene::{Places, Tripwire, WHOLE, Zone};
use crate::detect::{Detection, Names};
use crate::error::{Error, Result};
use std::time::Duration;

/// A box with less than a good score may go on with a known object down to this score.
const POOR_SCORE: f32 = 0.1;

/// The rules of a camera, for the classes of one model.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Least score of a detection, by class; `None`: the class is not wanted.
    scores: Vec<Option<f32>>,
    /// Least area of a box, in pictures.
    min_area: f32,
    /// Zones and lines.
    pub places: Places,
    /// Least time from frame to frame.
    pub period: Option<Duration>,
    /// Share of the picture that must change before the network looks; `None`: it always looks.
    pub motion: Option<f32>,
    /// JPEG frames are decoded no larger than the network needs.
    pub shrink: bool,
}

impl Rules {
    /// The rules that `camera` states; `score` is that of classes for which it states none.
    ///
    /// # Errors
    /// [`Error::Usage`]: a class that the model does not know.
    pub fn new(camera: &config::Camera, score: f32, names: &Names) -> Result<Self> {
        let of_camera = |e: String| Error::Usage(format!("camera '{}': {e}", camera.label()));
        let wanted = class_ids(&camera.classes, names).map_err(of_camera)?;
        let usual = camera.score.map_or(score, f32::from);
        let is_wanted = |id: &usize| wanted.is_empty() || wanted.contains(id);
        let mut scores: Vec<_> = (0..names.len()).map(|id| is_wanted(&id).then_some(usual)).collect();
        for (name, score) in &camera.scores {
            let id = class_id(name, names).map_err(|e| of_camera(format!("scores: {e}")))?;
            scores[id] = is_wanted(&id).then_some((*score).into());
        }
        let min_area = camera.min_area.map_or(0.0, f32::from);
        let period = camera.max_fps.map(|rate| rate.period());
        let motion = camera.motion.and_then(|motion| motion.share());
        let places = places(camera, names).map_err(of_camera)?;
        Ok(Rules { scores, min_area, places, period, motion, shrink: camera.shrink })
    }

    /// The score from which on the detector must give boxes.
    pub(super) fn least_score(&self) -> f32 {
        self.scores.iter().flatten().fold(POOR_SCORE, |least, &score| least.min(score))
    }

    /// Whether a box is a detection.
    pub(super) fn is_good(&self, d: &Detection) -> bool {
        self.scores.get(d.class_id).copied().flatten().is_some_and(|least| d.score > least)
    }

    /// Whether a box matters at all: its class is wanted, and it is large enough for a picture of `pixels`.
    pub(super) fn matters(&self, d: &Detection, pixels: usize) -> bool {
        let [x1, y1, x2, y2] = d.bbox;
        let is_wanted = self.scores.get(d.class_id).is_some_and(Option::is_some);
        is_wanted && (x2 - x1) * (y2 - y1) >= self.min_area * pixels as f32
    }
}

fn places(camera: &config::Camera, names: &Names) -> Result<Places, String> {
    let zone = |zone: &config::Zone| {
        let classes = class_ids(&zone.classes, names).map_err(|e| format!("zone '{}': {e}", zone.name))?;
        Ok(Zone { name: zone.name.as_str().into(), area: Some(zone.points.0.clone()), classes })
    };
    let line = |line: &config::Line| {
        let classes = class_ids(&line.classes, names).map_err(|e| format!("line '{}': {e}", line.name))?;
        Ok(Tripwire { name: line.name.as_str().into(), line: line.points.0, classes })
    };
    let mut zones = camera.zones.iter().map(zone).collect::<Result<Vec<_>, String>>()?;
    let lines = camera.lines.iter().map(line).collect::<Result<Vec<_>, String>>()?;
    if zones.is_empty() && lines.is_empty() {
        zones.push(Zone { name: WHOLE.into(), area: None, classes: vec![] });
    }
    Ok(Places { zones, lines })
}

fn class_ids(classes: &[String], names: &Names) -> Result<Vec<usize>, String> {
    classes.iter().map(|name| class_id(name, names)).collect()
}

fn class_id(name: &str, names: &Names) -> Result<usize, String> {
    names.iter().position(|known| known == name).ok_or_else(|| {
        let near = config::nearest(name, names.iter()).map(|near| format!(" (did you mean '{near}'?)"));
        format!("the model knows no class '{name}'{}", near.unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(toml: &str) -> Result<Rules> {
        let names = Names::new(["person", "car", "dog"].map(String::from).into()).unwrap();
        let text = format!("[[camera]]\nsource = '-'\n{toml}");
        let config = config::parse(&text, "test.toml".as_ref())?;
        Rules::new(&config.cameras[0], 0.25, &names)
    }

    fn found(class_id: usize, score: f32, side: f32) -> Detection {
        Detection { class_id, score, bbox: [0.0, 0.0, side, side] }
    }

    #[test]
    fn classes_have_their_own_thresholds() {
        let rules =
            rules("score = 0.4\nclasses = ['person', 'dog']\nscores = { dog = 0.6, car = 0.1 }").unwrap();
        let good = |class_id, score| rules.is_good(&found(class_id, score, 9.0));
        assert_eq!([good(0, 0.41), good(0, 0.4), good(2, 0.5), good(2, 0.7)], [true, false, false, true]);
        assert!(!good(1, 0.9) && !good(7, 0.9), "cars are not wanted, and there is no class 7");
        assert!(!rules.matters(&found(1, 0.9, 9.0), 100) && rules.matters(&found(0, 0.1, 9.0), 100));
    }

    #[test]
    fn small_boxes_do_not_matter() {
        let rules = rules("min_area = 0.01").unwrap();
        assert!(rules.matters(&found(0, 0.3, 10.0), 10_000) && !rules.matters(&found(0, 0.3, 9.9), 10_000));
    }

    #[test]
    fn the_detector_gives_what_the_tracker_needs() {
        assert_eq!(rules("").unwrap().least_score(), POOR_SCORE);
        assert_eq!(rules("scores = { car = 0.05 }").unwrap().least_score(), 0.05);
    }

    #[test]
    fn without_places_the_whole_picture_is_one() {
        assert_eq!(rules("").unwrap().places.zones[0].name.as_ref(), WHOLE);
        let line = "[[camera.line]]\nname = 'gate'\npoints = [[0.5, 0.0], [0.5, 1.0]]";
        let places = rules(line).unwrap().places;
        assert_eq!((places.zones.len(), places.lines.len()), (0, 1));
    }

    #[test]
    fn an_unknown_class_is_named_with_the_nearest() {
        let error = rules("classes = ['persn']").unwrap_err().to_string();
        assert_eq!(error, "camera 'stdin': the model knows no class 'persn' (did you mean 'person'?)");
        let zone = "[[camera.zone]]\nname = 'a'\npoints = [[0, 0], [1, 0], [1, 1]]\nclasses = ['xyzzy']";
        let error = rules(zone).unwrap_err().to_string();
        assert_eq!(error, "camera 'stdin': zone 'a': the model knows no class 'xyzzy'");
    }
}
