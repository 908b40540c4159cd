//! `ocellus watch` as a service of systemd: it says when it is ready, and pings the watchdog while it is well.
//!
//! Everything here does nothing where no service manager asks for it (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).

use ocellus::watch::Pulse;
use sd_notify::NotifyState;
use std::time::Duration;

/// Pings in the time after which systemd acts.
const PINGS: u32 = 4;

/// Tells the service manager something.
fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager does not hear: {error}");
    }
}

/// All is loaded, and cameras are read.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The end has begun.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The configuration is read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("no clock for the service manager: {error}"),
    }
}

/// Pings the watchdog, if one is set, as long as no frame takes longer than half of its time. A camera that is lost is no
/// reason to stop: it is opened again. An inference that hangs is.
pub(super) fn keep_watchdog(pulse: &Pulse) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let pulse = pulse.clone();
    let ping = move || {
        loop {
            if pulse.stuck_for() < limit / 2 {
                notify(&[NotifyState::Watchdog]);
            }
            std::thread::sleep((limit / PINGS).max(Duration::from_millis(1)));
        }
    };
    // Without the thread there are no pings, and systemd says so.
    drop(std::thread::Builder::new().name("watchdog".into()).spawn(ping));
}
