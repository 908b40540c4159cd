//! How it goes with one receiver of events.

#[cfg(any(feature = "mqtt", feature = "webhooks"))]
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// Figures of one receiver; any thread may read them at any time.
#[derive(Debug)]
pub struct Outlet {
    /// What it is, for people: `mqtt broker:1883`.
    pub name: String,
    /// The last attempt has succeeded.
    pub connected: AtomicBool,
    /// Events that wait.
    pub waiting: AtomicUsize,
    /// Events that were confirmed.
    pub sent: AtomicU64,
    /// Events that were given up: damaged, refused, or the oldest of too many.
    pub dropped: AtomicU64,
    /// It was said that the receiver is away.
    #[cfg(any(feature = "mqtt", feature = "webhooks"))]
    complained: AtomicBool,
}

impl Outlet {
    /// One that has done nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Outlet {
            name: name.into(),
            connected: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            #[cfg(any(feature = "mqtt", feature = "webhooks"))]
            complained: AtomicBool::new(false),
        }
    }

    /// Says once that the receiver is there, loudly where it was said that it was not.
    #[cfg(any(feature = "mqtt", feature = "webhooks"))]
    pub(super) fn reached(&self) {
        if !self.connected.swap(true, Relaxed) {
            let level =
                if self.complained.swap(false, Relaxed) { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "{}: connected, {} events wait", self.name, self.waiting.load(Relaxed));
        }
    }

    /// Says once that the receiver is away, and each time where somebody wants to know everything.
    #[cfg(any(feature = "mqtt", feature = "webhooks"))]
    pub(super) fn missed(&self, why: impl std::fmt::Display) {
        self.connected.store(false, Relaxed);
        let level = if self.complained.swap(true, Relaxed) { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "{}: {why}; trying again, events wait", self.name);
    }
}
