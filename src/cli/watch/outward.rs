//! What `ocellus watch` shows and sends to others: the web page, the broker, webhooks.

use clap::Args;
use ocellus::publish::{Bell, Feed, Outlet, Spool};
use ocellus::watch::Live;
use ocellus::watch::board::Board;
use ocellus::watch::config::{BrokerUrl, Config, Http, Mqtt, Webhook};
use ocellus::{Error, Result};
use std::net::SocketAddr;
#[cfg(any(feature = "http", feature = "mqtt", feature = "webhooks"))]
use std::path::Path;
use std::path::PathBuf;
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

/// `--check`: what [`Outward::start`] would find wrong, without connecting or listening anywhere.
///
/// # Errors
/// As [`Outward::start`].
pub fn check(config: &Config) -> Result<()> {
    require(config)?;
    #[cfg(feature = "mqtt")]
    if let Some(mqtt) = &config.mqtt {
        let password_file = mqtt.password_file.clone().filter(|path| !comes_with_the_service(path));
        mqtt_options(&Mqtt { password_file, ..mqtt.clone() })?;
    }
    #[cfg(feature = "webhooks")]
    for webhook in &config.webhooks {
        let authorization_file = webhook.authorization_file.clone();
        let authorization_file = authorization_file.filter(|path| !comes_with_the_service(path));
        webhook_options(&Webhook { authorization_file, ..webhook.clone() })?;
    }
    #[cfg(feature = "http")]
    if let Some(http) = &config.http
        && !http.token_file.as_deref().is_some_and(comes_with_the_service)
    {
        ocellus::serve::check(http.listen, token(http)?)?;
    }
    Ok(())
}

/// Whether a secret is not here now because systemd hands it to the service alone (`LoadCredential=`); says so then.
#[cfg(any(feature = "http", feature = "mqtt", feature = "webhooks"))]
fn comes_with_the_service(path: &Path) -> bool {
    let comes = path.starts_with("/run/credentials") && !path.exists();
    if comes {
        println!("not checked: {}: systemd hands it to the service", path.display());
    }
    comes
}

/// Refuses what this program was built without.
fn require(config: &Config) -> Result<()> {
    let parts = [
        ("http", cfg!(feature = "http"), config.http.is_some()),
        ("mqtt", cfg!(feature = "mqtt"), config.mqtt.is_some()),
        ("webhooks", cfg!(feature = "webhooks"), !config.webhooks.is_empty()),
    ];
    match parts.into_iter().find(|&(_, built, wanted)| wanted && !built) {
        Some((name, ..)) => Err(Error::Usage(format!(
            "{name}: this program was built without it; build it with --features {name}"
        ))),
        None => Ok(()),
    }
}

impl Outward {
    /// Starts all that the configuration wants.
    pub fn start(board: &Arc<Board>, live: &Arc<Live>, config: &Config) -> Result<Self> {
        require(config)?;
        let Outlets { senders, spools, outlets } = Outlets::open(board, config)?;
        let feed = (!spools.is_empty()).then(|| Feed::start(Arc::clone(board), spools)).transpose()?;
        #[cfg(feature = "http")]
        let http = config.http.as_ref();
        #[cfg(feature = "http")]
        let server = http.map(|http| start_http(board, live, http, outlets.clone())).transpose()?;
        #[cfg(not(feature = "http"))]
        let _ = live;
        Ok(Outward {
            feed,
            outlets,
            _senders: senders,
            #[cfg(feature = "http")]
            _server: server,
        })
    }
}

impl Outlets {
    #[cfg_attr(not(any(feature = "mqtt", feature = "webhooks")), expect(unused))]
    fn open(board: &Arc<Board>, config: &Config) -> Result<Outlets> {
        let (mut all, spool) = (Outlets::default(), config.spool.as_deref());
        #[cfg(feature = "mqtt")]
        if let Some(mqtt) = &config.mqtt {
            start_mqtt(board, mqtt, spool, &mut all)?;
        }
        #[cfg(feature = "webhooks")]
        for webhook in &config.webhooks {
            start_webhook(webhook, spool, &mut all)?;
        }
        Ok(all)
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
fn mqtt_options(config: &Mqtt) -> Result<ocellus::publish::MqttOptions> {
    let BrokerUrl { tls, host, port } = config.url.clone();
    let node = config.node.clone().unwrap_or_else(machine);
    let mut options = ocellus::publish::MqttOptions::new(host, port, node);
    options.tls = tls;
    let password = config.password_file.as_deref().map(secret).transpose()?;
    options.login = config.user.clone().map(|user| (user, password.unwrap_or_default()));
    options.prefix = config.prefix.clone().unwrap_or(options.prefix);
    options.discovery = config.discovery.clone().or(options.discovery).filter(|prefix| !prefix.is_empty());
    options.check()?;
    Ok(options)
}

#[cfg(feature = "mqtt")]
fn start_mqtt(board: &Arc<Board>, config: &Mqtt, folder: Option<&Path>, outlets: &mut Outlets) -> Result<()> {
    use ocellus::publish::Mqtt;
    let options = mqtt_options(config)?;
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

#[cfg(feature = "webhooks")]
fn webhook_options(config: &Webhook) -> Result<ocellus::publish::WebhookOptions> {
    let authorization = config.authorization_file.as_deref().map(secret).transpose()?;
    let options = ocellus::publish::WebhookOptions { url: config.url.clone(), authorization };
    options.check()?;
    Ok(options)
}

#[cfg(feature = "webhooks")]
fn start_webhook(config: &Webhook, folder: Option<&Path>, outlets: &mut Outlets) -> Result<()> {
    let options = webhook_options(config)?;
    // Without what follows a question mark: keys stand there.
    let shown = config.url.split('?').next().unwrap_or_default();
    let of_this_name = outlets.outlets.iter().filter(|outlet| outlet.name.starts_with(shown)).count();
    let label = if of_this_name > 0 { format!("{shown} #{}", of_this_name + 1) } else { shown.to_owned() };
    let outlet = Arc::new(Outlet::new(label));
    // The folder is the address's own, wherever in the list it stands, and tells nothing of what is not shown.
    let name: String = ocellus::watch::plain(shown).chars().take(SPOOL_NAME_CHARS).collect();
    let spool = spool(folder, &format!("{name}-{:08x}", hash(&config.url)), &outlet)?;
    let webhook = ocellus::publish::Webhook::start(Arc::clone(&spool), Arc::clone(&outlet), options)?;
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

#[cfg(feature = "http")]
fn token(http: &Http) -> Result<Option<ocellus::serve::Token>> {
    http.token_file.as_ref().map(ocellus::serve::Token::read).transpose()
}

#[cfg(feature = "http")]
fn start_http(
    board: &Arc<Board>,
    live: &Arc<Live>,
    http: &Http,
    outlets: Vec<Arc<Outlet>>,
) -> Result<ocellus::serve::Server> {
    use ocellus::serve::{Options, Server};
    let settings = Arc::clone(live) as Arc<dyn ocellus::serve::Settings>;
    let options = Options { address: http.listen, token: token(http)?, outlets, settings };
    let server = Server::start(Arc::clone(board), options)?;
    // Nobody may read standard error; that is no reason to fail.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "web page at http://{}/", server.address());
    Ok(server)
}
