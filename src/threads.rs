//! A pool of parked threads that share the parts of one step at a time.
//!
//! A part belongs to the same thread in every step, so that a thread finds in its cache what it made one step
//! before; who has nothing left to do takes over the parts of a thread that did not come. [`Pool::run`]
//! allocates nothing, so it may be called on the hot path. A worker spins for a short bounded time after its
//! last part, since the next step follows at once, and then sleeps until there is work: an idle pool uses no
//! CPU.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Rounds of [`std::hint::spin_loop`] before a thread sleeps; some tens of microseconds.
const SPIN_ROUNDS: u32 = 4000;

/// One call of [`Pool::run`], as the workers see it.
#[derive(Clone, Copy)]
struct Job {
    /// Borrowed from the caller: valid as long as not every part is done.
    work: *const (dyn Fn(usize) + Sync),
    parts: usize,
    /// Distinguishes this call from those before it.
    serial: u32,
}

// SAFETY: what it points to is `Sync`.
unsafe impl Send for Job {}

/// Who waits without spinning, and what for.
#[derive(Default)]
struct Waiting {
    job: Option<Job>,
    sleepers: usize,
    caller: bool,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    all_done: Condvar,
    /// Serial of the current job, for spinning workers.
    serial: AtomicU32,
    /// Per thread: serial of the last job in which somebody took its parts. Parts of the job before are all
    /// taken when a job begins, so whoever comes late for that one finds nothing to take.
    taken: Box<[AtomicU32]>,
    /// Threads whose parts are done.
    done: AtomicUsize,
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

/// Waits for `ready`, for a short time; whether it came.
fn spin(ready: impl Fn() -> bool) -> bool {
    for _ in 0..SPIN_ROUNDS {
        if ready() {
            return true;
        }
        std::hint::spin_loop();
    }
    false
}

impl Shared {
    /// Runs the parts of thread `own`, then those that no thread has begun.
    fn work(&self, job: Job, own: usize) {
        let shares = job.parts.min(self.taken.len());
        for share in (0..shares).map(|i| (own + i) % self.taken.len().max(1)) {
            if share < shares && self.take(share, job.serial) {
                self.run_share(job, share, shares);
            }
        }
    }

    /// Claims the parts of thread `share`.
    fn take(&self, share: usize, serial: u32) -> bool {
        let taken = &self.taken[share];
        let last = taken.load(Ordering::Acquire);
        let is_older = serial.wrapping_sub(last) as i32 > 0;
        is_older && taken.compare_exchange(last, serial, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    fn run_share(&self, job: Job, share: usize, shares: usize) {
        let parts = (share..job.parts).step_by(self.taken.len());
        // SAFETY: the parts of this share are taken but not done, so the caller still waits.
        let work = unsafe { &*job.work };
        if catch_unwind(AssertUnwindSafe(|| parts.for_each(work))).is_err() {
            self.panicked.store(true, Ordering::Release);
        }
        if self.done.fetch_add(1, Ordering::AcqRel) + 1 == shares && lock(&self.waiting).caller {
            self.all_done.notify_all();
        }
    }

    /// The life of worker `own`: spin a while for the next job, sleep, work.
    fn serve(&self, own: usize) {
        let mut seen = 0;
        loop {
            let news = || self.serial.load(Ordering::Acquire) != seen || self.stop.load(Ordering::Acquire);
            spin(news);
            let mut waiting = lock(&self.waiting);
            while !news() {
                waiting.sleepers += 1;
                waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                waiting.sleepers -= 1;
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            seen = self.serial.load(Ordering::Acquire);
            let job = waiting.job;
            drop(waiting);
            if let Some(job) = job {
                self.work(job, own);
            }
        }
    }
}

impl Pool {
    /// A pool in which `threads` threads work, the caller of [`Pool::run`] being one of them.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Condvar::new(),
            all_done: Condvar::new(),
            serial: AtomicU32::new(0),
            taken: (0..threads.max(1)).map(|_| AtomicU32::new(0)).collect(),
            done: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let (started, starts) = std::sync::mpsc::channel();
        let workers: Vec<JoinHandle<()>> = (1..threads)
            .map(|i| {
                let (shared, started) = (Arc::clone(&shared), started.clone());
                let builder = std::thread::Builder::new().name(format!("ocellus-{i}"));
                builder.spawn(move || {
                    // The pool may be gone already; then `serve` returns at once.
                    let _ = started.send(());
                    drop(started);
                    shared.serve(i)
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
    /// If `work` panicked in any part; other parts may then not have run.
    pub fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        if parts <= 1 || self.workers.is_empty() {
            return (0..parts).for_each(work);
        }
        let mut turn = lock(&self.turn);
        *turn = turn.wrapping_add(1);
        // SAFETY: only the lifetime changes. A worker calls `work` only for parts that it took, all parts that
        // were taken are counted in `done`, and this function does not return before all are; the serial keeps
        // workers that hold an older job from taking any.
        let work: *const (dyn Fn(usize) + Sync) =
            unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), _>(work) };
        let job = Job { work, parts, serial: *turn };
        let shared = &*self.shared;
        shared.done.store(0, Ordering::Release);
        let mut waiting = lock(&shared.waiting);
        waiting.job = Some(job);
        shared.serial.store(job.serial, Ordering::Release);
        let someone_sleeps = waiting.sleepers > 0;
        drop(waiting);
        // A wake-up is a system call: only where there is somebody to wake.
        if someone_sleeps {
            shared.wake.notify_all();
        }
        shared.work(job, 0);
        self.await_done(parts.min(shared.taken.len()));
        if shared.panicked.swap(false, Ordering::AcqRel) {
            panic!("a part of a step panicked");
        }
    }

    fn await_done(&self, shares: usize) {
        let finished = || self.shared.done.load(Ordering::Acquire) == shares;
        if spin(finished) {
            return;
        }
        let mut waiting = lock(&self.shared.waiting);
        waiting.caller = true;
        while !finished() {
            waiting = self.shared.all_done.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.caller = false;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(lock(&self.shared.waiting));
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
