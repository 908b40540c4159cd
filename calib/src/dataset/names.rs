//! Class names: plain lists, and the `names:` entry of a YOLO `data.yaml`.

use super::check_classes;
use super::read::read_text;
use crate::error::{Error, Result};
use crate::limits::{DATA_YAML_LEVELS_MAX, TEXT_FILE_BYTES_MAX};
use std::borrow::Cow;
use std::path::Path;

/// Reads a file with one class name per line; blank lines at the end do not count.
pub fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path, TEXT_FILE_BYTES_MAX)?;
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    check_classes(path, names.iter().map(String::as_str))?;
    Ok(names)
}

/// The class names of the `data.yaml` in `folder` or the nearest folder above that has one.
pub(super) fn find_data_yaml(folder: &Path) -> Result<Option<Vec<String>>> {
    let folder = std::fs::canonicalize(folder).map_err(|e| Error::io(folder, e))?;
    for above in folder.ancestors().take(1 + DATA_YAML_LEVELS_MAX) {
        let path = above.join("data.yaml");
        if path.is_file() {
            let names = parse_names(&path, &read_text(&path, TEXT_FILE_BYTES_MAX)?)?;
            check_classes(&path, names.iter().map(String::as_str))?;
            return Ok(Some(names));
        }
    }
    Ok(None)
}

/// Reads `names:` of a `data.yaml` in any of its four usual spellings: a list or a map with keys 0, 1, 2 …,
/// each either inline or one entry per line. The rest of the file is not looked at.
///
/// # Errors
/// There is no such entry, or it is broken; the error names the line.
pub fn parse_names(path: &Path, text: &str) -> Result<Vec<String>> {
    let mut lines = (1..).zip(text.lines().map(strip_comment));
    let Some((number, rest)) =
        lines.find_map(|(number, line)| Some((number, line.strip_prefix("names:")?.trim())))
    else {
        return Err(Error::bad_data(path, "no top-level `names:`"));
    };
    let mut names = Names::default();
    let parsed = if rest.is_empty() {
        parse_block(&mut names, lines)
    } else {
        parse_inline(&mut names, rest, lines.map(|(_, line)| line)).map_err(|what| (number, what))
    };
    parsed.map_err(|(number, what)| Error::bad_line(path, number, what))?;
    if names.0.is_empty() { Err(Error::bad_line(path, number, "`names:` is empty")) } else { Ok(names.0) }
}

/// Entries on lines of their own; an error comes with the number of its line.
fn parse_block<'a>(
    names: &mut Names,
    lines: impl Iterator<Item = (usize, &'a str)>,
) -> Result<(), (usize, String)> {
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let entry = line.trim();
        let parsed = match entry.strip_prefix('-').filter(|item| item.is_empty() || item.starts_with(' ')) {
            Some(item) => names.push(item),
            None if line.starts_with([' ', '\t']) => names.push_keyed(entry),
            None => break,
        };
        parsed.map_err(|what| (number, what))?;
    }
    Ok(())
}

/// Entries in brackets or braces, which may be closed only on one of the following `lines`.
fn parse_inline<'a>(
    names: &mut Names,
    first: &str,
    mut lines: impl Iterator<Item = &'a str>,
) -> Result<(), String> {
    let close = match first.chars().next() {
        Some('[') => ']',
        Some('{') => '}',
        _ => return Err("`names:` must be a list, or a map with keys 0, 1, 2 …".to_owned()),
    };
    let mut inline = first[1..].to_owned();
    while !inline.ends_with(close) {
        let line = lines.next().ok_or("`names:` is not closed")?;
        inline.push(' ');
        inline.push_str(line.trim());
    }
    inline.pop();
    split_entries(&inline)
        .into_iter()
        .try_for_each(|entry| if close == ']' { names.push(entry) } else { names.push_keyed(entry) })
}

#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn push(&mut self, name: &str) -> Result<(), String> {
        let name = unquote(name.trim());
        if name.is_empty() {
            return Err("a class name is empty".to_owned());
        }
        self.0.push(name.into_owned());
        Ok(())
    }

    /// `2: car`; the keys must count up from 0.
    fn push_keyed(&mut self, entry: &str) -> Result<(), String> {
        let expected = self.0.len();
        match entry.split_once(':') {
            Some((key, name)) if unquote(key.trim()).parse() == Ok(expected) => self.push(name),
            _ => Err(format!("expected `{expected}: name`, found `{}`", entry.trim())),
        }
    }
}

/// Removes one pair of quotes around `text`. Between single quotes, two of them stand for one.
fn unquote(text: &str) -> Cow<'_, str> {
    let inner = |quote| text.strip_prefix(quote).and_then(|s: &str| s.strip_suffix(quote));
    match (inner('"'), inner('\'')) {
        (Some(inside), _) => inside.into(),
        (None, Some(inside)) => inside.replace("''", "'").into(),
        (None, None) => text.into(),
    }
}

/// Byte positions of `line`'s characters that stand outside quotes, with the character before each.
fn outside_quotes(line: &str) -> impl Iterator<Item = (usize, char, Option<char>)> {
    let (mut quote, mut before) = (None, None);
    line.char_indices().filter_map(move |(i, c)| {
        let previous = before.replace(c);
        // An apostrophe inside a word (`driver's`) opens nothing; two in a quoted word close and open.
        let opens = previous.is_none_or(|p| p.is_whitespace() || "[{,:-".contains(p) || p == c);
        match quote {
            Some(q) if q == c => quote = None,
            None if opens && (c == '"' || c == '\'') => quote = Some(c),
            None => return Some((i, c, previous)),
            Some(_) => {}
        }
        None
    })
}

/// `line` up to a `#` that starts a comment.
fn strip_comment(line: &str) -> &str {
    let comment = outside_quotes(line)
        .find(|&(_, c, previous)| c == '#' && previous.is_none_or(char::is_whitespace))
        .map_or(line.len(), |(i, ..)| i);
    line[..comment].trim_end()
}

/// The parts of `text` between commas, without an empty one at the end.
fn split_entries(text: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    let mut start = 0;
    for (i, ..) in outside_quotes(text).filter(|&(_, c, _)| c == ',') {
        entries.push(&text[start..i]);
        start = i + 1;
    }
    if !text[start..].trim().is_empty() {
        entries.push(&text[start..]);
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<String>> {
        parse_names(Path::new("data.yaml"), text)
    }

    #[test]
    fn every_spelling_of_names_gives_the_same_list() {
        let spellings = [
            "nc: 3\nnames: [car, 'traffic light', \"fork, knife\"]\n",
            "names: ['car',   # a comment\n  traffic light,\n  'fork, knife',\n]\nnc: 3\n",
            "train: a\nnames:\n  - car\n  - traffic light\n  - \"fork, knife\"\nnc: 3\n",
            "names:\n- car\n- 'traffic light' # red\n\n- fork, knife\nval: - x\n",
            "names:\n  0: car\n  1: traffic light\n  2: fork, knife\npath: .\n",
            "names: {0: car, 1: 'traffic light', 2: \"fork, knife\"}\n",
        ];
        for text in spellings {
            assert_eq!(parse(text).unwrap(), ["car", "traffic light", "fork, knife"], "{text}");
        }
        assert_eq!(parse("names: [driver's seat, b#1]").unwrap(), ["driver's seat", "b#1"]);
        assert_eq!(parse("names: ['a ''b'', c', 'd''s, e']").unwrap(), ["a 'b', c", "d's, e"]);
    }

    #[test]
    fn broken_names_are_errors_with_a_line() {
        let cases = [
            ("nc: 2\n", "data.yaml: no top-level `names:`"),
            ("\nnames: [a, b\n", "data.yaml:2: `names:` is not closed"),
            ("names:\n  0: a\n  2: b\n", "data.yaml:3: expected `1: name`, found `2: b`"),
            ("names: coco.names\n", "data.yaml:1: `names:` must be a list, or a map with keys 0, 1, 2 …"),
            ("names:\nnc: 3\n", "data.yaml:1: `names:` is empty"),
            ("names: [a,,b]\n", "data.yaml:1: a class name is empty"),
        ];
        for (text, message) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), message);
        }
    }
}
