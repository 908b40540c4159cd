//! Who may ask: tokens, cookies, and requests that a foreign web page makes.

use crate::error::{Error, Result};
use crate::limits::{HTTP_TOKEN_CHARS_MAX, HTTP_TOKEN_CHARS_MIN};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use subtle::ConstantTimeEq;

/// Name of the cookie that keeps a browser logged in; its value is the token.
const COOKIE_NAME: &str = "ocellus";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A secret that lets its bearer in: 16 to 256 characters that a cookie can carry.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// Takes `text` as a token, without white space around it.
    ///
    /// # Errors
    /// It is too short to be secret, too long, or has other characters than letters, digits and `-._~+/=`.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        if !(HTTP_TOKEN_CHARS_MIN..=HTTP_TOKEN_CHARS_MAX).contains(&text.len()) || !text.chars().all(fits) {
            return Err(Error::Usage(format!(
                "a token has {HTTP_TOKEN_CHARS_MIN} to {HTTP_TOKEN_CHARS_MAX} letters, digits or -._~+/=, such as \
                 `head -c 24 /dev/urandom | base64` prints"
            )));
        }
        Ok(Token(text.to_owned()))
    }

    /// Reads the token that is all of a file.
    ///
    /// # Errors
    /// The file cannot be read, or holds no token.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Token::new(&text).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))
    }

    /// Takes as long whatever `given` is, so that the time of the answer tells nothing; only the length shows.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }

    /// The header that makes a browser keep the token, out of the reach of scripts and foreign pages.
    pub(super) fn cookie(&self) -> String {
        format!("{COOKIE_NAME}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000", self.0)
    }
}

/// Decides about requests.
pub(super) struct Guard {
    token: Option<Token>,
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub StatusCode, pub &'static str);

impl Guard {
    /// # Errors
    /// Others than this machine could come in without a token.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Result<Self> {
        if token.is_none() && !address.ip().is_loopback() {
            return Err(Error::Usage(format!(
                "--http {address}: other machines can reach this address, so it needs a token: --token-file FILE, a \
                 file with what `head -c 24 /dev/urandom | base64` prints; or listen on 127.0.0.1:{}",
                address.port()
            )));
        }
        Ok(Guard { token })
    }

    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// Whether the request carries the token, as `Authorization: Bearer` or as the page's cookie.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        bearer.is_some_and(|given| token.is(given))
            || cookies(headers).any(|given| token.is(given.as_bytes()))
    }

    /// Whether the request carries a token, right or wrong.
    pub fn is_tried(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(AUTHORIZATION) || cookies(headers).next().is_some()
    }

    /// Refuses what a foreign web page makes a browser ask.
    ///
    /// * Without a token, all trust is in the address being this machine's own. A page of the attacker's can be given
    ///   a name that leads here (DNS rebinding), but then `Host` has that name.
    /// * Browsers say in `Sec-Fetch-Site`, older ones in `Origin`, whose page asks. A foreign one may lead to the page
    ///   (`navigates`), nothing else.
    pub fn check(&self, headers: &HeaderMap, navigates: bool) -> Result<(), Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST).unwrap_or_default();
        if self.token.is_none() && !names_this_machine(host) {
            return Err(Refusal(
                StatusCode::MISDIRECTED_REQUEST,
                "without a token this page answers to localhost only; a proxy must send `Host: localhost`, or set a \
                 token (--token-file)",
            ));
        }
        let foreign = match (text(SEC_FETCH_SITE), text(ORIGIN)) {
            (Some(site), _) => !matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => origin.split_once("://").is_none_or(|(_, authority)| authority != host),
            (None, None) => false,
        };
        match foreign && !navigates {
            true => Err(Refusal(StatusCode::FORBIDDEN, "asked by a page of another site")),
            false => Ok(()),
        }
    }
}

/// Values of the page's cookie.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// Whether `Host` names this machine: `localhost` or an address of the loopback, with any port.
fn names_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    const SECRET: &str = "correct-horse-battery";

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn guard(address: &str, token: Option<&str>) -> Result<Guard> {
        Guard::new(address.parse().unwrap(), token.map(|text| Token::new(text).unwrap()))
    }

    #[test]
    fn tokens_are_long_and_fit_a_cookie() {
        for bad in [
            "",
            "short",
            "fifteen-letters",
            "with a space inside it",
            "semi;colon;semi;colon",
            "ümlaut-ümlaut-ümlaut",
        ] {
            assert!(Token::new(bad).is_err(), "{bad}");
        }
        assert!(Token::new(&"a".repeat(257)).is_err());
        let token = Token::new(" correct-horse-battery\n").unwrap();
        assert!(token.is(SECRET.as_bytes()));
        assert!(!token.is(b"correct-horse-batterz") && !token.is(b"correct-horse") && !token.is(b""));
    }

    #[test]
    fn other_machines_need_a_token() {
        let error = guard("0.0.0.0:8080", None).err().unwrap().to_string();
        assert!(error.contains("--token-file") && error.contains("127.0.0.1:8080"), "{error}");
        for own in ["127.0.0.1:80", "[::1]:80", "127.8.8.8:80"] {
            assert!(guard(own, None).is_ok(), "{own}");
        }
        assert!(guard("[::]:8080", Some(SECRET)).is_ok());
    }

    #[test]
    fn a_token_comes_as_bearer_or_cookie() {
        let guard = guard("0.0.0.0:80", Some(SECRET)).unwrap();
        let knows = |name, value: &str| guard.knows(&headers(&[(name, value)]));
        assert!(knows("authorization", "Bearer correct-horse-battery"));
        assert!(knows("cookie", "a=b; ocellus=correct-horse-battery; c=d"));
        assert!(knows("cookie", "ocellus=old; ocellus=correct-horse-battery"));
        for (name, value) in [
            ("authorization", "Bearer correct-horse-batter"),
            ("authorization", "Basic correct-horse-battery"),
            ("authorization", "correct-horse-battery"),
            ("cookie", "xocellus=correct-horse-battery"),
            ("cookie", "ocellus="),
            ("x", "y"),
        ] {
            assert!(!knows(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn names_that_lead_here_from_outside_are_refused() {
        let open = guard("127.0.0.1:80", None).unwrap();
        let refused = |guard: &Guard, host: &str| guard.check(&headers(&[("host", host)]), false).is_err();
        for own in ["localhost", "LocalHost:8080", "127.0.0.1", "127.9.9.9:1", "[::1]:8080", "[::1]"] {
            assert!(!refused(&open, own), "{own}");
        }
        for foreign in
            ["", "evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "[::2]"]
        {
            assert!(refused(&open, foreign), "{foreign}");
        }
        assert!(!refused(&guard("0.0.0.0:80", Some(SECRET)).unwrap(), "camera.example"));
    }

    #[test]
    fn pages_of_other_sites_may_only_lead_here() {
        let guard = guard("127.0.0.1:80", None).unwrap();
        let check = |name, value, navigates| {
            guard.check(&headers(&[("host", "localhost:80"), (name, value)]), navigates).is_ok()
        };
        assert!(check("sec-fetch-site", "same-origin", false) && check("sec-fetch-site", "none", false));
        assert!(check("origin", "http://localhost:80", false) && check("accept", "*/*", false));
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:8080"),
        ] {
            assert!(!check(name, value, false) && check(name, value, true), "{name}: {value}");
        }
    }
}
