//! To an MQTT broker: events, the newest state, availability, and what Home Assistant needs to find all that.

mod discovery;
mod session;
#[cfg(feature = "tls")]
mod tls;
mod topics;

pub use topics::MqttOptions;

use super::{Bell, Outlet, Spool};
use crate::error::{Error, Result};
use crate::watch::board::Board;
use session::Session;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

/// Rest after the first failure; it doubles up to [`REST_MAX`].
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(15);
/// A connection that lived longer was a good one: the rest begins small again.
const GOOD: Duration = Duration::from_secs(10);

/// The thread that keeps a broker informed, connecting again and again; it ends when this is dropped.
pub struct Mqtt {
    changed: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Mqtt {
    /// Sends what is in `spool` and what `board` shows. The broker need not be there.
    ///
    /// # Errors
    /// [`Error::Usage`] for TLS without the feature `tls` or without authorities to trust, [`Error::Io`] if the system gives no thread.
    pub fn start(
        board: Arc<Board>,
        spool: Arc<Spool>,
        outlet: Arc<Outlet>,
        options: MqttOptions,
    ) -> Result<Mqtt> {
        options.check()?;
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| Error::io("mqtt runtime", e))?;
        let (stop, stopped) = oneshot::channel();
        let changed = Arc::new(Notify::new());
        let session = Session {
            board,
            spool,
            outlet,
            #[cfg(feature = "tls")]
            trust: options.tls.then(tls::trust).transpose()?,
            options,
            changed: Arc::clone(&changed),
        };
        let run = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = keep_connecting(&session) => {}
                    // The connection breaks without a farewell, so that the broker tells the last will.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("mqtt".into()).spawn(run);
        let thread = thread.map_err(|e| Error::io("mqtt thread", e))?;
        Ok(Mqtt { changed, stop: Some(stop), thread: Some(thread) })
    }

    /// What tells the thread that something is in its spool.
    pub fn bell(&self) -> Bell {
        let changed = Arc::clone(&self.changed);
        Box::new(move || changed.notify_one())
    }
}

impl Drop for Mqtt {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has told its panic, if it had one.
            let _ = thread.join();
        }
    }
}

async fn keep_connecting(session: &Session) {
    let mut rest = REST_MIN;
    loop {
        let start = Instant::now();
        let why = session.run().await;
        session.outlet.missed(why);
        rest = if start.elapsed() > GOOD { REST_MIN } else { rest };
        sleep(jittered(rest)).await;
        rest = (rest * 2).min(REST_MAX);
    }
}

/// From half to all of a rest: the cameras of a fleet shall not all come back in the same moment.
fn jittered(rest: Duration) -> Duration {
    let nanos =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    rest / 2 + rest / 2 * (nanos % 1000) / 1000
}
