//! Bars: how fast the engines are, and which layers lose most.

use super::data::{LatencyRow, LayerRow, PageData, Precision};
use super::format::*;
use super::svg::Strip;
use super::{folded, section};

/// Layers that stand in the open.
const LAYERS_SHOWN: usize = 30;

pub(super) fn latency(data: &PageData) -> String {
    if data.latency.is_empty() {
        return String::new();
    }
    let mut rows: Vec<&LatencyRow> = data.latency.iter().collect();
    rows.sort_by(|a, b| a.threads.cmp(&b.threads).then(a.median_ms.total_cmp(&b.median_ms)));
    let most = rows.iter().map(|r| r.median_ms).filter(|ms| ms.is_finite()).fold(1e-9, f64::max);
    let mut body = String::new();
    let mut threads = None;
    for row in rows {
        if threads != Some(row.threads) {
            threads = Some(row.threads);
            body += &format!("<div class=\"head\">{}</div>\n", counted(row.threads, "thread"));
        }
        let mut strip = Strip::new(16, &format!("median {}", milliseconds(row.median_ms)));
        strip.bar(row.precision.name(), [0.0, row.median_ms / most], 2.0, 12.0);
        let least = row.min_ms / most;
        strip.line("mark", [least, least], [2.0, 14.0]);
        body += &format!(
            "<div class=\"name\">{} <span class=\"soft\">{}</span></div><div class=\"bar\">{}</div>\
             <div class=\"value\">{}</div><div class=\"facts soft small\">min {}</div>\n",
            escaped(&row.engine),
            row.precision.name(),
            strip.finish(),
            milliseconds(row.median_ms),
            digits(row.min_ms)
        );
    }
    let host = match data.host.is_empty() {
        true => String::new(),
        false => format!(" on {}", escaped(&data.host)),
    };
    let lead = format!(
        "Time for one picture{host}. The bar is the median of the repetitions, the notch the fastest of them."
    );
    section(
        "latency",
        "Latency",
        &lead,
        &format!("<div class=\"panel\"><div class=\"rows\">\n{body}</div></div>\n"),
    )
}

/// What a layer's bar shows.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// [`LayerRow::loss`].
    Loss,
    /// Quantization noise as a share of the signal, in amplitude.
    Noise,
}

impl Measure {
    /// `None` where the layer has no such number.
    pub(super) fn of(self, layer: &LayerRow) -> Option<f64> {
        let value = match self {
            Measure::Loss => layer.loss,
            Measure::Noise => layer.sqnr_db.map(|db| 10f64.powf(-db / 20.0)),
        };
        value.filter(|v| v.is_finite())
    }
}

pub(super) fn layers(data: &PageData) -> String {
    let losses = data.layers.iter().any(|layer| layer.loss.is_some());
    let measure = if losses { Measure::Loss } else { Measure::Noise };
    let mut layers: Vec<&LayerRow> = data.layers.iter().collect();
    let worst = |layer: &LayerRow| measure.of(layer).unwrap_or(f64::NEG_INFINITY);
    layers.sort_by(|a, b| worst(b).total_cmp(&worst(a)));
    let Some(first) = layers.first() else { return String::new() };
    let most = worst(first).max(1e-12);
    let (shown, rest) = layers.split_at(layers.len().min(LAYERS_SHOWN));
    let floats = layers.iter().filter(|l| l.precision == Precision::Float).count();
    let what = match measure {
        Measure::Loss if data.loss_caption.is_empty() => {
            "what is lost where one layer alone is int8".to_owned()
        }
        Measure::Loss => escaped(&data.loss_caption),
        Measure::Noise => "quantization noise as a share of the signal".to_owned(),
    };
    let left = match floats {
        0 => "All layers run in int8.".to_owned(),
        n => format!("{} of {} run in float.", count(n), counted(layers.len(), "layer")),
    };
    let lead = format!("Worst layers first. Bars: {what}. {left}");
    let body = layer_rows(shown, measure, most)
        + &match rest.is_empty() {
            true => String::new(),
            false => {
                let more = if rest.len() == 1 { "layer" } else { "layers" };
                folded(&format!("{} more {more}", count(rest.len())), &layer_rows(rest, measure, most))
            }
        };
    let keys = "<p class=\"keys small soft\"><span class=\"key int8\"><i></i>Int8</span>\
                <span class=\"key\"><i></i>Float</span></p>\n";
    section("layers", "Sensitivity of layers", &lead, &format!("{keys}{body}"))
}

fn layer_rows(layers: &[&LayerRow], measure: Measure, most: f64) -> String {
    let rows: String = layers.iter().map(|layer| layer_row(layer, measure, most)).collect();
    format!("<div class=\"panel\"><div class=\"rows\">\n{rows}</div></div>\n")
}

fn layer_row(layer: &LayerRow, measure: Measure, most: f64) -> String {
    let value = measure.of(layer);
    let shown = match (measure, value) {
        (_, None) => NONE.to_owned(),
        (Measure::Loss, Some(v)) => digits(v),
        (Measure::Noise, Some(v)) => share(v),
    };
    let mut strip = Strip::new(14, &format!("{}: {shown}", layer.name));
    if let Some(value) = value {
        strip.bar(layer.precision.name(), [0.0, value / most], 2.0, 10.0);
    }
    let sqnr = layer.sqnr_db.map(|db| decibels(Some(db))).into_iter();
    let macs = (layer.macs > 0).then(|| format!("{}MAC", scaled(layer.macs)));
    let float = (layer.precision == Precision::Float).then(|| "float".to_owned());
    let facts: Vec<String> = sqnr.chain(macs).chain(float).collect();
    format!(
        "<div class=\"name\" title=\"{0}\"><span class=\"mono\">{0}</span> <span class=\"soft small\">{1}</span></div>\
         <div class=\"bar\">{2}</div><div class=\"value\">{shown}</div><div class=\"facts soft small\">{3}</div>\n",
        escaped(&layer.name),
        escaped(&layer.op),
        strip.finish(),
        facts.join(" · ")
    )
}
