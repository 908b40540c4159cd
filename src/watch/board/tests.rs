use super::*;
use crate::image::Frame;
use crate::watch::Stamp;
use std::sync::atomic::{AtomicUsize, Ordering};

fn about() -> About {
    let classes = vec!["person".into()];
    About { version: "0", model: "m".into(), precision: "int8", input: [32, 32], classes, threads: 1 }
}

fn event(camera: &str) -> Event {
    Event {
        number: 0,
        id: String::new(),
        kind: EventKind::Enter,
        camera: camera.into(),
        place: "door".into(),
        time: Stamp::default(),
        frame: 7,
        track: 3,
        class: "person".into(),
        class_id: 0,
        score: 0.5,
        bbox: [0.0; 4],
        seconds: None,
        snapshot: None,
    }
}

fn frame(grey: u8) -> Frame {
    Frame::new(1, 1, vec![grey; 3]).unwrap()
}

#[test]
fn readers_see_the_newest_and_keep_what_they_took() {
    let (board, mut publishers) = Board::new(about(), &["a".into(), "b".into()]);
    let panel = board.panel("b").unwrap();
    assert_eq!(panel.report().frame, 0);
    let kept: Vec<_> = (1..=5)
        .map(|number| {
            let report = Report { frame: number, ..Report::default() };
            publishers[1].publish(&report, &mut frame(0));
            panel.report()
        })
        .collect();
    assert_eq!(kept.iter().map(|report| report.frame).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(board.panel("a").unwrap().report().frame, 0);
    assert!(board.panel("c").is_none());
}

#[test]
fn pixels_are_published_while_somebody_looks() {
    let (board, mut publishers) = Board::new(about(), &["a".into()]);
    let mut publish = |grey: u8| {
        let report = Report { frame: grey.into(), ..Report::default() };
        publishers[0].publish(&report, &mut frame(grey));
    };
    publish(1);
    let viewer = board.panels()[0].viewer();
    assert!(!viewer.view().frame.is_consistent());
    publish(2);
    let (view, second) = (viewer.view(), board.panels()[0].viewer());
    assert_eq!((view.frame.rgb[0], view.report.frame), (2, 2));
    drop(viewer);
    publish(3);
    assert_eq!(second.view().frame.rgb[0], 3);
    drop(second);
    publish(4);
    assert_eq!(board.panels()[0].viewer().view().frame.rgb[0], 3, "nobody looked");
}

#[test]
fn events_are_numbered_and_the_last_are_kept() {
    let (board, publishers) = Board::new(about(), &["a".into(), "b".into()]);
    assert_eq!(board.events().after(0), (vec![], 0));
    let total = crate::limits::EVENTS_KEPT + 10;
    for i in 0..total {
        publishers[i % 2].record(event(["a", "b"][i % 2]));
    }
    let all = board.events().all();
    assert_eq!((all.len(), all[0].number), (crate::limits::EVENTS_KEPT, 11));
    let (new, lost) = board.events().after(5);
    assert_eq!((new.len(), lost), (crate::limits::EVENTS_KEPT, 5));
    let (new, lost) = board.events().after(total as u64 - 1);
    assert_eq!((new.len(), new[0].number, lost), (1, total as u64, 0));
    assert!(
        new[0].id.ends_with(&format!("-{total}")) && new[0].camera.as_ref() == ["a", "b"][(total - 1) % 2]
    );
    assert_eq!(board.panels()[0].counters().snapshot().events, total as u64 / 2);
}

#[test]
fn bells_ring_until_they_are_taken_away() {
    let (board, mut publishers) = Board::new(about(), &["a".into()]);
    let rung = Arc::new(AtomicUsize::new(0));
    let bell = |rung: &Arc<AtomicUsize>| {
        let rung = Arc::clone(rung);
        move || {
            rung.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (first, second) = (board.subscribe(bell(&rung)), board.subscribe(bell(&rung)));
    publishers[0].publish(&Report::default(), &mut frame(0));
    drop(first);
    publishers[0].panel().set_state(State::Running, "");
    drop(second);
    publishers[0].panel().set_state(State::Lost, "unplugged");
    assert_eq!(rung.load(Ordering::Relaxed), 3);
    let status = board.panels()[0].status();
    assert_eq!((status.state, status.why.as_ref()), (State::Lost, "unplugged"));
}
