//! What a file says beside the network: kept, set, and checked by the parsers that the runtime uses.

use crate::error::{Error, Result};
use ocellus::detect::{Anchors, Names};
use ocellus::image::Preprocess;

/// Longest value of an entry, in bytes.
const VALUE_BYTES_MAX: usize = 1 << 20;
/// Properties of two names.
const ALIASES: [[&str; 2]; 2] = [["pixel", "order"], ["fit", "resize"]];

/// An entry to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The flag that asks for it.
    pub flag: String,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Set {
    /// An entry `key` that `--flag` sets.
    pub fn new(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Set { flag: flag.to_owned(), key: key.to_owned(), value: value.into() }
    }
}

/// `metadata` with the entries of `set` in place of those of the same meaning.
///
/// # Errors
/// A key is empty or set twice, or the runtime could not read a value.
pub fn merged(metadata: &[(String, String)], set: &[Set]) -> Result<Vec<(String, String)>> {
    let mut merged = metadata.to_vec();
    for (at, Set { flag, key, value }) in set.iter().enumerate() {
        if set[..at].iter().any(|earlier| same(&earlier.key, key)) {
            return Err(Error::Usage(format!("--{flag}: {key} is set twice")));
        }
        if key.trim().is_empty() || value.len() > VALUE_BYTES_MAX {
            return Err(Error::Usage(format!(
                "--{flag}: an entry has a name, and a value of at most {VALUE_BYTES_MAX} bytes"
            )));
        }
        let entry = [(key.clone(), value.clone())];
        readable(&entry).map_err(|e| Error::Usage(format!("--{flag}: {}", plain(&e))))?;
        merged.retain(|(known, _)| !same(known, key));
        merged.extend(entry);
    }
    readable(&merged)?;
    Ok(merged)
}

/// Reads the entries as the runtime will.
fn readable(metadata: &[(String, String)]) -> ocellus::Result<()> {
    Names::from_metadata(metadata)?;
    Anchors::from_metadata(metadata)?;
    Preprocess::from_metadata(metadata).map(|_| ())
}

/// The message without the place, of which there is none.
fn plain(error: &ocellus::Error) -> String {
    match error {
        ocellus::Error::BadModel { what, .. } => what.clone(),
        other => other.to_string(),
    }
}

fn same(a: &str, b: &str) -> bool {
    a == b || ALIASES.iter().any(|names| names.contains(&a) && names.contains(&b))
}

/// `names` as the value of the entry `names`, as Ultralytics writes it.
pub fn names_entry(names: &[String]) -> String {
    let quoted = |name: &String| serde_json::Value::from(name.as_str()).to_string();
    let entries: Vec<String> =
        names.iter().enumerate().map(|(id, name)| format!("{id}: {}", quoted(name))).collect();
    format!("{{{}}}", entries.join(", "))
}

/// What `metadata` says that a file without metadata does not: the flags that say it to the runtime.
///
/// # Errors
/// An entry cannot be read.
pub fn flags_for(metadata: &[(String, String)]) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    if let Some(names) = Names::from_metadata(metadata)?.filter(|names| *names != Names::coco()) {
        let first: Vec<&str> = names.iter().take(3).collect();
        let more = if names.len() > 3 { ", …" } else { "" };
        flags.push(format!("--names FILE  (lines: {}{more}; {} in all)", first.join(", "), names.len()));
    }
    let anchors = Anchors::from_metadata(metadata)?;
    if let Some(anchors) =
        anchors.filter(|anchors| Anchors::yolov5(anchors.levels().len()).as_ref() != Some(anchors))
    {
        let level =
            |level: &Vec<[f32; 2]>| level.iter().flatten().map(f32::to_string).collect::<Vec<_>>().join(",");
        flags.push(format!("--anchors {}", anchors.levels().iter().map(level).collect::<Vec<_>>().join("/")));
    }
    let (preprocess, usual) = (Preprocess::from_metadata(metadata)?, Preprocess::default());
    let three = |numbers: [f32; 3]| numbers.map(|x| x.to_string()).join(",");
    let differing = [
        (preprocess.mean != usual.mean, "mean", three(preprocess.mean)),
        (preprocess.norm != usual.norm, "norm", three(preprocess.norm)),
        (preprocess.order != usual.order, "pixel", preprocess.order.to_string().to_lowercase()),
        (preprocess.fit != usual.fit, "fit", preprocess.fit.to_string()),
        (
            preprocess.interpolation != usual.interpolation,
            "interpolation",
            preprocess.interpolation.to_string(),
        ),
    ];
    flags.extend(
        differing.iter().filter(|(differs, ..)| *differs).map(|(_, flag, value)| format!("--{flag} {value}")),
    );
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn entries_are_replaced_by_meaning() {
        let old = [entry("order", "bgr"), entry("author", "x")];
        let new = merged(&old, &[Set::new("pixel", "pixel", "rgb"), Set::new("set", "note", "a=b")]).unwrap();
        assert_eq!(new, [entry("author", "x"), entry("pixel", "rgb"), entry("note", "a=b")]);
        for (key, value, expected) in [
            ("anchors", "1,2,3", "--set: metadata: anchors '1,2,3'"),
            ("names", "[1]", "--set: metadata 'names'"),
            ("mean", "red", "--set: metadata: mean 'red'"),
            ("", "x", "--set: an entry has a name"),
        ] {
            let error = merged(&[], &[Set::new("set", key, value)]).unwrap_err();
            assert!(matches!(&error, Error::Usage(what) if what.starts_with(expected)), "{error}");
        }
        let twice = [Set::new("fit", "fit", "stretch"), Set::new("set", "resize", "stretch")];
        assert!(merged(&[], &twice).unwrap_err().to_string().contains("--set: resize is set twice"));
    }

    #[test]
    fn names_of_any_letters_are_read_back() {
        let names = ["it's", "a \"b\"", "\\", "été", "tab\there"].map(str::to_owned).to_vec();
        let read = Names::from_metadata(&[("names".to_owned(), names_entry(&names))]).unwrap().unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), names);
    }

    #[test]
    fn flags_say_what_is_not_usual() {
        assert!(
            flags_for(&[entry(
                "names",
                &names_entry(&Names::coco().iter().map(str::to_owned).collect::<Vec<_>>())
            )])
            .unwrap()
            .is_empty()
        );
        let flags = flags_for(&[
            entry("names", "['car', 'bus', 'tram', 'bike']"),
            entry("anchors", "1,2/3,4"),
            entry("mean", "103.53,116.28,123.675"),
            entry("resize", "stretch"),
            entry("licence", "MIT"),
        ]);
        let expected = [
            "--names FILE  (lines: car, bus, tram, …; 4 in all)",
            "--anchors 1,2/3,4",
            "--mean 103.53,116.28,123.675",
            "--fit stretch",
        ];
        assert_eq!(flags.unwrap(), expected);
    }
}
