//! Data sets as a description says, checked and joined.

use super::classes::{listed, position, same};
use super::description::{Description, Part};
use super::training::{Labelled, Origin, Picture, TrainingSet};
use super::whole::Unlabelled;
use super::whole::Whole;
use super::{Category, Findings, Format, Source};
use crate::error::{Error, Result};
use std::path::Path;

/// Pictures and boxes without faults, and the faults of the others.
#[derive(Debug)]
pub struct Checked {
    set: TrainingSet,
    findings: Findings,
}

impl Checked {
    /// A data set on its own.
    ///
    /// # Errors
    /// It cannot be read at all.
    pub fn read(source: Source<'_>, format: Format, unlabelled: Unlabelled) -> Result<Self> {
        let mut findings = Findings::gathering();
        let whole = Whole::read(source, format, unlabelled, &mut findings)?;
        Ok(Checked { set: TrainingSet::of(whole, &source.annotations.display().to_string()), findings })
    }

    /// The pictures and boxes, and the faults of the others: for whoever shows both.
    pub fn into_parts(self) -> (TrainingSet, Findings) {
        (self.set, self.findings)
    }

    /// The faults that were found.
    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// The pictures and boxes, if there are no faults or what has some is to be left out.
    ///
    /// # Errors
    /// [`Error::Faults`]; or nothing is left.
    pub fn accept(self, skip_bad: bool) -> Result<TrainingSet> {
        if !skip_bad {
            self.findings.into_result()?;
        }
        if self.set.pictures.is_empty() {
            return Err(Error::Unmet("no picture of the data is without faults".to_owned()));
        }
        Ok(self.set)
    }
}

/// What a class of a data set is to the model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Class(u32),
    Ignored,
    Background,
}

impl Description {
    /// Reads and checks what the model is trained on.
    ///
    /// # Errors
    /// A data set cannot be read at all, or a class is named that does not exist.
    pub fn read_train(&self) -> Result<Checked> {
        read_all(self, &self.train, "train")
    }

    /// Reads and checks what the model is measured on.
    ///
    /// # Errors
    /// As [`Description::read_train`].
    pub fn read_val(&self) -> Result<Checked> {
        read_all(self, &self.val, "val")
    }
}

/// Reads `parts`, the description's entries `kind`.
fn read_all(description: &Description, parts: &[Part], kind: &str) -> Result<Checked> {
    if parts.is_empty() {
        return Err(Error::bad_data(&description.path, format!("no [[{kind}]] names a data set")));
    }
    let mut set = TrainingSet { classes: description.classes.clone(), ..TrainingSet::default() };
    let mut findings = Findings::gathering();
    for part in parts {
        add(description, part, &mut set, &mut findings)?;
    }
    Ok(Checked { set, findings })
}

fn add(description: &Description, part: &Part, set: &mut TrainingSet, findings: &mut Findings) -> Result<()> {
    let place = |path: &Path| description.root.join(path);
    let (annotations, images) = (place(&part.annotations), part.images.as_deref().map(place));
    let origin = |known| Origin { name: part.name(), known, repeat: part.repeat };
    if part.unlabelled == Unlabelled::Unknown {
        let whole = Whole::of_folder(&annotations, findings)?;
        append(set, whole, origin(vec![false; description.classes.len()]), &[]);
        return Ok(());
    }
    let format = part.format.map_or_else(|| Format::of(&annotations), Ok)?;
    let names = part.names.as_deref();
    let source = Source { annotations: &annotations, images: images.as_deref(), names, limit: None };
    let whole = Whole::read(source, format, part.unlabelled, findings)?;
    if whole.sizes.is_empty() {
        return Ok(());
    }
    let wrong = |what: String| Error::bad_data(&description.path, format!("{}: {what}", part.name()));
    let meanings = meanings(&whole.dataset.categories, &description.classes, part).map_err(wrong)?;
    let known = known(&meanings, &description.classes, part).map_err(wrong)?;
    append(set, whole, origin(known), &meanings);
    Ok(())
}

/// Adds the pictures and boxes of a data set.
fn append(set: &mut TrainingSet, whole: Whole, origin: Origin, meanings: &[Meaning]) {
    let (first, number) = (set.pictures.len(), set.origins.len() as u32);
    set.origins.push(origin);
    let Whole { dataset, sizes } = whole;
    set.pictures.extend(dataset.images.into_iter().zip(sizes).map(|(image, size)| Picture {
        path: image.path,
        size,
        origin: number,
        boxes: Vec::new(),
    }));
    for annotation in dataset.annotations {
        let class = match meanings[annotation.category as usize] {
            Meaning::Background => continue,
            Meaning::Class(class) if !annotation.crowd => Some(class),
            _ => None,
        };
        let [left, top, width, height] = annotation.bbox;
        let corners = [left, top, left + width, top + height].map(|x| x as f32);
        set.pictures[first + annotation.image as usize].boxes.push(Labelled { class, corners });
    }
}

impl TrainingSet {
    /// A data set on its own, under its own classes.
    pub fn of(whole: Whole, name: &str) -> Self {
        let classes: Vec<String> = whole.dataset.categories.iter().map(|c| c.name.clone()).collect();
        let meanings: Vec<Meaning> = (0..classes.len() as u32).map(Meaning::Class).collect();
        let origin = Origin { name: name.to_owned(), known: vec![true; classes.len()], repeat: 1 };
        let mut set = TrainingSet { classes, ..TrainingSet::default() };
        append(&mut set, whole, origin, &meanings);
        set
    }
}

/// What each class of the data set is to the model.
fn meanings(categories: &[Category], classes: &[String], part: &Part) -> Result<Vec<Meaning>, String> {
    let has = || listed(categories.iter().map(|c| c.name.as_str()));
    for name in part.map.keys().chain(&part.ignore) {
        if !categories.iter().any(|category| same(&category.name, name)) {
            return Err(format!("the data set has no class `{name}`; it has {}", has()));
        }
    }
    if let Some(name) = part.ignore.iter().find(|name| part.map.keys().any(|key| same(key, name))) {
        return Err(format!("class `{name}` is both in `map` and in `ignore`"));
    }
    let meaning = |category: &Category| {
        if part.ignore.iter().any(|name| same(name, &category.name)) {
            return Ok(Meaning::Ignored);
        }
        let mapped = part.map.iter().find(|(data, _)| same(data, &category.name)).map(|(_, model)| model);
        match (position(classes, mapped.unwrap_or(&category.name)), mapped) {
            (Some(class), _) => Ok(Meaning::Class(class as u32)),
            (None, None) => Ok(Meaning::Background),
            (None, Some(name)) => Err(no_class(name, classes)),
        }
    };
    let meanings: Vec<Meaning> = categories.iter().map(meaning).collect::<Result<_, _>>()?;
    if !meanings.iter().any(|meaning| matches!(meaning, Meaning::Class(_))) {
        return Err(format!("none of its classes ({}) is one of the model's; join them with `map`", has()));
    }
    Ok(meanings)
}

/// Which of the model's classes the data set labels.
fn known(meanings: &[Meaning], classes: &[String], part: &Part) -> Result<Vec<bool>, String> {
    let mut known = vec![false; classes.len()];
    match &part.labelled {
        None => {
            for meaning in meanings {
                if let Meaning::Class(class) = meaning {
                    known[*class as usize] = true;
                }
            }
        }
        Some(names) => {
            for name in names {
                known[position(classes, name).ok_or_else(|| no_class(name, classes))?] = true;
            }
        }
    }
    Ok(known)
}

fn no_class(name: &str, classes: &[String]) -> String {
    format!("`classes` has no `{name}`; it has {}", listed(classes.iter().map(String::as_str)))
}
