//! What a daemon sends, to real receivers: a mosquitto (skipped where there is none) and an HTTP server made here.

#[cfg(feature = "mqtt")]
mod broker;
mod happenings;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "webhooks")]
mod webhook;
