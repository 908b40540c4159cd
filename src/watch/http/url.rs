//! Addresses of HTTP streams.

use crate::error::{Error, Result};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// `http://[user:password@]host[:port][/path][?query]`
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Name or number of the host, without brackets.
    pub host: String,
    /// Usually 80.
    pub port: u16,
    /// Path and query, beginning with a slash.
    pub path: String,
    /// `user:password`.
    pub(super) login: Option<String>,
}

impl Url {
    /// Host and port as the head of a request has them.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

/// Without the login, so that messages tell no password.
impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// As [`Display`].
impl std::fmt::Debug for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The text is not repeated: it may hold a password.
        parse(text)
            .ok_or_else(|| Error::Usage("no address such as http://user:password@camera:8080/stream".into()))
    }
}

fn parse(text: &str) -> Option<Url> {
    let rest = text.strip_prefix("http://")?;
    // What a request cannot hold in one line.
    if rest.chars().any(|c| !c.is_ascii_graphic()) {
        return None;
    }
    let rest = rest.split('#').next()?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (Some(percent_decoded(login)?), host),
        None => (None, authority),
    };
    let (host, port) = match host.strip_prefix('[') {
        // An IPv6 address has colons of its own.
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Some(80), |port| port.parse().ok())?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (!host.is_empty()).then(|| Url { host: host.to_owned(), port, path, login })
}

/// `%40` is `@`, and so on.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let url: Url = "http://me:p%40ss:w@cam.lan:8080/stream?fps=5#x".parse().unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("cam.lan", 8080, "/stream?fps=5"));
        assert_eq!(url.login.as_deref(), Some("me:p@ss:w"));
        assert_eq!(
            format!("{url} {url:?}"),
            "http://cam.lan:8080/stream?fps=5 http://cam.lan:8080/stream?fps=5"
        );
        for (text, shown) in [
            ("http://a", "http://a/"),
            ("http://a?b", "http://a/?b"),
            ("http://[::1]:80/x", "http://[::1]/x"),
            ("http://[::1]", "http://[::1]/"),
        ] {
            assert_eq!(text.parse::<Url>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "https://a",
            "http://",
            "http:///x",
            "http://a:b",
            "http://a:99999",
            "http://a b",
            "http://a\r\nX: y",
            "http://me:%zz@a",
            "http://me:secret@",
            "http://[::1",
            "http://é",
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains("http://user:password@camera") && !error.contains("secret"), "{text}");
        }
    }
}
