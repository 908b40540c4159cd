//! What `ocellus watch` writes: lines of JSON on standard output, and a summary on standard error.

use ocellus::watch::board::{Board, Report};
use ocellus::watch::config::Print;
use ocellus::{Error, Result};
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

/// Where results are written.
#[derive(Clone)]
pub(super) struct Output(Arc<Inner>);

struct Inner {
    print: Print,
    /// Several cameras: each has its line in the summary.
    several: bool,
    board: OnceLock<Arc<Board>>,
    /// Nobody reads standard output any more.
    closed: AtomicBool,
    summary: Once,
    /// Scratch.
    line: Mutex<Vec<u8>>,
}

impl Output {
    pub fn new(print: Print, several: bool) -> Self {
        Output(Arc::new(Inner {
            print,
            several,
            board: OnceLock::new(),
            closed: AtomicBool::new(false),
            summary: Once::new(),
            line: Mutex::default(),
        }))
    }

    /// What the summary is made of.
    pub fn set_board(&self, board: &Arc<Board>) {
        self.0.board.get_or_init(|| Arc::clone(board));
    }

    /// Prints what is wanted of a frame; breaks where nobody reads any more.
    pub fn print(&self, report: &Report) -> Result<ControlFlow<()>> {
        match self.0.print {
            Print::Frames => self.line(report),
            Print::Events => {
                for event in &report.events {
                    if self.line(event.as_ref())?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
            Print::Nothing => Ok(ControlFlow::Continue(())),
        }
    }

    fn line(&self, what: &impl Serialize) -> Result<ControlFlow<()>> {
        let mut line = self.0.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.clear();
        serde_json::to_writer(&mut *line, what).expect("names and numbers are JSON");
        line.push(b'\n');
        let mut out = std::io::stdout().lock();
        match out.write_all(&line).and_then(|()| out.flush()) {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.0.closed.store(true, Ordering::Relaxed);
                Ok(ControlFlow::Break(()))
            }
            Err(e) => Err(Error::io("standard output", e)),
        }
    }

    /// Prints the counts, once: who comes second waits until they are out. Quietly ends where nobody reads.
    pub fn summarize(&self) {
        let Some(board) = self.0.board.get() else { return };
        if self.0.closed.load(Ordering::Relaxed) {
            return;
        }
        self.0.summary.call_once(|| {
            for panel in board.panels() {
                let camera = if self.0.several { format!("{}: ", panel.name()) } else { String::new() };
                let counts = panel.counters().snapshot();
                // Nobody may read standard error; that is no reason to fail at the end.
                drop(writeln!(std::io::stderr(), "{camera}{counts}"));
            }
        });
    }
}
