//! The threads that prepare the batches of an epoch.

use super::Shared;
use super::batch::{Batch, make};
use crate::augment::Augment;
use crate::error::Result;
use crate::random::Random;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Batches that a thread has ready at most while it makes another one.
const READY_MAX: usize = 1;

/// The batches of an epoch, in order. Worker threads are ahead of whoever takes them; they end with this value.
///
/// An error ends the epoch: a picture that was there when the set was read cannot be read now.
#[derive(Debug)]
pub struct Epoch {
    workers: Vec<Worker>,
    next: usize,
    batches: usize,
}

#[derive(Debug)]
struct Worker {
    /// `None` once nothing more is wanted.
    ready: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Epoch {
    pub(super) fn start(shared: &Arc<Shared>, epoch: u64, augment: Option<Augment>) -> Self {
        let mut order = shared.order.clone();
        if augment.is_some() {
            Random::new(&[shared.options.seed, epoch]).shuffle(&mut order);
        }
        let job = Arc::new(Job { shared: shared.clone(), epoch, augment, order });
        let batches = shared.batches();
        // Every thread makes whole batches, in turn: their order needs no sorting, and no lock is held.
        let threads = shared.options.threads.min(batches);
        let start = |first| {
            let (sender, ready) = sync_channel(READY_MAX);
            let job = job.clone();
            let thread = std::thread::spawn(move || job.run(first, threads, &sender));
            Worker { ready: Some(ready), thread: Some(thread) }
        };
        Epoch { workers: (0..threads).map(start).collect(), next: 0, batches }
    }
}

struct Job {
    shared: Arc<Shared>,
    epoch: u64,
    augment: Option<Augment>,
    order: Vec<u32>,
}

impl Job {
    /// Makes every `step`th batch from the `first` on, until all are made or nobody wants them.
    fn run(&self, first: usize, step: usize, sender: &SyncSender<Result<Batch>>) {
        let size = self.shared.options.batch;
        for batch in (first..self.shared.batches()).step_by(step) {
            let places = batch * size..((batch + 1) * size).min(self.order.len());
            let made = make(&self.shared, self.epoch, self.augment.as_ref(), &self.order, places);
            let failed = made.is_err();
            if sender.send(made).is_err() || failed {
                return;
            }
        }
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.batches {
            return None;
        }
        let count = self.workers.len();
        let worker = &mut self.workers[self.next % count];
        self.next += 1;
        match worker.ready.as_ref()?.recv() {
            Ok(Ok(batch)) => Some(Ok(batch)),
            Ok(Err(error)) => {
                self.next = self.batches;
                Some(Err(error))
            }
            // It has gone without a word: a panic, which belongs to whoever waits for the batch.
            Err(_) => {
                let panic = worker.thread.take()?.join().err()?;
                std::panic::resume_unwind(panic)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.batches - self.next))
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        // All channels first, so that the threads end at the same time and not one after the other.
        self.workers.iter_mut().for_each(|worker| worker.ready = None);
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A panic after the last batch that anyone wanted is nobody's.
            let _ = thread.join();
        }
    }
}
