//! What the answers are made of.

use super::guard::{Guard, Refusal};
use super::pictures::Pictures;
use super::settings::Settings;
use crate::publish::Outlet;
use crate::watch::board::Board;
use hyper::StatusCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use tokio::sync::Semaphore;

/// Everything that a request may ask for.
pub(super) struct Site {
    pub board: Arc<Board>,
    pub guard: Guard,
    pub pictures: Pictures,
    pub settings: Arc<dyn Settings>,
    /// Who gets events besides the page.
    pub outlets: Vec<Arc<Outlet>>,
    /// Places for endless answers.
    pub streams: Arc<Semaphore>,
    pub counters: Counters,
}

/// What is counted about connections.
#[derive(Default)]
pub(super) struct Counters {
    /// Open now.
    pub connections: AtomicUsize,
    /// Closed at once, since too many were open.
    pub refused: AtomicU64,
}

impl Site {
    /// Index of the camera of this name; without a name the first one.
    pub fn camera(&self, name: Option<&str>) -> Result<usize, Refusal> {
        let panels = self.board.panels();
        let found = match name {
            Some(name) => panels.iter().position(|panel| panel.name() == name),
            None => (!panels.is_empty()).then_some(0),
        };
        found.ok_or(Refusal(StatusCode::NOT_FOUND, "no camera of this name; /api/status lists them"))
    }
}
