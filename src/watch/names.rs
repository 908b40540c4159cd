//! Names where only plain letters can stand.

/// A name as it can stand in files' names, topics and identifiers: letters, digits, `-` and `_`.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// What every camera tells of itself to those who read its figures one by one.
pub const ENTITIES: [&str; 4] = ["running", "fps", "objects", "event"];

/// The same for a zone: objects in it, and objects that came in.
pub fn zone_entities(zone: &str) -> [String; 2] {
    [format!("zone_{zone}"), format!("zone_{zone}_entered")]
}

/// The same for a line: crossings forward and backward.
pub fn line_entities(line: &str) -> [String; 2] {
    [format!("line_{line}_forward"), format!("line_{line}_backward")]
}

/// The identifier of such a figure, unlike all others of the daemon: a configuration in which two are alike is refused.
pub fn entity_id(camera: &str, what: &str) -> String {
    format!("{}_{}", plain(camera), plain(what))
}
