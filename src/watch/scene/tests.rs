use super::*;
use crate::detect::Detection;

/// A scene of 100×100 pixels, ten frames a second.
struct Stage {
    scene: Scene,
    tracker: Tracker,
    now: Duration,
    happened: Vec<String>,
}

impl Stage {
    fn new(zones: Vec<Zone>, lines: Vec<Tripwire>) -> Self {
        let mut scene = Scene::default();
        scene.set_places(&Places { zones, lines });
        Stage { scene, tracker: Tracker::default(), now: Duration::ZERO, happened: Vec::new() }
    }

    /// A frame with objects whose feet are at these points, of the given classes.
    fn show(&mut self, feet: &[(usize, f32, f32)]) {
        self.now += Duration::from_millis(100);
        let found: Vec<_> = feet
            .iter()
            .map(|&(class_id, x, y)| Detection {
                class_id,
                score: 0.9,
                bbox: [x - 8.0, y - 30.0, x + 8.0, y],
            })
            .collect();
        self.tracker.update(self.now, &found, |_| true, &mut Vec::new());
        let mut happened = Vec::new();
        self.scene.update(self.now, &self.tracker, [100, 100], &mut happened);
        let told = |h: Happening| {
            let stay = h.stay.map(|stay| format!(" after {:.1} s", stay.as_secs_f32())).unwrap_or_default();
            format!("{} {:?} {}{stay}", h.track, h.kind, h.place)
        };
        self.happened.extend(happened.into_iter().map(told));
    }

    fn walk(&mut self, class_id: usize, from: [f32; 2], to: [f32; 2], frames: usize) {
        for i in 0..frames {
            let at = |k: usize| from[k] + (to[k] - from[k]) * i as f32 / (frames - 1) as f32;
            self.show(&[(class_id, at(0), at(1))]);
        }
    }

    fn nobody(&mut self, frames: usize) {
        (0..frames).for_each(|_| self.show(&[]));
    }
}

fn zone(name: &str, points: &[Point], classes: &[usize]) -> Zone {
    Zone { name: name.into(), area: Some(Polygon::new(points).unwrap()), classes: classes.to_vec() }
}

fn right_half(name: &str, classes: &[usize]) -> Zone {
    zone(name, &[[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]], classes)
}

fn wire(name: &str, line: [Point; 2]) -> Tripwire {
    Tripwire { name: name.into(), line: Line::new(line).unwrap(), classes: vec![] }
}

#[test]
fn an_object_enters_a_zone_and_leaves_it() {
    let mut stage = Stage::new(vec![right_half("right", &[])], vec![]);
    stage.walk(0, [10.0, 80.0], [90.0, 80.0], 41);
    assert_eq!(stage.happened, ["1 Enter right"]);
    assert_eq!(stage.scene.zones()[0], ZoneCount { name: "right".into(), inside: 1, entered: 1, left: 0 });
    stage.walk(0, [88.0, 80.0], [10.0, 80.0], 40);
    // The edge itself is inside: in with x = 52 in frame 22, out with x = 46 in frame 41 + 22.
    assert_eq!(stage.happened[1..], ["1 Leave right after 4.1 s"]);
    assert_eq!(stage.scene.zones()[0], ZoneCount { name: "right".into(), inside: 0, entered: 1, left: 1 });
}

#[test]
fn an_object_that_is_lost_has_left() {
    let mut stage = Stage::new(vec![right_half("right", &[])], vec![]);
    stage.walk(0, [80.0, 80.0], [80.0, 80.0], 10);
    stage.nobody(15);
    assert_eq!(stage.happened, ["1 Enter right"], "it may only be hidden");
    stage.nobody(5);
    assert_eq!(stage.happened.len(), 2);
    assert!(stage.scene.follows.is_empty());
    assert_eq!(stage.scene.zones()[0].left, 1);
}

/// Feet that jump over the edge and back with each frame are where they were.
#[test]
fn trembling_at_an_edge_is_no_event() {
    let line = wire("line", [[0.5, 1.0], [0.5, 0.0]]);
    let mut stage = Stage::new(vec![right_half("right", &[])], vec![line]);
    for i in 0..50 {
        stage.show(&[(0, 50.0 + if i % 2 == 0 { 0.7 } else { -0.7 }, 80.0)]);
    }
    assert_eq!(stage.happened, [""; 0]);
}

#[test]
fn lines_are_crossed_in_two_directions_and_only_between_their_ends() {
    let lines = vec![wire("short", [[0.5, 0.5], [0.5, 0.0]]), wire("long", [[0.5, 1.0], [0.5, 0.0]])];
    let mut stage = Stage::new(vec![], lines);
    stage.walk(0, [30.0, 80.0], [70.0, 80.0], 21);
    stage.walk(0, [70.0, 80.0], [30.0, 80.0], 21);
    assert_eq!(stage.happened, ["1 Forward long", "1 Backward long"]);
    stage.nobody(20);
    stage.walk(0, [30.0, 40.0], [70.0, 40.0], 21);
    assert_eq!(stage.happened[2..], ["2 Forward short", "2 Forward long"]);
    let long = LineCount { name: "long".into(), forward: 2, backward: 1 };
    assert_eq!((&stage.scene.lines()[1], stage.scene.lines()[0].forward), (&long, 1));
}

#[test]
fn only_the_classes_of_a_zone_count() {
    let mut stage = Stage::new(vec![right_half("cars", &[2]), right_half("all", &[])], vec![]);
    (0..10).for_each(|_| stage.show(&[(0, 60.0, 80.0), (2, 90.0, 80.0)]));
    stage.happened.sort();
    assert_eq!(stage.happened, ["1 Enter all", "2 Enter all", "2 Enter cars"]);
}

/// Three objects on the whole picture, one after the other: as many enter and leave.
#[test]
fn the_whole_picture_is_a_zone_without_edge() {
    let whole = Zone { name: WHOLE.into(), area: None, classes: vec![] };
    let mut stage = Stage::new(vec![whole], vec![]);
    for _ in 0..3 {
        stage.walk(0, [0.0, 100.0], [100.0, 100.0], 30);
        stage.nobody(20);
    }
    let count = &stage.scene.zones()[0];
    assert_eq!((count.inside, count.entered, count.left), (0, 3, 3));
    assert_eq!(stage.happened.len(), 6);
}

#[test]
fn counts_stay_when_other_places_change() {
    let mut stage = Stage::new(vec![right_half("right", &[])], vec![]);
    stage.walk(0, [80.0, 80.0], [80.0, 80.0], 10);
    let left = zone("left", &[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]], &[]);
    stage.scene.set_places(&Places { zones: vec![left, right_half("right", &[])], lines: vec![] });
    stage.walk(0, [80.0, 80.0], [80.0, 80.0], 10);
    assert_eq!(stage.happened, ["1 Enter right"], "it has been inside all the time");
    let counts: Vec<_> = stage.scene.zones().iter().map(|zone| (zone.inside, zone.entered)).collect();
    assert_eq!(counts, [(0, 0), (1, 1)]);
    stage.scene.set_places(&Places { zones: vec![right_half("renamed", &[])], lines: vec![] });
    stage.walk(0, [80.0, 80.0], [80.0, 80.0], 10);
    assert_eq!(stage.happened[1..], ["1 Enter renamed"]);
}
