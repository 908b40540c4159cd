//! What the page may read and change.

use crate::error::Result;
use crate::watch::Live;
use std::path::PathBuf;

/// Settings of a daemon, as JSON.
pub trait Settings: Send + Sync {
    /// All of them.
    fn read(&self) -> String;

    /// Checks changes, keeps them and lets them take effect; all or nothing.
    ///
    /// # Errors
    /// They are not what they should be (in words for who made them), or cannot be kept.
    fn change(&self, json: &[u8]) -> Result<()>;

    /// The folder with the pictures of events now.
    fn snapshots(&self) -> Option<PathBuf>;
}

impl Settings for Live {
    fn read(&self) -> String {
        Live::read(self)
    }

    fn change(&self, json: &[u8]) -> Result<()> {
        Live::change(self, json)
    }

    fn snapshots(&self) -> Option<PathBuf> {
        Live::snapshots(self).load().as_ref().map(|snapshots| snapshots.config().folder.clone())
    }
}
