//! Real models and pictures, which are not part of the repository.

use std::path::{Path, PathBuf};

/// `../shared/<name>` beside the repository, or `None` with a message: the test is skipped then.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: ../shared/{name} is absent");
    None
}
