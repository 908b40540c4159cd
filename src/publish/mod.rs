//! What a daemon sends: its events to an MQTT broker and to webhooks.
//!
//! ```text
//!  board ─bell─► publish (a thread) ─► Spool ─► mqtt (a thread) ──► broker
//!                                   └► Spool ─► webhook (a thread) ► HTTP address
//! ```
//!
//! An event is put into the spool of each outlet at once and leaves it when the other side has confirmed it (PUBACK, or
//! a status of 2xx). One event is under way at a time. So
//!
//! * none is lost while the other side is away, nor when this process ends meanwhile, up to the spool's bound;
//! * they arrive in their order;
//! * one arrives twice only if the connection breaks, or this process, after it has arrived and before the confirmation is
//!   back: then the same event, with the same `id`, is sent again, at most that one. No sender can do better with QoS 1
//!   (MQTT 3.1.1, 4.3.2). Receivers that must not count twice remember the last `id`.

mod feed;
#[cfg(feature = "mqtt")]
mod mqtt;
mod outlet;
mod spool;
#[cfg(feature = "webhooks")]
mod webhook;

pub use feed::{Bell, Feed};
#[cfg(feature = "mqtt")]
pub use mqtt::{Mqtt, MqttOptions};
pub use outlet::Outlet;
pub use spool::{Spool, Waiting};
#[cfg(feature = "webhooks")]
pub use webhook::{Webhook, WebhookOptions};
