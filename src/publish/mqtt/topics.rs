//! Who is spoken to, and under which names.

use crate::error::{Error, Result};
use crate::watch::plain;

/// A broker, and how this daemon calls itself there.
#[derive(Clone)]
pub struct MqttOptions {
    /// Name or address of the broker.
    pub host: String,
    /// Its port: 1883, with TLS 8883.
    pub port: u16,
    /// TLS, with the certificates that the system trusts.
    pub tls: bool,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Name of this daemon, which no other client of the broker may have.
    pub node: String,
    /// First level of all topics.
    pub prefix: String,
    /// First level of Home Assistant's discovery; without it, it is not told.
    pub discovery: Option<String>,
}

impl MqttOptions {
    /// Options for a broker with everything else as usual.
    pub fn new(host: impl Into<String>, port: u16, node: impl Into<String>) -> Self {
        MqttOptions {
            host: host.into(),
            port,
            tls: false,
            login: None,
            node: node.into(),
            prefix: "ocellus".into(),
            discovery: Some("homeassistant".into()),
        }
    }

    /// Checks what can be checked without a broker.
    ///
    /// # Errors
    /// [`Error::Usage`]: a name cannot be a part of topics, or TLS is wanted without the feature `tls` or without
    /// authorities to trust.
    pub fn check(&self) -> Result<()> {
        let level = |name: &str, text: &str| match text.is_empty() || text.contains(['/', '+', '#', '\0']) {
            true => Err(Error::Usage(format!("mqtt: {name} '{text}': must not be empty nor have / + #"))),
            false => Ok(()),
        };
        level("node", &self.node)?;
        level("prefix", &self.prefix)?;
        self.discovery.as_ref().map_or(Ok(()), |discovery| level("discovery", discovery))?;
        #[cfg(feature = "tls")]
        if self.tls {
            super::tls::trust()?;
        }
        match self.tls && !cfg!(feature = "tls") {
            true => Err(Error::Usage("mqtts:// needs a program that was built with --features tls".into())),
            false => Ok(()),
        }
    }

    /// Says whether this daemon is there: `online` or `offline`.
    pub(super) fn available(&self) -> String {
        format!("{}/{}/available", self.prefix, self.node)
    }

    /// `events` or `state` of a camera.
    pub(super) fn of_camera(&self, camera: &str, what: &str) -> String {
        format!("{}/{}/{}/{what}", self.prefix, self.node, plain(camera))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_have_no_levels_of_foreign_making() {
        let mut options = MqttOptions::new("broker", 1883, "pi");
        assert_eq!(options.of_camera("front/door #1", "events"), "ocellus/pi/front_door__1/events");
        assert_eq!(options.available(), "ocellus/pi/available");
        assert!(options.check().is_ok());
        for bad in ["", "a/b", "#", "a+"] {
            options.node = bad.into();
            assert!(options.check().is_err(), "{bad}");
        }
    }
}
