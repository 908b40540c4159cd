//! Class names: COCO's, a file's, or a model's.

use crate::error::{Error, Result};
use crate::limits::{CLASSES_MAX, NAME_BYTES_MAX};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Names of classes, by class id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// COCO's 80 classes in the order that YOLO models use.
    pub fn coco() -> Self {
        Names(COCO.iter().map(|&name| name.to_owned()).collect())
    }

    /// # Errors
    /// [`Error::Usage`]: no names, too many of them, or one that is empty or too long.
    pub fn new(names: Vec<String>) -> Result<Self> {
        if names.is_empty() || names.len() > CLASSES_MAX {
            return Err(Error::Usage(format!("{} class names; 1 to {CLASSES_MAX} are allowed", names.len())));
        }
        if let Some(id) = names.iter().position(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            let message = format!("the name of class {id} is empty or longer than {NAME_BYTES_MAX} bytes");
            return Err(Error::Usage(message));
        }
        Ok(Names(names))
    }

    /// Reads a names file: one name per line, the first is class 0. Empty lines at the end do not count.
    ///
    /// # Errors
    /// [`Error::Io`], or [`Error::Usage`] naming the file and what is wrong with it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes_max = CLASSES_MAX * (NAME_BYTES_MAX + 2);
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
        let usage = |what: String| Error::Usage(format!("{}: {what}", path.display()));
        if bytes.len() > bytes_max {
            return Err(usage(format!("a names file has at most {bytes_max} bytes")));
        }
        let text = std::str::from_utf8(&bytes).map_err(|e| usage(format!("not UTF-8: {e}")))?;
        Names::from_lines(text).map_err(|e| usage(e.to_string()))
    }

    /// The names in a text, one per line.
    ///
    /// # Errors
    /// As [`Names::new`].
    pub fn from_lines(text: &str) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}').trim_end();
        Names::new(text.lines().take(CLASSES_MAX + 1).map(|line| line.trim().to_owned()).collect())
    }

    /// The model's `names` entry, if it has one: a Python dictionary as Ultralytics writes it
    /// (`{0: 'person', 1: 'bicycle'}`), or a list or dictionary in JSON.
    ///
    /// # Errors
    /// [`Error::BadModel`]: the entry cannot be read.
    pub fn from_metadata(metadata: &[(String, String)]) -> Result<Option<Self>> {
        let Some((_, text)) = metadata.iter().find(|(key, _)| key == "names") else { return Ok(None) };
        let names = Literal::new(text).names().and_then(|names| Names::new(names).map_err(|e| e.to_string()));
        names.map(Some).map_err(|e| Error::bad_model(format!("metadata 'names': {e}")))
    }

    /// Number of classes.
    #[allow(clippy::len_without_is_empty)] // There is always a name.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Name of a class; `class 7` for one that has none.
    pub fn get(&self, class_id: usize) -> Cow<'_, str> {
        match self.0.get(class_id) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(format!("class {class_id}")),
        }
    }

    /// All names, by class id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Reader of a list or dictionary of strings in Python's or JSON's notation.
struct Literal<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn new(text: &'a str) -> Self {
        Literal { text, rest: text }
    }

    fn names(mut self) -> Result<Vec<String>, String> {
        let (close, keyed) = match self.take_any("[{")? {
            '{' => ('}', true),
            _ => (']', false),
        };
        let mut names: Vec<Option<String>> = Vec::new();
        while !self.skip(close) {
            let id = if keyed { self.key()? } else { names.len() };
            if id >= CLASSES_MAX {
                return Err(format!("class {id} is above the limit of {CLASSES_MAX} classes"));
            }
            names.resize(names.len().max(id + 1), None);
            if names[id].replace(self.string()?).is_some() {
                return Err(format!("class {id} has two names"));
            }
            if !self.skip(',') && !self.rest.trim_start().starts_with(close) {
                return Err(self.unexpected(&format!("',' or '{close}'")));
            }
        }
        if !self.rest.trim().is_empty() {
            return Err(self.unexpected("the end"));
        }
        // Ids may have gaps; a class without a name is known by its number.
        let named = names.into_iter().enumerate();
        Ok(named.map(|(id, name)| name.unwrap_or_else(|| format!("class {id}"))).collect())
    }

    fn key(&mut self) -> Result<usize, String> {
        self.rest = self.rest.trim_start();
        let digits = if self.rest.starts_with(['\'', '"']) {
            self.string()?
        } else {
            let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            self.rest = rest;
            digits.to_owned()
        };
        let id = digits.parse().map_err(|_| self.unexpected("a class number"))?;
        if self.skip(':') { Ok(id) } else { Err(self.unexpected("':'")) }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = self.take_any("'\"")?;
        let mut name = String::new();
        let mut letters = self.rest.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => name.push(unescape(&mut letters).ok_or("an escape in a name cannot be read")?),
                letter if letter == quote => {
                    self.rest = letters.as_str();
                    return Ok(name);
                }
                letter => name.push(letter),
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(format!("a name is longer than {NAME_BYTES_MAX} bytes"));
            }
        }
        Err("a name has no closing quote".into())
    }

    fn take_any(&mut self, allowed: &str) -> Result<char, String> {
        let rest = self.rest.trim_start();
        let found = rest.chars().next().filter(|&c| allowed.contains(c));
        let found = found.ok_or_else(|| self.unexpected(&format!("one of {allowed}")))?;
        self.rest = &rest[found.len_utf8()..];
        Ok(found)
    }

    fn skip(&mut self, wanted: char) -> bool {
        let after = self.rest.trim_start().strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn unexpected(&self, wanted: &str) -> String {
        format!("expected {wanted} at byte {}", self.text.len() - self.rest.len())
    }
}

fn unescape(letters: &mut std::str::Chars) -> Option<char> {
    match letters.next()? {
        'n' => Some('\n'),
        't' => Some('\t'),
        'u' => {
            let digits = letters.as_str().get(..4)?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            *letters = letters.as_str()[4..].chars();
            char::from_u32(code)
        }
        quoted @ ('\\' | '\'' | '"' | '/') => Some(quoted),
        _ => None,
    }
}

#[rustfmt::skip]
const COCO: [&str; 80] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>> {
        let metadata = [("names".to_owned(), text.to_owned())];
        Names::from_metadata(&metadata).map(|names| names.unwrap().iter().map(str::to_owned).collect())
    }

    #[test]
    fn coco_has_its_well_known_ids() {
        let names = Names::coco();
        let known =
            [(0, "person"), (5, "bus"), (16, "dog"), (39, "bottle"), (63, "laptop"), (79, "toothbrush")];
        assert!(known.into_iter().all(|(id, name)| names.get(id) == name));
        assert_eq!((names.len(), names.get(80).as_ref()), (80, "class 80"));
    }

    #[test]
    fn metadata_in_every_notation() {
        for text in [
            "{0: 'person', 1: 'stop sign'}",
            "{\"0\": \"person\", \"1\": \"stop sign\"}",
            "[\"person\",\"stop sign\"]",
            " [ 'person' , 'stop sign', ] ",
            "{1: 'stop sign', 0: 'person'}",
        ] {
            assert_eq!(read(text).unwrap(), ["person", "stop sign"], "{text}");
        }
        assert_eq!(read(r#"{0: "driver's seat", 1: 'it\'s \u00e9'}"#).unwrap(), ["driver's seat", "it's é"]);
        assert_eq!(read("{2: 'c'}").unwrap(), ["class 0", "class 1", "c"]);
        assert_eq!(Names::from_metadata(&[]).unwrap(), None);
    }

    #[test]
    fn broken_metadata_is_an_error() {
        for text in [
            "",
            "person",
            "{}",
            "[",
            "{0 'a'}",
            "{0: 'a'",
            "{0: 'a' 1: 'b'}",
            "{0: 'a', 0: 'b'}",
            "{-1: 'a'}",
            "{99999999999999999999: 'a'}",
            "{1000000: 'a'}",
            "['a'] x",
            "['a\\q']",
            "['\\u00']",
            "['']",
            "[,]",
        ] {
            assert!(matches!(read(text), Err(Error::BadModel { .. })), "{text}");
        }
        assert!(read(&format!("['{}']", "a".repeat(NAME_BYTES_MAX + 1))).is_err());
        assert!(read(&format!("[{}]", "'a',".repeat(CLASSES_MAX + 1))).is_err());
    }

    #[test]
    fn names_files() {
        let names = Names::from_lines("\u{feff}car\r\nfire truck \n\n").unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["car", "fire truck"]);
        assert!(Names::from_lines("").is_err());
        let gap = Names::from_lines("a\n\nb").unwrap_err();
        assert!(gap.to_string().contains("class 1"), "{gap}");
        assert!(matches!(Names::from_file("/no/such/names.txt"), Err(Error::Io { .. })));
    }
}
