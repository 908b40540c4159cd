//! Work on many items, shared among threads.

use crate::error::Result;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of threads where the caller does not say: one per core.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Runs `work` on every item, on `threads` threads, each with a state of its own that `make` gives. Returns the
/// states. Which items a state has seen is not determined; what is made of all states together has to be.
///
/// # Errors
/// The error of the first item (in their order) that has one, or of `make`.
pub fn share<T: Sync, S: Send>(
    items: &[T],
    threads: usize,
    make: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize, &T) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let run = || {
        let mut state = make()?;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(state) };
            if let Err(error) = work(&mut state, at, item) {
                // The others stop after their present item; earlier items are all begun.
                next.store(items.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                if failed.as_ref().is_none_or(|(first, _)| at < *first) {
                    *failed = Some((at, error));
                }
                return Ok(state);
            }
        }
    };
    let states: Vec<Result<S>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(run)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    match failed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some((_, error)) => Err(error),
        None => states.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn every_item_is_seen_once_and_the_first_error_wins() {
        let items: Vec<u64> = (1..=100).collect();
        for threads in [1, 3, 200] {
            let sums = share(
                &items,
                threads,
                || Ok(0),
                |sum, _, item| {
                    *sum += item;
                    Ok(())
                },
            )
            .unwrap();
            assert_eq!(sums.iter().sum::<u64>(), 5050);
            let odd = |_: &mut (), at: usize, item: &u64| match item % 10 {
                0 => Err(Error::Usage(format!("item {at}"))),
                _ => Ok(()),
            };
            let error = share(&items, threads, || Ok(()), odd).unwrap_err();
            assert_eq!(error.to_string(), "item 9");
        }
    }
}
