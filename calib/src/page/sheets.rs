//! Pictures, and the facts that make a result repeatable.

use super::data::{PageData, Sample};
use super::format::*;
use super::section;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub(super) fn samples(data: &PageData) -> String {
    let pairs: String = data.samples.iter().map(pair).collect();
    if pairs.is_empty() {
        return String::new();
    }
    section(
        "samples",
        "What the models see",
        "The same picture, boxes of the float and of the int8 model.",
        &pairs,
    )
}

fn pair(sample: &Sample) -> String {
    let caption = escaped(&sample.caption);
    let side = |jpeg: &[u8], class: &str, name: &str| match jpeg.is_empty() {
        true => String::new(),
        false => format!(
            "<div><img alt=\"{caption}, {name}\" src=\"data:image/jpeg;base64,{}\"/>\
             <span class=\"key {class} small soft\"><i></i>{name}</span></div>\n",
            STANDARD.encode(jpeg)
        ),
    };
    let sides = side(&sample.float, "float", "Float") + &side(&sample.int8, "int8", "Int8");
    if sides.is_empty() {
        return sides;
    }
    format!("<figure class=\"pair\">\n<figcaption>{caption}</figcaption>\n{sides}</figure>\n")
}

pub(super) fn calibration(data: &PageData) -> String {
    let facts = &data.calibration;
    let images = if facts.images == 0 { String::new() } else { count(facts.images) };
    let rows: String = [
        ("Pictures", "plain", images),
        ("From", "mono", facts.folders.join(", ")),
        ("Hash of the pictures", "mono", facts.hash.clone()),
        ("Ranges", "plain", facts.method.clone()),
        ("Grids", "plain", facts.scheme.clone()),
    ]
    .into_iter()
    .filter(|(_, _, value)| !value.is_empty())
    .map(|(name, class, value)| format!("<dt>{name}</dt><dd class=\"{class}\">{}</dd>\n", escaped(&value)))
    .collect();
    if rows.is_empty() {
        return rows;
    }
    section("calibration", "Calibration", "", &format!("<div class=\"panel\"><dl>\n{rows}</dl></div>\n"))
}

pub(super) fn files(data: &PageData) -> String {
    if data.files.is_empty() {
        return String::new();
    }
    let row = |file: &super::FileRow| {
        format!(
            "<tr><td class=\"mono\">{}</td><td class=\"what soft\">{}</td><td class=\"n\">{}</td></tr>\n",
            escaped(&file.name),
            escaped(&file.what),
            bytes(file.bytes)
        )
    };
    let rows: String = data.files.iter().map(row).collect();
    let body = format!(
        "<div class=\"panel\">\n<table class=\"files\">\n<thead><tr><th>File</th><th class=\"what\">Holds</th>\
         <th class=\"n\">Size</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    );
    section("files", "Files", "", &body)
}

pub(super) fn command(data: &PageData) -> String {
    if data.command.is_empty() {
        return String::new();
    }
    let body = format!("<pre><code>{}</code></pre>\n", escaped(&data.command));
    section("command", "Command", "Makes this page again.", &body)
}
