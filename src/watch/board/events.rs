//! The last events.

use crate::limits::EVENTS_KEPT;
use crate::watch::Stamp;
use arc_swap::ArcSwap;
use serde::Serialize;
use std::sync::Arc;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// An object is in a zone now.
    Enter,
    /// An object has left a zone, or was lost in it.
    Leave,
    /// An object has crossed a line from its left to its right, as seen from its first point to its second.
    Forward,
    /// An object has crossed a line the other way.
    Backward,
}

/// Something that has happened to an object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Number of the event since the daemon started, from 1, of all cameras together.
    pub number: u64,
    /// Unique among all events of all times: `number`, and when the daemon started.
    pub id: String,
    /// What.
    #[serde(rename = "event")]
    pub kind: EventKind,
    /// Name of the camera.
    pub camera: Arc<str>,
    /// Name of the zone or line.
    pub place: Arc<str>,
    /// When the frame was captured that shows it.
    pub time: Stamp,
    /// Number of that frame.
    pub frame: u64,
    /// Number of the object.
    pub track: u64,
    /// Name of its class.
    pub class: Arc<str>,
    /// Class, from 0.
    pub class_id: usize,
    /// Its confidence when it was last seen.
    pub score: f32,
    /// Where it was last seen: `[x1, y1, x2, y2]` in pixels of the frame.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
    /// Seconds since the object entered the zone; of [`EventKind::Leave`] only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Name of the picture in the folder of snapshots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// The last events, oldest first.
#[derive(Debug, Default)]
pub struct Events(ArcSwap<Vec<Arc<Event>>>);

impl Events {
    /// All that are kept, at most [`EVENTS_KEPT`].
    pub fn all(&self) -> Arc<Vec<Arc<Event>>> {
        self.0.load_full()
    }

    /// Those after the event of this number (0: all), and how many of them are not kept any more.
    pub fn after(&self, number: u64) -> (Vec<Arc<Event>>, u64) {
        let all = self.0.load();
        let new = all.partition_point(|event| event.number <= number);
        let first = all.first().map_or(1, |event| event.number);
        (all[new..].to_vec(), first.saturating_sub(number + 1))
    }

    /// Numbers the event and keeps it. Events are rare: the list is made anew, so that readers keep theirs.
    pub(super) fn record(&self, event: Event, started: u64) -> Arc<Event> {
        let mut recorded = Arc::new(event);
        self.0.rcu(|all| {
            let number = all.last().map_or(1, |last| last.number + 1);
            let id = format!("{started:x}-{number}");
            recorded = Arc::new(Event { number, id, ..Event::clone(&recorded) });
            let kept = &all[(all.len() + 1).saturating_sub(EVENTS_KEPT)..];
            kept.iter().cloned().chain([Arc::clone(&recorded)]).collect::<Vec<_>>()
        });
        recorded
    }
}
