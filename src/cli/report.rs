//! What `ocellus bench` prints.

use clap::ValueEnum;
use ocellus::bench::{Layer, Measurement, Peak, Stages};
use ocellus::{Error, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// For people, and for scripts that know benchncnn.
    Text,
    /// For programs.
    Json,
    /// For documents.
    Markdown,
}

/// One result, as JSON has it.
#[derive(Serialize)]
pub(super) struct Row {
    pub name: String,
    pub engine: &'static str,
    pub precision: &'static str,
    pub isa: String,
    pub threads: usize,
    /// Rows and columns of the input.
    pub size: [usize; 2],
    /// Images of a run.
    pub batch: usize,
    /// Of the median run.
    pub images_per_second: f64,
    #[serde(flatten)]
    pub measured: Measurement,
}

/// Writes to standard output; nobody reads on where it is closed.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).or_else(|e| match e.kind() {
        std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        _ => Err(Error::io("standard output", e)),
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON") + "\n"
}

/// One measurement; Markdown waits for all of them.
pub(super) fn row(format: Format, row: &Row) -> Result<()> {
    match format {
        Format::Json => print(&json(row)),
        Format::Text => print(&benchncnn_row(row)),
        Format::Markdown => Ok(()),
    }
}

/// benchncnn's row; what is not all float says so in its name, as benchncnn's int8 networks do.
fn benchncnn_row(row: &Row) -> String {
    let name = match row.precision {
        "fp32" => row.name.clone(),
        other => format!("{}_{other}", row.name),
    };
    let t = &row.measured.times;
    let batch = match row.batch {
        1 => String::new(),
        images => format!("  batch = {images}  images/s = {:7.1}", row.images_per_second),
    };
    format!("{name:>20}  min = {:7.2}  max = {:7.2}  avg = {:7.2}{batch}\n", t.min_ms, t.max_ms, t.avg_ms)
}

/// A table with fp32 and int8 of a network side by side; batches have three columns more.
pub(super) fn table(rows: &[Row]) -> Result<()> {
    let other = if rows.iter().any(|row| row.precision == "dynamic") { "dynamic" } else { "int8" };
    let mut text = format!(
        "| network | input | fp32 min ms | fp32 median | {other} min ms | {other} median | fp32 ÷ {other} | {other} load ms |",
    );
    let mut rule = String::from("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    let batches = rows.iter().any(|row| row.batch != 1);
    if batches {
        text += &format!(" batch | fp32 images/s | {other} images/s |");
        rule.push_str(" ---: | ---: | ---: |");
    }
    text = format!("{text}\n{rule}\n");
    let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    names.dedup();
    for name in names {
        let of = |int8: bool| rows.iter().find(|row| row.name == name && (row.precision != "fp32") == int8);
        let (fp32, int8) = (of(false), of(true));
        let Some(any) = fp32.or(int8) else { continue };
        let times = |row: Option<&Row>| match row.map(|r| &r.measured.times) {
            Some(t) => format!("{:.2} | {:.2}", t.min_ms, t.median_ms),
            None => " | ".to_owned(),
        };
        let gain = fp32.zip(int8).map_or(String::new(), |(f, i)| {
            format!("{:.1}", f.measured.times.median_ms / i.measured.times.median_ms)
        });
        let load = int8.map_or(String::new(), |row| format!("{:.1}", row.measured.load_ms));
        let [h, w] = any.size;
        let rate = |row: Option<&Row>| row.map_or(String::new(), |r| format!("{:.1}", r.images_per_second));
        let batch = match batches {
            true => format!(" {} | {} | {} |", any.batch, rate(fp32), rate(int8)),
            false => String::new(),
        };
        let times = (times(fp32), times(int8));
        // Writing into a string does not fail.
        let _ = writeln!(text, "| {name} | {w}×{h} | {} | {} | {gain} | {load} |{batch}", times.0, times.1);
    }
    print(&text)
}

#[derive(Serialize)]
struct LayersReport<'a> {
    peak_gmacs: f64,
    peak_gbytes: f64,
    layers: &'a [Layer],
}

/// The time of every layer.
pub(super) fn layers(format: Format, layers: &[Layer], peak: &Peak) -> Result<()> {
    if format == Format::Json {
        let report = LayersReport { peak_gmacs: peak.gmacs, peak_gbytes: peak.gbytes, layers };
        return print(&json(&report));
    }
    let note = format!(
        "peak: {:.0} GMAC/s in a 1x1 convolution of 256 channels, {:.0} GB/s in a copy, both in the cache",
        peak.gmacs, peak.gbytes
    );
    let headings = ["layer", "op", "ms", "%", "GMAC/s", "% of peak", "bytes", "bound", "kernel"];
    let mut rows = vec![headings.map(str::to_owned)];
    let empty = |zero: bool, text: String| if zero { "-".to_owned() } else { text };
    for layer in layers {
        let idle = layer.macs == 0;
        rows.push([
            layer.name.clone(),
            layer.op.clone(),
            format!("{:.3}", layer.ms),
            format!("{:.1}", layer.percent),
            empty(idle, format!("{:.1}", layer.gmacs)),
            empty(idle, format!("{:.0}", layer.percent_of_peak)),
            layer.bytes.to_string(),
            layer.bound.to_owned(),
            layer.kernel.clone(),
        ]);
    }
    print(&format!("{}\n{note}\n", aligned(format, &rows)))
}

/// The time of every stage.
pub(super) fn stages(format: Format, name: &str, stages: &Stages) -> Result<()> {
    #[derive(Serialize)]
    struct Report<'a> {
        name: &'a str,
        #[serde(flatten)]
        stages: &'a Stages,
    }
    if format == Format::Json {
        return print(&json(&Report { name, stages }));
    }
    let whole: f64 = stages.per_picture().iter().map(|(_, ms)| ms).sum();
    let percent = |ms: f64, of: f64| format!("{:.1}", if of > 0.0 { 100.0 * ms / of } else { 0.0 });
    let mut rows = vec![["stage", "ms", "% of picture", "% without decode"].map(str::to_owned)];
    for (stage, ms) in stages.per_picture() {
        let without = match stage {
            "decode" => "-".to_owned(),
            _ => percent(ms, whole - stages.decode_ms),
        };
        rows.push([stage.to_owned(), format!("{ms:.3}"), percent(ms, whole), without]);
    }
    let note = format!("{name}: mean of {} pictures; loading took {:.1} ms", stages.pictures, stages.load_ms);
    print(&format!("{note}\n{}", aligned(format, &rows)))
}

/// Columns under their headings, as wide as they need to be.
fn aligned<const N: usize>(format: Format, rows: &[[String; N]]) -> String {
    let widths: Vec<usize> =
        (0..N).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let numbers = |row: &[String; N], i: usize| {
        row[i].starts_with(|c: char| c.is_ascii_digit()) && !row[i].contains(char::is_alphabetic)
    };
    let right: Vec<bool> = (0..N).map(|i| rows.iter().skip(1).any(|row| numbers(row, i))).collect();
    let (open, between, close) = match format {
        Format::Markdown => ("| ", " | ", " |"),
        _ => ("", "  ", ""),
    };
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        let cell = |i: usize| match right[i] {
            true => format!("{:>1$}", row[i], widths[i]),
            false => format!("{:<1$}", row[i], widths[i]),
        };
        let cells: Vec<String> = (0..N).map(cell).collect();
        let line = format!("{open}{}{close}", cells.join(between));
        text.push_str(line.trim_end());
        text.push('\n');
        if at == 0 && format == Format::Markdown {
            let rule: Vec<&str> = right.iter().map(|&r| if r { "---:" } else { "---" }).collect();
            let _ = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
    text
}
