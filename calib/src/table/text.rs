//! ncnn's calibration table as text: written for its tools, and read again.
//!
//! First a line `LAYER_param_0 s0 s1 …` with the weight scales of each layer, then a line `LAYER s` with the
//! scale of its input; code = scale · number. A layer without the second line stays in float.

use super::{CODE_MAX, Table};
use crate::error::{Error, Result};
use crate::limits::TABLE_FILE_BYTES_MAX;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// Marks the weight scales' lines.
const WEIGHTS: &str = "_param_0";

/// Scales of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The layer's name.
    pub name: String,
    /// Per output channel, of a grouped convolution per group.
    pub weights: Vec<f32>,
    /// Of its input; `None`: the layer stays in float.
    pub input: Option<f32>,
}

impl Table {
    /// The text of the table.
    ///
    /// # Errors
    /// [`Error::Usage`]: the format cannot hold a layer's name, or two layers have the same.
    pub fn to_text(&self) -> Result<String> {
        let mut text = String::new();
        let mut seen = std::collections::HashSet::new();
        for Entry { name, weights, .. } in &self.entries {
            if name.is_empty() || name.contains(char::is_whitespace) || name.contains("_param_") {
                return Err(Error::Usage(format!(
                    "the layer name {name:?} does not fit a calibration table: rename the layer"
                )));
            }
            if !seen.insert(name) {
                return Err(Error::Usage(format!("two layers are named {name:?}: rename one of them")));
            }
            line(&mut text, name, WEIGHTS, weights);
        }
        for Entry { name, input, .. } in &self.entries {
            if let Some(scale) = input {
                line(&mut text, name, "", &[*scale]);
            }
        }
        Ok(text)
    }

    /// Reads such a file. As ncnn does, it ends at the first blank line; inputs whose name begins with `#` are left out.
    /// ncnn2table writes `inf` for what is zero on every picture: a channel of weights then has the scale 1, as all of
    /// its codes are 0, and a layer with such an input (or a scale of 0) stays in float.
    ///
    /// # Errors
    /// The file cannot be read, or [`Table::parse`] refuses it.
    pub fn read(path: &Path) -> Result<Table> {
        let text = crate::dataset::read_text(path, TABLE_FILE_BYTES_MAX)?;
        Table::parse(&text).map_err(|(line, what)| Error::bad_line(path, line, what))
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// A line, by its number from 1, has no scale or one that is no number or negative; an input has no weights; or
    /// a layer comes twice.
    pub fn parse(text: &str) -> Result<Table, (usize, String)> {
        let mut table = Table::default();
        let mut places = HashMap::new();
        for (number, line) in (1..).zip(text.lines()).take_while(|(_, line)| !line.trim().is_empty()) {
            let refuse = |what: String| Err((number, what));
            let Some((key, scales)) = fields(line) else {
                return refuse(
                    "expected a layer's name and its scales, numbers that are not negative".to_owned(),
                );
            };
            if let Some(name) = key.strip_suffix(WEIGHTS) {
                let weights =
                    scales.iter().map(|&scale| if scale.is_finite() { scale } else { 1.0 }).collect();
                if places.insert(name, table.entries.len()).is_some() {
                    return refuse(format!("layer {name:?} comes twice"));
                }
                table.entries.push(Entry { name: name.to_owned(), weights, input: None });
            } else if !key.starts_with('#') {
                let Some(&place) = places.get(key) else {
                    return refuse(format!("no line {key}{WEIGHTS} with weight scales before"));
                };
                table.entries[place].input =
                    scales.first().copied().filter(|scale| (CODE_MAX / scale).is_normal());
            }
        }
        Ok(table)
    }
}

/// As ncnn2table: six decimals, a space behind each.
fn line(text: &mut String, name: &str, suffix: &str, scales: &[f32]) {
    text.push_str(name);
    text.push_str(suffix);
    text.push(' ');
    for scale in scales {
        // Writing to a string cannot fail.
        let _ = write!(text, "{scale:.6} ");
    }
    text.push('\n');
}

/// Key and scales, at least one.
fn fields(line: &str) -> Option<(&str, Vec<f32>)> {
    let mut words = line.split_ascii_whitespace();
    let key = words.next()?;
    let scale = |word: &str| word.parse().ok().filter(|scale: &f32| *scale >= 0.0);
    let scales: Vec<f32> = words.map(scale).collect::<Option<_>>()?;
    (!scales.is_empty()).then_some((key, scales))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, weights: &[f32], input: Option<f32>) -> Entry {
        Entry { name: name.to_owned(), weights: weights.to_vec(), input }
    }

    /// The layout is that of ncnn2table: all weights first, `%f` and a space for each number.
    #[test]
    fn weights_come_first_and_float_layers_have_no_second_line() {
        let entries = vec![
            entry("Conv_0", &[127.0, 63.5], Some(127.0)),
            entry("Conv_1", &[1.0], None),
            entry("Gemm", &[0.25], Some(31.75)),
        ];
        let text = Table { entries: entries.clone() }.to_text().unwrap();
        let expected = "Conv_0_param_0 127.000000 63.500000 \nConv_1_param_0 1.000000 \n\
            Gemm_param_0 0.250000 \nConv_0 127.000000 \nGemm 31.750000 \n";
        assert_eq!(text, expected);
        let path = std::env::temp_dir().join(format!("calib-table-{}.table", std::process::id()));
        std::fs::write(&path, text + "#Conv_1 5.0 \n\nnever read").unwrap();
        let read = Table::read(&path);
        for (bad, what) in [
            ("a 1 \n", "a_param_0"),
            ("a_param_0 nan \n", "numbers"),
            ("a_param_0\n", "numbers"),
            ("a_param_0 -1\n", "negative"),
        ] {
            std::fs::write(&path, bad).unwrap();
            let error = Table::read(&path).unwrap_err().to_string();
            assert!(error.contains(":1: ") && error.contains(what), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap().entries, entries);
    }

    /// Channels without weights, and a tensor that was always zero, in a table of ncnn2table.
    #[test]
    fn infinite_scales_are_no_scales() {
        let table = Table::parse("a_param_0 inf 2.5 \nb_param_0 3.0 \na inf \nb 0.000000 \n").unwrap();
        assert_eq!(table.entries, [entry("a", &[1.0, 2.5], None), entry("b", &[3.0], None)]);
    }

    #[test]
    fn names_that_would_break_the_format_are_refused() {
        for names in [&["a b"][..], &[""], &["a_param_0"], &["a", "a"]] {
            let entries = names.iter().map(|name| entry(name, &[1.0], None)).collect();
            assert!(Table { entries }.to_text().is_err(), "{names:?}");
        }
    }
}
