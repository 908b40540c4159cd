//! Objects that keep their number from frame to frame.
//!
//! The way is that of ByteTrack (Zhang et al., ECCV 2022): each object has a filter that predicts its box; boxes with a
//! good score take the predicted box that they overlap most, then boxes with a poor score may go on with what is still
//! unmatched (an object that is half hidden), and only good ones begin a new object. Predictions go by time, not by
//! frames, so that dropped frames do no harm. Boxes find each other best first, not by the best sum: where objects are
//! few that is the same. The libraries for this bring a matrix library and allocate for each frame; here a filter is
//! four pairs of numbers.

mod filter;

use crate::detect::Detection;
use crate::limits::TRACKS_MAX;
use filter::Filter;
use std::time::Duration;

/// Least overlap (intersection over union) of a box with a good score and the prediction.
const IOU_GOOD: f32 = 0.2;
/// Least overlap of a box with a poor score, which needs more to be believed.
const IOU_POOR: f32 = 0.5;
/// Frames in a row in which an object must be seen before it is one.
const CONFIRM: u32 = 3;
/// How long an object may be hidden.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Frames that it may be hidden in any case: slow cameras have few in that time.
const PATIENCE_FRAMES: u32 = 3;

/// An object.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its number, from 1 in the order of confirmation; 0 as long as it is not confirmed.
    pub number: u64,
    /// Class, from 0.
    pub class_id: usize,
    /// Confidence when it was last seen.
    pub score: f32,
    /// Where it was last seen, as the detector said.
    pub bbox: [f32; 4],
    filter: Filter,
    predicted: [f32; 4],
    seen: Duration,
    hits: u32,
    /// Frames since it was last seen.
    misses: u32,
}

impl Track {
    /// It is seen in this frame.
    pub fn is_seen(&self) -> bool {
        self.misses == 0
    }
}

/// Follows the objects of one camera.
#[derive(Debug, Default)]
pub struct Tracker {
    tracks: Vec<Track>,
    ended: Vec<Track>,
    last_number: u64,
    now: Duration,
    /// Scratch: candidates for a match, the best first when sorted.
    pairs: Vec<Pair>,
    /// Scratch: the track of each box.
    owners: Vec<Option<usize>>,
    /// Scratch: tracks that have their box.
    taken: Vec<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    overlap: f32,
    track: usize,
    found: usize,
}

impl Tracker {
    /// Matches what was found at time `now` (since any fixed moment, not before the last one) with the objects. `is_good`
    /// says which boxes are detections; the others only go on with known objects. `numbers` gets the number of
    /// each box's object, `None` where it has none or is not confirmed.
    pub fn update(
        &mut self,
        now: Duration,
        found: &[Detection],
        is_good: impl Fn(&Detection) -> bool,
        numbers: &mut Vec<Option<u64>>,
    ) {
        let step = now.saturating_sub(self.now).as_secs_f32();
        self.now = now;
        self.ended.clear();
        self.taken.clear();
        self.taken.resize(self.tracks.len(), false);
        self.owners.clear();
        self.owners.resize(found.len(), None);
        for track in &mut self.tracks {
            track.filter.predict(step);
            track.predicted = track.filter.bbox();
            track.misses += 1;
        }
        // Confirmed objects choose first; one that was hidden before does not go on with a poor box.
        self.assign(found, IOU_GOOD, |track, d| track.number > 0 && is_good(d));
        self.assign(found, IOU_POOR, |track, d| track.number > 0 && track.misses == 1 && !is_good(d));
        self.assign(found, IOU_GOOD, |track, d| track.number == 0 && is_good(d));
        for (i, detection) in found.iter().enumerate() {
            match self.owners[i] {
                Some(track) => self.tracks[track].see(detection, now),
                None if is_good(detection) && self.tracks.len() < TRACKS_MAX => {
                    self.owners[i] = Some(self.tracks.len());
                    self.tracks.push(Track::begin(detection, now));
                }
                None => {}
            }
        }
        self.confirm();
        numbers.clear();
        numbers.extend(self.owners.iter().map(|owner| {
            let number = self.tracks[(*owner)?].number;
            (number > 0).then_some(number)
        }));
        self.drop_ended();
    }

    /// The confirmed objects, hidden ones included.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.iter().filter(|track| track.number > 0)
    }

    /// The confirmed objects that the last update gave up.
    pub fn ended(&self) -> &[Track] {
        &self.ended
    }

    /// No object is about to appear or hidden: if nothing moves, nothing changes.
    pub fn is_settled(&self) -> bool {
        self.tracks.iter().all(|track| track.number > 0 && track.is_seen())
    }

    fn assign(&mut self, found: &[Detection], least: f32, may: impl Fn(&Track, &Detection) -> bool) {
        self.pairs.clear();
        for (t, track) in self.tracks.iter().enumerate().filter(|(t, _)| !self.taken[*t]) {
            for (f, detection) in found.iter().enumerate().filter(|(f, _)| self.owners[*f].is_none()) {
                if track.class_id == detection.class_id && may(track, detection) {
                    let overlap = iou(track.predicted, detection.bbox);
                    if overlap >= least {
                        self.pairs.push(Pair { overlap, track: t, found: f });
                    }
                }
            }
        }
        // Ties by index, so that results do not depend on the sort.
        self.pairs.sort_unstable_by(|a, b| {
            b.overlap.total_cmp(&a.overlap).then((a.track, a.found).cmp(&(b.track, b.found)))
        });
        for pair in &self.pairs {
            if !self.taken[pair.track] && self.owners[pair.found].is_none() {
                self.taken[pair.track] = true;
                self.owners[pair.found] = Some(pair.track);
            }
        }
    }

    fn confirm(&mut self) {
        for track in &mut self.tracks {
            if track.number == 0 && track.hits >= CONFIRM {
                self.last_number += 1;
                track.number = self.last_number;
            }
        }
    }

    fn drop_ended(&mut self) {
        let now = self.now;
        let ended = &mut self.ended;
        self.tracks.retain(|track| match track.number {
            0 => track.is_seen(),
            _ => {
                let keep = track.misses <= PATIENCE_FRAMES || now.saturating_sub(track.seen) <= PATIENCE;
                if !keep {
                    ended.push(track.clone());
                }
                keep
            }
        });
    }
}

impl Track {
    fn begin(detection: &Detection, now: Duration) -> Self {
        let &Detection { class_id, score, bbox } = detection;
        let filter = Filter::new(bbox);
        Track { number: 0, class_id, score, bbox, filter, predicted: bbox, seen: now, hits: 1, misses: 0 }
    }

    fn see(&mut self, detection: &Detection, now: Duration) {
        (self.score, self.bbox) = (detection.score, detection.bbox);
        self.filter.correct(detection.bbox);
        self.seen = now;
        self.hits += 1;
        self.misses = 0;
    }
}

/// Intersection over union of two boxes.
fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |x: [f32; 4]| (x[2] - x[0]) * (x[3] - x[1]);
    let both = side(0) * side(1);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

#[cfg(test)]
mod tests;
