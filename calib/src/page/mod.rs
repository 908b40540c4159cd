//! One page that says what became of a model: a single HTML file without scripts that loads nothing.
//!
//! The caller fills [`PageData`]; [`render`] only lays out. Every text is escaped: file, class and tensor
//! names are somebody else's. The page is well-formed XML apart from its doctype.

mod accuracy;
mod charts;
mod curves;
mod data;
mod format;
mod headline;
mod instances;
mod plot;
mod sample;
mod sheets;
mod svg;
mod tensors;

pub use curves::{Curve, curves};
pub use data::{
    Accuracy, AccuracyRow, CalibrationFacts, ClassLine, FileRow, LatencyRow, LayerRow, PageData, Precision,
    Sample, TensorRow,
};
pub use instances::{InstanceBar, instances_svg};
pub use plot::layers_svg;
pub use sample::side_by_side;

use format::escaped;

/// Colours and layout, light and dark, for screen, phone and paper.
const STYLE: &str = include_str!("style.css");
/// Even a text that slipped through unescaped could load nothing and run nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The page as HTML.
pub fn render(data: &PageData) -> String {
    let parts = [
        headline::render(data),
        data.accuracy.as_ref().map(accuracy::render).unwrap_or_default(),
        charts::latency(data),
        charts::layers(data),
        tensors::render(data),
        sheets::samples(data),
        sheets::calibration(data),
        sheets::files(data),
        sheets::command(data),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        escaped(&data.title),
        parts.concat()
    )
}

/// A section under a heading; `lead` and `body` are HTML.
fn section(id: &str, heading: &str, lead: &str, body: &str) -> String {
    let lead = if lead.is_empty() { String::new() } else { format!("<p class=\"lead\">{lead}</p>\n") };
    format!("<section id=\"{id}\">\n<h2>{heading}</h2>\n{lead}{body}</section>\n")
}

/// What is folded away; nothing where there is nothing.
fn folded(summary: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!("<details>\n<summary>{summary}</summary>\n{body}</details>\n")
}
