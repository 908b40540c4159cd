//! What a conversion did, for people and programs.

use super::Check;
use ocellus::graph::Graph;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Layers that the text lists.
const LAYERS_LISTED: usize = 10;

/// A file and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

impl FileSize {
    /// A file of `bytes` bytes.
    pub fn new(path: &Path, bytes: u64) -> Self {
        FileSize { path: path.display().to_string(), bytes }
    }
}

/// How many layers of one operator there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpCount {
    /// The operator.
    pub op: String,
    /// In the input's file.
    pub before: usize,
    /// After simplification.
    pub after: usize,
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversion {
    /// The files read.
    pub input: Vec<FileSize>,
    /// The files written.
    pub output: Vec<FileSize>,
    /// Rows and columns of the input at which the model was read and checked.
    pub size: [usize; 2],
    /// Those that the new file has where nobody asks for others; `null`: it has to be asked.
    pub size_when_opened: Option<[usize; 2]>,
    /// Why the new file takes this size only; `null`: it takes any.
    pub fixed_because: Option<String>,
    /// Layers of the input.
    pub layers_before: usize,
    /// Layers after simplification.
    pub layers_after: usize,
    /// The same by operator, in alphabetic order.
    pub ops: Vec<OpCount>,
    /// How the two compare.
    pub check: Check,
    /// What the input says and the new file cannot: flags that say it to the runtime.
    pub pass_as_flags: Vec<String>,
}

/// Layers by operator.
pub fn count_ops(before: &Graph, after: &Graph) -> Vec<OpCount> {
    let mut counts: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (at, graph) in [before, after].into_iter().enumerate() {
        for node in &graph.nodes {
            counts.entry(node.op.name()).or_default()[at] += 1;
        }
    }
    counts.into_iter().map(|(op, [before, after])| OpCount { op: op.to_owned(), before, after }).collect()
}

impl Conversion {
    /// Files, layers, the comparison, and what is left to do.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (what, files) in [("read", &self.input), ("wrote", &self.output)] {
            for FileSize { path, bytes } in files {
                let _ = writeln!(text, "{what:6} {path}  {bytes} bytes");
            }
        }
        self.size_text(&mut text);
        let _ = writeln!(text, "layers: {} before, {} after", self.layers_before, self.layers_after);
        for OpCount { op, before, after } in &self.ops {
            let folded = if after == before { "" } else { "  *" };
            let _ = writeln!(text, "  {op:18} {before:>5} {after:>5}{folded}");
        }
        let Check { pictures, layers, outputs } = &self.check;
        let on = match pictures {
            0 => "noise; give --check with pictures for a better one".to_owned(),
            1 => "1 picture".to_owned(),
            n => format!("{n} pictures"),
        };
        let _ = writeln!(text, "check: {} tensors, {} of them outputs, on {on}", layers.len(), outputs.len());
        let worst = self.check.worst(LAYERS_LISTED);
        let width = worst.iter().map(|row| row.name.len()).max().unwrap_or(0).clamp(6, 60);
        match worst.is_empty() {
            true => text.push_str("  no number differs\n"),
            false => text.push_str(&format!("  {:width$} {:>10}\n", "tensor", "difference")),
        }
        for row in worst {
            let output = if outputs.contains(row) { "  output" } else { "" };
            let _ = writeln!(text, "  {:width$} {:>10.1e}{output}", row.name, row.difference);
        }
        if !self.pass_as_flags.is_empty() {
            text.push_str("ncnn files hold no metadata; run this model with:\n");
            self.pass_as_flags.iter().for_each(|flag| text.push_str(&format!("  {flag}\n")));
        }
        text
    }

    fn size_text(&self, text: &mut String) {
        let [height, width] = self.size;
        let _ = match (&self.fixed_because, self.size_when_opened) {
            (Some(because), _) => writeln!(text, "size: {width}×{height} only: {because}"),
            (None, Some(size)) if size == self.size => {
                writeln!(text, "size: any; {width}×{height} by default")
            }
            (None, _) => writeln!(text, "size: any; give --size, it was read at {width}×{height}"),
        };
    }
}
