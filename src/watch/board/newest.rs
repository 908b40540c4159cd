//! A value that one thread replaces again and again and others read.

use arc_swap::ArcSwap;
use std::sync::Arc;

/// The newest of a series of values.
#[derive(Debug)]
pub struct Newest<T>(ArcSwap<T>);

impl<T> Newest<T> {
    /// The newest value. It stays as it is, however long it is kept.
    pub fn get(&self) -> Arc<T> {
        self.0.load_full()
    }
}

/// The one who publishes.
#[derive(Debug)]
pub struct Writer<T> {
    newest: Arc<Newest<T>>,
    /// The value before the newest, whose memory the next one takes unless a reader still keeps it.
    spare: Option<Arc<T>>,
}

impl<T: Default> Writer<T> {
    /// Begins with the default value.
    pub fn new() -> Self {
        let newest = Arc::new(Newest(ArcSwap::from_pointee(T::default())));
        Writer { newest, spare: None }
    }

    /// What readers read.
    pub fn newest(&self) -> &Arc<Newest<T>> {
        &self.newest
    }

    /// Publishes what `fill` makes of an older value.
    pub fn publish(&mut self, fill: impl FnOnce(&mut T)) {
        let mut next = self.spare.take().unwrap_or_default();
        if Arc::get_mut(&mut next).is_none() {
            next = Arc::default();
        }
        fill(Arc::get_mut(&mut next).expect("nobody else has it"));
        self.spare = Some(self.newest.0.swap(next));
    }
}

impl<T: Default> Default for Writer<T> {
    fn default() -> Self {
        Writer::new()
    }
}
