//! Bells that ring when something is published.

use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Bell = Arc<dyn Fn() + Send + Sync>;

/// The bells of all subscribers. Ringing takes no lock.
#[derive(Default)]
pub struct Bells {
    bells: ArcSwap<Vec<(u64, Bell)>>,
    last: AtomicU64,
}

impl Bells {
    pub(super) fn subscribe(this: &Arc<Self>, bell: Bell) -> Subscription {
        let number = this.last.fetch_add(1, Ordering::Relaxed);
        this.bells.rcu(|bells| {
            let mut bells = Vec::clone(bells);
            bells.push((number, Arc::clone(&bell)));
            bells
        });
        Subscription { bells: Arc::clone(this), number }
    }

    pub(super) fn ring(&self) {
        for (_, bell) in self.bells.load().iter() {
            bell();
        }
    }
}

impl std::fmt::Debug for Bells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bells", self.bells.load().len())
    }
}

/// Its bell rings until this is dropped.
#[must_use = "the bell is gone when this is dropped"]
#[derive(Debug)]
pub struct Subscription {
    bells: Arc<Bells>,
    number: u64,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.bells.bells.rcu(|bells| {
            let mut bells = Vec::clone(bells);
            bells.retain(|(number, _)| *number != self.number);
            bells
        });
    }
}
