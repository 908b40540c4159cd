//! How the daemon is, as JSON.

use super::reply::{Reply, words};
use crate::bench::host::Host;
use crate::watch::board;
use crate::watch::board::{About, Board, Counts, LATENCY_BOUNDS_MS, Panel, State};
use hyper::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A camera whose newest frame is older is not well.
const FRESH: Duration = Duration::from_secs(30);

/// Everything but pictures and detections.
#[derive(Serialize)]
pub(super) struct Status<'a> {
    about: &'a About,
    uptime_seconds: f64,
    host: Host,
    /// Whether the CPU runs slower than it could, where the system tells.
    throttled: Option<bool>,
    latency_bounds_ms: [u32; LATENCY_BOUNDS_MS.len()],
    cameras: Vec<Camera<'a>>,
}

#[derive(Serialize)]
struct Camera<'a> {
    name: &'a str,
    #[serde(flatten)]
    status: Arc<board::Status>,
    counts: Counts,
}

impl<'a> Status<'a> {
    pub fn of(board: &'a Board) -> Self {
        let camera = |panel: &'a Arc<Panel>| Camera {
            name: panel.name(),
            status: panel.status(),
            counts: panel.counters().snapshot(),
        };
        let host = Host::read();
        Status {
            about: board.about(),
            uptime_seconds: board.uptime().as_secs_f64(),
            throttled: host.is_throttled(),
            host,
            latency_bounds_ms: LATENCY_BOUNDS_MS,
            cameras: board.panels().iter().map(camera).collect(),
        }
    }
}

/// Whether frames of all cameras are answered.
pub(super) fn health(board: &Board) -> Reply {
    let ill = |panel: &&Arc<Panel>| match panel.status().state {
        State::Running => panel.report().time.0.elapsed().is_ok_and(|age| age > FRESH),
        State::Starting => board.uptime() > FRESH,
        State::Lost => true,
        // A file has an end, and is well.
        State::Ended => !panel.status().why.is_empty(),
    };
    let ill: Vec<&str> = board.panels().iter().filter(ill).map(|panel| panel.name()).collect();
    match &ill[..] {
        [] => words(StatusCode::OK, "ok"),
        _ => words(StatusCode::SERVICE_UNAVAILABLE, format!("no frames from: {}", ill.join(", "))),
    }
}
