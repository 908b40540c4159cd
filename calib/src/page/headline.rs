//! The top of the page: what was made of what, and the three numbers that matter.

use super::data::{PageData, Precision};
use super::format::*;

pub(super) fn render(data: &PageData) -> String {
    let made = match (data.model.is_empty(), data.artifact.is_empty()) {
        (true, true) => String::new(),
        (false, false) => format!(
            "<p class=\"from\"><span class=\"mono\">{}</span> <span class=\"soft\">became</span> \
             <span class=\"mono\">{}</span></p>\n",
            escaped(&data.model),
            escaped(&data.artifact)
        ),
        _ => format!(
            "<p class=\"from\"><span class=\"mono\">{}{}</span></p>\n",
            escaped(&data.model),
            escaped(&data.artifact)
        ),
    };
    let meta: String = [&data.date, &data.host]
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| format!("<span>{}</span>", escaped(text)))
        .collect();
    let meta = if meta.is_empty() { meta } else { format!("<p class=\"meta soft small\">{meta}</p>\n") };
    let cards = [accuracy(data), size(data), speed(data), calibration(data)].concat();
    let cards = if cards.is_empty() { cards } else { format!("<div class=\"cards\">\n{cards}</div>\n") };
    format!("<header>\n<h1>{}</h1>\n{made}{meta}</header>\n{cards}{}", escaped(&data.title), warnings(data))
}

/// From one number to another, as large as the page has it.
fn change(before: &str, after: &str, unit: &str) -> String {
    let unit = if unit.is_empty() { String::new() } else { format!(" <span class=\"unit\">{unit}</span>") };
    format!("<span class=\"was\">{before}</span><span class=\"arrow\"> → </span>{after}{unit}")
}

/// `label` is HTML, as all arguments.
fn card(label: &str, big: &str, below: &str) -> String {
    format!(
        "<div class=\"card\">\n<h2>{label}</h2>\n<p class=\"big\">{big}</p>\n\
         <p class=\"verdict small\">{below}</p>\n</div>\n"
    )
}

/// The first measure, and whether its difference is more than what other pictures would do to it.
fn accuracy(data: &PageData) -> String {
    let Some(accuracy) = &data.accuracy else { return String::new() };
    let Some(row) = accuracy.rows.first() else { return String::new() };
    let label = format!("{}, percent", escaped(&row.metric));
    let Some(difference) = row.difference() else {
        let known = row.int8.or(row.float);
        let which = if row.int8.is_some() { "int8" } else { "float" };
        return known.map_or(String::new(), |v| card(&label, &percent(Some(v)), which));
    };
    let class = difference_class(difference, row.difference_interval);
    let mut below = format!("<span class=\"{class}\">{} points</span>", points(Some(difference)));
    if let Some(interval) = row.difference_interval {
        let verdict = match class {
            "worse" => "a loss beyond chance",
            "better" => "a gain beyond chance",
            _ => "within what other pictures would change",
        };
        below += &format!(
            " <span class=\"soft whole\">(95 %: {})</span><br/><span class=\"soft\">{verdict}, {}</span>",
            points_interval(interval),
            counted(accuracy.images, "picture")
        );
    }
    card(&label, &change(&percent(row.float), &percent(row.int8), ""), &below)
}

/// `worse` and `better` only where the interval leaves no doubt; without an interval nothing is said.
pub(super) fn difference_class(difference: f64, interval: Option<[f64; 2]>) -> &'static str {
    match interval {
        Some([_, high]) if difference < 0.0 && high < 0.0 => "worse",
        Some([low, _]) if difference > 0.0 && low > 0.0 => "better",
        _ => "even",
    }
}

fn size(data: &PageData) -> String {
    let total = |precision| {
        let sizes = data.files.iter().filter(|f| f.precision == Some(precision)).map(|f| f.bytes);
        sizes.fold(0, u64::saturating_add)
    };
    match (total(Precision::Float), total(Precision::Int8)) {
        (0, 0) => String::new(),
        (0, int8) => card("Size", &bytes(int8), "int8"),
        (float, 0) => card("Size", &bytes(float), "float"),
        (float, int8) => {
            let (before, after) = (bytes(float), bytes(int8));
            // The unit once, where both have the same.
            let shown = match (before.split_once(' '), after.split_once(' ')) {
                (Some((before, unit)), Some((after, same))) if unit == same => change(before, after, unit),
                _ => change(&before, &after, ""),
            };
            let ratio = float as f64 / int8 as f64;
            let (ratio, word) = if ratio >= 1.0 { (ratio, "smaller") } else { (1.0 / ratio, "larger") };
            let below =
                format!("<strong>{} {word}</strong> <span class=\"soft\">on disk</span>", times(ratio));
            card("Size", &shown, &below)
        }
    }
}

/// The fastest int8 row against the fastest float row of the same number of threads, for the fewest threads
/// that have both: the comparison least flattered by the machine.
fn speed(data: &PageData) -> String {
    let fastest = |precision, threads| {
        let rows = data.latency.iter().filter(move |r| r.precision == precision && r.threads == threads);
        rows.filter(|r| r.median_ms > 0.0).min_by(|a, b| a.median_ms.total_cmp(&b.median_ms))
    };
    let mut threads: Vec<usize> = data.latency.iter().map(|r| r.threads).collect();
    threads.sort_unstable();
    let pair =
        threads.into_iter().find_map(|n| fastest(Precision::Float, n).zip(fastest(Precision::Int8, n)));
    let Some((float, int8)) = pair else { return String::new() };
    let ratio = float.median_ms / int8.median_ms;
    let (ratio, word) = if ratio >= 1.0 { (ratio, "faster") } else { (1.0 / ratio, "slower") };
    let shown = change(&digits(float.median_ms), &digits(int8.median_ms), "ms");
    let below = format!(
        "<strong>{} {word}</strong> <span class=\"soft\">on {}</span><br/>\
         <span class=\"soft\">{} against {} {}</span>",
        times(ratio),
        counted(int8.threads, "thread"),
        escaped(&int8.engine),
        escaped(&float.engine),
        float.precision.name()
    );
    card("Latency per picture", &shown, &below)
}

fn calibration(data: &PageData) -> String {
    let facts = &data.calibration;
    if facts.images == 0 {
        return String::new();
    }
    let unit = if facts.images == 1 { "picture" } else { "pictures" };
    let shown = format!("{} <span class=\"unit\">{unit}</span>", count(facts.images));
    card("Calibrated with", &shown, &format!("<span class=\"soft\">{}</span>", escaped(&facts.method)))
}

fn warnings(data: &PageData) -> String {
    if data.warnings.is_empty() {
        return String::new();
    }
    let items: String = data.warnings.iter().map(|w| format!("<li>{}</li>\n", escaped(w))).collect();
    let heading = if data.warnings.len() == 1 { "Mind this" } else { "Mind these" };
    format!("<aside class=\"notes\">\n<h2>{heading}</h2>\n<ul>\n{items}</ul>\n</aside>\n")
}
