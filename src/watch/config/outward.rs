//! Where a daemon's results go beyond its standard output.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The web page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// The file with the token that others must know; needed on an address that other machines reach.
    pub token_file: Option<PathBuf>,
}

/// An MQTT broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Where it is.
    pub url: BrokerUrl,
    /// User, with `password_file`.
    pub user: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// What this daemon is called there, unlike all others; without it the machine's name.
    pub node: Option<String>,
    /// First level of the topics, without it `ocellus`.
    pub prefix: Option<String>,
    /// First level of Home Assistant's discovery, without it `homeassistant`; empty: it is not told.
    pub discovery: Option<String>,
}

/// An HTTP address to which events are posted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The file with what follows `Authorization:`.
    pub authorization_file: Option<PathBuf>,
}

/// `mqtt://host:port`, or `mqtts://…` with TLS; without a port the usual one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrokerUrl {
    /// With TLS.
    pub tls: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl std::str::FromStr for BrokerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("'{text}' is no broker, such as mqtt://host:1883 or mqtts://host:8883");
        let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(bad()),
        };
        let usual = if tls { 8883 } else { 1883 };
        // Brackets stand around an address with colons of its own.
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
            None => rest.split_once(':').map_or((rest, Some("")), |(host, port)| (host, Some(port))),
        };
        let port = match port.ok_or_else(bad)? {
            "" => usual,
            port => port.parse().map_err(|_| bad())?,
        };
        let odd = |c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c);
        if host.is_empty() || host.contains(odd) {
            return Err(bad());
        }
        Ok(BrokerUrl { tls, host: host.to_owned(), port })
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<BrokerUrl> for String {
    fn from(url: BrokerUrl) -> String {
        let BrokerUrl { tls, host, port } = url;
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        format!("{}://{host}:{port}", if tls { "mqtts" } else { "mqtt" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_read_as_they_are_written() {
        let url = |text: &str| text.parse::<BrokerUrl>().map(String::from);
        assert_eq!(url("mqtt://pi").unwrap(), "mqtt://pi:1883");
        assert_eq!(url("mqtts://10.0.0.1").unwrap(), "mqtts://10.0.0.1:8883");
        assert_eq!(url("mqtt://[::1]:99").unwrap(), "mqtt://[::1]:99");
        assert_eq!(url("mqtts://[fe80::1]").unwrap(), "mqtts://[fe80::1]:8883");
        for bad in [
            "pi",
            "http://pi",
            "mqtt://",
            "mqtt://:1",
            "mqtt://pi:x",
            "mqtt://a@b",
            "mqtt://pi/x",
            "mqtt://[::1]9",
        ] {
            assert!(url(bad).unwrap_err().contains("mqtt://host:1883"), "{bad}");
        }
    }
}
