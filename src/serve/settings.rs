//! What the page may read and change.

use crate::error::Result;

/// Settings of a daemon, as JSON.
pub trait Settings: Send + Sync {
    /// All of them.
    fn read(&self) -> String;

    /// Checks changes, keeps them and lets them take effect; all or nothing.
    ///
    /// # Errors
    /// They are not what they should be (in words for who made them), or cannot be kept.
    fn change(&self, json: &[u8]) -> Result<()>;
}
