//! Signals to `ocellus watch`: SIGINT and SIGTERM end it, SIGHUP has its configuration read again.

use super::output::Output;
use ocellus::watch::{Control, Live};
use ocellus::{Error, Result};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A frame in hand gets this long after a signal; then the program ends without it.
const GRACE: Duration = Duration::from_millis(700);

/// Signals are caught as long as the program runs.
pub(super) struct Signals {
    live: Arc<OnceLock<Arc<Live>>>,
}

impl Signals {
    /// Catches the signals from now on. SIGHUP ends a program without a configuration, as it ends others.
    ///
    /// What hangs after a signal to end (a long inference, a reader of standard output that does not read, a model that is
    /// being loaded) is left behind.
    #[cfg(unix)]
    pub fn catch(control: &Control, output: &Output, configured: bool) -> Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let mut caught = vec![SIGINT, SIGTERM];
        caught.extend(configured.then_some(SIGHUP));
        let signals = signal_hook::iterator::Signals::new(caught);
        let mut signals = signals.map_err(|e| Error::io("signals", e))?;
        let live = Arc::<OnceLock<Arc<Live>>>::default();
        let (control, output, reloaded) = (control.clone(), output.clone(), Arc::clone(&live));
        let serve = move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    // Before the model is loaded, the file has just been read.
                    if let Some(live) = reloaded.get() {
                        reload(live);
                    }
                    continue;
                }
                control.stop();
                #[cfg(target_os = "linux")]
                super::service::stopping();
                std::thread::sleep(GRACE);
                output.summarize();
                std::process::exit(0);
            }
        };
        let thread = std::thread::Builder::new().name("signals".into()).spawn(serve);
        thread.map(|_| Signals { live }).map_err(|e| Error::io("signal thread", e))
    }

    /// The system ends the program by itself.
    #[cfg(not(unix))]
    pub fn catch(_: &Control, _: &Output, _: bool) -> Result<Self> {
        Ok(Signals { live: Arc::default() })
    }

    /// What SIGHUP has read again.
    pub fn reload(&self, live: &Arc<Live>) {
        self.live.get_or_init(|| Arc::clone(live));
    }
}

#[cfg(unix)]
fn reload(live: &Live) {
    #[cfg(target_os = "linux")]
    super::service::reloading();
    match live.reload() {
        Ok(notes) => {
            log::warn!("the configuration was read again");
            notes.iter().for_each(|note| log::warn!("{note}"));
        }
        Err(error) => log::error!("the configuration stays as it was: {error}"),
    }
    #[cfg(target_os = "linux")]
    super::service::ready();
}
