//! What objects do: they come into zones, leave them, and cross lines.
//!
//! An object is where its feet are, at the middle of its box's lower edge. A box trembles, so nothing counts at once: an
//! object is in a zone, or out of it, when it was seen there twice in a row, and it has crossed a line when
//! it is a little beyond it.

mod shape;

pub use shape::{Line, Point, Polygon, Side};

use super::board::{EventKind, LineCount, ZoneCount};
use super::track::{Track, Tracker};
use std::sync::Arc;
use std::time::Duration;

/// Frames in a row in which an object must be seen inside a zone, or outside, until it counts.
const STEADY: u8 = 2;
/// How far beyond a line an object is across, in pictures.
const MARGIN: f32 = 0.01;
/// Name of the zone that there is where none is set: the whole picture.
pub const WHOLE: &str = "picture";

/// An area that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name, unlike all others of the camera.
    pub name: Arc<str>,
    /// Its extent; `None`: the whole picture.
    pub area: Option<Polygon>,
    /// Classes that count; empty: all.
    pub classes: Vec<usize>,
}

/// A line that is watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Tripwire {
    /// Its name, unlike all others of the camera.
    pub name: Arc<str>,
    /// Where it is.
    pub line: Line,
    /// Classes that count; empty: all.
    pub classes: Vec<usize>,
}

/// Zones and lines of a camera.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// The zones.
    pub zones: Vec<Zone>,
    /// The lines.
    pub lines: Vec<Tripwire>,
}

/// Something that has happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// What.
    pub kind: EventKind,
    /// Name of the zone or line.
    pub place: Arc<str>,
    /// Number of the object.
    pub track: u64,
    /// Its class.
    pub class_id: usize,
    /// Its confidence when it was last seen.
    pub score: f32,
    /// Where it was last seen.
    pub bbox: [f32; 4],
    /// How long it was inside; of [`EventKind::Leave`] only.
    pub stay: Option<Duration>,
}

impl Happening {
    fn new(kind: EventKind, place: &Arc<str>, track: &Track, stay: Option<Duration>) -> Self {
        let &Track { number, class_id, score, bbox, .. } = track;
        Happening { kind, place: Arc::clone(place), track: number, class_id, score, bbox, stay }
    }
}

/// Where an object is in respect of one zone.
#[derive(Clone, Copy, Debug, Default)]
struct Presence {
    /// Since when it counts as inside.
    since: Option<Duration>,
    /// Frames in a row that say otherwise.
    doubts: u8,
}

/// The last point of an object that was clearly on one side of a line.
type Crossing = Option<(Side, Point)>;

/// What is known about an object.
#[derive(Clone, Debug)]
struct Follow {
    track: u64,
    zones: Vec<Presence>,
    lines: Vec<Crossing>,
}

/// Zones and lines with what has happened there.
#[derive(Debug, Default)]
pub struct Scene {
    places: Places,
    zones: Vec<ZoneCount>,
    lines: Vec<LineCount>,
    follows: Vec<Follow>,
}

impl Scene {
    /// Watches these places. What has been counted, and who is inside, stays for places that are as they were.
    pub fn set_places(&mut self, places: &Places) {
        let old = std::mem::take(self);
        let kept_zone = |zone: &Zone| old.places.zones.iter().position(|old| old == zone);
        let kept_line = |line: &Tripwire| old.places.lines.iter().position(|old| old == line);
        let zones: Vec<_> = places.zones.iter().map(kept_zone).collect();
        let lines: Vec<_> = places.lines.iter().map(kept_line).collect();
        let zone_count = |(zone, kept): (&Zone, &Option<usize>)| match *kept {
            Some(i) => old.zones[i].clone(),
            None => ZoneCount { name: Arc::clone(&zone.name), inside: 0, entered: 0, left: 0 },
        };
        let line_count = |(line, kept): (&Tripwire, &Option<usize>)| match *kept {
            Some(i) => old.lines[i].clone(),
            None => LineCount { name: Arc::clone(&line.name), forward: 0, backward: 0 },
        };
        let follow = |follow: &Follow| Follow {
            track: follow.track,
            zones: zones
                .iter()
                .map(|kept| kept.map_or_else(Presence::default, |i| follow.zones[i]))
                .collect(),
            lines: lines.iter().map(|kept| kept.and_then(|i| follow.lines[i])).collect(),
        };
        *self = Scene {
            places: places.clone(),
            zones: places.zones.iter().zip(&zones).map(zone_count).collect(),
            lines: places.lines.iter().zip(&lines).map(line_count).collect(),
            follows: old.follows.iter().map(follow).collect(),
        };
    }

    /// Objects per zone.
    pub fn zones(&self) -> &[ZoneCount] {
        &self.zones
    }

    /// Crossings per line.
    pub fn lines(&self) -> &[LineCount] {
        &self.lines
    }

    /// Looks where the objects are now, in a picture of `width` × `height` pixels, and appends what has happened.
    pub fn update(
        &mut self,
        now: Duration,
        tracker: &Tracker,
        [width, height]: [usize; 2],
        happened: &mut Vec<Happening>,
    ) {
        for track in tracker.ended() {
            self.end(now, track, happened);
        }
        for track in tracker.tracks().filter(|track| track.is_seen()) {
            let [x1, _, x2, y2] = track.bbox;
            let feet = [(x1 + x2) / 2.0 / width as f32, y2 / height as f32];
            let i = self.follow(track);
            self.look_at_zones(i, (now, track, feet), happened);
            self.look_at_lines(i, (track, feet), happened);
        }
    }

    /// Index of what is known about an object, from now on at least.
    fn follow(&mut self, track: &Track) -> usize {
        let known = self.follows.iter().position(|follow| follow.track == track.number);
        known.unwrap_or_else(|| {
            let zones = vec![Presence::default(); self.places.zones.len()];
            let lines = vec![None; self.places.lines.len()];
            self.follows.push(Follow { track: track.number, zones, lines });
            self.follows.len() - 1
        })
    }

    fn look_at_zones(
        &mut self,
        follow: usize,
        (now, track, feet): (Duration, &Track, Point),
        happened: &mut Vec<Happening>,
    ) {
        let presences = &mut self.follows[follow].zones;
        for ((zone, count), presence) in self.places.zones.iter().zip(&mut self.zones).zip(presences) {
            if !counts(&zone.classes, track) {
                continue;
            }
            let inside = zone.area.as_ref().is_none_or(|area| area.contains(feet));
            if inside == presence.since.is_some() {
                presence.doubts = 0;
                continue;
            }
            presence.doubts += 1;
            // The whole picture has no edge on which an object could tremble.
            if presence.doubts < STEADY && zone.area.is_some() {
                continue;
            }
            presence.doubts = 0;
            match presence.since.take() {
                None => {
                    presence.since = Some(now);
                    count.enter();
                    happened.push(Happening::new(EventKind::Enter, &zone.name, track, None));
                }
                Some(since) => {
                    count.leave();
                    let stay = now.saturating_sub(since);
                    happened.push(Happening::new(EventKind::Leave, &zone.name, track, Some(stay)));
                }
            }
        }
    }

    fn look_at_lines(
        &mut self,
        follow: usize,
        (track, feet): (&Track, Point),
        happened: &mut Vec<Happening>,
    ) {
        let crossings = &mut self.follows[follow].lines;
        for ((wire, count), crossing) in self.places.lines.iter().zip(&mut self.lines).zip(crossings) {
            let Some(side) = wire.line.side(feet, MARGIN).filter(|_| counts(&wire.classes, track)) else {
                continue;
            };
            let before = crossing.replace((side, feet));
            if !before.is_some_and(|(old, from)| old != side && wire.line.is_between(from, feet)) {
                continue;
            }
            let kind = match side {
                Side::Right => EventKind::Forward,
                Side::Left => EventKind::Backward,
            };
            count.cross(side);
            happened.push(Happening::new(kind, &wire.name, track, None));
        }
    }

    /// An object is lost: it has left the zones in which it was.
    fn end(&mut self, now: Duration, track: &Track, happened: &mut Vec<Happening>) {
        let Some(i) = self.follows.iter().position(|follow| follow.track == track.number) else { return };
        let follow = self.follows.swap_remove(i);
        for ((zone, count), presence) in self.places.zones.iter().zip(&mut self.zones).zip(follow.zones) {
            if let Some(since) = presence.since {
                count.leave();
                let stay = now.saturating_sub(since);
                happened.push(Happening::new(EventKind::Leave, &zone.name, track, Some(stay)));
            }
        }
    }
}

fn counts(classes: &[usize], track: &Track) -> bool {
    classes.is_empty() || classes.contains(&track.class_id)
}

impl ZoneCount {
    fn enter(&mut self) {
        self.inside += 1;
        self.entered += 1;
    }

    fn leave(&mut self) {
        self.inside -= 1;
        self.left += 1;
    }
}

impl LineCount {
    fn cross(&mut self, to: Side) {
        match to {
            Side::Right => self.forward += 1,
            Side::Left => self.backward += 1,
        }
    }
}

#[cfg(test)]
mod tests;
