//! The bars of the layers as a picture of their own.

use super::charts::Measure;
use super::data::LayerRow;
use super::format::{digits, escaped, share};
use super::svg::Strip;
use std::fmt::Write;

/// Width of the picture.
const WIDTH: usize = 960;
/// Height of a row.
const ROW: usize = 20;
/// Where bars begin and end, and where numbers end.
const PLACES: [usize; 3] = [400, 860, 940];
/// Height of the heading.
const TOP: usize = 52;
/// Names longer than this lose their beginning.
const NAME_CHARS_MAX: usize = 50;

/// The layers as bars, worst first: an SVG file. `caption` is what [`LayerRow::loss`] is.
pub fn layers_svg(layers: &[LayerRow], caption: &str) -> String {
    let losses = layers.iter().any(|layer| layer.loss.is_some());
    let measure = if losses { Measure::Loss } else { Measure::Noise };
    let value = |layer: &LayerRow| measure.of(layer);
    let mut sorted: Vec<&LayerRow> = layers.iter().collect();
    let worst = |layer: &LayerRow| value(layer).unwrap_or(f64::NEG_INFINITY);
    sorted.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    let most = sorted.iter().filter_map(|layer| value(layer)).fold(1e-12, f64::max);
    let [left, right, end] = PLACES;
    let height = TOP + ROW * sorted.len() + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} \
         {height}\">\n<style>text{{font:12px sans-serif;fill:#1c2328}} .mono{{font-family:monospace;\
         font-size:11.5px}} .head{{font-size:14px;font-weight:600}} .int8{{fill:#0d7480}} \
         .float{{fill:#a9b1b7}}</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text class=\"head\" x=\"20\" y=\"30\">{}</text>\n",
        escaped(caption)
    );
    for (row, layer) in sorted.into_iter().enumerate() {
        let top = TOP + ROW * row;
        let shown = match (measure, value(layer)) {
            (_, None) => "–".to_owned(),
            (Measure::Loss, Some(value)) => digits(value),
            (Measure::Noise, Some(value)) => share(value),
        };
        let mut strip = Strip::new(14, &format!("{}: {shown}", layer.name));
        if let Some(value) = value(layer) {
            strip.bar(layer.precision.name(), [0.0, value / most], 1.0, 12.0);
        }
        // Writing into a string does not fail.
        let _ = writeln!(
            svg,
            "<text class=\"mono\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><svg x=\"{left}\" y=\"{top}\" \
             width=\"{}\" height=\"14\">{}</svg><text x=\"{end}\" y=\"{1}\" text-anchor=\"end\">{shown}</text>",
            left - 12,
            top + 11,
            escaped(&shortened(&layer.name)),
            right - left,
            strip.finish()
        );
    }
    svg + "</svg>\n"
}

/// The end of a name tells layers apart.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    match count > NAME_CHARS_MAX {
        true => format!("…{}", name.chars().skip(count + 1 - NAME_CHARS_MAX).collect::<String>()),
        false => name.to_owned(),
    }
}
