//! Pictures of cameras as JPEG: encoded once for all who look, and only while somebody looks.

use crate::error::{Error, Result};
use crate::image::{self, Frame, Painter};
use crate::limits::HTTP_PICTURE_WIDTH_MAX;
use crate::watch::board::{Board, Panel, Subscription, View, Viewer};
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::borrow::Cow;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Least time from one picture to the next: more would be wasted on people.
const PERIOD: Duration = Duration::from_millis(60);
/// The thread rests this many times as long as it worked: inference shall not feel it.
const REST_PER_WORK: u32 = 3;
const QUALITY: u8 = 80;

/// Which picture of a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// With what was found drawn into it.
    pub boxes: bool,
    /// In full size; otherwise at most [`HTTP_PICTURE_WIDTH_MAX`] wide.
    pub full: bool,
}

impl Look {
    const ALL: [Look; 4] = [
        Look { boxes: false, full: false },
        Look { boxes: true, full: false },
        Look { boxes: false, full: true },
        Look { boxes: true, full: true },
    ];

    fn index(self) -> usize {
        usize::from(self.boxes) + 2 * usize::from(self.full)
    }
}

/// A picture; of frame 0 before there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Picture {
    pub frame: u64,
    pub jpeg: Bytes,
}

type Looks = [watch::Sender<Picture>; Look::ALL.len()];

/// The pictures of all cameras.
pub(super) struct Pictures {
    cameras: Arc<Vec<Looks>>,
    wake: Sender<()>,
}

impl Pictures {
    /// Starts the thread, which sleeps while nobody looks and ends with the pictures.
    pub fn start(board: Arc<Board>) -> Result<Self> {
        let cameras: Arc<Vec<Looks>> = Arc::new(board.panels().iter().map(|_| Looks::default()).collect());
        let (wake, woken) = bounded(1);
        let eyes = board.panels().iter().map(|_| None).collect();
        let worker =
            Worker { cameras: Arc::downgrade(&cameras), wake: wake.clone(), bell: None, eyes, board };
        let thread = std::thread::Builder::new().name("pictures".into()).spawn(move || worker.run(&woken));
        thread.map_err(|e| Error::io("picture thread", e))?;
        Ok(Pictures { cameras, wake })
    }

    /// Pictures of a camera from now on.
    pub fn look(&self, camera: usize, look: Look) -> watch::Receiver<Picture> {
        let receiver = self.cameras[camera][look.index()].subscribe();
        ring(&self.wake);
        receiver
    }
}

impl Drop for Pictures {
    fn drop(&mut self) {
        self.cameras = Arc::default();
        ring(&self.wake);
    }
}

/// Wakes the thread. Where there is no place in the channel it has been woken already.
fn ring(wake: &Sender<()>) {
    let _ = wake.try_send(());
}

/// Looks at a camera for somebody.
struct Eye {
    viewer: Viewer,
    /// Number of the frame that was there before, of whatever time.
    stale: u64,
}

impl Eye {
    fn open(panel: &Arc<Panel>) -> Self {
        let viewer = panel.viewer();
        let stale = viewer.view().report.frame;
        Eye { viewer, stale }
    }
}

struct Worker {
    board: Arc<Board>,
    cameras: Weak<Vec<Looks>>,
    wake: Sender<()>,
    /// Wakes the thread with each frame, while somebody looks.
    bell: Option<Subscription>,
    eyes: Vec<Option<Eye>>,
}

impl Worker {
    fn run(mut self, woken: &Receiver<()>) {
        while woken.recv().is_ok() {
            let Some(cameras) = self.cameras.upgrade() else { return };
            let start = Instant::now();
            for ((looks, panel), eye) in cameras.iter().zip(self.board.panels()).zip(&mut self.eyes) {
                if looks.iter().all(|look| look.receiver_count() == 0) {
                    *eye = None;
                } else {
                    show(eye.get_or_insert_with(|| Eye::open(panel)), looks);
                }
            }
            drop(cameras);
            if !self.eyes.iter().any(Option::is_some) {
                self.bell = None;
            } else if self.bell.is_none() {
                let wake = self.wake.clone();
                self.bell = Some(self.board.subscribe(move || ring(&wake)));
            }
            std::thread::sleep((start.elapsed() * REST_PER_WORK).max(PERIOD));
        }
    }
}

/// Encodes the newest frame for those who wait for it.
fn show(eye: &Eye, looks: &Looks) {
    let view = eye.viewer.view();
    let frame = view.report.frame;
    if frame == eye.stale || !view.frame.is_consistent() {
        return;
    }
    for look in Look::ALL {
        let sender = &looks[look.index()];
        if sender.receiver_count() == 0 || sender.borrow().frame == frame {
            continue;
        }
        match encode(&view, look) {
            Ok(jpeg) => drop(sender.send_replace(Picture { frame, jpeg: jpeg.into() })),
            Err(error) => log::warn!("{}: {error}", view.report.camera),
        }
    }
}

fn encode(view: &View, look: Look) -> Result<Vec<u8>> {
    let shrink = if look.full { 1 } else { view.frame.width.div_ceil(HTTP_PICTURE_WIDTH_MAX) };
    let mut frame = Cow::Borrowed(&view.frame);
    if shrink > 1 {
        frame = Cow::Owned(frame.shrunk(shrink));
    }
    if look.boxes {
        draw(frame.to_mut(), view);
    }
    image::to_jpeg(&frame, QUALITY)
}

/// Draws what was found; boxes are in pixels of the report's picture, of which `frame` is a smaller one.
fn draw(frame: &mut Frame, view: &View) {
    let painter = Painter::new(frame.width, frame.height);
    let scale = frame.width as f32 / view.report.width.max(1) as f32;
    let scaled = |bbox: [f32; 4]| bbox.map(|x| x * scale);
    for seen in &view.report.detections {
        painter.outline(frame, scaled(seen.bbox), seen.class_id);
    }
    for seen in view.report.detections.iter().rev() {
        let label = format!("{} {:.2}", seen.class, seen.score);
        painter.label(frame, scaled(seen.bbox), seen.class_id, &label);
    }
}
