//! Answers without end: pictures, detections and events as they come.
//!
//! Each has a task that waits for what is new and a channel of one place. A client that reads slowly keeps its task
//! waiting, which then takes what is newest: what came in between is left out for that client alone. One that does
//! not read at all loses its connection (see [`super::patience`]).

use super::guard::Refusal;
use super::pictures::Look;
use super::reply::{Reply, endless};
use super::site::Site;
use bytes::Bytes;
use hyper::StatusCode;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// Something is sent at least as often, so that a client that has gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);
const EVENT_STREAM: &str = "text/event-stream";
const MJPEG: &str = "multipart/x-mixed-replace; boundary=frame";

/// Runs `task` with the sending end of an endless answer, while there is a place for one.
fn stream<T>(
    site: &Arc<Site>,
    kind: &'static str,
    task: impl FnOnce(Arc<Site>, mpsc::Sender<Bytes>) -> T,
) -> Result<Reply, Refusal>
where
    T: Future<Output = Option<()>> + Send + 'static,
{
    let Ok(place) = Arc::clone(&site.streams).try_acquire_owned() else {
        return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "too many watch already"));
    };
    let (sender, receiver) = mpsc::channel(1);
    let task = task(Arc::clone(site), sender.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = task => {}
            () = sender.closed() => {}
        }
        drop(place);
    });
    Ok(endless(kind, receiver))
}

/// Pictures of a camera as MJPEG. Each part says in `X-Frame` which frame it shows.
pub(super) fn pictures(site: &Arc<Site>, camera: usize, look: Look) -> Result<Reply, Refusal> {
    stream(site, MJPEG, move |site, sender| async move {
        let mut pictures = site.pictures.look(camera, look);
        loop {
            pictures.changed().await.ok()?;
            let picture = pictures.borrow_and_update().clone();
            let head = format!(
                "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\nX-Frame: {}\r\n\r\n",
                picture.jpeg.len(),
                picture.frame
            );
            for chunk in [head.into(), picture.jpeg, Bytes::from_static(b"\r\n")] {
                sender.send(chunk).await.ok()?;
            }
        }
    })
}

/// Results of a camera's frames as server-sent events.
pub(super) fn detections(site: &Arc<Site>, camera: usize) -> Result<Reply, Refusal> {
    stream(site, EVENT_STREAM, move |site, sender| async move {
        let (_bell, changed) = changes(&site);
        let mut last = 0;
        loop {
            let report = site.board.panels()[camera].report();
            if report.frame != last {
                last = report.frame;
                let data = serde_json::to_string(&*report).expect("names and numbers are JSON");
                sender.send(format!("id: {last}\ndata: {data}\n\n").into()).await.ok()?;
            }
            beat(&changed, &sender).await?;
        }
    })
}

/// Events of all cameras as server-sent events, those in the list first.
pub(super) fn events(site: &Arc<Site>) -> Result<Reply, Refusal> {
    stream(site, EVENT_STREAM, move |site, sender| async move {
        let (_bell, changed) = changes(&site);
        let mut last = 0;
        loop {
            for event in site.board.events().after(last).0 {
                last = event.number;
                let data = serde_json::to_string(&*event).expect("names and numbers are JSON");
                sender.send(format!("id: {}\ndata: {data}\n\n", event.id).into()).await.ok()?;
            }
            beat(&changed, &sender).await?;
        }
    })
}

/// A notification for each publication on the board.
fn changes(site: &Site) -> (crate::watch::board::Subscription, Arc<Notify>) {
    let changed = Arc::new(Notify::new());
    let bell = Arc::clone(&changed);
    (site.board.subscribe(move || bell.notify_one()), changed)
}

/// Waits for a change; sends a comment where none comes for long.
async fn beat(changed: &Notify, sender: &mpsc::Sender<Bytes>) -> Option<()> {
    while timeout(HEARTBEAT, changed.notified()).await.is_err() {
        sender.send(Bytes::from_static(b":\n\n")).await.ok()?;
    }
    Some(())
}
