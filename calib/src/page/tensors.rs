//! Distributions of activations as small multiples.

use super::data::{PageData, TensorRow};
use super::format::*;
use super::svg::Bars;
use super::{folded, section};

/// Tensors that stand in the open.
const TENSORS_SHOWN: usize = 24;

pub(super) fn render(data: &PageData) -> String {
    let mut tensors: Vec<&TensorRow> = data.tensors.iter().collect();
    if tensors.is_empty() {
        return String::new();
    }
    // Without a noise level a tensor keeps its place after those that have one.
    let noise = |tensor: &TensorRow| tensor.sqnr_db.filter(|db| !db.is_nan()).unwrap_or(f64::INFINITY);
    tensors.sort_by(|a, b| noise(a).total_cmp(&noise(b)));
    let (shown, rest) = tensors.split_at(tensors.len().min(TENSORS_SHOWN));
    let order = if tensors.iter().any(|t| t.sqnr_db.is_some()) { " Noisiest first." } else { "" };
    let lead = format!(
        "How often each value occurs in the calibration pictures, counts on a logarithmic scale, and the range \
         that has codes.{order}"
    );
    let keys = "<p class=\"keys small soft\"><span class=\"key chosen\"><i></i>Chosen range</span>\
                <span class=\"key loss\"><i></i>Clipped</span></p>\n";
    let rest = if rest.is_empty() { String::new() } else { grid(rest) };
    let left = tensors.len().saturating_sub(TENSORS_SHOWN);
    let more = if left == 1 { "tensor" } else { "tensors" };
    let folded = folded(&format!("{} more {more}", count(left)), &rest);
    section("ranges", "Ranges of activations", &lead, &format!("{keys}{}{folded}", grid(shown)))
}

fn grid(tensors: &[&TensorRow]) -> String {
    let tiles: String = tensors.iter().map(|tensor| tile(tensor)).collect();
    format!("<div class=\"grid\">\n{tiles}</div>\n")
}

fn tile(tensor: &TensorRow) -> String {
    let (low, high) = (tensor.low, tensor.high);
    let range = format!("{} to {}", digits(low), digits(high));
    let drawn = Bars::new(&tensor.bins, low, high).map_or(String::new(), |bars| {
        format!(
            "{}<div class=\"ends\"><span>{}</span><span>{}</span></div>",
            bars.draw(low, high, &format!("Histogram of {}, range {range}", tensor.name)),
            digits(bars.domain[0]),
            digits(bars.domain[1])
        )
    });
    let clipped = if tensor.clipped > 0.0 { "worse" } else { "soft" };
    let mut facts = format!("<span>{range}</span>");
    facts += &format!("<span class=\"{clipped}\">{} clipped</span>", share(tensor.clipped));
    if tensor.sqnr_db.is_some() {
        facts += &format!("<span>{}</span>", decibels(tensor.sqnr_db));
    }
    if !tensor.method.is_empty() {
        facts += &format!("<span class=\"soft\">{}</span>", escaped(&tensor.method));
    }
    format!(
        "<figure class=\"tile\">\n<figcaption class=\"name mono\" title=\"{0}\">{0}</figcaption>\n{drawn}\
         <div class=\"facts small\">{facts}</div>\n</figure>\n",
        escaped(&tensor.name)
    )
}
