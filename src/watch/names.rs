//! Names where only plain letters can stand.

/// A name as it can stand in files' names, topics and identifiers: letters, digits, `-` and `_`.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}
