//! Once warm, nothing is allocated: neither by a run of the engine nor by a whole detection.

#[path = "it/network.rs"]
mod network;
#[path = "it/shared.rs"]
mod shared;

use ocellus::engine::{Engine, EngineOptions};
use ocellus::image::decode;
use ocellus::{Detector, DetectorOptions};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Tests that count take turns.
static TURN: Mutex<()> = Mutex::new(());

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

#[test]
fn a_warm_engine_allocates_nothing() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let mut engine =
        Engine::new(&network::network(), &EngineOptions { threads: 2, ..EngineOptions::default() }).unwrap();
    network::fill(&mut engine);
    engine.run();
    let count = allocations(|| (0..5).for_each(|_| engine.run()));
    assert_eq!(count, 0, "allocations in five runs");
    assert!(allocations(|| drop(std::hint::black_box(vec![0u8; 100]))) > 0, "the counter counts");
}

#[test]
fn a_warm_detector_allocates_nothing() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
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
    let count = allocations(|| (0..3).for_each(|_| assert!(detector.detect(&frame).is_ok())));
    assert_eq!(count, 0, "allocations in three detections");
}
