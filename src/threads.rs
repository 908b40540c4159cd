//! A pool of parked threads that share the parts of one step at a time.
//!
//! [`Pool::run`] allocates nothing, so it may be called on the hot path. A worker spins for a short bounded
//! time after its last part, since the next step follows at once, and then sleeps until there is work: an
//! idle pool uses no CPU.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Rounds of [`std::hint::spin_loop`] before a thread sleeps; some tens of microseconds.
const SPIN_ROUNDS: u32 = 4000;

/// One call of [`Pool::run`], as the workers see it.
#[derive(Clone, Copy)]
struct Job {
    /// Borrowed from the caller, who does not return before every part is done.
    work: &'static (dyn Fn(usize) + Sync),
    parts: u32,
    /// Distinguishes this call from those before it.
    serial: u32,
}

#[derive(Default)]
struct Shared {
    job: Mutex<Option<Job>>,
    wake: Condvar,
    /// Serial of the current job, for spinning workers.
    serial: AtomicU64,
    /// Serial in the high half, next unclaimed part in the low half: a worker that comes late for one job
    /// cannot claim a part of the next.
    claim: AtomicU64,
    done: AtomicUsize,
    all_done: Condvar,
    panicked: AtomicBool,
    stop: AtomicBool,
}

/// Threads that run the parts of a step together with the caller.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Callers take turns.
    turn: Mutex<u32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks, so what they hold is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Runs parts of `job` until none is left.
    fn work(&self, job: Job) {
        let tag = u64::from(job.serial) << 32;
        loop {
            let now = self.claim.load(Ordering::Acquire);
            if now & !0xffff_ffff != tag || (now as u32) >= job.parts {
                return;
            }
            if self.claim.compare_exchange_weak(now, now + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                continue;
            }
            if catch_unwind(AssertUnwindSafe(|| (job.work)(now as u32 as usize))).is_err() {
                self.panicked.store(true, Ordering::Release);
            }
            if self.done.fetch_add(1, Ordering::AcqRel) + 1 == job.parts as usize {
                // The lock orders this after a caller's check that decided to sleep.
                drop(lock(&self.job));
                self.all_done.notify_all();
            }
        }
    }

    /// A worker's life: spin a while for the next job, sleep, work.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            for _ in 0..SPIN_ROUNDS {
                if self.serial.load(Ordering::Acquire) != seen {
                    break;
                }
                std::hint::spin_loop();
            }
            let mut guard = lock(&self.job);
            while self.serial.load(Ordering::Acquire) == seen && !self.stop.load(Ordering::Acquire) {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            seen = self.serial.load(Ordering::Acquire);
            let job = *guard;
            drop(guard);
            if let Some(job) = job {
                self.work(job);
            }
        }
    }
}

impl Pool {
    /// A pool in which `threads` threads work, the caller of [`Pool::run`] being one of them.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let (started, starts) = std::sync::mpsc::channel();
        let workers: Vec<JoinHandle<()>> = (1..threads)
            .map(|i| {
                let (shared, started) = (Arc::clone(&shared), started.clone());
                let builder = std::thread::Builder::new().name(format!("ocellus-{i}"));
                builder.spawn(move || {
                    // The pool may be gone already; then `serve` returns at once.
                    let _ = started.send(());
                    drop(started);
                    shared.serve()
                })
            })
            // A system that refuses more threads gets the ones it allows.
            .map_while(|spawned| spawned.inspect_err(|e| log::warn!("cannot start a thread: {e}")).ok())
            .collect();
        // A thread allocates while it starts: let that be over before the first run.
        starts.iter().take(workers.len()).for_each(drop);
        Pool { shared, workers, turn: Mutex::new(0) }
    }

    /// Number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(0)` … `work(parts − 1)`, each once, on all threads; returns when all have returned.
    ///
    /// # Panics
    /// If `work` panicked in any part.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        if parts <= 1 || self.workers.is_empty() {
            return (0..parts).for_each(work);
        }
        let mut turn = lock(&self.turn);
        *turn = turn.wrapping_add(1);
        // SAFETY: only the lifetime changes. A worker calls `work` only for a part that it claimed, every
        // claimed part is counted in `done`, and this function does not return before `done` is `parts`;
        // the serial in `claim` keeps workers that hold an older job from claiming.
        let work: &'static (dyn Fn(usize) + Sync) = unsafe { std::mem::transmute(work) };
        let job = Job { work, parts: parts as u32, serial: *turn };
        let shared = &*self.shared;
        shared.done.store(0, Ordering::Release);
        shared.claim.store(u64::from(job.serial) << 32, Ordering::Release);
        let mut guard = lock(&shared.job);
        *guard = Some(job);
        shared.serial.fetch_add(1, Ordering::AcqRel);
        drop(guard);
        shared.wake.notify_all();
        shared.work(job);
        self.await_done(parts);
        *lock(&shared.job) = None;
        if shared.panicked.swap(false, Ordering::AcqRel) {
            panic!("a part of a step panicked");
        }
    }

    fn await_done(&self, parts: usize) {
        let finished = || self.shared.done.load(Ordering::Acquire) == parts;
        for _ in 0..SPIN_ROUNDS {
            if finished() {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = lock(&self.shared.job);
        while !finished() {
            guard = self.shared.all_done.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(lock(&self.shared.job));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once_and_before_the_return() {
        let pool = Pool::new(3);
        for parts in [0, 1, 2, 7, 100] {
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
                pool.run(parts, &|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn sleeping_workers_wake() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let sum = AtomicUsize::new(0);
            pool.run(10, &|i| {
                sum.fetch_add(i, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 45);
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        let run = catch_unwind(AssertUnwindSafe(|| pool.run(4, &|i| assert_ne!(i, 2))));
        assert!(run.is_err());
        pool.run(4, &|_| ());
    }
}
