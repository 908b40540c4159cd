//! Events that wait until somebody has confirmed them.

use super::Outlet;
use crate::error::{Error, Result};
use crate::limits::{SPOOL_EVENT_BYTES_MAX, SPOOL_EVENTS_MAX};
use std::collections::VecDeque;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SUFFIX: &str = "json";

/// A queue of events, oldest first, of which each is a file of its own, so that it outlives this process. What a file
/// costs is little where the event is confirmed soon: a file that is gone again before the system writes its caches out
/// (seconds) never reaches the disk, and nothing here asks for it to be written earlier. So a power cut can cost the
/// events of the last seconds, the end of the process none.
///
/// Beyond [`SPOOL_EVENTS_MAX`] the oldest are dropped. Without a folder, or where it takes no file, events wait in
/// memory.
pub struct Spool {
    folder: Option<PathBuf>,
    outlet: Arc<Outlet>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    /// Number of the next event; files are named by it.
    next: u64,
    /// Files that could not be written so far.
    failures: u64,
}

struct Entry {
    number: u64,
    /// The event, where it has no file.
    kept: Option<Arc<[u8]>>,
}

/// An event that waits, for [`Spool::confirm`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    number: u64,
    /// The event as it was put in.
    pub event: Arc<[u8]>,
}

impl Spool {
    /// Opens the queue in `folder`, which is made where it is absent, with what still waits there.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder cannot be made or read.
    pub fn open(folder: Option<&Path>, outlet: Arc<Outlet>) -> Result<Self> {
        let mut numbers = match folder {
            Some(folder) => read_folder(folder)?,
            None => Vec::new(),
        };
        numbers.sort_unstable();
        let next = numbers.last().map_or(0, |last| last + 1);
        let waiting = numbers.into_iter().map(|number| Entry { number, kept: None }).collect();
        let spool = Spool {
            folder: folder.map(Path::to_owned),
            outlet,
            queue: Mutex::new(Queue { waiting, next, failures: 0 }),
        };
        spool.bound(&mut spool.lock());
        Ok(spool)
    }

    /// Appends an event.
    pub fn push(&self, event: &[u8]) {
        let mut queue = self.lock();
        let number = queue.next;
        queue.next += 1;
        let kept = match self.write(number, event) {
            None => Some(event.into()),
            Some(Ok(())) => None,
            Some(Err(e)) => {
                queue.failures += 1;
                // A full disk fills no log.
                if queue.failures.is_power_of_two() {
                    log::warn!(
                        "{}: {e}; events wait in memory ({} so far)",
                        self.outlet.name,
                        queue.failures
                    );
                }
                Some(event.into())
            }
        };
        queue.waiting.push_back(Entry { number, kept });
        self.bound(&mut queue);
    }

    /// The oldest event. It stays until it is confirmed.
    pub fn oldest(&self) -> Option<Waiting> {
        let mut queue = self.lock();
        loop {
            let Entry { number, kept } = queue.waiting.front()?;
            let event = kept.clone().or_else(|| self.read(*number));
            match event {
                Some(event) => return Some(Waiting { number: *number, event }),
                // Damaged by a power cut, or taken away.
                None => self.drop_oldest(&mut queue),
            }
        }
    }

    /// The event has arrived: it waits no more.
    pub fn confirm(&self, arrived: &Waiting) {
        let mut queue = self.lock();
        // It may have been dropped meanwhile, as the oldest of too many.
        if queue.waiting.front().is_some_and(|oldest| oldest.number == arrived.number) {
            self.forget(&mut queue);
            self.outlet.sent.fetch_add(1, Relaxed);
        }
        self.outlet.waiting.store(queue.waiting.len(), Relaxed);
    }

    /// Gives the oldest event up.
    pub fn refuse(&self, refused: &Waiting) {
        let mut queue = self.lock();
        if queue.waiting.front().is_some_and(|oldest| oldest.number == refused.number) {
            self.drop_oldest(&mut queue);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Each change leaves the queue whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bound(&self, queue: &mut Queue) {
        while queue.waiting.len() > SPOOL_EVENTS_MAX {
            self.drop_oldest(queue);
        }
        self.outlet.waiting.store(queue.waiting.len(), Relaxed);
    }

    fn drop_oldest(&self, queue: &mut Queue) {
        self.forget(queue);
        let dropped = self.outlet.dropped.fetch_add(1, Relaxed) + 1;
        if dropped.is_power_of_two() {
            log::warn!("{}: an event is lost ({dropped} so far)", self.outlet.name);
        }
        self.outlet.waiting.store(queue.waiting.len(), Relaxed);
    }

    fn forget(&self, queue: &mut Queue) {
        let Some(Entry { number, kept }) = queue.waiting.pop_front() else { return };
        if kept.is_none()
            && let Some(path) = self.path(number, SUFFIX)
        {
            // Where it cannot be removed it is sent again after a restart, with the same id.
            if let Err(e) = fs::remove_file(&path) {
                log::debug!("{}: {e}", path.display());
            }
        }
    }

    fn path(&self, number: u64, suffix: &str) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{number:016x}.{suffix}")))
    }

    /// `None` where there is no folder.
    fn write(&self, number: u64, event: &[u8]) -> Option<std::io::Result<()>> {
        let (path, part) = (self.path(number, SUFFIX)?, self.path(number, "part")?);
        let written = fs::write(&part, event).and_then(|()| fs::rename(&part, &path));
        if written.is_err() {
            let _ = fs::remove_file(&part);
        }
        Some(written)
    }

    fn read(&self, number: u64) -> Option<Arc<[u8]>> {
        let file = fs::File::open(self.path(number, SUFFIX)?).ok()?;
        let mut event = Vec::new();
        file.take(SPOOL_EVENT_BYTES_MAX + 1).read_to_end(&mut event).ok()?;
        let whole = event.len() as u64 <= SPOOL_EVENT_BYTES_MAX
            && serde_json::from_slice::<serde::de::IgnoredAny>(&event).is_ok();
        whole.then(|| event.into())
    }
}

/// Numbers of the events in a folder. What a crash has left half written is removed.
fn read_folder(folder: &Path) -> Result<Vec<u64>> {
    let all = || -> std::io::Result<Vec<u64>> {
        fs::create_dir_all(folder)?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok());
            match (number, path.extension().and_then(|suffix| suffix.to_str())) {
                (Some(number), Some(SUFFIX)) => numbers.push(number),
                (Some(_), Some("part")) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok(numbers)
    };
    all().map_err(|e| Error::io(folder, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet() -> Arc<Outlet> {
        Arc::new(Outlet::new("test"))
    }

    fn event(number: usize) -> Vec<u8> {
        format!("{{\"n\":{number}}}").into_bytes()
    }

    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("ocellus-spool-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn drain(spool: &Spool) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let oldest = spool.oldest()?;
            spool.confirm(&oldest);
            Some(oldest.event.to_vec())
        })
        .collect()
    }

    #[test]
    fn an_event_waits_until_it_is_confirmed_even_over_a_restart() {
        let folder = folder("restart");
        let spool = Spool::open(Some(&folder), outlet()).unwrap();
        (0..3).for_each(|n| spool.push(&event(n)));
        let first = spool.oldest().unwrap();
        assert_eq!(spool.oldest(), Some(first.clone()), "looking takes nothing away");
        spool.confirm(&first);
        spool.confirm(&first);
        drop(spool);
        fs::write(folder.join("00000000000000ff.part"), "{").unwrap();
        let outlet = outlet();
        let spool = Spool::open(Some(&folder), outlet.clone()).unwrap();
        assert_eq!(outlet.waiting.load(Relaxed), 2);
        spool.push(&event(3));
        assert_eq!(drain(&spool), [event(1), event(2), event(3)]);
        assert_eq!((outlet.sent.load(Relaxed), outlet.dropped.load(Relaxed)), (3, 0));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn damaged_and_foreign_files_are_passed_over() {
        let folder = folder("damaged");
        let outlet = outlet();
        let spool = Spool::open(Some(&folder), outlet.clone()).unwrap();
        (0..4).for_each(|n| spool.push(&event(n)));
        fs::write(folder.join("0000000000000000.json"), "").unwrap();
        fs::write(folder.join("0000000000000001.json"), "x".repeat(1 << 20)).unwrap();
        fs::remove_file(folder.join("0000000000000002.json")).unwrap();
        fs::write(folder.join("readme.json"), "{}").unwrap();
        assert_eq!(drain(&spool), [event(3)]);
        assert_eq!(outlet.dropped.load(Relaxed), 3);
        assert!(folder.join("readme.json").exists());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_oldest_go_where_too_many_wait() {
        let outlet = outlet();
        let spool = Spool::open(None, outlet.clone()).unwrap();
        (0..SPOOL_EVENTS_MAX).for_each(|n| spool.push(&event(n)));
        let oldest = spool.oldest().unwrap();
        (0..2).for_each(|n| spool.push(&event(SPOOL_EVENTS_MAX + n)));
        // What was dropped meanwhile confirms nothing else.
        spool.confirm(&oldest);
        assert_eq!(outlet.waiting.load(Relaxed), SPOOL_EVENTS_MAX);
        assert_eq!((outlet.sent.load(Relaxed), outlet.dropped.load(Relaxed)), (0, 2));
        assert_eq!(&*spool.oldest().unwrap().event, event(2));
    }

    #[test]
    fn where_no_file_can_be_written_events_wait_in_memory() {
        let folder = folder("full");
        let spool = Spool::open(Some(&folder), outlet()).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        (0..2).for_each(|n| spool.push(&event(n)));
        assert_eq!(drain(&spool), [event(0), event(1)]);
        fs::write(&folder, "no folder").unwrap();
        assert!(Spool::open(Some(&folder), outlet()).is_err());
        fs::remove_file(&folder).unwrap();
    }
}
