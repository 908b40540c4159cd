//! A board on which events happen.

use ocellus::publish::{Bell, Feed, Outlet, Spool};
use ocellus::watch::Stamp;
use ocellus::watch::board::{About, Board, Event, EventKind, Publisher, Report, State, ZoneCount};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A board of one camera, `yard`, and who publishes on it.
pub fn board() -> (Arc<Board>, Publisher) {
    let classes = vec!["person".into()];
    let about =
        About { version: "1", model: "m".into(), precision: "int8", input: [32, 32], classes, threads: 1 };
    let (board, mut publishers) = Board::new(about, &["yard".into()]);
    (board, publishers.remove(0))
}

/// Lets an object enter the zone `door`.
pub fn happen(publisher: &mut Publisher, track: u64) {
    let event = publisher.record(Event {
        number: 0,
        id: String::new(),
        kind: EventKind::Enter,
        camera: "yard".into(),
        place: "door".into(),
        time: Stamp(SystemTime::now()),
        frame: track,
        track,
        class: "person".into(),
        class_id: 0,
        score: 0.5,
        bbox: [0.0; 4],
        seconds: None,
        snapshot: None,
    });
    let zone = ZoneCount { name: "door".into(), inside: 1, entered: track, left: track - 1 };
    let report = Report { frame: track, zones: vec![zone], events: vec![event], ..Report::default() };
    publisher.publish(&report, &mut ocellus::image::Frame::default());
    publisher.panel().set_state(State::Running, "");
}

/// A spool, and the outlet that is told of it.
pub fn spool(folder: Option<&Path>) -> (Arc<Spool>, Arc<Outlet>) {
    let outlet = Arc::new(Outlet::new("test"));
    (Arc::new(Spool::open(folder, Arc::clone(&outlet)).unwrap()), outlet)
}

/// Feeds one spool.
pub fn feed(board: &Arc<Board>, spool: &Arc<Spool>, bell: Bell) -> Feed {
    Feed::start(Arc::clone(board), vec![(Arc::clone(spool), bell)]).unwrap()
}
