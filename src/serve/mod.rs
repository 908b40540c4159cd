//! The web page of a daemon, and what programs read of it.
//!
//! ```text
//!  board ─────────────► routes ─► one answer: page, status, detections, events, metrics
//!        ─bell─► streams ───────► endless answers: detections and events as they come
//!        ─bell─► pictures (a thread) ─JPEG─► streams: encoded once for all, only while somebody looks
//! ```
//!
//! One thread answers everybody and sleeps while nobody asks. It trusts no one: heads, bodies, connections and waiting
//! have limits (`limits.rs`, `listen`, `patience`), a foreign web page gets nothing (`guard`), and nothing that a
//! request says becomes the name of a file (`routes`). Nobody who reads slowly is waited for.

mod facts;
mod guard;
mod listen;
mod metrics;
mod patience;
mod pictures;
mod reply;
mod routes;
mod settings;
mod site;
mod streams;

pub use guard::Token;
pub use settings::Settings;

use crate::error::{Error, Result};
use crate::limits::HTTP_STREAMS_MAX;
use crate::publish::Outlet;
use crate::watch::board::Board;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime;
use tokio::sync::{Semaphore, oneshot};

/// What a server needs besides the board.
pub struct Options {
    /// Where to listen; port 0: any.
    pub address: SocketAddr,
    /// What a client must know. Only on addresses of this machine alone can it be absent.
    pub token: Option<Token>,
    /// Who gets events besides the page, for the metrics.
    pub outlets: Vec<Arc<Outlet>>,
    /// What the page may know and change.
    pub settings: Arc<dyn Settings>,
}

/// Whether a server may listen there, as [`Server::start`] finds; nothing is listened to.
///
/// # Errors
/// [`Error::Usage`] if other machines could come in without a token.
pub fn check(address: SocketAddr, token: Option<Token>) -> Result<()> {
    guard::Guard::new(address, token).map(drop)
}

/// A server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens and answers, on a thread of its own.
    ///
    /// # Errors
    /// [`Error::Usage`] if the port is taken or other machines could come in without a token, [`Error::Io`] if the
    /// system refuses the address or a thread.
    pub fn start(board: Arc<Board>, options: Options) -> Result<Server> {
        let guard = guard::Guard::new(options.address, options.token)?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| Error::io("http runtime", e))?;
        let listener = runtime.block_on(async { listen::bind(options.address) })?;
        let address = listener.local_addr().map_err(|e| Error::io("http address", e))?;
        let site = Arc::new(site::Site {
            guard,
            pictures: pictures::Pictures::start(Arc::clone(&board))?,
            settings: options.settings,
            outlets: options.outlets,
            streams: Arc::new(Semaphore::new(HTTP_STREAMS_MAX)),
            counters: site::Counters::default(),
            board,
        });
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = listen::accept(listener, site) => {}
                    _ = stopped => {}
                }
            });
            // Endless answers end here, in the middle.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("http".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("http thread", e))?;
        Ok(Server { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has told its panic, if it had one.
            let _ = thread.join();
        }
    }
}
