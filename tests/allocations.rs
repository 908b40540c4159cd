//! Once warm, nothing is allocated: neither by a run of the engine or of a batch nor by a whole detection,
//! nor by publishing a frame that nobody looks at.

#[path = "it/network.rs"]
mod network;
#[path = "it/shared.rs"]
mod shared;

use ocellus::engine::{Engine, EngineOptions, Precision};
use ocellus::image::{Frame, decode};
use ocellus::watch::board::{About, Board, Report, Seen};
use ocellus::{Detector, DetectorOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is the system allocator's; the count beside it touches no memory of the caller's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations during `work`, of all threads.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// Fails unless ten runs in a row allocate nothing. They get several attempts, since the start of a worker
/// thread allocates and may come late on a busy machine; what allocates in every run never passes.
fn assert_settles(mut run: impl FnMut()) {
    let mut attempt = || {
        std::thread::sleep(Duration::from_millis(20));
        allocations(|| (0..10).for_each(|_| run()))
    };
    assert!((0..10).any(|_| attempt() == 0), "every ten runs allocate");
}

/// One test only: the counter sees the whole process, and the harness allocates when it starts another.
#[test]
fn nothing_is_allocated_once_warm() {
    // Float convolutions take their packing buffer from the allocator (crate matrixmultiply).
    for precision in [Precision::Int8, Precision::Dynamic] {
        a_warm_engine_allocates_nothing(precision);
    }
    a_warm_detector_allocates_nothing();
    a_warm_board_allocates_nothing();
}

fn a_warm_engine_allocates_nothing(precision: Precision) {
    let options = EngineOptions { precision, threads: 2, ..EngineOptions::default() };
    let mut engine = Engine::new(network::network(), &options).unwrap();
    let size = engine.input_size();
    network::fill_input(engine.input(), size, 0);
    assert_settles(|| engine.run());
    let mut batch = engine.with_batch(3).unwrap();
    let picture = vec![0.5; size[0] * size[1] * 3];
    assert_settles(|| {
        batch.fill_reals(|_| &picture);
        batch.run();
    });
    assert!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))) > 0, "the counter counts");
}

fn a_warm_detector_allocates_nothing() {
    let (Some(model), Some(picture)) =
        (shared::shared("models/i8e.param"), shared::shared("data/images/bus.jpg"))
    else {
        return;
    };
    let options = DetectorOptions {
        size: Some([320; 2]),
        run: EngineOptions { threads: 2, ..EngineOptions::default() },
        ..DetectorOptions::default()
    };
    let mut detector = Detector::open(model, &options).unwrap();
    let frame = decode(picture).unwrap();
    assert!(!detector.detect(&frame).unwrap().0.is_empty());
    assert_settles(|| assert!(detector.detect(&frame).is_ok()));
}

/// A frame that nobody looks at.
fn a_warm_board_allocates_nothing() {
    let about = About {
        version: "0",
        model: "m".into(),
        precision: "int8",
        input: [32, 32],
        classes: vec!["person".into()],
        threads: 1,
    };
    let (board, mut publishers) = Board::new(about, &["a".into()]);
    let seen = |x: f32| Seen {
        class: board.about().classes[0].clone(),
        class_id: 0,
        score: 0.5,
        bbox: [x, 0.0, 9.0, 9.0],
        track: Some(1),
    };
    let mut report = Report { detections: vec![seen(0.0), seen(1.0)], ..Report::default() };
    let mut frame = Frame::new(8, 8, vec![7; 192]).unwrap();
    assert_settles(|| {
        report.frame += 1;
        publishers[0].panel().counters().count_answer(Duration::from_millis(9), &report.ms, false);
        publishers[0].publish(&report, &mut frame);
    });
    // With a viewer, pixels change hands and are not copied.
    let viewer = board.panels()[0].viewer();
    assert_settles(|| {
        (frame.width, frame.height) = (8, 8);
        frame.rgb.resize(192, 7);
        publishers[0].publish(&report, &mut frame);
    });
    assert!(viewer.view().frame.is_consistent());
    assert_eq!(board.panels()[0].report().detections.len(), 2);
}
