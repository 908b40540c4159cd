//! Pascal VOC: an XML file per picture, in `Annotations/` of the given folder or in the folder itself; pictures in
//! `JPEGImages/`, `images/` or beside.
//!
//! Coordinates count pixels from 1, and both ends belong to the box: `xmin` 1 and `xmax` 10 are the first ten columns.

use super::folder::{inside_or, pair_up};
use super::stated::{self, Stated};
use super::{Dataset, Findings, Place, Source, box_fault};
use crate::error::{Error, Result};
use crate::limits::XML_DEPTH_MAX;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::path::Path;

/// Reads the folder of `source`.
pub(super) fn open(source: Source<'_>, findings: &mut Findings) -> Result<Dataset> {
    let root = source.annotations;
    let usual =
        ["JPEGImages", "images"].map(|name| root.join(name)).into_iter().find(|folder| folder.is_dir());
    let pictures = source.images.map(Path::to_owned).or(usual).unwrap_or_else(|| root.to_owned());
    let pairs = pair_up(&pictures, &inside_or(root, "Annotations"), "xml", findings)?;
    let pairs = pairs.into_iter().take(source.limit.unwrap_or(usize::MAX));
    stated::read(root, pairs, source.names, findings, parse)
}

/// The boxes that `text`, the content of the label file `path`, states. Objects marked as difficult are crowds: nobody is
/// blamed for missing them. Faulty objects are noted and left out.
///
/// # Errors
/// The text is not such a file, or an object is faulty and `findings` are strict.
pub fn parse(path: &Path, text: &str, findings: &mut Findings) -> Result<Vec<Stated>> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut lines = Lines { text, seen: 0, line: 1 };
    let mut walk = Walk::default();
    let mut boxes = Vec::new();
    loop {
        let event = reader.read_event();
        // Of an error the place where the reader stopped.
        let line = lines.line_at(reader.buffer_position());
        let event = event.map_err(|e| Error::bad_line(path, line, format!("not XML: {e}")))?;
        match event {
            Event::Start(tag) => {
                walk.open(tag.name().as_ref(), line).map_err(|what| Error::bad_line(path, line, what))?
            }
            Event::Text(part) => walk.text.push_str(&part.xml10_content()),
            Event::CData(part) => walk.text.push_str(&part.xml10_content()),
            Event::GeneralRef(entity) => walk.text.push_str(&resolved(&entity)),
            Event::End(_) => {
                if let Some((object, line)) = walk.close() {
                    match object.stated(line) {
                        Ok(stated) => boxes.push(stated),
                        Err(what) => findings.note(Error::bad_line(path, line, what))?,
                    }
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match (walk.seen_root, walk.open.len()) {
        (true, 0) => Ok(boxes),
        (true, _) => Err(Error::bad_data(path, format!("ends inside <{}>", walk.open.join("><")))),
        (false, _) => Err(Error::bad_data(path, "not a Pascal VOC annotation: no <annotation>")),
    }
}

/// What a reference stands for; one that XML does not define, as it is.
fn resolved(entity: &quick_xml::events::BytesRef<'_>) -> String {
    let name: &str = entity;
    match entity.resolve_char_ref() {
        Ok(Some(character)) => character.to_string(),
        _ => quick_xml::escape::resolve_xml_entity(name).map_or_else(|| format!("&{name};"), str::to_owned),
    }
}

/// Line numbers of growing positions.
struct Lines<'a> {
    text: &'a str,
    seen: usize,
    line: usize,
}

impl Lines<'_> {
    fn line_at(&mut self, position: u64) -> usize {
        let position = (position as usize).clamp(self.seen, self.text.len());
        let passed = &self.text.as_bytes()[self.seen..position];
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count();
        self.seen = position;
        self.line
    }
}

/// The way through the elements.
#[derive(Default)]
struct Walk {
    open: Vec<String>,
    seen_root: bool,
    /// Text of the innermost element.
    text: String,
    object: Object,
    object_line: usize,
}

/// What an `<object>` says, as text.
#[derive(Default)]
struct Object {
    name: Option<String>,
    difficult: bool,
    /// xmin, ymin, xmax, ymax.
    corners: [Option<String>; 4],
}

impl Walk {
    fn open(&mut self, name: &str, line: usize) -> Result<(), String> {
        if self.open.len() >= XML_DEPTH_MAX {
            return Err(format!("elements inside each other more than {XML_DEPTH_MAX} deep"));
        }
        self.seen_root |= self.open.is_empty() && name == "annotation";
        self.open.push(name.to_owned());
        self.text.clear();
        if self.path() == ["annotation", "object"] {
            (self.object, self.object_line) = (Object::default(), line);
        }
        Ok(())
    }

    fn path(&self) -> Vec<&str> {
        self.open.iter().map(String::as_str).collect()
    }

    /// Leaves the innermost element. The object that it was, with its line.
    fn close(&mut self) -> Option<(Object, usize)> {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let mut done = None;
        match self.path()[..] {
            ["annotation", "object"] => done = Some((std::mem::take(&mut self.object), self.object_line)),
            ["annotation", "object", "name"] => self.object.name = Some(text.to_owned()),
            ["annotation", "object", "difficult"] => self.object.difficult = text == "1",
            ["annotation", "object", "bndbox", side] => {
                let sides = ["xmin", "ymin", "xmax", "ymax"];
                if let Some(at) = sides.iter().position(|name| *name == side) {
                    self.object.corners[at] = Some(text.to_owned());
                }
            }
            _ => {}
        }
        self.open.pop();
        done
    }
}

impl Object {
    fn stated(self, line: usize) -> Result<Stated, String> {
        let name = self.name.filter(|name| !name.is_empty()).ok_or("the object has no <name>")?;
        let mut corners = [0.0; 4];
        for ((corner, text), side) in
            corners.iter_mut().zip(self.corners).zip(["xmin", "ymin", "xmax", "ymax"])
        {
            let text = text.ok_or_else(|| format!("the object has no <bndbox> with <{side}>"))?;
            *corner = text.parse().map_err(|_| format!("<{side}> `{text}` is not a number"))?;
        }
        let [left, top, right, bottom] = corners;
        let bbox = [left - 1.0, top - 1.0, right - left + 1.0, bottom - top + 1.0];
        match box_fault(&bbox) {
            Some(what) => Err(format!("the box {corners:?} {what}")),
            None => Ok(Stated { name, bbox, crowd: self.difficult, place: Place::Line(line as u32) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Vec<Stated>, Vec<String>)> {
        let mut findings = Findings::gathering();
        let boxes = parse(Path::new("a.xml"), text, &mut findings)?;
        Ok((boxes, findings.iter().map(|fault| fault.to_string()).collect()))
    }

    /// Shaped as the data set's own files are; boxes by hand.
    #[test]
    fn objects_become_boxes_that_count_from_zero() {
        let text = "<?xml version=\"1.0\"?>\n<annotation>\n<filename>a.jpg</filename>\n\
            <size><width>500</width><height>375</height><depth>3</depth></size>\n\
            <object>\n<name>fork &amp; knife</name><pose>Left</pose><difficult>0</difficult>\n\
            <bndbox><xmin>1</xmin><ymin>11</ymin><xmax>10</xmax><ymax>30</ymax></bndbox>\n\
            <part><name>head</name><bndbox><xmin>5</xmin></bndbox></part></object>\n\
            <object><name>car</name><difficult>1</difficult><bndbox><ymax>2.5</ymax><xmax>4</xmax>\
            <ymin>1.5</ymin><xmin>3</xmin></bndbox></object></annotation>";
        let (boxes, faults) = read(text).unwrap();
        let knife = Stated {
            name: "fork & knife".to_owned(),
            bbox: [0.0, 10.0, 10.0, 20.0],
            crowd: false,
            place: Place::Line(5),
        };
        let car =
            Stated { name: "car".to_owned(), bbox: [2.0, 0.5, 2.0, 2.0], crowd: true, place: Place::Line(9) };
        assert_eq!((boxes, faults), (vec![knife, car], vec![]));
    }

    #[test]
    fn faulty_objects_are_named_by_line() {
        let object =
            |inside: &str| read(&format!("<annotation>\n<object>{inside}</object></annotation>")).unwrap().1;
        let bndbox = |corners: [&str; 4]| {
            let [a, b, c, d] = corners;
            let sides = format!("<xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>");
            object(&format!("<name>car</name><bndbox>{sides}</bndbox>"))
        };
        let cases = [
            (object("<name>car</name>"), "the object has no <bndbox> with <xmin>"),
            (object("<bndbox></bndbox>"), "the object has no <name>"),
            (bndbox(["x", "1", "2", "3"]), "<xmin> `x` is not a number"),
            (bndbox(["9", "1", "2", "3"]), "the box [9.0, 1.0, 2.0, 3.0] has a negative width or height"),
            (
                bndbox(["nan", "1", "2", "3"]),
                "the box [NaN, 1.0, 2.0, 3.0] has a coordinate that is not a number of pixels",
            ),
        ];
        for (said, expected) in cases {
            assert_eq!(said, [format!("a.xml:2: {expected}")]);
        }
    }

    #[test]
    fn broken_files_are_errors() {
        for (text, expected) in [
            ("", "a.xml: not a Pascal VOC annotation: no <annotation>"),
            ("<html></html>", "a.xml: not a Pascal VOC annotation: no <annotation>"),
            ("<annotation>\n<object>", "a.xml: ends inside <annotation><object>"),
            ("<annotation>\n</object>", "a.xml:2: not XML: "),
            (&"<a>".repeat(1_000_000), "a.xml:1: elements inside each other more than 64 deep"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
