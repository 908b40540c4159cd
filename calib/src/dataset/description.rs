//! Which data sets a model is trained on, and what their classes are to it: a TOML file.
//!
//! ```toml
//! classes = ["person", "vehicle"]
//! hold-out = { share = 0.05, together = "_mp4" }  # of [[train]], to choose the best epoch by; without it [[val]] chooses
//!
//! [[train]]
//! name = "coco"
//! annotations = "coco/train.json"
//! images = "coco/train"
//! map = { car = "vehicle", bus = "vehicle", truck = "vehicle", motorcycle = "vehicle" }
//! ignore = ["train"]
//!
//! [[train]]
//! name = "street"
//! annotations = "street/train"
//! map = { Bus = "vehicle", Car = "vehicle" }
//! labelled = ["vehicle"]
//!
//! [[val]]
//! annotations = "street/val"
//! map = { Bus = "vehicle", Car = "vehicle" }
//!
//! [[train]]
//! annotations = "frames"      # a folder of pictures without labels, for `calib distill`
//! unlabelled = "unknown"
//! ```
//!
//! Paths are relative to the file, or to a root that the caller names. Classes of a data set that are neither in `map` nor
//! in `ignore` and have no name of `classes` are background.

use super::hold_out::HoldOut;
use super::read::read_text;
use super::whole::Unlabelled;
use super::{Format, check_classes};
use crate::error::{Error, Result};
use crate::limits::{REPEAT_MAX, SOURCES_MAX, TEXT_FILE_BYTES_MAX};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The content of a description.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// What paths are relative to.
    #[serde(skip)]
    pub root: PathBuf,
    /// Names of the model's classes, in their order.
    pub classes: Vec<String>,
    /// Which of the pictures to train on choose the best epoch instead.
    #[serde(default, rename = "hold-out")]
    pub hold_out: Option<HoldOut>,
    /// What the model is trained on.
    #[serde(default)]
    pub train: Vec<Part>,
    /// What it is measured on.
    #[serde(default)]
    pub val: Vec<Part>,
}

/// A data set, and what it is to the model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What messages and tables call it. Without one, its annotations' path.
    pub name: Option<String>,
    /// Its form. Without one, what [`Format::of`] finds.
    pub format: Option<Format>,
    /// A COCO annotation file, or a folder of label files.
    pub annotations: PathBuf,
    /// The folder of its pictures.
    pub images: Option<PathBuf>,
    /// Names of its classes, where its own files do not say them.
    pub names: Option<Vec<String>>,
    /// Which of its classes is which of the model's. Others that have the same name, but for case, need not be here.
    #[serde(default)]
    pub map: BTreeMap<String, String>,
    /// Its classes whose boxes are neither objects nor background: crowds, or what looks like an object.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The model's classes of which all objects are labelled. Without it, those that its classes are mapped to.
    pub labelled: Option<Vec<String>>,
    /// How often each picture is seen in an epoch.
    #[serde(default = "once")]
    pub repeat: u32,
    /// What a picture without a label file is.
    #[serde(default)]
    pub unlabelled: Unlabelled,
}

fn once() -> u32 {
    1
}

impl Description {
    /// Reads a description. Its paths are relative to `root`, or to the folder of the file.
    ///
    /// # Errors
    /// The file cannot be read, is no description, or contradicts itself; the error names the line where there is one.
    pub fn open(path: &Path, root: Option<&Path>) -> Result<Self> {
        let text = read_text(path, TEXT_FILE_BYTES_MAX)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Description::parse(path, &text, root.unwrap_or(folder))
    }

    /// As [`Description::open`], of the content of the file `path`.
    ///
    /// # Errors
    /// As there.
    pub fn parse(path: &Path, text: &str, root: &Path) -> Result<Self> {
        let read: Description = toml::from_str(text).map_err(|e| {
            let at = e.span().and_then(|span| text.get(..span.start));
            let line = at.map(|before| 1 + before.matches('\n').count());
            Error::BadData { path: path.to_owned(), line, what: e.message().to_owned() }
        })?;
        let description = Description { path: path.to_owned(), root: root.to_owned(), ..read };
        description.check().map(|()| description)
    }

    fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::bad_data(&self.path, what));
        check_classes(&self.path, self.classes.iter().map(String::as_str))?;
        if self.classes.is_empty() {
            return bad("`classes` is empty".to_owned());
        }
        for (at, name) in self.classes.iter().enumerate() {
            if self.classes[..at].iter().any(|earlier| super::classes::same(earlier, name)) {
                return bad(format!("class `{name}` is there twice"));
            }
        }
        if let Some(HoldOut { share, .. }) =
            self.hold_out.as_ref().filter(|h| !(h.share > 0.0 && h.share < 1.0))
        {
            return bad(format!("hold-out: share = {share}: must be above 0 and below 1"));
        }
        if self.train.len() + self.val.len() > SOURCES_MAX {
            return bad(format!("more than {SOURCES_MAX} data sets"));
        }
        match self.train.iter().chain(&self.val).find(|part| !(1..=REPEAT_MAX).contains(&part.repeat)) {
            Some(part) => bad(format!("{}: repeat {}: must be 1 to {REPEAT_MAX}", part.name(), part.repeat)),
            None => Ok(()),
        }
    }
}

impl Part {
    /// What to call it.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.annotations.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Description> {
        Description::parse(Path::new("data.toml"), text, Path::new("root"))
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let read = parse(
            "classes = ['person', 'vehicle']\n[[train]]\nannotations = 'a/b'\nmap = { Car = 'vehicle' }\n\
             [[val]]\nname = 'v'\nformat = 'voc'\nannotations = 'c'\nunlabelled = 'background'\nrepeat = 2",
        )
        .unwrap();
        let [train, val] = [&read.train[0], &read.val[0]];
        assert_eq!((train.name(), train.repeat, train.unlabelled), ("a/b".to_owned(), 1, Unlabelled::Fault));
        assert_eq!((val.name(), val.format, val.repeat), ("v".to_owned(), Some(Format::Voc), 2));
        assert_eq!(val.unlabelled, Unlabelled::Background);
        assert_eq!(read.root, Path::new("root"));
    }

    #[test]
    fn broken_descriptions_are_named_by_line() {
        for (text, expected) in [
            ("classes = ['a']\n[[train]]\nimages = 'x'", "data.toml:2: missing field `annotations`"),
            ("classes = ['a']\nclass = 1", "data.toml:2: unknown field `class`"),
            ("classes = ['a']\n\n[[train]\n", "data.toml:3: "),
            ("classes = ['a']\n[[val]]\nannotations = 'x'\nformat = 'kitti'", "data.toml:4: unknown variant"),
            ("classes = ['a', 'A']", "data.toml: class `A` is there twice"),
            ("classes = []", "data.toml: `classes` is empty"),
            (
                "classes = ['a']\nhold-out = { share = 1.0 }",
                "data.toml: hold-out: share = 1: must be above 0 and below 1",
            ),
            ("classes = ['a']\nhold-out = { share = 0.1, together = '' }", "data.toml:2: the text is empty"),
            (
                "classes = ['a']\n[[val]]\nannotations = 'x'\nrepeat = 0",
                "data.toml: x: repeat 0: must be 1 to 100",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
