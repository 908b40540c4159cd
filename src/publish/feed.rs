//! From the board into the spools.

use super::Spool;
use crate::error::{Error, Result};
use crate::watch::board::{Board, Subscription};
use crossbeam_channel::{Receiver, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Tells an outlet that something is in its spool; it must return at once.
pub type Bell = Box<dyn Fn() + Send>;

/// The thread that puts each event of a board into spools. When this is dropped, all that had happened is in them.
pub struct Feed {
    bell: Option<Subscription>,
    stop: Option<crossbeam_channel::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Begins with the events that the board has already.
    ///
    /// # Errors
    /// [`Error::Io`] if the system gives no thread.
    pub fn start(board: Arc<Board>, spools: Vec<(Arc<Spool>, Bell)>) -> Result<Feed> {
        let (wake, woken) = bounded(1);
        let stop = wake.clone();
        // What is on the board already.
        let _ = wake.try_send(());
        // Where there is no place in the channel the thread has been woken already.
        let bell = board.subscribe(move || _ = wake.try_send(()));
        let thread = std::thread::Builder::new().name("publish".into());
        let thread =
            thread.spawn(move || run(&board, &spools, &woken)).map_err(|e| Error::io("publish thread", e))?;
        Ok(Feed { bell: Some(bell), stop: Some(stop), thread: Some(thread) })
    }
}

fn run(board: &Board, spools: &[(Arc<Spool>, Bell)], woken: &Receiver<()>) {
    let mut last = 0;
    loop {
        // With all senders gone there is one more round, for what came last.
        let over = woken.recv().is_err();
        let (new, lost) = board.events().after(last);
        if lost > 0 {
            log::warn!("{lost} events came faster than they could be written, and are lost");
        }
        for event in &new {
            last = event.number;
            let json = serde_json::to_vec(&**event).expect("names and numbers are JSON");
            for (spool, bell) in spools {
                spool.push(&json);
                bell();
            }
        }
        if over {
            return;
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        drop(self.bell.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has told its panic, if it had one.
            let _ = thread.join();
        }
    }
}
