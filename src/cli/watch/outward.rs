//! What `ocellus watch` shows and sends to others: the web page, the broker, webhooks.

use clap::Args;
#[cfg(not(all(feature = "http", feature = "mqtt", feature = "webhooks")))]
use ocellus::Error;
use ocellus::Result;
use ocellus::publish::{Bell, Feed, Outlet, Spool};
use ocellus::watch::Live;
use ocellus::watch::board::Board;
use ocellus::watch::config::{BrokerUrl, Config, Http, Mqtt, Webhook};
#[cfg(feature = "webhooks")]
use ocellus::watch::plain;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Where results go beyond standard output.
#[derive(Args, Clone)]
pub(super) struct OutwardFlags {
    /// Show a web page there: live picture, figures, events, zones; and /metrics, /api. Without a token on this machine
    /// alone (127.0.0.1).
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<SocketAddr>,
    /// The file with the token for the web page (`head -c 24 /dev/urandom | base64 > FILE`).
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Tell events and states to this broker (mqtt://host:1883), in a way that Home Assistant finds.
    #[arg(long, value_name = "URL")]
    mqtt: Option<BrokerUrl>,
    /// Post each event as JSON there; may be given several times.
    #[arg(long = "webhook", value_name = "URL")]
    webhooks: Vec<String>,
    /// The folder in which events wait for broker and webhooks, over restarts too. Default: they wait in memory.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
}

impl OutwardFlags {
    /// The configuration with what the flags say instead.
    pub fn apply(&self, mut config: Config) -> Config {
        if let Some(listen) = self.http {
            let token_file = self.token_file.clone().or(config.http.and_then(|http| http.token_file));
            config.http = Some(Http { listen, token_file });
        }
        if let Some(url) = &self.mqtt {
            config.mqtt = Some(match config.mqtt.take() {
                Some(mqtt) => Mqtt { url: url.clone(), ..mqtt },
                None => Mqtt {
                    url: url.clone(),
                    user: None,
                    password_file: None,
                    node: None,
                    prefix: None,
                    discovery: None,
                },
            });
        }
        if !self.webhooks.is_empty() {
            let webhook = |url: &String| Webhook { url: url.clone(), authorization_file: None };
            config.webhooks = self.webhooks.iter().map(webhook).collect();
        }
        config.spool = self.spool.clone().or(config.spool);
        config
    }
}

/// The last events get this long to reach their receivers when the cameras have ended.
const LAST: Duration = Duration::from_millis(400);

/// What runs as long as the cameras do.
pub(super) struct Outward {
    feed: Option<Feed>,
    outlets: Vec<Arc<Outlet>>,
    _senders: Vec<Box<dyn Send>>,
    #[cfg(feature = "http")]
    _server: Option<ocellus::serve::Server>,
}

/// Spools and who empties them.
#[derive(Default)]
struct Outlets {
    senders: Vec<Box<dyn Send>>,
    spools: Vec<(Arc<Spool>, Bell)>,
    outlets: Vec<Arc<Outlet>>,
}

impl Outward {
    /// Starts all that the configuration wants.
    pub fn start(board: &Arc<Board>, live: &Arc<Live>, config: &Config) -> Result<Self> {
        let mut outlets = Outlets::default();
        if let Some(mqtt) = &config.mqtt {
            start_mqtt(board, mqtt, config.spool.as_deref(), &mut outlets)?;
        }
        for webhook in &config.webhooks {
            start_webhook(webhook, config.spool.as_deref(), &mut outlets)?;
        }
        let Outlets { senders, spools, outlets } = outlets;
        let feed = (!spools.is_empty()).then(|| Feed::start(Arc::clone(board), spools)).transpose()?;
        let known = outlets.clone();
        let server = config.http.as_ref().map(|http| start_http(board, live, http, known)).transpose()?;
        #[cfg(not(feature = "http"))]
        let () = server.unwrap_or_default();
        Ok(Outward {
            feed,
            outlets,
            _senders: senders,
            #[cfg(feature = "http")]
            _server: server,
        })
    }
}

impl Drop for Outward {
    fn drop(&mut self) {
        // All that has happened is in the spools then.
        drop(self.feed.take());
        let end = Instant::now() + LAST;
        let waits = |outlet: &Arc<Outlet>| outlet.waiting.load(Relaxed) > 0;
        while self.outlets.iter().any(waits) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The text of a secret file, without the end of its line.
#[cfg(any(feature = "mqtt", feature = "webhooks"))]
fn secret(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| ocellus::Error::io(path, e))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A spool of its own for `outlet`, in a folder of this name.
#[cfg(any(feature = "mqtt", feature = "webhooks"))]
fn spool(folder: Option<&Path>, name: &str, outlet: &Arc<Outlet>) -> Result<Arc<Spool>> {
    let folder = folder.map(|folder| folder.join(name));
    Spool::open(folder.as_deref(), Arc::clone(outlet)).map(Arc::new)
}

#[cfg(feature = "mqtt")]
fn start_mqtt(board: &Arc<Board>, config: &Mqtt, folder: Option<&Path>, outlets: &mut Outlets) -> Result<()> {
    use ocellus::publish::{Mqtt, MqttOptions};
    let BrokerUrl { tls, host, port } = config.url.clone();
    let mut options = MqttOptions::new(host, port, config.node.clone().unwrap_or_else(machine));
    options.tls = tls;
    let password = config.password_file.as_deref().map(secret).transpose()?;
    options.login = config.user.clone().map(|user| (user, password.unwrap_or_default()));
    options.prefix = config.prefix.clone().unwrap_or(options.prefix);
    options.discovery = config.discovery.clone().or(options.discovery).filter(|prefix| !prefix.is_empty());
    let outlet = Arc::new(Outlet::new(String::from(config.url.clone())));
    let spool = spool(folder, "mqtt", &outlet)?;
    let mqtt = Mqtt::start(Arc::clone(board), Arc::clone(&spool), Arc::clone(&outlet), options)?;
    outlets.spools.push((spool, mqtt.bell()));
    outlets.senders.push(Box::new(mqtt));
    outlets.outlets.push(outlet);
    Ok(())
}

/// Name of this machine.
#[cfg(feature = "mqtt")]
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "ocellus".into() } else { name.into() }
}

#[cfg(not(feature = "mqtt"))]
fn start_mqtt(_: &Arc<Board>, _: &Mqtt, _: Option<&Path>, _: &mut Outlets) -> Result<()> {
    Err(Error::Usage("mqtt: this program was built without the feature mqtt".into()))
}

#[cfg(feature = "webhooks")]
fn start_webhook(config: &Webhook, folder: Option<&Path>, outlets: &mut Outlets) -> Result<()> {
    use ocellus::publish::{Webhook, WebhookOptions};
    let authorization = config.authorization_file.as_deref().map(secret).transpose()?;
    // Without what follows a question mark: keys stand there.
    let shown = config.url.split('?').next().unwrap_or_default();
    let of_this_name = outlets.outlets.iter().filter(|outlet| outlet.name.starts_with(shown)).count();
    let label = if of_this_name > 0 { format!("{shown} #{}", of_this_name + 1) } else { shown.to_owned() };
    let outlet = Arc::new(Outlet::new(label));
    // The folder is the address's own, wherever in the list it stands, and tells nothing of what is not shown.
    let name: String = plain(shown).chars().take(SPOOL_NAME_CHARS).collect();
    let spool = spool(folder, &format!("{name}-{:08x}", hash(&config.url)), &outlet)?;
    let options = WebhookOptions { url: config.url.clone(), authorization };
    let webhook = Webhook::start(Arc::clone(&spool), Arc::clone(&outlet), options)?;
    outlets.spools.push((spool, webhook.bell()));
    outlets.senders.push(Box::new(webhook));
    outlets.outlets.push(outlet);
    Ok(())
}

/// Most characters of an address in the name of its spool.
#[cfg(feature = "webhooks")]
const SPOOL_NAME_CHARS: usize = 80;

/// FNV-1a in 32 bits: the same in every version, as spools outlive programs.
#[cfg(feature = "webhooks")]
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(not(feature = "webhooks"))]
fn start_webhook(_: &Webhook, _: Option<&Path>, _: &mut Outlets) -> Result<()> {
    Err(Error::Usage("webhook: this program was built without the feature webhooks".into()))
}

#[cfg(feature = "http")]
fn start_http(
    board: &Arc<Board>,
    live: &Arc<Live>,
    http: &Http,
    outlets: Vec<Arc<Outlet>>,
) -> Result<ocellus::serve::Server> {
    use ocellus::serve::{Options, Server, Token};
    let token = http.token_file.as_ref().map(Token::read).transpose()?;
    let settings = Arc::clone(live) as Arc<dyn ocellus::serve::Settings>;
    let server =
        Server::start(Arc::clone(board), Options { address: http.listen, token, outlets, settings })?;
    // Nobody may read standard error; that is no reason to fail.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "web page at http://{}/", server.address());
    Ok(server)
}

#[cfg(not(feature = "http"))]
fn start_http(_: &Arc<Board>, _: &Arc<Live>, _: &Http, _: Vec<Arc<Outlet>>) -> Result<()> {
    Err(Error::Usage("http: this program was built without the feature http".into()))
}
