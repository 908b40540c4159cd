//! To an HTTP address.

use super::{Bell, Outlet, Spool, Waiting};
use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use ureq::Agent;

/// A request may take this long, from the name's look-up to the status.
const PATIENCE: Duration = Duration::from_secs(10);
const REST_MIN: Duration = Duration::from_millis(500);
const REST_MAX: Duration = Duration::from_secs(60);

/// Where events are posted.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// `http://…`, with the feature `tls` also `https://…`.
    pub url: String,
    /// What follows `Authorization:`.
    pub authorization: Option<String>,
}

impl WebhookOptions {
    /// Checks what can be checked without sending anything.
    ///
    /// # Errors
    /// [`Error::Usage`]: the address is none, holds a password, or wants TLS without the feature `tls`.
    pub fn check(&self) -> Result<()> {
        let schemes: &[&str] = if cfg!(feature = "tls") { &["http://", "https://"] } else { &["http://"] };
        let uri = self.url.parse::<ureq::http::Uri>().ok();
        let valid = uri.as_ref().is_some_and(|uri| uri.host().is_some());
        // Of the address only what messages and figures may show.
        let url = self.url.split('?').next().unwrap_or_default();
        if uri.is_some_and(|uri| uri.authority().is_some_and(|authority| authority.as_str().contains('@'))) {
            let what = "a webhook's address holds a name or password; write `Basic …` into a file and name it as authorization_file";
            return Err(Error::Usage(what.to_owned()));
        }
        if !valid || !schemes.iter().any(|scheme| self.url.starts_with(scheme)) {
            return Err(Error::Usage(match url.starts_with("https://") && valid {
                true => format!("webhook {url}: https needs a program that was built with --features tls"),
                false => format!("webhook {url}: no address such as http://host:port/path"),
            }));
        }
        Ok(())
    }
}

/// The thread that posts events as JSON, one after the other; it ends soon after this is dropped.
///
/// A status of 2xx confirms an event. One that says that this event will never do (4xx but 408, 425 and 429) gives it
/// up, since it would hold up all others; after anything else it is tried again. Redirects are not followed.
pub struct Webhook {
    wake: Sender<()>,
    stopped: Arc<AtomicBool>,
}

impl Webhook {
    /// Posts what is in `spool`. The address need not be reachable.
    ///
    /// # Errors
    /// [`Error::Usage`] if the address is none, [`Error::Io`] if the system gives no thread.
    pub fn start(spool: Arc<Spool>, outlet: Arc<Outlet>, options: WebhookOptions) -> Result<Webhook> {
        options.check()?;
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("ocellus/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let (wake, woken) = bounded(1);
        let stopped = Arc::new(AtomicBool::new(false));
        let worker = Worker { spool, outlet, options, agent, stopped: Arc::clone(&stopped) };
        let thread = std::thread::Builder::new().name("webhook".into()).spawn(move || worker.run(&woken));
        thread.map_err(|e| Error::io("webhook thread", e))?;
        Ok(Webhook { wake, stopped })
    }

    /// What tells the thread that something is in its spool.
    pub fn bell(&self) -> Bell {
        let wake = self.wake.clone();
        // Where there is no place in the channel it has been told already.
        Box::new(move || _ = wake.try_send(()))
    }
}

impl Drop for Webhook {
    /// A request that is under way is not waited for: the spool keeps the event.
    fn drop(&mut self) {
        self.stopped.store(true, Relaxed);
        let _ = self.wake.try_send(());
    }
}

struct Worker {
    spool: Arc<Spool>,
    outlet: Arc<Outlet>,
    options: WebhookOptions,
    agent: Agent,
    stopped: Arc<AtomicBool>,
}

/// What became of an event.
enum Posted {
    Taken,
    /// With the status.
    Refused(u16),
    /// Not now, in words.
    Later(String),
}

impl Worker {
    fn run(self, woken: &Receiver<()>) {
        let mut rest = REST_MIN;
        while !self.stopped.load(Relaxed) {
            let Some(oldest) = self.spool.oldest() else {
                if woken.recv().is_err() {
                    return;
                }
                continue;
            };
            match self.post(&oldest) {
                Posted::Taken => self.spool.confirm(&oldest),
                Posted::Refused(status) => {
                    log::warn!("{}: an event is refused with status {status}", self.outlet.name);
                    self.spool.refuse(&oldest);
                }
                Posted::Later(why) => {
                    self.outlet.missed(why);
                    if !self.rest(woken, rest) {
                        return;
                    }
                    rest = (rest * 2).min(REST_MAX);
                    continue;
                }
            }
            self.outlet.reached();
            rest = REST_MIN;
        }
    }

    /// Waits, whatever comes into the spool. False: it is over.
    fn rest(&self, woken: &Receiver<()>, time: Duration) -> bool {
        let end = std::time::Instant::now() + time;
        loop {
            match woken.recv_deadline(end) {
                Ok(()) if !self.stopped.load(Relaxed) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                _ => return false,
            }
        }
    }

    fn post(&self, waiting: &Waiting) -> Posted {
        let mut request = self.agent.post(&self.options.url).content_type("application/json");
        if let Some(authorization) = &self.options.authorization {
            request = request.header("Authorization", authorization);
        }
        match request.send(&*waiting.event) {
            Ok(answer) => match answer.status().as_u16() {
                200..300 => Posted::Taken,
                status @ (408 | 425 | 429) => Posted::Later(format!("status {status}")),
                status @ 400..500 => Posted::Refused(status),
                status => Posted::Later(format!("status {status}")),
            },
            Err(error) => Posted::Later(error.to_string()),
        }
    }
}
