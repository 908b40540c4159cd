//! From a file to a configuration, with mistakes named by file, line and key.

use super::{Camera, Config, Line, Zone};
use crate::error::{Error, Result};
use crate::limits::{CAMERAS_MAX, CONFIG_BYTES_MAX, NAME_BYTES_MAX, ZONES_MAX};
use crate::watch::{ENTITIES, Place, entity_id, line_entities, plain, zone_entities};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Reads a file. Paths in it are those of the place where the program runs.
///
/// # Errors
/// [`Error::Io`], or [`Error::Usage`] that names file, line, key, and the nearest known key.
pub fn load(path: &Path) -> Result<Config> {
    parse(&read(path)?, path)
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        let message = format!("{}: a configuration has at most {CONFIG_BYTES_MAX} bytes", path.display());
        return Err(Error::Usage(message));
    }
    String::from_utf8(bytes).map_err(|e| Error::Usage(format!("{}: not UTF-8: {e}", path.display())))
}

/// As [`load`]; `path` is for messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, path: &Path) -> Result<Config> {
    let config: Config = toml_edit::de::from_str(text).map_err(|e| {
        let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        Error::Usage(format!("{}{line}: {}", path.display(), in_words(e.message())))
    })?;
    check(&config).map_err(|what| Error::Usage(format!("{}: {what}", path.display())))?;
    Ok(config)
}

/// Makes a sentence of serde's list of all known keys.
fn in_words(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    match (message.starts_with("unknown field"), quoted.next()) {
        (true, Some(unknown)) => {
            let known: Vec<&str> = quoted.collect();
            let near = nearest(unknown, known.iter().copied());
            let near = near.map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
            format!("key '{unknown}' is unknown{near} (known here: {})", known.join(", "))
        }
        _ => message.to_owned(),
    }
}

/// What no single value shows.
pub(in crate::watch) fn check(config: &Config) -> Result<(), String> {
    if config.cameras.len() > CAMERAS_MAX {
        return Err(format!("{} cameras; at most {CAMERAS_MAX} are watched", config.cameras.len()));
    }
    if config.cameras.iter().filter(|camera| camera.source == Place::Stdin).count() > 1 {
        return Err("two cameras read standard input".into());
    }
    let mut webhooks = HashSet::new();
    for webhook in &config.webhooks {
        if !webhooks.insert(&webhook.url) {
            return Err("two webhooks have the same address".into());
        }
    }
    let mut cameras = HashSet::new();
    for camera in &config.cameras {
        let label = camera.label();
        let of_camera = |what: String| format!("camera '{label}': {what}");
        check_name(&label).map_err(of_camera)?;
        if !cameras.insert(label.clone()) {
            return Err(format!("two cameras are named '{label}'; give each a name of its own"));
        }
        if camera.zones.len() > ZONES_MAX || camera.lines.len() > ZONES_MAX {
            return Err(of_camera(format!("at most {ZONES_MAX} zones and {ZONES_MAX} lines are watched")));
        }
        let mut places = HashSet::new();
        let zones = camera.zones.iter().map(|zone| &zone.name);
        for name in zones.chain(camera.lines.iter().map(|line| &line.name)) {
            check_name(name).map_err(of_camera)?;
            if !places.insert(name) {
                return Err(of_camera(format!("two zones or lines are named '{name}'")));
            }
        }
    }
    if config.mqtt.is_some() { check_topics(&config.cameras) } else { Ok(()) }
}

/// Names of MQTT have fewer letters than names here: no two things may become one there.
fn check_topics(cameras: &[Camera]) -> Result<(), String> {
    const REMEDY: &str =
        "give one of them another name (letters, digits and - differ there, all else becomes _)";
    let (mut topics, mut entities) = (HashMap::new(), HashMap::new());
    for camera in cameras {
        let label = camera.label();
        let topic = plain(&label);
        if let Some(other) = topics.insert(topic.clone(), label.clone()) {
            return Err(format!(
                "cameras '{other}' and '{label}' have the same MQTT topic '{topic}': {REMEDY}"
            ));
        }
        let own = ENTITIES.map(|what| (what.to_owned(), format!("camera '{label}'")));
        let zones = camera.zones.iter().flat_map(|Zone { name, .. }| {
            zone_entities(name).map(|what| (what, format!("zone '{name}' of camera '{label}'")))
        });
        let lines = camera.lines.iter().flat_map(|Line { name, .. }| {
            line_entities(name).map(|what| (what, format!("line '{name}' of camera '{label}'")))
        });
        for (what, owner) in own.into_iter().chain(zones).chain(lines) {
            let id = entity_id(&label, &what);
            if let Some(other) = entities.insert(id.clone(), owner.clone()) {
                return Err(format!("{other} and {owner} have the same name '{id}' for MQTT: {REMEDY}"));
            }
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(format!("{name:?} is no name: 1 to {NAME_BYTES_MAX} printable characters are"));
    }
    Ok(())
}

/// The one of `known` that `word` is most probably meant to be, if any is near.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Below this similarity, words have little more in common than letters.
    let near = known.map(|known| (strsim::jaro_winkler(word, known), known));
    near.filter(|(likeness, _)| *likeness > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
