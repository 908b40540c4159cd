//! Accuracy by size of object, with intervals, and by class.

use super::data::{Accuracy, AccuracyRow, ClassLine};
use super::format::*;
use super::headline::difference_class;
use super::svg::Strip;
use super::{folded, section};

/// Classes that stand in the open.
const CLASSES_SHOWN: usize = 20;

pub(super) fn render(accuracy: &Accuracy) -> String {
    measures(accuracy) + &classes(accuracy)
}

fn measures(accuracy: &Accuracy) -> String {
    if accuracy.rows.is_empty() {
        return String::new();
    }
    // Both models of a row side by side need room only up to the largest number there is.
    let numbers = accuracy.rows.iter().flat_map(|row| {
        let ends = [row.float_interval, row.int8_interval].into_iter().flatten().flatten();
        [row.float, row.int8].into_iter().flatten().chain(ends)
    });
    let top = (numbers.fold(0.0, f64::max) * 10.0).ceil().clamp(1.0, 10.0) / 10.0;
    let rows: String = accuracy.rows.iter().map(|row| measure(row, top)).collect();
    let has_intervals =
        accuracy.rows.iter().any(|row| row.difference_interval.or(row.int8_interval).is_some());
    let intervals = match has_intervals {
        true => {
            " Ranges are 95 % intervals over a bootstrap of the pictures; that of a difference draws the same \
             pictures for both models. A difference is coloured where its interval leaves out zero."
        }
        false => "",
    };
    let lead = format!(
        "{} with {}. Numbers are percent, differences points.{intervals}",
        if accuracy.dataset.is_empty() { "A data set".to_owned() } else { escaped(&accuracy.dataset) },
        counted(accuracy.images, "picture")
    );
    let body = format!(
        "<p class=\"keys small soft\"><span class=\"key\"><i></i>Float</span>\
         <span class=\"key int8\"><i></i>Int8</span></p>\n\
         <div class=\"panel\">\n<table class=\"accuracy\">\n<thead><tr><th class=\"metric\">Measure</th>\
         <th class=\"n\">Float</th><th class=\"n\">Int8</th><th class=\"n\">Difference</th>\
         <th class=\"plot\">0 to {} %</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n",
        (top * 100.0).round()
    );
    section("accuracy", "Accuracy", &lead, &body)
}

fn measure(row: &AccuracyRow, top: f64) -> String {
    let label = format!("{}: float {}, int8 {}", row.metric, percent(row.float), percent(row.int8));
    let mut strip = Strip::new(28, &label);
    strip.line("axis", [0.0, 0.0], [0.0, 28.0]);
    let bars = [("float", row.float, row.float_interval, 3.0), ("int8", row.int8, row.int8_interval, 16.0)];
    for (class, value, interval, y) in bars {
        let Some(value) = value else { continue };
        strip.bar(class, [0.0, value / top], y, 9.0);
        if let Some(interval) = interval {
            strip.whisker(interval.map(|v| v / top), y + 4.5, 3.0);
        }
    }
    let cell = |value: String, class: &str, below: Option<String>| {
        let below = below.map(|text| format!("<span class=\"small soft\">{text}</span>")).unwrap_or_default();
        format!("<td class=\"n\"><span class=\"{class}\">{value}</span>{below}</td>")
    };
    let class = row.difference().map_or("even", |d| difference_class(d, row.difference_interval));
    format!(
        "<tr><td class=\"metric\">{}</td>{}{}{}<td class=\"plot\">{}</td></tr>\n",
        escaped(&row.metric),
        cell(percent(row.float), "was", row.float_interval.map(percents)),
        cell(percent(row.int8), "is", row.int8_interval.map(percents)),
        cell(points(row.difference()), class, row.difference_interval.map(points_interval)),
        strip.finish()
    )
}

/// Classes by falling size of the difference, those without one last.
fn classes(accuracy: &Accuracy) -> String {
    let mut classes: Vec<&ClassLine> = accuracy.per_class.iter().collect();
    if classes.is_empty() {
        return String::new();
    }
    let size = |class: &ClassLine| class.difference().filter(|d| d.is_finite()).map_or(-1.0, f64::abs);
    classes.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let most = classes.first().map_or(0.0, |class| size(class)).max(1e-3);
    let (shown, rest) = classes.split_at(classes.len().min(CLASSES_SHOWN));
    let lead =
        "Classes with the largest change first. Few instances make large changes likely by chance alone.";
    let rest = match rest.is_empty() {
        true => String::new(),
        false => class_table(rest, most),
    };
    let more = if classes.len() == CLASSES_SHOWN + 1 { "class" } else { "classes" };
    let summary = format!("{} more {more}", count(classes.len().saturating_sub(CLASSES_SHOWN)));
    section("classes", "Classes", lead, &(class_table(shown, most) + &folded(&summary, &rest)))
}

fn class_table(classes: &[&ClassLine], most: f64) -> String {
    let rows: String = classes.iter().map(|class| class_row(class, most)).collect();
    format!(
        "<div class=\"panel\">\n<table class=\"classes\">\n<thead><tr><th>Class</th><th class=\"n\">Instances</th>\
         <th class=\"n\">Float</th><th class=\"n\">Int8</th><th class=\"n\">Change</th>\
         <th class=\"plot\"></th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

fn class_row(class: &ClassLine, most: f64) -> String {
    let plot = class.difference().map_or(String::new(), |difference| {
        let mut strip = Strip::new(16, &format!("{} points", points(Some(difference))));
        strip.line("axis", [0.5, 0.5], [-4.0, 20.0]);
        let kind = if difference < 0.0 { "loss" } else { "gain" };
        strip.bar(kind, [0.5, 0.5 + difference / most / 2.0], 4.0, 8.0);
        strip.finish()
    });
    format!(
        "<tr><td>{}</td><td class=\"n soft\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td class=\"n\">{}</td><td class=\"plot\">{plot}</td></tr>\n",
        escaped(&class.name),
        count(class.instances),
        percent(class.float),
        percent(class.int8),
        points(class.difference())
    )
}
