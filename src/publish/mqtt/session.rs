//! One connection to the broker, from its greeting to its end.

use super::discovery::announcements;
use super::topics::MqttOptions;
use crate::publish::{Outlet, Spool};
use crate::watch::board::{Board, LineCount, Report, State, ZoneCount};
use rumqttc::{AsyncClient, ConnectReturnCode, Event, EventLoop, LastWill, Packet, QoS};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};

/// The broker hears of this client at least as often.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A message must be confirmed within this time.
const CONFIRMED: Duration = Duration::from_secs(20);
/// Time from one state to the next.
const STATE: Duration = Duration::from_secs(1);
/// Largest packets that are taken and sent, in bytes.
const PACKET_BYTES_MAX: usize = 256 << 10;

/// What a connection needs.
pub(super) struct Session {
    pub board: Arc<Board>,
    pub spool: Arc<Spool>,
    pub outlet: Arc<Outlet>,
    pub options: MqttOptions,
    /// Whom the broker's certificate must come from, where it has one.
    #[cfg(feature = "tls")]
    pub trust: Option<Arc<rustls::ClientConfig>>,
    /// Something is in the spool.
    pub changed: Arc<Notify>,
}

/// Why a connection ended, in words.
type Why = String;

fn why(error: impl Display) -> Why {
    error.to_string()
}

impl Session {
    /// Connects and sends until the connection breaks; then says why.
    ///
    /// Each connection is a new session for the broker (clean session), and the library's own memory of what is not
    /// confirmed goes with it: the spool alone decides what is sent again.
    pub async fn run(&self) -> Why {
        let (client, events) = AsyncClient::new(self.connect_options(), 1);
        let (heard, hears) = mpsc::channel(1);
        tokio::select! {
            why = listen(events, heard) => why,
            // It ends with an error only.
            result = (Speaker { session: self, client, hears, told: BTreeMap::new() }).speak() => {
                result.err().unwrap_or_default()
            }
        }
    }

    fn connect_options(&self) -> rumqttc::MqttOptions {
        let MqttOptions { host, port, login, node, prefix, .. } = &self.options;
        let mut options = rumqttc::MqttOptions::new(format!("{prefix}-{node}"), host, *port);
        options.set_keep_alive(KEEP_ALIVE).set_clean_session(true);
        options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
        options.set_last_will(LastWill::new(self.options.available(), "offline", QoS::AtLeastOnce, true));
        if let Some((user, password)) = login {
            options.set_credentials(user, password);
        }
        #[cfg(feature = "tls")]
        if let Some(trust) = &self.trust {
            let trust = rumqttc::TlsConfiguration::Rustls(Arc::clone(trust));
            options.set_transport(rumqttc::Transport::tls_with_config(trust));
        }
        options
    }
}

/// What the broker said that somebody waits for.
enum Heard {
    Welcome,
    Confirmed,
}

/// Drives the connection until it breaks.
async fn listen(mut events: EventLoop, heard: mpsc::Sender<Heard>) -> Why {
    loop {
        let news = match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(ack))) if ack.code == ConnectReturnCode::Success => {
                Heard::Welcome
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => Heard::Confirmed,
            Ok(_) => continue,
            Err(error) => return why(error),
        };
        if heard.send(news).await.is_err() {
            return why("nobody listens");
        }
    }
}

/// The part of an event that decides where it goes.
#[derive(Deserialize)]
struct Address {
    camera: String,
}

/// State of a camera, for people's dashboards.
#[derive(Serialize)]
struct CameraState<'a> {
    state: State,
    fps: f64,
    latency_ms: f64,
    objects: BTreeMap<&'a str, u64>,
    total: usize,
    zones: BTreeMap<&'a str, &'a ZoneCount>,
    lines: BTreeMap<&'a str, &'a LineCount>,
}

struct Speaker<'a> {
    session: &'a Session,
    client: AsyncClient,
    hears: mpsc::Receiver<Heard>,
    /// What retained topics have: state and discovery.
    told: BTreeMap<String, Vec<u8>>,
}

impl Speaker<'_> {
    async fn speak(mut self) -> Result<(), Why> {
        match timeout(CONFIRMED, self.hears.recv()).await {
            Ok(Some(Heard::Welcome)) => {}
            _ => return Err(why("no greeting")),
        }
        self.send(self.session.options.available(), b"online", true).await?;
        self.session.outlet.reached();
        loop {
            self.send_events().await?;
            self.send_state().await?;
            tokio::select! {
                () = self.session.changed.notified() => {}
                () = sleep(STATE) => {}
            }
        }
    }

    /// Sends a message and waits until the broker has it. Only one is under way at a time, so that the next
    /// confirmation is its own.
    async fn send(&mut self, topic: String, payload: &[u8], retain: bool) -> Result<(), Why> {
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.map_err(why)?;
        match timeout(CONFIRMED, self.hears.recv()).await {
            Ok(Some(Heard::Confirmed)) => Ok(()),
            Ok(_) => Err(why("an answer that nobody asked for")),
            Err(_) => Err(why("the broker confirms nothing")),
        }
    }

    async fn send_events(&mut self) -> Result<(), Why> {
        let Session { spool, options, .. } = self.session;
        while let Some(oldest) = spool.oldest() {
            let Ok(Address { camera }) = serde_json::from_slice(&oldest.event) else {
                spool.refuse(&oldest);
                continue;
            };
            self.send(options.of_camera(&camera, "events"), &oldest.event, false).await?;
            spool.confirm(&oldest);
        }
        Ok(())
    }

    /// Tells what has changed of states and of what there is.
    async fn send_state(&mut self) -> Result<(), Why> {
        let Session { board, options, .. } = self.session;
        let reports: Vec<_> = board.panels().iter().map(|panel| (panel, panel.report())).collect();
        let mut now = BTreeMap::new();
        if let Some(prefix) = &options.discovery {
            let cameras = reports.iter().map(|(panel, report)| (panel.name(), &**report));
            now.extend(announcements(prefix, options, board.about(), cameras));
        }
        for (panel, report) in &reports {
            let state = state(panel.status().state, panel.counters().snapshot().process_fps, report);
            let state = serde_json::to_vec(&state).expect("names and numbers are JSON");
            now.insert(options.of_camera(panel.name(), "state"), state);
        }
        // An empty retained message takes away what is not there any more.
        let gone = self.told.keys().filter(|topic| !now.contains_key(*topic)).cloned();
        let gone: Vec<_> = gone.map(|topic| (topic, Vec::new())).collect();
        let new = now.iter().filter(|(topic, payload)| self.told.get(*topic) != Some(*payload));
        let new: Vec<_> = new.map(|(topic, payload)| (topic.clone(), payload.clone())).collect();
        for (topic, payload) in gone.into_iter().chain(new) {
            self.send(topic, &payload, true).await?;
        }
        self.told = now;
        Ok(())
    }
}

fn state(state: State, fps: f64, report: &Report) -> CameraState<'_> {
    CameraState {
        state,
        fps: (fps * 10.0).round() / 10.0,
        latency_ms: report.latency_ms.round(),
        objects: report.by_class(),
        total: report.detections.len(),
        zones: report.zones.iter().map(|zone| (&*zone.name, zone)).collect(),
        lines: report.lines.iter().map(|line| (&*line.name, line)).collect(),
    }
}
