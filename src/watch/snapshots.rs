//! Pictures of events in a folder that never grows above its size.
//!
//! A thread of its own draws and writes; the pipeline only hands over a copy of the frame, and counts what the thread
//! has no time for. A full disk costs pictures, nothing else.

use super::board::{Panel, Report, Seen};
use super::capture::is_worth_a_line;
use super::config;
use super::names::plain;
use crate::detect::{Detection, Names, annotate};
use crate::error::{Error, Result};
use crate::image::{self, Frame};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Pictures that wait for the thread; each is a whole frame in memory.
const WAITING_MAX: usize = 2;
/// Suffix of pictures that are not whole yet.
const UNFINISHED: &str = ".part.jpg";

/// Writes pictures of events.
#[derive(Debug)]
pub struct Snapshots {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    config: config::Snapshots,
}

#[derive(Debug)]
struct Job {
    name: String,
    frame: Frame,
    found: Vec<Detection>,
    panel: Arc<Panel>,
}

impl Snapshots {
    /// The folder is used, and made if it must be, with the first picture: it may be on a disk that comes later.
    ///
    /// # Errors
    /// [`Error::Io`]: the system gives no thread.
    pub fn start(config: &config::Snapshots, names: &Names) -> Result<Self> {
        let (jobs, queue) = bounded(WAITING_MAX);
        let (names, place) = (names.clone(), config.clone());
        let thread = std::thread::Builder::new().name("snapshots".into());
        let thread = thread.spawn(move || write_all(&queue, &place, &names));
        let thread = thread.map_err(|e| Error::io("snapshot thread", e))?;
        Ok(Snapshots { jobs: Some(jobs), thread: Some(thread), config: config.clone() })
    }

    /// Tries whether the folder can be used.
    ///
    /// # Errors
    /// [`Error::Io`]: it can be neither made nor read.
    pub fn probe(config: &config::Snapshots) -> Result<()> {
        Shelf::open(config).map(drop)
    }

    /// What it was started with.
    pub fn config(&self) -> &config::Snapshots {
        &self.config
    }

    /// The name that a picture of this frame will have.
    pub(super) fn name(report: &Report) -> String {
        let camera: String = plain(&report.camera).chars().take(NAME_CHARS_MAX).collect();
        // The time comes first, so that names sort by age; colons are no part of a name everywhere.
        let time: String = report.time.to_string().chars().filter(|c| !matches!(c, ':' | '-')).collect();
        format!("{time}-{camera}-{}.jpg", report.frame)
    }

    /// Has the picture written, later; counts it as failed where too many wait already.
    pub(super) fn take(&self, name: &str, report: &Report, frame: &Frame, panel: &Arc<Panel>) {
        let detection =
            |seen: &Seen| Detection { class_id: seen.class_id, score: seen.score, bbox: seen.bbox };
        let job = Job {
            name: name.into(),
            frame: frame.clone(),
            found: report.detections.iter().map(detection).collect(),
            panel: Arc::clone(panel),
        };
        match self.jobs.as_ref().map(|jobs| jobs.try_send(job)) {
            Some(Err(TrySendError::Full(job) | TrySendError::Disconnected(job))) => {
                failed(&job.panel, "more pictures than can be written in time");
            }
            Some(Ok(())) | None => {}
        }
    }
}

/// Longest part of a camera's name in a file's name.
const NAME_CHARS_MAX: usize = 64;

impl Drop for Snapshots {
    /// Waits for the pictures that were handed over.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It has told its panic, if it had one.
            let _ = thread.join();
        }
    }
}

fn failed(panel: &Panel, why: &str) {
    let count = panel.counters().count_snapshot(false);
    if is_worth_a_line(count) {
        log::warn!("{}: no snapshot: {why} ({count} so far)", panel.name());
    }
}

fn write_all(queue: &Receiver<Job>, place: &config::Snapshots, names: &Names) {
    let mut shelf = None;
    for Job { name, mut frame, found, panel } in queue {
        annotate(&mut frame, &found, names);
        let written = match &mut shelf {
            Some(shelf) => Ok(shelf),
            None => Shelf::open(place).map(|new| shelf.insert(new)),
        };
        match written.and_then(|shelf| shelf.put(&name, &frame)) {
            Ok(()) => drop(panel.counters().count_snapshot(true)),
            Err(error) => failed(&panel, &error.to_string()),
        }
    }
}

/// The folder and the pictures in it.
#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    bytes_max: u64,
    bytes: u64,
    /// Oldest first.
    pictures: VecDeque<(String, u64)>,
}

impl Shelf {
    fn open(place: &config::Snapshots) -> Result<Self> {
        Shelf::with_room(&place.folder, place.max_mb.bytes())
    }

    /// Makes the folder if it must be, and removes the oldest pictures in it where they are too large together.
    fn with_room(folder: &Path, bytes_max: u64) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let mut pictures = Vec::new();
        for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
            let entry = entry.map_err(|e| Error::io(folder, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_ours(&name) {
                continue;
            }
            if name.ends_with(UNFINISHED) {
                // Of a run that was cut off.
                let _ = fs::remove_file(entry.path());
            } else {
                // What is gone meanwhile takes no room.
                pictures.push((name, entry.metadata().map_or(0, |data| data.len())));
            }
        }
        pictures.sort();
        let bytes = pictures.iter().map(|(_, bytes)| bytes).sum();
        let mut shelf = Shelf { folder: folder.to_owned(), bytes_max, bytes, pictures: pictures.into() };
        shelf.make_room();
        Ok(shelf)
    }

    fn put(&mut self, name: &str, frame: &Frame) -> Result<()> {
        let path = self.folder.join(name);
        let unfinished = self.folder.join(format!("{name}{UNFINISHED}"));
        let saved = image::save(frame, &unfinished)
            .and_then(|()| fs::rename(&unfinished, &path).map_err(|e| Error::io(&path, e)));
        if let Err(error) = saved {
            let _ = fs::remove_file(&unfinished);
            return Err(error);
        }
        let bytes = fs::metadata(&path).map_or(0, |data| data.len());
        self.bytes += bytes;
        self.pictures.push_back((name.into(), bytes));
        self.make_room();
        Ok(())
    }

    /// Removes the oldest pictures until the rest fits.
    fn make_room(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((name, bytes)) = self.pictures.pop_front() else { return };
            // Somebody may have removed it already; what cannot be removed is not counted for ever.
            let _ = fs::remove_file(self.folder.join(name));
            self.bytes -= bytes;
        }
    }
}

/// Whether a name is one that [`Snapshots::name`] gives: only such files are ever removed.
fn is_ours(name: &str) -> bool {
    let digits = |from: usize, to: usize| {
        name.get(from..to).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let marks = [(8, b'T'), (15, b'.'), (19, b'Z'), (20, b'-')];
    let marked = marks.iter().all(|&(at, mark)| name.as_bytes().get(at) == Some(&mark));
    marked && digits(0, 8) && digits(9, 15) && digits(16, 19) && name.ends_with(".jpg")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Stamp;
    use std::time::{Duration, UNIX_EPOCH};

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("ocellus-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn name(second: u64) -> String {
        let time = Stamp(UNIX_EPOCH + Duration::from_secs(second));
        Snapshots::name(&Report { camera: "front/door".into(), frame: 7, time, ..Report::default() })
    }

    fn picture() -> Frame {
        Frame::new(64, 64, (0..64 * 64 * 3).map(|i| (i * 7919 % 251) as u8).collect()).unwrap()
    }

    #[test]
    fn names_sort_by_age_and_lead_nowhere() {
        assert_eq!(name(1_709_210_096), "20240229T123456.000Z-front_door-7.jpg");
        assert!(is_ours(&name(0)) && name(9) < name(10));
        for other in ["holiday.jpg", "20240229T123456.000Z-a.png", "20240229-123456.000Z-a.jpg", "é", ""] {
            assert!(!is_ours(other), "{other}");
        }
    }

    /// A folder with room for three pictures keeps the newest three, also over a restart, and what is not ours.
    #[test]
    fn the_oldest_pictures_go() {
        let folder = Folder::new("shelf");
        let mut shelf = Shelf::with_room(&folder.0, u64::MAX).unwrap();
        shelf.put(&name(1), &picture()).unwrap();
        let size = shelf.bytes;
        assert!(size > 500);
        fs::write(folder.0.join("holiday.jpg"), vec![0; 9 * size as usize]).unwrap();
        let foreign = format!("holiday{UNFINISHED}");
        fs::write(folder.0.join(&foreign), "a part of the holiday").unwrap();
        fs::write(folder.0.join(format!("{}{UNFINISHED}", name(2))), "half").unwrap();
        let mut shelf = Shelf::with_room(&folder.0, 3 * size).unwrap();
        (3..=6).for_each(|second| shelf.put(&name(second), &picture()).unwrap());
        assert_eq!(folder.names(), [name(4), name(5), name(6), "holiday.jpg".into(), foreign.clone()]);
        drop(Shelf::with_room(&folder.0, size).unwrap());
        assert_eq!(folder.names(), [name(6), "holiday.jpg".into(), foreign]);
    }

    /// A file in place of the folder stands for a disk that takes nothing: pictures fail and are counted, and when the
    /// folder can be made they are written.
    #[test]
    fn pictures_that_cannot_be_written_are_counted() {
        let folder = Folder::new("full");
        let config = config::Snapshots { folder: folder.0.clone(), max_mb: Default::default() };
        let snapshots = Snapshots::start(&config, &Names::coco()).unwrap();
        let panel = crate::watch::board::test_panel();
        let counts = || (panel.counters().snapshot().snapshots, panel.counters().snapshot().snapshots_failed);
        let take = |second| snapshots.take(&name(second), &Report::default(), &picture(), &panel);
        let wait = |done: u64| {
            while counts().0 + counts().1 < done {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        fs::write(&folder.0, "in the way").unwrap();
        assert!(Snapshots::probe(&config).is_err());
        take(1);
        wait(1);
        fs::remove_file(&folder.0).unwrap();
        take(2);
        wait(2);
        fs::remove_dir_all(&folder.0).unwrap();
        take(3);
        wait(3);
        fs::create_dir_all(&folder.0).unwrap();
        take(4);
        wait(4);
        assert_eq!(counts(), (2, 2));
        drop(snapshots);
        assert_eq!(folder.names(), [name(4)]);
    }
}
